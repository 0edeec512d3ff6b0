"""A file that one process has open to append to, and nobody else writes.

The lock is the system's (``flock``), so that it ends with the process, however that ends. It is advisory: whoever
deletes, replaces or cuts the file is not held off by it. So the file is looked at before each write: a run that
wrote on into a file without a name would end well, and its answers would be nowhere. Two calls of ``stat`` for the
results of a fiftieth of a second cost nothing that can be measured.
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

from gemtune.batch.journal.lines import VERSION, Header, checked
from gemtune.batch.journal.sent import PartNote, SentItem, parse_line
from gemtune.errors import JournalBusy, JournalError
from gemtune.wholefile import sync_folder

_FLAGS: Final = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_APPEND
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)  # a link at the journal's name could lead it over somebody else's file
    | getattr(os, "O_BINARY", 0)
)
_LONGEST_HEADER: Final = 65_536
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
    _process: int = attrs.field(factory=os.getpid, init=False)

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
            # Half a line in the middle would be damage for ever. If cutting fails as well, the next open cuts it.
            with contextlib.suppress(OSError):
                os.ftruncate(self.fd, self.size)
            raise
        self.size += len(data)

    def sync(self) -> None:
        """Wait until what was appended is on the disk."""
        size = self.size  # before the call: what comes meanwhile may or may not be on the disk
        _sync_data(self.fd)
        self.synced = size

    def changed(self) -> str:
        """Return in words what somebody else has done to it, or an empty string if it is as we left it."""
        ours = os.fstat(self.fd)
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return "was deleted while it was written"
        if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino):
            return "was replaced by another file while it was written"
        if ours.st_size < self.size:
            return f"was cut to {ours.st_size} bytes while it was written"
        return "was written to by somebody else" if ours.st_size > self.size else ""

    def holds_nothing(self) -> bool:
        """Return whether no answer and no batch would be lost with it.

        That is so if it is empty, or holds the first line of a journal in our own format and after it at most items of
        parts that have no batch: never sent, or ``void``.
        """
        os.lseek(self.fd, 0, os.SEEK_SET)
        with open(self.fd, "rb", closefd=False) as file:
            first = file.readline(_LONGEST_HEADER)
            header = Header.parse(first)
            if header is None or header.version != VERSION:
                return not first
            states: dict[str, str] = {}
            for line in file:
                found = parse_line(line) if checked(line) else None
                if not isinstance(found, SentItem | PartNote):
                    return False
                if isinstance(found, PartNote):
                    states[found.mark] = found.state
        return set(states.values()) <= {"void"}

    def close(self) -> None:
        """Let go of it, and of its lock."""
        if self.fd < 0:
            return
        try:
            # A process that was forked meanwhile shares the lock and would keep it. It must not end ours either.
            if os.getpid() == self._process:
                _unlock(self.fd)
        finally:
            os.close(self.fd)
            self.fd = -1

    def _write(self, data: bytes) -> None:
        left = memoryview(data)  # a full disk takes a part of it first, and says so at the next call
        while left:
            left = left[os.write(self.fd, left) :]


@attrs.define(eq=False)
class SharedFile:
    """A locked file that threads work with, one at a time.

    Whoever waits for a thread may be cancelled, so ``close`` may come while it works: the thread then lets go of it.

    Args:
        file: It; None before it is opened and once it is closed.
        closed: Whether it was closed.
    """

    file: LockedFile | None = attrs.field(default=None, init=False)
    closed: bool = attrs.field(default=False, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Have it for oneself for a block; waits for another thread that has it."""
        try:
            with self._lock:
                yield
        finally:
            if self.closed:  # by somebody who did not wait for this thread
                self.close()

    def close(self, *, wait: bool = False) -> None:
        """Let go of the file.

        Args:
            wait: Whether to wait for a thread that is at work; blocks. If not, that thread lets go of it.
        """
        self.closed = True
        if self._lock.acquire(blocking=wait):
            try:
                if self.file is not None:
                    self.file.close()
                    self.file = None
            finally:
                self._lock.release()


def remove_if_empty(path: str | os.PathLike[str]) -> bool:
    """Remove a journal with which nothing is lost, written by this version; return whether it did.

    Everything else stays: a line that we cannot read is an answer that somebody paid for.
    """
    if not Path(path).is_file():
        return False
    try:
        file = LockedFile.open(Path(path).absolute())
    except (OSError, JournalError):
        return False
    try:
        found = file.holds_nothing()
        if found:
            Path(path).unlink()
    except OSError:
        return False
    else:
        return found
    finally:
        file.close()


def journal_error(path: str | os.PathLike[str], what: str) -> JournalError:
    """Return an error that names its journal."""
    return JournalError(f"the journal {path} {what}", path=os.fspath(path))


def _unlock(fd: int) -> None:
    if sys.platform != "win32":  # where closing a file ends its locks
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_UN)


def _exclusive(fd: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
