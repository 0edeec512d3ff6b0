"""How many requests may be in flight: slow start, then careful probing and multiplicative decrease.

Pure: time is an argument. The figures come from a simulation of a capped service that gives no hints, with caps from
5 to 200 and replies from 20 ms to 4 s: at least 0.9 of its capacity is kept busy, with about 1 % of rejections.
"""

from __future__ import annotations

import math

import attrs

_CUT = 0.9
# One request too many after so many replies, or rounds where the limit is small: of a service whose capacity stays as
# it is, 1 % are rejected, and a limit of 1 is not stuck for a hundred replies.
_REPLIES_PER_PROBE = 100
_ROUNDS_PER_PROBE = 10
# A limit that was not nearly reached has not been tested, so a clean round says nothing about a higher one.
_TESTED = 0.8


@attrs.define(eq=False)
class Aimd:
    """The adaptive limit of concurrency.

    A round is as many successes as the limit. A clean round, in which the limit was reached, doubles the limit, up to
    the highest that is known to hold. From there on it is probed: after 100 successes, or 10 rounds, by one request,
    then, while rounds stay clean, by 2, 4, 8 … more.

    A push-back cuts once per episode: requests that were sent before the last cut begin no other. It takes the last
    growth back, or, where a limit is refused that had held, leaves 0.9 of it. Every further rejection of the same
    burst is one request that the service did not take: no more is left than it took, unless it took none.

    Args:
        limit: How many requests may be in flight.
        ceiling: The most there may ever be.
        floor: The least.
    """

    limit: float
    ceiling: int
    floor: float = 1.0
    known: float = attrs.field(default=math.inf, init=False)
    cuts: int = attrs.field(default=0, init=False)
    cut_at: float = attrs.field(default=-math.inf, init=False)
    _step: int = attrs.field(default=1, init=False)
    _grown_from: float = attrs.field(default=0.0, init=False)
    _unknown: bool = attrs.field(default=False, init=False)
    _cut_to: float = attrs.field(default=math.inf, init=False)
    _taken: int = attrs.field(default=0, init=False)
    _successes: int = attrs.field(default=0, init=False)
    _peak: int = attrs.field(default=0, init=False)
    _clean: bool = attrs.field(default=True, init=False)

    def success(self, sent_at: float, in_flight: int) -> bool:
        """Count a success; ``in_flight`` includes it. Returns whether the limit changed.

        One that was sent before the last cut says nothing about the limit of now.
        """
        if sent_at <= self.cut_at:
            return False
        self._successes += 1
        self._peak = max(self._peak, in_flight)
        if self._successes < self._round:
            return False
        held = self._clean and self._peak >= _TESTED * int(self.limit)
        grows = held and self.limit < self.ceiling
        if held:
            self.known = max(self.known, self.limit)
        self._grown_from = self.limit if grows else 0.0
        if grows:
            self.limit = min(float(self.ceiling), self._grown())
        self._new_round()
        return grows

    def trouble(self) -> None:
        """Note a failure that says nothing about the limit: the round is not clean."""
        self._clean = False

    def push_back(self, sent_at: float, now: float, in_flight: int) -> bool:
        """Cut the limit; returns whether the refused request was sent after the last cut, so that an episode begins.

        Args:
            sent_at: When the request was sent.
            now: The time.
            in_flight: How many requests were in flight, this one included.
        """
        self._clean = False
        begins = sent_at > self.cut_at
        if begins:
            self.cuts += 1
            self.cut_at = now
            reached = min(self.limit, float(max(self._peak, in_flight)))
            self._cut_to = max(self.floor, min(self._grown_from, reached), reached * _CUT // 1)
            self._unknown = self.known == math.inf
            if self._grown_from:
                self.known = self._cut_to
            self._taken, self._step, self._grown_from = in_flight, 1, 0.0
            self._new_round()
        self._taken -= 1
        self.limit = min(self._cut_to, float(self._taken)) if self._taken >= self.floor else self._cut_to
        if self._unknown:
            self.known = self.limit
        return begins

    def retune(self, limit: float, ceiling: int) -> None:
        """Set another limit and ceiling."""
        self.limit, self.ceiling = limit, ceiling
        self._grown_from, self._cut_to, self._taken = 0.0, limit, 0
        self._new_round()

    @property
    def _round(self) -> float:
        probes = self._step == 1 and self.limit >= self.known
        return max(self.limit, min(_REPLIES_PER_PROBE, _ROUNDS_PER_PROBE * self.limit)) if probes else self.limit

    def _grown(self) -> float:
        if self.limit < self.known:
            return min(self.limit * 2, self.known)
        grown = self.limit + self._step
        self._step *= 2
        return grown

    def _new_round(self) -> None:
        self._successes, self._peak, self._clean = 0, 0, True
