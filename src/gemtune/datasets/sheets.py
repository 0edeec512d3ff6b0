"""The text of a file as rows: tables as spreadsheets write them, and JSON in whatever container.

What separates the columns is found by reading the first rows with each separator in turn: the right one gives every row
the same number of cells. A heading with known names settles it; if two separators still fit, none is taken.

Values of JSON are kept as they are written there: 1.0 stays 1.0, and true stays true.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final, TypeGuard

import attrs

from gemtune.datasets.headings import SAID, Choice, is_heading, judge_first, named_in_order
from gemtune.errors import InvalidInput
from gemtune.remedy import Argument, Remedy
from gemtune.rows import tables

_TABLES: Final = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t", "": ","}
_JSON: Final = frozenset({".json", ".jsonl", ".ndjson"})
_SEPARATORS: Final = ",;\t|"
_LOOKED_AT: Final = 20
"""The rows from which the separator is found."""
_NAMES: Final = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "|"}
_MARKS: Final = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


@attrs.frozen
class Rows:
    """Rows with the number by which each can be found again.

    Args:
        unit: What is counted: ``row`` in memory, ``line`` in a file.
        numbered: Number and row, in order.
        source: What was read.
        notes: What was noticed on the way.
        choices: The fields of a ``Choice`` that mean something for such rows.
    """

    unit: str
    numbered: tuple[tuple[int, object], ...]
    source: str = ""
    notes: tuple[str, ...] = ()
    choices: tuple[str, ...] = ("input", "output")

    @classmethod
    def of(cls, rows: Iterable[object], source: str = "") -> Rows:
        """Return rows in memory, counted from 1."""
        return cls("row", tuple(enumerate(rows, 1)), source)


def are_cells(row: object) -> TypeGuard[Sequence[object]]:
    """Return whether a row is made of cells without names; iterating over anything else may give names, or letters."""
    return isinstance(row, list | tuple) and not hasattr(row, "_fields")


def decoded(data: bytes) -> str:
    """Return the text of a file: UTF-8, or what the mark at its beginning says.

    Raises:
        Unreadable: It is not text.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8-sig")
    if encoding == "utf-8-sig":
        text = data.decode(encoding, errors="surrogateescape")
        text = "".join(tables.Lines().of(io.StringIO(text, newline="")))  # which knows files of other kinds
        # Every second byte of Latin text in UTF-16 is zero; a text of ours may hold one anywhere.
        if text[:1000].count("\0") * 3 > len(text[:1000]):
            raise tables.Unreadable(" is no text, or UTF-16 without a mark: save it as UTF-8")
        return text
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise tables.Unreadable(f" begins like {encoding.upper()} and is not: save it as UTF-8") from None


def rows_of(text: str, suffix: str, choice: Choice) -> Rows:
    """Return the rows of a CSV, TSV, JSONL or JSON text.

    Args:
        text: All of it.
        suffix: What its name ends with.
        choice: What the caller says about its columns.

    Raises:
        Unreadable: It is not what its suffix says.
        InvalidInput: Its heading does not show which column is which.
    """
    suffix = suffix.lower()
    text = text.removeprefix("\ufeff")
    if suffix not in _TABLES and suffix not in _JSON:
        raise tables.Unreadable(
            f" cannot be read, as its name ends in {suffix!r}: save it as CSV in UTF-8, or use .tsv, .jsonl or .json"
        )
    if suffix in _JSON or _begins_json(text):
        return _json_rows(text)
    return _table_rows(text, _TABLES[suffix], choice)


def cell_rows(rows: Iterable[object], names: Sequence[str] | None, first: int) -> Iterator[tuple[int, object]]:
    """Yield rows of cells under their names; rows of another kind, and all if there are no names, stay as they are.

    Args:
        rows: The rows, without their heading.
        names: The heading.
        first: The number of the first row.
    """
    for number, row in enumerate(rows, first):
        if names is None or not are_cells(row):
            yield number, row
        elif len(row) == len(names):
            yield number, dict(zip(names, row, strict=True))
        elif any(row):
            what = f"this row has {len(row)} cells, and the heading has {len(names)}"
            yield number, InvalidInput(what, row=number)


def _table_rows(text: str, usual: str, choice: Choice) -> Rows:
    first = text.partition("\n")[0]
    delimiter = choice.delimiter or tables.told_separator(first) or _separator(text, usual, choice)
    return _table(text, delimiter, choice)


