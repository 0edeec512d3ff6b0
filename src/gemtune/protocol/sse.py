"""An incremental parser of streamed replies, without I/O.

A streamed reply is a series of server-sent events (WHATWG HTML, "Server-sent events"), each with one JSON object. A
failure in the middle comes inside the stream, in one of two forms, and both come out as an object with the key
``error``:

- as an event with an ``error``;
- as bare JSON text, often over several lines, where the next event would begin. The service wraps some in an array.

Bytes may be cut anywhere, and every cut gives the same objects. Nothing that was complete before a failure is lost.
"""

from __future__ import annotations

import codecs
from contextlib import suppress
from typing import Any, Final

import attrs

from gemtune.errors import MalformedResponse, ResponseTooLarge
from gemtune.protocol.codec import loads

Payload = dict[str, Any]
"""One JSON object of a stream: a piece of a reply, or ``{"error": ...}``."""

_LIMIT: Final = 1 << 20
_BLANK: Final = frozenset({b"\n", b"\r", b"\r\n"})
_TRIES: Final = 16
"""How often text without an event is tried for being complete; then it is kept until a blank line, an event, the end.

A service that holds the connection open after its error must not make its caller wait, so that every line at which
the text may end is tried. Without a bound, text of nothing but such lines would be parsed once a line.
"""


@attrs.define(eq=False)
class EventParser:
    """Parse a stream of server-sent events.

    Args:
        limit: The largest event, in bytes.

    Attributes:
        failure: What broke the stream, once it is known; ``feed`` and ``close`` raise it after all objects before it
            have been returned.
    """

    limit: int = attrs.field(default=_LIMIT, kw_only=True)
    failure: MalformedResponse | None = attrs.field(default=None, init=False)
    _line: bytearray = attrs.field(factory=bytearray, init=False, repr=False)
    _data: list[bytes] = attrs.field(factory=list, init=False, repr=False)
    _size: int = attrs.field(default=0, init=False, repr=False)
    _bare: bool = attrs.field(default=False, init=False, repr=False)
    _tries: int = attrs.field(default=0, init=False, repr=False)
    _after_cr: bool = attrs.field(default=False, init=False, repr=False)
    _first: bool = attrs.field(default=True, init=False, repr=False)

    def feed(self, data: bytes) -> list[Payload]:
        """Take the next bytes, cut anywhere.

        Args:
            data: What came from the network.

        Returns:
            The objects completed by these bytes.

        Raises:
            MalformedResponse: An object is not JSON.
            ResponseTooLarge: An object exceeds the limit.
        """
        if self.failure is not None:
            raise self.failure
        payloads: list[Payload] = []
        try:
            self._take(data, payloads)
        except MalformedResponse as error:
            self.failure = error
            if not payloads:
                raise
        return payloads

    def close(self) -> list[Payload]:
        """Take the end of the bytes.

        Returns:
            The last objects, if only the end of their lines was missing; what is not JSON by now was cut off.
        """
        payloads = self.feed(b"\n" if self._line else b"")
        with suppress(MalformedResponse):
            self._finish(payloads)
        return payloads

    def _take(self, data: bytes, payloads: list[Payload]) -> None:
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        for line in data.splitlines(keepends=True):
            if line in _BLANK and not self._line and not self._data and not self._first:
                continue  # between events; a server may keep a connection alive with nothing else
            self._line += line.rstrip(b"\r\n")
            if self._size + len(self._line) > self.limit:
                raise ResponseTooLarge(f"one event of the stream is larger than {self.limit} bytes")
            if line.endswith((b"\r", b"\n")):
                self._take_line(payloads)

    def _take_line(self, payloads: list[Payload]) -> None:
        line = bytes(self._line)
        self._line.clear()
        if self._first:
            line = line.removeprefix(codecs.BOM_UTF8)
            self._first = False
        field, _, value = line.partition(b":")
        if not line or (field == b"data" and self._bare):
            self._finish(payloads)
        if not self._bare and line.lstrip().startswith((b"{", b"[")):
            self._finish(payloads)
            self._bare = True
        if self._bare:
            self._take_bare(line, payloads)
        elif field == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(line)

    def _take_bare(self, line: bytes, payloads: list[Payload]) -> None:
        if line.startswith(b":"):  # a comment, which keeps the connection alive
            return
        self._data.append(line)
        self._size += len(line) + 1
        # Text over several lines is indented, so that its last line is the first one that begins with a bracket again.
        if line[:1] in b"{[}]" and line.rstrip().endswith((b"}", b"]")) and self._tries < _TRIES:
            self._tries += 1
            try:
                loads(b"\n".join(self._data))
            except MalformedResponse:
                return
            self._finish(payloads)

    def _finish(self, payloads: list[Payload]) -> None:
        text, self._data, self._size = b"\n".join(self._data), [], 0
        self._bare, self._tries = False, 0
        if not text.strip():
            return
        value = loads(text)
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(item, dict) for item in values):
            raise MalformedResponse("an event of the stream is not a JSON object")
        payloads += values
