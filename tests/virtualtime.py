"""Virtual time: a test that sleeps for hours takes milliseconds, on asyncio and on trio alike.

Ask for the fixture ``virtual_time`` (conftest.py). Time starts at zero, stands still while any task can run,
and jumps to the next deadline when all of them wait: the same in every run. On trio this is
``MockClock(autojump_threshold=0)``, on asyncio the event loop below. ``time.monotonic`` and ``time.time`` are
not touched: code under test takes its time from the event loop (``anyio.current_time``) or as an argument.

Time stands still as well while a thread of ``anyio.to_thread`` works, for up to PATIENCE real seconds.

Hazard: a loop that waits for a socket or for another thread also looks idle. Time then jumps to the nearest deadline,
so that a time-out around it fires at once. Use virtual time with in-memory transports only; real sockets are tested
in real time.
"""

import asyncio
import selectors
import threading
from typing import Any

import anyio.to_thread
import trio
from trio.testing import MockClock

PATIENCE = 5.0  # real seconds to wait for a thread, before time goes on or, with no timer left, it is called a deadlock


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop whose clock is a number: it advances only when nothing can run."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self.now


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """Polls the files and, instead of waiting for them, moves the loop's clock by the time it was to wait."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready or timeout == 0:
            return ready
        if _threads_at_work() and (ready := super().select(PATIENCE)):
            return ready
        if timeout is not None:
            self._loop.now += timeout
            return ready
        if ready := super().select(PATIENCE):
            return ready
        raise RuntimeError(f"deadlock in virtual time: nothing is scheduled, threads: {threading.enumerate()}")


def _threads_at_work() -> bool:
    try:
        return anyio.to_thread.current_default_thread_limiter().borrowed_tokens > 0
    except anyio.NoEventLoopError:  # the loop has no task
        return False


class _ThreadsHoldTheClock(trio.abc.Instrument):
    """Lets trio's clock jump at once, or only after PATIENCE while a thread works."""

    def __init__(self, clock: MockClock) -> None:
        self._clock = clock

    def before_run(self) -> None:
        self._clock._virtual_base = 0.0  # parametrised runs of one test share the clock, and each begins at zero

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        threshold = PATIENCE if trio.to_thread.current_default_thread_limiter().borrowed_tokens else 0.0
        if self._clock.autojump_threshold != threshold:
            self._clock.autojump_threshold = threshold


def asyncio_backend() -> tuple[str, dict[str, Any]]:
    """anyio's backend and options for asyncio in virtual time."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def trio_backend() -> tuple[str, dict[str, Any]]:
    """anyio's backend and options for trio in virtual time, with a clock of its own."""
    clock = MockClock(autojump_threshold=0)
    return "trio", {"clock": clock, "instruments": [_ThreadsHoldTheClock(clock)]}


def in_force(backend_name: str) -> bool:
    """Whether the running event loop keeps virtual time."""
    if backend_name == "trio":
        return isinstance(trio.lowlevel.current_clock(), MockClock)
    return isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
