"""The points of a sweep: what each is, where it stands, and what a person sees of all of them."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import attrs

from gemtune.metrics.values import Comparison
from gemtune.show.picture import JobPicture
from gemtune.types import Hyperparameters


class PointState(enum.StrEnum):
    """Where a point stands. The order is that of a life."""

    PLANNED = "planned"
    """Its job has not been created."""
    WAITING = "waiting"
    """Its job waits for a free place on the service, or could not be created yet because the quota is used up."""
    RUNNING = "running"
    STOPPED = "stopped"
    """It was given up: a rule or the study's pruner said so, and its job was cancelled."""
    TRAINED = "trained"
    """Its model is there; it may still have to be evaluated."""
    FAILED = "failed"
    """Its job failed, was cancelled by somebody else, or cannot be seen any more."""
    LEFT_OUT = "left out"
    """The budget did not allow it; no job was created."""


def ranks_of(objectives: Mapping[int, float], better: Literal["lower", "higher"]) -> dict[int, int]:
    """Return the rank of each point on a leaderboard: 1 and as many more as are better, so that equals share a rank.

    Args:
        objectives: What the points are ranked by, by number.
        better: Whether a lower or a higher one is better.

    Example:
        >>> ranks_of({0: 0.9, 1: 0.8, 2: 0.9, 3: 0.7}, "higher")
        {0: 1, 2: 1, 1: 3, 3: 4}
    """
    ranks: dict[int, int] = {}
    place, last = 0, math.nan
    order = sorted(objectives.items(), key=lambda each: (each[1] if better == "lower" else -each[1], each[0]))
    for at, (number, objective) in enumerate(order, 1):
        place, last = (place if objective == last else at), objective
        ranks[number] = place
    return ranks


ENDED = frozenset({PointState.STOPPED, PointState.TRAINED, PointState.FAILED, PointState.LEFT_OUT})


@attrs.frozen(kw_only=True)
class SweepPoint:
    """One set of hyperparameters that a sweep tries.

    Args:
        number: Its place in the sweep, from 0; it never changes, in no later run either.
        values: What was chosen, by the name of the hyperparameter.
        hyperparameters: The same, with those that all points share.
    """

    number: int
    values: Mapping[str, float | int]
    hyperparameters: Hyperparameters = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class PointPicture:
    """One point at one moment.

    Args:
        point: The point.
        state: Where it stands.
        job: The name of its job; empty as long as there is none.
        picture: What a person sees of the job, its curves included; None as long as there is none.
        objective: What it is ranked by; None while unknown.
        rank: Its place on the leaderboard, from 1, which equals share; None as long as it has no objective.
        scores: What the evaluation of its model says, by metric.
        tokens: Training tokens that it has taken so far, by the steps that were done.
        cost: What these cost, and its evaluation, by the prices that were given; None without prices.
        saved_steps: Steps that it did not take because it was stopped.
        reason: Why it was stopped, failed or was left out; empty otherwise.
        unevaluated: Why its model was not evaluated, or not to the end; empty otherwise.
    """

    point: SweepPoint
    state: PointState = PointState.PLANNED
    job: str = ""
    picture: JobPicture | None = attrs.field(default=None, repr=False)
    objective: float | None = None
    rank: int | None = None
    scores: Mapping[str, float] = attrs.field(factory=dict)
    tokens: int = 0
    cost: float | None = None
    saved_steps: int = 0
    reason: str = ""
    unevaluated: str = ""


@attrs.frozen(kw_only=True, repr=False)
class SweepPicture:
    """What a person sees of a sweep now: the one value that terminal and notebook draw.

    Args:
        title: What it is called.
        base_model: The model that is tuned.
        objective: What the points are ranked by: ``eval_loss``, ``loss`` or the name of a metric.
        better: Whether a ``lower`` or a ``higher`` objective is better.
        points: All points, by number.
        planned: How many points there will be; None if nobody knows yet (a study without a limit).
        steps: Steps done by all points.
        saved_steps: Steps that were not taken because points were stopped.
        tokens: Training tokens so far, and those reserved for what runs.
        token_limit: The limit of tokens; None if there is none.
        cost: What these cost, and the evaluations so far and those that are reserved; None without prices.
        evaluation_cost: Which part of it is that of the evaluations; None if they are not counted.
        at_most: Whether tokens and cost are the most that they may be: counted at the high end of the estimate, as the
            plan does, or reserved for what runs.
        budget: The limit of money; None if there is none.
        currency: Of both.
        elapsed: Seconds since this run began.
        waiting_for: What holds the sweep back at present, such as the quota; empty if nothing does.
        ended: Whether all is done.
        comparisons: The best model beside the base, by metric, once both have been evaluated.
        notes: What the figures do not say, and what the budget did not allow besides points.
    """

    title: str
    base_model: str
    objective: str
    better: Literal["lower", "higher"] = "lower"
    points: Sequence[PointPicture] = ()
    planned: int | None = None
    steps: int = 0
    saved_steps: int = 0
    tokens: int = 0
    token_limit: int | None = None
    cost: float | None = None
    evaluation_cost: float | None = None
    at_most: bool = False
    budget: float | None = None
    currency: str = ""
    elapsed: float = 0.0
    waiting_for: str = ""
    ended: bool = False
    comparisons: Sequence[Comparison] = ()
    notes: Sequence[str] = ()

    def __repr__(self) -> str:
        done, best = sum(each.state in ENDED for each in self.points), self.best
        said = "" if best is None else f", the best is point {best.point.number}"
        return f"<SweepPicture of {self.title}: {done} of {len(self.points)} points done{said}>"

    @property
    def best(self) -> PointPicture | None:
        """The point that is ranked first, of equals the one that was planned first; None while nothing is ranked."""
        return next((each for each in self.points if each.rank == 1), None)

    @property
    def ranked(self) -> list[PointPicture]:
        """The points as a leaderboard: those with a rank, then those that run, then the others."""
        order = (PointState.RUNNING, PointState.WAITING, PointState.PLANNED, PointState.STOPPED, PointState.FAILED)
        place = {state: at for at, state in enumerate(order)}
        last = len(self.points) + 1
        return sorted(self.points, key=lambda p: (p.rank or last, place.get(p.state, len(place)), p.point.number))
