"""The wire: sending (http), what an endpoint may take (limits), reading delays (delay)."""
