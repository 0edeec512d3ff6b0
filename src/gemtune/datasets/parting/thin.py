"""Fewer rows: without those that come again, or a random few."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

import attrs

from gemtune import checks
from gemtune.datasets.dataset import DataSet, load
from gemtune.datasets.parting.likeness import COMPARED, Likeness, digest, text_of
from gemtune.datasets.reading import ReadRow
from gemtune.datasets.report import SaidInLines
from gemtune.errors import InvalidInput


@attrs.frozen
class _AllBut:
    """The numbers of all rows but some."""

    numbers: frozenset[int]

    def __contains__(self, number: object) -> bool:
        return number not in self.numbers


@attrs.frozen(kw_only=True, eq=False)
class Deduplicated(SaidInLines):
    """A set of training data without its repeats.

    Args:
        data: What is left, the first of each.
        rows: How many rows that is.
        repeats: The rows that were left out, each with the row that it repeats.
        wrong: The rows that were left out because they are wrong.
        compared: Whether all rows were compared with each other; otherwise the first 200,000.
    """

    data: DataSet
    rows: int
    repeats: dict[int, int]
    wrong: int
    compared: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return its figures as plain JSON."""
        repeats = [{"row": row, "repeats": first} for row, first in self.repeats.items()]
        return {"rows": self.rows, "repeats": repeats, "wrong": self.wrong, "compared": self.compared}

    def __str__(self) -> str:
        left = "1 row is left" if self.rows == 1 else f"{self.rows:,} rows are left"
        said = f"{left}; {len(self.repeats):,} repeat an earlier one"
        if self.repeats:
            some = [f"{row:,} (as {first:,})" for row, first in list(self.repeats.items())[:5]]
            said += f": {', '.join(some)}{'' if len(self.repeats) <= 5 else ' and more'}"
        if self.wrong:
            said += f"; {self.wrong:,} are wrong and left out"
        return said if self.compared else f"{said}; only the first rows were compared with each other"


def dedupe(source: object, *, near: float | None = None, **given: Any) -> Deduplicated:
    """Return training data without the rows that come again; of each, the first is kept::

        data = gemtune.datasets.dedupe("train.jsonl", near=0.9).data

    Args:
        source: The training data, whatever ``gemtune.datasets.load`` takes.
        near: None leaves out what is the same to the letter. A number between 0 and 1 also leaves out rows whose runs
            of words agree so far, without regard to case and punctuation: 0.9 is strict, 0.7 is bold.
        given: How to read the source, as for ``load``.

    Raises:
        InvalidInput: The source cannot be read, or an argument is wrong.
    """
    if near is not None:
        checks.fraction("near", near)
    data = load(source, **given)
    alike, same = Likeness(near), dict[int, int]()
    repeats: dict[int, int] = {}
    wrong: set[int] = set()
    rows = 0
    for read in data.reader:
        if read.problem is not None:
            wrong.add(read.number)
            continue
        first = _first(read, same) if near is None else alike.first_like(text_of(read.example), read.number)
        if first is None:
            rows += 1
        else:
            repeats[read.number] = first
    left = _AllBut(frozenset(wrong.union(repeats)))
    full = alike.full or len(same) >= COMPARED
    return Deduplicated(data=data.only(left), rows=rows, repeats=repeats, wrong=len(wrong), compared=not full)


def _first(read: ReadRow, same: dict[int, int]) -> int | None:
    key = digest(read.line)
    if len(same) >= COMPARED and key not in same:
        return None
    first = same.setdefault(key, read.number)
    return None if first == read.number else first


def sample(source: object, size: float, *, seed: int | str = 0, **given: Any) -> DataSet:
    """Return a random sample of training data, in its order::

        few = gemtune.datasets.sample("train.jsonl", 100)

    The same seed takes the same rows, and a larger sample holds the smaller one. Rows that are wrong are not taken.

    Args:
        source: The training data, whatever ``gemtune.datasets.load`` takes.
        size: How many rows, or as a float up to 1.0 the share of all rows. Fewer rows than that are all taken.
        seed: Another seed takes other rows.
        given: How to read the source, as for ``load``.

    Raises:
        InvalidInput: The source cannot be read, or an argument is wrong.
    """
    if isinstance(size, bool) or not isinstance(size, int | float) or size <= 0 or (size > 1 and size != int(size)):
        raise InvalidInput(f"size is a number of rows, or a share between 0 and 1, not {size!r}", field="size")
    data = load(source, **given)
    drawn = ((digest(b"%d %s" % (read.number, read.line), str(seed)), read.number) for read in right(data))
    if size < 1 or (size == 1 and isinstance(size, float)):
        return data.only(frozenset(number for key, number in drawn if key < size * 2**64))
    return data.only(frozenset(number for _, number in heapq.nsmallest(int(size), drawn)))


def right(data: DataSet) -> Iterator[ReadRow]:
    """Return the rows of a set that are right, one by one."""
    return (read for read in data.reader if read.problem is None)