def _table(text: str, delimiter: str, choice: Choice) -> Rows:
    if delimiter == "\t" and '"' in text:
        # Programs that write tabs often quote nothing, and then a quote is a quote.
        bare = _has_bare_quotes(text)
        for quotes in (not bare, bare):
            try:
                found = _parsed(text, delimiter, choice, quotes=quotes)
            except tables.Unreadable:
                continue
            if not any(isinstance(row, InvalidInput) for _, row in found):
                notes = () if quotes else ("quotes were read as part of the text, as nothing is quoted in this file",)
                return Rows("line", found, notes=notes, choices=SAID)
    return Rows("line", _parsed(text, delimiter, choice, quotes=True), choices=SAID)


def _begins_json(text: str) -> bool:
    begin = text[:1000].lstrip()
    following = begin[1:].lstrip()[:1]
    return (begin[:1] == "{" and following in {'"', "}"}) or (begin[:1] == "[" and following in {'"', "[", "{"})


def _has_bare_quotes(text: str) -> bool:
    """Return whether a quote stands in a cell without quotes around it: whoever quotes cells would have quoted it."""
    cells = (cell for line in text.split("\n") for cell in line.split("\t"))
    return any('"' in cell and not cell.startswith('"') for cell in cells)


def _parsed(text: str, delimiter: str, choice: Choice, *, quotes: bool) -> tuple[tuple[int, object], ...]:
    lines = io.StringIO(text, newline="")
    return tuple(tables.table(lines, delimiter, partial(_head, delimiter, choice), quotes=quotes))


def _head(delimiter: str, choice: Choice, row: list[str]) -> list[str] | None:
    names = [cell.strip() for cell in row]
    if len(names) == 1:
        tables.refuse_separator(names[0], delimiter)
        raise tables.Unreadable(
            f" has one column, {names[0]!r:.60}: an example needs an input and an output",
            Remedy("if something unusual separates them, name it with ", Argument("delimiter")),
        )
    return names if judge_first(names, named_in_order(names, choice)) else None


def _separator(text: str, usual: str, choice: Choice) -> str:
    order = sorted(_SEPARATORS, key=lambda separator: separator != usual)
    first = {separator: rows for separator in order if (rows := _first_rows(text, separator)) and len(rows[0]) > 1}
    for separator, rows in first.items():
        if is_heading([cell.strip() for cell in rows[0]], choice):
            return separator
    even = [separator for separator, rows in first.items() if len({len(row) for row in rows}) == 1]
    found = even or [*first]
    if len(found) > 1:
        listed = " or ".join(_NAMES[separator] for separator in found)
        raise tables.Unreadable(
            f" could be separated by {listed}", *(Remedy("pass ", Argument("delimiter", each)) for each in found)
        )
    return found[0] if found else usual


def _first_rows(text: str, separator: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        with tables.any_length():
            return list(islice((row for row in reader if any(row)), _LOOKED_AT))
    except csv.Error:
        return []


def _json_rows(text: str) -> Rows:
    if not text.strip():
        return Rows("line", ())
    try:
        value = as_written(text)
    except json.JSONDecodeError as error:
        several = error.msg == "Extra data"
        if several or ("\n" in text.strip() and _is_json(text.lstrip().partition("\n")[0])):
            return Rows("line", tuple(_json_lines(text)))
        what = f" is not JSON: {error.msg.removesuffix(' at')} (line {error.lineno}, column {error.colno})"
        if not text.lstrip().startswith(("{", "[")):
            what += ": if it is a table, let its name end in .csv"
        raise tables.Unreadable(what) from None
    except ValueError as error:
        raise tables.Unreadable(f" is not JSON: {error}") from None
    except RecursionError:
        raise tables.Unreadable(" is not JSON: it is nested too deeply") from None
    if isinstance(value, list):
        return Rows.of(value)
    return Rows("document", ((1, value),))


def _is_json(line: str) -> bool:
    try:
        as_written(line)
    except (ValueError, RecursionError):
        return False
    return True


def _json_lines(text: str) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(io.StringIO(text, newline=""), 1):
        if line.strip():
            yield number, tables.json_line(line, number, as_written)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in pairs}


def as_written(text: str) -> object:
    """Return a value of JSON whose numbers and truth values are the text that stands there."""
    # NaN is how frames write an empty cell.
    return json.loads(
        text,
        parse_float=str,
        parse_int=str,
        parse_constant=lambda name: None if name == "NaN" else name,
        object_pairs_hook=_object,
    )
