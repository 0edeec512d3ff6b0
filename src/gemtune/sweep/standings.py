"""What rules want to know of all other points, kept as the curves come, so that 1,000 points cost what 10 do a value.

A rule is a pure function of the curves so far. Asked anew at each value of each point, one that reads all curves takes
a time that grows with the square of the points. So the sweep keeps one set of curves, ``CurveField``, and hands rules a
list of the others that knows it. A plain list, as a test or somebody's own program gives, is made into a field first.

What is kept is a table for each question: how high did each end, how low has it been, how high was it after 3 passes?
A table has its values in order, and reads again, when it is asked, those curves alone that have changed.

``median`` is the exception: it asks how high all others were at each step of each point, and keeps nothing.
"""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Callable, Iterable, Sequence

import attrs

from gemtune.sweep.chooser import PointCurve
from gemtune.sweep.curves import LossTrack, ordered


@attrs.define(eq=False)
class CurveTable:
    """The answer to one question for each curve, and all answers in order.

    Args:
        read: Reads the answer from the curve of a number; None if there is none.
        changed: The numbers of the curves that have changed since.
    """

    read: Callable[[int, PointCurve], float | None]
    changed: set[int]
    _values: dict[int, float] = attrs.field(factory=dict, init=False)
    _in_order: list[tuple[float, int]] = attrs.field(factory=list, init=False)

    def put_right(self, curves: dict[int, PointCurve]) -> None:
        """Read again what has changed."""
        for number in self.changed:
            curve, before = curves.get(number), self._values.pop(number, None)
            if before is not None:
                del self._in_order[bisect.bisect_left(self._in_order, (before, number))]
            value = None if curve is None else self.read(number, curve)
            if value is not None:
                self._values[number] = value
                bisect.insort(self._in_order, (value, number))
        self.changed.clear()

    def least(self, but: int) -> float | None:
        """Return the lowest value of all points but one; None if there is none."""
        return next((value for value, number in self._in_order[:2] if number != but), None)

    def below(self, level: float, but: int) -> tuple[int, int]:
        """Return how many points but one are lower than a level, and how many there are."""
        mine = self._values.get(but)
        place, count = bisect.bisect_left(self._in_order, (level, -1)), len(self._in_order)
        return (place, count) if mine is None else (place - (mine < level), count - 1)


@attrs.define(eq=False)
class LowestPlace:
    """Where a validation loss was lowest so far; each value is the median with its neighbours, so that luck is no best.

    Only the last median still changes as the curve grows, so that the others are looked at once.
    """

    _seen: tuple[tuple[int, float], ...] = attrs.field(default=(), init=False)
    _best: tuple[int, float] | None = attrs.field(default=None, init=False)

    def of(self, values: Sequence[tuple[int, float]]) -> tuple[int, float]:
        """Return the step and the loss; ``values`` are those of the last time and later ones, or quite other ones."""
        # A value can be corrected, and come late; the comparison is of the same objects, and so takes next to nothing.
        if tuple(values[: len(self._seen)]) != self._seen:
            self._seen, self._best = (), None
        for at in range(max(len(self._seen) - 1, 0), len(values) - 1):
            self._best = _lower(self._best, values, at)
        self._seen = tuple(values)
        return _lower(self._best, values, len(values) - 1)


@attrs.define(eq=False)
class CurveField:
    """The curves of all points that have begun, and what rules want to know of them."""

    _curves: dict[int, PointCurve] = attrs.field(factory=dict, init=False)
    _listed: list[PointCurve] = attrs.field(factory=list, init=False)
    _places: dict[int, int] = attrs.field(factory=dict, init=False)
    _measured: set[int] = attrs.field(factory=set, init=False)
    _tables: dict[object, CurveTable] = attrs.field(factory=dict, init=False)
    _lowest: dict[int, LowestPlace] = attrs.field(factory=dict, init=False)

    def put(self, number: int, curve: PointCurve) -> None:
        """Take in the curve of a point in place of the one it had."""
        place = self._places.setdefault(number, len(self._listed))
        self._listed[place : place + 1] = [curve]
        self._curves[number] = curve
        if curve.eval_losses:
            self._measured.add(number)
        self._changed(number)

    def remove(self, number: int) -> None:
        """Forget a curve whose point begins anew."""
        if self._curves.pop(number, None) is not None:
            self._measured.discard(number)
            self._listed = list(self._curves.values())
            self._places = {each: place for place, each in enumerate(self._curves)}
            self._changed(number)

    def others(self, but: int) -> OtherCurves:
        """Return the curves of all points but one."""
        found = OtherCurves(self._listed)
        found.field = self
        if but in self._places:
            del found[self._places[but]]
        return found

    @property
    def measured(self) -> bool:
        """Whether the service has measured a loss on validation data."""
        return bool(self._measured)

    def lowest(self, number: int, curve: PointCurve) -> tuple[int, float]:
        """Return where the validation loss of a point was lowest."""
        return self._lowest.setdefault(number, LowestPlace()).of(curve.eval_losses)

    def lows(self) -> CurveTable:
        """Return how low the validation loss of each point has been."""
        return self._table("lows", lambda number, each: self.lowest(number, each)[1] if each.eval_losses else None)

    def ends(self, curve: PointCurve, *, held_out: bool) -> CurveTable:
        """Return how high each point that trained to its end was where this one will end.

        A longer training ends with a lower training loss and is no better for that, so that this is read after as many
        passes as this one has; the loss on validation data counts as it ended.
        """
        at, whole = None if held_out else LossTrack(curve, held_out).passes, curve.epochs is None

        def read(_: int, each: PointCurve) -> float | None:
            if not each.ended or (each.epochs is None) != whole:
                return None
            track = LossTrack(each, held_out)
            return track.level(track.last if at is None else at)

        return self._table(("ends", held_out, at, whole), read)

    def levels(self, curve: PointCurve, at: float, *, held_out: bool) -> CurveTable:
        """Return how high each point was after some passes, one that was not there left out."""
        whole = curve.epochs is None

        def read(_: int, each: PointCurve) -> float | None:
            return LossTrack(each, held_out).level(at) if (each.epochs is None) == whole else None

        return self._table(("levels", held_out, at, whole), read)

    def _table(self, name: object, read: Callable[[int, PointCurve], float | None]) -> CurveTable:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = CurveTable(read, set(self._curves))
        table.put_right(self._curves)
        return table

    def _changed(self, number: int) -> None:
        for table in self._tables.values():
            table.changed.add(number)


class OtherCurves(list[PointCurve]):
    """The curves of all other points, for a rule: a list like any other, which knows the field that it is from."""

    field: CurveField


def field_of(curve: PointCurve, others: Iterable[PointCurve]) -> tuple[CurveField, int]:
    """Return the field that the other curves are from, or one of them alone, and the number of a curve in it."""
    if isinstance(others, OtherCurves):
        return others.field, curve.number
    field = CurveField()
    for number, each in enumerate(others):
        field.put(number, each)
    return field, -1


def _lower(best: tuple[int, float] | None, values: Sequence[tuple[int, float]], at: int) -> tuple[int, float]:
    found = statistics.median([ordered(value) for _, value in values[max(at - 1, 0) : at + 2]])
    return (values[at][0], found) if best is None or found < best[1] else best
