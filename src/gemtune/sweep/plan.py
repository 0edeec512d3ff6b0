"""What a sweep will take, before anything is created: pure, from the points and the costs of each."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from gemtune import money
from gemtune.datasets.report import SaidInLines
from gemtune.datasets.review.tokens import Interval
from gemtune.sweep.running.budget import BudgetLedger, PointCosts
from gemtune.types import Hyperparameters

STOPPED_BY_STEPS = (
    "a point that is stopped is counted with the steps that it did; no service says how it bills a cancelled job"
)


@attrs.frozen(kw_only=True)
class SweepPlan(SaidInLines):
    """What a sweep will take; printing it says so, and how it is known.

    Args:
        points: How many points there will be; None if nobody knows.
        examples: The training examples; None if they are not read here.
        validation: The rows to validate with.
        steps: The steps of all points; None if the batch size is not known.
        tokens: The training tokens of all points, if none is stopped; None if they cannot be known.
        cost: What these cost; None without prices.
        currency: Of the cost.
        within: How many points the budget allows at least; None without a budget.
        jobs_at_a_time: How many jobs run at a time; None for as many as the quota lets.
        notes: What the figures do not say.
    """

    points: int | None
    examples: int | None = None
    validation: int = 0
    steps: int | None = None
    tokens: Interval | None = None
    cost: Interval | None = None
    currency: str = ""
    within: int | None = None
    jobs_at_a_time: int | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return it as plain JSON."""
        return attrs.asdict(self)

    def __str__(self) -> str:
        at_a_time = "as many jobs at a time as the quota lets"
        if self.jobs_at_a_time is not None:
            at_a_time = f"{_counted(self.jobs_at_a_time, 'job')} at a time"
        points = "points without an end" if self.points is None else _counted(self.points, "point")
        lines = [f"{points}, {at_a_time}"]
        if self.examples is not None:
            held = _counted(self.validation, "row")
            lines.append(f"{_counted(self.examples, 'example')} to train on, {held} to validate with")
        if self.tokens is not None:
            steps = f" in {_counted(self.steps, 'step')}" if self.steps is not None else ""
            lines.append(f"{self.tokens} training tokens{steps}, if no point is stopped")
        if self.cost is not None:
            cost = money.estimated(self.cost.low, self.cost.value, self.cost.high)
            lines.append(f"cost: {cost} {self.currency}, by the prices you gave")
        if self.within is not None:
            lines.append(f"within the budget: at least {_counted(self.within, 'point')}")
        return "\n".join([*lines, *self.notes])


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def planned(
    points: Iterable[Hyperparameters],
    costs: PointCosts,
    budget: BudgetLedger,
    *,
    total: int | None,
    rows: int,
    places: int | None,
    notes: tuple[str, ...] = (),
) -> SweepPlan:
    """Return what a sweep will take.

    Args:
        points: The hyperparameters of the points that are known.
        costs: What a point takes.
        budget: The limits.
        total: How many points there will be.
        rows: The rows to validate with.
        places: How many jobs may run at a time.
        notes: What is to be said besides.
    """
    listed = list(points)
    each = [costs.tokens(used) for used in listed]
    known = [tokens for tokens in each if tokens is not None] if None not in each else []
    steps = [costs.steps(used) for used in listed]
    limited = budget.tokens is not None or budget.money is not None
    tokens = _sum(known) if known and len(listed) == total else None
    said = [*notes, STOPPED_BY_STEPS]
    if listed and not known:
        said.append("the tokens are not known: the service chooses the epochs, or the data are not read here")
    return SweepPlan(
        points=total,
        examples=costs.examples,
        validation=rows,
        steps=sum(filter(None, steps)) if steps and None not in steps and len(listed) == total else None,
        tokens=tokens,
        cost=None if tokens is None or costs.price is None else tokens.times(costs.price / money.MILLION),
        currency=budget.currency,
        within=_fitting(known, budget.limit) if limited and known else None,
        jobs_at_a_time=places,
        notes=tuple(said),
    )


def _sum(some: list[Interval]) -> Interval:
    return Interval(sum(x.low for x in some), sum(x.value for x in some), sum(x.high for x in some))


def _fitting(known: list[Interval], limit: float) -> int:
    """Return how many points are created whatever they take, in their order; one that does not fit gives way."""
    used, count = 0.0, 0
    for tokens in known:
        if used + tokens.high <= limit * (1 + 1e-9):
            used, count = used + tokens.high, count + 1
    return count
