"""What the journal holds, handed over once more: read back by its offset when the input brings the row.

A restarted program runs the same loop again, and expects every row in it once. So a row that the journal holds takes a
place in the outbox like any other, and its outcome comes from the file instead of from the service: no permit, no
request, no new line. Rows pile up while a lot is being read, as results do in front of the journal, so that one trip to
a thread serves hundreds of them. Their room in the outbox is taken before they are read, because the journal knows how
long their lines are: a file of large replies is replayed in as little memory as one of short ones.

Measured with 10^6 held rows of 400 bytes (Python 3.11, two shared and busy cores): 25 us of CPU a row, that is 40,000 a
second on a core of its own, in 60 MB whatever the number of rows. Two thirds of it read the line and make values of its
JSON; the rest is the digest of the row, two look-ups of its key, and the outbox.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import anyio
import anyio.to_thread
import attrs

from gemtune.batch.inputs import Item
from gemtune.batch.journal.file import Journal
from gemtune.batch.journal.lines import Record, checked
from gemtune.batch.journal.reading import UNREADABLE, not_an_outcome
from gemtune.batch.keys import Key, Span
from gemtune.batch.outbox import Outbox
from gemtune.batch.result import BatchResult
from gemtune.errors import JournalCorrupt, JournalError

_LOT: Final = 256
_LOT_BYTES: Final = 4 * 1024 * 1024


@attrs.define(eq=False)
class JournalReplay:
    """Hands over outcomes of earlier runs.

    Args:
        journal: Where they are.
        outbox: Where they go.
        failed: Called with an error, which is final.
    """

    journal: Journal
    outbox: Outbox
    failed: Callable[[JournalError], None]
    _met: deque[tuple[Item, Span]] = attrs.field(factory=deque, init=False, repr=False)
    _news: anyio.Event = attrs.field(factory=anyio.Event, init=False, repr=False)
    _broken: bool = attrs.field(default=False, init=False)

    def __len__(self) -> int:
        """Return how many are still to be read."""
        return len(self._met)

    def put(self, item: Item, span: Span) -> None:
        """Take in an item that the journal holds; nothing is awaited, and its room in the outbox is taken."""
        item.position = self.outbox.begin(span.length)
        self._met.append((item, span))
        self._news.set()

    async def run(self) -> None:
        """Hand over what comes in, until cancelled; ``finish`` hands over the rest."""
        while not self._broken:
            await self._news.wait()
            self._news = anyio.Event()  # before the read, so that what comes during it is news again
            await self.finish()

    async def finish(self) -> None:
        """Hand over everything that was met."""
        try:
            while self._met and not self._broken:
                lot = self._lot()
                results = await anyio.to_thread.run_sync(self._read, lot)
                # Only now: a read that was cancelled is made again by whoever finishes.
                for (item, span), result in zip(lot, results, strict=True):
                    self._met.popleft()
                    self.outbox.put(item.position, result, span.length)
        except JournalError as error:
            self._broken = True
            self.failed(error)

    def passed_over(self) -> list[BatchResult]:
        """Return the outcomes of the rows that were met and not handed over, in the order of the input; blocks.

        Raises:
            JournalError: The journal cannot be read, or was changed.
        """
        met = [*self.journal.keys.met()]
        lines = self.journal.read(span for _, span in met)
        return [self._result(line, span, place) for (place, span), line in zip(met, lines, strict=True)]

    def _lot(self) -> list[tuple[Item, Span]]:
        lot: list[tuple[Item, Span]] = []
        size = 0
        for met in self._met:
            size += met[1].length
            if lot and (size > _LOT_BYTES or len(lot) >= _LOT):
                break
            lot.append(met)
        return lot

    def _read(self, lot: list[tuple[Item, Span]]) -> list[BatchResult]:
        lines = self.journal.read(span for _, span in lot)
        return [
            self._result(line, span, item.index, item.name, item.digest)
            for (item, span), line in zip(lot, lines, strict=True)
        ]

    def _result(
        self, line: bytes, span: Span, place: int, key: Key | None = None, digest: int | None = None
    ) -> BatchResult:
        # Everything was checked when the journal was opened. Here somebody may have written into it since.
        record = Record.parse(line) if checked(line) else None
        if record is None or (digest is not None and record.digest != digest):
            raise _changed(self.journal, span)
        try:
            return record.to_result(place, key, replayed=True)
        except UNREADABLE:
            raise not_an_outcome(self.journal.path, span.offset) from None


def _changed(journal: Journal, span: Span) -> JournalCorrupt:
    """Return the error for a line that is not any more what it was when the journal was opened."""
    what = f"the journal {journal.path}: the line at byte {span.offset} was changed during the run; look for a copy"
    error = JournalCorrupt(what, path=str(journal.path))
    error.offset = span.offset
    return error
