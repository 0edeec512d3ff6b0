"""When to look at a job again: soon enough for the promise, and no sooner than anything can be new.

The promise is freshness: a snapshot is delivered at most ``freshness`` seconds (F) after it became visible.

====================================  ========================================================================
the job                               the next look, less up to ``jitter`` of it
====================================  ========================================================================
has no snapshot                       F/2, growing by 1.6 with each look that brings nothing, up to
                                      ``queued_interval``: jobs may wait for hours
has one snapshot                      F/2, growing likewise, up to F
has a pace                            F; if the last look brought something and the next step cannot come
                                      sooner, when it can, up to 4 F
has done its last step                ``terminal_freshness``
ends soon, by its pace                when it does; a job that hangs just before its end is not asked every
                                      other second, because this grows by 1.6 too
could not be looked at                1 to 2 s, 2 to 4 ... 30 to 60 s, or what the server asks for
====================================  ========================================================================

None comes sooner than ``min_interval``. Looks that confirm an end or a missing model do not wait for the schedule: they
have their own time (``Rhythm.again``).
"""

from __future__ import annotations

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
_LONGEST_BACKOFF: Final = 60.0
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
        age: Seconds since the newest snapshot was computed.
        lag: Seconds from the computation of a snapshot until it can be seen.
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
    failures: int = 0
    hint: float = 0.0


@attrs.define
class Rhythm:
    """What the looks at a job have been like so far, as far as the next one depends on it."""

    # How many there were, failed ones included.
    looks: int = 0
    # When the first was, by the monotonic clock.
    first: float | None = None
    # How many in a row brought nothing new.
    idle: int = 0
    # In how many seconds a look must confirm something, whatever the schedule says.
    again: float | None = None
    # Whether the last look only found that there is no work to look at.
    blank: bool = False
    _lag: float | None = None

    @property
    def lag(self) -> float:
        """The shortest time from the computation of a snapshot until it was seen; it is the service's, not ours."""
        return self._lag or 0.0

    @property
    def pressing(self) -> bool:
        """Whether the next look confirms something, so that it must not wait its turn with other jobs."""
        return self.again is not None

    @property
    def at_once(self) -> bool:
        """Whether there was no look yet that could show anything of the job."""
        return self.first is None or self.blank

    def looked(self, now: Moment, *, blank: bool = False) -> None:
        """Count a look, whatever came of it."""
        self.looks += 1
        self.again, self.blank = None, blank
        if self.first is None:
            self.first = now.clock

    def brought(self, *, news: bool) -> None:
        """Count what a look at the snapshots brought."""
        self.idle = 0 if news else self.idle + 1

    def lagged(self, seconds: float) -> None:
        """Take in how old a snapshot was when it was first seen."""
        longest = _LONGEST_LAG if self._lag is None else self._lag
        self._lag = min(max(seconds, 0.0), longest)


def backoff(failures: int, dice: float) -> float:
    """Return the seconds to wait after ``failures`` failed looks: 1 to 2, 2 to 4 ... 30 to 60."""
    return min(_LONGEST_BACKOFF, 2.0 ** min(failures, 6)) * (0.5 + 0.5 * dice)


def next_due(pace: Pace, policy: WatchPolicy, dice: float) -> float:
    """Return in how many seconds to look again.

    Args:
        pace: Where the job stands.
        policy: How often the caller wants to look.
        dice: A random number in [0, 1).
    """
    if pace.failures:
        return max(pace.hint, policy.min_interval, backoff(pace.failures, dice))
    patience = _GROWTH ** min(pace.idle, 20)
    if pace.snapshots == 0:
        interval = min(policy.queued_interval, policy.freshness / 2 * patience)
    elif pace.shortest_gap is None:
        interval = min(policy.freshness, policy.freshness / 2 * patience)
    elif pace.remaining == 0:  # all steps are there; what comes next is the end
        interval = min(policy.freshness, policy.terminal_freshness)
    else:
        interval = _skip_ahead(pace, pace.shortest_gap, policy)
    interval *= 1 - policy.jitter * dice
    # Be there when it ends: nobody wants to learn of a finished model a quarter of a minute later.
    if pace.remaining and pace.per_step is not None:
        interval = min(interval, (pace.remaining * pace.per_step + pace.lag + 1) * patience)
    return max(policy.min_interval, interval)


def _skip_ahead(pace: Pace, shortest_gap: float, policy: WatchPolicy) -> float:
    """Return an interval longer than the freshness if nothing can be new before, else the freshness."""
    # A tenth is left for a step that is quicker than all of the last ones.
    earliest = 0.9 * shortest_gap + pace.lag - pace.age
    if pace.idle == 0 and earliest > policy.freshness:
        return min(earliest, policy.freshness * _SKIP_LIMIT)
    return policy.freshness
