"""Training data as a running job reads it, and what it counts in it."""
