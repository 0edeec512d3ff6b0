"""How many requests may be in flight: slow start, then additive increase and multiplicative decrease.

Pure: time is an argument.  The figures come from a simulation of a capped service that gives no hints: a cut to 0.9
and a growth of 5 % keep 0.93 of its capacity busy with 2 % of rejections, where halving keeps 0.7 busy.
"""

from __future__ import annotations

import math

import attrs

__all__ = ["Aimd"]

_CUT = 0.9
_GROWTH = 1.05
# Where a round takes long, so would the way back: grow faster.
_FAST_GROWTH = 1.10
_LONG_ROUND = 15.0
# A limit that was not nearly reached has not been tested, so a clean round says nothing about a higher one.
_TESTED = 0.8


@attrs.define(eq=False)
class Aimd:
    """The adaptive limit of concurrency.

    A round is as many successes as the limit.  A clean round, in which the limit was reached, doubles the limit until
    the service has pushed back once, and adds 5 % from then on.  A push-back cuts it to 0.9, once per episode: requests
    that were sent before the last cut cut no further.

    Args:
        limit: How many requests may be in flight.
        ceiling: The most there may ever be.
        floor: The least.
    """

    limit: float
    ceiling: int
    floor: float = 1.0
    slow_start: bool = attrs.field(default=True, init=False)
    cuts: int = attrs.field(default=0, init=False)
    cut_at: float = attrs.field(default=-math.inf, init=False)
    _successes: int = attrs.field(default=0, init=False)
    _latency: float = attrs.field(default=0.0, init=False)
    _peak: int = attrs.field(default=0, init=False)
    _clean: bool = attrs.field(default=True, init=False)

    def success(self, in_flight: int, latency: float) -> bool:
        """Count a success; ``in_flight`` includes it.  Returns whether the limit changed."""
        self._successes += 1
        self._latency += latency
        self._peak = max(self._peak, in_flight)
        if self._successes < self.limit:
            return False
        grows = self._clean and self._peak >= _TESTED * int(self.limit) and self.limit < self.ceiling
        if grows:
            self.limit = min(float(self.ceiling), self._grown())
        self._new_round()
        return grows

    def trouble(self) -> None:
        """Note a failure that says nothing about the limit: the round is not clean."""
        self._clean = False

    def push_back(self, sent_at: float, now: float, in_flight: int) -> bool:
        """Cut the limit, if the refused request was sent after the last cut; returns whether it was.

        Args:
            sent_at: When the request was sent.
            now: The time.
            in_flight: How many requests were in flight, this one included.
        """
        self._clean = False
        if sent_at <= self.cut_at:
            return False
        reached = min(self.limit, float(max(self._peak, in_flight)))
        self.limit = max(self.floor, reached * _CUT)
        self.slow_start = False
        self.cut_at = now
        self.cuts += 1
        self._new_round()
        return True

    def retune(self, limit: float, ceiling: int) -> None:
        """Set another limit and ceiling."""
        self.limit, self.ceiling = limit, ceiling
        self._new_round()

    def _grown(self) -> float:
        if self.slow_start:
            return self.limit * 2
        factor = _FAST_GROWTH if self._latency > _LONG_ROUND * self._successes else _GROWTH
        return max(self.limit * factor, self.limit + 1)

    def _new_round(self) -> None:
        self._successes, self._latency, self._peak, self._clean = 0, 0.0, 0, True
