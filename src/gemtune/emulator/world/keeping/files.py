"""Files that are there whole or not at all, and one that belongs to a single process.

A file is written beside its place, synchronised and renamed over it, so that whoever reads it, and whatever kills the
writer, sees the old one or the new one. The lock (``flock``) stands on the file itself and not on one beside it,
which would lie about for ever: the next version is locked before it is renamed into place, so that the path never
leads to a file that nobody holds. The system releases it when the process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
from pathlib import Path
from types import ModuleType
from weakref import WeakValueDictionary

import attrs

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: no lock, and a file that is open could not be replaced
    fcntl = None

_SUFFIX = ".new"


class FileInUseError(Exception):
    """Another process holds the file."""


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all; what stood there is replaced."""
    os.close(_write(path, text, lock=False))


def _write(path: Path, text: str, *, lock: bool, new: bool = False) -> int:
    """Write a file and return it open; ``new`` raises FileExistsError instead of replacing one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".", suffix=_SUFFIX)
    try:
        with os.fdopen(os.dup(handle), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if lock:
            _lock(handle)
        if new:
            os.link(name, path)
            Path(name).unlink()
        else:
            Path(name).replace(path)
    except BaseException:
        os.close(handle)
        Path(name).unlink(missing_ok=True)
        raise
    return handle


def _lock(handle: int) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FileInUseError from None
    except OSError:  # a file system without locks: better than no state at all
        return


@attrs.define(eq=False)
class HeldFile:
    """A file that no other process writes while this object lives. Get one from ``hold``."""

    path: Path
    _handle: int | None
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def replace(self, text: str) -> None:
        """Write it anew, whole or not at all, and keep holding it."""
        with self._lock:
            former, self._handle = self._handle, _write(self.path, text, lock=True)
            _close(former)
            if fcntl is None:
                _close(self._handle)
                self._handle = None

    def __del__(self) -> None:
        _close(self._handle)


def _close(handle: int | None) -> None:
    if handle is not None:
        with contextlib.suppress(OSError):
            os.close(handle)


# What this process holds: two emulators in one process may share a file, as a test that "restarts" one does.
_HELD: WeakValueDictionary[str, HeldFile] = WeakValueDictionary()


def hold(path: Path, text: str) -> HeldFile:
    """Hold a file for this process, and remove what killed writers left beside it.

    Args:
        path: the file.
        text: what to write if there is no file yet.

    Raises:
        FileInUseError: another process holds it.
        OSError: it can be neither opened nor made.
    """
    key = os.path.realpath(path)
    held = _HELD.get(key)
    if held is None:
        held = _HELD[key] = HeldFile(path, _acquire(path, text))
        for left in _leftovers(path):
            left.unlink(missing_ok=True)
    return held


def _acquire(path: Path, text: str) -> int | None:
    while True:
        try:
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                return _write(path, text, lock=True, new=True)
            continue
        try:
            _lock(handle)
            current = path.stat()
        except FileNotFoundError:
            os.close(handle)
            continue
        except BaseException:
            os.close(handle)
            raise
        if fcntl is None:
            os.close(handle)
            return None
        if os.path.samestat(current, os.fstat(handle)):
            return handle
        os.close(handle)  # it was replaced between open and lock: somebody held it


def _leftovers(path: Path) -> list[Path]:
    ours = re.compile(re.escape(path.name) + r"\.[a-z0-9_]{8}" + re.escape(_SUFFIX))
    return [found for found in path.parent.iterdir() if ours.fullmatch(found.name)]
