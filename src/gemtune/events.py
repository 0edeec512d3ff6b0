"""What jobs and watchers yield: frozen values, made to be matched.

::

    match event:
        case events.Snapshot(step=step, mean_loss=loss): ...
        case events.Succeeded(model=model): ...

Per job, snapshots come in the order in which they became visible, each once for its ``(job, attempt, step)``, and one
terminal event comes last. After you resume from a cursor an event may come again; a repeated snapshot has the same
``(job, attempt, step)``. Where a service says some values of a step late, or deploys checkpoints, each comes once, as
SnapshotUpdated and CheckpointReady.

A batch that the service runs is a job without snapshots: its Progress has ``counts``, and Completed is its good end.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import ClassVar, Final, Literal, TypeAlias

import attrs

from gemtune.plain import plain
from gemtune.rows.frames import rows_with
from gemtune.types.batches import BatchCounts, GenerateContentBatch
from gemtune.types.openenum import OpenEnum
from gemtune.types.operations import Status
from gemtune.types.timestamp import Timestamp
from gemtune.types.training import Checkpoint, Measured, SnapshotMetrics
from gemtune.types.tuning import TunedModel

__all__ = [
    "TERMINAL",
    "Added",
    "Bookmark",
    "Cancelled",
    "CheckpointReady",
    "Completed",
    "Degraded",
    "Deleted",
    "Event",
    "Failed",
    "JobState",
    "Lost",
    "LostReason",
    "Origin",
    "Progress",
    "Recovered",
    "Restarted",
    "Snapshot",
    "SnapshotUpdated",
    "StateChanged",
    "Succeeded",
    "TerminalEvent",
    "is_terminal",
]


# Fields that some services, or some kinds of jobs, say nothing in.
_SAID_BY_SOME: Final = ("service_state", "reason", "metrics", "counts", "batch")


class JobState(OpenEnum):
    """The state of a job, in the words that the service has for tuning, and in two for which it has none.

    A batch has more words for the same: CREATING until it ends, then ACTIVE, FAILED or CANCELLED.

    A word that this version does not know is kept (``JobState("PAUSED")``) and is never terminal.
    """

    UNKNOWN = "UNKNOWN"
    """Not seen yet, or the service did not say."""
    CREATING = "CREATING"
    """Waiting or training; of a batch, waiting or answering."""
    ACTIVE = "ACTIVE"
    """Done: you can use the model, or read the results."""
    FAILED = "FAILED"
    """Ended without a usable model; a batch, without having got to all of its requests."""
    CANCELLED = "CANCELLED"
    """Somebody cancelled it; an operation then ends with google.rpc code 1."""
    DELETED = "DELETED"
    """The tuned model or the batch no longer exists."""

    @property
    def terminal(self) -> bool:
        """Whether the job has ended."""
        return self in _TERMINAL_STATES


_TERMINAL_STATES: Final = frozenset({JobState.ACTIVE, JobState.FAILED, JobState.CANCELLED, JobState.DELETED})


class Origin(enum.StrEnum):
    """How a job came to be watched."""

    EXPLICIT = "explicit"
    """You named it."""
    DISCOVERED = "discovered"
    """It was found in a list."""
    RESUMED = "resumed"
    """A cursor named it."""
    RECREATED = "recreated"
    """A new model appeared under the name of a deleted one."""


class LostReason(enum.StrEnum):
    """Why a job can no longer be followed. None of them says anything about the job itself."""

    PERMISSION = "permission"
    """The service answers 403, and still does after a while."""
    NOT_FOUND = "not_found"
    """There never was such a job, as far as we can see."""
    REFUSED = "refused"
    """The service refuses the request as invalid."""
    DEADLINE = "deadline"
    """The time allowed for watching has run out."""
    GAVE_UP = "gave_up"
    """Too many looks failed."""
    DETACHED = "detached"
    """You stopped watching it."""


@attrs.frozen(kw_only=True)
class _Event:
    """What every event has.

    Args:
        job: The job's name, such as ``tunedModels/abc``; empty if the event concerns a watch as a whole.
        cursor: Where to resume once you have dealt with this event; it covers this job only. Snapshots, updates,
            checkpoints and terminal events before it are not repeated; Added, StateChanged, Restarted, Progress and
            outages may be.
        observed_at: When it was observed, by the local clock, in UTC.
    """

    kind: ClassVar[str]

    job: str
    cursor: str = attrs.field(repr=False)
    observed_at: datetime = attrs.field(repr=False)

    def to_dict(self) -> dict[str, object]:
        """Return the event as JSON values: enums as words, times as RFC 3339, a model as its name and dates.

        What only some services or jobs say is left out by the others: metrics, the service's words, a batch's counts.
        """
        fields = attrs.asdict(self, recurse=False)
        for name in _SAID_BY_SOME:
            if fields.get(name, "") is None:
                del fields[name]
        metrics = fields.pop("metrics", None)
        if isinstance(metrics, SnapshotMetrics):
            fields |= attrs.asdict(metrics)
        return {"kind": self.kind, **{name: plain(value) for name, value in fields.items()}}


@attrs.frozen(kw_only=True)
class Added(_Event):
    """The job is watched from now on."""

    kind: ClassVar[Literal["added"]] = "added"
    origin: Origin = Origin.EXPLICIT


@attrs.frozen(kw_only=True)
class StateChanged(_Event):
    """The service reports another state, or says something else of the same state.

    Args:
        old: The state before.
        new: The state now; the same, if only the service's own word or the reason has changed.
        service_state: The service's own word, such as ``JOB_STATE_PENDING``; None if it has none but ``new``.
        reason: What the job waits for or does in that state, in the service's words; None if it does not say.
    """

    kind: ClassVar[Literal["state_changed"]] = "state_changed"
    old: JobState
    new: JobState
    service_state: str | None = None
    reason: str | None = None


@rows_with("job", "step", "epoch", "mean_loss", "compute_time", "attempt")
@attrs.frozen(kw_only=True)
class Snapshot(Measured, _Event):
    """The metrics of one training step; a list of them makes a data frame.

    Args:
        step: The step, from 1.
        epoch: How often all of the data had been gone through after the step.
        mean_loss: The mean loss of the examples of this step; NaN if the service has not said it.
        compute_time: When the service computed it.
        attempt: Which run of the job it belongs to, from 1.
        late: Whether a later step was delivered before it.
        replayed: Whether it may have been delivered before: before you resumed, or to earlier subscribers.
        metrics: What else was measured; None on a service that measures the loss only, as the Gemini API does.
    """

    kind: ClassVar[Literal["snapshot"]] = "snapshot"
    step: int
    epoch: int
    mean_loss: float
    compute_time: Timestamp | None
    attempt: int = 1
    late: bool = False
    replayed: bool = False
    metrics: SnapshotMetrics | None = None


@attrs.frozen(kw_only=True)
class SnapshotUpdated(Measured, _Event):
    """The service has measured more of a step that was reported before, such as its loss on the validation data.

    Only what was missing is new; what was said once does not change.

    Args:
        step: The step, from 1.
        epoch: How often all of the data had been gone through after the step.
        mean_loss: The mean loss of the examples of this step; NaN if the service has not said it.
        compute_time: When the service computed the loss.
        attempt: Which run of the job it belongs to, from 1.
        replayed: Whether it may have been delivered before: before you resumed, or to earlier subscribers.
        metrics: All that is known of the step by now.
    """

    kind: ClassVar[Literal["snapshot_updated"]] = "snapshot_updated"
    step: int
    epoch: int
    mean_loss: float
    compute_time: Timestamp | None
    attempt: int = 1
    replayed: bool = False
    metrics: SnapshotMetrics | None = None


@attrs.frozen(kw_only=True)
class CheckpointReady(_Event):
    """A checkpoint is deployed: the model as it was at that point of its training can be asked.

    Args:
        checkpoint: The checkpoint.
    """

    kind: ClassVar[Literal["checkpoint_ready"]] = "checkpoint_ready"
    checkpoint: Checkpoint


@attrs.frozen(kw_only=True)
class Progress(_Event):
    """How far the job is. Only the latest matters.

    Args:
        completed_steps: Steps done in this attempt; of a batch, requests with a reply or an error.
        total_steps: Steps or requests in all; None if only the model could be asked, which does not say.
        percent: As the service reports it, otherwise computed; None without a total.
        eta: Seconds until the last step or request, at the pace of the last snapshots or requests; None while unknown.
        counts: How many requests of a batch are where; None of a tuning job.
    """

    kind: ClassVar[Literal["progress"]] = "progress"
    completed_steps: int
    total_steps: int | None
    percent: float | None
    eta: float | None
    counts: BatchCounts | None = None


@attrs.frozen(kw_only=True)
class Restarted(_Event):
    """The service started the training over; the snapshots that follow belong to the new attempt."""

    kind: ClassVar[Literal["restarted"]] = "restarted"
    attempt: int


@attrs.frozen(kw_only=True)
class Succeeded(_Event):
    """The job is done, and you can use the model."""

    kind: ClassVar[Literal["succeeded"]] = "succeeded"
    model: TunedModel


@attrs.frozen(kw_only=True)
class Completed(_Event):
    """The batch is done, and ``client.job(name).results()`` brings its results; single requests may have failed."""

    kind: ClassVar[Literal["completed"]] = "completed"
    batch: GenerateContentBatch


@attrs.frozen(kw_only=True)
class Failed(_Event):
    """The job ended without a usable model; a batch failed as a whole, or was not done in time.

    Args:
        error: Why; None if the service gave no reason.
        batch: The batch, which may have results all the same; None of a tuning job.
    """

    kind: ClassVar[Literal["failed"]] = "failed"
    error: Status | None
    batch: GenerateContentBatch | None = None

    @property
    def reason(self) -> str:
        """The service's own words; empty if it gave none."""
        return self.error.message if self.error is not None else ""


