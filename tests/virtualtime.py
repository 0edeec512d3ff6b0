"""Virtual time: a test that sleeps for hours takes milliseconds, on asyncio and on trio alike.

Ask for the fixture ``virtual_time`` (conftest.py). Time starts at zero, stands still while any task can run,
and jumps to the next deadline when all of them wait: the same in every run. On trio this is
``MockClock(autojump_threshold=0)``, on asyncio the event loop below. ``time.monotonic`` and ``time.time`` are
not touched: code under test takes its time from the event loop (``anyio.current_time``) or as an argument.

Hazard: a loop that waits for a socket or a worker thread also looks idle. Time then jumps to the nearest
deadline while the thread works, so that a time-out around it fires at once. Use virtual time with in-memory
transports only; real sockets and threads are tested in real time.
"""

import asyncio
import selectors
import threading
from typing import Any

import trio
from trio.testing import MockClock

PATIENCE = 5.0  # real seconds to wait for a thread when no timer is left, before calling it a deadlock


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
        if timeout is not None:
            self._loop.now += timeout
            return ready
        if ready := super().select(PATIENCE):
            return ready
        raise RuntimeError(f"deadlock in virtual time: nothing is scheduled, threads: {threading.enumerate()}")


def asyncio_backend() -> tuple[str, dict[str, Any]]:
    """anyio's backend and options for asyncio in virtual time."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def trio_backend() -> tuple[str, dict[str, Any]]:
    """anyio's backend and options for trio in virtual time, with a clock of its own."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


def in_force(backend_name: str) -> bool:
    """Whether the running event loop keeps virtual time."""
    if backend_name == "trio":
        return isinstance(trio.lowlevel.current_clock(), MockClock)
    return isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
