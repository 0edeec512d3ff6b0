"""What every command needs to run: a client for its options, an event loop, a limit of time."""

from __future__ import annotations

import argparse
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gemtune.errors import CallError, DeadlineExceeded

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from gemtune.client import Client
    from gemtune.config import WatchPolicy
    from gemtune.show.live import Live, View

_TICK = 0.1
"""Seconds after which a window that has changed its size is drawn again."""


def open_client(options: argparse.Namespace, **more: Any) -> Client:
    """Return a client for the common options and the environment."""
    from gemtune.client import Client

    return Client(
        base_url=options.base_url,
        trusted_hosts=options.trust_host,
        vertexai=options.vertex,
        project=options.project,
        location=options.location,
        bucket=options.bucket,
        user_agent_suffix="gemtune-cli",
        **more,
    )


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise DeadlineExceeded if the block is not done in time, whatever took too long."""
    import anyio

    end = math.inf if seconds is None else anyio.current_time() + seconds
    met = ""
    try:
        with anyio.move_on_after(seconds):
            yield
            return
    except CallError as error:
        if anyio.current_time() < end:
            raise
        met = f" ({error.message})"
    raise DeadlineExceeded(f"not done after {seconds:g} s{met}; allow more with --timeout")


def run_async(command: Callable[..., Awaitable[int]], *arguments: object, limit: float | None = None) -> int:
    """Run the asynchronous part of a command.

    Args:
        command: The coroutine function; it returns the exit code.
        arguments: What it is called with.
        limit: Seconds after which it is given up.
    """
    import anyio

    import gemtune.client  # noqa: F401 - loading it takes longest, and Ctrl-C works better outside of the loop

    async def limited() -> int:
        with time_limit(limit):
            return await command(*arguments)
        raise AssertionError("unreachable")

    return anyio.run(limited)


def keep_drawing(tasks: TaskGroup, live: Live | None, view: View) -> None:
    """Draw in place, if that is possible, and let it follow the clock and the size of the terminal until cancelled."""
    import anyio

    async def follow(live: Live) -> None:
        while True:
            await anyio.sleep(_TICK)
            live.tick()

    if live is not None and live.in_place:
        live.show(view)
        tasks.start_soon(follow, live)


def while_somebody_watches(jobs: int) -> WatchPolicy:
    """Return how often to look at so many jobs while somebody sits before the terminal."""
    from gemtune.config import WatchPolicy

    return WatchPolicy().while_somebody_watches(jobs)
