"""What services read and write: JSON, schemas, field masks, error bodies, and HTTP as values.

This codec shares nothing with the SDK's, so that no mistake can cancel out. It imports nothing of the emulator and
never waits.
"""
