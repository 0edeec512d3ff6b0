"""How aiohttp's connections are left when nobody can close them in order.

A client may be dropped without a word, as in a notebook cell that is run again, or be closed after the event loop of
its connections has ended. aiohttp then complains of a session that the user has never seen, and the sockets stay open
until the garbage collector comes along. Here they are closed at once, and what is said names what the user holds.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import aiohttp

from gemtune.loops import call_soon

Transports = Callable[[], Iterable[Any]]
"""Returns the transports of all connections that are open."""


def left_open(session: aiohttp.ClientSession, transports: Transports, loop: Any, process: int) -> None:
    """Close what a client has left open, and say so; called once nobody holds the client any more."""
    if session.closed or os.getpid() != process:
        return
    let_go(session, transports, loop)
    warnings.warn(
        "a gemtune Client was never closed: use it in 'async with gemtune.Client() as client', or 'await "
        "client.aclose()' when you are done",
        ResourceWarning,
        stacklevel=2,
    )


def let_go(session: aiohttp.ClientSession, transports: Transports, loop: Any) -> None:
    """Close all connections without awaiting, from any thread, whether or not their loop still runs."""
    session.detach()  # from here on aiohttp takes the session for closed
    if loop.is_closed():
        abort_all(transports())
    else:
        # Only the loop's own thread may touch them.
        call_soon(loop, partial(abort_all, transports()))


def abort_all(transports: Iterable[Any]) -> None:
    """Close connections at once, in the thread of their loop or after its end."""
    for transport in transports:
        try:
            transport.abort()
        except (RuntimeError, AttributeError):
            _shut(transport)


def _shut(transport: Any) -> None:
    # The loop is closed, and with it every public way: abort() wants to call back later. What it would have called
    # closes the socket; a TLS transport stands before the one that has it.
    inner = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    if inner is not None:
        transport._closed = True
    with suppress(Exception):
        (inner or transport)._call_connection_lost(None)
