"""Which event loop runs, its time, and how another thread reaches it: asyncio's and trio's under one roof.

anyio answers the same questions, and every function here ends in it. But they are asked several times in each call, and
on asyncio ``asyncio.get_running_loop`` answers them for a quarter (the time) to a tenth (the loop) of the price.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import anyio
import anyio.lowlevel

from gemtune.errors import MisuseError

T = TypeVar("T")
ThingT = TypeVar("ThingT")


def on_asyncio() -> bool:
    """Return whether the running event loop is asyncio's."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def current_loop() -> Any:
    """Return something that is the same for as long as the same event loop runs; raise MisuseError if none does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return _beside_asyncio(anyio.lowlevel.current_token).native_token


def current_time() -> float:
    """Return the running event loop's time in seconds, as ``anyio.current_time``; raise MisuseError if none runs."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return _beside_asyncio(anyio.current_time)


def _beside_asyncio(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except RuntimeError:  # anyio's NoEventLoopError, or asyncio's own where anyio still believes in the parent's loop
        raise MisuseError(
            "no event loop is running in this process: run a new one, after a fork as well, and make a new client in it"
        ) from None


async def for_each(work: Callable[[ThingT], Awaitable[T]], things: Iterable[ThingT], at_once: int) -> list[T]:
    """Await the same work for several things, and return what it brought, in their order.

    Args:
        work: What to do for one of them.
        things: What to do it for.
        at_once: For how many at a time.

    Raises:
        Exception: The first failure as it is, and not as a group of one; the rest is cancelled.
    """
    room = anyio.CapacityLimiter(at_once)
    found: dict[int, T] = {}
    failures: list[Exception] = []

    async def one(place: int, thing: ThingT) -> None:
        try:
            async with room:
                found[place] = await work(thing)
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for place, thing in enumerate(things):
            tasks.start_soon(one, place, thing)
    if failures:
        raise failures[0]
    return [found[place] for place in sorted(found)]


def call_soon(loop: Any, function: Callable[[], object]) -> None:
    """Have an event loop call a function, from any thread; nothing happens if the loop has ended."""
    soon = loop.call_soon_threadsafe if hasattr(loop, "call_soon_threadsafe") else loop.run_sync_soon
    try:
        soon(function)
    except RuntimeError:  # asyncio's "Event loop is closed" and trio's RunFinishedError
        return
