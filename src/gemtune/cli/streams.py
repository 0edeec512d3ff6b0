"""The three standard streams of the process, made such that a command can rely on them.

A supervisor may start a program with a stream closed (``>&-``), on a full disk, or with a reader that goes away. Three
rules follow. A stream that is missing is the null device, and its descriptor is taken, because the next file opened
would get its number and be written to by whoever believes in descriptor 1 or 2. Standard error never fails: it only
reports, and a deed does not become undone because its report is lost. Standard output may fail; ``Console`` decides
what that means. Nothing is left in a buffer for the interpreter's end, which would complain and end with 120.
"""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from contextlib import suppress
from typing import Any, TextIO

_ENCODING = "PYTHONIOENCODING"


class _Forgiving(io.FileIO):
    """A file that takes whatever it is given, even if it cannot keep it."""

    def write(self, data: Any, /) -> int:
        with suppress(OSError):
            return super().write(data) or 0
        return len(data)


def prepare() -> None:
    """Give this process three streams that can be used."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - the process has it to its end
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - likewise
    elif os.name == "nt" and not sys.stdout.isatty() and _ENCODING not in os.environ:
        # A file or pipe on Windows would get a code page that lacks most characters of a reply.
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8")
    encoding = "utf-8" if sys.stderr is None else sys.stderr.encoding
    kept = io.BufferedWriter(_Forgiving(2, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(kept, encoding, "backslashreplace", line_buffering=True)


def finish() -> None:
    """Leave nothing in the buffers for the end of the interpreter."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            silence(stream)


def silence(stream: TextIO) -> None:
    """Send what a stream still holds, and all that comes later, to the null device."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def failing(stream: TextIO) -> OSError | None:
    """Return why nothing can be written to a stream, as far as that can be known before it is tried."""
    try:
        number = stream.fileno()
        if stat.S_ISCHR(os.fstat(number).st_mode):
            os.write(number, b"")  # /dev/full refuses even this; on a terminal it does nothing
        elif hasattr(select, "poll"):
            ends = select.poll()
            ends.register(number, 0)
            if any(events & select.POLLERR for _, events in ends.poll(0)):
                return BrokenPipeError(os.strerror(32))  # a pipe whose other end is closed
    except io.UnsupportedOperation:  # it has no descriptor, as in tests
        pass
    except OSError as error:
        return error
    return None
