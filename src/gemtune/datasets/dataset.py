"""A set of training data: what it is read from, and which of its rows belong to it.

It holds no rows. Each iteration reads the source again, a file of JSON lines line by line, so that a set may be larger
than memory, and a part of it (one side of a split, a sample, what is left without its repeats) is the same source with
a list of row numbers.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Container, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import attrs

from gemtune import checks
from gemtune.datasets import chats, preferences
from gemtune.datasets.conversations import Method, key_of
from gemtune.datasets.examples import as_mapping
from gemtune.datasets.headings import INSTRUCTION, Choice, plain
from gemtune.datasets.layouts import pair
from gemtune.datasets.problems import issue_of
from gemtune.datasets.reading import ExampleReader, ReadRow, first_row, source_of
from gemtune.datasets.report import DataReport
from gemtune.errors import InvalidInput
from gemtune.wholefile import whole_file

Layout: TypeAlias = Literal["vertex", "openai", "sharegpt", "alpaca", "pairs", "preference"]

_LAYOUTS: Final[Mapping[str, Layout]] = {
    "contents": "vertex",
    "messages": "openai",
    "conversations": "sharegpt",
    "preference": "preference",
}
_PEEKED: Final = 20
"""Rows from which the layout is known."""
TABLES: Final = {".csv": ",", ".tsv": "\t"}


@attrs.frozen(eq=False)
class DataSet:
    """Training data of any layout, read row by row whenever you iterate over it.

    Iterating yields each example as Vertex AI has it, ``{"contents": [...]}``, whatever the layout of the source;
    ``client.tune`` takes a set as training data.

    Args:
        method: What its rows are for: ``supervised``, or ``preference`` if each has two answers to one prompt.
        layout: How they are laid out: ``vertex``, ``openai``, ``sharegpt``, ``alpaca``, ``pairs`` or ``preference``.
        source: What it is read from, such as a file's name; empty for rows in memory.
        reader: What reads its rows.
    """

    method: Method
    layout: Layout
    source: str
    reader: ExampleReader = attrs.field(repr=False)
    _path: Path | None = attrs.field(default=None, repr=False)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for read in self.reader:
            if read.problem is not None:
                issue = issue_of(read.problem, read.number, self.unit)
                where = f"{self.unit} {read.number}: {issue.path} {issue.message}" if issue.path else issue.message
                raise InvalidInput(where, *read.problem.remedies, field=read.problem.field, row=read.number)
            yield read.example

    @property
    def unit(self) -> str:
        """What its rows are: ``line`` of a file, or ``row``."""
        return self.reader.unit

    def numbered(self) -> Iterator[tuple[int, object]]:
        """Yield each example, or what is wrong with it, with its number."""
        for read in self.reader:
            yield read.number, read.problem or read.example

    def report(self, rows: int) -> DataReport:
        """Return which columns were what, after the rows were read; so many of them were right."""
        return self.reader.report(rows)

    @property
    def of_chats(self) -> bool:
        """Whether its rows are chats, whose losses are said row by row, and no table."""
        return not {"pairs", "preference"}.intersection(self.reader.layouts)

    def layout_of(self, read: ReadRow) -> Layout:
        """Return how a row is laid out, which in a mixed file is not always as the first one."""
        layout, row = _LAYOUTS.get(read.layout, "pairs"), read.row
        if not isinstance(row, Mapping):
            return layout
        if layout == "preference" and isinstance(row.get("input"), Mapping):
            return "openai"
        if layout == "pairs" and (self.layout == "alpaca" or not self.reader.choice.named):
            return "alpaca" if any(plain(str(name)) == INSTRUCTION for name in row) else layout
        return layout

    def joined(self, read: ReadRow) -> tuple[str, ...]:
        """Return the columns of a table's row whose cells became one input, if there are several that are filled."""
        if self.of_chats or not isinstance(read.row, Mapping):
            return ()
        names = self.reader.inputs
        filled = tuple(name for name in names if str(read.row.get(name) or "").strip()) if len(names) > 1 else ()
        return filled if len(filled) > 1 else ()

    def is_at(self, path: Path) -> bool:
        """Return whether it is read from a certain file."""
        read = self._path
        return read is not None and path.exists() and read.exists() and path.samefile(read)

    def in_manner(self, manner: chats.Manner) -> DataSet:
        """Return it with chats taken over in another manner."""
        return attrs.evolve(self, reader=attrs.evolve(self.reader, manner=manner))

    def only(self, kept: Container[int]) -> DataSet:
        """Return the part of it with the rows of some numbers."""
        return attrs.evolve(self, reader=attrs.evolve(self.reader, kept=kept))

    def write(self, path: str | os.PathLike[str]) -> int:
        """Write its rows as they are into a file, and return how many they are; blocks.

        The rows of a file of JSON lines stay as they are to the byte. Others become CSV or TSV if the name of the new
        file ends so, and JSON lines otherwise. The file appears whole or not at all.

        Args:
            path: The file to write; it is replaced if it exists.

        Raises:
            InvalidInput: Rows that are no table are to become one.
            OSError: It could not be written.
        """
        target = Path(path)
        count = 0
        with whole_file(target) as file:
            for line in self.lines(TABLES.get(target.suffix.lower())):
                file.write(line)
                count += line is not None
        return count - (target.suffix.lower() in TABLES and count > 0)

    def lines(self, delimiter: str | None = None) -> Iterator[bytes]:
        """Yield its rows as they are, as lines of a file: of a table with its heading, or of JSON."""
        names: list[str] = []
        for read in self.reader:
            if delimiter is None:
                if read.row is not None and not isinstance(read.row, InvalidInput):
                    yield row_line(read)
                continue
            row = _named(read)
            if not names:
                names = [*map(str, row)]
                yield table_line(names, delimiter)
            if any(isinstance(cell, Mapping | list | tuple) for cell in row.values()) or [*map(str, row)] != names:
                what = f"{self.unit} {read.number} has no cells like those of the first row: write JSONL"
                raise InvalidInput(what, field="output", row=read.number)
            yield table_line(["" if cell is None else str(cell) for cell in row.values()], delimiter)


