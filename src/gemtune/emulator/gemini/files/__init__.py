"""Files: what callers upload for batches, and what batches leave behind. Each is gone two days later."""
