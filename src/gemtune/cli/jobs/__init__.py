"""``gemtune jobs``: list, get, watch, wait, cancel, delete."""
