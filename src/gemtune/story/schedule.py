"""When to look at a job again: soon enough for the promise, and no sooner than anything can be new.

The promise is freshness: a snapshot is delivered at most ``freshness`` seconds after it became visible.
While a job waits, looks become rarer; once its pace is known, a look is placed where the last step is due,
and looks that could find nothing new are left out.
"""

from __future__ import annotations

from typing import Final

import attrs

from gemtune.config import WatchPolicy
from gemtune.story.observation import Source

_GROWTH: Final = 1.6
_SKIP_LIMIT: Final = 4
_LONGEST_BACKOFF: Final = 60.0


@attrs.frozen
class Look:
    """What to do next: ask the source in ``after`` seconds."""

    source: Source
    after: float


@attrs.frozen(kw_only=True)
class Pace:
    """What the schedule must know of a job.

    Args:
        snapshots: How many there are in this attempt.
        idle: How many looks in a row brought nothing new.
        remaining: Steps to go; None where the total is unknown.
        per_step: Seconds per step; None while unknown.
        shortest_gap: The shortest of the last gaps between two snapshots, in seconds; None while unknown.
        age: Seconds since the newest snapshot was computed.
        lag: Seconds from the computation of a snapshot until it can be seen.
        failures: How many looks in a row failed.
        hint: Seconds that the server asked to wait, 0 where it did not.
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
    elif pace.remaining == 0:
        interval = min(policy.freshness, policy.terminal_freshness)
    else:
        interval = _skip_ahead(pace, pace.shortest_gap, policy)
    interval *= 1 - policy.jitter * dice
    if pace.remaining and pace.per_step is not None:
        # Be there when it ends; a job that hangs just before its end is not asked every other second.
        interval = min(interval, (pace.remaining * pace.per_step + pace.lag + 1) * patience)
    return max(policy.min_interval, interval)


def _skip_ahead(pace: Pace, shortest_gap: float, policy: WatchPolicy) -> float:
    """Return an interval longer than the freshness where nothing can be new before, else the freshness."""
    earliest = 0.9 * shortest_gap + pace.lag - pace.age
    if pace.idle == 0 and earliest > policy.freshness:
        return min(earliest, policy.freshness * _SKIP_LIMIT)
    return policy.freshness
