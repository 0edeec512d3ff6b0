"""Batches that the service runs on its side, for half the price and within a day, on whichever service.

The Gemini API calls one a ``GenerateContentBatch`` in an operation, Vertex AI a ``BatchPredictionJob``. Both say
where it stands, how many of its requests have an answer, and where input and results lie. So there is one
value for both, in one set of words.
"""

from __future__ import annotations

from typing import Final

import attrs

from gemtune.types.message import EMPTY, Json
from gemtune.types.openenum import OpenEnum
from gemtune.types.operations import Status
from gemtune.types.reply import GenerateContentResponse
from gemtune.types.timestamp import Timestamp

__all__ = ["BatchCounts", "BatchReply", "BatchState", "GenerateContentBatch"]

_PREFIXES: Final = ("BATCH_STATE_", "JOB_STATE_")


class BatchState(OpenEnum):
    """The state of a batch, in the words that both services use behind their prefixes.

    A word that this version does not know is kept, and is not terminal.
    """

    UNSPECIFIED = "UNSPECIFIED"
    QUEUED = "QUEUED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    UPDATING = "UPDATING"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    """Done; some of its requests may have failed all the same."""
    PARTIALLY_SUCCEEDED = "PARTIALLY_SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    """What was finished before may have results."""
    EXPIRED = "EXPIRED"
    """The service did not get to it in time."""

    @classmethod
    def of(cls, word: str) -> BatchState:
        """Return the state that a service means by ``BATCH_STATE_RUNNING`` or ``JOB_STATE_RUNNING``."""
        for prefix in _PREFIXES:
            word = word.removeprefix(prefix)
        return cls(word or "UNSPECIFIED")

    @property
    def terminal(self) -> bool:
        """Whether the batch has ended."""
        return self in _ENDS


_ENDS: Final = frozenset(
    {
        BatchState.SUCCEEDED,
        BatchState.PARTIALLY_SUCCEEDED,
        BatchState.FAILED,
        BatchState.CANCELLED,
        BatchState.EXPIRED,
    }
)


@attrs.frozen(kw_only=True)
class BatchCounts:
    """How many requests of a batch are where, as far as the service says.

    Args:
        total: All of them; 0 while unknown, which on Vertex AI is until they have been read.
        successful: Those with a reply.
        failed: Those with an error.
        pending: Those without either so far.
    """

    total: int = 0
    successful: int = 0
    failed: int = 0
    pending: int = 0

    @property
    def finished(self) -> int:
        """Those with a reply or an error."""
        return self.successful + self.failed

    def to_dict(self) -> dict[str, int]:
        """Return it as JSON values."""
        return attrs.asdict(self)


@attrs.frozen(kw_only=True)
class GenerateContentBatch:
    """One batch as the service shows it.

    Args:
        name: ``batches/{id}``, or ``projects/P/locations/L/batchPredictionJobs/{id}``.
        display_name: What people call it.
        model: The model that it asks.
        state: Where it stands.
        service_state: The service's own word for that, such as ``BATCH_STATE_RUNNING``.
        counts: How many of its requests are where.
        create_time: When it was created.
        start_time: When the service began with it (Vertex AI).
        update_time: When it last changed.
        end_time: When it ended.
        input: Where its requests lie: ``files/{id}`` or ``gs://...``; empty if they came with its creation.
        output: Where its results lie: ``files/{id}``, or the ``gs://`` folder of the results; empty as long as there
            are none, or if they stand in ``replies``.
        replies: Its results, if they came with it (only ``get`` brings them, and only for requests given inline).
        error: Why it failed.
        labels: Its labels (Vertex AI).
        extra: What else the service says, as plain JSON.
    """

    name: str
    display_name: str = ""
    model: str = ""
    state: BatchState = BatchState.UNSPECIFIED
    service_state: str = ""
    counts: BatchCounts = BatchCounts()
    create_time: Timestamp | None = None
    start_time: Timestamp | None = None
    update_time: Timestamp | None = None
    end_time: Timestamp | None = None
    input: str = ""
    output: str = ""
    replies: tuple[BatchReply, ...] = attrs.field(default=(), repr=False)
    error: Status | None = None
    labels: Json = attrs.field(default=EMPTY, hash=False)
    extra: Json = attrs.field(default=EMPTY, hash=False, repr=False)

    @property
    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.state.terminal


@attrs.frozen(kw_only=True)
class BatchReply:
    """One line of a batch's results: what became of one request.

    Args:
        key: The key that was sent with the request; None if the service gives none back. Its position says nothing.
        response: The reply, or None.
        error: Why there is none; None if there is one.
    """

    key: str | None
    response: GenerateContentResponse | None = None
    error: Status | None = None
