"""Training data row by row: the one reader below ``client.tune`` on Vertex AI and all of ``gemtune.datasets``.

Whatever the rows look like, each comes out as an example in Vertex AI's form (``conversations.py``), which holds more
than any other layout, or as the error that says why it is none. Rows that are wrong do not end the reading: whether one
stops everything is the caller's business. A file of JSON lines is read line by line, so that a gigabyte is never held;
every other file, and what is in memory, is there as a whole anyway.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Container, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import attrs

from gemtune.datasets import chats, preferences
from gemtune.datasets.conversations import Looked, Method, check, is_conversation, key_of
from gemtune.datasets.examples import Examined, Table, as_mapping, examined
from gemtune.datasets.headings import Choice
from gemtune.datasets.layouts import COLUMNS, layout_of, turns_of
from gemtune.datasets.load import already_read, rows_in
from gemtune.datasets.problems import Issue, row_error
from gemtune.datasets.report import DataReport, TrainingSet
from gemtune.datasets.sheets import Rows, as_written
from gemtune.errors import InvalidInput
from gemtune.protocol.codec import dumps
from gemtune.types import TuningExample

LONGEST_LINE: Final = 64 * 2**20
_MARK: Final = b"\xef\xbb\xbf"
_PEEKED: Final = 100
"""So many lines, blank or wrong, may come before the first row."""

Source: TypeAlias = "Path | Rows | TrainingSet"
Readable: TypeAlias = "Source | ExampleReader"


def source_of(data: object, choice: Choice) -> Readable:
    """Return what some training data is read from: a file of lines, rows in memory, or examples that were read.

    A set that was loaded has a reader of its own.

    Raises:
        InvalidInput: It cannot be read, or the choice has no meaning for it.
    """
    read = already_read(data, choice)
    if read is not None:
        return read
    reader = getattr(data, "reader", None)
    if isinstance(reader, ExampleReader):
        choice.refuse_all_but((), "training data that was loaded")
        return reader
    if isinstance(data, str | os.PathLike):
        path = Path(os.fsdecode(os.fspath(data)))
        if path.suffix.lower() in {".jsonl", ".ndjson"} and _holds_objects(path):
            choice.refuse_all_but(("input", "output"), path.name)
            return path
    return rows_in(data, choice)


def _holds_objects(path: Path) -> bool:
    """Return whether a file is lines of objects; a document over many lines has to be read as a whole.

    The first line may be wrong. In such a document, nothing but a comma or its end follows an object on a line alone.
    """
    try:
        with path.open("rb") as file:
            before: object = None
            for place, line in enumerate(_first_lines(file)):
                row = _json(line)
                if isinstance(row, list) and not place:
                    return False
                if isinstance(row, dict) and (not place or isinstance(before, dict)):
                    return True
                before = row
            return isinstance(before, dict) and not file.read(1)
    except OSError:
        return False


def first_row(source: Source) -> Any:
    """Return the first row that can be read, as it was given; None if there is none."""
    if isinstance(source, TrainingSet):
        return None
    if isinstance(source, Rows):
        return chats.as_json(source.numbered[0][1]) if source.numbered else None
    with source.open("rb") as file:
        return next((row for row in map(_json, _first_lines(file)) if isinstance(row, dict)), None)


def _json(line: bytes) -> object:
    try:
        return json.loads(line.decode())
    except (ValueError, RecursionError):
        return None


def _first_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines at the beginning that are not blank."""
    lines = (line.removeprefix(_MARK) for line in islice(_lines(file), _PEEKED))
    return (line for line in lines if line.strip())


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield all lines; of one that is too long, its beginning."""
    while piece := file.readline(LONGEST_LINE):
        yield piece
        while len(piece) >= LONGEST_LINE and not piece.endswith(b"\n"):
            piece = file.readline(LONGEST_LINE)


@attrs.frozen(eq=False)
class ReadRow:
    """What became of one row.

    Args:
        number: Its line in the file, or its place in memory, from 1.
        row: The row as it was given; None if it could not be read.
        line: The example as a line of JSON, that of the file if it may stay as it is; empty if it is wrong.
        example: The example; empty if the row is wrong.
        seen: What was seen of it.
        problem: What is wrong.
        losses: What the example lacks of the row.
        raw: The bytes of a file's line.
        layout: How the row is laid out, as in the reader's ``layouts``; empty if that is not known.
    """

    number: int
    row: object
    line: bytes = b""
    example: Mapping[str, Any] = attrs.field(factory=dict)
    seen: Looked = attrs.field(factory=Looked)
    problem: InvalidInput | None = None
    losses: tuple[Issue, ...] = ()
    raw: bytes | None = None
    layout: str = ""


@attrs.define(eq=False)
class ExampleReader:
    """Reads training data, once or again and again.

    Args:
        source: What it is read from.
        choice: What the caller says about its columns.
        method: How to tune on it.
        manner: How chats are taken over.
        on_bytes: Called with the number of bytes of a file that were read so far, now and then.
        kept: The numbers of the rows that count; None for all.
    """

    source: Source
    choice: Choice
    method: Method
    manner: chats.Manner = attrs.field(factory=chats.Manner)
    on_bytes: Callable[[int], None] | None = None
    kept: Container[int] | None = None
    whole: bool = attrs.field(default=True, init=False)
    """Whether no byte of a file was skipped so far, such as a blank line."""
    unit: str = attrs.field(init=False)
    layouts: dict[str, None] = attrs.field(factory=dict, init=False)
    """The layouts of the rows so far, in the order in which they were met."""
    _table: Table = attrs.field(init=False)
    _native: bool = attrs.field(init=False)
    _decoder: json.JSONDecoder = attrs.field(init=False)
    _odd: bool = attrs.field(default=False, init=False)
    _layout: str = attrs.field(default="", init=False)
    _left_out: dict[str, None] = attrs.field(factory=dict, init=False)
    _pairs: preferences.PairColumns | None = attrs.field(default=None, init=False)
    """The columns of the first pair of answers."""
    _examined: Examined | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.unit = self.source.unit if isinstance(self.source, Rows) else "line"
        self._table = Table(self.unit, self.choice)
        self._native = self.method == "supervised" and not self.choice.named
        self._decoder = json.JSONDecoder(parse_constant=self._constant)

    def __iter__(self) -> Iterator[ReadRow]:
        kept = self.kept
        if kept is None:
            return self._every()
        return (read for read in self._every() if read.number in kept)

    def _every(self) -> Iterator[ReadRow]:
        source = self.source
        if isinstance(source, Path):
            yield from self._of_file(source)
        elif isinstance(source, TrainingSet):
            yield from self._of_set(source)
        elif self.method == "supervised" and not any(self._is_chat(row) for _, row in source.numbered):
            yield from self._of_table(source)
        else:
            for number, row in source.numbered:
                yield self._row(chats.as_json(row), number, None)

    @property
    def of_table(self) -> bool:
        """Whether the rows are those of a table in memory, which are compared with each other as they are read."""
        return self._examined is not None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns of a table that became the input."""
        return self._table.report().input if self._examined is None else self._examined.report.input

    def report(self, rows: int) -> DataReport:
        """Return what was read, of which so many rows were right; without notes about their contents."""
        report = self._report(rows)
        if self.method == "preference" or self.choice.named:
            return report
        return attrs.evolve(report, notes=(*report.notes, *preferences.unlearned(report.left_out)))

    def _report(self, rows: int) -> DataReport:
        source = self.source
        if isinstance(source, TrainingSet):
            return source.report
        if self._examined is not None:
            return self._examined.report
        table, layout = self._table.report(), next((each for each in self.layouts if each in COLUMNS), None)
        columns = () if layout is None else COLUMNS[layout]
        if self._pairs is not None:
            pairs = self._pairs
            # Without a column of its own, the question begins both answers.
            table = DataReport(rows=0, input=pairs.inputs, output=(pairs.better,), rejected=(pairs.worse,))
        return DataReport(
            rows=rows,
            input=table.input or columns[:1],
            output=table.output or columns[1:],
            rejected=table.rejected,
            left_out=tuple(dict.fromkeys((*table.left_out, *self._left_out))),
            source=source.name if isinstance(source, Path) else source.source,
            notes=source.notes if isinstance(source, Rows) else (),
        )

    def _of_set(self, read: TrainingSet) -> Iterator[ReadRow]:
        if self.method == "preference":
            what = "training_data is pairs of input and output: preference tuning needs two answers to each prompt"
            raise InvalidInput(what, field="training_data")
        self.layouts["pairs"] = None
        for number, example in enumerate(read.examples, 1):
            yield _of_pair(number, example, example)

    def _of_table(self, rows: Rows) -> Iterator[ReadRow]:
        # As a whole, because columns of numbers are only known as such from all of their cells.
        if self._examined is None:
            self._examined = examined(rows, self.choice, limited=False)
        self.layouts["pairs"] = None
        for (number, row), example in zip(rows.numbered, self._examined.examples, strict=True):
            if isinstance(example, InvalidInput):
                yield ReadRow(number, row, problem=example)
            else:
                yield _of_pair(number, row, example)

    def _of_file(self, path: Path) -> Iterator[ReadRow]:
        try:
            with path.open("rb") as file:
                begin = file.read(len(_MARK))
                if begin == _MARK:
                    self.whole = False
                else:
                    file.seek(0)
                for number, raw in enumerate(_lines(file), 1):
                    if number % 1000 == 0 and self.on_bytes is not None:
                        self.on_bytes(file.tell())
                    if raw.isspace() and len(raw) < LONGEST_LINE:
                        self.whole = False
                    else:
                        yield self._of_line(raw, number)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise InvalidInput(f"training_data: {path} cannot be read ({why})", field="training_data") from None

    def _of_line(self, raw: bytes, number: int) -> ReadRow:
        try:
            if len(raw) >= LONGEST_LINE:
                self.whole = False
                raise ValueError(f"a line has at most {LONGEST_LINE:,} bytes")
            self._odd = b"\\u" in raw  # perhaps half of a character
            row = self._decoder.decode(raw.decode())
        except UnicodeDecodeError:
            code, what = "not_utf8", "this line is not UTF-8: save the file as UTF-8"
        except json.JSONDecodeError as error:
            code, what = "not_json", f"this line is not JSON: {error.msg.removesuffix(' at')} (column {error.colno})"
        except ValueError as error:
            code, what = "not_json", f"this line is not JSON: {error}"
        except RecursionError:
            code, what = "not_json", "this line is nested too deeply"
        else:
            return self._row(row, number, raw)
        return ReadRow(number, None, problem=row_error(what, code=code, field="training_data"), raw=raw)

    def _constant(self, name: str) -> float:
        self._odd = True
        return float(name)

    def _is_chat(self, row: object) -> bool:
        row = chats.as_json(row)
        given = as_mapping(row)
        if given is None:
            return turns_of(row) is not None
        if self.choice.named:
            return False
        return is_conversation(given) or layout_of(given) is not None or _empty_chat(given) is not None

    def _row(self, row: Any, number: int, raw: bytes | None) -> ReadRow:
        losses, self._layout = self.manner.begin(number), ""
        try:
            example, seen = self._example(row, number, raw)
            line = raw if raw is not None and example is row else written(example)
            if self._odd and line is raw:
                dumps(example, strict=True)  # which refuses what only some take for JSON
        except InvalidInput as problem:
            return ReadRow(number, row, problem=problem, raw=raw)
        except ValueError as error:
            odd = row_error(f"this line is not JSON: {error}", code="not_json", field="training_data")
            return ReadRow(number, row, problem=odd, raw=raw)
        finally:
            if self._layout:
                self.layouts[self._layout] = None
        if seen.left_out:
            self._left_out.update(dict.fromkeys(seen.left_out))
        return ReadRow(number, row, line, example, seen, losses=tuple(losses), raw=raw, layout=self._layout)

    def _example(self, row: Any, number: int, raw: bytes | None) -> tuple[Mapping[str, Any], Looked]:
        anywhere = self.manner.anywhere
        if type(row) is dict and type(row.get("contents")) is list and self._native:
            self._layout = "contents"
            return check(row, "supervised", anywhere=anywhere)
        given = as_mapping(row)
        if given is None and turns_of(row) is not None:
            key = "contents" if any("parts" in turn for turn in row) else "messages"
            given = {key: row}
        if given is not None and not self.choice.named:
            named = {key_of(key): key for key in given}
            if is_conversation(given) and (self.method == "supervised" or "completions" in named):
                self._layout = "contents"
                return check(given, self.method, anywhere=anywhere)
            layout = layout_of(given)
            if layout is not None and self.method == "supervised":
                self._layout = layout
                return check(chats.converted(given, layout, self.manner), self.method, anywhere=anywhere)
            if layout is None and not isinstance(given.get("contents", ""), str):
                check({"contents": given["contents"]}, "supervised")  # which says what is wrong with it
            empty = _empty_chat(given)
            if empty is not None:
                raise row_error("is empty: there is no turn in it", code="invalid_contents_list", path=empty)
        if self.method == "preference":
            if given is None:
                what = "expected an object with prompt, chosen and rejected, or with contents and completions"
                raise InvalidInput(what, field="training_data")
            columns = preferences.columns(given, self.choice)
            self._pairs = self._pairs or columns
            self._layout = "preference"
            self._left_out.update(dict.fromkeys(columns.unused(given)))
            return check(preferences.converted(given, columns, self.manner), self.method)
        # Numbers of a file stay as they are written there.
        cells = self._table.cells(as_written(raw.decode()) if raw is not None else row, number)
        self._layout = "pairs"
        return _pair(cells.example(self.unit, limited=False)), Looked()


def _empty_chat(row: Mapping[str, Any]) -> str | None:
    """Return the key of a row that is nothing but a chat without turns; None for all others."""
    empty = next((name for name in COLUMNS if isinstance(turns := row.get(name), list) and not turns), None)
    return empty if empty is None or row.keys() <= {empty, "tools"} else None


def _of_pair(number: int, row: object, example: TuningExample) -> ReadRow:
    made = _pair(example)
    return ReadRow(number, row, written(made), made, Looked(), layout="pairs")


def _pair(example: TuningExample) -> dict[str, Any]:
    turns = (("user", example.text_input), ("model", example.output))
    return {"contents": [{"role": role, "parts": [{"text": text}]} for role, text in turns]}


def written(example: Mapping[str, Any]) -> bytes:
    """Return an example as a line of JSON.

    Raises:
        ValueError: JSON has nothing like a value in it, such as NaN or half of a character.
    """
    return dumps(example, strict=True) + b"\n"
