"""From rows to examples that can be sent, every cell checked.

The limits are those documented for tuning on the Gemini API: 40,000 characters of input and 5,000 of output per
example, 4 MB of training data inline. Everything is checked before anything is sent, and an error names row, field
and fix, in the words of whoever filled in the table.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Never

import attrs

from gemtune.checks import is_number
from gemtune.datasets.headings import Choice, Columns, choose, is_heading, named_in_order
from gemtune.datasets.layouts import COLUMNS, layout_of, pair
from gemtune.datasets.problems import Problems, row_error, some
from gemtune.datasets.report import DataReport, TrainingSet
from gemtune.datasets.sheets import Rows
from gemtune.errors import InvalidInput
from gemtune.types import TuningExample

MAX_INPUT: Final = 40_000
MAX_OUTPUT: Final = 5_000
MAX_BYTES: Final = 4_000_000
NOTHING: Final = frozenset({"nan", "NaN", "<NA>", "NaT", "None", "null", "#N/A"})
_EMPTY: Final = frozenset({"NAType", "NaTType"})
"""What pandas puts in the place of a cell that is not there, beside NaN."""


def checked(rows: Rows, choice: Choice | None = None, *, limited: bool = True) -> TrainingSet:
    """Return the rows as examples, with a report of what was read.

    Args:
        rows: The rows.
        choice: What the caller says about their columns.
        limited: Whether the limits of the Gemini API hold.

    Raises:
        InvalidInput: With the first five problems; ``row`` and ``field`` are those of the first.
    """
    found = examined(rows, choice, limited=limited)
    problems = Problems()
    for each in found.examples:
        if isinstance(each, InvalidInput):
            problems.add(each)
    problems.refuse()
    examples = tuple(each for each in found.examples if isinstance(each, TuningExample))
    if not examples:
        refuse_nothing()
    if limited:
        _check_size(examples)
    return TrainingSet(examples, found.report)


@attrs.frozen
class Examined:
    """What became of each row of a table.

    Args:
        examples: An example or an error for each row, in their order.
        report: What was read, without the rows that are wrong.
    """

    examples: list[TuningExample | InvalidInput]
    report: DataReport


def examined(rows: Rows, choice: Choice | None = None, *, limited: bool = True) -> Examined:
    """Return what becomes of each row; takes the same as ``checked``."""
    table = Table(rows.unit, choice or Choice())
    cells = [_cells_of(table, row, number) for number, row in rows.numbered]
    cells, notes = _whole_numbers(cells)
    examples = [each if isinstance(each, InvalidInput) else _example_of(each, rows.unit, limited) for each in cells]
    right = [
        (number, example)
        for (number, _), example in zip(rows.numbered, examples, strict=True)
        if isinstance(example, TuningExample)
    ]
    notes += [*_repeated(right, rows.unit), *_words_for_nothing(right, rows.unit)]
    report = attrs.evolve(table.report(), rows=len(right), source=rows.source, notes=(*rows.notes, *notes))
    return Examined(examples, report)


def _cells_of(table: Table, row: object, number: int) -> Cells | InvalidInput:
    try:
        return table.cells(row, number)
    except InvalidInput as problem:
        return problem


def _example_of(cells: Cells, unit: str, limited: bool) -> TuningExample | InvalidInput:
    try:
        return cells.example(unit, limited=limited)
    except InvalidInput as problem:
        return problem


@attrs.frozen
class _Place:
    """A cell, as errors name it."""

    field: str
    column: str
    where: str
    row: int

    def wrong(self, what: str, code: str = "invalid_input") -> InvalidInput:
        """Return the error that something is wrong with it."""
        column = "" if self.column in ("", self.field) else f" (column {self.column!r:.60})"
        message = f"{self.where}: {self.field}{column} {what}"
        return row_error(message, code=code, path=self.field, field=self.field, row=self.row)


@attrs.frozen
class Cells:
    """What stands in the place of input and output, and what their columns are called."""

    number: int
    text_input: object
    output: object
    columns: tuple[str, str] = ("", "")

    def whole(self, field: str) -> Cells:
        """Return these with the float in one place written as an integer."""
        value = getattr(self, field)
        if is_empty(value):
            return self
        text = str(int(value))
        return attrs.evolve(self, text_input=text) if field == "text_input" else attrs.evolve(self, output=text)

    def example(self, unit: str, *, limited: bool = True) -> TuningExample:
        """Return an example whose texts were checked, their length as well if it is limited."""
        where = f"{unit} {self.number}"
        source = _Place("text_input", self.columns[0], where, self.number)
        target = _Place("output", self.columns[1], where, self.number)
        return TuningExample(
            text_input=_limited(_text(self.text_input, source), source, MAX_INPUT if limited else None),
            output=_limited(_text(self.output, target), target, MAX_OUTPUT if limited else None),
        )


@attrs.define(eq=False)
class Table:
    """The columns of the rows seen so far; rows with the same names share one choice."""

    unit: str
    choice: Choice
    _chosen: dict[tuple[str, ...], Columns | str | InvalidInput] = attrs.field(factory=dict, init=False)

    def cells(self, row: object, number: int) -> Cells:
        """Return what stands in the place of input and output."""
        where = f"{self.unit} {number}"
        if isinstance(row, InvalidInput):  # the reader could make nothing of it
            raise InvalidInput(f"{where}: {row.message}", field="training_data", row=number)
        if hasattr(row, "_fields"):
            fields = {name: getattr(row, name) for name in row._fields}
            if len(fields) != 2 or self.choice.named or is_heading(row._fields, Choice()):
                row = fields
        given = as_mapping(row)
        if given is None and hasattr(row, "text_input") and hasattr(row, "output"):
            given = {"text_input": row.text_input, "output": row.output}
        if given is not None:
            return self._mapped({str(name): cell for name, cell in given.items() if name is not None}, given, number)
        row = row.tolist() if hasattr(row, "tolist") else row
        if isinstance(row, tuple | list) and len(row) == 2:
            if self.choice.named:
                what = "this row has no names, so that input and output cannot name its columns"
                raise InvalidInput(f"{where}: {what}", field="training_data", row=number)
            return Cells(number, row[0], row[1])
        raise InvalidInput(
            f"{where}: expected an (input, output) pair or a dict with text_input and output, not {_kind(row)}",
            field="training_data",
            row=number,
        )

    def _mapped(self, row: Mapping[str, object], given: Mapping[Any, object], number: int) -> Cells:
        where = f"{self.unit} {number}"
        if given.get(None):  # what csv.DictReader does with cells that have no heading
            raise InvalidInput(f"{where}: this row has more cells than the heading", field="training_data", row=number)
        names = tuple(row)
        if names not in self._chosen:
            self._chosen[names] = self._choose(row, number)
        chosen = self._chosen[names]
        if isinstance(chosen, InvalidInput):
            raise chosen.with_traceback(None)  # the same one for every such row, so that they can be counted
        if isinstance(chosen, str):
            try:
                return Cells(number, *pair(row, chosen))
            except InvalidInput as error:
                raise InvalidInput(
                    f"{where}: {error.message}", *error.remedies, field="training_data", row=number
                ) from None
        labels = (" + ".join(chosen.inputs), chosen.output)
        if len(chosen.inputs) == 1:
            text_input = row[chosen.inputs[0]]
        elif all(is_empty(row[name]) for name in chosen.needed):
            text_input = None
        else:
            filled = [name for name in chosen.inputs if not is_empty(row[name])]
            text_input = "\n\n".join(_text(row[name], _Place("text_input", name, where, number)) for name in filled)
        return Cells(number, text_input, row[chosen.output], labels)

    def _choose(self, row: Mapping[str, object], number: int) -> Columns | str | InvalidInput:
        try:
            return choose(tuple(row), named_in_order(tuple(row), self.choice))
        except InvalidInput as error:
            layout = None if self.choice.named else layout_of(row)
            what = f"{self.unit} {number}: {error.message}"
            return layout or InvalidInput(what, *error.remedies, field=error.field, row=number)

    def report(self) -> DataReport:
        """Return which columns were what."""
        columns = [each for each in self._chosen.values() if isinstance(each, Columns)]
        layouts = [(names, each) for names, each in self._chosen.items() if isinstance(each, str)]
        if layouts:
            left = [name for names, each in layouts for name in names if name != each]
            asked, answered = COLUMNS[layouts[0][1]]
            return DataReport(
                rows=0,
                input=(asked,),
                output=(answered,),
                left_out=tuple(dict.fromkeys(left)),
            )
        return DataReport(
            rows=0,
            input=tuple(dict.fromkeys(name for each in columns for name in each.inputs)),
            output=tuple(dict.fromkeys(each.output for each in columns)),
            left_out=tuple(dict.fromkeys(name for each in columns for name in each.left_out)),
        )


def as_mapping(value: Any) -> Mapping[Any, Any] | None:
    """Return what has keys and values as a mapping, such as a row of a database or of a frame; None for all else."""
    if isinstance(value, Mapping):
        return value
    if callable(getattr(value, "keys", None)) and hasattr(value, "__getitem__"):
        return {key: value[key] for key in value.keys()}  # noqa: SIM118 - it is no mapping
    return None


def refuse_nothing() -> Never:
    """Refuse training data without an example."""
    raise InvalidInput(
        "training_data is empty: give at least one (input, output) pair, better 100 or more", field="training_data"
    )


def _check_size(examples: Sequence[TuningExample]) -> None:
    # The limit is one of the request, which is measured in bytes of UTF-8 and not in characters.
    size = sum(len(example.text_input.encode()) + len(example.output.encode()) for example in examples)
    if size > MAX_BYTES:
        raise InvalidInput(
            f"training_data holds {size:,} bytes of text, more than the {MAX_BYTES:,} that can be sent: "
            "use fewer or shorter examples",
            field="training_data",
        )


def _whole_numbers(cells: list[Cells | InvalidInput]) -> tuple[list[Cells | InvalidInput], list[str]]:
    """Write a column of floats that are all whole without the ``.0`` that pandas gives to integers with gaps."""
    notes = []
    for field, called in (("text_input", "inputs"), ("output", "outputs")):
        column = [getattr(each, field) for each in cells if isinstance(each, Cells)]
        floats = [value for value in column if isinstance(value, float) and not is_empty(value)]
        whole = floats and all(value.is_integer() for value in floats)
        if whole and all(isinstance(value, float) or is_empty(value) for value in column):
            cells = [each if isinstance(each, InvalidInput) else each.whole(field) for each in cells]
            notes.append(f"the {called} are whole numbers and are written without .0: {floats[0]} as {int(floats[0])}")
    return cells, notes


def _repeated(examples: list[tuple[int, TuningExample]], unit: str) -> list[str]:
    """Return notes about examples that come again, and about inputs with more than one output."""
    first: dict[TuningExample, int] = {}
    by_input: dict[str, int] = {}
    same: list[str] = []
    contradicting: list[str] = []
    for number, example in examples:
        if example in first:
            same.append(f"{number} (as {first[example]})")
            continue
        first[example] = number
        if example.text_input in by_input:
            contradicting.append(f"{by_input[example.text_input]} and {number}")
        by_input.setdefault(example.text_input, number)
    notes = []
    if contradicting:
        notes.append(f"the same input has different outputs in {unit}s {some(contradicting)}")
    if same:
        notes.append(f"the same example comes again in {unit}{'s' if len(same) > 1 else ''} {some(same)}")
    return notes


def _words_for_nothing(examples: list[tuple[int, TuningExample]], unit: str) -> list[str]:
    """Return a note about cells that were empty before somebody made text of them."""
    found = [
        f"{number} ({text!r})"
        for number, example in examples
        for text in (example.text_input, example.output)
        if text in NOTHING
    ]
    return [f"cells that may have been empty are read as text, in {unit}s {some(found)}"] if found else []


def _kind(row: object) -> str:
    if row is None:
        return "an empty row"
    if isinstance(row, tuple | list):
        return f"a {type(row).__name__} of {len(row)}"
    if isinstance(row, str):
        return f"the text {row!r:.40}"
    return f"a {type(row).__name__}"


def is_empty(value: object) -> bool:
    """Return whether a cell holds nothing: no value, blanks, or what a data frame has in the place of one."""
    if value is None or type(value).__name__ in _EMPTY:
        return True
    if isinstance(value, str):
        return not value.strip()
    return isinstance(value, float | Decimal) and value != value  # noqa: PLR0124 - NaN


def _text(value: Any, place: _Place) -> str:
    if hasattr(value, "as_py"):  # pyarrow's
        value = value.as_py()
    if hasattr(value, "item") and not isinstance(value, str) and getattr(value, "shape", None) == ():  # numpy's
        value = value.item()
    if isinstance(value, enum.Enum):
        value = value.value
    if is_empty(value):
        raise place.wrong("is empty; fill it in or drop the row", "missing_text")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | Decimal) or is_number(value):
        return str(value)
    if hasattr(value, "columns") or hasattr(value, "to_frame"):
        raise place.wrong("is a part of a data frame, not text or a number: pass the frame itself")
    raise place.wrong(f"must be text or a number, not {_thing(value)}: write it as text")


def _thing(value: object) -> str:
    if as_mapping(value) is not None:
        return "an object with fields"
    if isinstance(value, list | tuple | set):
        return f"a list of {len(value)}"
    if isinstance(value, bytes | bytearray):
        return "bytes"
    if hasattr(value, "isoformat"):
        return "a date or time"
    return f"a {type(value).__name__}"


def _limited(value: str, place: _Place, limit: int | None) -> str:
    if limit is not None and len(value) > limit:
        raise place.wrong(
            f"has {len(value):,} characters, more than the {limit:,} allowed; shorten it by {len(value) - limit:,}",
            "too_long",
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise place.wrong("holds a lone surrogate and is not valid Unicode; re-read the source as UTF-8") from None
    return value
