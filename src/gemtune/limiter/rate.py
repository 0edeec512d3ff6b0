"""How fast requests and tokens may go: the user's ceilings, and the rates learned from the service's quota errors.

Pure: time is an argument. All meters speak the same three words: when is an amount ready, take it, correct it.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

import attrs

# Seconds of quota that may go at once: a full minute's would send twice the quota in the first minute.
BURST = 5.0
MINUTE = 60.0
DAY = 86400.0
# Against rounding: a level this near to the amount is the amount.
_NEAR = 1e-6
# Time-scaled CUBIC: back at the known rate after 20 s, 15 % above after 40 s, twice after 60 s.
_PLATEAU = 20.0
_PROBING = 0.15
_CAREFUL, _TOLD = 0.15, 0.05
_LEAST_RATE = 0.2
# What has come in at the service during a pause, in seconds of the rate, and may go at once after it.
_SAVED = 1.0


class Meter(Protocol):
    """What the limiter asks of a rate limit."""

    def ready_at(self, now: float, amount: float) -> float:
        """Return when the amount may go; ``now`` or earlier means at once."""

    def take(self, now: float, amount: float) -> None:
        """Let the amount go, also into debt."""

    def correct(self, taken_at: float, amount: float) -> None:
        """Add (or, negative, give back) to what was taken at a time."""


@attrs.define(eq=False)
class Window:
    """At most ``quota`` in any trailing ``span`` seconds, counted in slots of a six-hundredth of it.

    An amount larger than the quota goes when the window is empty.
    """

    quota: float
    span: float = MINUTE
    total: float = attrs.field(default=0.0, init=False)
    _slots: deque[list[float]] = attrs.field(factory=deque, init=False, repr=False)

    @property
    def _width(self) -> float:
        return self.span / 600

    def ready_at(self, now: float, amount: float) -> float:
        """Return when the amount may go."""
        self._forget(now)
        excess = self.total + min(amount, self.quota) - self.quota
        if excess <= _NEAR:
            return now
        for slot, taken in self._slots:
            excess -= taken
            if excess <= _NEAR:
                return (slot + 1) * self._width + self.span + _NEAR
        return now + self.span

    def take(self, now: float, amount: float) -> None:
        """Count the amount."""
        slot = now // self._width
        if self._slots and self._slots[-1][0] >= slot:
            self._slots[-1][1] += amount
        else:
            self._slots.append([slot, amount])
        self.total += amount

    def correct(self, taken_at: float, amount: float) -> None:
        """Add to the slot of that time, or to the oldest one kept."""
        slot = taken_at // self._width
        for entry in reversed(self._slots):
            if entry[0] <= slot:
                entry[1] += amount
                self.total += amount
                return

    def count(self, now: float) -> float:
        """Return what was taken in the trailing span."""
        self._forget(now)
        return self.total

    def _forget(self, now: float) -> None:
        oldest = (now - self.span) / self._width - 1
        while self._slots and self._slots[0][0] <= oldest:
            self.total -= self._slots.popleft()[1]
        if not self._slots:
            self.total = 0.0


@attrs.define(eq=False)
class Ceiling:
    """A ceiling per minute set by the user: a bucket of 5 s of quota, and never more than the quota in any 60 s.

    Args:
        per_minute: The quota; changing it takes effect at once.
    """

    per_minute: float
    _level: float = attrs.field(init=False)
    _at: float = attrs.field(default=-math.inf, init=False)
    _window: Window = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start with a full bucket."""
        self._level = self._size
        self._window = Window(self.per_minute)

    @property
    def _size(self) -> float:
        return max(1.0, self.per_minute / MINUTE * BURST)

    def retune(self, per_minute: float) -> None:
        """Set another quota; what was sent in the last minute still counts."""
        self.per_minute = self._window.quota = per_minute
        self._level = min(self._level, self._size)

    def ready_at(self, now: float, amount: float) -> float:
        """Return when the amount may go; one larger than the bucket goes when the bucket is full, into debt."""
        self._fill(now)
        missing = min(amount, self._size) - self._level
        at = now if missing <= _NEAR else now + missing * MINUTE / self.per_minute
        return max(at, self._window.ready_at(now, amount))

    def take(self, now: float, amount: float) -> None:
        """Take from the bucket and count in the window."""
        self._fill(now)
        self._level -= amount
        self._window.take(now, amount)

    def correct(self, taken_at: float, amount: float) -> None:
        """Take more, or give back."""
        self._level = min(self._size, self._level - amount)
        self._window.correct(taken_at, amount)

    def _fill(self, now: float) -> None:
        if now > self._at:
            # The first time, _at is minus infinity and the bucket full.
            self._level = min(self._size, self._level + (now - self._at) * self.per_minute / MINUTE)
            self._at = now


@attrs.define(eq=False)
class LearnedRate:
    """A rate learned from quota errors: near the known rate at first, probing further the longer all goes well.

    The curve is CUBIC's, scaled in time (RFC 9438 has the original): a little less than the rate when the gate opens
    (0.95 of one that the service told, 0.85 of one that was guessed), all of it 20 s later, then slowly and finally
    quickly more, until the service pushes back again.

    Args:
        rate: What the service allows per second, as far as is known.
        opens_at: When the gate opens, from where the curve counts.
        told: Whether the service named the rate.
        closed_at: When the gate closed.
    """

    rate: float
    opens_at: float
    told: bool = False
    closed_at: float = math.inf
    episodes: int = attrs.field(default=1, init=False)
    _level: float = attrs.field(default=0.0, init=False)
    _at: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start with what is saved during the pause, and nothing more."""
        self.learn(self.rate, self.opens_at, told=self.told, closed_at=self.closed_at)
        self.episodes = 1

    def learn(self, rate: float, opens_at: float, *, told: bool, closed_at: float) -> None:
        """Begin a new episode: another known rate, a nearly empty bucket, the curve from its start."""
        self.rate, self.opens_at, self.told, self.closed_at = max(rate, _LEAST_RATE), opens_at, told, closed_at
        saved = self.rate * min(_SAVED, max(0.0, opens_at - closed_at))
        self._level, self._at = min(self._level, 0.0) + saved, opens_at
        self.episodes += 1

    def rate_at(self, now: float) -> float:
        """Return the rate per second allowed at a time."""
        way = max(0.0, now - self.opens_at) / _PLATEAU - 1
        depth = _PROBING if way > 0 else _TOLD if self.told else _CAREFUL
        return max(_LEAST_RATE, self.rate * (1 + depth * way**3))

    def ready_at(self, now: float, amount: float) -> float:
        """Return when the amount may go."""
        self._fill(now)
        rate = self.rate_at(now)
        missing = min(amount, max(1.0, rate * BURST)) - self._level
        return max(now, self.opens_at) + (missing / rate if missing > _NEAR else 0.0)

    def take(self, now: float, amount: float) -> None:
        """Take from the bucket."""
        self._fill(now)
        self._level -= amount

    def correct(self, taken_at: float, amount: float) -> None:
        """Take more, or give back, unless it was taken before the gate closed."""
        if taken_at >= self.opens_at:
            self._level -= amount

    def _fill(self, now: float) -> None:
        if now > self._at:
            rate = self.rate_at(now)
            self._level = min(max(1.0, rate * BURST), self._level + (now - self._at) * rate)
            self._at = now
