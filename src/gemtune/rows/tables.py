"""Rows in text: CSV and TSV, JSON lines, a JSON document, plain lines. One reader for prompts and for training data.

It knows how a file is laid out and nothing of what its columns mean. There are two ways to be wrong:

- The file as a whole cannot be read as what it is said to be: ``Unreadable``, with what to do about it. Its words
  continue a sentence that begins with the file's name, which only the caller knows.
- One row is wrong: an InvalidInput stands in its place, and the rows after it are read. Whether a bad row stops
  everything is the caller's business (training data: yes, all bad rows at once; prompts: no, the row fails alone).

Rows come with their number, which is the line where they begin, so that a message can name what an editor shows.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal, TextIO

import attrs

from gemtune.errors import InvalidInput
from gemtune.remedy import Argument, Remedy

Format = Literal["jsonl", "csv", "tsv", "text"]
DELIMITERS: Final[Mapping[Format, str]] = {"csv": ",", "tsv": "\t"}

_SEPARATORS: Final = ",;\t|"
"""What separates columns in practice; the heading shows which one."""
_ANY_LENGTH: Final = 2**31 - 1
"""The longest field of a table: what csv takes on every platform."""
_QUOTED: Final = re.compile('"[^"]*"')
_UNDECODED: Final = re.compile("[\udc80-\udcff]")
"""What ``surrogateescape`` (PEP 383) makes of bytes that are not text."""
_OTHER_FILES: Final = (
    ("\x1f\udc8b", "is compressed with gzip: unpack it, or let zcat write it to a pipe"),
    ("(\udcb5/\udcfd", "is compressed with zstd: unpack it, or let zstdcat write it to a pipe"),
    ("PK\x03\x04", "is a zip archive or a spreadsheet: save its rows as CSV, in UTF-8"),
    ("\udcd0\udccf\x11", "is a spreadsheet of an old kind: save its rows as CSV, in UTF-8"),
    ("PAR1", "is a Parquet file: save its rows as JSONL"),
    ("\udcff\udcfe", "is UTF-16: save it as UTF-8"),
    ("\udcfe\udcff", "is UTF-16: save it as UTF-8"),
)
"""How files begin that are taken for text by mistake."""


class Unreadable(Exception):
    """What is wrong with a whole file, and where; the file's name comes before it."""

    def __init__(self, what: str, *remedies: Remedy) -> None:
        super().__init__(what)
        self.remedies = remedies


@attrs.define(eq=False)
class Lines:
    """Lines on their way to whoever parses them: how many they were, and how long."""

    count: int = 0
    length: int = 0

    def of(self, file: Iterable[str]) -> Iterator[str]:
        """Yield the lines of a file, and refuse one whose bytes are not text.

        Raises:
            Unreadable: A line is not UTF-8, or the file is of another kind, such as a spreadsheet.
        """
        for line in file:
            self.count += 1
            self.length += len(line)
            if self.count == 1:
                for beginning, what in _OTHER_FILES:
                    if line.startswith(beginning):
                        raise Unreadable(f" {what}")
            # Nearly every line is ASCII, which is known without looking at its characters.
            found = None if line.isascii() else _UNDECODED.search(line)
            if found is not None:
                byte, column = ord(found[0]) - 0xDC00, found.start() + 1
                raise Unreadable(
                    f", line {self.count}, column {column}: the byte 0x{byte:02x} is not UTF-8: save the file as UTF-8"
                )
            yield line


def open_text(path: Path) -> AbstractContextManager[TextIO]:
    """Open a file, or standard input for ``-``, so that ``Lines`` can name the place that is not UTF-8."""
    if str(path) == "-":
        return _standard_input()
    # Spreadsheets begin UTF-8 with a mark; and csv wants line ends as they are, as cells may hold some.
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _standard_input() -> AbstractContextManager[TextIO]:
    """A file of our own, as the interpreter closes its own at its end and cannot while a thread reads from it."""
    try:
        return open(sys.stdin.fileno(), encoding="utf-8-sig", errors="surrogateescape", newline="", closefd=False)
    except (AttributeError, OSError, ValueError):  # none, or no file: a console's, or a test's
        if sys.stdin is None:
            raise InvalidInput("there is no standard input: name a file", field="INPUT") from None
        return nullcontext(sys.stdin)


def table(
    lines: Iterator[str], delimiter: str, head: Callable[[list[str]], list[str] | None], *, quotes: bool = True
) -> Iterator[tuple[int, object]]:
    """Yield the rows of a table, each with the line where it begins.

    A row of empty cells is as blank as an empty line. Spreadsheets write such rows below the last one that was used.

    Args:
        lines: The lines, with their ends.
        delimiter: What separates the cells.
        head: Is given the first row and returns the names of the columns, or None if that row is already data.
        quotes: Whether a quote encloses a cell; otherwise it is a character like any other.

    Yields:
        A dict for each row; a tuple if there are no names; an InvalidInput if the row has more or fewer cells.

    Raises:
        Unreadable: The quotes do not match, or two columns have one name.
    """
    # Kept beside the reader, because the separator is looked for in it if it cannot be read.
    heading = _heading(lines, delimiter)
    every = chain([heading], lines)
    if quotes:
        reader = csv.reader(every, delimiter=delimiter, strict=True)
    else:
        reader = csv.reader(every, delimiter=delimiter, strict=True, quoting=csv.QUOTE_NONE)
    names: list[str] | None = None
    width = 0
    while True:
        line = reader.line_num + 1
        row = _next(reader, heading, delimiter)
        if row is None:
            return
        if not any(row):
            continue
        if not width:
            width, names = len(row), head(row)
            if names is not None:
                _refuse_twins(names)
                continue
        if names is None:
            yield line, tuple(row)
        elif len(row) == width:
            yield line, dict(zip(names, row, strict=True))
        else:
            columns = "column" if len(row) == 1 else "columns"
            what = f"this row has {len(row)} {columns}, and the first has {width}: check its quotes"
            yield line, InvalidInput(what, row=line)


