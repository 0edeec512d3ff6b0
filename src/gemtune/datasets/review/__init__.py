"""What can be said about training data before anybody pays for it: a check, figures, an estimate.

It may import everything else of ``datasets``. Nothing waits but ``counted.py``, which asks a model to count tokens.
"""
