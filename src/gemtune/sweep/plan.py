"""What a sweep will take, before anything is created: pure, from the points and the costs of each."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator

import attrs

from gemtune import money
from gemtune.datasets.report import SaidInLines
from gemtune.datasets.review.tokens import Interval
from gemtune.sweep.running.asking import EvaluationCosts
from gemtune.sweep.running.budget import BASE, BudgetLedger, PointCosts, label_of
from gemtune.types import Hyperparameters

STOPPED_BY_STEPS = (
    "a point that is stopped is counted with the steps that it did; no service says how it bills a cancelled job"
)


@attrs.frozen(kw_only=True)
class SweepPlan(SaidInLines):
    """What a sweep will take; printing it says so, and how it is known.

    The high end of each figure is what the limits count: what a running sweep says that it has used at most.

    Args:
        points: How many points there will be; None if nobody knows.
        examples: The training examples; None if they are not read here.
        validation: The rows to validate with.
        steps: The steps of all points; None if the batch size is not known.
        tokens: The training tokens of all points, if none is stopped; None if they cannot be known.
        cost: What the training costs; None without prices.
        currency: Of the costs.
        within: How many points the budget allows at least; None without a budget.
        jobs_at_a_time: How many jobs run at a time; None for as many as the quota lets.
        notes: What the figures do not say.
        evaluated: How many models are evaluated, the base model included; None if none is, or nobody knows.
        input_tokens: The tokens of all prompts of the evaluations; None likewise.
        output_tokens: The tokens of all answers; None likewise.
        evaluation_cost: What the evaluations cost; None if nothing says so, or the prices lack ``asking``.
        total_cost: What all of it costs; None if that cannot be known. Without evaluations it is that of training.
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
    evaluated: int | None = None
    input_tokens: Interval | None = None
    output_tokens: Interval | None = None
    evaluation_cost: Interval | None = None
    total_cost: Interval | None = None

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
            lines.append(f"{_most(self.tokens)} training tokens{steps}, if no point is stopped")
        if self.evaluated is not None and self.input_tokens is not None and self.output_tokens is not None:
            models = f"{_counted(self.evaluated, 'model')} evaluated"
            lines.append(f"{models}: {_most(self.input_tokens)} input and {_most(self.output_tokens)} output tokens")
        lines += self._costs()
        if self.within is not None:
            lines.append(f"within the budget: at least {_counted(self.within, 'point')}")
        return "\n".join([*lines, *self.notes])

    def _costs(self) -> list[str]:
        training, whole = ("cost", None) if self.evaluated is None else ("cost of the training", self.total_cost)
        found = {training: self.cost, "cost of the evaluations": self.evaluation_cost, "cost of both": whole}
        said = [(name, cost) for name, cost in found.items() if cost is not None]
        lines = [f"{name}: {money.at_most(cost.value, cost.high, self.currency)}" for name, cost in said]
        return [*lines[:-1], f"{lines[-1]}, by the prices you gave"] if lines else []


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
    evaluation: EvaluationCosts | None = None,
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
        evaluation: What the evaluations take; None if nothing is evaluated.
        notes: What is to be said besides.
    """
    listed = list(points)
    each = [costs.tokens(used) for used in listed]
    known = [tokens for tokens in each if tokens is not None] if None not in each else []
    steps = [costs.steps(used) for used in listed]
    tokens = functools.reduce(operator.add, known) if known and len(listed) == total else None
    cost = None if tokens is None or costs.price is None else tokens.times(costs.price / money.MILLION)
    asked = None if evaluation is None or total is None else evaluation.of_models(total)
    whole = cost
    if asked is not None:
        whole = None if cost is None or asked.cost is None else cost + asked.cost
    return SweepPlan(
        points=total,
        examples=costs.examples,
        validation=rows,
        steps=sum(filter(None, steps)) if steps and None not in steps and len(listed) == total else None,
        tokens=tokens,
        cost=cost,
        currency=budget.currency,
        within=_fitting(known, budget, evaluation) if budget.limited and known else None,
        jobs_at_a_time=places,
        notes=(*notes, *_notes(evaluation, unknown=bool(listed) and not known)),
        evaluated=None if asked is None or total is None or evaluation is None else total + evaluation.asks_base,
        input_tokens=None if asked is None else asked.asked,
        output_tokens=None if asked is None else asked.answered,
        evaluation_cost=None if asked is None else asked.cost,
        total_cost=whole,
    )


def _notes(evaluation: EvaluationCosts | None, *, unknown: bool) -> Iterator[str]:
    yield STOPPED_BY_STEPS
    if unknown:
        yield "the tokens are not known: the service chooses the epochs, or the data are not read here"
    if evaluation is not None and evaluation.not_counted:
        yield evaluation.not_counted


def _most(tokens: Interval) -> str:
    likely, most = f"{tokens.value:,.0f}", f"{tokens.high:,.0f}"
    return f"at most {most}" if likely == most else f"at most {most} (about {likely})"


def _fitting(known: list[Interval], budget: BudgetLedger, evaluation: EvaluationCosts | None) -> int:
    """Return how many points are created whatever they take, in their order; one that does not fit gives way."""
    trial = attrs.evolve(budget)
    each = 0.0
    if evaluation is not None:
        each = evaluation.most_tuned
        trial.grant(BASE, evaluation.most_base)
    count = 0
    for number, tokens in enumerate(known):
        if trial.fits(tokens.high, each):
            trial.hold(number, tokens.high)
            trial.grant(label_of(number), each)
            count += 1
    return count
