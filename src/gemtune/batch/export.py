"""From a journal to results: read back, or written to a file in the order of the input."""

from __future__ import annotations

import os
import shutil
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

from gemtune.batch.index import Index, Places
from gemtune.batch.journal import read_records, sync_folder
from gemtune.batch.records import Record
from gemtune.batch.result import BatchResult
from gemtune.protocol.codec import loads

__all__ = ["export_journal", "read_journal", "write_lines"]


def read_journal(
    path: str | os.PathLike[str], *, order: Literal["completed", "input"] = "completed"
) -> Iterator[BatchResult]:
    """Yield the outcome of every item in a journal, once; it reads a file, so call it outside of an event loop.

    Args:
        path: The journal.
        order: As they were completed, or in the order of the input.

    Raises:
        JournalMismatch: The file is no journal.
        JournalCorrupt: Its middle was changed.
    """
    offsets = _outcomes(path, by_input=order == "input")
    with Path(path).open("rb") as file:
        for offset in offsets:
            yield _record_at(file, offset).to_result()


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
    """
    target = Path(output)
    offsets = _outcomes(path, by_input=order == "input", places=places)
    part = target.with_name(f"{target.name}.part")
    try:
        with open(part, "wb", opener=_private) as file:
            write_lines(path, offsets, file)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
    return len(offsets)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def write_lines(path: str | os.PathLike[str], offsets: array[int], to: IO[bytes]) -> None:
    """Write the records at some offsets of a journal as lines of the output."""
    with Path(path).open("rb") as file:
        to.writelines(_record_at(file, offset).to_line() for offset in offsets)


def _record_at(file: IO[bytes], offset: int) -> Record:
    file.seek(offset)
    record = Record.parse(file.readline())
    if record is None:
        raise ValueError(f"no record at byte {offset}")
    return record


def _outcomes(path: str | os.PathLike[str], *, by_input: bool, places: Places | None = None) -> array[int]:
    """The offset of every item's outcome: its first reply, or its last failure where there is no reply."""
    held = Index(Path(path).absolute().parent)
    failed: dict[int | bytes, tuple[int, int]] = {}
    stands, offsets = array("Q"), array("Q")
    try:
        for offset, record in read_records(path):
            key = None if record.key is None else loads(record.key)
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
