"""What a sweep does next about its points: a pure function of what is known, of the budget and of the time.

A point is created if there is a place, no refusal is being waited out, and the budget has room for the most that it may
take. Points go in their order, but one that does not fit gives way to a later one that does. It is left out only once
nothing runs any more that could give back what it has reserved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import attrs

from gemtune.sweep.running.budget import BudgetLedger
from gemtune.sweep.running.quota import CreationHold


@attrs.frozen
class UncreatedPoint:
    """A point that has no job yet.

    Args:
        number: Its number.
        tokens: The most training tokens that it may take; 0 if it holds them already.
        evaluation: What evaluating its model may cost; 0 likewise.
    """

    number: int
    tokens: float = 0.0
    evaluation: float = 0.0


@attrs.frozen(kw_only=True)
class SweepSituation:
    """What the decision depends on.

    Args:
        now: The time.
        planned: The points without a job that may have one, by number; of a sweep that was cancelled only those of
            which nobody knows whether they have one.
        active: How many have a job that has not ended, or may have one.
        ended: How many of our jobs have ended in this run.
        places: How many may be active; None for no limit of ours.
        hold: What is known of refusals.
        more: Whether the source may have further points.
        evaluating: Whether an evaluation is to come that holds a part of the budget.
        more_later: Whether it is not to be asked for them yet.
    """

    now: float
    planned: Sequence[UncreatedPoint]
    active: int
    ended: int = 0
    places: int | None = None
    hold: CreationHold = attrs.field(factory=CreationHold)
    more: bool = False
    evaluating: bool = False
    more_later: bool = False


@attrs.frozen
class CreateNext:
    """Create the job of a point."""

    number: int


@attrs.frozen
class LeaveOut:
    """Leave a point out."""

    number: int
    reason: str


@attrs.frozen
class AskSource:
    """Ask the source for another point."""


@attrs.frozen
class WaitFor:
    """Wait until something changes, or so many seconds; ``why`` says what holds the sweep back, if anything does."""

    seconds: float | None = None
    why: str = ""


@attrs.frozen
class NothingMore:
    """No further job will be created."""


NextStep: TypeAlias = CreateNext | LeaveOut | AskSource | WaitFor | NothingMore


def next_step(seen: SweepSituation, budget: BudgetLedger) -> NextStep:
    """Return what to do next."""
    if not (seen.planned or seen.more):
        return NothingMore()
    if seen.places is not None and seen.active >= seen.places:
        return WaitFor()
    if not seen.planned:
        return WaitFor() if seen.more_later else AskSource()
    # What may exist already takes nothing more, and is looked for whatever is left.
    fits = (each for each in seen.planned if not each.tokens or budget.fits(each.tokens, each.evaluation))
    fitting = next(fits, None)
    if fitting is None:
        if seen.active or seen.evaluating:
            return WaitFor(why="the budget: what runs may give back what it has reserved")
        first = seen.planned[0]
        return LeaveOut(first.number, budget.refusal(first.tokens, first.evaluation))
    if not seen.hold.over(seen.now, seen.ended):
        return WaitFor(seen.hold.until - seen.now, seen.hold.why)
    return CreateNext(fitting.number)
