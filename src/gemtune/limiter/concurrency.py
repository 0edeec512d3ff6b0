"""How many requests may be in flight: slow start, then careful probing; cuts only where fewer are refused less.

::

    a round              as many replies as the limit
    it has passed        double the limit, up to the highest that is known to hold; from there on one more after 100
                         replies (or 10 rounds, if that is less), then 2, 4, 8 ... more, round by round
    refused too often    of a limit that has just grown: take the growth back. Of one that has held: leave what was not
                         refused, 0.5 to 0.9 of it. What becomes of the rest of the burst tells how many were taken
    a round after that   what was refused in it is known as chance, and growth is measured by it: where fewer are not
                         refused less, the limit is soon back

Whether refusals are too many is for ``refusals`` to say, which see for the theory. The other figures come from a
simulation of a capped service that gives no hints, with caps from 5 to 200 and replies from 20 ms to 4 s: at least 0.9
of its capacity is kept busy, with about 1 % of rejections, which is what one probe in 100 replies costs.

The same limit serves a watcher, in twentieths of its greatest rate (``pace``). Pure: time is an argument.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from gemtune.limiter.refusals import Refusals

_CUT: Final = 0.9
_DEEPEST_CUT: Final = 0.5
# One request too many after so many replies, or rounds where the limit is small: of a service whose capacity stays as
# it is, 1 % are rejected, and a limit of 1 is not stuck for a hundred replies.
_REPLIES_PER_PROBE: Final = 100
_ROUNDS_PER_PROBE: Final = 10
# A round with more refusals than usual, though not yet a surge, is prolonged up to so many replies.
_LONGEST: Final = 200
# A limit that was not nearly reached has not been tested, so a calm round says nothing about a higher one.
_TESTED: Final = 0.8

# How improbable by chance refusals must be (``refusals`` has the table). A limit is tested at each of them, so that in
# a batch of 12,000 rows with 5 % of chance refusals a false surge comes up once in fifty runs, and costs a second.
_SURGE: Final = 1e-4
_SMALL_STEP: Final = 0.1
# A trial waits for what would be 8 refusals: with the same share there are 2 or fewer of them in 1.4 % of the cases.
_EXPECTED: Final = 8.0
_CHANCE: Final = 3
# It costs a tenth of the throughput while it lasts: at most 1 % of all, as it takes at most a tenth of the time.
_BETWEEN_TRIALS: Final = 30.0
_TRIAL_PART: Final = 10.0
# At a few requests a second the answer would take minutes: then it is left open.
_LONGEST_TRIAL: Final = 60.0


@attrs.define(eq=False)
class Round:
    """As many replies as the limit, after which it may grow."""

    answered: int = 0
    peak: int = 0

    def reply(self, in_flight: int) -> None:
        """Count one; ``in_flight`` includes it."""
        self.answered += 1
        self.peak = max(self.peak, in_flight)


@attrs.define(eq=False)
class Growth:
    """The last step up, and the next.

    Args:
        known: The highest limit that is known to hold; infinite before any was refused.
        step: By how many to grow above it.
        since: The limit before the step that is being tried, 0 for none.
    """

    known: float = math.inf
    step: int = 1
    since: float = 0.0

    def next(self, limit: float) -> float:
        """Return the limit after a round that has passed."""
        if limit < self.known:
            return min(limit * 2, self.known)
        grown = limit + self.step
        self.step *= 2
        return grown


@attrs.define(eq=False)
class Burst:
    """What was sent at once and refused in part: no more is left than the service took, unless it took none."""

    cut_to: float = math.inf
    taken: int = 0
    floor: float = 1.0
    unknown: bool = False

    def left(self) -> float:
        """Take in that one more of it was refused; return the limit that is left."""
        self.taken -= 1
        if self.taken < 1:
            return self.cut_to
        return max(self.floor, min(self.cut_to, float(self.taken)))


@attrs.define(eq=False)
class Trial:
    """A lower limit on trial: is less refused there?"""

    back_to: float
    began: float


@attrs.define(eq=False)
class AdaptiveLimit:
    """The adaptive limit of concurrency.

    A cut begins an episode; requests that were sent before it begin no other.

    Args:
        limit: How many requests may be in flight.
        ceiling: The most there may ever be.
        bursts: Whether requests leave in bursts, of which as many are taken as there is room for. A rate has none, and
            after a cut feels its way back step by step.
        lagging: Whether a change reaches those who send a while later, so that what was sent before it teaches nothing.
        surging: Whether a limit that had held was cut, and no round has passed since.
    """

    limit: float
    ceiling: int
    bursts: bool = True
    lagging: bool = False
    cuts: int = attrs.field(default=0, init=False)
    cut_at: float = attrs.field(default=-math.inf, init=False)
    surging: bool = attrs.field(default=False, init=False)
    refusals: Refusals = attrs.field(factory=Refusals, init=False)
    _growth: Growth = attrs.field(factory=Growth, init=False)
    _round: Round = attrs.field(factory=Round, init=False)
    _burst: Burst = attrs.field(factory=Burst, init=False)
    _trial: Trial | None = attrs.field(default=None, init=False)
    _next_trial: float = attrs.field(default=-math.inf, init=False)
    _cut_from: int = attrs.field(default=0, init=False)

    def success(self, number: int, now: float, in_flight: int) -> bool:
        """Count a success; ``in_flight`` includes it. Returns whether the limit changed."""
        if number <= self._cut_from:
            return False  # sent before a cut, it says nothing about the limit after it
        if self.lagging and self.refusals.is_late(number):
            return False  # nor about one that has grown: it would double several times before anybody has used it
        self._round.reply(in_flight)
        if self._trial is not None:
            return self._is_better(self._trial, now)
        if self._round.answered < self._length or (self.refusals.unusual and self._round.answered < _LONGEST):
            return False
        return self._pass(now)

    def trouble(self, number: int, now: float) -> None:
        """Count a failure that does not ask for less: it counts only against a growth, and in a trial."""
        if self.refusals.is_late(number):
            return
        chance = self.refusals.refuse(number, self._round.answered)
        if self._trial is not None:
            self._end_trial(self._trial, now)
        elif self._growth.since and chance < _SURGE:
            self._growth = Growth(known=self._growth.since)
            self._set(self._growth.known)
            self._cut_from = self.refusals.sent

    def push_back(self, number: int, now: float, in_flight: int) -> bool:
        """Count a refusal; returns whether the limit was cut, so that an episode begins.

        Args:
            number: The number of the request.
            now: The time.
            in_flight: How many requests were in flight, this one included.
        """
        if self.refusals.is_late(number):
            if self._burst.cut_to < math.inf:
                self.limit = self._burst.left()
                if self._burst.unknown:
                    self._growth.known = self.limit
            return False
        chance = self.refusals.refuse(number, self._round.answered)
        if self._trial is not None:
            self._end_trial(self._trial, now)
            return False
        if chance >= self._doubt:
            return False
        return self.cut(now, in_flight)

    def retune(self, limit: float, ceiling: int) -> None:
        """Set another limit and ceiling."""
        self.ceiling = ceiling
        self._trial, self.surging = None, False
        self._set(limit)

    @property
    def _length(self) -> float:
        growth = self._growth
        probes = growth.step == 1 and self.limit >= growth.known
        return max(self.limit, min(_REPLIES_PER_PROBE, _ROUNDS_PER_PROBE * self.limit)) if probes else self.limit

    @property
    def _doubt(self) -> float:
        """Below which probability a number of refusals is not taken for chance."""
        if not self._growth.since:
            return _SURGE
        small = self.limit - self._growth.since <= max(1.0, self.limit / 20)
        return _SMALL_STEP if small else _SURGE

    def _pass(self, now: float) -> bool:
        """A round is over without a surge: its refusals are chance, and the limit may grow."""
        self.refusals.calm(self._round.answered)
        self.surging = False
        tested = self._round.peak >= _TESTED * int(self.limit)
        self._growth.since = 0.0
        self._round = Round()
        if not tested:
            return False  # fewer were in flight than allowed: nothing is known about more
        growth = self._growth
        # The ceiling is never surpassed: what holds there is known, although nothing was refused above it.
        growth.known = self.limit if self.limit >= self.ceiling else max(growth.known, self.limit)
        # Where the limit could grow, growth is the better experiment: it costs nothing if it is chance.
        if self.refusals.least_share > 0 and now >= self._next_trial and min(growth.known, self.ceiling) <= self.limit:
            return self._try_less(now)
        if self.limit >= self.ceiling:
            return False
        before = self.limit
        self._set(min(float(self.ceiling), self._growth.next(before)))
        self._growth.since = before
        return True

    def cut(self, now: float, in_flight: int) -> bool:
        """Cut the limit, as what was refused is no chance; returns True, as an episode begins."""
        grown_from, share = self._growth.since, self.refusals.share_here
        if not grown_from:
            # What was known of chance held before something changed; what it is now, the lower limit will show.
            self.surging = True
            self.refusals.forget()
        # Those refused before it were in flight with it, at least at the beginning.
        reached = min(self.limit, float(max(self._round.peak, in_flight + self.refusals.refused - 1)))
        left = _CUT if grown_from else min(_CUT, max(_DEEPEST_CUT, 1 - share))
        cut_to = max(1.0, min(grown_from, reached), reached * left // 1)
        unknown = bool(grown_from) or self._growth.known == math.inf or not self.bursts
        self.cuts += 1
        self.cut_at = now
        self._set(grown_from if grown_from and not self.bursts else cut_to)
        self._cut_from = self.refusals.sent
        if self.bursts:
            self._burst = Burst(cut_to, in_flight, max(1.0, min(grown_from, reached)), unknown)
            self.limit = self._burst.left()
        self._growth = Growth(known=self.limit if unknown else self._growth.known)
        return True

    def _set(self, limit: float) -> None:
        """Change the load: what was counted at another one does not count here."""
        self.limit = limit
        self._growth.since = 0.0
        self._burst = Burst()
        self._round = Round()
        self.refusals.moved()

    def _try_less(self, now: float) -> bool:
        """Go below what the share could mean: the service takes the rest, if it is the load that it refuses."""
        less = max(1.0, min(self.limit - 1, self.limit * min(_CUT, 1 - self.refusals.share) // 1))
        if less >= self.limit:
            return False
        self._trial = Trial(self.limit, now)
        self._set(less)
        self._cut_from = self.refusals.sent
        return True

    def _is_better(self, trial: Trial, now: float) -> bool:
        """Keep the lower limit if so many were answered there that its share of refusals must be lower; whether."""
        if self.refusals.least_share * (self._round.answered + self.refusals.refused) < _EXPECTED:
            self._end_trial(trial, now)
            return self._trial is None
        self._trial = None
        self.cuts += 1
        self.cut_at = now
        self._growth = Growth(known=self.limit)
        answered = self._round.answered
        self.refusals.forget()
        self.refusals.calm(answered)
        self._set(self.limit)
        return self.limit != trial.back_to

    def _end_trial(self, trial: Trial, now: float) -> None:
        """Go back up, for a while, if as many are refused at the lower limit or it takes too long."""
        if self.refusals.refused < _CHANCE and now - trial.began < _LONGEST_TRIAL:
            return
        self._trial = None
        self._next_trial = now + max(_BETWEEN_TRIALS, _TRIAL_PART * (now - trial.began))
        self._set(trial.back_to)
