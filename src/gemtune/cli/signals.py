"""Ctrl-C and SIGTERM, for a command that has something to tidy up before it ends.

The first signal ends the work; every further one is ignored, because people press Ctrl-C until something happens and a
second KeyboardInterrupt in the middle of the tidying would leave a journal or a terminal half done. SIGTERM does the
same as Ctrl-C. The handlers are set with ``signal.signal`` and not through the event loop: asyncio's own way resets
SIGTERM to its default before the previous handler can be put back, and a signal in that gap kills the process.
"""

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
    """A handler that answers the first signal and ignores all others."""

    answer: Callable[[], object]
    came: bool = False

    def __call__(self, *_: object) -> None:
        if not self.came:
            self.came = True
            self.answer()


def take_sigterm_for_ctrl_c() -> None:
    """From now on, let the first SIGTERM do what Ctrl-C does at that time; further ones are ignored."""
    # A shell starts background jobs of a script with Ctrl-C ignored: there SIGTERM keeps its default and ends us.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, _First(lambda: signal.raise_signal(signal.SIGINT)))


@contextmanager
def interruptible() -> Iterator[None]:
    """Let the first SIGINT or SIGTERM raise KeyboardInterrupt, and ignore further ones while that is handled."""
    with _answered(_interrupt):
        yield


async def until_stopped(work: Callable[[TaskGroup], Awaitable[None]]) -> bool:
    """Run the work until it is done or a SIGINT or SIGTERM cancels it; further signals are ignored.

    Args:
        work: Called with a task group, for whatever should run beside it and end with it.

    Returns:
        Whether a signal ended it.

    Raises:
        Exception: What the work or a task beside it raised, not wrapped in a group.
    """
    import asyncio

    import anyio

    failure: Exception | None = None
    loop = asyncio.get_running_loop()
    try:
        async with anyio.create_task_group() as tasks:
            with _answered(lambda: loop.call_soon_threadsafe(tasks.cancel_scope.cancel)) as signals:
                try:
                    await work(tasks)
                except Exception as error:  # noqa: BLE001 - raised again below, outside of the task group
                    failure = error
                finally:
                    tasks.cancel_scope.cancel()
    except ExceptionGroup as group:  # what runs beside the work has failed
        failure = failure or group.exceptions[0]
    else:
        if failure is None:
            return signals.came
    raise failure


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _answered(answer: Callable[[], object]) -> Iterator[_First]:
    """Let ``answer`` answer the first SIGINT or SIGTERM that comes during the block."""
    first = _First(answer)
    # Windows has its own way with Ctrl-C, and only the main thread may set handlers (tests run commands in others).
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield first
        return
    before = {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield first
    finally:
        for number, handler in before.items():
            if isinstance(handler, _First):  # the signal of an inner block was the outer one's first, too
                handler.came |= first.came
            signal.signal(number, handler)
