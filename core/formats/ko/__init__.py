"""Korean: year, month and day, and 24 hours."""
