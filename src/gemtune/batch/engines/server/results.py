"""The results of a batch, in a temporary file: each line is checked before any is used, then read by its offset."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from io import BytesIO
from typing import IO, Final

import attrs

from gemtune.batch.engines.server.filling import parsed_key, spooling
from gemtune.batch.journal.parts import Matched, SentPart, SentParts, SentRow
from gemtune.batch.journal.reading import AT_ONCE, unless_cancelled
from gemtune.resources.batches.service import BatchService
from gemtune.resources.uploads.held import Held
from gemtune.types.batches import BatchReply

_LOT_BYTES: Final = 8 * 1024 * 1024


def _opened() -> AbstractContextManager[IO[bytes]]:
    return closing(tempfile.TemporaryFile())


@attrs.define(eq=False)
class Results:
    """The lines that came back of a batch. Its methods block.

    Args:
        service: Says what a line means.
        ending: How the batch has ended, in the service's words.
        said: What the service says about that.
        seconds: How long it took; 0 if that is not known.
        file: The lines; closed with ``close``.
    """

    service: BatchService
    ending: str = ""
    said: str = ""
    seconds: float = 0.0
    file: IO[bytes] = attrs.field(factory=BytesIO, init=False)
    _held: Held[IO[bytes]] = attrs.field(factory=lambda: Held(_opened), init=False, repr=False)

    def open(self) -> IO[bytes]:
        """Return an empty file for the lines."""
        with spooling():
            self.file = self._held.open()
        return self.file

    def check(self, part: SentPart, parts: SentParts) -> Matched:
        """Find the item of each line, and return how many have none: position is never trusted, nor a key alone."""
        strange = 0

        def lines() -> Iterator[tuple[int, int, int, bool]]:
            nonlocal strange
            for at, line in self._lines():
                reply = self.service.read_line(line)
                key = parsed_key(reply.key)
                if key is None:
                    strange += 1
                else:
                    yield *key, at, reply.response is None

        matched = parts.match(part, lines())
        return attrs.evolve(matched, unknown=matched.unknown + strange)

    def read(self, rows: Sequence[SentRow]) -> list[BatchReply | None]:
        """Return what the lines of items say, for as many as fit into 8 MiB, and None for an item without a line."""
        found: list[BatchReply | None] = []
        size = 0
        for row in rows:
            if size > _LOT_BYTES:
                break
            if row.at is None:
                found.append(None)
                continue
            self.file.seek(row.at)
            line = self.file.readline()
            size += len(line)
            found.append(self.service.read_line(line))
        return found

    def close(self) -> None:
        """Let go of the file, whichever thread is about to open it."""
        self._held.close()

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        self.file.seek(0)
        at = 0
        for number, line in enumerate(self.file):
            if number % AT_ONCE == 0:  # a Ctrl-C must not wait for a million lines
                unless_cancelled()
            if line.strip():
                yield at, line
            at += len(line)
