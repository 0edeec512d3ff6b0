"""BatchJob: a handle on a batch that the service runs. What all handles have stands in ``handle.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from gemtune import events
from gemtune.errors import NotFound
from gemtune.events import TerminalEvent
from gemtune.jobs.handle import JobHandle
from gemtune.jobs.outcomes import failure
from gemtune.looks.follower import Follower
from gemtune.protocol.status import error_within
from gemtune.resources.batches.replies import BatchReplies
from gemtune.resources.batches.service import BatchService
from gemtune.types.batches import BatchCounts, BatchReply, BatchState, GenerateContentBatch

if TYPE_CHECKING:
    from gemtune.batch import BatchResult


@attrs.frozen(eq=False, repr=False)
class BatchJob(JobHandle[BatchState, GenerateContentBatch]):
    """A handle on one batch that the service runs: await it, iterate over its events and results, cancel it.

    ``await job`` returns the GenerateContentBatch, or raises BatchJobFailed, BatchJobCancelled, BatchJobExpired or
    BatchJobLost. Requests that fail one by one are results, and no error. ``client.job(name)`` returns a handle on a
    batch that another process created.

    Example:
        >>> job = await client.batches.create("gemini-3.7-flash", {"a": "one", "b": "two"})
        >>> async for result in job.results():
        ...     print(result.key, result.text)
    """

    _service: BatchService
    _numbered: bool = False
    """Whether all keys are numbers, because those who created it gave numbers or none."""

    def __repr__(self) -> str:
        counts = self.counts
        failed = f", {counts.failed} failed" if counts.failed else ""
        return f"<BatchJob {self.name} {self.state} {counts.finished}/{counts.total or '?'} requests{failed}>"

    @property
    def batch(self) -> GenerateContentBatch | None:
        """The batch as the last look showed it, without its replies; None as long as nobody has looked."""
        match self._seen.outcome:
            case events.Completed(batch=batch) | events.Failed(batch=batch) | events.Cancelled(batch=batch) if batch:
                return batch
        return self._follower.known.standing.batch

    @property
    def state(self) -> BatchState:
        """The state."""
        return BatchState.UNSPECIFIED if self.batch is None else self.batch.state

    @property
    def model(self) -> str | None:
        """The model that is asked; None while unknown."""
        return self._follower.known.about.base_model

    @property
    def counts(self) -> BatchCounts:
        """How many requests are where; all zero while unknown."""
        return self._seen.headway.counts or BatchCounts()

    def results(self) -> BatchJobResults:
        """Return an iterator over the results, which waits for the end of the batch.

        They are downloaded to a temporary file first, so that memory is the same for ten and ten million.

        Each result has the key of its request, as a string; as a number, if this client created the batch and all its
        keys were numbers, or there were none. They come in no order. A batch that was cancelled or has expired has the
        results of what was answered before.

        Example:
            >>> async for result in client.job("batches/abc").results():
            ...     print(result.key, result.text_or_none)
        """
        return BatchJobResults(self._follower, BatchReplies(self._service, self.name, None), self._numbered)

    async def delete(self) -> None:
        """Remove the batch from the service's list, with its results; one that still runs is ended.

        Raises:
            CallError: It was not deleted.
        """
        await self._service.delete(self.name)

    def _result_of(self, outcome: TerminalEvent) -> GenerateContentBatch:
        if isinstance(outcome, events.Completed):
            return outcome.batch
        raise failure(self.name, outcome)


@attrs.define(eq=False)
class BatchJobResults:
    """The results of one batch: a plain async iterator, which you may leave and continue at any time."""

    _follower: Follower
    _replies: BatchReplies
    _numbered: bool
    _outcome: TerminalEvent | None = attrs.field(default=None, init=False)

    def __aiter__(self) -> BatchJobResults:
        return self

    async def __anext__(self) -> BatchResult:
        """Return the next result; the first waits for the end of the batch, and for its results to be downloaded.

        Raises:
            BatchJobError: The batch failed as a whole, or cannot be seen any more.
            CallError: The results could not be downloaded; iterate again to try again.
        """
        name = self._follower.history.name
        if self._outcome is None:
            self._outcome = await self._follower.outcome()
        if isinstance(self._outcome, events.Lost | events.Deleted):
            raise failure(name, self._outcome)
        try:
            reply = await anext(self._replies)
        except NotFound as error:
            if not isinstance(self._outcome, events.Completed):
                raise failure(name, self._outcome) from error
            raise
        return result_of(reply, numbered=self._numbered)

    async def aclose(self) -> None:
        """Let go of the downloaded results; nothing more is read."""
        await self._replies.aclose()


def result_of(reply: BatchReply, *, numbered: bool = False) -> BatchResult:
    """Return what became of one request of a batch.

    Args:
        reply: What the line says.
        numbered: Whether all keys are numbers.
    """
    from gemtune.batch import BatchResult  # whoever creates a batch need not load the engine that runs one here

    key: str | int = reply.key or ""
    if numbered and isinstance(key, str) and key.isascii() and key.isdigit():
        key = int(key)
    facts: dict[str, Any] = {"response": reply.response}
    if reply.response is None:
        facts["error"] = error_within(reply.error, f"request {key!r}")
    return BatchResult(key=key, index=key if isinstance(key, int) else -1, **facts)
