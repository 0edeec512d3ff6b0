"""How fast a watcher may ask: a rate of its own choice that gives way when the service pushes back.

Pure: time is an argument.
"""

from __future__ import annotations

import attrs

from gemtune.limiter.rate import Bucket


@attrs.define(eq=False, kw_only=True)
class RequestPace:
    """``most`` requests a second, at most ``burst`` at once, fewer for a while after a 429.

    Args:
        most: The greatest rate, per second.
        burst: Requests that may go at once after a pause.
        least: The lowest rate.
        clean: Seconds without a 429 after which the rate goes up again, by a twentieth of the greatest.
        longest_hint: The longest pause that the service may ask for.
    """

    most: float
    burst: int
    least: float = 0.2
    clean: float = 10.0
    longest_hint: float = 120.0
    rate: float = attrs.field(init=False)
    throttled: int = attrs.field(default=0, init=False)
    _bucket: Bucket = attrs.field(init=False)
    _paused_until: float = attrs.field(default=0.0, init=False)
    _changed: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.rate, self._bucket = self.most, Bucket(float(self.burst))

    def wait(self, now: float) -> float:
        """Return the seconds until a request may be made, 0 for at once."""
        self._refill(now)
        return max(self._bucket.wait(1.0, self.rate, float(self.burst)), self._paused_until - now, 0.0)

    def take(self, now: float) -> None:
        """Take the token of one request."""
        self._refill(now)
        self._bucket.level -= 1.0

    def drain(self, now: float) -> None:
        """Leave no token, so that nothing comes in a burst."""
        self._refill(now)
        self._bucket.level = min(self._bucket.level, 0.0)

    def throttle(self, now: float, hint: float | None) -> None:
        """Take in a 429: pause as told, and continue at half the rate; one episode counts once."""
        self.throttled += 1
        if now >= self._changed + 1.0 or self.rate == self.most:
            self.rate = max(min(self.least, self.most), self.rate / 2)
        self._changed = now
        self._paused_until = max(self._paused_until, now + min(hint or 0.0, self.longest_hint))
        self.drain(now)

    def _refill(self, now: float) -> None:
        if self.rate < self.most and now >= max(self._changed, self._paused_until) + self.clean:
            self.rate = min(self.most, self.rate + 0.05 * self.most)
            self._changed = now
        self._bucket.fill(now, self.rate, float(self.burst))
