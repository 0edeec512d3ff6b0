"""Ctrl-C and SIGTERM, for a command that has something to put away before it ends."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio
from anyio.abc import TaskGroup

__all__ = ["sigterm_interrupts", "until_stopped"]


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def until_stopped(work: Callable[[TaskGroup], Awaitable[None]]) -> bool:
    """Do it until it is done, or until SIGINT or SIGTERM, which end it at once; more of them change nothing.

    Args:
        work: Is called with a task group for what is to run beside it and to end with it.

    Returns:
        Whether a signal ended it.

    Raises:
        Exception: Whatever the work raised, and not in a group.
    """
    failure: Exception | None = None
    stopped: list[int] = []

    async def listen(signals: AsyncIterator[int], scope: anyio.CancelScope) -> None:
        async for number in signals:
            stopped.append(number)
            scope.cancel()

    with _signals() as signals:
        async with anyio.create_task_group() as tasks:
            if signals is not None:
                tasks.start_soon(listen, signals, tasks.cancel_scope)
            try:
                await work(tasks)
            except Exception as error:  # noqa: BLE001 - it is raised below, and not in a group
                failure = error
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return bool(stopped)


@contextmanager
def _signals() -> Iterator[AsyncIterator[int] | None]:
    # Elsewhere the event loop has its own way with Ctrl-C.
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield None
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            yield signals
    finally:
        signal.signal(signal.SIGTERM, before)
