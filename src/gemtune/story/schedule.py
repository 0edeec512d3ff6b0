"""When to look at a job again: soon enough for the promise, and no sooner than anything can be new.

The promise is freshness: a snapshot is delivered at most ``freshness`` seconds (F) after it became visible. That is for
many jobs. A few are looked at as often as the requests allow, because somebody may sit and watch: with n jobs that is
every q = n / (3/4 of ``max_rps``) seconds, 2 s for up to six of them, and F for 45 and more.

====================================  ========================================================================
the job                               the next look, less up to ``jitter`` of it
====================================  ========================================================================
has no snapshot                       q, or a 20th of the time that it has been silent, up to
                                      ``queued_interval``: jobs may wait for hours
has snapshots                         likewise, up to F; if the next step cannot come sooner, when it can
has done its last step                likewise, up to ``terminal_freshness``
ends soon, by its pace                when it does; a job that hangs just before its end is not asked every
                                      other second, because this grows by 1.6 with each look in vain
could not be looked at                1 s, then 1.5 s: is it an outage? Then 4 to 8 ... 30 to 60 s, or what the
                                      server asks for
====================================  ========================================================================

None comes sooner than ``min_interval``. Looks that confirm an end or a missing model do not wait for the schedule: they
have their own time (``Rhythm.again``).

When the next step can come follows from the service's times, and its clock may be ahead of ours, behind, or of another
speed. Hence three precautions: the age of a snapshot counts from the youngest that was ever seen, so that a constant
difference cancels out; seconds of the service are taken for no longer than they were by our clock; and whatever comes
of it, F stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from statistics import median
from typing import Final

import attrs

from gemtune.config import WatchPolicy
from gemtune.story.observation import Moment, Source

# The snapshots that the pace is taken from, and one more than the gaps between them.
WINDOW: Final = 17
_GROWTH: Final = 1.6
_SKIP_LIMIT: Final = 4
# The part of the requests that is spent on looks; the rest is for ends, sweeps and what must be asked twice.
_SPENT: Final = 0.75
# A job that has been silent for longer than a step takes is given this part of the excess before the next look.
_PATIENCE: Final = 0.05
_LONGEST_BACKOFF: Final = 60.0
# Seconds after the first failed looks; the third tells an outage from a mishap.
_RECHECKS: Final = (1.0, 1.5)
_LONGEST_LAG: Final = 60.0


@attrs.frozen
class Look:
    """What to do next: ask the source in ``after`` seconds."""

    source: Source
    after: float


@attrs.frozen
class Pulse:
    """The pace of the last snapshots, in seconds of the server's clock."""

    per_step: float
    shortest: float

    @classmethod
    def of(cls, snapshots: Iterable[tuple[int, int]]) -> Pulse | None:
        """Return the pace of some steps with their computeTimes in ns; None if there is no gap between two."""
        points = sorted((step, time) for step, time in snapshots if time)
        gaps = [
            (later[0] - step, (later[1] - time) / 1e9) for (step, time), later in pairwise(points) if later[1] > time
        ]
        if not gaps:
            return None
        # The median, because a job that stood still for a while has not become slower.
        return cls(median(gap / steps for steps, gap in gaps), min(gap for _, gap in gaps))


@attrs.frozen(kw_only=True)
class Pace:
    """What the schedule must know of a job.

    Args:
        snapshots: How many there are in this attempt.
        idle: How many looks in a row brought nothing new.
        remaining: Steps to go; None while the total is unknown.
        per_step: Seconds per step; None while unknown.
        shortest_gap: The shortest of the last gaps between two snapshots, in seconds; None while unknown.
        age: Seconds since the newest snapshot was computed; negative if the server's clock is ahead.
        lag: Seconds from the computation of a snapshot until it can be seen; negative likewise.
        silence: Seconds since a look last brought something, by our clock.
        share: Seconds between two looks at each of the jobs that the allowed requests can buy.
        failures: How many looks in a row failed.
        hint: Seconds that the server asked to wait, 0 if it did not.
    """

    snapshots: int = 0
    idle: int = 0
    remaining: int | None = None
    per_step: float | None = None
    shortest_gap: float | None = None
    age: float = 0.0
    lag: float = 0.0
    silence: float = 0.0
    share: float = 0.0
    failures: int = 0
    hint: float = 0.0


