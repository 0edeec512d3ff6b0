"""What every metric is and what it says: pure values. Nothing here asks a model."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, TypeAlias, get_args

import attrs

from gemtune import checks
from gemtune.errors import InvalidInput

Scored: TypeAlias = "float | bool | None"
"""What a metric makes of one answer: a number, or None if it can say nothing about this row."""


@attrs.frozen(kw_only=True, eq=False)
class HeldOutRow:
    """One row on which models are compared: what is asked, and what the right answer is.

    Args:
        key: What tells it from the others: its ``key`` or ``id`` column if the data has one, else its number.
        number: Its line in the file or its place in memory, from 1.
        request: What is asked, in the service's JSON: ``contents`` and, if it has one, ``systemInstruction``.
        question: The text of the last turn that is asked, for people and for metrics.
        expected: The right answer; empty if the data has none, which only a judge or a function can do without.
        row: The row as it was given, for metrics of your own and for grouping.
    """

    key: str | int
    number: int
    request: Mapping[str, Any] = attrs.field(repr=False)
    question: str
    expected: str = ""
    row: object = attrs.field(default=None, repr=False)


Scorer: TypeAlias = "Callable[[str, HeldOutRow], Scored | Awaitable[Scored]]"
"""Gives an answer its score; plain or async."""
Kind: TypeAlias = Literal["share", "mean", "wins"]
"""What the mean of a metric's scores is, and so which interval and which test it has."""

SCORES_OF: Final[Mapping[Kind, tuple[float, ...]]] = {"share": (0.0, 1.0), "wins": (0.0, 0.5, 1.0)}
"""The only scores that there are of a kind; ``mean`` has any."""


@attrs.frozen(kw_only=True, eq=False)
class Metric:
    """How answers are scored.

    Args:
        name: What it is called in tables, such as ``exact_match``.
        score: Gives an answer its score.
        kind: ``share`` if each score is 0 or 1 (its mean is a share, with an interval and a test for shares), ``wins``
            if it is 1 for a win against the baseline, 0.5 for a tie and 0 for a loss, ``mean`` for any other number.
        better: Whether a ``higher`` or a ``lower`` score is better.
        about: How it counts, in one sentence that a report can repeat.
        report: What else all (answer, expected) pairs of one model say, such as a table of labels; None for nothing.
        expects: Whether it compares with the right answer, so that every row has to have one.
        bounds: The lowest and the highest score there can be; None if there is no limit.

    Raises:
        InvalidInput: An argument is wrong.
    """

    name: str
    score: Scorer = attrs.field(repr=False)
    kind: Kind = "mean"
    better: Literal["higher", "lower"] = "higher"
    about: str = ""
    report: Callable[[list[tuple[str, str]]], object] | None = attrs.field(default=None, repr=False)
    expects: bool = False
    bounds: tuple[float, float] | None = None

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise _wrong("name must be a string", self.name)
        if not callable(self.score):
            raise _wrong(f"{self.name}: score must be a function of (answer, row)", self.score)
        if self.kind not in get_args(Kind):
            raise _wrong(f"{self.name}: kind must be share, mean or wins", self.kind)
        if self.better not in {"higher", "lower"}:
            raise _wrong(f"{self.name}: better must be higher or lower", self.better)
        if self.bounds is not None and not _are_bounds(self.bounds):
            raise _wrong(f"{self.name}: bounds must be two finite numbers, the lower one first, or None", self.bounds)


def _wrong(what: str, given: object) -> InvalidInput:
    return InvalidInput(f"metrics: {what}, not {checks.shown(given)}", field="metrics")


def _are_bounds(given: object) -> bool:
    match given:
        case (int() | float() as low, int() | float() as high):
            return math.isfinite(low) and math.isfinite(high) and low < high
    return False


def no_score(_: str, __: HeldOutRow) -> Scored:
    """Say nothing of an answer: the scores come from elsewhere, as those of a judge do."""
    return None


@attrs.frozen(kw_only=True)
class Score:
    """A metric of one model over all rows.

    Args:
        value: The mean; None if no row has a score.
        low: The lower end of its 95 % confidence interval; None if these rows can give none, as a single mean cannot.
        high: The upper end.
        rows: How many rows it is of.
        method: How the interval was found, such as ``Wilson``.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    rows: int = 0
    method: str = ""


@attrs.frozen(kw_only=True)
class Comparison:
    """One model beside another, on the rows that both have answered.

    Args:
        metric: Which metric.
        model: The label of the model.
        other: The label of what it is compared with.
        value: Its mean on these rows; None if there are no such rows.
        other_value: The other's.
        difference: ``value - other_value``.
        low: The lower end of the difference's 95 % confidence interval; None if these rows can give none. It is an
            approximation: of few rows it may leave out 0 although ``p``, which decides, is 0.05 or more.
        high: The upper end.
        p: The probability of a difference at least so large if there was none.
        rows: How many rows both have a score for.
        better: How many of them the model does better.
        worse: How many worse.
        test: Which paired test.
        method: How the interval was found, such as ``Tango``.
        direction: Whether a ``higher`` or a ``lower`` mean is better, as the metric says.
    """

    metric: str
    model: str
    other: str
    value: float | None
    other_value: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float
    rows: int
    better: int
    worse: int
    test: str
    method: str = ""
    direction: Literal["higher", "lower"] = "higher"

    @property
    def significant(self) -> bool:
        """Whether the difference is unlikely to be chance: ``p`` below 0.05."""
        return self.p < 0.05

    @property
    def leads(self) -> bool:
        """Whether the model's mean is the better one; chance is not considered."""
        difference = self.difference or 0.0
        return difference > 0 if self.direction == "higher" else difference < 0
