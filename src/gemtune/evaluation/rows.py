"""Held-out rows from whatever training data is read from: what is asked, and what the right answer is.

A row of training data is a question and its answer already. The last turn, which a model would learn, is what a good
model answers, and all turns before it are what it is asked. Rows without an answer are taken as well, because a judge
and many functions of your own need none: such a row gets an answer for as long as it is read, so that one and the same
reader decides what it means.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

import attrs

from gemtune import checks
from gemtune.batch.files import FileRows
from gemtune.batch.inputs import checked_key
from gemtune.datasets.dataset import DataSet, load
from gemtune.datasets.examples import as_mapping, is_empty
from gemtune.datasets.layouts import COLUMNS, turns_of
from gemtune.datasets.parting.likeness import text_of
from gemtune.datasets.parting.split import Split
from gemtune.datasets.problems import Problems
from gemtune.datasets.reading import ReadRow
from gemtune.errors import InvalidInput
from gemtune.metrics.values import HeldOutRow
from gemtune.remedy import Argument, Remedy

_STANDS_FOR_AN_ANSWER: Final = "\N{WHITE SQUARE}"
_KEYS: Final = ("key", "id")
_FRAMES: Final = ("systemInstruction", "tools", "toolConfig")
_OUTPUT: Final = "output"


@attrs.frozen(kw_only=True)
class HeldOutReading:
    """How held-out data is read.

    Args:
        limit: How many rows are taken, from the first one; None for all.
        key: The column with each row's key; None takes ``key`` or ``id`` if it tells all rows apart, else their number.
        input: The column with the input, if its name is unusual.
        output: The column with the right answer.
        heading: Whether the first line of a table names its columns.
        delimiter: What separates the columns.
    """

    limit: int | None = None
    key: str | None = None
    input: str | int | None = None
    output: str | int | None = None
    heading: bool | None = None
    delimiter: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.limit is not None:
            checks.whole("limit", self.limit)
        if self.key is not None:
            checks.string("key", self.key)

    @property
    def columns(self) -> Mapping[str, Any]:
        """What ``datasets.load`` is told."""
        return {name: getattr(self, name) for name in ("input", "output", "heading", "delimiter")}


def held_out_rows(data: object, reading: HeldOutReading | None = None) -> tuple[HeldOutRow, ...]:
    """Return the rows on which models are compared; blocks while it reads a file.

    Raises:
        InvalidInput: The data cannot be read, has no rows, a row is wrong, or two rows have the same key.
    """
    reading = reading or HeldOutReading()
    try:
        found = _rows_of(data, reading)
    except InvalidInput as error:
        raise checks.about(error, "training_data", "data") from None
    if not found:
        raise InvalidInput("data has no rows: there is nothing to ask", field="data")
    return tuple(_keyed(found, reading.key))


def _rows_of(data: object, reading: HeldOutReading) -> list[HeldOutRow]:
    if isinstance(data, Split):
        what = "data is a split: pass the part that was held out"
        raise InvalidInput(what, Remedy("pass split.validation"), field="data")
    rows: list[HeldOutRow | ReadRow] = [
        read if read.problem is not None else _row(read, answered=True)
        for read in islice(_read(data, reading), reading.limit)
    ]
    unanswered = [read for read in rows if isinstance(read, ReadRow)]
    if not unanswered:
        return [row for row in rows if isinstance(row, HeldOutRow)]
    mended = iter(_without_answers(unanswered, reading))
    return [next(mended) if isinstance(row, ReadRow) else row for row in rows]


def _read(data: object, reading: HeldOutReading) -> Iterator[ReadRow]:
    try:
        yield from load(data, **reading.columns).reader
    except InvalidInput:
        # A file of one column is no training data to anybody, and it may hold the prompts.
        prompts = _prompts(data, reading)
        if prompts is None:
            raise
        yield from prompts


def _prompts(data: object, reading: HeldOutReading) -> list[ReadRow] | None:
    if not isinstance(data, str | os.PathLike) or isinstance(data, DataSet):
        return None
    if Path(os.fsdecode(os.fspath(data))).suffix.lower() not in {".csv", ".tsv", ".txt"}:
        return None
    problem = InvalidInput("there is no output", field="training_data")
    try:
        values = list(FileRows(os.fsdecode(os.fspath(data)), delimiter=reading.delimiter).values())
    except InvalidInput:
        return None
    if any(isinstance(value, InvalidInput) for value in values):
        return None
    return [ReadRow(number, value, problem=problem) for number, value in enumerate(values, 1)]


def _without_answers(reads: Sequence[ReadRow], reading: HeldOutReading) -> list[HeldOutRow]:
    """Return rows that lack nothing but their answer.

    Raises:
        InvalidInput: Some are wrong in another way.
    """
    given = [_with_an_answer(read.row, reading) for read in reads]
    named = {name: value for name, value in reading.columns.items() if name in {"input", "output"}}
    problems, found = Problems(), []
    again = iter(load([row for row in given if row is not None], **named).reader) if any(given) else iter(())
    for read, row in zip(reads, given, strict=True):
        second = next(again) if row is not None else None
        if read.problem is not None and (second is None or second.problem is not None):
            problems.add(_placed(read, read.problem))
        elif second is not None:
            found.append(_row(attrs.evolve(second, number=read.number, row=read.row), answered=False))
    problems.refuse()
    return found


def _placed(read: ReadRow, problem: InvalidInput) -> InvalidInput:
    """Return what is wrong with a row; if it is a line that cannot be read, with its number."""
    if problem.row is not None or read.row is not None:
        return problem
    return InvalidInput(f"line {read.number}: {problem.message}", *problem.remedies, field="data", row=read.number)


def _with_an_answer(row: object, reading: HeldOutReading) -> object:
    """Return a row with something in the place of the answer that it lacks; None if it lacks something else."""
    if isinstance(row, str):
        return {"text_input": row, _OUTPUT: _STANDS_FOR_AN_ANSWER} if row.strip() else None
    given = as_mapping(row)
    if given is None:
        turns = turns_of(row)
        return None if turns is None else _chat({"contents" if "parts" in turns[0] else "messages": list(turns)})
    if isinstance(given.get("request"), Mapping):  # a line of a batch
        given = given["request"]
    named = {str(name): value for name, value in given.items()}
    if any(isinstance(named.get(name), list) for name in COLUMNS):
        return _chat(named)
    output = reading.output if isinstance(reading.output, str) else _OUTPUT
    filled = {name: value for name, value in named.items() if name not in _KEYS and not is_empty(value)}
    return {**filled, output: _STANDS_FOR_AN_ANSWER} if filled and output not in filled else None


def _chat(given: Mapping[str, Any]) -> Mapping[str, Any] | None:
    name = next(name for name in COLUMNS if isinstance(given.get(name), list))
    turn: dict[str, object]
    if name == "contents":
        turn = {"role": "model", "parts": [{"text": _STANDS_FOR_AN_ANSWER}]}
    elif name == "messages":
        turn = {"role": "assistant", "content": _STANDS_FOR_AN_ANSWER}
    else:
        turn = {"from": "gpt", "value": _STANDS_FOR_AN_ANSWER}
    return {**given, name: [*given[name], turn]} if given[name] else None


def _row(read: ReadRow, *, answered: bool) -> HeldOutRow:
    contents, expected = read.example["contents"], ""
    completions = read.example.get("completions")
    if completions:
        best = max(completions, key=lambda each: each.get("score") or 0)
        expected = text_of({"contents": [best["completion"]]})
    else:
        *contents, last = contents
        expected = text_of({"contents": [last]})
    if not contents:
        what = f"row {read.number} asks nothing: its only turn is the answer"
        raise InvalidInput(what, field="data", row=read.number)
    request = {"contents": contents, **{name: read.example[name] for name in _FRAMES if name in read.example}}
    return HeldOutRow(
        key=read.number,
        number=read.number,
        request=request,
        question=text_of({"contents": contents[-1:]}),
        expected=expected if answered else "",
        row=read.row,
    )


def _keyed(rows: Sequence[HeldOutRow], named: str | None) -> Iterator[HeldOutRow]:
    """Yield rows under the keys of a column, if there is one that tells them apart."""
    for name in _KEYS if named is None else (named,):
        keys = [_key_in(row.row, name) for row in rows]
        if named is not None:
            _check_keys(rows, keys, named)
        sound = [key for key in keys if key is not None]
        if len({str(key) for key in sound}) == len(rows):
            for row, key in zip(rows, sound, strict=True):
                yield attrs.evolve(row, key=key)
            return
    yield from rows


def _key_in(row: object, name: str) -> str | int | None:
    given = as_mapping(row)
    key = given.get(name) if given is not None else None
    with suppress(InvalidInput):  # no key, or one that a batch does not take
        return None if key == "" else checked_key(key)
    return None


def _check_keys(rows: Sequence[HeldOutRow], keys: Sequence[str | int | None], named: str) -> None:
    seen: dict[str, int] = {}
    for row, key in zip(rows, keys, strict=True):
        if key is None:
            what = f"key: row {row.number:,} has no {named!r} that can be one: a string or an integer of 1,024 bits"
            raise InvalidInput(what, field="key", row=row.number)
        first = seen.setdefault(str(key), row.number)
        if first != row.number:
            what = f"key: row {row.number:,} has the {named!r} of row {first:,}, {key!r}: give each row its own"
            raise InvalidInput(what, Remedy("name another column with ", Argument("key")), field="key", row=row.number)
