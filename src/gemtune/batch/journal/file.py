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
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from gemtune.batch.journal.lines import HEADER, Header, Record
from gemtune.batch.journal.reading import OTHER_JOURNAL, read_header, read_lines
from gemtune.batch.keys import Keys
from gemtune.errors import JournalBusy, JournalError, JournalMismatch
from gemtune.protocol.codec import loads

_FLAGS: Final = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_APPEND
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
)
_RESUME: Final = "make room or repair the disk, then run it again to resume from what is in it"
_sync_data = getattr(os, "fdatasync", os.fsync)


@attrs.define(eq=False)
class LockedFile:
    """A file that one process has open to append to. Everything here blocks, and raises OSError as the system does.

    Args:
        path: Its absolute path.
        fd: Its descriptor.
        size: How many of its bytes are known to be ours and whole.
        synced: How many of them are known to be on the disk.
    """

    path: Path
    fd: int
    size: int = 0
    synced: int = 0

    @classmethod
    def open(cls, path: Path) -> LockedFile:
        """Open it, and make it with mode 0600 if it is not there.

        Raises:
            JournalBusy: Somebody else has it open.
            JournalError: It is not a regular file.
        """
        file = cls(path, os.open(path, _FLAGS, 0o600))
        try:
            if not stat.S_ISREG(os.fstat(file.fd).st_mode):
                raise journal_error(path, "is not a regular file")
            try:
                _exclusive(file.fd)
            except OSError:
                busy = f"the journal {path} is being written by another batch: wait for it, or name another file"
                raise JournalBusy(busy, path=str(path)) from None
        except BaseException:
            file.close()
            raise
        return file

    def begin(self, data: bytes) -> None:
        """Make this the whole content, on the disk under its name."""
        os.ftruncate(self.fd, 0)
        self._write(data)
        os.fsync(self.fd)
        self.size = self.synced = len(data)
        sync_folder(self.path.parent)

    def append(self, data: bytes) -> None:
        """Append all of it or nothing."""
        try:
            self._write(data)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self.fd, self.size)
            raise
        self.size += len(data)

    def sync(self) -> None:
        """Wait until what was appended is on the disk."""
        size = self.size
        _sync_data(self.fd)
        self.synced = size

    @property
    def replaced(self) -> bool:
        """Whether another file has its name by now."""
        ours, there = os.fstat(self.fd), self.path.stat()
        return (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino)

    def close(self) -> None:
        """Let go of it, and of its lock."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self.fd, left) :]


@attrs.define(eq=False)
class Journal:
    """A journal that this process alone writes: ``open`` it, ``close`` it.

    ``open``, ``flush`` and ``sync`` block and belong into a worker thread; ``append`` and ``close`` do not. Whoever
    waits for the thread may be cancelled, so ``close`` may come while it works: the thread then lets go of the file.

    Args:
        path: The file.
        header: What a journal of this batch begins with.
        keys: What learns which items it holds.
        keep_failed: Whether items that failed count as held.
        written: How many of the lines that were appended are in the file.
    """

    path: Path = attrs.field(converter=Path)
    header: Header
    keys: Keys
    keep_failed: bool = False
    written: int = attrs.field(default=0, init=False)
    _appended: int = attrs.field(default=0, init=False)
    _file: LockedFile | None = attrs.field(default=None, init=False)
    _lines: list[bytes] = attrs.field(factory=list, init=False, repr=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    _closed: bool = attrs.field(default=False, init=False)

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
                self.path = self.path.absolute()
                self._file = LockedFile.open(self.path)
                self._load(self._file)
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
        self._closed = True
        if self._lock.acquire(blocking=wait):  # else the thread that holds it looks after its work
            try:
                if self._file is not None:
                    self._file.close()
                    self._file = None
            finally:
                self._lock.release()

    def append(self, line: bytes) -> int:
        """Put a line into the buffer, without waiting; return its number, to be compared with ``written``."""
        self._lines.append(line)
        self._appended += 1
        return self._appended

    @property
    def dirty(self) -> bool:
        """Whether something written is not yet known to be on the disk."""
        file = self._file
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
            try:
                file.append(b"".join(lines))
            except OSError as error:
                raise journal_error(self.path, f"could not be written: {error.strerror}; {_RESUME}") from None
            self.written += len(lines)
            del self._lines[: len(lines)]

    def sync(self) -> None:
        """Wait until everything written is on the disk.

        Raises:
            JournalError: The disk failed, which is final for this file, or the file was replaced.
        """
        with self._working():
            file = self._opened
            try:
                before = file.synced
                file.sync()
                replaced = file.replaced
            except OSError as error:
                raise journal_error(self.path, f"is not safe on the disk: {error.strerror}; {_RESUME}") from None
            if replaced:
                file.synced = before
                what = "was replaced by another file while it was written; run again with a new journal"
                raise journal_error(self.path, what)

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        try:
            with self._lock:
                if self._closed:
                    raise journal_error(self.path, "is closed")
                yield
        finally:
            if self._closed:
                self.close()

    @property
    def _opened(self) -> LockedFile:
        if self._file is None:
            raise journal_error(self.path, "is not open")
        return self._file

    def _load(self, file: LockedFile) -> None:
        with open(file.fd, "rb", closefd=False) as content:
            content.seek(0)
            first = content.readline()
            if not first.endswith(b"\n") and HEADER.startswith(first[: len(HEADER)]):
                # Empty, or torn while its first line was written: there was never anything to lose in it.
                file.begin(self.header.to_line())
                return
            different = self.header.differs_from(read_header(first, self.path))
            if different:
                raise JournalMismatch(f"the journal {self.path} {different}", *OTHER_JOURNAL, path=str(self.path))
            file.size = file.synced = len(first)
            self.keys.hold(self._held(file, read_lines(content, len(first), self.path)))
        os.ftruncate(file.fd, file.size)

    def _held(
        self, file: LockedFile, lines: Iterator[tuple[int, int, Record]]
    ) -> Iterator[tuple[int, str | None, int]]:
        for offset, length, record in lines:
            if self._closed:
                raise journal_error(self.path, "is closed")
            file.size = file.synced = offset + length
            if record.ok or self.keep_failed:
                yield record.index, None if record.key is None else loads(record.key), record.digest


def journal_error(path: str | os.PathLike[str], what: str) -> JournalError:
    """Return an error that names its journal."""
    return JournalError(f"the journal {path} {what}", path=os.fspath(path))


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a loss of power."""
    if sys.platform == "win32":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _exclusive(fd: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
