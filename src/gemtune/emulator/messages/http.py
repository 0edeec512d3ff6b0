"""A request and a reply as values: what a service makes of HTTP, before and after any socket."""

from __future__ import annotations

import re
from typing import BinaryIO, Literal

import attrs

from gemtune.emulator.messages.contents import Scratch

Cut = Literal["reply", "headers", "body", "length", "end", "json"]
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


@attrs.frozen
class HttpRequest:
    """One request, read whole.

    Args:
        verb: the HTTP method.
        path: as it was sent, percent-encoding and all.
        query: (name, value) pairs.
        headers: by lower-case name.
        body: as it was sent; empty if it was longer than anything the emulator takes, and the beginning of an upload.
        size: bytes of the body, kept or not.
        origin: where the caller reaches the emulator, such as ``"http://127.0.0.1:8080"``.
        upload: the body of a request whose route takes long ones.
    """

    verb: str
    path: str
    query: list[tuple[str, str]] = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    size: int
    origin: str = ""
    upload: Scratch | None = attrs.field(default=None, repr=False)

    @property
    def length(self) -> int:
        """Bytes that have to be read to understand it."""
        return len(self.body) + sum(len(value) for _, value in self.query)


@attrs.frozen(kw_only=True)
class JsonLayout:
    """How a caller wants JSON written.

    Args:
        pretty: over several lines; the default of the service.
        enum_numbers: enums as numbers.
        sse: a stream as server-sent events instead of one JSON array.
        array: everything is an element of a JSON array, as in a stream without ``alt=sse``.
    """

    pretty: bool = True
    enum_numbers: bool = False
    sse: bool = False
    array: bool = False


@attrs.frozen
class FileSlice:
    """A part of an open file, which is closed once it was sent."""

    file: BinaryIO
    start: int
    size: int

    def read(self, start: int, size: int) -> bytes:
        """Return some bytes of the slice; blocks."""
        self.file.seek(self.start + start)
        return self.file.read(min(size, self.size - start))


@attrs.frozen(kw_only=True)
class HttpReply:
    """One HTTP reply.

    Args:
        status: HTTP status.
        chunks: pieces of the body, sent one by one.
        file: a body that is too long for the memory, instead of chunks.
        headers: by lower-case name.
        drop: after the chunks close the connection; without chunks, send nothing at all.
        exact: of a fault, these bytes instead of everything else.
        cut: of a fault, where the reply breaks off.
        pace: of a fault, (bytes, seconds) of each piece.
        then: of a fault, what becomes of the connection.
    """

    status: int = 200
    chunks: tuple[bytes, ...] = ()
    file: FileSlice | None = None
    headers: dict[str, str] = attrs.field(factory=dict)
    drop: bool = False
    exact: bytes | None = None
    cut: Cut | None = None
    pace: tuple[int, float] | None = None
    then: Literal["close", "reset"] | None = None

    @property
    def streams(self) -> bool:
        return len(self.chunks) > 1

    @property
    def breaks(self) -> bool:
        """Whether what goes over the connection is no HTTP reply."""
        return self.exact is not None or self.cut is not None


def byte_range(asked: str, size: int) -> tuple[int, int] | None:
    """Return the beginning and the end of what a Range header asks for, which are equal if there is nothing of it.

    Args:
        asked: the header; None is returned if it says nothing that is known.
        size: of everything.
    """
    match = _RANGE.fullmatch(asked.strip())
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    return (start, stop) if start < min(size, stop) else (0, 0)