@attrs.frozen(kw_only=True)
class Cancelled(_Event):
    """The job was cancelled, by you or by somebody else; a ``batch`` may have results all the same."""

    kind: ClassVar[Literal["cancelled"]] = "cancelled"
    batch: GenerateContentBatch | None = None


@attrs.frozen(kw_only=True)
class Deleted(_Event):
    """The tuned model or the batch no longer exists; confirmed by a second look, or by a new model under its name."""

    kind: ClassVar[Literal["deleted"]] = "deleted"


@attrs.frozen(kw_only=True)
class Lost(_Event):
    """The job can no longer be followed. The job itself may continue.

    Args:
        reason: Why.
        message: The words of the last error; empty if there was none.
    """

    kind: ClassVar[Literal["lost"]] = "lost"
    reason: LostReason
    message: str = ""


@attrs.frozen(kw_only=True)
class Degraded(_Event):
    """Looks at the service are failing and are being retried. The job itself is unaffected.

    Args:
        error: The class of the last error, such as ``Unavailable``.
        message: Its words.
        status: Its HTTP status, if there was a reply.
        failures: How many looks failed in a row.
    """

    kind: ClassVar[Literal["degraded"]] = "degraded"
    error: str
    message: str
    status: int | None
    failures: int


@attrs.frozen(kw_only=True)
class Recovered(_Event):
    """A look succeeded again, ``downtime`` seconds after the first that failed."""

    kind: ClassVar[Literal["recovered"]] = "recovered"
    downtime: float


@attrs.frozen(kw_only=True)
class Bookmark(_Event):
    """A sign of life: nothing is waiting to be delivered."""

    kind: ClassVar[Literal["bookmark"]] = "bookmark"


TerminalEvent: TypeAlias = Succeeded | Completed | Failed | Cancelled | Deleted | Lost
"""What comes last for a job."""

Event: TypeAlias = (
    Added
    | StateChanged
    | Snapshot
    | SnapshotUpdated
    | CheckpointReady
    | Progress
    | Restarted
    | TerminalEvent
    | Degraded
    | Recovered
    | Bookmark
)
"""Everything that a job or a watcher can yield."""

TERMINAL: Final = (Succeeded, Completed, Failed, Cancelled, Deleted, Lost)
"""The terminal events, for ``isinstance``."""


def is_terminal(event: Event) -> bool:
    """Return whether the event is its job's last."""
    return isinstance(event, TERMINAL)
