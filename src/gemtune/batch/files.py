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
from typing import Any, Final, Literal, TextIO

import attrs

from gemtune.batch.ahead import Ahead
from gemtune.batch.items import Row, request_fields
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
_UNDECODED: Final = re.compile("[\udc80-\udcff]")
"""What ``surrogateescape`` (PEP 383) makes of bytes that are no text."""
_GZIP: Final = "is compressed with gzip: unpack it, or let zcat write it to a pipe"
_OTHER_FILES: Final = (
    ("\x1f\udc8b", _GZIP),
    ("(\udcb5/\udcfd", "is compressed with zstd: unpack it, or let zstdcat write it to a pipe"),
    ("PK\x03\x04", "is a zip archive or a spreadsheet: save its rows as CSV, in UTF-8"),
    ("PAR1", "is a Parquet file: save its rows as JSONL"),
    ("\udcff\udcfe", "is UTF-16: save it as UTF-8"),
    ("\udcfe\udcff", "is UTF-16: save it as UTF-8"),
)
"""How files begin that are taken for text by mistake."""


@attrs.frozen(kw_only=True)
class Layout:
    """What the columns of a row are.

    A row with ``contents`` is a request, and text and numbers beside its fields are the user's own, as are all other
    columns beside a prompt.  A row with ``request`` holds a whole request, sent as it stands.

    Args:
        prompt: The column with the prompt; None takes ``prompt``, or the only column beside the key.
        key: The column with the key; None takes ``key``, where there is one.
        template: Instead of a column, text with ``{column}`` in it; ``{{`` and ``}}`` stand for braces.
    """

    prompt: str | None = None
    key: str | None = None
    template: str | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse a template that makes the same prompt of all rows."""
        if self.template is not None and not any(found[1] for found in _FIELD.finditer(self.template)):
            raise InvalidInput(
                f"template {self.template!r:.60} names no column: write {{column}} where its text belongs",
                field="template",
            )

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
            _column(first, self.key, "as the key column")
        if table or self.prompt is not None or self.template is not None:
            self._request(first)

    def row(self, value: object) -> Row:
        """Return the row that a line stands for; an InvalidInput where it stands for none."""
        if isinstance(value, str) and self.template is None:
            return value
        columns = {"prompt": value} if isinstance(value, str) else value
        if not isinstance(columns, Mapping):
            return InvalidInput(f"a line is a JSON object or string, not {value!r:.60}")
        try:
            key = self._key(columns)
        except InvalidInput as error:
            return error
        try:
            request = self._request(columns)
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
            return request_fields(columns)
        prompt = self.prompt or ("prompt" if "prompt" in columns or len(columns) != 1 else next(iter(columns)))
        return _column(columns, prompt, "as the prompt column")


def _column(columns: Mapping[str, object], name: str, where: str) -> object:
    if name not in columns:
        what = f"there is no column {name!r}, only {_names(columns)}: name one of these {where}"
        raise InvalidInput(what, field=name)
    return columns[name]


def _filled(value: Mapping[str, object], found: re.Match[str]) -> str:
    name = found[1]
    if name is None:
        return found[0][0]
    item = _column(value, name, "in the template")
    return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)


def _names(columns: Iterable[str]) -> str:
    return ", ".join(map(repr, columns)) or "none"


@attrs.define(eq=False)
class FileRows:
    """The rows of a file, read ahead in a thread, up to 200 rows or 8 MiB; blank lines are none.

    Args:
        path: The file, or a named pipe; ``-`` is standard input.
        layout: What its columns are.
        format: What it is; None goes by the suffix, and by default it is text with one prompt a line.
    """

    path: Path = attrs.field(converter=Path)
    layout: Layout = attrs.field(factory=Layout)
    format: Format | None = None
    _count: int | None = attrs.field(default=None, init=False)

    def __str__(self) -> str:
        """Return what the input is called."""
        return "standard input" if str(self.path) == "-" else str(self.path)

    @property
    def again(self) -> bool:
        """Whether it can be read more than once: not what comes through a pipe."""
        return str(self.path) != "-" and self.path.is_file()

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
            InvalidInput: It cannot be read, is not UTF-8, not of its format, or lacks a column that was named.
        """
        return self._rows(_Lines())

    def check(self) -> None:
        """Look at the file and its first row, to tell at once what would fail all of them; blocks.

        Raises:
            InvalidInput: As in iterating, or there are no rows.
        """
        if self.again:
            for _ in self:
                return
            raise self.nothing()
        if str(self.path) != "-" and (not self.path.exists() or self.path.is_dir()):
            self._open()

    def nothing(self) -> InvalidInput:
        """Return the error that tells that there are no rows."""
        return InvalidInput(f"{self} holds no rows: there is nothing to ask", field="INPUT")

    async def __aiter__(self) -> AsyncIterator[Row]:
        """Iterate over the rows without blocking; those of a pipe are there when they are written."""
        lines = _Lines()
        ahead = Ahead(self._rows(lines), read=lambda: lines.length, at_once=lambda: not self.again)
        async with aclosing(aiter(ahead)) as rows:
            async for row in rows:
                yield row

    def _rows(self, lines: _Lines) -> Iterator[Row]:
        suffix = self.path.suffix.lower()
        kind = self.format or _BY_SUFFIX.get(suffix)
        number, checked = 0, False
        try:
            with self._open() as file:
                for value in _READERS[kind or "text"](lines.of(file)):
                    number += 1
                    checked = checked or self._check(value, kind)
                    yield value if isinstance(value, InvalidInput) else self.layout.row(value)
        except _Unreadable as error:
            raise InvalidInput(f"{self}{error}") from None
        except UnicodeDecodeError:
            raise InvalidInput(f"{self}, after row {number}: this is not UTF-8: save it as UTF-8") from None
        except OSError as error:
            raise InvalidInput(f"{self} cannot be read: {error.strerror}", field="INPUT") from None

    def _check(self, first: object, kind: Format | None) -> bool:
        """Refuse a row from which it is plain that no row can be asked as it was meant; return whether it told."""
        if isinstance(first, str) and kind != "jsonl":
            if kind is None and _is_object(first):
                raise _Unreadable(" holds JSON: give its format, jsonl, or text to ask each line as it stands")
            first = {"prompt": first}
        if isinstance(first, Mapping):
            self.layout.check(first, table=kind in {"csv", "tsv"})
        return not isinstance(first, InvalidInput)

    def _open(self) -> AbstractContextManager[TextIO]:
        if str(self.path) == "-":
            return _standard_input()
        try:
            return self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
        except FileNotFoundError:
            raise InvalidInput(f"there is no file {self.path}", field="INPUT") from None
        except IsADirectoryError:
            raise InvalidInput(f"{self.path} is a directory: name a file in it", field="INPUT") from None


