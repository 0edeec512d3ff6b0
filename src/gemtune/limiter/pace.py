"""How fast a watcher may ask: a rate of its own choice that gives way where the service pushes back.

It is the limit of ``concurrency`` in other units, twentieths of the greatest rate, so that both pillars follow the same
rules: a single 429 concerns the job that met it, a surge of them cuts the rate and makes everybody wait as told, and a
rate that is not refused less after a cut is soon back.

Pure: time is an argument.
"""

from __future__ import annotations

from typing import Final

import attrs

from gemtune.limiter.concurrency import AdaptiveLimit
from gemtune.limiter.rate import Bucket

# A step of a twentieth is small enough to be lost without regret, and twenty of them are soon climbed.
_PARTS: Final = 20
# Requests on their way when the rate was cut come back within so many seconds; they belong to the same episode.
_EPISODE: Final = 1.0


@attrs.define(eq=False, kw_only=True)
class RequestPace:
    """``most`` requests a second, at most ``burst`` at once, fewer while the service refuses more than by chance.

    Args:
        most: The greatest rate, per second.
        burst: Requests that may go at once after a pause.
        longest_hint: The longest pause that the service may ask for.
    """

    most: float
    burst: int
    longest_hint: float = 120.0
    throttled: int = attrs.field(default=0, init=False)
    _bucket: Bucket = attrs.field(init=False)
    _parts: AdaptiveLimit = attrs.field(factory=lambda: AdaptiveLimit(float(_PARTS), _PARTS, bursts=False), init=False)
    _paused_until: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._bucket = Bucket(float(self.burst))

    @property
    def rate(self) -> float:
        """Requests a second, at present."""
        return self.most * self._parts.limit / _PARTS

    def wait(self, now: float) -> float:
        """Return the seconds until a request may be made, 0 for at once."""
        self._refill(now)
        return max(self._bucket.wait(1.0, self.rate, float(self.burst)), self._paused_until - now, 0.0)

    def take(self, now: float) -> None:
        """Take the token of one request."""
        self._refill(now)
        self._bucket.level -= 1.0
        self._parts.refusals.number()

    def drain(self, now: float) -> None:
        """Leave no token, so that nothing comes in a burst."""
        self._refill(now)
        self._bucket.level = min(self._bucket.level, 0.0)

    def answered(self, now: float) -> None:
        """Take in an answer of any kind."""
        self._refill(now)
        self._parts.success(self._parts.refusals.sent, now, _PARTS)

    def throttle(self, now: float, hint: float | None, *, quota: bool = False) -> bool:
        """Take in a 429; return whether it is about all requests, and not only about its own.

        Args:
            now: The time.
            hint: Seconds that the service asks for, if it does.
            quota: Whether it names a quota that all requests share.
        """
        self.throttled += 1
        if now < self._parts.cut_at + _EPISODE:
            surge = True
        elif quota:
            # Whoever names a quota need not be doubted.
            surge = self._parts.cut(now, _PARTS)
        else:
            surge = self._parts.push_back(self._parts.refusals.sent, now, _PARTS)
        if surge:
            self._paused_until = max(self._paused_until, now + min(hint or 0.0, self.longest_hint))
            self.drain(now)
        return surge

    def _refill(self, now: float) -> None:
        self._bucket.fill(now, self.rate, float(self.burst))
