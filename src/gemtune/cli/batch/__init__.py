"""``gemtune batch``."""
