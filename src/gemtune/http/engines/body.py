"""Reply bodies: read to the end, inflated, and never larger than allowed.

The limit holds for the bytes on the wire and for what they inflate to. 600 MB of zeros travel as 600 kB of gzip, so
that inflating goes in steps of 64 KiB, and the limit is looked at after each.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

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


class Inflater:
    """The decoder of a compressed body, in bounded steps: of one member or of many (RFC 1952, 2.2).

    Proxies that compress what passes them chunk by chunk make a member of each chunk. What follows the last one and is
    none (gzip pads with zeros) says nothing about the answer, and is left alone.

    Args:
        encoding: ``gzip`` or ``deflate``.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._inflate: Any = None  # None: between two members; an empty body, of none, is legal (204, HEAD)
        self._held = b""  # the first byte of what may be a member
        self._members = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield decompressed pieces of at most 64 KiB; raise MalformedResponse on garbage."""
        # Each member copies what follows it, so that many small ones in one piece would cost the square of its length.
        for begin in range(0, len(data), CHUNK):
            yield from self._feed(data[begin : begin + CHUNK])

    def _feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inflate is None:
                data, self._held = self._held + data, b""
                if len(data) < len(_GZIP):
                    self._held = data
                    return
                if self._members and not self._is_member(data):
                    return
                self._inflate = zlib.decompressobj(wbits=self._window(data))
            while True:
                try:
                    piece = self._inflate.decompress(data, CHUNK)
                except zlib.error:
                    raise MalformedResponse(f"the reply's {self._encoding} encoding is corrupt") from None
                data = self._inflate.unconsumed_tail
                if piece:
                    yield piece
                elif not data:
                    break
            if self._inflate.eof:
                data, self._inflate = self._inflate.unused_data, None
                self._members += 1

    def _is_member(self, data: bytes) -> bool:
        return data.startswith(_GZIP) if self._encoding == "gzip" else _is_zlib(data)

    def _window(self, data: bytes) -> int:
        # "deflate" means zlib's format (RFC 9110, 8.4.1.2), and some send the bare data instead.
        return 31 if self._encoding == "gzip" else 15 if _is_zlib(data) else -15

    def finish(self) -> None:
        """Raise MalformedResponse if the body ended early."""
        if self._inflate is not None or (self._held and not self._members):
            raise MalformedResponse(f"the reply's {self._encoding} encoding ends too early")


_GZIP: Final = b"\x1f\x8b"


def _is_zlib(data: bytes) -> bool:
    return data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0


def inflater(headers: Mapping[str, str]) -> Identity | Inflater:
    """Return the decoder that the Content-Encoding asks for; only gzip was offered, and deflate is read as well."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in {"gzip", "x-gzip", "deflate"}:
        return Inflater(encoding.removeprefix("x-"))
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
