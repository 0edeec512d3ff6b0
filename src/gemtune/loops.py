"""Which event loop runs, its time, and how another thread reaches it: asyncio's and trio's under one roof."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel


def on_asyncio() -> bool:
    """Return whether the running event loop is asyncio's."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def current_loop() -> Any:
    """Return something that is the same for as long as the same event loop runs."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return anyio.lowlevel.current_token().native_token


def current_time() -> float:
    """Return what ``anyio.current_time`` does, in seconds, at a fraction of its price on asyncio."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return anyio.current_time()


def call_soon(loop: Any, function: Callable[[], object]) -> None:
    """Have an event loop call a function, from any thread; nothing happens where the loop has ended."""
    soon = loop.call_soon_threadsafe if hasattr(loop, "call_soon_threadsafe") else loop.run_sync_soon
    try:
        soon(function)
    except RuntimeError:  # asyncio's "Event loop is closed" and trio's RunFinishedError
        return
