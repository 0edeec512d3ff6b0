"""The ``gemtune`` command: one module for each group of commands, and a table of them in ``program``."""

from gemtune.cli.program import main

__all__ = ["main"]