@attrs.define
class Rhythm:
    """What the looks at a job have been like so far, as far as the next one depends on it."""

    # How many there were, failed ones included.
    looks: int = 0
    # When the last was.
    last: Moment | None = None
    # When the first was, by the monotonic clock.
    first: float | None = None
    # How many in a row brought nothing new.
    idle: int = 0
    # In how many seconds a look must confirm something, whatever the schedule says.
    again: float | None = None
    # Whether the last look only found that there is no work to look at.
    blank: bool = False
    # When one last brought something new, by the monotonic clock.
    news: float | None = None
    # The shortest time from the computation of a snapshot until it was seen; it is the service's, not ours.
    lag: float | None = None
    # The first newest snapshot: when it was seen by our clock, and when (ns) it was computed by the server's.
    _since: tuple[float, int] | None = None
    # Seconds of ours in a second of the server's, at most 1; 0 as long as that is unknown.
    speed: float = 0.0
    # When the last look at the job itself was, by the monotonic clock.
    job_at: float = -math.inf

    @property
    def pressing(self) -> bool:
        """Whether the next look confirms something, so that it must not wait its turn with other jobs."""
        return self.again is not None

    @property
    def at_once(self) -> bool:
        """Whether there was no look yet that could show anything of the job."""
        return self.first is None or self.blank

    def looked(self, now: Moment, source: Source, *, blank: bool = False) -> None:
        """Count a look, whatever came of it."""
        self.looks += 1
        self.last = now
        if source is Source.JOB:
            self.job_at = now.clock
        self.again, self.blank = None, blank
        if self.first is None:
            self.first = now.clock

    def brought(self, now: Moment, *, news: bool) -> None:
        """Count what a look at the snapshots brought."""
        self.idle = 0 if news else self.idle + 1
        if news:
            self.news = now.clock

    def lagged(self, now: Moment, newest: int) -> None:
        """Take in when (ns) a snapshot was computed that was first seen now."""
        self.lag = min(now.since(newest), _LONGEST_LAG if self.lag is None else self.lag)
        if self._since is None:
            self._since = now.clock, newest
        elif newest > self._since[1]:
            self.speed = min((now.clock - self._since[0]) / ((newest - self._since[1]) / 1e9), 1.0)


def backoff(failures: int, dice: float) -> float:
    """Return the seconds to wait after ``failures`` failed looks: 1 to 2, 2 to 4 ... 30 to 60."""
    return min(_LONGEST_BACKOFF, 2.0 ** min(failures, 6)) * (0.5 + 0.5 * dice)


def age(now: Moment, born: Moment | None, created: int, rhythm: Rhythm) -> float:
    """Return how many seconds a job has existed at least; infinite if only its name is known."""
    if born is not None:
        return now.clock - born.clock
    if not created:
        return math.inf
    return max(now.since(created), now.clock - rhythm.first if rhythm.first is not None else 0.0)


def recheck(failures: int, dice: float) -> float:
    """Return the seconds to wait after ``failures`` failed looks that may be the beginning of an outage."""
    if failures <= len(_RECHECKS):
        return _RECHECKS[failures - 1] * (0.75 + 0.25 * dice)
    return backoff(failures, dice)


def affordable(jobs: int, rate: float) -> float:
    """Return the seconds between two looks at each of some jobs that ``rate`` requests a second can buy."""
    return jobs / (_SPENT * rate)


def next_due(pace: Pace, policy: WatchPolicy, dice: float) -> float:
    """Return in how many seconds to look again.

    Args:
        pace: Where the job stands.
        policy: How often the caller wants to look.
        dice: A random number in [0, 1).
    """
    if pace.failures:
        return max(pace.hint, policy.min_interval, backoff(pace.failures, dice))
    overdue = max(pace.silence - (pace.shortest_gap or 0.0), 0.0)
    interval = max(policy.min_interval, pace.share, overdue * _PATIENCE)
    if pace.snapshots == 0:
        interval = min(policy.queued_interval, interval)
    elif pace.remaining == 0:  # all steps are there; what comes next is the end
        interval = min(policy.freshness, policy.terminal_freshness, interval)
    else:
        interval = min(policy.freshness, interval)
        if pace.shortest_gap is not None:
            interval = max(interval, _skip_ahead(pace, pace.shortest_gap, policy))
    interval *= 1 - policy.jitter * dice
    # Be there when it ends: nobody wants to learn of a finished model a quarter of a minute later.
    if pace.remaining and pace.per_step is not None:
        ready = pace.remaining * pace.per_step + max(pace.lag, 0.0) + 1
        interval = min(interval, ready * _GROWTH ** min(pace.idle, 20))
    return max(policy.min_interval, interval)


def turn(due: float, after: float, rhythm: Rhythm, remaining: int | None, policy: WatchPolicy) -> Source:
    """Return whose turn it is of a job and its work, where only the one says the state and only the other the steps.

    The steps have most of the looks. The job has one every ``terminal_freshness``, and every other one if there are few
    looks, or if all steps are done and only the end is awaited.
    """
    every = max(policy.terminal_freshness if remaining != 0 else 0.0, 1.5 * after)
    return Source.JOB if due - rhythm.job_at >= every else Source.WORK


def _skip_ahead(pace: Pace, shortest_gap: float, policy: WatchPolicy) -> float:
    """Return the seconds until something can be new, as far as they may be believed."""
    # A tenth is left for a step that is quicker than all of the last ones.
    earliest = 0.9 * shortest_gap + pace.lag - pace.age
    # Where the requests do not buy the freshness in any case, none is wasted on a job of slow steps.
    return min(earliest, max(policy.freshness, min(pace.share, policy.freshness * _SKIP_LIMIT)))
