"""How fast requests and tokens may go: the user's ceilings, and the rates learned from the service's quota errors.

All meters speak the same three words: when is an amount ready, take it, correct it. Three ideas carry them:

* ``Bucket``: what comes in evenly and is taken in lumps; its owner says the rate, which may change.
* ``Window``: at most so many in *any* 60 s. A bucket alone would allow a full bucket and a minute's worth after it.
* The curve of a learned rate is CUBIC's (RFC 9438): slow near the rate that was refused, quick far beyond it, so that a
  quota that has grown is found within a minute and one that has not is rarely overstepped.

Pure: time is an argument.
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
# How far below the known rate the curve begins: one that the service named deserves more trust than one guessed.
_CAREFUL, _TOLD = 0.15, 0.05
_LEAST_RATE = 0.2
# What has come in at the service during a pause, in seconds of the rate, and may go at once after it.
_SAVED = 1.0
# The least age of a run whose rate is guessed: of the first moments a division would make anything.
_YOUNGEST = 5.0

TOKEN_METERS = frozenset({"tpm", "learned tpm", "leased tpm"})
"""The meters that count input tokens; the others count requests."""


class Meter(Protocol):
    """What the limiter asks of a rate limit."""

    def ready_at(self, now: float, amount: float) -> float:
        """Return when the amount may go; ``now`` or earlier means at once."""

    def take(self, now: float, amount: float) -> None:
        """Let the amount go, into debt if need be."""

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
class Bucket:
    """What has come in and was not taken yet. Taking more than that makes a debt, which comes in first."""

    level: float
    at: float = -math.inf

    def fill(self, now: float, rate: float, size: float) -> None:
        """Let in what has come in since the last time, up to ``size``; the first time the clock only begins."""
        if now > self.at:
            passed = now - self.at if self.at > -math.inf else 0.0
            self.level = min(size, self.level + passed * rate)
            self.at = now

    def wait(self, amount: float, rate: float, size: float) -> float:
        """Return the seconds until the amount is there, or until the bucket is full if the amount is larger."""
        missing = min(amount, size) - self.level
        return missing / rate if missing > _NEAR else 0.0


@attrs.define(eq=False)
class Ceiling:
    """A ceiling per minute set by the user: a bucket of 5 s of quota, and never more than the quota in any 60 s.

    Args:
        per_minute: The quota; changing it takes effect at once.
        span: The seconds in any of which it is not exceeded; longer where what is taken may be sent a moment later.
    """

    per_minute: float
    span: float = MINUTE
    _bucket: Bucket = attrs.field(init=False)
    _window: Window = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._bucket = Bucket(self._size)
        self._window = Window(self.per_minute, self.span)

    @property
    def _size(self) -> float:
        return max(1.0, self.per_minute / MINUTE * BURST)

    def retune(self, per_minute: float) -> None:
        """Set another quota; what was sent in the last minute still counts."""
        self.per_minute = self._window.quota = per_minute
        self._bucket.level = min(self._bucket.level, self._size)

    def ready_at(self, now: float, amount: float) -> float:
        """Return when the amount may go; one larger than the bucket goes when the bucket is full, into debt."""
        rate = self.per_minute / MINUTE
        self._bucket.fill(now, rate, self._size)
        return max(now + self._bucket.wait(amount, rate, self._size), self._window.ready_at(now, amount))

    def room(self, now: float) -> float:
        """Return how much may go now."""
        self._bucket.fill(now, self.per_minute / MINUTE, self._size)
        return max(0.0, min(self._bucket.level, self.per_minute - self._window.count(now)))

    def most_at_once(self, now: float) -> float:  # noqa: ARG002 - a learned rate's depends on the time
        """Return how much there may ever be at once; a larger amount goes when there is so much."""
        return self._size

    def take(self, now: float, amount: float) -> None:
        """Take from the bucket and count in the window."""
        self._bucket.fill(now, self.per_minute / MINUTE, self._size)
        self._bucket.level -= amount
        self._window.take(now, amount)

    def correct(self, taken_at: float, amount: float) -> None:
        """Take more, or give back."""
        self._bucket.level = min(self._size, self._bucket.level - amount)
        self._window.correct(taken_at, amount)


@attrs.define(eq=False)
class LearnedRate:
    """A rate learned from quota errors: near the known rate at first, probing further the longer all goes well.

    The curve is CUBIC's, scaled in time: a little less than the rate when the gate opens (0.95 of one that the service
    named, 0.85 of one that was guessed), all of it 20 s later, then slowly and finally quickly more, until the service
    pushes back again.

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
    _bucket: Bucket = attrs.field(factory=lambda: Bucket(0.0), init=False)

    def __attrs_post_init__(self) -> None:
        """Start with what is saved during the pause, and nothing more."""
        self.learn(self.rate, self.opens_at, told=self.told, closed_at=self.closed_at)

    def learn(self, rate: float, opens_at: float, *, told: bool, closed_at: float) -> None:
        """Begin a new episode: another known rate, a nearly empty bucket, the curve from its start."""
        self.rate, self.opens_at, self.told, self.closed_at = max(rate, _LEAST_RATE), opens_at, told, closed_at
        saved = self.rate * min(_SAVED, max(0.0, opens_at - closed_at))
        self._bucket.level, self._bucket.at = min(self._bucket.level, 0.0) + saved, opens_at

    def rate_at(self, now: float) -> float:
        """Return the rate per second allowed at a time."""
        way = max(0.0, now - self.opens_at) / _PLATEAU - 1
        depth = _PROBING if way > 0 else _TOLD if self.told else _CAREFUL
        return max(_LEAST_RATE, self.rate * (1 + depth * way**3))

    def ready_at(self, now: float, amount: float) -> float:
        """Return when the amount may go."""
        rate = self._fill(now)
        return max(now, self.opens_at) + self._bucket.wait(amount, rate, max(1.0, rate * BURST))

    def room(self, now: float) -> float:
        """Return how much may go now."""
        self._fill(now)
        return max(0.0, self._bucket.level) if now >= self.opens_at else 0.0

    def most_at_once(self, now: float) -> float:
        """Return how much there may ever be at once; a larger amount goes when there is so much."""
        return max(1.0, self.rate_at(now) * BURST)

    def take(self, now: float, amount: float) -> None:
        """Take from the bucket."""
        self._fill(now)
        self._bucket.level -= amount

    def correct(self, taken_at: float, amount: float) -> None:
        """Take more, or give back, unless it was taken before the gate closed."""
        if taken_at >= self.opens_at:
            self._bucket.level -= amount

    def _fill(self, now: float) -> float:
        rate = self.rate_at(now)
        self._bucket.fill(now, rate, max(1.0, rate * BURST))
        return rate


