"""The journal of a batch: one JSONL file to which every outcome is written before anybody learns of it.

Two threads meet here. The event loop puts lines into a buffer and never waits. A worker thread takes them, writes them
in one go, and counts them, all under one lock, so that a wait that is cancelled neither loses lines nor writes them
twice. A write happens whole or not at all: what a full disk left of it is cut off again, which is why the file's size
is known here and not asked for.

The promise is the order: ``write`` before publication, ``fdatasync`` within 0.1 s (``durability="batch"``), or before
publication (``"sync"``). A kill at any point leaves a prefix of whole lines and at most one torn tail, which ``open``
cuts off. SQLite's write-ahead log and Kafka's segments recover in the same way: checksum by checksum, up to the first
torn record at the end.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs

from gemtune.batch.acceptance import Acceptance
from gemtune.batch.journal.lines import HEADER, Header, Record
from gemtune.batch.journal.locked import LockedFile, SharedFile, journal_error
from gemtune.batch.journal.parts import SentParts
from gemtune.batch.journal.reading import UNREADABLE, check_header, not_an_outcome, read_lines
from gemtune.batch.journal.sent import Line, PartNote, SentItem
from gemtune.batch.keys import Key, Keys, Span

_RESUME: Final = "make room or repair the disk, then run it again to resume from what is in it"
_BUFFER: Final = 32 * 1024
_MOVED: Final = "what it held may be lost, so look for a copy of it, or run again with a new journal"


@attrs.define(eq=False)
class Journal:
    """A journal that this process alone writes: ``open`` it, ``close`` it.

    ``open``, ``flush`` and ``sync`` block and belong into a worker thread; ``append`` and ``close`` do not. Whoever
    waits for the thread may be cancelled, so ``close`` may come while it works: the thread then lets go of the file.

    Args:
        path: The file.
        header: What a journal of this batch begins with.
        keys: What learns which items it holds.
        parts: What learns which items were sent and have no outcome.
        keep_failed: Whether items that failed count as held.
        acceptance: Which replies count as held.
        written: How many of the lines that were appended are in the file.
    """

    path: Path = attrs.field(converter=Path)
    header: Header
    keys: Keys
    parts: SentParts
    keep_failed: bool = False
    acceptance: Acceptance = attrs.field(factory=Acceptance)
    written: int = attrs.field(default=0, init=False)
    _appended: int = attrs.field(default=0, init=False)
    _shared: SharedFile = attrs.field(factory=SharedFile, init=False, repr=False)
    _lines: list[bytes] = attrs.field(factory=list, init=False, repr=False)

    def open(self) -> None:
        """Open the file, or begin one; cut off what a crash has torn, and learn what it holds.

        Raises:
            JournalBusy: Somebody else has it open.
            JournalCorrupt: Its middle was changed.
            JournalMismatch: It belongs to another model or configuration, or is not a journal that this version knows.
            JournalError: It cannot be read or written.
        """
        try:
            with self._working():
                self.path = self.path.absolute()  # the process may change its folder during the run
                self._shared.file = file = LockedFile.open(self.path)
                self._load(file)
        except OSError as error:
            self.close()
            raise journal_error(self.path, f"cannot be used: {error.strerror}") from None
        except BaseException:
            self.close()
            raise

    def close(self, *, wait: bool = False) -> None:
        """Let go of the file; the buffer is not written.

        Args:
            wait: Whether to wait for a thread that is at work, which then lets go of it at its next line; blocks.
        """
        self._shared.close(wait=wait)

    def append(self, line: bytes) -> int:
        """Put a line into the buffer, without waiting; return its number, to be compared with ``written``."""
        self._lines.append(line)
        self._appended += 1
        return self._appended

    def read(self, spans: Iterable[Span]) -> list[bytes]:
        """Return lines that it held when it was opened; blocks.

        Raises:
            JournalError: It cannot be read.
        """
        with self._working():
            try:
                # A reader for each lot and under the lock: what is appended moves the position that both share.
                with open(self._opened.fd, "rb", buffering=_BUFFER, closefd=False) as content:
                    return [content.read(span.length) for span in spans if content.seek(span.offset) >= 0]
            except OSError as error:
                raise journal_error(self.path, f"cannot be read: {error.strerror}") from None

    @property
    def dirty(self) -> bool:
        """Whether something written is not yet known to be on the disk."""
        file = self._shared.file
        return file is not None and file.synced < file.size

    def flush(self) -> None:
        """Write the buffer; blocks.

        Raises:
            JournalError: It could not be written, all or nothing; the buffer is kept.
        """
        with self._working():
            file = self._opened
            lines = self._lines[:]  # the loop may append meanwhile
            if not lines:
                return
            self._check(file)
            try:
                file.append(b"".join(lines))
            except OSError as error:
                raise journal_error(self.path, f"could not be written: {error.strerror}; {_RESUME}") from None
            # Both under the lock and without a wait between them: counted is what is in the file, once.
            self.written += len(lines)
            del self._lines[: len(lines)]

    def sync(self) -> None:
        """Wait until everything written is on the disk.

        Raises:
            JournalError: The disk failed, which is final for this file, or the file was replaced.
        """
        with self._working():
            file = self._opened
            self._check(file)
            try:
                file.sync()
            except OSError as error:
                raise journal_error(self.path, f"is not safe on the disk: {error.strerror}; {_RESUME}") from None

    def check(self) -> None:
        """Look whether the file is still what was written; blocks.

        Raises:
            JournalError: Somebody has deleted, replaced, cut or changed it, so that results may be lost.
        """
        with self._working():
            self._check(self._opened)

    def _check(self, file: LockedFile) -> None:
        """Refuse to write on in a file that is not ours any more: the results would go nowhere."""
        try:
            changed = file.changed()
        except OSError as error:
            changed = f"cannot be looked at: {error.strerror}"
        if changed:
            raise journal_error(self.path, f"{changed}; {_MOVED}")

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        with self._shared.working():
            if self._shared.closed:
                raise journal_error(self.path, "is closed")
            yield

    @property
    def _opened(self) -> LockedFile:
        if self._shared.file is None:
            raise journal_error(self.path, "is not open")
        return self._shared.file

    def _load(self, file: LockedFile) -> None:
        with open(file.fd, "rb", closefd=False) as content:
            content.seek(0)
            first = content.readline()
            if is_torn_header(first):
                file.begin(self.header.to_line())
                return
            check_header(self.header, first, self.path)
            file.size = file.synced = len(first)
            self.keys.hold(self._held(file, read_lines(content, len(first), self.path)))
            self.parts.loaded(os.fstat(file.fd).st_mtime)
        os.ftruncate(file.fd, file.size)  # a torn tail: the next line must not be appended to half of another

    def _held(
        self, file: LockedFile, lines: Iterator[tuple[int, int, Line]]
    ) -> Iterator[tuple[int, Key | None, int, Span]]:
        for offset, length, record in lines:
            if self._shared.closed:
                raise journal_error(self.path, "is closed")
            file.size = file.synced = offset + length
            if not isinstance(record, Record):
                self._note(record)
                continue
            self.parts.answered(record.index, record.own_key)
            if self.keep_failed or is_answer(record, self.acceptance, self.path, offset):
                yield record.index, record.own_key, record.digest, Span(offset, length)

    def _note(self, line: SentItem | PartNote) -> None:
        if isinstance(line, SentItem):
            self.parts.sent(line.mark, line.n, line.own_key, line.digest)
        else:
            self.parts.note(line.mark, line.count, line.state, line.input, line.batch)


def is_answer(record: Record, acceptance: Acceptance, path: str | os.PathLike[str], offset: int) -> bool:
    """Return whether an outcome is an answer, so that its item is not asked again.

    Raises:
        JournalCorrupt: The line holds no outcome.
    """
    if not record.ok:
        return False
    # Without the caller's own rule only an empty reply is none, and that is short: no other has to be parsed.
    if acceptance.accept is None and b'"parts":[{"' in record.body and b'"text":""' not in record.body:
        return True
    try:
        response = record.to_result().response
    except UNREADABLE:
        raise not_an_outcome(path, offset) from None
    return response is not None and acceptance.holds(response)


def is_torn_header(first: bytes) -> bool:
    """Return whether a file is empty, or was torn while its first line was written: there is nothing to lose in it."""
    torn = not first.endswith(b"\n") and HEADER.startswith(first[: len(HEADER)])
    return torn and b'{"n":' not in first  # that would be a journal which has lost its line ends
