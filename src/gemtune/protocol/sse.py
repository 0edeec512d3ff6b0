"""Incremental parsers of streamed replies, without I/O.

A streamed reply is a series of server-sent events (WHATWG HTML, "Server-sent events"), each with one JSON object, or
without ``alt=sse`` one JSON array of the same objects. A failure in the middle comes inside the stream: as an event
with an ``error``, or as bare JSON text after the last event. Both come out as an object with the key ``error``.
"""

from __future__ import annotations

import abc
import codecs
import re
from typing import Any

import attrs

from gemtune.errors import MalformedResponse, ResponseTooLarge
from gemtune.protocol.codec import loads

Payload = dict[str, Any]
"""One JSON object of a stream: a piece of a reply, or ``{"error": ...}``."""

_LIMIT = 1 << 20
_MARK = re.compile(rb'["\\{}\[\]]')
_BETWEEN = b" \t\r\n,"


@attrs.define(eq=False)
class _Parser(abc.ABC):
    """What both parsers have in common: nothing received before a failure is lost.

    Attributes:
        limit: The largest object, in bytes.
        failure: What broke the stream, once it is known; ``feed`` and ``close`` raise it after all objects before it
            have been returned.
    """

    limit: int = attrs.field(default=_LIMIT, kw_only=True)
    failure: MalformedResponse | None = attrs.field(default=None, init=False)
    _bytes: int = attrs.field(default=0, init=False, repr=False)
    _payloads: int = attrs.field(default=0, init=False, repr=False)

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
        self._bytes += len(data)
        return self._run(data)

    def close(self) -> list[Payload]:
        """Take the end of the bytes; afterwards ``mid_event`` tells whether an object was cut off.

        Returns:
            The last object, if only the end of its line was missing.
        """
        return self._run(None)

    @property
    @abc.abstractmethod
    def mid_event(self) -> bool:
        """Whether an object has begun and not ended."""

    def statistics(self) -> dict[str, int]:
        """Return how many bytes came in and how many objects came out."""
        return {"bytes": self._bytes, "payloads": self._payloads}

    def _run(self, data: bytes | None) -> list[Payload]:
        if self.failure is not None:
            raise self.failure
        payloads: list[Payload] = []
        try:
            if data is None:
                self._end(payloads)
            elif data:
                self._take(data, payloads)
        except MalformedResponse as error:
            self.failure = error
            if not payloads:
                raise
        self._payloads += len(payloads)
        return payloads

    @abc.abstractmethod
    def _take(self, data: bytes, payloads: list[Payload]) -> None:
        """Take bytes and add the objects they complete."""

    @abc.abstractmethod
    def _end(self, payloads: list[Payload]) -> None:
        """Take the end and add the object that only lacked the end of its line."""

    def _check(self, size: int) -> None:
        if size > self.limit:
            raise ResponseTooLarge(f"one event of the stream is larger than {self.limit} bytes")


