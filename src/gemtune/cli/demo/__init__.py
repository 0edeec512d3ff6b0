"""``gemtune demo``: Google's tuning tutorial against the bundled emulator."""
