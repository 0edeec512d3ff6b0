"""When a creation that was refused may be sent again: a pure function of time, of what has ended, and of dice.

===========================  ==========================================================================
the service said             the next creation is sent
===========================  ==========================================================================
429, no free place           when one of our own jobs ends, once for each; else after 15, 30, 60 ... 300 s
nothing, or 5xx              after 1, 2, 4 ... 60 s, whoever ends: it is an outage, and no place is missing
===========================  ==========================================================================

Longer if the service asks for more, and up to a fifth longer by chance. Only one creation is sent at a time, so that a
refusal costs one request, and never one for each point that waits.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

QUOTA_PAUSE: Final = 15.0
QUOTA_LONGEST: Final = 300.0
OUTAGE_PAUSE: Final = 1.0
OUTAGE_LONGEST: Final = 60.0
_CHANCE: Final = 0.2


@attrs.frozen(kw_only=True)
class CreationHold:
    """What is known of refusals.

    Args:
        refusals: How many there were in a row.
        until: When the next creation may be sent, whatever else happens.
        ended: How many of our jobs had ended at the last refusal; infinity if that does not matter.
        why: What holds creations back, in words.
    """

    refusals: int = 0
    until: float = -math.inf
    ended: float = math.inf
    why: str = ""

    def over(self, now: float, ended: int) -> bool:
        """Return whether the next creation may be sent."""
        return now >= self.until or ended > self.ended

    def full(self, now: float, ended: int, hint: float | None, dice: float) -> CreationHold:
        """Return what follows from a 429.

        Args:
            now: The time.
            ended: How many of our jobs have ended.
            hint: After how many seconds the service allows another attempt, if it has said so.
            dice: From 0 to 1.
        """
        pause = _pause(QUOTA_PAUSE, QUOTA_LONGEST, self.refusals, hint, dice)
        return CreationHold(
            refusals=self.refusals + 1, until=now + pause, ended=ended, why="waiting for a free place on the service"
        )

    def out(self, now: float, hint: float | None, dice: float, said: str = "") -> CreationHold:
        """Return what follows from a creation that got no answer, or a 5xx.

        Args:
            now: The time.
            hint: After how many seconds the service allows another attempt, if it has said so.
            dice: From 0 to 1.
            said: The error, in words.
        """
        pause = _pause(OUTAGE_PAUSE, OUTAGE_LONGEST, self.refusals, hint, dice)
        return CreationHold(refusals=self.refusals + 1, until=now + pause, why=f"waiting for the service: {said}")


def _pause(shortest: float, longest: float, refusals: int, hint: float | None, dice: float) -> float:
    seconds = min(shortest * 2.0 ** min(refusals, 20), longest)
    return max(seconds, hint or 0.0) * (1.0 + _CHANCE * dice)
