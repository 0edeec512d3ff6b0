"""How many requests a service is asked: a token bucket that obeys 429, and a breaker for outages.

Both are pure: time and dice are arguments.
"""

from __future__ import annotations

from typing import Final

import attrs

from gemtune.config import WatchPolicy

_LOWEST_RATE: Final = 0.2
_CLEAN: Final = 10.0
"""Seconds without a 429 after which the rate goes up again, by a twentieth of the greatest."""
_LONGEST_HINT: Final = 120.0
_IN_A_ROW: Final = 3
DIFFERENT: Final = 5
"""Of so many jobs the service knows nothing good, or of all, before that is its own fault."""
_FIRST_PROBE: Final = 0.8
_LONGEST_PROBE: Final = 30.0
_HEALTHY: Final = 120.0
"""Seconds of health after which the next outage is probed as eagerly as the first."""


@attrs.define
class Bucket:
    """Tokens for requests: ``max_rps`` a second, at most ``burst`` at once, fewer for a while after a 429."""

    policy: WatchPolicy
    rate: float = attrs.field(init=False)
    throttled: int = attrs.field(default=0, init=False)
    _tokens: float = attrs.field(init=False)
    _at: float | None = attrs.field(default=None, init=False)
    _paused_until: float = attrs.field(default=0.0, init=False)
    _changed: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        """Start full."""
        self.rate, self._tokens = self.policy.max_rps, float(self.policy.burst)

    def wait(self, now: float) -> float:
        """Return the seconds until a request may be made, 0 for at once."""
        self._refill(now)
        missing = (1.0 - self._tokens) / self.rate if self._tokens < 1.0 - 1e-9 else 0.0
        return max(missing, self._paused_until - now, 0.0)

    def take(self, now: float) -> None:
        """Take the token of one request."""
        self._refill(now)
        self._tokens -= 1.0

    def drain(self, now: float) -> None:
        """Leave no token, so that nothing comes in a burst."""
        self._refill(now)
        self._tokens = min(self._tokens, 0.0)

    def throttle(self, now: float, hint: float | None) -> None:
        """Take in a 429: pause as told, and go on at half the rate; one episode counts once."""
        self.throttled += 1
        if now >= self._changed + 1.0 or self.rate == self.policy.max_rps:
            self.rate = max(min(_LOWEST_RATE, self.policy.max_rps), self.rate / 2)
        self._changed = now
        self._paused_until = max(self._paused_until, now + min(hint or 0.0, _LONGEST_HINT))
        self.drain(now)

    def _refill(self, now: float) -> None:
        if self.rate < self.policy.max_rps and now >= max(self._changed, self._paused_until) + _CLEAN:
            self.rate = min(self.policy.max_rps, self.rate + 0.05 * self.policy.max_rps)
            self._changed = now
        passed = 0.0 if self._at is None else max(now - self._at, 0.0)
        self._tokens = min(float(self.policy.burst), self._tokens + passed * self.rate)
        self._at = now


@attrs.define
class Breaker:
    """Whether a service is out; while it is, one request at a time asks whether it is back."""

    opened: bool = attrs.field(default=False, init=False)
    failures: int = attrs.field(default=0, init=False)
    """How many requests failed since the last that did not."""
    probe_at: float = attrs.field(default=0.0, init=False)
    last_success: float = attrs.field(default=-1.0, init=False)
    _failing: set[str] = attrs.field(factory=set, init=False)
    _since: float = attrs.field(default=0.0, init=False)
    _pause: float = attrs.field(default=0.0, init=False)
    _recovered: float = attrs.field(default=-_HEALTHY, init=False)

    def failed(self, now: float, dice: float, about: str, live: int) -> bool:
        """Take in a failure and return whether it begins an outage.

        It does if all of ``live`` jobs fail in a row, or five of them, or one alone three times.

        Args:
            now: When.
            dice: A random number in [0, 1).
            about: The job, or "" for a list.
            live: How many jobs are watched.
        """
        self._count(now)
        self._failing.add(about)
        if (self.failures < _IN_A_ROW or len(self._failing) < min(max(live, 1), DIFFERENT)) and not self.opened:
            return False
        if not self.opened and now - self._recovered > _HEALTHY:
            self._pause = 0.0
        if not self.opened or now >= self.probe_at:
            self._pause = min(max(2 * self._pause, _FIRST_PROBE), _LONGEST_PROBE)
            self.probe_at = now + self._pause * (1 - 0.1 * dice)
        return self._open()

    def refused(self, now: float, pause: float) -> bool:
        """Take in a refusal that only somebody else can mend; return whether it is the first."""
        self._count(now)
        self.probe_at = now + pause
        return self._open()

    def succeeded(self, now: float) -> float | None:
        """Take in an answer; return the seconds of the outage if it ends one."""
        downtime = now - self._since if self.opened else None
        if self.opened:
            self.opened, self._recovered = False, now
        self.failures, self.last_success = 0, now
        self._failing.clear()
        return downtime

    def _count(self, now: float) -> None:
        if not self.failures:
            self._since = now
        self.failures += 1

    def _open(self) -> bool:
        first, self.opened = not self.opened, True
        return first
