"""JSON text ⇄ plain Python, with the fastest parser installed."""

from __future__ import annotations

import codecs
import importlib
import json
from collections.abc import Iterator
from typing import Any

from gemtune.errors import InvalidInput, MalformedResponse

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_encode_ascii = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _fast_parser() -> Any:
    try:
        return importlib.import_module("orjson")
    except ImportError:
        return None


# Faster, and optional: a package in Rust has no wheel for every platform.
_orjson = _fast_parser()


def loads(body: bytes) -> Any:
    """Parse a JSON body.

    Args:
        body: UTF-8, with or without a byte order mark, or UTF-16.

    Returns:
        Plain Python objects; an integer beyond 64 bits may come out as a float, because no field holds one.

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
        return json.loads(body)
    except json.JSONDecodeError as error:
        raise MalformedResponse(
            f"the reply is not JSON: {error.msg} at character {error.pos} of {len(error.doc)}"
        ) from None
    except RecursionError:
        raise MalformedResponse("the reply is nested too deeply") from None
    except ValueError as error:
        raise MalformedResponse(f"the reply is not JSON ({type(error).__name__})") from None


def dumps(value: Any, *, lone_surrogates: bool = True) -> bytes:
    """Write compact JSON in UTF-8.

    Args:
        value: Plain Python objects, as ``encode`` returns them.
        lone_surrogates: Whether they are written as escapes: a reply may hold them, a request may not.

    Raises:
        InvalidInput: The value cannot be written as JSON.
    """
    try:
        if _orjson is not None:
            try:
                return bytes(_orjson.dumps(value))
            except TypeError:
                pass  # lone surrogates and large integers: the standard encoder can
        try:
            return _encode(value).encode()
        except UnicodeEncodeError:
            if not lone_surrogates:
                raise _half_a_character(value) from None
            return _encode_ascii(value).encode()
    except InvalidInput:
        raise
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"this value cannot be written as JSON: {error}") from None
    except RecursionError:
        raise InvalidInput(
            "this value cannot be written as JSON: it is nested too deeply, or contains itself"
        ) from None


def _half_a_character(value: Any) -> InvalidInput:
    where = next(_broken_texts(value, ""), "a string").removeprefix(".")
    return InvalidInput(f"{where} holds half of a character (a lone surrogate): read its source as UTF-8", field=where)


def _broken_texts(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _broken_texts(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _broken_texts(item, f"{path}[{index}]")
