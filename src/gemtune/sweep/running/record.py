"""What is known of one point: changed by its own methods only, and only by the sweep's tasks."""

from __future__ import annotations

import bisect
import math

import attrs

from gemtune import events
from gemtune.events import Event
from gemtune.jobs import TuningJob
from gemtune.sweep.chooser import PointCurve
from gemtune.sweep.point import ENDED, PointState, SweepPoint


@attrs.define(eq=False)
class StepValues:
    """Values by step, in order; they come in order but for a few, and all of them are wanted after each."""

    by_step: dict[int, float] = attrs.field(factory=dict, init=False)
    _in_order: list[tuple[int, float]] = attrs.field(factory=list, init=False)
    _shown: tuple[tuple[int, float], ...] | None = attrs.field(default=(), init=False)

    def put(self, step: int, value: float) -> None:
        """Take in the value of a step, in place of the one it had."""
        ordered = self._in_order
        place = bisect.bisect_left(ordered, step, key=_step) if ordered and step <= ordered[-1][0] else len(ordered)
        ordered[place : place + (step in self.by_step)] = [(step, value)]
        self.by_step[step], self._shown = value, None

    @property
    def shown(self) -> tuple[tuple[int, float], ...]:
        """All of them."""
        if self._shown is None:
            self._shown = tuple(self._in_order)
        return self._shown


@attrs.define(eq=False)
class CurveRecord:
    """The curve of one point, as the watcher's events bring it.

    Args:
        total: Its steps in all; None while unknown.
        completed: Steps done.
    """

    total: int | None = None
    completed: int = 0
    _losses: StepValues = attrs.field(factory=StepValues, init=False, repr=False)
    _evals: StepValues = attrs.field(factory=StepValues, init=False, repr=False)

    @property
    def losses(self) -> tuple[tuple[int, float], ...]:
        """The mean losses, by step."""
        return self._losses.shown

    @property
    def eval_losses(self) -> tuple[tuple[int, float], ...]:
        """The losses on the validation data, by step."""
        return self._evals.shown

    def take(self, event: Event) -> tuple[int, ...]:
        """Take an event in; return 0 or 1 new values: the step that has one.

        The value is that on the validation data if the service measures it, and else the mean loss.
        """
        match event:
            case events.Progress(completed_steps=completed, total_steps=total):
                self.completed = max(self.completed, completed)
                self.total = total if total is not None else self.total
            case events.Restarted():
                self._losses, self._evals, self.completed = StepValues(), StepValues(), 0
            case events.Snapshot() | events.SnapshotUpdated():
                return self._measured(event)
        return ()

    def _measured(self, event: events.Snapshot | events.SnapshotUpdated) -> tuple[int, ...]:
        step, loss, measured = event.step, event.mean_loss, event.eval_loss
        self.completed = max(self.completed, step)
        # On a service that measures more than the loss, NaN is a loss that has not been said; it may come later.
        # Elsewhere it is that of a run that has diverged, and one for rules as well.
        fresh = step not in self._losses.by_step and not (math.isnan(loss) and event.metrics is not None)
        if fresh:
            self._losses.put(step, loss)
        fresh_eval = measured is not None and step not in self._evals.by_step
        if measured is not None:
            self._evals.put(step, measured)
        return (step,) if fresh or fresh_eval else ()

    def value(self, step: int) -> float | None:
        """Return the value of the curve that counts at a step; None if there is none."""
        return (self._evals.by_step or self._losses.by_step).get(step)

    def last(self, name: str) -> float | None:
        """Return the last ``eval_loss`` or ``loss``; None if there is none."""
        curve = self.eval_losses if name == "eval_loss" else self.losses
        return next((value for _, value in reversed(curve) if math.isfinite(value)), None)


@attrs.define(eq=False)
class PointRecord:
    """What is known of one point.

    Args:
        point: The point.
        job_id: The id under which its job is created.
        tokens: The most tokens that its training may take; 0 if that cannot be known.
        epochs: How often it passes through the data; None if the service chooses.
        state: Where it stands.
        may_exist: Whether an attempt may have created its job.
        job: The handle on its job.
        curve: Its curve.
        stopping: Why it is to be stopped; empty as long as it is not.
        reason: Why it was stopped, failed or was left out.
        objective: What it is ranked by.
        scores: What its evaluation says.
        evaluated: Whether it was evaluated.
        unevaluated: Why the budget did not allow to evaluate it; empty if it did.
        saved_steps: Steps that it did not take.
        replayed: Whether an earlier run has brought it to its end.
        telling: Whether the source is being told how it ended, or was.
        told: Whether the source knows.
        followed: Whether the watcher has shown the end of its job, and before that all of its curve.
    """

    point: SweepPoint
    job_id: str
    tokens: float = 0.0
    epochs: int | None = None
    state: PointState = PointState.PLANNED
    may_exist: bool = False
    job: TuningJob | None = None
    curve: CurveRecord = attrs.field(factory=CurveRecord)
    stopping: str = ""
    reason: str = ""
    objective: float | None = None
    scores: dict[str, float] = attrs.field(factory=dict)
    evaluated: bool = False
    unevaluated: str = ""
    saved_steps: int = 0
    replayed: bool = False
    telling: bool = False
    told: bool = False
    followed: bool = False
    _seen: PointCurve | None = attrs.field(default=None, init=False, repr=False)

    @property
    def number(self) -> int:
        """Its number."""
        return self.point.number

    @property
    def name(self) -> str:
        """The name of its job; empty as long as there is none."""
        return self.job.name if self.job is not None else ""

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to its job."""
        return self.state in ENDED

    @property
    def active(self) -> bool:
        """Whether it has a job that has not ended, or may have one."""
        return not self.ended and (self.may_exist or self.job is not None)

    @property
    def to_evaluate(self) -> bool:
        """Whether it has a model that is still to be evaluated, if anything is."""
        return self.state is PointState.TRAINED and not self.evaluated and not self.unevaluated

    @property
    def share(self) -> float:
        """How much of its training is done, from 0 to 1; all of it while nobody knows."""
        if self.state is PointState.TRAINED or not self.curve.total:
            return 1.0 if self.state is PointState.TRAINED else 0.0
        return min(self.curve.completed / self.curve.total, 1.0)

    def take(self, event: Event) -> tuple[int, ...]:
        """Take an event of its job in; return the step that has a new value, if one has."""
        self._seen = None
        return self.curve.take(event)

    def seen(self) -> PointCurve:
        """Return its curve, as far as rules look at it; the same one until something is new."""
        ended = self.state is PointState.TRAINED
        if self._seen is None or self._seen.ended is not ended:
            self._seen = PointCurve(
                number=self.number,
                total=self.curve.total,
                losses=self.curve.losses,
                eval_losses=self.curve.eval_losses,
                epochs=self.epochs,
                ended=ended,
            )
        return self._seen


def _step(value: tuple[int, float]) -> int:
    return value[0]
