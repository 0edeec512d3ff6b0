"""Rows from files: JSONL, CSV and TSV, plain text.

A file of a million rows that was read with the wrong separator would fail a million times and cost nothing, or, worse,
be asked a million times with the wrong text. So the first row is looked at before anything is sent, and what is plainly
a mistake is refused with the argument that mends it. After that a bad row fails alone.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing
from functools import partial
from pathlib import Path
from typing import Final, TextIO, cast

import attrs

from gemtune.batch.layout import Layout
from gemtune.errors import InvalidInput
from gemtune.remedy import Argument, Remedy
from gemtune.resources.given import BatchRow
from gemtune.rows import tables
from gemtune.rows.ahead import Ahead
from gemtune.rows.tables import Format, Lines, Unreadable

_BY_SUFFIX: Final[Mapping[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
}
_ASK_LINES: Final = Remedy("pass ", Argument("format", "text"), " to ask each line as it stands")


def _one_character(_: object, _field: object, value: str | None) -> None:
    if value is not None and (len(value) != 1 or value in '"\r\n'):
        what = f"delimiter is one character, and no quote or line end, not {value!r}"
        raise InvalidInput(what, field="delimiter")


@attrs.define(eq=False)
class FileRows:
    """The rows of a file, read ahead in a thread, up to 200 rows or 8 MiB; blank lines are skipped.

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
        return "standard input" if str(self.path) == "-" else str(self.path)

    @property
    def again(self) -> bool:
        """Whether it can be read more than once; what comes through a pipe cannot."""
        return str(self.path) != "-" and self.path.is_file()

    def count(self) -> int:
        """Count the rows; reads the whole file, and blocks."""
        self._count = sum(1 for _ in self)
        return self._count

    def __length_hint__(self) -> int:
        """Return how many rows there are, if they were counted."""
        return NotImplemented if self._count is None else self._count

    def __iter__(self) -> Iterator[BatchRow]:
        """Iterate over the rows; blocks.

        Raises:
            InvalidInput: It cannot be read, is not UTF-8, not of its format, or lacks a column that was named.
        """
        return self._rows(Lines())

    def values(self) -> Iterator[object]:
        """Iterate over the rows as the file holds them: columns, or a text, or an error in the place of one; blocks.

        Raises:
            InvalidInput: As in iterating.
        """
        return self._values(Lines())

    def check(self) -> None:
        """Look at the file and its first row, to report at once what would fail all of them; blocks.

        Raises:
            InvalidInput: As in iterating, or there are no rows.
        """
        # A pipe is not looked into: what is read from it is gone, and its writer may not have begun.
        if self.again:
            for _ in self:
                return
            raise self.nothing()
        if str(self.path) != "-" and (not self.path.exists() or self.path.is_dir()):
            self._open()

    def nothing(self) -> InvalidInput:
        """Return the error for an input without rows."""
        return InvalidInput(f"{self} holds no rows: there is nothing to ask", field="INPUT")

    async def __aiter__(self) -> AsyncIterator[BatchRow]:
        """Iterate over the rows without blocking; those of a pipe are there when they are written."""
        lines = Lines()
        ahead = Ahead(self._rows(lines), read=lambda: lines.length, at_once=lambda: not self.again)
        async with aclosing(aiter(ahead)) as rows:
            async for row in rows:
                yield row

    def _rows(self, lines: Lines) -> Iterator[BatchRow]:
        for value in self._values(lines):
            # Whether it really is one, the batch finds out of each row.
            yield value if isinstance(value, InvalidInput) else cast("BatchRow", self.layout.row(value))

    def _values(self, lines: Lines) -> Iterator[object]:
        number, checked, shape = 0, False, self._shape
        try:
            with self._open() as file:
                # Rows and not lines are counted: a quoted cell may hold line ends, and people count rows.
                for _, value in shape.values(lines.of(file)):
                    number += 1
                    checked = checked or shape.check(value)
                    yield value
        except Unreadable as error:
            raise InvalidInput(f"{self}{error}", *error.remedies) from None
        except UnicodeDecodeError:
            raise InvalidInput(f"{self}, after row {number}: this is not UTF-8: save it as UTF-8") from None
        except OSError as error:
            raise InvalidInput(f"{self} cannot be read: {error.strerror}", field="INPUT") from None

    @property
    def _shape(self) -> _Shape:
        by_suffix = _BY_SUFFIX.get(self.path.suffix.lower())
        kind = self.format or by_suffix or (None if self.delimiter is None else "csv")
        return _Shape(self.layout, kind, self.delimiter)

    def _open(self) -> AbstractContextManager[TextIO]:
        try:
            return tables.open_text(self.path)
        except FileNotFoundError:
            raise InvalidInput(f"there is no file {self.path}", field="INPUT") from None
        except IsADirectoryError:
            raise InvalidInput(f"{self.path} is a directory: name a file in it", field="INPUT") from None


@attrs.frozen
class _Shape:
    """How the lines of a file become rows.

    Args:
        layout: What its columns are.
        kind: Its format, or None if neither its user nor its name says what it is.
        delimiter: What separates the columns of a table, or None for what its format usually has.
    """

    layout: Layout
    kind: Format | None
    delimiter: str | None

    def values(self, lines: Iterator[str]) -> Iterator[tuple[int, object]]:
        """Yield what each row is, with the line where it begins."""
        kind = self.kind or "text"
        if kind in tables.DELIMITERS:
            delimiter = self.delimiter or tables.DELIMITERS[kind]
            return tables.table(lines, delimiter, partial(self._columns, delimiter))
        if self.delimiter is not None:
            raise InvalidInput(f"only a table has a delimiter, and the input is read as {kind}", field="delimiter")
        return tables.json_lines(lines) if kind == "jsonl" else tables.text_lines(lines)

    def _columns(self, delimiter: str, names: list[str]) -> list[str]:
        try:
            self.layout.check(dict.fromkeys(names, ""), table=True)
        except InvalidInput:
            if len(names) == 1:
                tables.refuse_separator(names[0], delimiter)
            raise
        return names

    def check(self, first: object) -> bool:
        """Refuse a row from which it is plain that no row can be asked as it was meant; return whether it showed."""
        if isinstance(first, str) and self.kind != "jsonl":
            if self.kind is None:
                self._check_guess(first)
            self._check_text(guessed=self.kind is None)
        elif isinstance(first, Mapping) and self.kind == "jsonl":
            self.layout.check(first, table=False)
        return not isinstance(first, InvalidInput)

    def _check_guess(self, first: str) -> None:
        """Refuse a first line that is plainly not text, as nobody has said that it is."""
        if _is_object(first):
            raise Unreadable(" holds JSON", Remedy("pass ", Argument("format", "jsonl")), _ASK_LINES)
        separator = tables.separator(first) or ","
        if not self.layout.named.isdisjoint(name.strip('"') for name in first.split(separator)):
            raise Unreadable(" begins like a table", Remedy("pass ", tables.choice(separator)), _ASK_LINES)

    def _check_text(self, *, guessed: bool) -> None:
        try:
            self.layout.check({"prompt": ""}, table=False)
        except InvalidInput as error:
            table = [Remedy("pass ", Argument("format", "csv"), " if it is a table")] if guessed else []
            raise InvalidInput(error.message, *error.remedies, *table, field=error.field) from None


def _is_object(line: str) -> bool:
    try:
        return line.lstrip().startswith("{") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
