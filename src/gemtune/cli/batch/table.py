"""A table as the OUTPUT of ``gemtune batch``: the columns of the input, then ``answer`` and ``error``.

The input is read once more when the run is over, beside the journal in the order of the input, so that a table of any
size takes no memory.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gemtune.errors import GemtuneError, InvalidInput

if TYPE_CHECKING:
    from gemtune.batch import BatchResult
    from gemtune.batch.files import FileRows
    from gemtune.batch.keys import Keys

_OURS: Final = ("answer", "error")
_SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}


def is_table(output: str) -> bool:
    """Return whether the name of an OUTPUT says that it is a table."""
    return Path(output).suffix.lower() in _SEPARATORS


def check_table(rows: FileRows, output: str, order: str) -> None:
    """Refuse an OUTPUT that could not be the table that its name says it is; blocks.

    Raises:
        InvalidInput: The input cannot be read again, has a column of ours, or another order is wanted.
    """
    if not is_table(output):
        return
    jsonl = "or name an OUTPUT that ends with .jsonl"
    if not rows.again:
        what = f"{output} is to hold the columns of the input, and {rows} can be read only once: save it as a file"
        raise InvalidInput(f"{what}, {jsonl}", field="OUTPUT")
    if order != "input":
        raise InvalidInput(f"a table is written in the order of the input: leave out --order, {jsonl}", field="--order")
    first = next(rows.values(), None)
    taken = [repr(name) for name in _OURS if isinstance(first, Mapping) and name in first]
    if taken:
        raise InvalidInput(f"{rows} has a column {' and '.join(taken)} already: rename it, {jsonl}", field="OUTPUT")


def write_table(rows: FileRows, journal: str, places: Keys | None, output: str) -> int:
    """Write the table, which appears whole or not at all, and return the number of its rows; blocks.

    Raises:
        GemtuneError: It could not be written, or the input or the journal not be read.
    """
    from gemtune.batch.journal import export
    from gemtune.wholefile import whole_file

    target, count = Path(output), 0
    names = _names(rows)
    separator = rows.delimiter if target.suffix.lower() == ".csv" and rows.delimiter else None
    try:
        with whole_file(target) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
            table = csv.writer(text, delimiter=separator or _SEPARATORS[target.suffix.lower()], lineterminator="\n")
            table.writerow([*names, *_OURS])
            results = export.read_journal(journal, order="input", places=places)
            for columns, result in _beside(rows.values(), results):
                table.writerow([*(_cell(columns.get(name)) for name in names), *_outcome(result)])
                count += 1
            text.detach()
    except OSError as error:
        raise GemtuneError(f"{target} could not be written: {error.strerror}; make room, and use --resume") from None
    return count


def _beside(
    values: Iterator[object], results: Iterator[BatchResult]
) -> Iterator[tuple[Mapping[str, object], BatchResult]]:
    numbered = enumerate(values)
    for result in results:
        for index, value in numbered:
            if index == result.index:
                yield _columns(value), result
                break


def _names(rows: FileRows) -> list[str]:
    return [*dict.fromkeys(name for value in rows.values() for name in _columns(value))]


def _columns(value: object) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    return {} if isinstance(value, InvalidInput) else {"prompt": value}


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _outcome(result: BatchResult) -> tuple[str, str]:
    try:
        return result.text, ""
    except GemtuneError as error:  # why it failed, or why the reply holds no text
        return "", error.message
