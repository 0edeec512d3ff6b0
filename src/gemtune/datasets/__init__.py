"""Training data: from what users have to checked examples."""
