"""Training data as a file that can be uploaded: checked, measured and, if it had to be converted, written down.

A file whose lines are all right is uploaded itself. From the first line that has to be another, what was read is copied
into a temporary file without a name, which the system removes whatever becomes of the program.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO, Final

import attrs

from gemtune.datasets.conversations import Method
from gemtune.datasets.headings import Choice
from gemtune.datasets.reading import Readable
from gemtune.datasets.report import DataReport
from gemtune.datasets.upload.crc32c import Crc32c
from gemtune.datasets.vertex import MAX_BYTES, ExampleLines
from gemtune.errors import InvalidInput

_PIECE: Final = 1 << 20
"""Bytes that are hashed at a time."""


@attrs.frozen(eq=False)
class Spooled:
    """A file to upload.

    Args:
        file: It, open; whoever has it closes it.
        size: Its bytes.
        sha256: Their SHA-256 in hexadecimal digits.
        crc32c: Their CRC-32C as Cloud Storage writes it.
        report: What was read.
    """

    file: IO[bytes] = attrs.field(repr=False)
    size: int
    sha256: str
    crc32c: str
    report: DataReport

    def read(self, start: int, count: int) -> bytes:
        """Return some of it; blocks.

        Raises:
            InvalidInput: It has become shorter since it was checked.
        """
        self.file.seek(start)
        data = self.file.read(count)
        if len(data) != min(count, self.size - start):
            raise InvalidInput(f"{self.report.source} has changed while it was uploaded", field="training_data")
        return data

    def close(self) -> None:
        """Close the file."""
        self.file.close()


@attrs.define(eq=False)
class _Measure:
    """The checksums of what was written so far."""

    size: int = 0
    sha256: hashlib._Hash = attrs.field(factory=hashlib.sha256)
    crc32c: Crc32c = attrs.field(factory=Crc32c)
    _pending: list[bytes] = attrs.field(factory=list, init=False)
    _waiting: int = attrs.field(default=0, init=False)

    def add(self, line: bytes) -> bool:
        """Take in a line; True after a piece has been hashed."""
        self._pending.append(line)
        self.size += len(line)
        self._waiting += len(line)
        if self._waiting < _PIECE:
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Hash what is left."""
        data = b"".join(self._pending)
        self._pending.clear()
        self._waiting = 0
        self.sha256.update(data)
        self.crc32c.update(data)


def spool(source: Readable, choice: Choice, method: Method, stopped: threading.Event | None = None) -> Spooled:
    """Check training data and return it as a file to upload; blocks.

    Args:
        source: What it is read from.
        choice: What the caller says about its columns.
        method: How to tune.
        stopped: Is set if nobody wants it any more.

    Raises:
        InvalidInput: A row is wrong, or there are too many.
        InterruptedError: It was stopped.
    """
    lines, measure = ExampleLines(source, choice, method), _Measure()
    file: IO[bytes] | None = None
    try:
        for line in lines:
            if file is None and not lines.verbatim:
                file = _begin(source, measure.size)
            if file is not None:
                file.write(line)
            if measure.add(line) and stopped is not None and stopped.is_set():
                raise InterruptedError
            if measure.size > MAX_BYTES:
                what = f"training_data is larger than the {MAX_BYTES:,} bytes allowed: use fewer or shorter examples"
                raise InvalidInput(what, field="training_data")
        measure.flush()
        if file is None and isinstance(source, Path) and lines.verbatim:
            file = source.open("rb")
        elif file is None:  # there are blank lines after the last one that counts
            file = _begin(source, measure.size)
    except BaseException:
        if file is not None:
            file.close()
        raise
    return Spooled(file, measure.size, measure.sha256.hexdigest(), str(measure.crc32c), lines.report)


def measured(file: IO[bytes], size: int, name: str) -> Spooled:
    """Return a file that is to be uploaded as it is; blocks.

    Args:
        file: It, open for reading; whoever has it closes it.
        size: Its bytes.
        name: What to call it in messages.
    """
    measure = _Measure()
    file.seek(0)
    while data := file.read(_PIECE):
        measure.add(data)
    measure.flush()
    return Spooled(file, size, measure.sha256.hexdigest(), str(measure.crc32c), DataReport(rows=0, source=name))


def _begin(source: Readable, size: int) -> IO[bytes]:
    """Return a temporary file with so many bytes of the source, all of which may stay as they are."""
    with ExitStack() as opened:
        copy = opened.enter_context(closing(tempfile.TemporaryFile()))  # noqa: SIM115 - closing does it
        if isinstance(source, Path) and size:
            with source.open("rb") as file:
                left = size
                while left and (data := file.read(min(left, _PIECE))):
                    copy.write(data)
                    left -= len(data)
        opened.pop_all()  # whoever uploads it closes it
    return copy
