"""The version, in the one place from which packaging and user agent take it."""

__version__ = "0.1.0"
