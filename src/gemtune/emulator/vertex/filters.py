"""The filters of lists: the grammar that Google's lists share (AIP-160), as far as Vertex AI documents it.

::

    filter      = sequence {"AND" sequence}          an empty filter takes everything
    sequence    = factor {"OR" factor}               OR binds closer than AND
    factor      = ["NOT" | "-"] ("(" filter ")" | restriction)
    restriction = field ["." key] operator value | function "(" value ")"
    operator    = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"

``:`` finds a part: an element of a list, a key of the labels (``labels.key:*``), a pattern with ``*``. Fields may be
written in snake_case or camelCase, values with quotes or without.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gemtune.emulator.messages.codec import parse_timestamp
from gemtune.emulator.messages.errors import RpcError, bad_request
from gemtune.emulator.messages.schema import snake_case

Subject = Mapping[str, object]
Predicate = Callable[[Subject], bool]
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<sign><=|>=|!=|[=<>:().])|(?P<word>[^\s"'=<>!:().]+))"""
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_DEPTH = 20


@attrs.define
class _FilterReader:
    text: str
    fields: Mapping[str, str]
    functions: Mapping[str, str]
    tokens: list[tuple[str, str]]
    at: int = 0
    depth: int = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def every(self) -> Predicate:
        parts = [self.any()]
        while self.peek() not in (("", ""), ("sign", ")")):
            if self.peek() == ("word", "AND"):
                self.take()
            parts.append(self.any())
        return lambda subject: all(part(subject) for part in parts)

    def any(self) -> Predicate:
        parts = [self.factor()]
        while self.peek() == ("word", "OR"):
            self.take()
            parts.append(self.factor())
        return lambda subject: any(part(subject) for part in parts)

    def factor(self) -> Predicate:
        kind, text = self.peek()
        if kind == "word" and (text == "NOT" or text.startswith("-")):
            self.take()
            if text != "NOT" and len(text) > 1:
                self.at -= 1
                self.tokens[self.at] = ("word", text[1:])
            inner = self.deeper(self.factor)
            return lambda subject: not inner(subject)
        if (kind, text) == ("sign", "("):
            self.take()
            inner = self.deeper(self.every)
            self.expect(")")
            return inner
        return self.restriction()

    def deeper(self, read: Callable[[], Predicate]) -> Predicate:
        self.depth += 1
        if self.depth > _DEPTH:
            raise self.wrong()
        inner = read()
        self.depth -= 1
        return inner

    def restriction(self) -> Predicate:
        kind, name = self.take()
        if kind != "word":
            raise self.wrong()
        if self.peek() == ("sign", "(") and name in self.functions:
            self.take()
            wanted = self.value()
            self.expect(")")
            field = self.functions[name]
            return lambda subject: _has(subject.get(field), wanted)
        field = self.fields.get(snake_case(name), "")
        if not field:
            raise bad_request(f"Invalid filter: there is no field {name!r} to filter by in {self.text!r}.")
        key = None
        if self.peek() == ("sign", "."):
            self.take()
            key = self.plain()
        sign = self.take()[1]
        if sign == ":":
            return _holds(field, key, self.value())
        if sign not in _COMPARE:
            raise self.wrong()
        return _compares(field, key, sign, self.value(), self.wrong)

    def plain(self) -> str:
        kind, text = self.take()
        if kind not in ("quoted", "word"):
            raise self.wrong()
        return re.sub(r"\\(.)", r"\1", text[1:-1]) if kind == "quoted" else text

    def value(self) -> str:
        quoted, text = self.peek()[0] == "quoted", self.plain()
        if quoted:
            return text
        # A value without quotes may hold what separates elsewhere, as a time does.
        while self.peek()[1] in (":", ".") and self.at + 1 < len(self.tokens) and self.tokens[self.at + 1][0] == "word":
            text += self.take()[1] + self.take()[1]
        return text

    def expect(self, sign: str) -> None:
        if self.take() != ("sign", sign):
            raise self.wrong()

    def wrong(self) -> RpcError:
        return bad_request(f"Invalid filter: {self.text!r} cannot be parsed at token {self.at}.")


def read_filter(text: str, fields: Mapping[str, str], functions: Mapping[str, str] | None = None) -> Predicate:
    """Return what a filter chooses.

    Args:
        text: as it was sent.
        fields: the subject's key by the name of a field.
        functions: the subject's key, a list, by the name of a function that looks into it.

    Raises:
        RpcError: 400 for what is no filter, or names another field.
    """
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise bad_request(f"Invalid filter: {text!r} cannot be parsed at character {at}.")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    if not tokens:
        return lambda _: True
    reader = _FilterReader(text, fields, functions or {}, tokens)
    found = reader.every()
    if reader.at < len(tokens):
        raise reader.wrong()
    return found


def _of(subject: Subject, field: str, key: str | None) -> object:
    value = subject.get(field)
    return value.get(key) if key is not None and isinstance(value, Mapping) else value


def _has(value: object, wanted: str) -> bool:
    if isinstance(value, list | Mapping):
        return wanted in value
    if value is None:
        return False
    pattern = ".*".join(map(re.escape, wanted.split("*")))
    return re.fullmatch(pattern, str(value), re.DOTALL) is not None if "*" in wanted else wanted in str(value)


def _holds(field: str, key: str | None, wanted: str) -> Predicate:
    return lambda subject: _has(_of(subject, field, key), wanted)


def _compares(field: str, key: str | None, sign: str, wanted: str, wrong: Callable[[], RpcError]) -> Predicate:
    compare = _COMPARE[sign]

    def decide(subject: Subject) -> bool:
        value = _of(subject, field, key)
        if isinstance(value, int):
            try:
                return compare(value, parse_timestamp(wanted))
            except ValueError:
                raise wrong() from None
        if isinstance(value, list):
            return compare(wanted in value, True)
        if value is None:
            return sign == "!="
        return compare(str(value), wanted)

    return decide
