"""What awaiting a job raises if it did not end well: a pure function of its name and its last event."""

from __future__ import annotations

from gemtune import events
from gemtune.errors import (
    BatchJobCancelled,
    BatchJobError,
    BatchJobExpired,
    BatchJobFailed,
    BatchJobLost,
    JobError,
    TuningCancelled,
    TuningError,
    TuningFailed,
    TuningLost,
)
from gemtune.events import TerminalEvent
from gemtune.protocol.names import is_batch_name
from gemtune.protocol.said import clean, unended
from gemtune.types.batches import BatchState
from gemtune.types.operations import Status


def failure(name: str, outcome: TerminalEvent) -> JobError:
    """Return what awaiting a job raises if it did not end well."""
    return _of_batch(name, outcome) if is_batch_name(name) else tuning_failure(name, outcome)


def tuning_failure(name: str, outcome: TerminalEvent) -> TuningError:
    """Return what awaiting a tuning job raises if it ended without a model."""
    match outcome:
        case events.Failed(error=error):
            reason, code, said = _why(error)
            return TuningFailed(f"tuning {name} failed{said}", job=name, reason=reason, code=code)
        case events.Cancelled():
            return TuningCancelled(f"tuning {name} was cancelled", job=name, code=1)
        case events.Deleted():
            return TuningLost(f"{name} was deleted before it was done", job=name, reason="deleted")
        case events.Lost():
            return TuningLost(_unseen(name, outcome), job=name, reason=str(outcome.reason))
    raise TypeError(f"{name} ended well: {outcome.kind}")


def _of_batch(name: str, outcome: TerminalEvent) -> BatchJobError:
    match outcome:
        case events.Failed(error=error, batch=batch):
            reason, code, said = _why(error)
            if batch is not None and batch.state == BatchState.EXPIRED:
                what = f"the service did not get to all of {name} in time; what it has answered are its results"
                return BatchJobExpired(what, job=name, reason=reason, code=code)
            return BatchJobFailed(f"{name} failed{said}", job=name, reason=reason, code=code)
        case events.Cancelled():
            what = f"{name} was cancelled; what was answered before are its results"
            return BatchJobCancelled(what, job=name, code=1)
        case events.Deleted():
            return BatchJobLost(f"{name} was deleted", job=name, reason="deleted")
        case events.Lost():
            return BatchJobLost(_unseen(name, outcome), job=name, reason=str(outcome.reason))
    raise TypeError(f"{name} ended well: {outcome.kind}")


def _why(error: Status | None) -> tuple[str | None, int | None, str]:
    """Return the service's words, its code, and how a sentence ends with them."""
    reason = clean(error.message) if error is not None and error.message else None
    said = f": {reason}" if reason else "; the service gave no reason"
    return reason, error.code if error is not None else None, said


def _unseen(name: str, outcome: events.Lost) -> str:
    said = f": {unended(clean(outcome.message))}" if outcome.message else ""
    return f"{name} cannot be seen any more ({outcome.reason}){said}; this says nothing about the job itself"
