"""BatchJob: a handle on a batch that the service runs. What all handles have stands in ``handle.py``.

Results are downloaded to a temporary file first, and read from there line by line: the connection does not wait for a
slow reader, a broken download is resumed, and memory is the same for ten results and ten million.
"""

from __future__ import annotations

import tempfile
import weakref
from typing import IO, TYPE_CHECKING, Any, Final

import anyio.lowlevel
import anyio.to_thread
import attrs

from gemtune import events
from gemtune.events import TerminalEvent
from gemtune.jobs.handle import JobHandle
from gemtune.jobs.outcomes import failure
from gemtune.looks.follower import Follower
from gemtune.protocol.status import error_within
from gemtune.resources.batches.service import BatchService
from gemtune.types.batches import BatchCounts, BatchReply, BatchState, GenerateContentBatch

if TYPE_CHECKING:
    from gemtune.batch import BatchResult

_CHUNK: Final = 1 << 20
"""Bytes of results that are read from the file at a time."""


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

        Each result has the key of its request, as a string; as a number, if this client created the batch and all its
        keys were numbers, or there were none. They come in no order. A batch that was cancelled or has expired has the
        results of what was answered before.

        Example:
            >>> async for result in client.job("batches/abc").results():
            ...     print(result.key, result.text_or_none)
        """
        return BatchJobResults(self._follower, self._service, self._numbered)

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
    _service: BatchService
    _numbered: bool
    _file: IO[bytes] | None = attrs.field(default=None, init=False)
    _lines: list[bytes] = attrs.field(factory=list, init=False)
    _over: bool = attrs.field(default=False, init=False)

    def __aiter__(self) -> BatchJobResults:
        return self

    async def __anext__(self) -> BatchResult:
        """Return the next result; the first waits for the end of the batch, and for its results to be downloaded.

        Raises:
            BatchJobError: The batch failed as a whole, or cannot be seen any more.
            CallError: The results could not be downloaded; iterate again to try again.
        """
        while not self._lines:
            if self._over:
                raise StopAsyncIteration
            if self._file is None:
                self._file = await self._downloaded()
            # Reversed, because a list is quick at its end only.
            self._lines = (await anyio.to_thread.run_sync(self._file.readlines, _CHUNK))[::-1]
            if not self._lines:
                await self.aclose()
        await anyio.lowlevel.checkpoint()
        return result_of(self._service.read_line(self._lines.pop()), numbered=self._numbered)

    async def aclose(self) -> None:
        """Let go of the downloaded file; nothing more is read."""
        self._over, self._lines = True, []
        if self._file is not None:
            self._file.close()

    async def _downloaded(self) -> IO[bytes]:
        name = self._follower.history.name
        outcome = await self._follower.outcome()
        if isinstance(outcome, events.Lost | events.Deleted):
            raise failure(name, outcome)
        batch = await self._service.get(name)
        file: IO[bytes] = await anyio.to_thread.run_sync(_opened)
        weakref.finalize(self, file.close)
        try:
            size = await self._service.fetch(batch, file)
        except BaseException:
            file.close()
            raise
        if not size and isinstance(outcome, events.Failed):
            file.close()
            raise failure(name, outcome)
        await anyio.to_thread.run_sync(file.seek, 0)
        return file


def _opened() -> IO[bytes]:
    return tempfile.TemporaryFile()


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
