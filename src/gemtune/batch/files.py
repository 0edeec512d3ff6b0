"""Rows from files: JSONL, CSV and TSV, plain text."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal, TextIO

import attrs

from gemtune.batch.inputs import Row
from gemtune.batch.layout import Layout
from gemtune.errors import InvalidInput
from gemtune.rows.ahead import Ahead

Format = Literal["jsonl", "csv", "tsv", "text"]

_BY_SUFFIX: Final[Mapping[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
}
_DELIMITERS: Final[Mapping[Format, str]] = {"csv": ",", "tsv": "\t"}
_SEPARATORS: Final = ",;\t|"
"""What tables are separated by, of which their header tells one."""
_ANY_LENGTH: Final = 2**31 - 1
"""The longest field of a table: what csv takes on every platform."""
_QUOTED: Final = re.compile('"[^"]*"')
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


def _one_character(_: object, _field: object, value: str | None) -> None:
    if value is not None and (len(value) != 1 or value in '"\r\n'):
        what = f"delimiter is one character, and no quote or line end, not {value!r}"
        raise InvalidInput(what, field="delimiter")


@attrs.define(eq=False)
class FileRows:
    """The rows of a file, read ahead in a thread, up to 200 rows or 8 MiB; blank lines are none.

    Args:
        path: The file, or a named pipe; ``-`` is standard input.
        layout: What its columns are.
        format: What it is; None goes by the suffix, and by default it is text with one prompt a line.
        delimiter: What separates the columns of a table; None takes a comma, and in TSV a tab.
    """

    path: Path = attrs.field(converter=Path)
    layout: Layout = attrs.field(factory=Layout)
    format: Format | None = None
    delimiter: str | None = attrs.field(default=None, validator=_one_character)
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
        number, checked = 0, False
        try:
            with self._open() as file:
                for value in self._values(lines.of(file)):
                    number += 1
                    checked = checked or self._check(value)
                    yield value if isinstance(value, InvalidInput) else self.layout.row(value)
        except _Unreadable as error:
            raise InvalidInput(f"{self}{error}") from None
        except UnicodeDecodeError:
            raise InvalidInput(f"{self}, after row {number}: this is not UTF-8: save it as UTF-8") from None
        except OSError as error:
            raise InvalidInput(f"{self} cannot be read: {error.strerror}", field="INPUT") from None

    @property
    def _kind(self) -> Format | None:
        by_suffix = _BY_SUFFIX.get(self.path.suffix.lower())
        return self.format or by_suffix or (None if self.delimiter is None else "csv")

    def _values(self, lines: Iterator[str]) -> Iterator[object]:
        kind = self._kind or "text"
        if kind in _DELIMITERS:
            return _table(lines, self.delimiter or _DELIMITERS[kind], self._check_header)
        if self.delimiter is not None:
            raise InvalidInput(f"only a table has a delimiter, and the input is read as {kind}", field="delimiter")
        return _json_lines(lines) if kind == "jsonl" else _text_lines(lines)

    def _check_header(self, names: list[str], delimiter: str) -> None:
        try:
            self.layout.check(dict.fromkeys(names, ""), table=True)
        except InvalidInput:
            if len(names) == 1:
                _check_separator(names[0], delimiter)
            raise

    def _check(self, first: object) -> bool:
        """Refuse a row from which it is plain that no row can be asked as it was meant; return whether it told."""
        kind = self._kind
        if isinstance(first, str) and kind != "jsonl":
            if kind is None:
                self._check_guess(first)
            self._check_text(guessed=kind is None)
        elif isinstance(first, Mapping) and kind == "jsonl":
            self.layout.check(first, table=False)
        return not isinstance(first, InvalidInput)

    def _check_guess(self, first: str) -> None:
        """Refuse a first line from which it is plain that it is no text, where nobody has said that it is."""
        if _is_object(first):
            raise _Unreadable(" holds JSON: give its format, jsonl, or text to ask each line as it stands")
        separator = _separator(first) or ","
        if not self.layout.named.isdisjoint(name.strip('"') for name in first.split(separator)):
            what = f" begins like a table: give {_given(separator)}"
            raise _Unreadable(f"{what}, or the format text to ask each line as it stands")

    def _check_text(self, *, guessed: bool) -> None:
        try:
            self.layout.check({"prompt": ""}, table=False)
        except InvalidInput as error:
            table = "; a table needs its format, csv" if guessed else ""
            raise InvalidInput(f"{error.message}{table}", field=error.field) from None

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


def _separator(line: str) -> str | None:
    """Return what separates the columns of a header: the first that is in it."""
    return min(filter(line.count, _SEPARATORS), key=line.index, default=None)


def _check_separator(header: str, delimiter: str) -> None:
    """Refuse a header that something else than the delimiter separates."""
    other = _separator(header)
    if other is not None and other != delimiter:
        raise _Unreadable(f" is separated by {_called(other)}, not by {_called(delimiter)}: give {_given(other)}")


def _called(delimiter: str) -> str:
    return "tabs" if delimiter == "\t" else repr(delimiter)


def _given(delimiter: str) -> str:
    kind = next((kind for kind, its in _DELIMITERS.items() if its == delimiter), None)
    return f"delimiter={delimiter!r}" if kind is None else f"its format, {kind}"


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


def _table(lines: Iterator[str], delimiter: str, check: Callable[[list[str], str], None]) -> Iterator[object]:
    header = next(lines, "")
    reader = csv.reader(chain([header], lines), delimiter=delimiter, strict=True)
    names: list[str] = []
    while (row := _next(reader, header, delimiter)) is not None:
        if not row:
            continue
        if not names:
            names = row
            check(names, delimiter)
        elif len(row) != len(names):
            columns = "column" if len(row) == 1 else "columns"
            yield InvalidInput(f"this row has {len(row)} {columns}, and the first has {len(names)}: check its quotes")
        else:
            yield dict(zip(names, row, strict=True))


def _next(reader: Any, header: str, delimiter: str) -> list[str] | None:
    before = csv.field_size_limit(_ANY_LENGTH)  # one setting for the whole process: it is left as it was
    line = reader.line_num + 1
    try:
        row: list[str] | None = next(reader, None)
    except csv.Error as error:
        if line == 1:
            _check_separator(_QUOTED.sub("", header), delimiter)
        raise _Unreadable(f", line {line}: {error}: check the quotes; inside of quotes, write them twice") from None
    finally:
        csv.field_size_limit(before)
    return row
