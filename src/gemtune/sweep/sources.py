"""Points that follow from a space and a seed alone: grids, lists, and samples of ranges without Optuna.

A point's number and values never change, whatever was resumed: number n is the n-th of an order that is a pure
function of space and seed. With more ``max_jobs`` the same points come first.

=========  ========================================================================================
a list     its own order; ``max_jobs`` takes the first ones, because somebody has put them in order
a grid     nested loops; under ``max_jobs`` a random sample, because the first ones of nested loops
           would all have the first value of the first hyperparameter
ranges     a Halton sequence, shifted by the seed: it fills the space more evenly than dice do, and
           every first part of it does (Bergstra and Bengio 2012; Bousquet and others 2017)
=========  ========================================================================================
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from gemtune import checks
from gemtune.errors import InvalidInput
from gemtune.remedy import Argument, Remedy
from gemtune.sweep.space import SweepSpace

MOST_POINTS: Final = 10_000
"""A larger grid wants ``max_jobs``: nobody means to tune that many models."""
_PRIMES: Final = (2, 3, 5, 7, 11, 13)
# A sample of ranges that has brought nothing new for so long is at its end.
_IN_VAIN: Final = 1000


@attrs.define(eq=False)
class SpacePoints:
    """The points of a space, by number.

    Args:
        total: How many there are.
    """

    total: int | None
    _order: Iterator[Mapping[str, float | int]] = attrs.field(alias="order", repr=False)
    _drawn: list[Mapping[str, float | int]] = attrs.field(factory=list, init=False, repr=False)
    _given: dict[int, Mapping[str, float | int]] = attrs.field(factory=dict, init=False, repr=False)

    def begin(self, sweep: str) -> None:
        """Ignore the sweep's id: what a point is follows from its number."""

    async def ask(self, number: int) -> Mapping[str, float | int] | None:
        """Return the values of the point of a number; None if there are no more."""
        if number in self._given:
            return self._given[number]
        if self.total is not None and number >= self.total:
            return None
        # Earlier runs may have drawn under another max_jobs: what they have tried is not tried under a new number.
        tried = {frozenset(values.items()) for values in self._given.values()}
        for at in (number, *range(len(self._drawn))):
            values = self._draw(at)
            if values is not None and frozenset(values.items()) not in tried:
                self._given[number] = values
                return values
        while (values := self._draw(len(self._drawn))) is not None:
            if frozenset(values.items()) not in tried:
                self._given[number] = values
                return values
        return None

    async def adopt(self, number: int, values: Mapping[str, float | int]) -> None:
        """Take over a point of an earlier run."""
        self._given[number] = dict(values)

    async def report(self, number: int, step: int, value: float) -> str | None:  # noqa: ARG002
        """Return None: what a point is does not depend on how others do."""
        return None

    async def tell(self, number: int, value: float | None, *, stopped: bool = False) -> None:
        """Ignore how a point ended, for the same reason."""

    def _draw(self, at: int) -> Mapping[str, float | int] | None:
        while len(self._drawn) <= at:
            values = next(self._order, None)
            if values is None:
                return None
            self._drawn.append(values)
        return self._drawn[at]


def points_of(space: SweepSpace, *, max_jobs: int | None = None, seed: int = 0) -> SpacePoints:
    """Return the points of a space, as the module says.

    Args:
        space: The space.
        max_jobs: How many points at most.
        seed: Of what is sampled; the same one always brings the same points.

    Raises:
        InvalidInput: There is no end to the points, or they are too many, and ``max_jobs`` is not given.
    """
    if max_jobs is not None:
        checks.whole("max_jobs", max_jobs)
    size = space.size
    if size is None and max_jobs is None:
        what = "a space with a range has no end"
        raise InvalidInput(
            what, Remedy("say how many points to try at most with ", Argument("max_jobs")), field="max_jobs"
        )
    if size is not None and size > MOST_POINTS and max_jobs is None:
        what = f"the space has {size:,} points"
        raise InvalidInput(
            what, Remedy("say how many points to try at most with ", Argument("max_jobs")), field="max_jobs"
        )
    total = min(count for count in (size, max_jobs) if count is not None)
    if space.listed:
        return SpacePoints(total=total, order=iter(space.listed))
    if not space.is_grid:
        return SpacePoints(total=total, order=_spread(space, seed))
    return SpacePoints(total=total, order=iter(space) if total == size else _sampled(space, seed))


def _sampled(space: SweepSpace, seed: int) -> Iterator[Mapping[str, float | int]]:
    """Yield the combinations of a grid in a random order."""
    dice, size, seen = random.Random(f"grid {seed}"), space.size or 0, set[int]()  # noqa: S311
    while len(seen) < size:
        index = dice.randrange(size)
        # Not a shuffle: a grid of millions must not become a list, and more of them must begin with the same ones.
        if index not in seen:
            seen.add(index)
            yield space.combination(index)


def _spread(space: SweepSpace, seed: int) -> Iterator[Mapping[str, float | int]]:
    """Yield points that fill the ranges of a space evenly, each once."""
    names = list(space.dimensions)
    # Each hyperparameter has dice of its own, so that its values do not depend on which others are swept.
    shifts = [random.Random(f"{name} {seed}").random() for name in names]  # noqa: S311
    seen, last, index = set[tuple[float | int, ...]](), 0, 0
    while index - last < _IN_VAIN:
        index += 1
        shares = [(_halton(index, prime) + shift) % 1 for prime, shift in zip(_PRIMES, shifts, strict=False)]
        values = [each.at(share) for each, share in zip(space.dimensions.values(), shares, strict=True)]
        if (found := tuple(values)) not in seen:
            seen.add(found)
            last = index
            yield dict(zip(names, values, strict=True))


def _halton(index: int, base: int) -> float:
    """Return the digits of a number behind the point, in reverse: 6 is 110 in base 2, so it becomes 0.011."""
    share, weight = 0.0, 1.0
    while index:
        weight /= base
        index, digit = divmod(index, base)
        share += digit * weight
    return share
