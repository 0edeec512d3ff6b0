"""From a journal to results: read back, or written to a file in the order of the input."""

from __future__ import annotations

import os
import shutil
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

import attrs

from gemtune.batch.journal.file import read_records, reading, sync_folder
from gemtune.batch.journal.index import Index, Places
from gemtune.batch.journal.lines import Record
from gemtune.batch.result import BatchResult
from gemtune.errors import GemtuneError, InvalidInput, JournalError
from gemtune.protocol.codec import loads


def read_journal(
    path: str | os.PathLike[str],
    *,
    order: Literal["completed", "input"] = "completed",
    places: Places | None = None,
) -> Iterator[BatchResult]:
    """Yield the outcome of every item in a journal, once; it reads a file, so call it outside of an event loop.

    Args:
        path: The journal.
        order: As they were completed, or in the order of the input.
        places: The input whose items are read, at its own places; without it, all that the journal holds.

    Raises:
        InvalidInput: The order is none.
        JournalMismatch: The file is no journal.
        JournalCorrupt: Its middle was changed.
        JournalError: It cannot be read.
    """
    for record in _records(path, _outcomes(path, by_input=_by_input(order), places=places)):
        result = record.to_result()
        place = result.index if places is None else places.of(record.index, _key(record))
        yield result if place is None or place == result.index else attrs.evolve(result, index=place)


def export_journal(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    order: Literal["completed", "input"] = "input",
    places: Places | None = None,
) -> int:
    """Write the outcome of every item in a journal to a JSONL file, which appears whole or not at all.

    Each line is ``{"key", "response"}`` or ``{"key", "error": {"code", "message", "status"}}``, the form of the
    service's own batch results; the key of an item without one is its index.

    Args:
        path: The journal.
        output: The file to write or to replace.
        order: As they were completed, or in the order of the input.
        places: The input whose items are written, at its own places; without it, all that the journal holds.

    Returns:
        The number of lines.

    Raises:
        InvalidInput: The output cannot be a file, or is the journal, or the order is none.
        JournalError: The journal cannot be read, as in ``read_journal``.
        GemtuneError: The output could not be written.
    """
    target, by_input = Path(output), _by_input(order)
    with _writing(target):
        part = _checked(target, Path(path))
        offsets = _outcomes(path, by_input=by_input, places=places)
        try:
            with open(part, "wb", opener=_private) as file:
                write_lines(path, offsets, file)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, part)
            part.replace(target)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        sync_folder(target.parent)
    return len(offsets)


def _by_input(order: object) -> bool:
    if order not in ("completed", "input"):
        raise InvalidInput(f"order is 'completed' or 'input', not {order!r}", field="order")
    return order == "input"


def _key(record: Record) -> str | None:
    return None if record.key is None else loads(record.key)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        again = "nothing is lost: mend that and export again"
        raise GemtuneError(f"{target} could not be written: {error.strerror}; {again}") from None


def _checked(target: Path, journal: Path) -> Path:
    """Return where the output is written until it is whole."""
    if target.is_dir():
        raise InvalidInput(f"{target} is a directory: name a file in it as the output", field="output")
    if not target.parent.is_dir():
        raise InvalidInput(f"there is no folder {target.parent}: make it, or name another output", field="output")
    if target.exists() and not target.is_file():
        raise InvalidInput(f"{target} is no regular file: name another output", field="output")
    part = target.with_name(f"{target.name}.part")
    for path, what in ((target, f"{target} is"), (part, f"{target} is written by way of {part}, and that is")):
        if path.exists() and journal.exists() and path.samefile(journal):
            raise InvalidInput(f"{what} the journal: name another output", field="output")
    return part


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def write_lines(path: str | os.PathLike[str], offsets: array[int], to: IO[bytes]) -> None:
    """Write the records at some offsets of a journal as lines of the output."""
    to.writelines(record.to_line() for record in _records(path, offsets))


def _records(path: str | os.PathLike[str], offsets: array[int]) -> Iterator[Record]:
    with reading(path) as file:
        for offset in offsets:
            file.seek(offset)
            record = Record.parse(file.readline())
            if record is None:
                raise JournalError(f"the journal {path} was replaced while it was read: read it again", path=str(path))
            yield record


def _outcomes(path: str | os.PathLike[str], *, by_input: bool, places: Places | None = None) -> array[int]:
    """The offset of every item's outcome: its first reply, or its last failure where there is no reply."""
    held = Index(Path(path).absolute().parent)
    failed: dict[int | bytes, tuple[int, int]] = {}
    stands, offsets = array("Q"), array("Q")
    try:
        for offset, record in read_records(path):
            key = _key(record)
            place = record.index if places is None else places.of(record.index, key)
            if place is None or held.has(record.index, key):
                continue
            name = record.index if record.key is None else record.key
            if record.ok:
                held.add(record.index, key, record.digest)
                failed.pop(name, None)
                stands.append(place)
                offsets.append(offset)
            else:
                failed[name] = (place, offset)
    except OSError as error:
        raise JournalError(
            f"the journal {path} cannot be put in order, as its index, an unnamed file in {held.folder}, failed: "
            f"{error.strerror}; make room there and try again",
            path=str(path),
        ) from None
    finally:
        held.close()
    for place, offset in failed.values():
        stands.append(place)
        offsets.append(offset)
    if by_input:
        order = sorted(range(len(offsets)), key=stands.__getitem__)
    else:
        order = sorted(range(len(offsets)), key=offsets.__getitem__)
    return array("Q", (offsets[at] for at in order))
