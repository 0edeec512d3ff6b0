"""JSON text ⇄ plain Python: the same values with orjson as without it.

orjson is a faster way to the same result, or it is not used. Where it reads or writes something of its own accord, the
standard library decides: bare NaN and Infinity, half of a surrogate pair, UTF-16, integers of more than 64 bits.

=====================  =============================  ==============================  =========================
value                  read                           written to a request            written to a journal
=====================  =============================  ==============================  =========================
NaN, Infinity          a float                        refused                         its name, as ProtoJSON does
integer > 64 bits      a float                        as it stands                    as it stands
half of a surrogate    as it stands                   refused                         as an escape
date, time, dataclass  (JSON has none)                refused                         refused
UUID, member of Enum   (JSON has none)                its text, its value             its text, its value
a key given twice      the last one counts            (a dict has none)               (a dict has none)
=====================  =============================  ==============================  =========================
"""

from __future__ import annotations

import codecs
import importlib
import json
import math
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final
from uuid import UUID

from gemtune.errors import InvalidInput, MalformedResponse

_LONG: Final = re.compile(rb"[0-9]{19}")
_MOST_DIGITS: Final = 4300
"""Of an integer: more cost their square, and Python refuses them."""


def _default(value: object) -> object:
    """Return what orjson writes for it without being asked."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _encoder(*, ascii_only: bool) -> json.JSONEncoder:
    return json.JSONEncoder(separators=(",", ":"), ensure_ascii=ascii_only, allow_nan=False, default=_default)


_encode: Final = _encoder(ascii_only=False).encode
_encode_ascii: Final = _encoder(ascii_only=True).encode


def _fast_parser() -> Any:
    try:
        return importlib.import_module("orjson")
    except ImportError:
        return None


# Faster, and optional: a package in Rust has no wheel for every platform.
_orjson = _fast_parser()
# What orjson writes on its own initiative, and the standard library refuses.
_options = _orjson and _orjson.OPT_PASSTHROUGH_DATETIME | _orjson.OPT_PASSTHROUGH_DATACLASS


def loads(body: bytes) -> Any:
    """Parse a JSON body.

    Args:
        body: UTF-8, with or without a byte order mark, or UTF-16.

    Returns:
        Plain Python objects; an integer beyond 64 bits comes out as a float, because no field holds one.

    Raises:
        MalformedResponse: The body is not JSON, is cut off, or is nested too deeply.
    """
    if body[:3] == codecs.BOM_UTF8:
        body = body[3:]
    if _orjson is not None:
        try:
            return _orjson.loads(body)
        except ValueError:
            pass  # the standard parser also takes NaN, lone surrogates and UTF-16, and says what is wrong
    try:
        # The hook costs a call for each integer, so it is used only where there may be one that is too long.
        return json.loads(body, parse_int=_integer) if b"\0" in body[:4] or _LONG.search(body) else json.loads(body)
    except json.JSONDecodeError as error:
        raise MalformedResponse(
            f"the reply is not JSON: {error.msg} at character {error.pos} of {len(error.doc)}"
        ) from None
    except RecursionError:
        raise MalformedResponse("the reply is nested too deeply") from None
    except ValueError as error:
        raise MalformedResponse(f"the reply is not JSON ({type(error).__name__})") from None


def _integer(digits: str) -> int | float:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("an integer without end")
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else float(digits)


def dumps(value: Any, *, strict: bool = False) -> bytes:
    """Write compact JSON in UTF-8.

    Args:
        value: Plain Python objects, as ``encode`` returns them.
        strict: Whether what JSON cannot say is refused, as in a request. In what a reply held it is kept: NaN by its
            name, half of a surrogate pair as an escape.

    Raises:
        InvalidInput: The value cannot be written as JSON.
    """
    try:
        if _orjson is not None:
            try:
                written = bytes(_orjson.dumps(value, option=_options))
                if value is None or b"null" not in written:
                    return written
                # orjson writes null for NaN as well: the standard encoder knows which it is.
            except TypeError:
                pass  # lone surrogates, large integers, dates: the standard encoder writes or refuses them
        return _written(value, strict=strict)
    except InvalidInput:
        raise
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"this value cannot be written as JSON: {error}") from None
    except RecursionError:
        raise InvalidInput(
            "this value cannot be written as JSON: it is nested too deeply, or contains itself"
        ) from None


def _written(value: Any, *, strict: bool) -> bytes:
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:
        if strict:
            raise _half_a_character(value) from None
        return _encode_ascii(value).encode()
    except ValueError:  # NaN or Infinity, or it contains itself, which ends in a RecursionError here
        leaves = _leaves(value, "")
        odd = next(((at, leaf) for at, leaf in leaves if isinstance(leaf, float) and not math.isfinite(leaf)), None)
        if odd is None:
            raise
        if strict:
            where, number = odd[0].removeprefix(".") or "a number", odd[1]
            raise InvalidInput(f"{where} is {number}, which JSON cannot say: leave it out", field=where) from None
        return _written(_with_names(value), strict=False)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield what is neither an object nor a list, and where it stands."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def _with_names(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _with_names(item) for key, item in value.items()}
    return [_with_names(item) for item in value] if isinstance(value, list | tuple) else value


def _half_a_character(value: Any) -> InvalidInput:
    broken = (at for at, leaf in _leaves(value, "") if isinstance(leaf, str) and not _is_utf8(leaf))
    where = next(broken, "a string").removeprefix(".")
    return InvalidInput(f"{where} holds half of a character (a lone surrogate): read its source as UTF-8", field=where)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
