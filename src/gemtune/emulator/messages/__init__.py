"""What the emulated service reads and writes: JSON, schemas, enums, field masks, error bodies.

This codec shares nothing with the SDK's, so that no mistake can cancel out.
"""
