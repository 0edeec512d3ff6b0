"""Bytes that may be too many for the memory: what a request brings, and what an object holds.

A ``Scratch`` grows while a body arrives. When it is whole, a ``Depot`` makes a ``StoredContent`` of it: a few bytes
stay in memory, many lie in a file, and with a state directory all do. Everything in here may block; who must not wait
runs it in a thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import attrs

from gemtune.emulator.messages.checksums import crc32c

MIB = 1 << 20
BLOCK = 1 << 18  # bytes that are read, hashed or sent at a time: a fraction of a millisecond each
_PART = ".part"
_OURS = re.compile(r"\d{16,20}|[a-z0-9_]{8}\.part")


@attrs.define(eq=False, repr=False)
class Scratch:
    """Bytes to which more are added: up to ``memory`` of them are held here, more than that in a file of ``depot``."""

    depot: Depot
    memory: int
    size: int = attrs.field(default=0, init=False)
    path: Path | None = attrs.field(default=None, init=False)
    _held: bytearray = attrs.field(factory=bytearray, init=False)
    _file: BinaryIO | None = attrs.field(default=None, init=False)

    def append(self, data: bytes | memoryview) -> None:
        """Add bytes; raises DepotFull if there is no room. Blocks only if ``is_long`` or about to be."""
        self.depot.claim(len(data))
        if self._file is None and self.size + len(data) > self.memory:
            handle, name = tempfile.mkstemp(dir=self.depot.place(), prefix="", suffix=_PART)
            self._file, self.path = os.fdopen(handle, "w+b", buffering=0), Path(name)
            self._file.write(self._held)
            self._held = bytearray()
        if self._file is None:
            self._held += data
        else:
            self._file.seek(self.size)
            self._file.write(data)
        self.size += len(data)

    @property
    def is_long(self) -> bool:
        return self._file is not None

    def read(self, start: int, size: int) -> bytes:
        """Return a part of it, or what there is of that."""
        if self._file is None:
            return bytes(self._held[start : start + size])
        self._file.seek(start)
        return self._file.read(size)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Return a part of it piece by piece."""
        end = self.size if stop is None else min(stop, self.size)
        for at in range(start, end, BLOCK):
            yield self.read(at, min(BLOCK, end - at))

    def detach(self) -> Path | None:
        """Give the file away, if there is one, and forget everything."""
        path, file = self.path, self._file
        self.depot.claim(-self.size)
        self.path, self._file, self._held, self.size = None, None, bytearray(), 0
        if file is not None:
            file.close()
        return path

    def moved(self) -> Scratch:
        """Return another scratch with all of this one, which is empty then."""
        other = Scratch(self.depot, self.memory)
        for name in ("size", "path", "_held", "_file"):
            setattr(other, name, getattr(self, name))
        self.size, self.path, self._held, self._file = 0, None, bytearray(), None
        return other

    def discard(self) -> None:
        """Forget everything, with its file."""
        if path := self.detach():
            _remove(path)

    def __del__(self) -> None:
        if path := self.detach():
            _aside(_remove, path)


class DepotFull(Exception):
    """There are as many bytes as the settings allow."""


@attrs.frozen
class StoredContent:
    """Bytes that do not change any more.

    Args:
        data: they, or the file that has them.
        size: how many.
        crc32c: their checksum.
        md5: their digest.
    """

    data: bytes | Path = attrs.field(repr=False)
    size: int
    crc32c: int
    md5: bytes

    def open(self) -> BinaryIO:
        """Return a file object, to be closed; raises OSError if the file is gone."""
        return io.BytesIO(self.data) if isinstance(self.data, bytes) else self.data.open("rb")

    def read(self) -> bytes:
        """Return all of it."""
        return self.data if isinstance(self.data, bytes) else self.data.read_bytes()


