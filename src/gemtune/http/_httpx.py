"""The one place that imports httpx, so that a move to its continuation httpx2 stays a change of one line."""

from __future__ import annotations

import httpx

__all__ = ["httpx"]
