"""Who says which point comes next, and which is given up: the seams that grids, lists, rules and studies fill.

Everything here is asked by the sweep's one task, in its order, and nothing here waits for the service. Time and dice
are arguments or seeds, so that a decision can be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs


@attrs.frozen(kw_only=True)
class PointCurve:
    """How far a point has come, as far as rules look at it.

    Args:
        number: The point's number.
        total: Its steps in all; None while unknown.
        losses: (step, mean loss), by step.
        eval_losses: (step, loss on the validation data), by step; empty if the service measures none.
        epochs: Passes through the data in all; None while unknown.
        ended: Whether it has trained to its end.
    """

    number: int
    total: int | None
    losses: Sequence[tuple[int, float]]
    eval_losses: Sequence[tuple[int, float]] = ()
    epochs: int | None = None
    ended: bool = False


class StopRule(Protocol):
    """Decides which running point is given up. A pure function of the curves: it may be asked again at any time."""

    def verdict(self, curve: PointCurve, others: Sequence[PointCurve]) -> str | None:
        """Return in words why a running point should be stopped, or None to let it run.

        Args:
            curve: The point's.
            others: Those of all other points that have begun, ended and stopped ones included.
        """


class PointSource(Protocol):
    """Says which points are tried. A grid and a list know them all; a study makes the next of what it was told."""

    @property
    def total(self) -> int | None:
        """How many points there are; None if there is no end to them."""

    def begin(self, sweep: str) -> None:
        """Learn the id of the sweep, which is the same in all of its runs, before anything else."""

    async def ask(self, number: int) -> Mapping[str, float | int] | None:
        """Return the values of the point of a number, which are written down before anything is created.

        None: there are no more.
        """

    async def adopt(self, number: int, values: Mapping[str, float | int]) -> None:
        """Take over a point that an earlier run has asked for, before anything is told about it."""

    async def report(self, number: int, step: int, value: float) -> str | None:
        """Take a value at a step; return in words why the point should be stopped, or None.

        Equal steps of different points must mean the same: they are tenths of a pass through the data
        (``curves.reported``). The value is as the objective is: a loss is negative where a higher one is better.
        """

    async def tell(self, number: int, value: float | None, *, stopped: bool = False) -> None:
        """Take the final objective of a point; None if it failed."""
