"""What a sweep yields: frozen values, made to be matched, like those of a watcher.

::

    async for event in sweep:
        match event:
            case events.PointProgress(point=point, event=Snapshot(step=step, mean_loss=loss)): ...
            case events.PointStopped(point=point, reason=why, saved_steps=steps): ...
            case events.PointEvaluated(point=point, objective=value): ...

A resumed run reports first what earlier runs have done, marked ``replayed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

import attrs

from gemtune.events import Event
from gemtune.sweep.point import PointState, SweepPoint

__all__ = [
    "PointEnded", "PointEvaluated", "PointLeftOut", "PointNotEvaluated", "PointPlanned", "PointProgress",
    "PointStarted", "PointStopped", "SweepEvent",
]  # fmt: skip


@attrs.frozen(kw_only=True)
class _PointEvent:
    """What every event of a sweep has.

    Args:
        point: The point that it is about.
        replayed: Whether it tells of what an earlier run has done.
    """

    kind: ClassVar[str]

    point: SweepPoint
    replayed: bool = False

    def to_dict(self) -> dict[str, object]:
        """Return the event as JSON values: the point as its number and its values."""
        fields = attrs.asdict(self, recurse=False)
        del fields["point"]
        said = {name: _plain(value) for name, value in fields.items()}
        return {"kind": self.kind, "point": self.point.number, "values": dict(self.point.values), **said}


def _plain(value: object) -> object:
    if isinstance(value, PointState):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    return value if isinstance(value, str | int | float | None) else value.to_dict()  # type: ignore[attr-defined]


@attrs.frozen(kw_only=True)
class PointPlanned(_PointEvent):
    """The sweep is going to try this point."""

    kind: ClassVar[Literal["point_planned"]] = "point_planned"


@attrs.frozen(kw_only=True)
class PointStarted(_PointEvent):
    """The point's job is there.

    Args:
        job: Its name.
        adopted: Whether an earlier run had created it.
    """

    kind: ClassVar[Literal["point_started"]] = "point_started"
    job: str
    adopted: bool = False


@attrs.frozen(kw_only=True)
class PointProgress(_PointEvent):
    """The point's job has got on.

    Args:
        event: What the watcher says of the job: a snapshot, its progress, another state, trouble.
    """

    kind: ClassVar[Literal["point_progress"]] = "point_progress"
    event: Event


@attrs.frozen(kw_only=True)
class PointStopped(_PointEvent):
    """The point was given up, and its job is cancelled.

    Args:
        job: The job's name.
        reason: Why, in words.
        saved_steps: Steps that it did not take.
        saved_tokens: Training tokens of these steps.
    """

    kind: ClassVar[Literal["point_stopped"]] = "point_stopped"
    job: str
    reason: str
    saved_steps: int = 0
    saved_tokens: int = 0


@attrs.frozen(kw_only=True)
class PointEnded(_PointEvent):
    """The point's job has ended of itself, with a model or without; or it could not be created.

    Args:
        job: The job's name; empty if there is none.
        state: ``trained`` or ``failed``.
        reason: Why it failed; empty otherwise.
        objective: What the point is ranked by, if that is known without an evaluation.
    """

    kind: ClassVar[Literal["point_ended"]] = "point_ended"
    job: str
    state: PointState
    reason: str = ""
    objective: float | None = None


@attrs.frozen(kw_only=True)
class PointEvaluated(_PointEvent):
    """The point's model has been asked the validation rows.

    Args:
        scores: Its mean scores, by metric.
        objective: What the point is ranked by.
    """

    kind: ClassVar[Literal["point_evaluated"]] = "point_evaluated"
    scores: Mapping[str, float]
    objective: float | None = None


@attrs.frozen(kw_only=True)
class PointNotEvaluated(_PointEvent):
    """The budget does not allow to evaluate the point's model, or not to the end; the model is there.

    Args:
        reason: What it would have cost, and what is left.
    """

    kind: ClassVar[Literal["point_not_evaluated"]] = "point_not_evaluated"
    reason: str


@attrs.frozen(kw_only=True)
class PointLeftOut(_PointEvent):
    """The budget does not allow the point; no job was created.

    Args:
        reason: What it would have taken, and what is left.
    """

    kind: ClassVar[Literal["point_left_out"]] = "point_left_out"
    reason: str


SweepEvent: TypeAlias = (
    PointPlanned
    | PointStarted
    | PointProgress
    | PointStopped
    | PointEnded
    | PointEvaluated
    | PointNotEvaluated
    | PointLeftOut
)
"""Everything that a sweep can yield."""
