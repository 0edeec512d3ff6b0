"""Batches, as far as both services have them in common: what becomes of one, and when. It imports ``world`` only."""
