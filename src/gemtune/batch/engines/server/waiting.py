"""When to ask the service again: pure functions of time, dice, and what was answered.

==============================  ============================================================================
a batch that runs               a 20th of its age, from 2 s to 60 s; and never more than 2 looks a second at all
                                batches of the run together, however many there are
no room for another batch       (429) 30 s, doubled each time up to 10 minutes, or what the service asks for; the
                                end of a batch of ours ends the wait, because it makes room
anything else that passes       5 s, doubled each time up to 5 minutes, for as long as the run may last: an outage
                                costs time and no item
==============================  ============================================================================

What waiting does not help ends the run: a credential, a model that does not exist, a quota per day, billing.
"""

from __future__ import annotations

from typing import Final

from gemtune.errors import CallError, QuotaExhausted
from gemtune.limiter.ruling import Signal, signal_of

_SHORTEST: Final = 2.0
_LONGEST: Final = 60.0
_PART: Final = 20.0
_LOOKS_PER_SECOND: Final = 2.0
_ROOM: Final = (30.0, 600.0)
_TROUBLE: Final = (5.0, 300.0)
_LONGEST_HINT: Final = 3600.0
"""Seconds that a run waits because the service asks for them; it would be a quota per day."""
_PASSING: Final = frozenset({Signal.RATE, Signal.SPENT, Signal.CROWDED, Signal.TROUBLE})


def next_look(age: float, jobs: int, dice: float) -> float:
    """Return the seconds until the next look at a batch that has not ended.

    Args:
        age: Seconds since it was created, or since this run has known it.
        jobs: How many batches are looked at.
        dice: A random number in [0, 1).
    """
    wanted = min(max(age / _PART, _SHORTEST), _LONGEST)
    # A tenth of it is left to chance, so that many batches are not asked for in one moment.
    return max(wanted, jobs / _LOOKS_PER_SECOND) * (1 - dice / 10)


def passes(error: CallError) -> bool:
    """Return whether a failure says nothing that waiting could not help."""
    return signal_of(error, _LONGEST_HINT) in _PASSING


def pause(error: CallError, failures: int, dice: float) -> float:
    """Return the seconds to wait after a failure.

    Args:
        error: The last failure.
        failures: How many there were in a row, at least 1.
        dice: A random number in [0, 1).
    """
    first, longest = _ROOM if isinstance(error, QuotaExhausted) else _TROUBLE
    backoff = min(first * 2.0 ** min(failures - 1, 30), longest)
    return max(error.retry_after or 0.0, backoff * (1 - dice / 4))