@attrs.define(eq=False)
class Meters:
    """All rate limits of one limiter by their names, and what the service accepted, from which others are learned."""

    by_name: dict[str, Meter] = attrs.field(factory=dict)
    _accepted: Window = attrs.field(factory=lambda: Window(math.inf), init=False)
    _began: float = attrs.field(default=math.inf, init=False)

    def ready_at(self, name: str, now: float, tokens: int) -> float:
        """Return when the meter of that name lets a request of so many tokens go."""
        return self.by_name[name].ready_at(now, tokens if name in TOKEN_METERS else 1)

    def latest(self, now: float, tokens: int) -> float:
        """Return when all of them let it go."""
        at = -math.inf
        for name, meter in self.by_name.items():
            at = max(at, meter.ready_at(now, tokens if name in TOKEN_METERS else 1))
        return at

    def take(self, now: float, tokens: int) -> None:
        """Count a request that leaves."""
        self.begin(now)
        for name, meter in self.by_name.items():
            meter.take(now, tokens if name in TOKEN_METERS else 1)

    def begin(self, now: float) -> None:
        """Note that requests have begun to leave."""
        self._began = min(self._began, now)

    def refund(self, taken_at: float, tokens: int) -> None:
        """Give back what a request had taken: it never left."""
        for name, meter in self.by_name.items():
            meter.correct(taken_at, -(tokens if name in TOKEN_METERS else 1))

    def accepted(self, now: float) -> None:
        """Note that the service accepted a request."""
        self._accepted.take(now, 1)

    def counted(self, taken_at: float, more_tokens: int) -> None:
        """Correct the tokens that were estimated for a request, once the service has counted them."""
        for name, meter in self.by_name.items():
            if name in TOKEN_METERS:
                meter.correct(taken_at, more_tokens)

    def accepted_rate(self, now: float, in_flight: int) -> float:
        """Return the requests per second that the service took in the last minute, those in flight included.

        A run that is 10 s old is divided by 10 s: by a full minute, one refusal in its first seconds would teach a
        sixth of what was being accepted.
        """
        age = min(MINUTE, max(_YOUNGEST, now - self._began))
        return (self._accepted.count(now) + in_flight) / age

    def learn(self, name: str, rate: float, opens_at: float, *, told: bool, now: float) -> None:
        """Take in that the service allows so many a second."""
        known = self.by_name.get(name)
        if isinstance(known, LearnedRate):
            known.learn(rate, opens_at, told=told, closed_at=now)
        else:
            self.by_name[name] = LearnedRate(rate, opens_at, told, now)

    def learned(self, name: str) -> float | None:
        """Return the learned rate of that name per minute, or None."""
        meter = self.by_name.get(name)
        return meter.rate * MINUTE if isinstance(meter, LearnedRate) else None

    def ceiling(self, name: str) -> float:
        """Return the user's ceiling of that name per minute, infinite without one."""
        meter = self.by_name.get(name)
        return meter.per_minute if isinstance(meter, Ceiling) else math.inf

    def set_ceiling(self, name: str, per_minute: float | None) -> None:
        """Set the user's ceiling of that name, or take it away."""
        known = self.by_name.get(name)
        if per_minute is None:
            self.by_name.pop(name, None)
        elif isinstance(known, Ceiling):
            known.retune(per_minute)
        else:
            self.by_name[name] = Ceiling(per_minute)


# Latin text: about four bytes a token.
_FIRST_RATIO = 0.25
_WEIGHT = 0.05
# A single odd reply (cached content, a picture) must not turn the estimate over.
_LEAST, _MOST = 0.01, 4.0


@attrs.define(eq=False)
class TokenEstimate:
    """Input tokens per byte of a request: an exponential average, corrected by each reply's ``usageMetadata``."""

    ratio: float = _FIRST_RATIO
    samples: int = 0

    def tokens(self, nbytes: int) -> int:
        """Return the tokens that a request of so many bytes will probably count, at least 1."""
        return max(1, math.ceil(nbytes * self.ratio))

    def learn(self, estimated: int, ratio: float, counted: int) -> None:
        """Correct the ratio.

        Args:
            estimated: What ``tokens`` returned for the request.
            ratio: The ratio it was estimated with.
            counted: What the service counted.
        """
        if estimated <= 0 or counted <= 0:
            return
        seen = min(_MOST, max(_LEAST, ratio * counted / estimated))
        self.samples += 1
        weight = max(_WEIGHT, 1 / (self.samples + 1))
        self.ratio += weight * (seen - self.ratio)
