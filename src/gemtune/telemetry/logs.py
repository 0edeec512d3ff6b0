"""Who hears what gemtune logs: nobody, unless the program listens or ``GEMTUNE_LOG`` asks for it.

A library says nothing of its own accord. ``GEMTUNE_LOG=debug`` (or ``info``, ``warning``) is for whoever runs a program
and wants to see what happens without changing it: the level is set, and if nobody listens, lines go to stderr.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "GEMTUNE_LOG"
_logger = logging.getLogger("gemtune")
_logger.addHandler(logging.NullHandler())


def wanted_level(environ: Mapping[str, str]) -> int | None:
    """Return the level that the environment asks for; None if it asks for none."""
    return logging.getLevelNamesMapping().get(environ.get(VARIABLE, "").strip().upper()) or None


def heed(environ: Mapping[str, str]) -> None:
    """Do what ``GEMTUNE_LOG`` says, once."""
    level = wanted_level(environ)
    if level is None:
        return
    _logger.setLevel(level)
    listening = (*_logger.handlers, *logging.getLogger().handlers)
    if all(isinstance(handler, logging.NullHandler) for handler in listening):
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        _logger.addHandler(handler)