def _heading(lines: Iterator[str], delimiter: str) -> str:
    first = next(lines, "")
    told = told_separator(first)
    if told is None:
        return first
    if told != delimiter:
        refuse_separator(told, delimiter)
    return "\n"  # so that the lines keep their numbers


def _refuse_twins(names: list[str]) -> None:
    # Columns without a name are the index that pandas writes, and empty columns at the right edge of a spreadsheet.
    twins = [name for name, count in Counter(filter(None, names)).items() if count > 1]
    if twins:
        raise Unreadable(
            f" has more than one column called {', '.join(f'{name!r:.60}' for name in twins)}: rename them"
        )


def _next(reader: Any, heading: str, delimiter: str) -> list[str] | None:
    line = reader.line_num + 1
    try:
        with any_length():
            return next(reader, None)
    except csv.Error as error:
        if line == 1:
            refuse_separator(_QUOTED.sub("", heading), delimiter)
        raise Unreadable(f", line {line}: {error}: check the quotes; inside quotes, write a quote twice") from None


@attrs.define
class _FieldLimit:
    """The longest cell that csv takes: one number for the whole process, which is somebody else's.

    It is raised while any of our readers parses a row, and is what it was before whenever none does. Two threads that
    each saved and restored it could leave it raised for good, or lower it under the other's hands.
    """

    lock: threading.Lock = attrs.field(factory=threading.Lock)
    parsing: int = 0
    before: int = 0


_FIELD_LIMIT: Final = _FieldLimit()


@contextmanager
def any_length() -> Iterator[None]:
    """Let csv take cells of any length, as long as the block lasts."""
    limit = _FIELD_LIMIT
    with limit.lock:
        if not limit.parsing:
            limit.before = csv.field_size_limit(_ANY_LENGTH)
        limit.parsing += 1
    try:
        yield
    finally:
        with limit.lock:
            limit.parsing -= 1
            if not limit.parsing:
                csv.field_size_limit(limit.before)


def json_lines(lines: Iterable[str]) -> Iterator[tuple[int, object]]:
    """Yield the value of each line with its number; an InvalidInput for a line that is not JSON.

    Raises:
        Unreadable: The first line shows that this is a document of several lines, or a list.
    """
    first = True
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        value = json_line(line, number)
        # One document over many lines would fail line by line, and none of the messages would say why.
        if first and (isinstance(value, list) or line.strip() in {"[", "{"}):
            raise Unreadable(" is one JSON document: write one object or string a line, as jq -c '.[]' does")
        first = False
        yield number, value


def json_line(line: str, number: int, loads: Callable[[str], object] = json.loads) -> object:
    """Return the value that a line of JSON holds, or an InvalidInput that says what is wrong with the line."""
    try:
        return loads(line)
    except json.JSONDecodeError as error:
        what = f"is not JSON: {error.msg.removesuffix(' at')} (column {error.colno})"
    except ValueError as error:
        what = f"is not JSON: {error}"
    except RecursionError:
        what = "is nested too deeply"
    return InvalidInput(f"this line {what}", row=number)


def json_document(text: str) -> list[object] | None:
    """Return the rows of a JSON document, a list or one object; None if it holds JSON lines.

    Raises:
        Unreadable: It is not JSON.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return None  # a first value, and then another: the file has one on each line
        what = f"{error.msg.removesuffix(' at')} (line {error.lineno}, column {error.colno})"
    except ValueError as error:
        what = str(error)
    except RecursionError:
        what = "it is nested too deeply"
    else:
        return value if isinstance(value, list) else [value]
    raise Unreadable(f" is not JSON: {what}")


def text_lines(lines: Iterable[str]) -> Iterator[tuple[int, object]]:
    """Yield the lines that are not blank, each with its number."""
    return ((number, line.rstrip("\r\n")) for number, line in enumerate(lines, 1) if line.strip())


def separator(line: str) -> str | None:
    """Return what separates the columns of a heading: the first separator that is in it."""
    return min(filter(line.count, _SEPARATORS), key=line.index, default=None)


def told_separator(line: str) -> str | None:
    """Return what the line ``sep=;`` says, by which some spreadsheets begin a file; None if it is another line."""
    said = line.rstrip("\r\n").strip(' "')
    return said[4] if len(said) == 5 and said.lower().startswith("sep=") else None


def refuse_separator(heading: str, delimiter: str) -> None:
    """Refuse a heading that something else than the delimiter separates."""
    other = separator(heading)
    if other is not None and other != delimiter:
        what = f" is separated by {_called(other)}, not by {_called(delimiter)}"
        raise Unreadable(what, Remedy("pass ", choice(other)))


def choice(delimiter: str) -> Argument:
    """Return what to pass so that a table is read with this delimiter."""
    kind = next((kind for kind, its in DELIMITERS.items() if its == delimiter), None)
    return Argument("delimiter", delimiter) if kind is None else Argument("format", kind)


def _called(delimiter: str) -> str:
    return "tabs" if delimiter == "\t" else repr(delimiter)
