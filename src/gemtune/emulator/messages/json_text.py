"""JSON text, as Google's frontend reads and writes it; what stands in it is the codec's business.

Reading costs no more than the size of what was sent: one pass, and a second one for a body with trailing commas.
Nesting is bounded as in protobuf's reader, because everything that walks over a value later does so by recursion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring
from typing import cast

from gemtune.emulator.messages.errors import violations

DEPTH = 100

# A string is taken whole and never given back (possessive), closed or not. Read as "a whole string or nothing", a body
# that is cut off inside a string would be scanned to its end from every quote in it: the square of its size.
_STRING_OR_TRAILING_COMMA = re.compile(r'"(?:[^"\\]|\\.)*+"?+|,(?=\s*+[\]}])', re.DOTALL)


def parse_json(data: bytes) -> object:
    """Return the JSON of a request body; a comma before a closing bracket is ignored, as the service does.

    Raises:
        RpcError: 400; the message says what is wrong and where.
    """
    try:
        return loads(data)
    except ValueError as error:
        raise violations([("", f"Invalid JSON payload received. {error}")]) from None


def loads(data: bytes) -> object:
    """Return JSON; raises ValueError in the words of a reader for whoever sent it."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"Invalid UTF-8 at byte {error.start}.") from None
    try:
        value = _loads(text)
    except ValueError:  # look again without the commas
        value = _loads(_STRING_OR_TRAILING_COMMA.sub(lambda m: "" if m.group() == "," else m.group(), text))
    if _is_deep(value):
        raise ValueError("It is nested too deeply.")
    return value


def _loads(text: str) -> object:
    try:
        return cast(object, json.loads(text, parse_constant=_refuse))
    except RecursionError:
        raise ValueError("It is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at line {error.lineno} column {error.colno}.") from None


def _refuse(name: str) -> object:
    raise ValueError(f"Unexpected token {name}.")


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(DEPTH + 1):
        level = [item for each in level for item in _parts(each) if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


class FrozenJson(dict[str, object]):
    """JSON that never changes: its text is made once for each way of writing it."""

    __slots__ = ("texts",)

    def __init__(self, value: Mapping[str, object]) -> None:
        super().__init__(value)
        self.texts: dict[tuple[str, str], str] = {}

    def text(self, newline: str, colon: str) -> str:
        """Return the text at a depth, which ``newline`` tells by its spaces."""
        if (newline, colon) not in self.texts:
            # No string has a line break in it that is not escaped, so that one depth can be made of another.
            for other, text in self.texts.items():
                if newline and other[0] and other[1] == colon:
                    self.texts[newline, colon] = text.replace(other[0], newline)
                    return self.texts[newline, colon]
            out: list[str] = []
            _write(dict(self), newline, colon, out)
            self.texts[newline, colon] = "".join(out)
        return self.texts[newline, colon]


def dumps(value: object, *, pretty: bool = True, colon: str = ":") -> bytes:
    """Return JSON text: two spaces per level and a newline at the end, or one line if not ``pretty``."""
    out: list[str] = []
    if pretty:
        _write(value, "\n", ": ", out)
        out.append("\n")
    else:
        _write(value, "", colon, out)
    # a lone surrogate becomes the escape it was read from
    return "".join(out).encode("utf-8", "backslashreplace")


def _write(value: object, newline: str, colon: str, out: list[str]) -> None:
    deeper = newline + "  " if newline else ""
    if isinstance(value, FrozenJson):
        out.append(value.text(newline, colon))
    elif isinstance(value, str):
        out.append(_quote(value))
    elif isinstance(value, dict):
        separator = "{" + deeper
        for key, item in value.items():
            out.append(separator + _name(str(key)) + colon)
            _write(item, deeper, colon, out)
            separator = "," + deeper
        out.append(newline + "}" if value else "{}")
    elif isinstance(value, list | tuple):
        separator = "[" + deeper
        for item in value:
            out.append(separator)
            _write(item, deeper, colon, out)
            separator = "," + deeper
        out.append(newline + "]" if value else "[]")
    elif isinstance(value, float):
        out.append(_number(value))
    elif type(value) is int:
        out.append(str(value))
    else:
        out.append(json.dumps(value))


def _quote(text: str) -> str:
    # protobuf's JSON writer escapes angle brackets so that a body can stand inside HTML
    return encode_basestring(text).replace("<", "\\u003c").replace(">", "\\u003e")


_name = lru_cache(maxsize=1024)(_quote)  # the names of fields are few, and come again and again


def _number(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN is the only value unlike itself
        return {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}[str(value)]
    return repr(value).removesuffix(".0")
