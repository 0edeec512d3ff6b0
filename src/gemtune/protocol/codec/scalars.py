"""The proto3 JSON mapping of single values (protobuf.dev, "ProtoJSON format").

Reading is as lenient as the mapping allows: integers as strings, numbers as the names of non-numbers, both alphabets of
base64. Writing is strict. A value that does not fit is never copied into an error, as it may be somebody's data.

``value.__class__ is str`` instead of ``isinstance`` is deliberate: what a parser made is exactly of these classes, and
True is an int to ``isinstance`` but no integer to JSON.
"""

from __future__ import annotations

import binascii
import math
import operator
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from gemtune.types.message import Json
from gemtune.types.timestamp import Timestamp

_DEPTH = 64
_INTEGER = re.compile(r"-?[0-9]{1,20}")  # int64 and uint64 have no more digits; more would cost their square
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Wrong(Exception):
    """A value that does not fit, and the way to it, innermost step first. It never holds the value."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected
        self.steps: list[str | int] = []

    def where(self, root: str) -> str:
        """Return the way as a JSON path such as ``$.tuningTask.snapshots[3].step``."""
        return root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in reversed(self.steps))


def each(convert: Callable[[Any], Any], values: Any) -> list[Any]:
    """Convert every value of a list; if one does not fit, its number becomes part of the way."""
    if values.__class__ is not list and values.__class__ is not tuple:
        raise Wrong("a list")
    made: list[Any] = []
    try:
        for value in values:
            made.append(convert(value))  # noqa: PERF401 its length tells which value does not fit
    except Wrong as wrong:
        wrong.steps.append(len(made))
        raise
    return made


def to_str(value: Any) -> str:
    """Return a string."""
    if value.__class__ is str:
        return value
    raise Wrong("a string")


def to_bool(value: Any) -> bool:
    """Return a truth value."""
    if value.__class__ is bool:
        return value
    raise Wrong("true or false")


def to_int(value: Any) -> int:
    """Return an integer from a number or a decimal string."""
    if value.__class__ is int:
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise Wrong("an integer")


def to_float(value: Any) -> float:
    """Return a float from a number or one of the three names of non-numbers."""
    if value.__class__ is float:
        return value
    try:
        if value.__class__ is int:
            return float(value)
        return _SPECIAL[value]
    except (KeyError, TypeError, OverflowError):
        raise Wrong("a number") from None


def to_bytes(value: Any) -> bytes:
    """Return bytes from base64, standard or URL-safe, padded or not."""
    try:
        text = value.replace("-", "+").replace("_", "/")
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except (AttributeError, TypeError, ValueError):
        raise Wrong("base64") from None


def to_time(value: Any) -> Timestamp:
    """Return a moment from RFC 3339 text."""
    try:
        return Timestamp.parse(value)
    except (TypeError, ValueError, OverflowError):
        raise Wrong("an RFC 3339 time") from None


def to_json(value: Any) -> Json:
    """Return a JSON object as it is, unless it is nested too deeply."""
    if value.__class__ is not dict:
        raise Wrong("an object")
    bound_depth(value, _DEPTH)
    return value


def bound_depth(value: Any, depth: int) -> None:
    """Refuse what is nested more deeply than this."""
    if depth == 0:
        raise Wrong(f"at most {_DEPTH} levels")
    for item in value.values() if value.__class__ is dict else value:
        if item.__class__ is dict or item.__class__ is list:
            bound_depth(item, depth - 1)


def str_to_json(value: Any) -> str:
    """Return a string; a member of an enumeration is one."""
    if isinstance(value, str):
        return str(value)
    raise Wrong(f"a string, not {type(value).__name__}")


def int_to_json(value: Any) -> int:
    """Return an integer, including one of another library's (NumPy)."""
    try:
        return operator.index(value)
    except TypeError:
        raise Wrong(f"an integer, not {type(value).__name__}") from None


def int64_to_json(value: Any) -> str:
    """Return an integer as a string."""
    return str(int_to_json(value))


def float_to_json(value: Any) -> float | str:
    """Return a number, including one of another library's (NumPy), or the name of a non-number."""
    try:
        if math.isfinite(value):
            return value if value.__class__ is float or value.__class__ is int else float(value)
    except (TypeError, ValueError, OverflowError):
        raise Wrong(f"a number, not {type(value).__name__}") from None
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124 NaN differs from itself


def bytes_to_json(value: Any) -> str:
    """Return base64."""
    try:
        return b64encode(value).decode()
    except TypeError:
        raise Wrong(f"bytes, not {type(value).__name__}") from None


def time_to_json(value: Any) -> str:
    """Return RFC 3339 text."""
    try:
        return str(Timestamp.of(value))
    except (AttributeError, ValueError):
        raise Wrong(f"an aware datetime, not a {type(value).__name__} without a time zone") from None


def json_to_json(value: Any) -> Json:
    """Return a mapping as a dict."""
    if isinstance(value, Mapping):
        return value if value.__class__ is dict else dict(value)
    raise Wrong(f"a mapping, not {type(value).__name__}")
