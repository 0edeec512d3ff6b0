"""Rows from files: JSONL, CSV and TSV, plain text."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, Literal, TextIO

import anyio.to_thread
import attrs

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
_AT_ONCE: Final = 200
_FIELD: Final = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")


@attrs.frozen(kw_only=True)
class Layout:
    """What the columns of a row are.

    Args:
        prompt: The column with the prompt; None takes ``prompt``, or the only column beside the key.
        key: The column with the key, where there is one.
        template: Instead of a column, text with ``{column}`` in it; ``{{`` and ``}}`` stand for braces.
    """

    prompt: str | None = None
    key: str = "key"
    template: str | None = None

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
        key = value.get(self.key)
        if isinstance(key, str | None):
            return key or None
        if isinstance(key, int) and not isinstance(key, bool):
            return str(key)
        raise InvalidInput(
            f"the key in column {self.key!r} is {key!r:.60}: it has to be a str or an integer", field="key"
        )

    def _request(self, value: Mapping[str, object]) -> Row:
        if self.template is not None:
            return _FIELD.sub(partial(_filled, value), self.template)
        if self.prompt is None and "request" in value:
            return value["request"]
        columns = {name: item for name, item in value.items() if name != self.key}
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
    """The rows of a file, read in a worker thread a few at a time; blank lines are none.

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
            InvalidInput: The file is not UTF-8, or not CSV.
        """
        kind = self.format or _BY_SUFFIX.get(self.path.suffix.lower(), "text")
        number = 0
        try:
            with self._open() as file:
                for value in _READERS[kind](file):
                    number += 1
                    yield value if isinstance(value, InvalidInput) else self.layout.row(value)
        except UnicodeDecodeError:
            raise InvalidInput(f"{self.path}, after row {number}: this is not UTF-8: save the file as UTF-8") from None
        except csv.Error as error:
            raise InvalidInput(f"{self.path}, after row {number}: {error}", row=number + 1) from None

    async def __aiter__(self) -> AsyncIterator[Row]:
        """Iterate over the rows without blocking."""
        rows = iter(self)
        while some := await anyio.to_thread.run_sync(lambda: list(islice(rows, _AT_ONCE)), abandon_on_cancel=True):
            for row in some:
                yield row

    def _open(self) -> AbstractContextManager[TextIO]:
        if str(self.path) == "-":
            return nullcontext(sys.stdin)
        return self.path.open(encoding="utf-8-sig", newline="")


def _json_lines(file: TextIO) -> Iterator[object]:
    for line in file:
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                yield InvalidInput(f"this line is not JSON: {error}")


def _text_lines(file: TextIO) -> Iterator[object]:
    return (line.rstrip("\r\n") for line in file if line.strip())


def _table(file: TextIO, delimiter: str) -> Iterator[object]:
    for row in csv.DictReader(file, delimiter=delimiter, restkey="", strict=True):
        if "" in row or None in row.values():
            yield InvalidInput("this row has not as many columns as the first")
        else:
            yield row


_READERS: Final[Mapping[Format, Callable[[TextIO], Iterator[object]]]] = {
    "jsonl": _json_lines,
    "text": _text_lines,
    "csv": partial(_table, delimiter=","),
    "tsv": partial(_table, delimiter="\t"),
}
