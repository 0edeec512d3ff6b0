"""From a journal to results: read back, or written to a file in the order of the input.

A journal is written in the order of completion, and may hold several outcomes of one item: failures, and then the
answer that a later run got. Both are settled in an unnamed database, which keeps the offset of one line for each item,
so that a journal of any size is sorted in the memory of a small one, and each reply is read from the file once.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Literal

import attrs

from gemtune import checks
from gemtune.batch.journal.lines import Record
from gemtune.batch.journal.reading import AT_ONCE, UNREADABLE, not_an_outcome, read_records, reading, unless_cancelled
from gemtune.batch.keys import Keys, name_of, no_room, unnamed_database
from gemtune.batch.result import BatchResult
from gemtune.errors import GemtuneError, InvalidInput, JournalError
from gemtune.wholefile import whole_file

_TABLE = "create table outcomes (name integer primary key, place integer, at integer, ok integer)"
# An item that the journal holds is asked again only if what it holds is not wanted.
_LAST_OUTCOME = (
    "insert into outcomes (name, place, at, ok) values (?, ?, ?, ?) "
    "on conflict (name) do update set place = excluded.place, at = excluded.at, ok = excluded.ok"
)

# Two items of a journal may have had one place in the inputs of their times: the order of the file decides then.
_BY_INPUT = "select at from outcomes order by place, at"
_BY_COMPLETION = "select at from outcomes order by at"


def read_journal(
    path: str | os.PathLike[str],
    *,
    order: Literal["completed", "input"] = "completed",
    places: Keys | None = None,
) -> Iterator[BatchResult]:
    """Yield the outcome of every item in a journal, once; it reads a file, so call it outside of an event loop.

    Args:
        path: The journal.
        order: As they were completed, or in the order of the input.
        places: The input whose items are read, at its own places; without it, all that the journal holds.

    Raises:
        InvalidInput: ``order`` is not one of the two words, or ``path`` cannot be a path.
        JournalMismatch: The file is not a journal, or a newer gemtune wrote it.
        JournalCorrupt: Its middle was changed.
        JournalError: It cannot be read.
    """
    checks.one_of("order", order, "completed", "input")
    journal = Path(checks.file_path("path", path))
    for offset, record in _records(journal, order, places):
        yield _result(journal, offset, record, _place(record, places))


def _result(journal: Path, offset: int, record: Record, place: int | None) -> BatchResult:
    try:
        result = record.to_result()
    except UNREADABLE:
        raise not_an_outcome(journal, offset) from None
    return result if place is None or place == result.index else attrs.evolve(result, index=place)


def export_journal(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    order: Literal["completed", "input"] = "input",
    places: Keys | None = None,
) -> int:
    """Write the outcome of every item in a journal to a JSONL file, which appears whole or not at all.

    Each line is ``{"key", "response"}`` or ``{"key", "error": {"code", "message", "status"}}``, the form of the
    service's own batch results. The key of an item without one is its index.

    Args:
        path: The journal.
        output: The file to write or to replace.
        order: As they were completed, or in the order of the input.
        places: The input whose items are written, at its own places; without it, all that the journal holds.

    Returns:
        The number of lines.

    Raises:
        InvalidInput: The output cannot be a file, or is the journal, or ``order`` is not one of the two words.
        JournalError: The journal cannot be read, as in ``read_journal``.
        GemtuneError: The output could not be written.
    """
    checks.one_of("order", order, "completed", "input")
    journal, target = Path(checks.file_path("path", path)), Path(checks.file_path("output", output))
    with _writing(target):
        _check(target, journal)
        with whole_file(target) as file:
            count = write_lines(_lines(journal, order, places), file)
            unless_cancelled()
    return count


def write_lines(lines: Iterator[bytes], to: IO[bytes]) -> int:
    """Write lines, and return how many they were."""
    count = 0
    for count, line in enumerate(lines, 1):  # noqa: B007 - the last count is the result
        to.write(line)
    return count


def _lines(journal: Path, order: str, places: Keys | None) -> Iterator[bytes]:
    for offset, record in _records(journal, order, places):
        try:
            yield record.to_line()
        except UNREADABLE:
            raise not_an_outcome(journal, offset) from None


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        again = "nothing is lost; make room or choose another place, and try again"
        raise GemtuneError(f"{target} could not be written: {error.strerror}; {again}") from None


def _check(target: Path, journal: Path) -> None:
    """Refuse an output that cannot be a file, or that is the journal."""
    if target.is_dir():
        raise InvalidInput(f"{target} is a directory: name a file in it as the output", field="output")
    if not target.parent.is_dir():
        raise InvalidInput(f"there is no folder {target.parent}: make it, or name another output", field="output")
    if target.exists() and not target.is_file():
        raise InvalidInput(f"{target} is not a regular file: name another output", field="output")
    if target.exists() and journal.exists() and target.samefile(journal):
        raise InvalidInput(f"{target} is the journal: name another output", field="output")


def _records(path: Path, order: str, places: Keys | None) -> Iterator[tuple[int, Record]]:
    """Yield the outcome of every item in an order, with the offset of its line."""
    with reading(path) as file:
        for number, offset in enumerate(_offsets(path, order, places)):
            if number % AT_ONCE == 0:  # a Ctrl-C must not wait for a million lines
                unless_cancelled()
            file.seek(offset)  # the journal only grows, so that an offset stays what it was
            record = Record.parse(file.readline())
            if record is None:
                what = f"the journal {path} was replaced while it was read: read it again"
                raise JournalError(what, path=os.fspath(path))
            yield offset, record


def _offsets(path: Path, order: str, places: Keys | None) -> Iterator[int]:
    """Yield the offset of every item's outcome: its last one."""
    question = _BY_INPUT if order == "input" else _BY_COMPLETION
    with closing(unnamed_database()) as database:
        try:
            database.execute(_TABLE)
            database.executemany(_LAST_OUTCOME, _outcomes(path, places))
            for (at,) in database.execute(question):
                yield at
        except sqlite3.Error as error:
            raise no_room(path, error) from None


def _outcomes(path: Path, places: Keys | None) -> Iterator[tuple[int, int, int, bool]]:
    for offset, record in read_records(path):
        place = _place(record, places)
        if place is not None:
            yield name_of(record.index, record.own_key), place, offset, record.ok


def _place(record: Record, places: Keys | None) -> int | None:
    """Return where an item stands in the input, or None if it is not part of it."""
    if places is None:
        return record.index
    known = places.known(record.index, record.own_key)
    return None if known is None else known.place
