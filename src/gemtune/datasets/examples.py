"""Training examples: from what users have (pairs, dicts, columns, CSV, JSONL) to checked TuningExample values.

The limits are those documented for tuning on the Gemini API: 40,000 characters of input and 5,000 of output per
example, 4 MB of training data inline. Everything is checked before anything is sent, and an error names row, field
and fix.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

from gemtune.checks import is_number
from gemtune.errors import InvalidInput
from gemtune.rows import tables
from gemtune.types import TuningExample

MAX_INPUT: Final = 40_000
MAX_OUTPUT: Final = 5_000
MAX_BYTES: Final = 4_000_000
_SHOWN: Final = 5
_DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}

_INPUT_KEYS: Final = ("text_input", "textInput", "input", "prompt")
_OUTPUT_KEYS: Final = ("output", "completion", "response")
# What people call their columns: a first row that holds one of these is a header, not an example.
_HEADINGS: Final = frozenset(
    {"answer", "assistant", "input", "instruction", "label", "question", "source", "target", "text", "user"}
    | {name.lower() for name in (*_INPUT_KEYS, *_OUTPUT_KEYS)}
)


@attrs.frozen
class Rows:
    """Rows with the number by which each can be found again.

    Args:
        unit: What is counted: ``row`` in memory, ``line`` in a file.
        numbered: Number and row, in order.
    """

    unit: str
    numbered: tuple[tuple[int, object], ...]

    @classmethod
    def of(cls, rows: Iterable[object]) -> Rows:
        """Return rows in memory, counted from 1."""
        return cls("row", tuple(enumerate(rows, 1)))


def from_file(path: Path) -> Rows:
    """Return the rows of a CSV, TSV, JSONL or JSON file; blocks.

    Raises:
        InvalidInput: It cannot be read, is not UTF-8, or is not what its suffix says.
    """
    try:
        with tables.open_text(path) as file:
            return from_lines(tables.Lines().of(file), path.suffix, name=f"training_data: {path}")
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise InvalidInput(f"training_data: {path} cannot be read ({why})", field="training_data") from None
    except ValueError as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"training_data: {str(path)!a} is not a path", field="training_data") from None


def from_lines(lines: Iterable[str], suffix: str, *, name: str = "training_data") -> Rows:
    """Return the rows of a CSV, TSV, JSONL or JSON text.

    Args:
        lines: The lines, with their ends.
        suffix: What tells the format: ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson`` or ``.json``.
        name: What the text is called in messages.

    Raises:
        InvalidInput: It is not what its suffix says.
    """
    try:
        return _rows(iter(lines), suffix.lower())
    except tables.Unreadable as error:
        raise InvalidInput(f"{name}{error}", field="training_data") from None


def _rows(lines: Iterator[str], suffix: str) -> Rows:
    if suffix in _DELIMITERS:
        return Rows("line", tuple(tables.table(lines, _DELIMITERS[suffix], _head)))
    if suffix == ".json":
        text = "".join(lines)
        document = tables.json_document(text)
        if document is not None:
            return Rows.of(document)
        lines = io.StringIO(text)
    elif suffix not in {".jsonl", ".ndjson"}:
        raise tables.Unreadable(f" cannot be read from a file ending in {suffix!r}: use .csv, .tsv, .jsonl or .json")
    return Rows("line", tuple(tables.json_lines(lines)))


def _head(row: list[str]) -> list[str] | None:
    """Return the first row as column names, or None if it is already an example."""
    cells = [cell.strip().removeprefix("\ufeff") for cell in row]
    # Examples may begin in the first line. One word that people call columns by makes it a heading.
    if not any(cell.lower() in _HEADINGS for cell in cells):
        return None
    canonical = {name.lower(): name for name in (*_INPUT_KEYS, *_OUTPUT_KEYS)}
    names = [canonical.get(cell.lower(), cell) for cell in cells]
    for wanted in (_INPUT_KEYS, _OUTPUT_KEYS):
        if not any(name in wanted for name in names):
            raise InvalidInput(
                f"training_data: the heading has no column {wanted[0]} (also accepted: {', '.join(wanted[1:])}); "
                f"it has {', '.join(cells)}",
                field=wanted[0],
            )
    return names


def from_rows(data: object) -> Rows:
    """Return the rows of a table in memory: an iterable of rows, or a mapping of columns such as a data frame."""
    if isinstance(data, str | bytes):
        raise InvalidInput("training_data is one string, not rows: pass pairs, dicts or a path", field="training_data")
    # Not isinstance(data, Mapping): a data frame of pandas or polars is none, and is meant all the same.
    if hasattr(data, "keys") and hasattr(data, "__getitem__"):
        columns = {str(key): _column(key, data[key]) for key in data.keys()}  # noqa: SIM118 - a data frame
        lengths = {key: len(column) for key, column in columns.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidInput(f"the columns differ in length: {lengths}", field="training_data")
        return Rows.of(dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    if not isinstance(data, Iterable):
        raise InvalidInput(
            f"training_data must be pairs, dicts, TuningExamples, columns or a path, not {type(data).__name__}",
            field="training_data",
        )
    return Rows.of(data)


def _column(name: object, values: object) -> list[object]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidInput(
            f"training_data is a mapping of columns, but {name} holds one {type(values).__name__}: for a single "
            "example put the dict in a list",
            field="training_data",
        )
    return list(values)


def checked(rows: Rows) -> tuple[TuningExample, ...]:
    """Return the rows as examples.

    Raises:
        InvalidInput: With the first five problems; ``row`` and ``field`` are those of the first.
    """
    examples: list[TuningExample] = []
    problems: list[InvalidInput] = []
    size = 0
    for number, row in rows.numbered:
        try:
            example = _example(row, f"{rows.unit} {number}", number)
        except InvalidInput as problem:
            problems.append(problem)
            continue
        # The limit is one of the request, which is measured in bytes of UTF-8 and not in characters.
        size += len(example.text_input.encode()) + len(example.output.encode())
        examples.append(example)
    if problems:
        raise _summary(problems)
    if not examples:
        raise InvalidInput(
            "training_data is empty: give at least one (input, output) pair, better 100 or more",
            field="training_data",
        )
    if size > MAX_BYTES:
        raise InvalidInput(
            f"training_data holds {size:,} bytes of text, more than the {MAX_BYTES:,} that can be sent: "
            "use fewer or shorter examples",
            field="training_data",
        )
    return tuple(examples)


def _summary(problems: list[InvalidInput]) -> InvalidInput:
    first = problems[0]
    if len(problems) == 1:
        return first
    # All at once, as whoever mends a file wants to mend it once; but not so many that nobody reads them.
    lines = [problem.message for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"and {len(problems) - _SHOWN} more")
    message = f"training_data has {len(problems)} problems: " + "; ".join(lines)
    return InvalidInput(message, field=first.field, row=first.row)


def _example(row: object, where: str, number: int) -> TuningExample:
    text_input: object
    output: object
    if isinstance(row, InvalidInput):  # the reader could make nothing of it
        raise InvalidInput(f"{where}: {row.message}", field="training_data", row=number)
    if isinstance(row, TuningExample):
        text_input, output = row.text_input, row.output
    elif isinstance(row, Mapping):
        text_input = _cell(row, _INPUT_KEYS, where, number)
        output = _cell(row, _OUTPUT_KEYS, where, number)
    elif isinstance(row, tuple | list) and len(row) == 2:
        text_input, output = row
    else:
        raise InvalidInput(
            f"{where}: expected an (input, output) pair or a dict with text_input and output, not {_kind(row)}",
            field="training_data",
            row=number,
        )
    return TuningExample(
        text_input=_text(text_input, "text_input", where, number, MAX_INPUT),
        output=_text(output, "output", where, number, MAX_OUTPUT),
    )


def _kind(row: object) -> str:
    if isinstance(row, tuple | list):
        return f"a {type(row).__name__} of {len(row)}"
    return type(row).__name__


def _cell(row: Mapping[object, object], keys: tuple[str, ...], where: str, number: int) -> object:
    for key in keys:
        if key in row:
            return row[key]
    found = ", ".join(sorted(str(key) for key in row)[:8]) or "nothing"
    raise InvalidInput(
        f"{where}: no {keys[0]} (also accepted: {', '.join(keys[1:])}); it holds {found}",
        field=keys[0],
        row=number,
    )


def _text(value: object, field: str, where: str, number: int, limit: int) -> str:
    if is_number(value):
        value = str(value)
    if value is None or isinstance(value, float) or (isinstance(value, str) and not value.strip()):
        # The only float left is NaN, which is how data frames write an empty cell.
        raise InvalidInput(f"{where}: {field} is empty; fill it in or drop the row", field=field, row=number)
    if not isinstance(value, str):
        raise InvalidInput(f"{where}: {field} must be text, not {_kind(value)}", field=field, row=number)
    if len(value) > limit:
        raise InvalidInput(
            f"{where}: {field} has {len(value):,} characters, more than the {limit:,} allowed; "
            f"shorten it by {len(value) - limit:,}",
            field=field,
            row=number,
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            f"{where}: {field} holds a lone surrogate and is not valid Unicode; re-read the source as UTF-8",
            field=field,
            row=number,
        ) from None
    return value