def row_line(read: ReadRow) -> bytes:
    """Return a row as it was given, as a line of JSON: the file's own if it is one."""
    if read.raw is not None:
        return read.raw if read.raw.endswith(b"\n") else read.raw + b"\n"
    return json.dumps(_named(read), ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"


def table_line(cells: list[str], delimiter: str) -> bytes:
    """Return cells as a line of a table."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "replace")


def _named(read: ReadRow) -> Mapping[str, Any]:
    """Return a row under the names of its columns; of a row without any, input and output."""
    given = as_mapping(chats.as_json(read.row))
    if given is not None:
        return {str(name): cell for name, cell in given.items()}
    if read.problem is not None:
        return {}
    asked, answered = pair(read.example, "contents")
    return {"text_input": asked, "output": answered}


def load(
    source: object,
    *,
    method: Method | None = None,
    weights: chats.Weights = "refuse",
    input: str | int | None = None,
    output: str | int | None = None,
    heading: bool | None = None,
    delimiter: str | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> DataSet:
    """Return training data of any kind as a set, whose rows are read when you iterate over it.

    Takes whatever ``client.tune`` takes, and reads it in the same way: pairs, dicts, columns, a data frame, a data set
    of Hugging Face, CSV, TSV, JSON and JSONL files, chats in the layouts of OpenAI, ShareGPT and Vertex AI, preference
    pairs::

        data = gemtune.datasets.load("train.jsonl")
        print(data.layout, data.method)

    Args:
        source: The training data, or a set that was loaded before.
        method: What it is for; None finds out: rows with two answers to one prompt are for ``preference``.
        weights: What becomes of an answer that OpenAI's ``weight: 0`` excludes from learning, as Google has nothing
            like it: ``refuse`` makes its row wrong, ``learn`` lets it be learned.
        input: The column with the input, if its name is none of the usual ones; the same for ``output``.
        output: The column with the output.
        heading: Whether the first line of a table names its columns; None finds out.
        delimiter: What separates the columns of a file; None finds out.
        on_bytes: Called with the bytes of a large file that have been read, now and then.

    Raises:
        InvalidInput: It cannot be read, or it is not clear which column is which.
    """
    if isinstance(source, DataSet):
        said = Choice.of(input, output, heading=heading, delimiter=delimiter)
        said.refuse_all_but((), "training data that was loaded")
        return source
    if method is not None:
        checks.one_of("method", method, "supervised", "preference")
    checks.one_of("weights", weights, "refuse", "learn")
    choice = Choice.of(input, output, heading=heading, delimiter=delimiter)
    return opened(source, choice, method, chats.Manner(weights=weights), on_bytes)


def opened(
    source: object,
    choice: Choice,
    method: Method | None,
    manner: chats.Manner,
    on_bytes: Callable[[int], None] | None = None,
) -> DataSet:
    """Return training data as a set whose chats are taken over in some manner."""
    where = source_of(source, choice)
    if isinstance(where, ExampleReader):
        raise InvalidInput("training_data was loaded already", field="training_data")
    first = first_row(where)
    reader = ExampleReader(where, choice, method or _method_of(first, choice), manner, on_bytes)
    for read in islice(reader, _PEEKED):
        if read.problem is None:
            break
    found = next(iter(reader.layouts), "pairs")
    layout = _LAYOUTS.get(found, "pairs")
    report = reader.report(0)
    if layout == "pairs" and any(plain(name) == INSTRUCTION for name in report.input):
        layout = "alpaca"
    if layout == "preference" and isinstance(first, Mapping) and isinstance(first.get("input"), Mapping):
        layout = "openai"
    path = Path(os.fsdecode(os.fspath(source))) if isinstance(source, str | os.PathLike) else None
    return DataSet(reader.method, layout, report.source, reader, path)


def _method_of(first: object, choice: Choice) -> Method:
    row = as_mapping(first)
    if row is None:
        return "supervised"
    if any(key_of(key) == "completions" for key in row):
        return "preference" if "contents" in row else "supervised"
    try:
        preferences.columns(row, Choice(input=choice.input, output=choice.output))
    except InvalidInput:
        return "supervised"
    return "preference"
