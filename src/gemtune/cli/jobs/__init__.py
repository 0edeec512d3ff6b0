"""``gemtune jobs``: list, get, watch, wait, cancel and delete tuning jobs."""
