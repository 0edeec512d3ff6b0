"""How a quota is divided among those who share it: pure functions of what there is and what each of them wants.

::

    permits   max-min: who wants less than an equal part gets all of it, the others divide the rest equally. What does
              not divide goes to those who have had least, so that with more holders than permits each has its turn.
    lots      a fair part of the room that there is *now*. Whoever comes takes room / n, so that those who come right
              after another find as much as those who come right before, in whatever order they come.
    a large   one request that is larger than a fair part: whoever has waited longest is saved up for, and the
    request   others get what is left beside that.

Max-min fairness is what networks have shared links by since Bertsekas and Gallager (Data Networks, 1987).
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class RateClaim:
    """What one holder wants of a rate.

    Args:
        wanted: How much it could use now.
        least: How much it needs at least, as a request cannot be divided.
        since: When it had something last; whoever had it longest ago is the next.
    """

    wanted: float
    least: float
    since: float


def permits_of_each(total: int, wanted: Mapping[str, int], had: Mapping[str, float]) -> dict[str, int]:
    """Return how many permits each holder may have: never more than the total, and for none more than it wants.

    Args:
        total: The permits there are.
        wanted: How many each holder wants.
        had: How much each has had so far, in whatever unit; what does not divide goes to those with least.
    """
    left, level = max(0, total), 0
    for place, want in enumerate(sorted(wanted.values())):
        # Never more than this level for anybody, or the remainder would go to whoever wants most, again and again.
        level = left // (len(wanted) - place)
        if want > level:
            break
        left -= want
    parts = {name: min(want, level) for name, want in wanted.items()}
    left = max(0, total) - sum(parts.values())
    for name in sorted(wanted, key=lambda name: (had.get(name, 0.0), name)):
        if left > 0 and parts[name] < wanted[name]:
            parts[name] += 1
            left -= 1
    return parts


def lot_for(name: str, room: float, claims: Mapping[str, RateClaim]) -> float:
    """Return how much of a rate one holder may take along: nothing, or at least what it needs.

    Args:
        name: The holder that asks.
        room: How much may go now.
        claims: What all holders want, this one included.
    """
    mine = claims[name]
    parts = _equal_parts(room, claims)
    short = [other for other, claim in claims.items() if claim.wanted > 0 and parts[other] < claim.least]
    first = min(short, key=lambda other: (claims[other].since, other), default=None)
    if name == first:
        return mine.least if room >= mine.least else 0.0
    saved = claims[first].least if first is not None else 0.0
    part = _equal_parts(max(0.0, room - saved), claims)[name]
    return part if part >= mine.least else 0.0


def _equal_parts(total: float, claims: Mapping[str, RateClaim]) -> dict[str, float]:
    parts: dict[str, float] = {}
    left = max(0.0, total)
    for place, (name, claim) in enumerate(sorted(claims.items(), key=lambda item: item[1].wanted)):
        parts[name] = max(0.0, min(claim.wanted, left / (len(claims) - place)))
        left -= parts[name]
    return parts
