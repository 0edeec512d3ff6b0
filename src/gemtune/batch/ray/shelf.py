"""What earlier runs have left in a folder of journals, found by what was asked, wherever the boundaries of blocks were.

A block is rarely the same twice: Ray Data bundles what comes in the order in which it comes, and a cluster of another
size reads in other pieces. So a row is looked up by itself. The index is three sorted arrays, 20 bytes for each answer
of an earlier run; a dict would take ten times that. Each actor reads it once, before its first block.

::

    ids      64 bits of what was asked, and of the row's own key if there is one
    files    in which journal
    places   and where in it
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from gemtune.batch.acceptance import Acceptance, ending_of
from gemtune.batch.journal.lines import Header, Record
from gemtune.batch.journal.reading import (
    OTHER_JOURNAL,
    UNREADABLE,
    not_an_outcome,
    read_header,
    read_lines,
    reading,
    unless_cancelled,
)
from gemtune.batch.keys import Key
from gemtune.batch.result import BatchResult
from gemtune.errors import JournalMismatch


def identity(digest: int, key: Key | None) -> int:
    """Return 64 bits for a row: of its content, and of its key if it has one, in which type it may be."""
    if key is None:
        return digest
    text = f"{digest:016x} {type(key).__name__} {key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


@attrs.define(eq=False)
class AnswerShelf:
    """The answers of earlier runs in a folder of journals. Everything here blocks.

    Args:
        folder: The folder.
        header: What a journal of this model and configuration begins with.
        keyed: Whether rows have keys; without, a row is known by its content alone.
        acceptance: Which replies are answers.
        keep_failed: Whether items that failed count.
        paths: The journals that were there when it was made.
    """

    folder: Path
    header: Header
    keyed: bool
    acceptance: Acceptance
    keep_failed: bool = False
    paths: list[Path] = attrs.field(init=False)
    _ids: Any = attrs.field(default=None, init=False, repr=False)
    _files: Any = attrs.field(default=None, init=False, repr=False)
    _places: Any = attrs.field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        # Those that are there now. What this run writes, the journal of its own block has.
        self.paths = sorted(self.folder.glob("??/*.jsonl"))

    def __len__(self) -> int:
        return 0 if self._ids is None else len(self._ids)

    def find(self, ids: Sequence[int | None]) -> dict[int, BatchResult]:
        """Return the results of rows that an earlier run has answered, by the rows' places.

        Rows that ask the same are given an answer each, as far as there are several.

        Args:
            ids: What is looked for; None finds nothing.

        Raises:
            JournalMismatch: A journal belongs to another model or configuration.
            JournalError: A journal cannot be read.
        """
        if self.paths and self._ids is None:
            self._load()
        if not len(self):
            return {}
        found: dict[int, tuple[int, int]] = {}
        met: dict[int, int] = {}
        for place, one in enumerate(ids):
            if one is None:
                continue
            at = int(np.searchsorted(self._ids, np.uint64(one))) + met.get(one, 0)
            if at < len(self) and int(self._ids[at]) == one:
                met[one] = met.get(one, 0) + 1
                found[place] = (int(self._files[at]), int(self._places[at]))
        return self._read(found)

    def _read(self, found: dict[int, tuple[int, int]]) -> dict[int, BatchResult]:
        """Read lines, journal by journal and front to back."""
        results: dict[int, BatchResult] = {}
        by_file: dict[int, list[tuple[int, int]]] = {}
        for place, (number, at) in found.items():
            by_file.setdefault(number, []).append((at, place))
        for number, wanted in by_file.items():
            path = self.paths[number]
            with reading(path) as file:
                for at, place in sorted(wanted):
                    file.seek(at)
                    record = Record.parse(file.readline())
                    result = None if record is None else self._result(record, path, at)
                    if result is not None:
                        results[place] = attrs.evolve(result, replayed=True, latency=0.0)
        return results

    def _result(self, record: Record, path: Path, at: int) -> BatchResult | None:
        try:
            result = record.to_result()
        except UNREADABLE:
            raise not_an_outcome(path, at) from None
        if result.response is None:
            return result if self.keep_failed else None
        return result if self.acceptance.refusal(result.response, ending_of(result.response)) is None else None

    def _load(self) -> None:
        rows = np.fromiter(self._lines(), dtype=[("id", np.uint64), ("file", np.uint32), ("at", np.uint64)])
        order = np.argsort(rows["id"], kind="stable")
        self._ids, self._files, self._places = rows["id"][order], rows["file"][order], rows["at"][order]

    def _lines(self) -> Iterator[tuple[int, int, int]]:
        for number, path in enumerate(self.paths):
            unless_cancelled()
            with reading(path) as file:
                first = file.readline()
                if not first.endswith(b"\n"):
                    continue  # a crash has torn it before anything was in it
                different = self.header.differs_from(read_header(first, path))
                if different:
                    raise JournalMismatch(f"the journal {path} {different}", *OTHER_JOURNAL, path=str(path))
                for at, _, record in read_lines(file, len(first), path):
                    if isinstance(record, Record) and (record.ok or self.keep_failed):
                        yield identity(record.digest, record.own_key if self.keyed else None), number, at
