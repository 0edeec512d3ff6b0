"""``gemtune batches``: list, get, watch, wait, cancel and delete batches of the service, and get their results."""
