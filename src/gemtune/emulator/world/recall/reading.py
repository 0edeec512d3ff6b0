"""Rows with right answers, from what was given: pairs, mappings, objects with two fields, or a file of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from gemtune.emulator.messages.json_text import loads

_ASKED = ("text_input", "input", "prompt", "question")
_ANSWERED = ("output", "completion", "response", "answer", "expected")
_KINDS = "a pair (prompt, answer), or one with text_input and output, with contents, or with messages"


def rows_of(given: object) -> Iterator[tuple[str, str]]:
    """Return (prompt, right answer) of each row.

    Args:
        given: a mapping from prompt to answer; or rows, each one a pair, a mapping or an object with the two under
            their usual names, or an example of Vertex AI or of OpenAI, of which the last turns count.

    Raises:
        ValueError: a row is none of this; the message names it, counted from 1.
    """
    if isinstance(given, Mapping):
        given = given.items()
    if not isinstance(given, Iterable) or isinstance(given, str | bytes):
        raise ValueError(f"known rows must be a mapping from prompt to answer or a list of rows, not {given!r:.60}")  # noqa: TRY004 - of create_app
    for number, row in enumerate(given, start=1):
        pair = _pair(row)
        if pair is None:
            raise ValueError(f"row {number} of the known rows must be {_KINDS}; not {row!r:.80}")
        yield pair


def read_rows(path: Path) -> list[tuple[str, str]]:
    """Return (prompt, right answer) of each row of a file: JSON, JSON lines, or a table with a heading (CSV, TSV).

    Raises:
        ValueError: a row has no prompt or no answer, or the file is none of this.
        OSError: it cannot be read.
    """
    raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        found = list(rows_of(_READERS.get(path.suffix.lower(), _lines)(raw)))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not found:
        raise ValueError(f"{path} holds no rows")
    return found


def _table(raw: bytes, delimiter: str = ",") -> Iterator[object]:
    table = csv.reader(io.StringIO(raw.decode(), newline=""), delimiter=delimiter)
    heading = [name.strip() for name in next(table, [])]
    for cells in table:
        if cells:
            yield cells if len(heading) == 2 else dict(zip(heading, cells, strict=False))


def _lines(raw: bytes) -> Iterator[object]:
    return (loads(line) for line in raw.split(b"\n") if line.strip())


_READERS: dict[str, Callable[[bytes], object]] = {
    ".csv": _table,
    ".tsv": partial(_table, delimiter="\t"),
    ".json": loads,
}


def _pair(row: object) -> tuple[str, str] | None:
    found: tuple[object, ...] | None
    if isinstance(row, Mapping):
        turns = ((row.get("contents"), "model"), (row.get("messages"), "assistant"))
        found = _named(row) or next(filter(None, (_last_turns(*each) for each in turns)), None)
    elif isinstance(row, Sequence) and not isinstance(row, str | bytes):
        found = tuple(row)
    else:
        found = _named({name: getattr(row, name, None) for name in (*_ASKED, *_ANSWERED)})
    match found:
        case (str() as asked, str() as answered):
            return asked, answered
    return None


def _named(row: Mapping[object, object]) -> tuple[object, object] | None:
    asked = next((row[name] for name in _ASKED if row.get(name) is not None), None)
    answered = next((row[name] for name in _ANSWERED if row.get(name) is not None), None)
    return None if asked is None or answered is None else (asked, answered)


def _last_turns(turns: object, role: str) -> tuple[object, object] | None:
    """Return the last turn that is not the model's, and what the model says after it."""
    if not isinstance(turns, Sequence) or len(turns) < 2 or not all(isinstance(turn, Mapping) for turn in turns):
        return None
    asked, answered = turns[-2:]
    return (_text(asked), _text(answered)) if answered.get("role") == role != asked.get("role") else None


def _text(turn: Mapping[str, object]) -> object:
    parts = turn.get("parts", turn.get("content"))
    if isinstance(parts, Sequence) and not isinstance(parts, str):
        return "".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))
    return parts
