"""What is known of a sweep: its points, what they hold of the budget, their order, and the events that nobody has read.

Changed by the sweep's tasks and read by everybody; nothing here waits but a reader of events.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Literal

import anyio
import attrs

from gemtune.loops import current_time
from gemtune.metrics.values import Comparison
from gemtune.sweep.chooser import PointCurve
from gemtune.sweep.events import SweepEvent
from gemtune.sweep.point import PointPicture, PointState, SweepPicture, ranks_of
from gemtune.sweep.running.asking import EvaluationCosts
from gemtune.sweep.running.budget import BudgetLedger, PointCosts, label_of
from gemtune.sweep.running.record import PointRecord
from gemtune.sweep.standings import CurveField
from gemtune.types import Hyperparameters

MEASURED = ("eval_loss", "loss")
"""The objectives that the service measures; all others are metrics of an evaluation."""
_NO_MODEL = (PointState.STOPPED, PointState.FAILED, PointState.LEFT_OUT)


@attrs.define(eq=False)
class News:
    """The events that nobody has read yet, and a bell for whoever waits for something to change."""

    _unread: deque[SweepEvent] = attrs.field(factory=deque, init=False)
    _bell: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    heard: bool = attrs.field(default=True, init=False)
    """Whether somebody may read them; nothing is kept for a sweep that is only awaited."""

    def report(self, *events: SweepEvent) -> None:
        """Report events."""
        if self.heard:
            self._unread += events
        self.ring()

    def ring(self) -> None:
        """Wake all who wait for something to change."""
        self._bell.set()
        self._bell = anyio.Event()

    async def change(self) -> None:
        """Wait until something changes."""
        await self._bell.wait()

    def next(self) -> SweepEvent | None:
        """Return the next event; None if there is none now."""
        return self._unread.popleft() if self._unread else None

    def close_ears(self) -> None:
        """Keep no events from here on."""
        self.heard = False
        self._unread.clear()


@attrs.define(eq=False, kw_only=True)
class SweepBoard:
    """What is known of a sweep.

    Args:
        title: What it is called.
        base_model: The model that is tuned.
        objective: What the points are ranked by.
        better: Whether a ``lower`` or a ``higher`` objective is better.
        budget: What the points hold of it.
        costs: What they take.
        evaluation: What evaluating their models takes; None if nothing is evaluated.
        planned: How many points there will be; None if nobody knows.
    """

    title: str
    base_model: str
    objective: str
    better: Literal["lower", "higher"]
    budget: BudgetLedger
    costs: PointCosts
    evaluation: EvaluationCosts | None = None
    planned: int | None = None
    records: dict[int, PointRecord] = attrs.field(factory=dict, init=False)
    field: CurveField = attrs.field(factory=CurveField, init=False)
    news: News = attrs.field(factory=News, init=False)
    waiting_for: str = attrs.field(default="", init=False)
    outages: dict[str, str] = attrs.field(factory=dict, init=False)
    """What is wrong with the looks at a job, or at all jobs under the empty name."""
    comparisons: Sequence[Comparison] = attrs.field(default=(), init=False)
    notes: list[str] = attrs.field(factory=list, init=False)
    """What its figures do not say, and what the budget did not allow besides points."""
    began: float | None = attrs.field(default=None, init=False)
    over_at: float | None = attrs.field(default=None, init=False)
    finished: bool = attrs.field(default=False, init=False)
    """Whether all is done."""
    _billed: float | None = attrs.field(default=None, init=False)
    """The tokens of one pass, as the service bills them; None as long as it has not said."""
    _by_job: dict[str, PointRecord] = attrs.field(factory=dict, init=False, repr=False)

    @property
    def evaluates(self) -> bool:
        """Whether the objective is a metric, which only an evaluation brings."""
        return self.objective not in MEASURED

    def of_job(self, name: str) -> PointRecord | None:
        """Return the point with a job of this name."""
        found = self._by_job.get(name)
        if found is None and name:
            self._by_job = {each.name: each for each in self.records.values() if each.job is not None}
            found = self._by_job.get(name)
        return found

    def see(self, record: PointRecord) -> None:
        """Take in for the rules that a point's curve has changed, or that it has ended."""
        if record.curve.completed:
            self.field.put(record.number, record.seen())
        else:
            self.field.remove(record.number)

    def curves(self, but: PointRecord) -> list[PointCurve]:
        """Return the curves of all other points that have begun."""
        return self.field.others(but.number)

    def spend(self, record: PointRecord) -> None:
        """Let a point hold what it takes, as far as that is known by now."""
        stats = record.job.data_stats if record.job is not None else None
        if stats is not None and stats.billable_tokens is not None:
            self._learn(stats.billable_tokens)
        whole = record.tokens
        if record.state in (PointState.STOPPED, PointState.FAILED):
            whole *= record.share
        self.hold(record, whole)

    def hold(self, record: PointRecord, tokens: float) -> None:
        """Let a point hold training tokens, and beside them what evaluating its model may cost if that is to come."""
        self.budget.hold(record.number, tokens)
        to_come = bool(tokens) and not (record.evaluated or record.unevaluated) and record.state not in _NO_MODEL
        self.budget.grant(label_of(record.number), self.most_evaluated if to_come else 0.0)

    @property
    def most_evaluated(self) -> float:
        """What evaluating the model of a point may cost; 0 if nothing is evaluated, or that is not counted."""
        return 0.0 if self.evaluation is None else self.evaluation.most_tuned

    def most_tokens(self, used: Hyperparameters) -> float:
        """Return the most tokens that a training may take; 0 if that cannot be known."""
        passes, tokens = self.costs.passes(used), self.costs.tokens(used)
        if self._billed is not None and passes is not None:
            return self._billed * passes
        return 0.0 if tokens is None else tokens.high

    def _learn(self, billed: float) -> None:
        """Take in what the service bills for one pass; all points pass through the same data."""
        if billed == self._billed:
            return
        self._billed = billed
        for each in self.records.values():
            each.tokens = self.most_tokens(each.point.hyperparameters)
            if each.active:
                self.budget.hold(each.number, each.tokens)

    @property
    def estimates(self) -> bool:
        """Whether tokens are counted at the high end of an estimate, or some are only reserved."""
        begun = any(each.active or each.job is not None for each in self.records.values())
        return begun and (self._billed is None or any(each.active for each in self.records.values()))

    def taken(self, record: PointRecord) -> float:
        """Return the tokens that a point has taken so far, by the steps that were done."""
        return record.tokens * record.share if record.job is not None or record.replayed else 0.0

    def ranks(self) -> Mapping[int, int]:
        """Return the rank of every point with a model and an objective, from 1, which equals share."""
        ranked = {
            each.number: each.objective
            for each in self.records.values()
            if each.state is PointState.TRAINED and each.objective is not None and math.isfinite(each.objective)
        }
        return ranks_of(ranked, self.better)

    def pictures(self) -> list[PointPicture]:
        """Return what a person sees of each point, by number."""
        ranks = self.ranks()
        return [self._picture(record, ranks) for _, record in sorted(self.records.items())]

    def _picture(self, record: PointRecord, ranks: Mapping[int, int]) -> PointPicture:
        taken = self.taken(record)
        cost = self.costs.money(taken)
        if cost is not None:
            cost += self.budget.evaluation(label_of(record.number)).spent
        return PointPicture(
            point=record.point,
            state=record.state,
            job=record.name,
            picture=record.job.picture() if record.job is not None else None,
            objective=record.objective,
            rank=ranks.get(record.number),
            scores=dict(record.scores),
            tokens=round(taken),
            cost=cost,
            saved_steps=record.saved_steps,
            reason=record.reason,
            unevaluated=record.unevaluated,
        )

    def picture(self) -> SweepPicture:
        """Return what a person sees of the sweep now."""
        points, used = self.pictures(), self.budget.used
        now = self.over_at
        if now is None and self.began is not None:
            now = current_time()
        return SweepPicture(
            title=self.title,
            base_model=self.base_model,
            objective=self.objective,
            better=self.better,
            points=points,
            planned=self.planned,
            steps=sum(each.curve.completed for each in self.records.values()),
            saved_steps=sum(each.saved_steps for each in points),
            tokens=round(used),
            token_limit=None if self.budget.tokens is None else round(self.budget.tokens),
            cost=None if self.budget.price is None else self.budget.money_used,
            evaluation_cost=self.budget.evaluations
            if self.evaluation is not None and self.evaluation.counted
            else None,
            at_most=self.estimates,
            budget=self.budget.money,
            currency=self.budget.currency,
            elapsed=0.0 if now is None or self.began is None else now - self.began,
            waiting_for=self.waiting_for or next(iter(self.outages.values()), ""),
            ended=self.finished,
            comparisons=self.comparisons,
            notes=tuple(self.notes),
        )
