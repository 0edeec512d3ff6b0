"""``gemtune data``: training data before it is tuned on; needs no account and no network."""
