"""When nobody may go: a gate, an outage, a spending limit.

A *gate* is closed for everybody until a time that the service named, or for a moment after a push-back. An *outage* has
no such time: park everything, send one probe at a time, ever more rarely, and start slowly afterwards. In a simulation
of 200 workers and 60 s of failure this sends about 210 requests and fails no item, where five attempts each send 8,000
and fail 1,500. A *spending limit* is a gate whose time nobody has documented.

Pure: time and dice are arguments. The watcher uses the same outage with numbers of its own.
"""

from __future__ import annotations

import math
from typing import Final

import attrs


@attrs.define(eq=False)
class Gate:
    """Until when nobody may go.

    Args:
        told: Until when the service asked everybody to wait.
        breath: Until when everybody pauses after a push-back without a time; the next reply ends it.
    """

    told: float = -math.inf
    breath: float = -math.inf

    @property
    def opens_at(self) -> float:
        """When it opens, or has opened."""
        return max(self.told, self.breath)

    def close(self, until: float) -> None:
        """Keep it closed at least so long."""
        self.told = max(self.told, until)

    def pause(self, until: float) -> None:
        """Pause at least so long, unless a reply comes in earlier."""
        self.breath = max(self.breath, until)


@attrs.define(eq=False)
class Outage:
    """Whether the service is out, and when to ask whether it is back.

    Args:
        first: Seconds until the first probe; doubled after each.
        longest: The longest interval between two probes in seconds.
        earliest: From which part of an interval on its probe may be sent, at random.
        latest: Up to which part; below 1, an outage that ends just after a probe is over within ``longest``, slow start
            included.
        healthy: Seconds of health after which the next outage is probed as eagerly as the first.
    """

    first: float = 1.0
    longest: float = 15.0
    earliest: float = 0.5
    latest: float = 0.9
    healthy: float = 0.0
    streak: int = attrs.field(default=0, init=False)
    since: float | None = attrs.field(default=None, init=False)
    count: int = attrs.field(default=0, init=False)
    probes: int = attrs.field(default=0, init=False)
    probing: bool = attrs.field(default=False, init=False)
    ramp: float = attrs.field(default=math.inf, init=False)
    _delay: float = attrs.field(default=0.0, init=False)
    _probe_at: float = attrs.field(default=0.0, init=False)
    _failing_since: float = attrs.field(default=0.0, init=False)
    _ended_at: float = attrs.field(default=-math.inf, init=False)

    @property
    def opened(self) -> bool:
        """Whether the service is taken to be out."""
        return self.since is not None

    @property
    def probe_at(self) -> float:
        """When the next request may go while the service is out: never while a probe is on its way."""
        return math.inf if self.probing else self._probe_at

    def probe_sent(self) -> None:
        """Note that a probe leaves."""
        self.probing = True
        self.probes += 1

    def probe_over(self) -> None:
        """Note that the probe is over in whatever way, cancellation included."""
        self.probing = False

    def failed(self, now: float, dice: float, enough: bool) -> bool:
        """Count one failure in a row.

        Args:
            now: The time.
            dice: A random number in [0, 1).
            enough: Whether that many failures in a row mean that the service is out.

        Returns:
            Whether the outage begins with this failure.
        """
        self._count(now)
        if self.opened or not enough:
            return False
        # A service that is out again soon after it was back is the same outage: it is asked as rarely as before.
        again = now - self._ended_at <= self.healthy
        self._delay = min(self._delay * 2, self.longest) if again else self.first
        self._probe_at = now + self._jittered(dice)
        return self._open(now)

    def forbidden(self, now: float, pause: float) -> bool:
        """Take in a refusal that only somebody else can mend; return whether an outage begins with it."""
        self._count(now)
        self._probe_at = now + pause
        return self._open(now)

    def probe_failed(self, now: float, dice: float, hint: float | None = None) -> None:
        """Wait twice as long before the next probe, and not less than the service asks for."""
        self._delay = min(self.longest, max(self._delay * 2, self.first))
        self._probe_at = now + max(hint or 0.0, self._jittered(dice))

    def put_off(self, until: float) -> None:
        """Send no probe before a time: that the last one failed was not the service's fault."""
        self._probe_at = max(self._probe_at, until)

    def end(self, now: float) -> float | None:
        """Note that the service answers; return the seconds since its first failure if that ends an outage."""
        self.streak = 0
        if not self.opened:
            return None
        self.since, self._ended_at = None, now
        return now - self._failing_since

    def start_slowly(self, limit: float, in_flight: int) -> None:
        """After an outage, begin with a twentieth of the limit, at least 4, and add 1 with each success.

        Args:
            limit: The limit to return to.
            in_flight: Requests of before the outage that are still out; they may never come back.
        """
        # All that was parked would otherwise leave at once, and be the next outage.
        self.ramp = in_flight + max(4.0, limit / 20)

    def alive(self, limit: float) -> bool:
        """Note a reply: the row of failures ends, the slow start continues; returns whether it does."""
        self.streak = 0
        if self.ramp == math.inf:
            return False
        self.ramp = self.ramp + 1 if self.ramp + 1 < limit else math.inf
        return True

    def _count(self, now: float) -> None:
        if not self.streak:
            self._failing_since = now
        self.streak += 1

    def _open(self, now: float) -> bool:
        if self.opened:
            return False
        self.since, self.ramp = now, math.inf
        self.count += 1
        return True

    def _jittered(self, dice: float) -> float:
        return self._delay * (self.earliest + (self.latest - self.earliest) * dice)


SPENDING_WINDOW: Final = 600.0
"""Seconds over which the service adds up what was spent."""
_PAUSE: Final = 60.0


@attrs.define(eq=False)
class Spending:
    """A limit on what is spent in ten minutes: pause until the window must have emptied, and no longer.

    The API documents such limits (https://ai.google.dev/gemini-api/docs/rate-limits, "spend-based") without saying what
    the refusal looks like or when it ends; what still refuses after a whole window is a cap that waiting does not lift.
    """

    _since: float = math.inf
    _closed_at: float = -math.inf
    _opens_at: float = -math.inf
    _pause: float = _PAUSE

    def refused(self, sent_at: float, now: float, hint: float | None) -> float | None:
        """Return until when to pause, or None if a whole window has gone by without an answer.

        Args:
            sent_at: When the refused request was sent; before the last pause began, it teaches nothing.
            now: The time.
            hint: Seconds that the server asks for, if it does.
        """
        if sent_at <= self._closed_at:
            return self._opens_at
        # Since a whole window nothing was spent: no window can be the reason.
        if now >= self._since + SPENDING_WINDOW:
            return None
        if self._since == math.inf:
            self._since, self._pause = now, _PAUSE
        else:
            self._pause *= 2
        self._closed_at = now
        self._opens_at = now + max(hint or 0.0, min(self._pause, self._since + SPENDING_WINDOW - now))
        return self._opens_at

    def answered(self, sent_at: float) -> None:
        """Note an answer: what was sent after the last pause began shows that the window has room again."""
        if sent_at > self._closed_at:
            self._since = math.inf