@attrs.define(eq=False, repr=False)
class Depot:
    """Where contents are.

    Args:
        memory: bytes that are held in memory at most, all contents together.
        limit: bytes of all contents and of all that is arriving.
        folder: a directory that outlives the process; None for memory, and a temporary directory for what is long.
    """

    memory: int
    limit: int
    folder: Path | None = None
    _temporary: Path | None = attrs.field(default=None, init=False)
    _retired: list[Path] = attrs.field(factory=list, init=False)
    held: int = attrs.field(default=0, init=False)
    used: int = attrs.field(default=0, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def claim(self, size: int, *, held: int = 0) -> None:
        """Count bytes that come, or go if negative; raises DepotFull if there is no room for them."""
        with self._lock:
            fits = size <= 0 or self.used + size <= self.limit
            if fits:
                self.used += size
                self.held += held
        # Not under the lock: an exception may set off the garbage collector, and a scratch that it finds claims too.
        if not fits:
            raise DepotFull(f"the emulator keeps at most {self.limit} bytes of objects (max_stored_bytes)")

    def place(self) -> Path:
        """Return the directory, which is made when it is first needed."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            return self.folder
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="gemtune-emulator-"))
            # An emulator is not closed: its files go with it, or at the latest with the process.
            weakref.finalize(self, _aside, _remove_all, self._temporary)
        return self._temporary

    def blocks(self, size: int) -> bool:
        """Return whether ``settle`` writes a file for so many bytes."""
        return self.folder is not None or self.held + size > self.memory

    def scratch(self) -> Scratch:
        return Scratch(self, min(MIB, self.memory))

    def settle(self, scratch: Scratch, number: int) -> StoredContent:
        """Return what a scratch holds, which is not to be used any more.

        Args:
            scratch: it.
            number: for the name of a file, if one is needed: no other content has it.
        """
        md5, checksum = hashlib.md5(usedforsecurity=False), 0
        for block in scratch.blocks():
            md5.update(block)
            checksum = crc32c(block, checksum)
        size, name = scratch.size, f"{number:016d}"
        if self.folder is None and not scratch.is_long and self.held + size <= self.memory:
            content = StoredContent(scratch.read(0, size), size, checksum, md5.digest())
            scratch.discard()
            self.claim(size, held=size)
            return content
        path = self._file(scratch, self.place() / name)
        self.claim(size)
        return StoredContent(path, size, checksum, md5.digest())

    def _file(self, scratch: Scratch, path: Path) -> Path:
        """Put a scratch where its content is to be; what a state will name is on the disk before that is written."""
        if not scratch.is_long:
            part = path.with_name(path.name + _PART)
            part.write_bytes(scratch.read(0, scratch.size))
            scratch.discard()
        else:
            part = cast(Path, scratch.detach())
        if self.folder is not None:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        part.replace(path)
        return path

    def retire(self, content: StoredContent) -> None:
        """Give up a content: a file stays until ``remove``, because a state on the disk may still name it."""
        self.claim(-content.size, held=-content.size if isinstance(content.data, bytes) else 0)
        if isinstance(content.data, Path):
            self._retired.append(content.data)

    def given_up(self) -> list[Path]:
        """Return the files that were given up, for ``remove``; the next call returns further ones."""
        files, self._retired = self._retired, []
        return files

    def remove(self, files: Iterable[Path]) -> None:
        """Remove files that nothing names any more."""
        for path in files:
            _remove(path)

    def tidy(self, known: set[str]) -> None:
        """Remove what a killed process left: files named as ours that no content has."""
        if self.folder is not None and self.folder.is_dir():
            for path in self.folder.iterdir():
                if path.name not in known and _OURS.fullmatch(path.name):
                    _remove(path)


def _remove_all(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _aside(remove: Callable[[Path], None], path: Path) -> None:
    """Remove something in a thread: what is collected is collected anywhere, on an event loop, too."""
    try:
        threading.Thread(target=remove, args=(path,), name="gemtune-emulator-tidy").start()
    except RuntimeError:  # the interpreter is about to end
        remove(path)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # gone, or still open on Windows
        path.unlink()
