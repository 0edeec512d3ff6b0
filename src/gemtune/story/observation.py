"""What one look at a job tells, whether it was at the operation, at the model or at a list.

Operation metadata and tuned model are two views of one cumulative list of snapshots; only the operation
knows the number of steps and the reason of a failure, only the model knows when it was created.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import attrs

from gemtune.events import JobState
from gemtune.protocol import names
from gemtune.types.operations import Operation, Status
from gemtune.types.timestamp import Timestamp
from gemtune.types.tuning import CreateTunedModelMetadata, TunedModel, TunedModelState, TuningSnapshot

_CANCELLED: Final = 1
_SECOND: Final = 1_000_000_000


@attrs.frozen
class Moment:
    """Now, by both clocks.

    Args:
        clock: Monotonic seconds, for every interval.
        utc: The local wall clock, for people and for comparison with the server's times.
    """

    clock: float
    utc: datetime

    def since(self, time: int) -> float:
        """Return how many seconds ago a time of the server's in ns was, by the local wall clock."""
        return self.utc.timestamp() - time / 1e9


class Source(enum.StrEnum):
    """Where to look, or where was looked."""

    OPERATION = "operation"
    MODEL = "model"
    LIST = "list"


@attrs.frozen(kw_only=True)
class Observation:
    """One look at a job.

    Args:
        source: Where was looked.
        at: When.
        state: What it says of the state; None where it says nothing.
        operation: The operation's name, where the operation was asked.
        created: The model's createTime in ns; 0 where it was not told.
        snapshots: The cumulative snapshots; None where they were not asked for.
        completed_steps: Steps done; None where it was not told.
        total_steps: Steps in all; None where it was not told.
        percent: The service's own percentage; None where it was not told.
        done: Whether the operation has ended.
        error: The operation's error.
        model: The tuned model, where it was told.
    """

    source: Source
    at: Moment
    state: JobState | None
    operation: str | None = None
    created: int = 0
    snapshots: Sequence[TuningSnapshot] | None = None
    completed_steps: int | None = None
    total_steps: int | None = None
    percent: float | None = None
    done: bool = False
    error: Status | None = None
    model: TunedModel | None = None


def observe_operation(operation: Operation, now: Moment) -> Observation:
    """Return what an operation tells; an error outweighs a response, and only code 1 is a cancellation."""
    meta = operation.metadata if isinstance(operation.metadata, CreateTunedModelMetadata) else None
    model = operation.response if operation.done and isinstance(operation.response, TunedModel) else None
    error = operation.error if operation.done else None
    if not operation.done:
        state: JobState | None = JobState.CREATING
    elif error is not None:
        state = JobState.CANCELLED if error.code == _CANCELLED else JobState.FAILED
    elif model is not None:
        state = JobState.FAILED if model.state == TunedModelState.FAILED else JobState.ACTIVE
    else:
        state = None
    return Observation(
        source=Source.OPERATION,
        at=now,
        state=state,
        operation=names.operation_of(names.parent_of(operation.name), operation.name),
        created=nanoseconds(model.create_time) if model is not None else 0,
        snapshots=(*(meta.snapshots if meta is not None else ()), *_snapshots(model)),
        completed_steps=meta.completed_steps if meta is not None else None,
        total_steps=(meta.total_steps or None) if meta is not None else None,
        percent=meta.completed_percent if meta is not None and meta.total_steps else None,
        done=operation.done,
        error=error,
        model=model,
    )


def observe_model(model: TunedModel, now: Moment) -> Observation:
    """Return what a whole tuned model tells."""
    return Observation(
        source=Source.MODEL,
        at=now,
        state=_state(model),
        created=nanoseconds(model.create_time),
        snapshots=_snapshots(model),
        model=model,
    )


def observe_light(model: TunedModel, now: Moment) -> Observation:
    """Return what an entry of a list tells that was asked for names and states only."""
    return Observation(source=Source.LIST, at=now, state=_state(model), created=nanoseconds(model.create_time))


def _state(model: TunedModel) -> JobState | None:
    if model.state == TunedModelState.STATE_UNSPECIFIED:
        return None
    state = JobState(str(model.state))
    # A word that is new to this version is never an end, even if we happen to use the same word for one.
    return JobState.UNKNOWN if state.terminal and not model.state.known else state


def _snapshots(model: TunedModel | None) -> tuple[TuningSnapshot, ...]:
    return model.tuning_task.snapshots if model is not None and model.tuning_task is not None else ()


def nanoseconds(moment: Timestamp | None) -> int:
    """Return nanoseconds since 1970, or 0 for no time and for one that 63 bits cannot hold."""
    if moment is None:
        return 0
    since = int(moment.timestamp()) * _SECOND + moment.nanosecond
    return since if 0 < since < 2**63 else 0


def timestamp(since: int) -> Timestamp | None:
    """Return the inverse of ``nanoseconds``."""
    if not since:
        return None
    seconds, rest = divmod(since, _SECOND)
    day, second = divmod(seconds, 86400)
    date = datetime.fromordinal(_EPOCH + day)
    minutes, second = divmod(second, 60)
    return Timestamp(date.year, date.month, date.day, minutes // 60, minutes % 60, second, nanosecond=rest)


_EPOCH: Final = datetime(1970, 1, 1).toordinal()  # noqa: DTZ001 - an ordinal has no time zone
