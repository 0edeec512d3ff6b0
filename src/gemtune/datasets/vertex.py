"""Training data for Vertex AI: everything that ``tune`` takes, as the lines of JSON that the service reads.

Lines are made and checked one by one, so that a file of a gigabyte is never held. A line that is right as the service
wants it (``conversations.py``) stays as it is, to the byte; pairs, chats and preferences of other layouts are written
anew. What is wrong is collected and refused together, with line and field, as for the Gemini API; the limits are those
that are documented for Vertex AI. Of tokens nothing can be known here: an example that is likely to have too many is
noted, since the service drops those and only counts them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs

from gemtune.datasets import chats, preferences
from gemtune.datasets.conversations import LONG, Looked, Method, check, is_conversation, key_of
from gemtune.datasets.examples import Table, as_mapping, checked, refuse_nothing
from gemtune.datasets.headings import Choice
from gemtune.datasets.layouts import COLUMNS, layout_of, turns_of
from gemtune.datasets.load import already_read, rows_in
from gemtune.datasets.problems import Problems, some
from gemtune.datasets.report import DataReport, TrainingSet
from gemtune.datasets.sheets import Rows, as_written
from gemtune.errors import InvalidInput
from gemtune.protocol.codec import dumps
from gemtune.remedy import Remedy
from gemtune.types import TuningExample

MAX_BYTES: Final = 2**30
"""Of one file."""
MAX_EXAMPLES: Final = 10_000_000
MAX_WITH_FILES: Final = 300_000
MAX_VALIDATION: Final = 5_000
_LONGEST_LINE: Final = 64 * 2**20
_COMPARED: Final = 100_000
"""Lines among which one that occurs again is found: 10 MB of memory."""
_MARK: Final = b"\xef\xbb\xbf"

Source: TypeAlias = "Path | Rows | TrainingSet"


def source_of(data: object, choice: Choice) -> Source:
    """Return what some training data is read from: a file of lines, rows in memory, or examples that were read.

    Raises:
        InvalidInput: It cannot be read, or the choice has no meaning for it.
    """
    read = already_read(data, choice)
    if read is not None:
        return read
    if isinstance(data, str | os.PathLike):
        path = Path(os.fsdecode(os.fspath(data)))
        if path.suffix.lower() in {".jsonl", ".ndjson"} and _holds_objects(path):
            choice.refuse_all_but(("input", "output"), path.name)
            return path
    return rows_in(data, choice)


def _holds_objects(path: Path) -> bool:
    """Return whether the first line is an object; a document over many lines has to be read as a whole."""
    try:
        with path.open("rb") as file:
            return isinstance(json.loads(file.readline(_LONGEST_LINE).removeprefix(_MARK)), dict)
    except (OSError, ValueError, RecursionError):
        return False


@attrs.define(eq=False)
class ExampleLines:
    """The lines of training data; when all have been taken there is a report of them.

    Args:
        source: What they are read from.
        choice: What the caller says about its columns.
        method: How to tune.
    """

    source: Source
    choice: Choice
    method: Method
    verbatim: bool = attrs.field(init=False)
    """Whether every line so far is as the file has it."""
    _problems: Problems = attrs.field(factory=Problems, init=False)
    _remarks: _Remarks = attrs.field(init=False)
    _table: Table = attrs.field(init=False)
    _unit: str = attrs.field(init=False)
    _native: bool = attrs.field(init=False)
    _decoder: json.JSONDecoder = attrs.field(init=False)
    _odd: bool = attrs.field(default=False, init=False)
    _left_out: dict[str, None] = attrs.field(factory=dict, init=False)
    _layouts: dict[str, None] = attrs.field(factory=dict, init=False)
    _pairs: tuple[str | None, str, str, str | None] | None = attrs.field(default=None, init=False)
    """The columns of the first pair of answers."""
    _rows: int = attrs.field(default=0, init=False)
    _files: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._unit = self.source.unit if isinstance(self.source, Rows) else "line"
        self._table = Table(self._unit, self.choice)
        self._remarks = _Remarks(self._unit)
        self._decoder = json.JSONDecoder(parse_constant=self._constant)
        self._native = self.method == "supervised" and not self.choice.named
        self.verbatim = isinstance(self.source, Path)

    def __iter__(self) -> Iterator[bytes]:
        source = self.source
        if isinstance(source, Path):
            yield from self._of_file(source)
        elif isinstance(source, TrainingSet):
            yield from self._of_pairs(source)
        elif self.method == "supervised" and not any(self._is_chat(row) for _, row in source.numbered):
            read = checked(source, self.choice, limited=False)  # which knows columns of numbers, and notes more
            yield from self._of_pairs(read)
        else:
            for number, row in source.numbered:
                line = self._line(chats.as_json(row), number, None)
                if line is not None:
                    yield line
        self._problems.refuse()
        if not self._rows:
            refuse_nothing()

    @property
    def report(self) -> DataReport:
        """What was read."""
        report = self._report()
        if self.method == "preference" or self.choice.named:
            return report
        return attrs.evolve(report, notes=(*report.notes, *preferences.unlearned(report.left_out)))

    def _report(self) -> DataReport:
        source = self.source
        if isinstance(source, TrainingSet):
            return source.report
        table, layout = self._table.report(), next(iter(self._layouts), None)
        columns = () if layout is None else COLUMNS[layout]
        if self._pairs is not None:
            prompt, better, worse, system = self._pairs
            # Without a column of its own, the question begins both answers.
            table = DataReport(
                rows=0, input=(*([system] if system else ()), prompt or better), output=(better,), rejected=(worse,)
            )
        return DataReport(
            rows=self._rows,
            input=table.input or columns[:1],
            output=table.output or columns[1:],
            rejected=table.rejected,
            left_out=tuple(dict.fromkeys((*table.left_out, *self._left_out))),
            source=source.name if isinstance(source, Path) else source.source,
            notes=(*(source.notes if isinstance(source, Rows) else ()), *self._remarks.notes()),
        )

    def _of_pairs(self, read: TrainingSet) -> Iterator[bytes]:
        if self.method == "preference":
            what = "training_data is pairs of input and output: preference tuning needs two answers to each prompt"
            raise InvalidInput(what, field="training_data")
        self.source = read
        for example in read.examples:
            self._counted(Looked())
            yield _written(_pair(example))

    def _of_file(self, path: Path) -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                begin = file.read(len(_MARK))
                if begin == _MARK:
                    self.verbatim = False
                else:
                    file.seek(0)
                pieces: Iterable[bytes] = iter(lambda: file.readline(_LONGEST_LINE), b"")
                for number, raw in enumerate(pieces, 1):
                    if self._problems.enough:
                        return
                    line = self._of_line(raw, number)
                    if line is not None:
                        yield line
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise InvalidInput(f"training_data: {path} cannot be read ({why})", field="training_data") from None

    def _of_line(self, raw: bytes, number: int) -> bytes | None:
        if raw.isspace():
            self.verbatim = False
            return None
        try:
            if len(raw) >= _LONGEST_LINE:
                raise ValueError(f"a line has at most {_LONGEST_LINE:,} bytes")
            self._odd = b"\\u" in raw  # perhaps half of a character
            row = self._decoder.decode(raw.decode())
        except UnicodeDecodeError:
            self._wrong(number, "this line is not UTF-8: save the file as UTF-8")
        except json.JSONDecodeError as error:
            self._wrong(number, f"this line is not JSON: {error.msg.removesuffix(' at')} (column {error.colno})")
        except ValueError as error:
            self._wrong(number, f"this line is not JSON: {error}")
        except RecursionError:
            self._wrong(number, "this line is nested too deeply")
        else:
            return self._line(row, number, raw)
        return None

    def _constant(self, name: str) -> float:
        self._odd = True
        return float(name)

    def _wrong(self, number: int, what: str, field: str = "training_data", remedies: tuple[Remedy, ...] = ()) -> None:
        self._problems.add(InvalidInput(f"{self._unit} {number}: {what}", *remedies, field=field, row=number))

    def _is_chat(self, row: object) -> bool:
        row = chats.as_json(row)
        given = as_mapping(row)
        if given is None:
            return turns_of(row) is not None
        return not self.choice.named and (is_conversation(given) or layout_of(given) is not None)

    def _line(self, row: Any, number: int, raw: bytes | None) -> bytes | None:
        """Return the line for a row: the bytes of the file if they may stay, and None if the row is wrong."""
        try:
            example, seen = self._example(row, number, raw)
            line = raw if raw is not None and example is row else _written(example)
            if self._odd and line is raw:
                dumps(example, strict=True)  # which refuses what only some take for JSON
        except InvalidInput as problem:
            if problem.row is None:  # it does not say where
                self._wrong(number, problem.message, problem.field or "training_data", problem.remedies)
            else:
                self._problems.add(problem)
            return None
        except ValueError as error:
            self._wrong(number, f"this line is not JSON: {error}")
            return None
        if line is not raw:
            self.verbatim = False
        self._counted(seen)
        self._left_out.update(dict.fromkeys(seen.left_out))
        self._remarks.look(line, number, seen)
        return line

    def _example(self, row: Any, number: int, raw: bytes | None) -> tuple[Mapping[str, Any], Looked]:
        if type(row) is dict and self._native and type(row.get("contents")) is list:
            self._layouts["contents"] = None
            return check(row, self.method)
        given = as_mapping(row)
        if given is None and turns_of(row) is not None:
            key = "contents" if any("parts" in turn for turn in row) else "messages"
            given = {key: row}
        if given is not None and not self.choice.named:
            named = {key_of(key): key for key in given}
            if is_conversation(given) and (self.method == "supervised" or "completions" in named):
                self._layouts["contents"] = None
                return check(given, self.method)
            layout = layout_of(given)
            if layout is not None and self.method == "supervised":
                self._layouts[layout] = None
                return check(chats.converted(given, layout), self.method)
        if self.method == "preference":
            if given is None:
                what = "expected an object with prompt, chosen and rejected, or with contents and completions"
                raise InvalidInput(what, field="training_data")
            columns = preferences.columns(given, self.choice)
            self._pairs = self._pairs or columns
            self._left_out.update(dict.fromkeys(name for name in given if name not in columns))
            return check(preferences.converted(given, columns), self.method)
        # Numbers of a file stay as they are written there.
        cells = self._table.cells(as_written(raw.decode()) if raw is not None else row, number)
        return _pair(cells.example(self._unit, limited=False)), Looked()

    def _counted(self, seen: Looked) -> None:
        self._rows += 1
        self._files = self._files or seen.files
        most = MAX_WITH_FILES if self._files else MAX_EXAMPLES
        if self._rows > most:
            kind = "examples, some of them with files" if self._files else "examples"
            raise InvalidInput(f"training_data has more than {most:,} {kind}: use fewer", field="training_data")


@attrs.define(eq=False)
class _Remarks:
    """What may be worth knowing of lines that are right."""

    unit: str
    _first: dict[int, int] = attrs.field(factory=dict, init=False)
    _again: list[str] = attrs.field(factory=list, init=False)
    _long: list[str] = attrs.field(factory=list, init=False)

    def look(self, line: bytes, number: int, seen: Looked) -> None:
        """Take note of a line that is very long, or that occurred before."""
        if seen.characters > LONG:
            self._long.append(str(number))
        if len(self._first) < _COMPARED:
            first = self._first.setdefault(hash(line), number)
            if first != number:
                self._again.append(f"{number} (as {first})")

    def notes(self) -> list[str]:
        """Return them in words."""
        notes = []
        if self._again:
            notes.append(f"the same example comes again in {self._listed(self._again)}")
        if self._long:
            what = f"more than {LONG:,} characters, most likely too many tokens (131,072 at most)"
            notes.append(f"{what}, in {self._listed(self._long)}: the service drops such examples and counts them")
        return notes

    def _listed(self, items: list[str]) -> str:
        return f"{self.unit}{'s' if len(items) > 1 else ''} {some(items)}"


def check_validation(training: DataReport | None, validation: DataReport | None) -> str | None:
    """Check how many examples there are to validate with, and return a note if they are more than usual.

    Args:
        training: What was read of the training data; None if it lies in Cloud Storage already.
        validation: The same of the validation data.

    Raises:
        InvalidInput: They are too many.
    """
    if validation is None:
        return None
    if validation.rows > MAX_VALIDATION:
        what = f"validation_data has {validation.rows:,} rows, more than the {MAX_VALIDATION:,} allowed: use fewer"
        raise InvalidInput(what, field="validation_data")
    if training is None or validation.rows * 10 <= training.rows * 3:
        return None
    # Documented as a limit, but not whether it holds for a handful of rows, with which everybody begins.
    return (
        f"there are {validation.rows:,} rows for {training.rows:,} of training data, and Google documents 30 % at most"
    )


def _pair(example: TuningExample) -> dict[str, Any]:
    turns = (("user", example.text_input), ("model", example.output))
    return {"contents": [{"role": role, "parts": [{"text": text}]} for role, text in turns]}


def _written(example: Mapping[str, Any]) -> bytes:
    return dumps(example, strict=True) + b"\n"
