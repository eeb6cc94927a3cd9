"""English: the day first, and 24 hours."""
