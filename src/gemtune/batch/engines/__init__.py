"""What answers the items of a batch: today this process, with one call for each item."""
