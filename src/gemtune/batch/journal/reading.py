"""A journal read from front to back. Every door comes through here, so that all of them refuse the same things.

What is not understood is never skipped. A line whose checksum is right and whose form is unknown was written by a newer
gemtune and holds an answer that somebody paid for: an export without it would look whole, and a run that passed over
it would pay again. So such a journal is refused, and nothing in it is changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import anyio.from_thread

from gemtune.batch.journal.lines import VERSION, Header, Record, checked, sound_lines
from gemtune.batch.journal.sent import PART, Line, PartNote, parse_line
from gemtune.errors import JournalCorrupt, JournalError, JournalMismatch, MalformedResponse
from gemtune.remedy import Argument, Remedy

OTHER_JOURNAL: Final = (Remedy("use what it was begun with"), Remedy("name another ", Argument("journal")))
AT_ONCE: Final = 64
"""Lines that are read before a thread looks whether anybody still waits for them."""
UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError, MalformedResponse)
"""What reading a line may raise that has the right form and the right checksum, and was not written by gemtune."""
_NEWER: Final = "it was written by a newer version of gemtune, so update gemtune; nothing was changed in it"


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a journal to read it.

    Raises:
        JournalError: It cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            yield file
    except OSError as error:
        raise JournalError(f"the journal {path} cannot be read: {error.strerror}", path=os.fspath(path)) from None


def read_header(line: bytes, path: str | os.PathLike[str]) -> Header:
    """Return what the first line of a journal says.

    Raises:
        JournalMismatch: It is not the first line of a journal, or of one in a newer format.
    """
    header = Header.parse(line)
    if header is None:
        what = f"the journal {path} is not the journal of a batch; nothing was changed in it"
        raise JournalMismatch(what, *OTHER_JOURNAL, path=os.fspath(path))
    if header.version != VERSION:
        what = f"has format {header.version}, and this version of gemtune knows format {VERSION}"
        raise JournalMismatch(f"the journal {path} {what}: {_NEWER}", path=os.fspath(path))
    return header


def check_header(wanted: Header, line: bytes, path: str | os.PathLike[str]) -> None:
    """Refuse a journal whose first line is not that of this batch.

    Raises:
        JournalMismatch: It belongs to another model or configuration, or is not a journal that this version knows.
    """
    different = wanted.differs_from(read_header(line, path))
    if different:
        raise JournalMismatch(f"the journal {path} {different}", *OTHER_JOURNAL, path=os.fspath(path))


def read_lines(file: BinaryIO, offset: int, path: str | os.PathLike[str]) -> Iterator[tuple[int, int, Line]]:
    """Yield the offset, the length and the meaning of every line after the first, up to a tail that a crash has torn.

    Raises:
        JournalMismatch: A line is whole, and not known.
        JournalCorrupt: The middle was changed.
    """
    try:
        for at, line in sound_lines(file, offset):
            found = parse_line(line)
            if found is None:
                what = f"has a line at byte {at} that this version of gemtune does not know"
                raise JournalMismatch(f"the journal {path} {what}: {_NEWER}", path=os.fspath(path))
            yield at, len(line), found
    except JournalCorrupt as damage:
        named = JournalCorrupt(f"the journal {path}: {damage.message}", path=os.fspath(path))
        named.offset = damage.offset
        raise named from None


def has_open_parts(path: str | os.PathLike[str]) -> bool:
    """Return whether the service may be working on what a journal has sent; blocks, and refuses nothing."""
    states: dict[str, str] = {}
    with suppress(OSError), Path(path).open("rb") as file:
        for number, line in enumerate(file):
            if number % AT_ONCE == 0:
                unless_cancelled()
            note = parse_line(line) if line.startswith(PART) and checked(line) else None
            if isinstance(note, PartNote):
                states[note.mark] = note.state
    return any(state not in {"ended", "void"} for state in states.values())


def not_an_outcome(path: str | os.PathLike[str], offset: int) -> JournalCorrupt:
    """Return the error for a line that is whole and known, and in which there is no outcome of an item."""
    what = f"the journal {path}: the line at byte {offset} holds no outcome of an item; gemtune did not write it"
    error = JournalCorrupt(what, path=os.fspath(path))
    error.offset = offset
    return error


def unless_cancelled() -> None:
    """Raise the cancellation of whoever waits for this thread, if anybody does; nothing is half done here."""
    with suppress(RuntimeError):  # in a thread of its own, or in the main thread of a command
        anyio.from_thread.check_cancelled()


def read_records(path: str | os.PathLike[str]) -> Iterator[tuple[int, Record]]:
    """Yield every record of a journal with its offset, including of one that is being written; blocks.

    Raises:
        JournalMismatch: The file is not a journal, or a newer gemtune wrote it.
        JournalCorrupt: Its middle was changed.
        JournalError: It cannot be read.
    """
    with reading(path) as file:
        first = file.readline()
        read_header(first, path)
        for number, (at, _, found) in enumerate(read_lines(file, len(first), path)):
            if number % AT_ONCE == 0:
                unless_cancelled()
            if isinstance(found, Record):  # what was only sent is no outcome
                yield at, found