class _Unreadable(Exception):
    """What is wrong with the whole file, and where; the file's name comes before it."""


@attrs.define(eq=False)
class _Lines:
    """Lines on their way to whoever parses them: how many they were, and how long."""

    count: int = 0
    length: int = 0

    def of(self, file: TextIO) -> Iterator[str]:
        for line in file:
            self.count += 1
            self.length += len(line)
            if self.count == 1:
                for beginning, what in _OTHER_FILES:
                    if line.startswith(beginning):
                        raise _Unreadable(f" {what}")
            found = None if line.isascii() else _UNDECODED.search(line)
            if found is not None:
                byte, column = ord(found[0]) - 0xDC00, found.start() + 1
                raise _Unreadable(
                    f", line {self.count}, column {column}: the byte 0x{byte:02x} is not UTF-8: save the file as UTF-8"
                )
            yield line


def _standard_input() -> AbstractContextManager[TextIO]:
    """A file of our own, as the interpreter closes its own at its end and cannot while a thread reads from it."""
    try:
        return open(sys.stdin.fileno(), encoding="utf-8-sig", errors="surrogateescape", newline="", closefd=False)
    except (AttributeError, OSError, ValueError):  # none, or no file: a console's, or a test's
        if sys.stdin is None:
            raise InvalidInput("there is no standard input: name a file", field="INPUT") from None
        return nullcontext(sys.stdin)


def _is_object(line: str) -> bool:
    try:
        return line.lstrip().startswith("{") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _json_lines(lines: Iterator[str]) -> Iterator[object]:
    for number, line in enumerate(filter(str.strip, lines)):
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            value = InvalidInput(f"this line is not JSON: {error.msg.removesuffix(' at')} (column {error.colno})")
        except ValueError as error:
            value = InvalidInput(f"this line is not JSON: {error}")
        except RecursionError:
            value = InvalidInput("this line is nested too deeply")
        if number == 0 and (isinstance(value, list) or line.strip() in {"[", "{"}):
            raise _Unreadable(" is one JSON document: write one object or string a line, as jq -c '.[]' does")
        yield value


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
            columns = "column" if len(row) == 1 else "columns"
            yield InvalidInput(f"this row has {len(row)} {columns}, and the first has {len(names)}: check its quotes")
        else:
            yield dict(zip(names, row, strict=True))


def _next(reader: Any) -> list[str] | None:
    before = csv.field_size_limit(_ANY_LENGTH)  # one setting for the whole process: it is left as it was
    line = reader.line_num + 1
    try:
        row: list[str] | None = next(reader, None)
    except csv.Error as error:
        raise _Unreadable(f", line {line}: {error}: check the quotes; inside of quotes, write them twice") from None
    finally:
        csv.field_size_limit(before)
    return row


_READERS: Final[Mapping[Format, Callable[[Iterator[str]], Iterator[object]]]] = {
    "jsonl": _json_lines,
    "text": _text_lines,
    "csv": partial(_table, delimiter=","),
    "tsv": partial(_table, delimiter="\t"),
}
