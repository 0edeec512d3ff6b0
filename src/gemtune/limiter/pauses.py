"""What to do while nothing comes back: park everything, probe alone, start slowly afterwards.

Pure: time and dice are arguments. In a simulation of 200 workers and 60 s of failure this sends about 210 requests and
fails no item, where five attempts each send 8,000 and fail 1,500.
"""

from __future__ import annotations

import math

import attrs


@attrs.define(eq=False)
class Outage:
    """Whether the service is out, and when to ask whether it is back.

    Args:
        first: Seconds until the first probe; doubled after each.
        longest: The longest interval between two probes in seconds.
    """

    first: float = 1.0
    longest: float = 15.0
    streak: int = attrs.field(default=0, init=False)
    since: float | None = attrs.field(default=None, init=False)
    count: int = attrs.field(default=0, init=False)
    probes: int = attrs.field(default=0, init=False)
    probing: bool = attrs.field(default=False, init=False)
    ramp: float = attrs.field(default=math.inf, init=False)
    _delay: float = attrs.field(default=0.0, init=False)
    _probe_at: float = attrs.field(default=0.0, init=False)

    @property
    def open(self) -> bool:
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
        """Note that the probe is over in whatever way, also by cancellation."""
        self.probing = False

    def failed(self, now: float, dice: float, threshold: int) -> bool:
        """Count one failure in a row.

        Args:
            now: The time.
            dice: A random number in [0, 1).
            threshold: After how many failures in a row the service is taken to be out.

        Returns:
            Whether the outage begins with this failure.
        """
        self.streak += 1
        if self.open or self.streak < threshold:
            return False
        self.since, self._delay, self.ramp = now, self.first, math.inf
        self.count += 1
        self._probe_at = now + self._jittered(dice)
        return True

    def probe_failed(self, now: float, dice: float, hint: float | None) -> None:
        """Wait twice as long before the next probe, and not less than the service asks for."""
        self._delay = min(self.longest, self._delay * 2)
        self._probe_at = now + max(hint or 0.0, self._jittered(dice))

    def probe_succeeded(self, limit: float, in_flight: int) -> None:
        """End the outage: begin with a twentieth of the limit, at least 4, and add 1 with each success.

        Args:
            limit: The limit to return to.
            in_flight: Requests of before the outage that are still out; they may never come back.
        """
        self.since = None
        self.ramp = in_flight + max(4.0, limit / 20)

    def alive(self, limit: float) -> bool:
        """Note a reply: the row of failures ends, the slow start goes on; returns whether it does."""
        self.streak = 0
        if self.ramp == math.inf:
            return False
        self.ramp = self.ramp + 1 if self.ramp + 1 < limit else math.inf
        return True

    def _jittered(self, dice: float) -> float:
        # Never quite the longest: an outage that ends just after a probe is over within 15 s, slow start included.
        return self._delay * (0.5 + 0.4 * dice)
