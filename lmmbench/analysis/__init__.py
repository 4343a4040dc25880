"""What is read out of a run's files: rows, the field and its labels, the matrix, its views, the articles and their claims."""