@attrs.define(eq=False)
class JsonArrayParser(_Parser):
    """Parse a stream that is one JSON array of objects, or a row of bare objects.

    Args:
        limit: The largest object, in bytes.
    """

    _buffer: bytearray = attrs.field(factory=bytearray, init=False, repr=False)
    _scanned: int = attrs.field(default=0, init=False, repr=False)
    _depth: int = attrs.field(default=0, init=False, repr=False)
    _in_array: bool = attrs.field(default=False, init=False, repr=False)
    _in_string: bool = attrs.field(default=False, init=False, repr=False)

    @property
    def mid_event(self) -> bool:
        """Whether an object or the array has begun and not ended."""
        return self._in_array or self._depth > 0 or bool(self._buffer.strip(_BETWEEN))

    def _take(self, data: bytes, payloads: list[Payload]) -> None:
        old, begin = len(self._buffer), 0
        self._buffer += data
        for mark in _MARK.finditer(data):
            at, char = old + mark.start(), mark[0]
            if at < self._scanned:
                continue
            self._scanned = at + 1
            if char == b"\\":
                self._scanned += self._in_string
            elif char == b'"':
                self._in_string = not self._in_string
            elif self._in_string:
                continue
            elif char in b"{[":
                begin = self._open(char, at, begin)
            elif self._close(at, begin, payloads):
                begin = at + 1
        rest = self._buffer[begin:]
        if not self._depth and not rest.strip(_BETWEEN):
            begin = len(self._buffer)
        del self._buffer[:begin]
        self._scanned = max(self._scanned, begin + len(self._buffer)) - begin
        self._check(len(self._buffer))

    def _open(self, char: bytes, at: int, begin: int) -> int:
        """Go a level deeper and return where the current object begins."""
        if self._depth == 0:
            if self._buffer[begin:at].strip(_BETWEEN):
                raise MalformedResponse("the stream holds something else than JSON objects")
            begin = at
            if char == b"[" and not self._in_array:
                self._in_array = True
                return at + 1
        self._depth += 1
        return begin

    def _close(self, at: int, begin: int, payloads: list[Payload]) -> bool:
        """Come a level up; at the top an object, or the array, is complete."""
        if self._depth == 0:
            if not self._in_array or self._buffer[begin:at].strip(_BETWEEN):
                raise MalformedResponse("the stream holds something else than JSON objects")
            self._in_array = False
            return True
        self._depth -= 1
        if self._depth:
            return False
        self._check(at + 1 - begin)
        payloads += _objects(bytes(self._buffer[begin : at + 1]))
        return True

    def _end(self, payloads: list[Payload]) -> None:
        """An object without its closing brace stays what it is: cut off."""


@attrs.define(eq=False)
class EventParser(_Parser):
    """Parse a stream of server-sent events.

    Args:
        limit: The largest event, in bytes.
    """

    _line: bytearray = attrs.field(factory=bytearray, init=False, repr=False)
    _data: list[bytes] = attrs.field(factory=list, init=False, repr=False)
    _size: int = attrs.field(default=0, init=False, repr=False)
    _after_cr: bool = attrs.field(default=False, init=False, repr=False)
    _first: bool = attrs.field(default=True, init=False, repr=False)
    _bare: JsonArrayParser | None = attrs.field(default=None, init=False, repr=False)

    @property
    def mid_event(self) -> bool:
        """Whether an event has begun and not ended."""
        return bool(self._line or self._data) or (self._bare is not None and self._bare.mid_event)

    def _take(self, data: bytes, payloads: list[Payload]) -> None:
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        for line in data.splitlines(keepends=True):
            self._line += line.rstrip(b"\r\n")
            self._check(self._size + len(self._line))
            if line.endswith((b"\r", b"\n")):
                self._take_line(payloads)

    def _take_line(self, payloads: list[Payload]) -> None:
        line = bytes(self._line)
        self._line.clear()
        if self._first:
            line = line.removeprefix(codecs.BOM_UTF8)
            self._first = False
        if self._is_bare(line):
            self._take_bare(line, payloads)
        elif not line:
            self._finish_event(payloads)
        else:
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
                self._size += len(line)

    def _is_bare(self, line: bytes | bytearray) -> bool:
        return self._bare is not None or line.lstrip().startswith((b"{", b"["))

    def _take_bare(self, line: bytes, payloads: list[Payload]) -> None:
        """Take a line of JSON that is no event: how the service reports a failure in the middle of a stream."""
        self._finish_event(payloads)
        if self._bare is None:
            self._bare = JsonArrayParser(limit=self.limit)
        payloads += self._bare.feed(line + b"\n")
        if not self._bare.mid_event:
            self._bare = None

    def _finish_event(self, payloads: list[Payload]) -> None:
        text, self._data, self._size = b"\n".join(self._data), [], 0
        if text.strip():
            payloads += _objects(text)

    def _end(self, payloads: list[Payload]) -> None:
        """Take a last line without its end; what does not become an object by that was cut off."""
        cut = b"" if self._is_bare(self._line) or self._line.startswith(b":") else bytes(self._line)
        before = len(payloads)
        if self._line:
            self._take_line(payloads)
        try:
            self._finish_event(payloads)
        except MalformedResponse:
            cut = cut or b"data"
        if len(payloads) == before:
            self._line += cut


def _objects(text: bytes) -> list[Payload]:
    """Return the objects of one event; the service wraps some errors in an array of one."""
    value = loads(text)
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, dict) for item in values):
        raise MalformedResponse("an event of the stream is not a JSON object")
    return values
