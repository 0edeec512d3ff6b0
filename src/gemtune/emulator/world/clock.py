"""The emulator's own time: real, scaled, or moved by a test. It never goes back."""

from __future__ import annotations

import threading
import time
from typing import Protocol, runtime_checkable

import anyio
import anyio.from_thread
import anyio.lowlevel
import attrs

SECOND = 1_000_000_000
LATEST = 253_402_300_799 * SECOND  # the end of the year 9999, the last one that a timestamp can say
_STEPPED_START = 1_710_429_062_714_285_000  # an instant with microseconds, as the service's own create times have


def nanoseconds(seconds: float) -> int:
    """Return a duration in whole nanoseconds."""
    return round(seconds * SECOND)


@runtime_checkable
class Clock(Protocol):
    """What the emulator asks of a clock."""

    def now(self) -> int:
        """Return nanoseconds since 1970-01-01T00:00:00Z; never less than before."""

    async def sleep(self, seconds: float) -> None:
        """Wait until this many seconds of the clock's own time have passed."""


@attrs.define
class ScaledClock:
    """Real time, ``factor`` times as fast, from the moment it was made."""

    factor: float = 1.0
    _origin: int = attrs.field(factory=time.time_ns, repr=False)
    _started: int = attrs.field(factory=time.monotonic_ns, repr=False)

    def __attrs_post_init__(self) -> None:
        if not self.factor > 0:
            raise ValueError(f"the clock's factor must be greater than 0, not {self.factor}")

    def now(self) -> int:
        return self._origin + int((time.monotonic_ns() - self._started) * self.factor)

    def not_before(self, instant: int) -> None:
        """Continue from a later instant, if that is later than now."""
        self._origin += max(0, instant - self.now())

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds / self.factor)


@attrs.define
class RealClock(ScaledClock):
    """Real time."""

    factor: float = attrs.field(default=1.0, init=False, repr=False)


@attrs.define(repr=False)
class SteppedClock:
    """Time that stands still until ``advance`` is called, from any thread."""

    _now: int = _STEPPED_START
    _sleepers: list[tuple[int, anyio.Event, anyio.lowlevel.EventLoopToken]] = attrs.field(
        factory=list, init=False, repr=False
    )
    _lock: threading.Lock = attrs.field(default=attrs.Factory(threading.Lock), init=False, repr=False)

    def __repr__(self) -> str:
        return f"SteppedClock({self._now / SECOND:.6f})"

    def now(self) -> int:
        return self._now

    def not_before(self, instant: int) -> None:
        """Continue from a later instant, if that is later than now."""
        self._now = max(self._now, instant)

    def advance(self, seconds: float) -> int:
        """Move the time forward and wake whoever waits for it.

        Args:
            seconds: how far, at least 0.

        Returns:
            The new time in nanoseconds since 1970.
        """
        if not seconds >= 0:
            raise ValueError(f"a clock cannot go back: advance({seconds})")
        if seconds > (LATEST - self._now) / SECOND:
            raise ValueError(f"the clock would go beyond the year 9999: advance({seconds})")
        # Under one lock: a sleeper that registers meanwhile is either woken now or sees the new time.
        with self._lock:
            self._now += nanoseconds(seconds)
            due = [sleeper for sleeper in self._sleepers if sleeper[0] <= self._now]
            self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self._now]
        # A test may advance the clock from its own thread while the emulator sleeps in another: each sleeper is woken
        # on the loop it sleeps on.
        here = _event_loop()
        for _, event, home in due:
            if home == here:
                event.set()
            else:
                anyio.from_thread.run_sync(event.set, token=home)
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        event = anyio.Event()
        home = anyio.lowlevel.current_token()
        with self._lock:
            sleeper = (self._now + nanoseconds(seconds), event, home)
            self._sleepers.append(sleeper)
        try:
            await event.wait()
        finally:
            with self._lock:
                if sleeper in self._sleepers:
                    self._sleepers.remove(sleeper)


def _event_loop() -> anyio.lowlevel.EventLoopToken | None:
    try:
        return anyio.lowlevel.current_token()
    except anyio.NoEventLoopError:
        return None


def make_clock(spec: str | Clock) -> Clock:
    """Return a clock from ``"real"``, ``"scaled:N"`` or ``"stepped"``; a clock is returned as it is."""
    if not isinstance(spec, str):
        return spec
    match spec.partition(":"):
        case "real", "", "":
            return RealClock()
        case "stepped", "", "":
            return SteppedClock()
        case "scaled", ":", factor:
            try:
                return ScaledClock(float(factor))
            except ValueError as error:
                raise ValueError(f"the clock's factor must be a number greater than 0: {spec!r}") from error
    raise ValueError(f"unknown clock {spec!r}: choose 'real', 'scaled:N' or 'stepped'")
