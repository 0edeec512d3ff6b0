"""TensorBoard's event files, written and read by hand: frames around messages of protocol buffers.

A file is a series of frames, each with a length and two checksums (TFRecord), and holds one ``Event`` in each::

    8 bytes   length of the event, little endian
    4 bytes   masked CRC-32C of the length
    n bytes   the event
    4 bytes   masked CRC-32C of the event

An event has a time, a step and a value with a tag: a number, a text, or what the plug-in for hyperparameters reads.
TensorBoard itself reads the result in the tests. Everything here is a pure function.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import attrs

from gemtune.datasets.upload.crc32c import by_table

Value: TypeAlias = str | int | float | bool

VERSION: Final = b"brain.Event:2"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOAT, _STRING = 1, 7
"""Types of a tensor."""
_STARTS: Final = "_hparams_/session_start_info"
_HEAD: Final = 12
_TAIL: Final = 4


@attrs.frozen
class Point:
    """A number that a file holds."""

    tag: str
    step: int
    wall_time: float


def framed(event: bytes) -> bytes:
    """Return an event in its frame."""
    length = struct.pack("<Q", len(event))
    return b"".join((length, _masked(length), event, _masked(event)))


def frames(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the whole events of a file, each with the place where its frame ends; what was torn off is left out."""
    at = 0
    while at + _HEAD <= len(data):
        length = data[at : at + 8]
        end = at + _HEAD + struct.unpack("<Q", length)[0] + _TAIL
        event = data[at + _HEAD : end - _TAIL]
        if end > len(data) or data[at + 8 : at + _HEAD] != _masked(length) or data[end - _TAIL : end] != _masked(event):
            return
        yield event, end
        at = end


def beginning(wall_time: float) -> bytes:
    """Return the event with which a file begins."""
    return _double(1, wall_time) + _bytes(3, VERSION)


def scalar(tag: str, value: float, step: int, wall_time: float) -> bytes:
    """Return a number at a step as an event."""
    return _event(wall_time, step, _bytes(1, tag.encode()) + _tag(2, _FIXED32) + _single(value))


def text(tag: str, said: str, wall_time: float) -> bytes:
    """Return a text (Markdown) as an event."""
    metadata = _bytes(1, _bytes(1, b"text"))
    tensor = _number(1, _STRING) + _bytes(2, _bytes(2, _number(1, 1))) + _bytes(8, said.encode())
    return _event(wall_time, 0, _bytes(1, tag.encode()) + _bytes(9, metadata) + _bytes(8, tensor))


def hyperparameters(values: Mapping[str, Value], group: str, wall_time: float) -> bytes:
    """Return the hyperparameters of a run as an event."""
    entries = b"".join(_bytes(1, _bytes(1, name.encode()) + _bytes(2, _any(value))) for name, value in values.items())
    return _plugged(_STARTS, _bytes(3, entries + _bytes(4, group.encode()) + _double(5, wall_time)), wall_time)


def point(event: bytes) -> Point | None:
    """Return which number an event of these holds; None for every other."""
    wall_time, step, tag, numeric = 0.0, 0, "", False
    for field, value in _fields(event):
        if field == 1 and isinstance(value, bytes):
            wall_time = struct.unpack("<d", value)[0]
        elif field == 2 and isinstance(value, int):
            step = value
        elif field == 5 and isinstance(value, bytes):
            for _, entry in _fields(value):
                for inner, said in _fields(entry if isinstance(entry, bytes) else b""):
                    tag = said.decode() if inner == 1 and isinstance(said, bytes) else tag
                    numeric = numeric or inner == 2
    return Point(tag, step, wall_time) if tag and numeric else None


def _plugged(tag: str, content: bytes, wall_time: float) -> bytes:
    # Of what it holds, all is metadata; the empty tensor is there because readers want one.
    metadata = _bytes(1, _bytes(1, b"hparams") + _bytes(2, content))
    empty = _number(1, _FLOAT) + _bytes(2, _bytes(2, b""))
    return _event(wall_time, 0, _bytes(1, tag.encode()) + _bytes(9, metadata) + _bytes(8, empty))


def _single(value: float) -> bytes:
    try:
        return struct.pack("<f", value)
    except OverflowError:  # as every other conversion to single precision has it
        return struct.pack("<f", math.copysign(math.inf, value))


def _any(value: Value) -> bytes:
    """Return a value as ``google.protobuf.Value``."""
    if isinstance(value, bool):
        return _number(4, int(value))
    return _bytes(3, value.encode()) if isinstance(value, str) else _double(2, float(value))


def _event(wall_time: float, step: int, value: bytes) -> bytes:
    return _double(1, wall_time) + _number(2, step) + _bytes(5, _bytes(1, value))


def _masked(data: bytes) -> bytes:
    crc = by_table(data, 0xFFFFFFFF) ^ 0xFFFFFFFF
    # The mask of TFRecord: a checksum of data that hold checksums would be weak.
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _tag(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _number(field: int, value: int) -> bytes:
    return _tag(field, _VARINT) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _tag(field, _FIXED64) + struct.pack("<d", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _tag(field, _BYTES) + _varint(len(value)) + value


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        field, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            yield field, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind, -1)
        if size < 0:
            size, at = _read_varint(message, at)
        yield field, message[at : at + size]
        at += size


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    return value, at
