"""Rows from files: JSONL, CSV and TSV, plain text."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing, nullcontext
from functools import partial
from pathlib import Path
from typing import Final, Literal, TextIO

import attrs

from gemtune.batch.ahead import Ahead
from gemtune.batch.items import Row
from gemtune.errors import InvalidInput

__all__ = ["FileRows", "Format", "Layout"]

Format = Literal["jsonl", "csv", "tsv", "text"]

_BY_SUFFIX: Final[Mapping[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
}
_ANY_LENGTH: Final = 2**31 - 1
"""The longest field of a table: what csv takes on every platform."""
_FIELD: Final = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")


@attrs.frozen(kw_only=True)
class Layout:
    """What the columns of a row are.

    Args:
        prompt: The column with the prompt; None takes ``prompt``, or the only column beside the key.
        key: The column with the key; None takes ``key``, where there is one.
        template: Instead of a column, text with ``{column}`` in it; ``{{`` and ``}}`` stand for braces.
    """

    prompt: str | None = None
    key: str | None = None
    template: str | None = None

    @property
    def key_column(self) -> str:
        """The column with the key."""
        return "key" if self.key is None else self.key

    def check(self, first: Mapping[str, object], *, table: bool) -> None:
        """Look for the named columns in the first row, as a name that was mistyped fails them all.

        Raises:
            InvalidInput: One is not there; in a table, also if it is not clear which has the prompt.
        """
        if self.key is not None:
            _column(first, self.key)
        if table or self.prompt is not None or self.template is not None:
            self._request(first)

    def row(self, value: object) -> Row:
        """Return the row that a line stands for; an InvalidInput where it stands for none."""
        if not isinstance(value, Mapping):
            return value if isinstance(value, str) else InvalidInput(f"a line is an object or a str, not {value!r:.60}")
        try:
            key = self._key(value)
        except InvalidInput as error:
            return error
        try:
            request = self._request(value)
        except InvalidInput as error:
            request = error
        return request if key is None else (key, request)

    def _key(self, value: Mapping[str, object]) -> str | None:
        key = value.get(self.key_column)
        if isinstance(key, str | None):
            return key or None
        if isinstance(key, int) and not isinstance(key, bool):
            return str(key)
        raise InvalidInput(
            f"the key in column {self.key_column!r} is {key!r:.60}: it has to be a str or an integer", field="key"
        )

    def _request(self, value: Mapping[str, object]) -> Row:
        if self.template is not None:
            return _FIELD.sub(partial(_filled, value), self.template)
        if self.prompt is None and "request" in value:
            return value["request"]
        # A column without a name is the index that pandas writes.
        columns = {name: item for name, item in value.items() if name not in ("", self.key_column)}
        if self.prompt is None and "contents" in columns:
            return columns
        return _column(
            columns, self.prompt or ("prompt" if "prompt" in columns or len(columns) != 1 else next(iter(columns)))
        )


def _column(columns: Mapping[str, object], name: str) -> object:
    if name not in columns:
        raise InvalidInput(f"there is no column {name!r}, only {_names(columns)}: name one of these", field=name)
    return columns[name]


def _filled(value: Mapping[str, object], found: re.Match[str]) -> str:
    name = found[1]
    if name is None:
        return found[0][0]
    item = _column(value, name)
    return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)


def _names(columns: Iterable[str]) -> str:
    return ", ".join(map(repr, columns)) or "none"


@attrs.define(eq=False)
class FileRows:
    """The rows of a file, read ahead in a thread, up to 200 rows or 8 MiB; blank lines are none.

    Args:
        path: The file; ``-`` is standard input.
        layout: What its columns are.
        format: What it is; None goes by the suffix, and by default it is text with one prompt a line.
    """

    path: Path = attrs.field(converter=Path)
    layout: Layout = attrs.field(factory=Layout)
    format: Format | None = None
    _count: int | None = attrs.field(default=None, init=False)

    def count(self) -> int:
        """Count the rows; reads the whole file, and blocks."""
        self._count = sum(1 for _ in self)
        return self._count

    def __length_hint__(self) -> int:
        """Return how many rows there are, if they were counted."""
        return NotImplemented if self._count is None else self._count

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows; blocks.

        Raises:
            InvalidInput: The file is not UTF-8, or not CSV, or lacks a column that was named.
        """
        return self._rows(_Lines())

    def check(self) -> None:
        """Read the first row, to tell at once what would fail all of them; blocks.

        Raises:
            InvalidInput: As in iterating.
        """
        for _ in self:
            return

    async def __aiter__(self) -> AsyncIterator[Row]:
        """Iterate over the rows without blocking; those of a pipe are there when they are written."""
        lines = _Lines()
        ahead = Ahead(self._rows(lines), read=lambda: lines.length, at_once=lambda: not self.path.is_file())
        async with aclosing(aiter(ahead)) as rows:
            async for row in rows:
                yield row

    def _rows(self, lines: _Lines) -> Iterator[Row]:
        kind = self.format or _BY_SUFFIX.get(self.path.suffix.lower(), "text")
        number, checked = 0, False
        try:
            with self._open() as file:
                for value in _READERS[kind](lines.of(file)):
                    number += 1
                    if not checked and isinstance(value, Mapping):
                        self.layout.check(value, table=kind in {"csv", "tsv"})
                        checked = True
                    yield value if isinstance(value, InvalidInput) else self.layout.row(value)
        except UnicodeDecodeError:
            raise InvalidInput(f"{self.path}, after row {number}: this is not UTF-8: save the file as UTF-8") from None
        except csv.Error as error:
            raise InvalidInput(f"{self.path}, after row {number}: {error}", row=number + 1) from None

    def _open(self) -> AbstractContextManager[TextIO]:
        if str(self.path) == "-":
            return _standard_input()
        return self.path.open(encoding="utf-8-sig", newline="")


