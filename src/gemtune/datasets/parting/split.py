"""A split into training and validation data that stays as it is when rows are added.

A row's side follows from a hash of its question and the seed, and of nothing else: not of its place, not of how many
rows there are, not of the run. Rows that are alike stand on one side, because validation on a row that was learned in
other words measures nothing. To keep that stable as well, a row follows the first row that it is like, which was there
before it; so an added row can join a side, and never move anybody from one side to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from gemtune import checks
from gemtune.datasets.dataset import DataSet, load
from gemtune.datasets.examples import as_mapping
from gemtune.datasets.parting.likeness import Likeness, digest, levelled, question, question_text
from gemtune.datasets.reading import ReadRow
from gemtune.datasets.report import SaidInLines
from gemtune.errors import InvalidInput

_TRAIN, _VALIDATION, _WRONG = range(3)
_ALL: Final = 2**64


@attrs.frozen(kw_only=True, eq=False)
class Split(SaidInLines):
    """A set of training data in two parts.

    Args:
        train: The rows to train on.
        validation: The rows to measure the loss on.
        rows: How many rows are in each part, in that order.
        joined: The rows that stand where they stand because they are like an earlier one.
        wrong: The rows that are in neither part, because they are wrong.
        compared: Whether all rows were compared with each other; otherwise the first 200,000.
    """

    train: DataSet
    validation: DataSet
    rows: tuple[int, int]
    joined: int
    wrong: int
    compared: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return its figures as plain JSON."""
        names = ("joined", "wrong", "compared")
        return {"train": self.rows[0], "validation": self.rows[1], **{name: getattr(self, name) for name in names}}

    def __str__(self) -> str:
        share = self.rows[1] / max(1, sum(self.rows))
        rows = f"{self.rows[0]:,} row{'' if self.rows[0] == 1 else 's'}"
        said = f"{rows} to train on, {self.rows[1]:,} ({share:.1%}) for validation"
        if self.joined:
            said += f"; {self.joined:,} stand with a row that they are like"
        if self.wrong:
            said += f"; {self.wrong:,} are wrong and left out"
        return said if self.compared else f"{said}; only the first rows were compared with each other"


@attrs.frozen
class _Sides:
    """The numbers of the rows on one side, one byte for each row."""

    sides: bytearray
    side: int

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number < len(self.sides) and self.sides[number] == self.side


def split(
    source: object,
    *,
    validation: float = 0.1,
    seed: int | str = 0,
    group_by: str | Callable[[Mapping[str, Any]], object] | None = None,
    near: float | None = 0.8,
    **given: Any,
) -> Split:
    """Split training data into a part to train on and a part to validate with.

    The same seed gives the same split on every machine, and rows that are added later move no other row. Rows that are
    alike stand on the same side, so that the validation loss does not measure what was learned by heart::

        parts = gemtune.datasets.split("train.jsonl", validation=0.1, seed=7)
        job = await client.tune(model, parts.train, validation_data=parts.validation)

    Args:
        source: The training data, whatever ``gemtune.datasets.load`` takes.
        validation: The share of rows for validation, between 0 and 1. A hash decides for each row, so that it is met on
            average: of 1,000 rows with 0.1, between 80 and 120.
        seed: Another seed gives another split.
        group_by: The column whose rows of one value stand on one side, such as ``customer``; or a function of a row.
            Likeness does not count then.
        near: Rows whose runs of words agree so far count as alike, between 0 and 1. None: only those that are the same
            but for case, punctuation, digits and spaces.
        given: How to read the source, as for ``load``.

    Raises:
        InvalidInput: The source cannot be read, an argument is wrong, or a row has no such column.
    """
    share = checks.fraction("validation", validation)
    if near is not None:
        checks.fraction("near", near)
    data = load(source, **given)
    splitting = _Splitting(share, str(seed), group_by, Likeness(near))
    for read in data.reader:
        splitting.add(read)
    sides = splitting.sides
    return Split(
        train=data.only(_Sides(sides, _TRAIN)),
        validation=data.only(_Sides(sides, _VALIDATION)),
        rows=(splitting.counts[_TRAIN], splitting.counts[_VALIDATION]),
        joined=splitting.joined,
        wrong=splitting.counts[_WRONG],
        compared=not splitting.alike.full,
    )


@attrs.define(eq=False)
class _Splitting:
    share: float
    seed: str
    group_by: str | Callable[[Mapping[str, Any]], object] | None
    alike: Likeness
    sides: bytearray = attrs.field(factory=lambda: bytearray([_WRONG]))
    counts: list[int] = attrs.field(factory=lambda: [0, 0, 0])
    joined: int = 0

    def add(self, read: ReadRow) -> None:
        """Give a row its side."""
        side = _WRONG if read.problem is not None else self._side(read)
        self.counts[side] += 1
        if read.number >= len(self.sides):  # lines between the rows may be blank
            self.sides.extend([_WRONG] * (read.number + 1 - len(self.sides)))
        self.sides[read.number] = side

    def _side(self, read: ReadRow) -> int:
        if self.group_by is not None:
            return self._drawn(repr(self._group(read)).encode("utf-8", "replace"))
        text = question_text(read.example)
        first = self.alike.first_like(text, read.number)
        if first is not None:
            self.joined += 1
            return self.sides[first]
        words = " ".join(levelled(text)).encode("utf-8", "replace")
        return self._drawn(words or question(read.example))

    def _drawn(self, key: bytes) -> int:
        return _VALIDATION if digest(key, self.seed) < self.share * _ALL else _TRAIN

    def _group(self, read: ReadRow) -> object:
        row = as_mapping(read.row)
        if callable(self.group_by):
            return self.group_by(read.example if row is None else row)
        if row is None or self.group_by not in row:
            raise InvalidInput(f"row {read.number} has no column {self.group_by!r}", field="group_by", row=read.number)
        return row[self.group_by]
