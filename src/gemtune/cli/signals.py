"""Ctrl-C and SIGTERM, for a command that has something to put away before it ends."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import attrs

if TYPE_CHECKING:
    from anyio.abc import TaskGroup


@attrs.define
class _First:
    """A handler that answers one signal; more of them change nothing."""

    answer: Callable[[], object]
    came: bool = False

    def __call__(self, *_: object) -> None:
        if not self.came:
            self.came = True
            self.answer()


def take_sigterm_for_ctrl_c() -> None:
    """Let the first SIGTERM be Ctrl-C, whatever answers that at the time, and more of them nothing, from now on."""
    # Where Ctrl-C is ignored, as in the background of a script, SIGTERM ends the process by itself.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, _First(lambda: signal.raise_signal(signal.SIGINT)))


@contextmanager
def interruptible() -> Iterator[None]:
    """Let the first SIGINT or SIGTERM raise KeyboardInterrupt, so that no other disturbs what follows from it."""
    with _answered(_interrupt):
        yield


async def until_stopped(work: Callable[[TaskGroup], Awaitable[None]]) -> bool:
    """Do it until it is done, or until SIGINT or SIGTERM, which end it at once; more of them change nothing.

    Args:
        work: Is called with a task group for what is to run beside it and to end with it.

    Returns:
        Whether a signal ended it.

    Raises:
        Exception: Whatever the work raised, and not in a group.
    """
    import asyncio

    import anyio

    failure: Exception | None = None
    loop = asyncio.get_running_loop()
    async with anyio.create_task_group() as tasks:
        with _answered(lambda: loop.call_soon_threadsafe(tasks.cancel_scope.cancel)) as signals:
            try:
                await work(tasks)
            except Exception as error:  # noqa: BLE001 - it is raised below, and not in a group
                failure = error
            finally:
                tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return signals.came


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _answered(answer: Callable[[], object]) -> Iterator[_First]:
    """Answer SIGINT and SIGTERM; not by way of the loop, which lets SIGTERM kill before one can put back what was."""
    first = _First(answer)
    # Elsewhere the event loop has its own way with Ctrl-C.
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield first
        return
    before = {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield first
    finally:
        for number, handler in before.items():
            if isinstance(handler, _First):
                handler.came |= first.came
            signal.signal(number, handler)
