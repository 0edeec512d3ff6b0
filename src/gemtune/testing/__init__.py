"""Tests of applications built on gemtune or on Google's SDK: a Gemini API in pytest fixtures, offline.

Installed with gemtune, pytest finds the fixtures ``gemini_emulator`` and ``gemini_emulator_url`` automatically; see
``gemtune.testing.plugin``. They need no account, no credentials and no network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gemtune.testing.fixture import GeminiEmulator as GeminiEmulator

__all__ = ["GeminiEmulator"]


def __getattr__(name: str) -> object:
    """Load the emulator only for a test that uses it."""
    if name not in __all__:
        raise AttributeError(f"module 'gemtune.testing' has no attribute {name!r}")
    from gemtune.testing.fixture import GeminiEmulator

    return GeminiEmulator