@attrs.define(eq=False)
class _Lines:
    """Lines on their way to whoever parses them, and how long all of them were."""

    length: int = 0

    def of(self, file: TextIO) -> Iterator[str]:
        for line in file:
            self.length += len(line)
            yield line


def _standard_input() -> AbstractContextManager[TextIO]:
    """A file of our own, as the interpreter closes its own at its end and cannot while a thread reads from it."""
    try:
        return open(sys.stdin.fileno(), encoding="utf-8-sig", newline="", closefd=False)
    except (AttributeError, OSError, ValueError):  # none, or no file: a console's, or a test's
        if sys.stdin is None:
            raise InvalidInput("there is no standard input: name a file", field="INPUT") from None
        return nullcontext(sys.stdin)


def _json_lines(lines: Iterator[str]) -> Iterator[object]:
    for line in lines:
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                yield InvalidInput(f"this line is not JSON: {error}")
            except RecursionError:
                yield InvalidInput("this line is nested too deeply")


def _text_lines(lines: Iterator[str]) -> Iterator[object]:
    return (line.rstrip("\r\n") for line in lines if line.strip())


def _table(lines: Iterator[str], delimiter: str) -> Iterator[object]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    names: list[str] = []
    while (row := _next(reader)) is not None:
        if not row:
            continue
        if not names:
            names = row
        elif len(row) != len(names):
            yield InvalidInput("this row has not as many columns as the first")
        else:
            yield dict(zip(names, row, strict=True))


def _next(reader: Iterator[list[str]]) -> list[str] | None:
    before = csv.field_size_limit(_ANY_LENGTH)  # one setting for the whole process: it is left as it was
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(before)


_READERS: Final[Mapping[Format, Callable[[Iterator[str]], Iterator[object]]]] = {
    "jsonl": _json_lines,
    "text": _text_lines,
    "csv": partial(_table, delimiter=","),
    "tsv": partial(_table, delimiter="\t"),
}
