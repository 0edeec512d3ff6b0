"""Reply bodies: read to the end, inflated, and never larger than allowed.

The limit holds for the bytes on the wire and for what they inflate to. 600 MB of zeros travel as 600 kB of gzip, so
that inflating goes in steps of 64 KiB, and the limit is looked at after each.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from typing import Protocol

import attrs

from gemtune.errors import MalformedResponse, ResponseTooLarge

CHUNK = 65_536
"""Most bytes that one step yields: a bomb is noticed before it grows, and no parser is fed more at a time."""


@attrs.frozen
class Reply:
    """A complete reply.

    Args:
        status: The HTTP status.
        headers: The headers under their lower-case names; of a repeated name the last value.
        body: The body in bytes, decompressed.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=lambda body: f"<{len(body)} bytes>")


class Incoming(Protocol):
    """A reply whose head has arrived and whose body is still to be read, as an engine hands it over."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """Return the next bytes as they came over the wire, b"" at the end."""

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""

    def close(self) -> None:
        """Do the same without awaiting, for a reply that was dropped."""


class Identity:
    """The decoder of a body that is sent as it is."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the bytes unchanged, at most 64 KiB at a time, as whoever parses them cannot be interrupted."""
        if len(data) <= CHUNK:
            yield data
        else:
            yield from (data[begin : begin + CHUNK] for begin in range(0, len(data), CHUNK))

    def finish(self) -> None:
        """Accept every end: the engine has checked the length."""


class Gunzip:
    """The decoder of one gzip member (RFC 1952), in bounded steps."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)
        self._begun = False  # an empty body is legal (204, HEAD)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield decompressed pieces of at most 64 KiB; raise MalformedResponse on garbage."""
        self._begun = self._begun or bool(data)
        while True:
            try:
                piece = self._inflate.decompress(data, CHUNK)
            except zlib.error:
                raise MalformedResponse("the reply's gzip encoding is corrupt") from None
            data = self._inflate.unconsumed_tail
            if piece:
                yield piece
            elif not data:
                break
        if self._inflate.unused_data:
            raise MalformedResponse("the reply has bytes after the end of its gzip encoding")

    def finish(self) -> None:
        """Raise MalformedResponse if the body ended early."""
        if self._begun and not self._inflate.eof:
            raise MalformedResponse("the reply's gzip encoding ends too early")


def inflater(headers: Mapping[str, str]) -> Identity | Gunzip:
    """Return the decoder that the Content-Encoding asks for; we only ever offered gzip (RFC 9110, 8.4)."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in {"gzip", "x-gzip"}:
        return Gunzip()
    if encoding in {"", "identity"}:
        return Identity()
    raise MalformedResponse(f"the reply has the Content-Encoding {encoding[:40]!r}; only gzip was offered")


def refuse_too_long(headers: Mapping[str, str], limit: int) -> None:
    """Raise ResponseTooLarge if the Content-Length already says so, before anything is read."""
    length = headers.get("content-length", "")
    if length.isdecimal() and len(length) < 20 and int(length) <= limit:
        return
    if length.isdecimal():
        raise ResponseTooLarge(f"the reply announces {length[:20]} bytes; the limit is {limit}")


async def collect(incoming: Incoming, limit: int) -> bytes:
    """Return the whole decompressed body.

    Args:
        incoming: The reply to read; it is left to the caller to close.
        limit: The most bytes to accept, on the wire and decompressed.

    Raises:
        ResponseTooLarge: The body is longer.
        MalformedResponse: The body's encoding is unknown, corrupt or cut short.
    """
    refuse_too_long(incoming.headers, limit)
    decoder = inflater(incoming.headers)
    whole = io.BytesIO()  # its getvalue() hands over the buffer without a second copy
    while chunk := await incoming.read():
        for piece in decoder.feed(chunk):
            if whole.tell() + len(piece) > limit:
                raise ResponseTooLarge(f"the reply is larger than the limit of {limit} bytes")
            whole.write(piece)
    decoder.finish()
    return whole.getvalue()
