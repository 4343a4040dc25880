"""What is read out of a run's files: the matrix today; compare, claims and the report have their places here."""
