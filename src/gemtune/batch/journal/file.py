"""The journal of a batch: one JSONL file to which every outcome is written before anybody learns of it.

Lines are put into the buffer by the event loop and written by a worker thread, which takes them and counts them under
one lock, so that a cancelled wait neither loses nor repeats any.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from gemtune.batch.journal.index import Index
from gemtune.batch.journal.lines import HEADER, Record, header_line, read_header, sound_lines
from gemtune.errors import JournalBusy, JournalCorrupt, JournalError, JournalMismatch
from gemtune.protocol.codec import loads

_FLAGS: Final = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_APPEND
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
)
_GO_ON: Final = "make room or mend the disk, and the same call goes on from what is in it"
_sync_data = getattr(os, "fdatasync", os.fsync)


@attrs.define(eq=False)
class Journal:
    """A journal to be written by this process alone: ``open`` it, ``close`` it.

    ``open``, ``recall``, ``flush`` and ``sync`` block and belong into a worker thread; ``append`` and ``close`` do
    not. Whoever waits for the thread may be cancelled, so ``close`` may come while it works: the thread then lets go
    of the file.

    Args:
        path: The file; it is made with mode 0600 if it is not there.
        model: The model that the batch asks.
        config: Digests of the settings that all items share.
        keep_failed: Whether items that failed count as done.
    """

    path: Path = attrs.field(converter=Path)
    model: str
    config: Mapping[str, str]
    keep_failed: bool = False
    failures: int = attrs.field(default=0, init=False)
    written: int = attrs.field(default=0, init=False)
    index: Index = attrs.field(init=False)
    _appended: int = attrs.field(default=0, init=False)
    _fd: int = attrs.field(default=-1, init=False)
    _size: int = attrs.field(default=0, init=False)
    _synced: int = attrs.field(default=0, init=False)
    _lines: list[bytes] = attrs.field(factory=list, init=False, repr=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    _closed: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        """Make an empty index."""
        self.index = Index(self.path.parent)

    def open(self) -> None:
        """Open the file, or begin one; cut off what a crash has torn, and learn what is done.

        Raises:
            JournalBusy: Somebody else has it open.
            JournalCorrupt: Its middle was changed.
            JournalMismatch: It is of another model or configuration, or no journal.
            JournalError: It cannot be read or written.
        """
        try:
            with self._working():
                self.path = self.path.absolute()
                self.index = Index(self.path.parent)
                self._fd = os.open(self.path, _FLAGS, 0o600)
                self._lock_file()
                self._load(header_line(self.model, self.config))
        except OSError as error:
            self.close()
            raise self._error(f"cannot be used: {error.strerror}") from None
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
                self.index.close()
                if self._fd >= 0:
                    os.close(self._fd)
                    self._fd = -1
            finally:
                self._lock.release()

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        try:
            with self._lock:
                if self._closed:
                    raise self._error("is closed")
                yield
        finally:
            if self._closed:
                self.close()

    def recall(self, n: int) -> None:
        """Bring into memory what the index knows of an ordinal; blocks.

        Raises:
            JournalError: The index, an unnamed file beside the journal, cannot be written or read.
        """
        with self._working():
            try:
                self.index.load(n)
            except OSError as error:
                raise self._error(
                    f"cannot be compared with the input, as its index, an unnamed file in {self.path.parent}, failed: "
                    f"{error.strerror}; make room there and run again"
                ) from None

    def append(self, line: bytes) -> int:
        """Put a line into the buffer, without waiting; return its number, to be compared with ``written``."""
        self._lines.append(line)
        self._appended += 1
        return self._appended

    @property
    def dirty(self) -> bool:
        """Whether something written is not yet known to be on the disk."""
        return self._synced < self._size

    def flush(self) -> None:
        """Write the buffer; blocks.

        Raises:
            JournalError: It could not be written, all or nothing; the buffer is kept.
        """
        with self._working():
            lines = self._lines[:]
            if not lines:
                return
            try:
                self._write(b"".join(lines))
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, self._size)
                raise self._error(f"could not be written: {error.strerror}; {_GO_ON}") from None
            self._size += sum(map(len, lines))
            self.written += len(lines)
            del self._lines[: len(lines)]

    def sync(self) -> None:
        """Wait until everything written is on the disk.

        Raises:
            JournalError: The disk failed, which is final for this file, or the file was replaced.
        """
        with self._working():
            size = self._size
            try:
                _sync_data(self._fd)
                there = self.path.stat()
            except OSError as error:
                raise self._error(f"is not safe on the disk: {error.strerror}; {_GO_ON}") from None
            if (there.st_dev, there.st_ino) != _identity(self._fd):
                raise self._error("was replaced by another file while it was written; run again with a new journal")
            self._synced = size

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._fd, left) :]

    def _lock_file(self) -> None:
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise self._error("is not a regular file")
        try:
            _exclusive(self._fd)
        except OSError:
            raise JournalBusy(
                f"the journal {self.path} is being written by another batch: wait for it, or name another file",
                path=str(self.path),
            ) from None

    def _load(self, header: bytes) -> None:
        with os.fdopen(os.dup(self._fd), "rb") as file:
            file.seek(0)
            first = file.readline()
            if not first or (not first.endswith(b"\n") and (first.startswith(HEADER) or HEADER.startswith(first))):
                self._begin(header)
                return
            self._compare(first, header)
            self._size = self._synced = len(first)
            failed: set[int | str] = set()
            for offset, line in self._lines_of(file, len(first)):
                if self._closed:
                    raise self._error("is closed")
                record = self._record(line, offset)
                key = None if record.key is None else loads(record.key)
                if (record.ok or self.keep_failed) and not self.index.has(record.index, key):
                    self.index.add(record.index, key, record.digest)
                name = record.index if key is None else key
                failed.discard(name) if record.ok else failed.add(name)
                self._size = self._synced = offset + len(line)
            self.failures = len(failed)
        os.ftruncate(self._fd, self._size)

    def _lines_of(self, file: BinaryIO, offset: int) -> Iterator[tuple[int, bytes]]:
        try:
            yield from sound_lines(file, offset)
        except JournalCorrupt as damage:
            raise _named(damage, self.path) from None

    def _record(self, line: bytes, offset: int) -> Record:
        record = Record.parse(line)
        if record is None:
            raise self._error(f"has a line at byte {offset} that this version of gemtune does not know")
        return record

    def _begin(self, header: bytes) -> None:
        os.ftruncate(self._fd, 0)
        self._write(header)
        os.fsync(self._fd)
        self._size = self._synced = len(header)
        sync_folder(self.path.parent)

    def _compare(self, first: bytes, header: bytes) -> None:
        found, wanted = read_header(first), read_header(header)
        if found is None or wanted is None or found.get("gemtune_journal") != 1:
            raise self._mismatch("is not the journal of a batch; nothing was changed in it")
        if found["model"] != wanted["model"]:
            raise self._mismatch(f"is of a batch on {found['model']}, not on {wanted['model']}")
        names = sorted(
            name
            for name in {*found["config"], *wanted["config"]}
            if found["config"].get(name) != wanted["config"].get(name)
        )
        if names:
            raise self._mismatch(f"was written with another {' and '.join(names)}")

    def _mismatch(self, what: str) -> JournalMismatch:
        advice = "use what it was begun with, or another journal"
        return JournalMismatch(f"the journal {self.path} {what}: {advice}", path=str(self.path))

    def _error(self, what: str) -> JournalError:
        return JournalError(f"the journal {self.path} {what}", path=str(self.path))


def read_records(path: str | os.PathLike[str]) -> Iterator[tuple[int, Record]]:
    """Yield every record of a journal with its offset, as it stands, also while it is being written; blocks.

    Raises:
        JournalMismatch: The file is no journal.
        JournalCorrupt: Its middle was changed.
        JournalError: It cannot be read.
    """
    with reading(path) as file:
        first = file.readline()
        if read_header(first) is None:
            raise JournalMismatch(f"{path} is not the journal of a batch", path=str(path))
        try:
            for offset, line in sound_lines(file, len(first)):
                record = Record.parse(line)
                if record is not None:
                    yield offset, record
        except JournalCorrupt as damage:
            raise _named(damage, path) from None


@contextlib.contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a journal to read it.

    Raises:
        JournalError: It cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            yield file
    except OSError as error:
        raise JournalError(f"the journal {path} cannot be read: {error.strerror}", path=str(path)) from None


def _named(damage: JournalCorrupt, path: str | os.PathLike[str]) -> JournalCorrupt:
    named = JournalCorrupt(f"the journal {path}: {damage.message}", path=str(path))
    named.offset = damage.offset
    return named


def _identity(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


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
