"""Between outcome and publication: the journal. One trip to a thread serves all results of a moment.

A trip costs as much as ten lines, and a sync of the disk far more. So results pile up for 20 ms before they are written
together, and the disk is waited for every 100 ms, once for all that came in. Between
an outcome and the buffer nothing is awaited: a reply that was paid for is in the buffer, or it was never received.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import anyio
import anyio.to_thread
import attrs

from gemtune.batch.journal.file import Journal
from gemtune.batch.journal.lines import record_line
from gemtune.batch.keys import Key
from gemtune.batch.outbox import Outbox
from gemtune.batch.result import BatchResult
from gemtune.errors import JournalError
from gemtune.resources.given import Durability

_PILE_UP: Final = 0.02
"""Seconds for which results are let pile up before they are written: a trip to a thread costs as much as ten lines."""
_SYNC_EVERY: Final = 0.1


@attrs.define(eq=False)
class JournalWriter:
    """Writes results to the journal and then hands them on.

    Args:
        journal: Where to.
        outbox: Where they are published.
        durability: ``sync``: published once they are on the disk; ``batch``: on the disk within 0.1 s; ``none``: when
            the system writes its cache.
        failed: Called with an error, which is final.
    """

    journal: Journal
    outbox: Outbox
    durability: Durability
    failed: Callable[[JournalError], None]
    _error: JournalError | None = attrs.field(default=None, init=False)
    _held: deque[tuple[int, int, BatchResult]] = attrs.field(factory=deque, init=False, repr=False)
    _news: anyio.Event = attrs.field(factory=anyio.Event, init=False, repr=False)

    def __len__(self) -> int:
        """Return how many results wait."""
        return len(self._held)

    def put(self, position: int, result: BatchResult, key: Key | None, digest: int) -> None:
        """Take in a result; its line is in the buffer when this returns, and nothing was awaited."""
        number = self.journal.append(record_line(result, key, digest))
        self._held.append((number, position, result))
        self._news.set()

    async def record(self, lines: bytes, *, on_disk: bool) -> None:
        """Write lines that are no outcomes, and wait until they are in the file.

        Args:
            lines: Whole lines.
            on_disk: Whether to wait until they are on the disk, whatever the durability of results is.

        Raises:
            JournalError: They could not be written, which is final.
        """
        self.journal.append(lines)
        try:
            await anyio.to_thread.run_sync(self._record, on_disk)
        except JournalError as error:
            self._break(error)
            raise

    async def run(self) -> None:
        """Write what comes in, until cancelled; ``finish`` writes the rest."""
        synced = anyio.current_time()
        try:
            while True:
                # With nothing written since the last sync, wait for news without an end: an idle run costs nothing.
                late = self.durability == "batch" and self.journal.dirty
                with anyio.move_on_at(synced + _SYNC_EVERY if late else float("inf")):
                    await self._news.wait()
                if self._held:
                    await anyio.sleep(_PILE_UP)
                if self._news.is_set():
                    self._news = anyio.Event()  # before the write, so that what comes during it is news again
                    await self._write()
                if late and anyio.current_time() >= synced + _SYNC_EVERY:
                    await anyio.to_thread.run_sync(self.journal.sync)
                    synced = anyio.current_time()
        except JournalError as error:
            self._break(error)

    async def finish(self) -> None:
        """Write and sync what is left; a final error gets the results that were not published.

        The journal stays open, and with it locked, for an export. In ``batch`` what is written is published, even if
        the last sync then fails.
        """
        try:
            if self._error is None:
                await self._write()
                await anyio.to_thread.run_sync(self._end)
        except JournalError as error:
            self._break(error)
        if self._error is not None:
            self._error.unsaved = tuple(result for *_, result in self._held)

    def close(self) -> None:
        """Let go of the journal, without waiting: here a second cancellation could come between."""
        self.journal.close()

    def _end(self) -> None:
        if self.durability == "batch" and self.journal.dirty:
            self.journal.sync()
        self.journal.check()

    async def _write(self) -> None:
        """Write what has come in, and publish what is written."""
        if not self._held:
            return
        await anyio.to_thread.run_sync(self._flush)
        # By number and not by count: a write that was cancelled may have happened all the same.
        while self._held and self._held[0][0] <= self.journal.written:
            _, position, result = self._held.popleft()
            self.outbox.put(position, result)

    def _record(self, on_disk: bool) -> None:
        self.journal.flush()
        if on_disk:
            self.journal.sync()

    def _flush(self) -> None:
        self.journal.flush()
        if self.durability == "sync" and self.journal.dirty:
            self.journal.sync()

    def _break(self, error: JournalError) -> None:
        self._error = error
        self.failed(error)
