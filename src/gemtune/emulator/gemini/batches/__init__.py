"""Batches: requests that are answered later, and what becomes of each. When is said by ``world.batches``."""
