"""A split into training and validation data that stays as it is when rows are added.

A row's side follows from a hash of its question and the seed, and of nothing else: not of its place, not of how many
rows there are, not of the run. Rows that are alike stand on one side, because validation on a row that was learned in
other words measures nothing. To keep that stable as well, a row follows the rows that it is like and that were there
before it; so an added row can join a side, and never move anybody from one side to the other. A row that is like rows
of both sides would be known to one of them on whichever side it stood, so that it stands on none.

With groups, the side follows from the group alone. A row without one follows the rule for rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from gemtune import checks
from gemtune.datasets.dataset import DataSet, load
from gemtune.datasets.examples import as_mapping
from gemtune.datasets.parting.groups import group_key
from gemtune.datasets.parting.likeness import Likeness, digest, levelled, question, question_text
from gemtune.datasets.reading import ReadRow
from gemtune.datasets.report import SaidInLines
from gemtune.errors import InvalidInput

_log = logging.getLogger("gemtune.datasets")
_TRAIN, _VALIDATION, _WRONG, _BETWEEN = range(4)
_NAMES: Final = ("left to train on", "for validation")
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
        between: The rows that are in neither part, because they are like rows of both.
        compared: Whether all rows were compared with each other; otherwise the first 200,000.
        share: The share of rows for validation that was asked for.
    """

    train: DataSet
    validation: DataSet
    rows: tuple[int, int]
    joined: int
    wrong: int
    between: int = 0
    compared: bool = True
    share: float = 0.0

    @property
    def empty(self) -> str:
        """What to do about a part that has no row although it was to have some, in words; empty otherwise."""
        if 0 not in self.rows or not any(self.rows) or self.share in {0.0, 1.0}:
            return ""
        name = _NAMES[self.rows.index(0)]
        return f"no row is {name}: with so few rows chance decides, so give another share, another seed or more rows"

    def to_dict(self) -> dict[str, Any]:
        """Return its figures as plain JSON."""
        names = ("joined", "wrong", "between", "compared")
        return {"train": self.rows[0], "validation": self.rows[1], **{name: getattr(self, name) for name in names}}

    def __str__(self) -> str:
        share = self.rows[1] / max(1, sum(self.rows))
        rows = f"{self.rows[0]:,} row{'' if self.rows[0] == 1 else 's'}"
        said = f"{rows} to train on, {self.rows[1]:,} ({share:.1%}) for validation"
        if self.joined:
            said += f"; {self.joined:,} stand with a row that they are like"
        if self.between:
            said += f"; {self.between:,} are like rows of both parts and left out"
        if self.wrong:
            said += f"; {self.wrong:,} are wrong and left out"
        said = said if self.compared else f"{said}; only the first rows were compared with each other"
        return f"{said}\n{self.empty}" if self.empty else said


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
    alike stand on the same side, so that validation does not measure what was learned by heart; a row that is like rows
    of both sides is left out::

        parts = gemtune.datasets.split("train.jsonl", validation=0.1, seed=7)
        job = await client.tune(model, parts.train, validation_data=parts.validation)

    Args:
        source: The training data, whatever ``gemtune.datasets.load`` takes.
        validation: The share of rows for validation, between 0 and 1. A hash decides for each row, so that it is met on
            average: of 1,000 rows with 0.1, between 80 and 120. Of 20 rows, one time in eight there is none: then
            the result says so, and it is logged as a warning.
        seed: Another seed gives another split.
        group_by: The column whose rows of one value stand on one side, such as ``customer``; or a function of a row.
            Likeness does not count then. A value may be a string, a number, or lists and dicts of these; ``1``, ``1.0``
            and ``"1"`` are one. Rows whose value is missing (None, NaN, an empty string) are no group: they go by
            likeness.
        near: Rows whose runs of three words agree so far count as alike, between 0 and 1. None: only those that are the
            same but for case, punctuation and spaces.
        given: How to read the source, as for ``load``.

    Raises:
        InvalidInput: The source cannot be read, an argument is wrong, a row has no such column, or its group is not one
            that would be the same tomorrow.
    """
    share = checks.fraction("validation", validation)
    if near is not None:
        checks.fraction("near", near)
    data = load(source, **given)
    splitting = _Splitting(share, str(seed), group_by, Likeness(near))
    for read in data.reader:
        splitting.add(read)
    parts = splitting.parts(data)
    if parts.empty:
        _log.warning("%s: %s", data.source or "training data", parts.empty)
    return parts


@attrs.define(eq=False)
class _Splitting:
    share: float
    seed: str
    group_by: str | Callable[[Mapping[str, Any]], object] | None
    alike: Likeness
    sides: bytearray = attrs.field(factory=lambda: bytearray([_WRONG]))
    counts: list[int] = attrs.field(factory=lambda: [0, 0, 0, 0])
    joined: int = 0

    def add(self, read: ReadRow) -> None:
        """Give a row its side."""
        side = _WRONG if read.problem is not None else self._side(read)
        self.counts[side] += 1
        if read.number >= len(self.sides):  # lines between the rows may be blank
            self.sides.extend([_WRONG] * (read.number + 1 - len(self.sides)))
        self.sides[read.number] = side

    def parts(self, data: DataSet) -> Split:
        """Return the set in two parts, once every row has its side."""
        return Split(
            train=data.only(_Sides(self.sides, _TRAIN)),
            validation=data.only(_Sides(self.sides, _VALIDATION)),
            rows=(self.counts[_TRAIN], self.counts[_VALIDATION]),
            joined=self.joined,
            wrong=self.counts[_WRONG],
            between=self.counts[_BETWEEN],
            compared=not self.alike.full,
            share=self.share,
        )

    def _side(self, read: ReadRow) -> int:
        group = None if self.group_by is None else group_key(self._group(read), read.number)
        if group is not None:
            return self._drawn(group.encode("utf-8", "replace"))
        text = question_text(read.example)
        sides = {self.sides[each] for each in self.alike.all_like(text, read.number)}
        if sides:
            # What is like a row that was left out, and like no other, is like rows of both sides, or nearly.
            sides = sides - {_BETWEEN} or sides
            self.joined += len(sides) == 1
            return sides.pop() if len(sides) == 1 else _BETWEEN
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
