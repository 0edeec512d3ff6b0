"""Looks at a tuning job as the service would answer them, for the tests of its history."""

from datetime import UTC, datetime, timedelta

from gemtune.looks.gemini import _listed, observe_model, observe_operation
from gemtune.story.observation import Moment
from gemtune.types.operations import Operation, Status
from gemtune.types.timestamp import Timestamp
from gemtune.types.tuning import CreateTunedModelMetadata, TunedModel, TuningSnapshot, TuningTask

JOB = "tunedModels/number-generator-1x2y3z"
OPERATION = f"{JOB}/operations/abc123"
START = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


def now(seconds):
    """The moment ``seconds`` after the test's beginning, by both clocks."""
    return Moment(1000.0 + seconds, START + timedelta(seconds=seconds))


def time(seconds):
    """The same moment as the server writes it."""
    return Timestamp.of(START + timedelta(seconds=seconds))


def snapshot(step, seconds=None, loss=0.5):
    """A snapshot; step n is computed n seconds after the beginning unless told otherwise."""
    return TuningSnapshot(step, step // 7, loss, time(step if seconds is None else seconds))


def snapshots(*steps):
    return tuple(snapshot(step) if isinstance(step, int) else snapshot(*step) for step in steps)


def tuned_model(state="CREATING", shown=(), *, created=0.0):
    return TunedModel(
        name=JOB,
        state=state,
        create_time=time(created) if created is not None else None,
        tuning_task=TuningTask(snapshots=tuple(shown)),
    )


def operation(shown=(), *, total=0, completed=None, done=False, error=None, response=None, name=OPERATION):
    shown = tuple(shown)
    completed = len(shown) if completed is None else completed
    return Operation(
        name=name,
        metadata=CreateTunedModelMetadata(
            total_steps=total,
            completed_steps=completed,
            completed_percent=round(100 * completed / total, 2) if total else 0.0,
            snapshots=shown,
            tuned_model=JOB,
        ),
        done=done,
        error=Status(code=error, message="said the server") if error is not None else None,
        response=response,
    )


def see_operation(seconds, shown=(), **facts):
    return observe_operation(operation(shown, **facts), now(seconds))


def see_model(seconds, state="CREATING", shown=(), **facts):
    return observe_model(tuned_model(state, shown, **facts), now(seconds))


def see_list(seconds, state="CREATING", **facts):
    (entry,) = _listed([tuned_model(state, **facts)])
    return entry.seen(now(seconds))
