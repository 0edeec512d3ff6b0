"""Training examples: from what users have (pairs, dicts, columns, CSV, JSONL) to checked TuningExample values.

The limits are those documented for tuning on the Gemini API: 40,000 characters of input and 5,000 of output per
example, 4 MB of training data inline.  Everything is checked before anything is sent, and an error names row, field
and fix.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gemtune.errors import InvalidInput
from gemtune.types import TuningExample

__all__ = ["MAX_BYTES", "MAX_INPUT", "MAX_OUTPUT", "checked", "from_rows", "from_text"]

MAX_INPUT: Final = 40_000
MAX_OUTPUT: Final = 5_000
MAX_BYTES: Final = 4_000_000
_SHOWN: Final = 5

_INPUT_KEYS: Final = ("text_input", "textInput", "input", "prompt")
_OUTPUT_KEYS: Final = ("output", "completion", "response")


def from_text(text: str, suffix: str) -> list[object]:
    """Return the rows of a CSV, TSV, JSONL or JSON text.

    Args:
        text: The file's content.
        suffix: The file's suffix, which tells the format: ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson`` or ``.json``.
    """
    suffix = suffix.lower()
    if suffix in {".csv", ".tsv"}:
        return list(_csv_rows(text, "\t" if suffix == ".tsv" else ","))
    if suffix in {".jsonl", ".ndjson"}:
        return [_json_row(line, row) for row, line in enumerate(text.splitlines(), 1) if line.strip()]
    if suffix == ".json":
        found = _json_row(text, None)
        return found if isinstance(found, list) else [found]
    raise InvalidInput(
        f"training data cannot be read from a file ending in {suffix!r}: use .csv, .tsv, .jsonl or .json",
        field="training_data",
    )


def _csv_rows(text: str, delimiter: str) -> Iterator[object]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if row]
    except csv.Error as error:
        raise InvalidInput(f"the CSV file is not well formed: {error}", field="training_data") from None
    if not rows:
        return
    header = [cell.strip() for cell in rows[0]]
    if any(name in header for name in _INPUT_KEYS) and any(name in header for name in _OUTPUT_KEYS):
        for number, row in enumerate(rows[1:], 1):
            if len(row) != len(header):
                raise InvalidInput(
                    f"row {number} has {len(row)} columns where the header has {len(header)}: quote cells that hold "
                    f"a {delimiter!r} or a line break",
                    field="training_data",
                    row=number,
                )
            yield dict(zip(header, row, strict=True))
        return
    for row in rows:
        yield tuple(row)


def _json_row(text: str, row: int | None) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f"line {row}" if row is not None else "the file"
        raise InvalidInput(f"{where} is not JSON: {error}", field="training_data", row=row) from None


def from_rows(data: object) -> list[object]:
    """Return the rows of a table in memory: an iterable of rows, or a mapping of columns (a data frame too)."""
    if isinstance(data, str | bytes):
        raise InvalidInput("training_data is a text, not rows: pass pairs, dicts or a path", field="training_data")
    if hasattr(data, "keys") and hasattr(data, "__getitem__"):
        columns = {str(key): list(data[key]) for key in data.keys()}  # noqa: SIM118 - a data frame iterates by column
        lengths = {key: len(column) for key, column in columns.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidInput(f"the columns differ in length: {lengths}", field="training_data")
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if not isinstance(data, Iterable):
        raise InvalidInput(
            f"training_data must be pairs, dicts, TuningExamples, columns or a path, not {type(data).__name__}",
            field="training_data",
        )
    return list(data)


def checked(rows: Iterable[object]) -> tuple[TuningExample, ...]:
    """Return the rows as examples.

    Raises:
        InvalidInput: With the first five problems; ``row`` and ``field`` are those of the first.
    """
    examples: list[TuningExample] = []
    problems: list[InvalidInput] = []
    size = 0
    for number, row in enumerate(rows, 1):
        try:
            example = _example(row, number)
        except InvalidInput as problem:
            problems.append(problem)
            continue
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
    lines = [problem.message for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"and {len(problems) - _SHOWN} more")
    message = f"training_data has {len(problems)} problems: " + "; ".join(lines)
    return InvalidInput(message, field=first.field, row=first.row)


def _example(row: object, number: int) -> TuningExample:
    text_input: object
    output: object
    if isinstance(row, TuningExample):
        text_input, output = row.text_input, row.output
    elif isinstance(row, Mapping):
        text_input = _cell(row, _INPUT_KEYS, number)
        output = _cell(row, _OUTPUT_KEYS, number)
    elif isinstance(row, tuple | list) and len(row) == 2:
        text_input, output = row
    else:
        raise InvalidInput(
            f"row {number}: expected an (input, output) pair or a dict with text_input and output, not {_kind(row)}",
            field="training_data",
            row=number,
        )
    return TuningExample(
        text_input=_text(text_input, "text_input", number, MAX_INPUT),
        output=_text(output, "output", number, MAX_OUTPUT),
    )


def _kind(row: object) -> str:
    if isinstance(row, tuple | list):
        return f"a {type(row).__name__} of {len(row)}"
    return type(row).__name__


def _cell(row: Mapping[object, object], keys: tuple[str, ...], number: int) -> object:
    for key in keys:
        if key in row:
            return row[key]
    found = ", ".join(sorted(str(key) for key in row)[:8]) or "nothing"
    raise InvalidInput(
        f"row {number}: no {keys[0]} (also accepted: {', '.join(keys[1:])}); it holds {found}",
        field=keys[0],
        row=number,
    )


def _text(value: object, field: str, number: int, limit: int) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value:  # noqa: PLR0124 - NaN
        value = str(value)
    if not isinstance(value, str):
        raise InvalidInput(f"row {number}: {field} must be a text, not {type(value).__name__}", field=field, row=number)
    if not value.strip():
        raise InvalidInput(f"row {number}: {field} is empty; fill it in or drop the row", field=field, row=number)
    if len(value) > limit:
        raise InvalidInput(
            f"row {number}: {field} has {len(value):,} characters, more than the {limit:,} allowed; "
            f"shorten it by {len(value) - limit:,}",
            field=field,
            row=number,
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            f"row {number}: {field} holds a lone surrogate and is not valid Unicode; re-read the source as UTF-8",
            field=field,
            row=number,
        ) from None
    return value
