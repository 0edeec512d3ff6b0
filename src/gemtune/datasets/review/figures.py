"""The figures of training data, in the shape in which Vertex AI reports them of a job (``tuningDataStats``).

They are exact and need no memory that grows with the rows: what is kept of a column is how often each number occurs in
it.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Final

import attrs

from gemtune.datasets.dataset import load
from gemtune.datasets.report import SaidInLines
from gemtune.datasets.review.tokens import Characters, Interval, Weight, weigh
from gemtune.markup import box, escape, line, table

_COLUMNS: Final = ("turns", "input_characters", "output_characters", "input_tokens", "output_tokens")


@attrs.frozen(kw_only=True)
class Distribution:
    """How a number is spread over the examples; all zero if there are none.

    Args:
        sum: All of it.
        min: The least.
        max: The most.
        mean: The average.
        median: Half of the examples have no more.
        p5: One of twenty examples has no more.
        p95: One of twenty examples has more.
    """

    sum: int = 0
    min: int = 0
    max: int = 0
    mean: float = 0.0
    median: int = 0
    p5: int = 0
    p95: int = 0


def distribution(counts: Counter[int]) -> Distribution:
    """Return how numbers are spread that occur so many times each."""
    total = counts.total()
    if not total:
        return Distribution()
    ordered = sorted(counts.items())
    places = {name: max(1, math.ceil(share * total)) for name, share in (("p5", 0.05), ("median", 0.5), ("p95", 0.95))}
    found: dict[str, int] = {}
    passed = 0
    for number, times in ordered:
        passed += times
        for name, place in places.items():
            if name not in found and passed >= place:
                found[name] = number
    everything = sum(number * times for number, times in ordered)
    return Distribution(sum=everything, min=ordered[0][0], max=ordered[-1][0], mean=everything / total, **found)


@attrs.frozen(kw_only=True)
class DataFigures(SaidInLines):
    """The figures of a set of training data.

    Args:
        examples: How many examples there are.
        input_characters: The characters of what the model is given, per example.
        output_characters: The characters of what it is to say.
        input_tokens: About how many tokens that is, by the rule of thumb of four characters to a token.
        output_tokens: The same of what it is to say.
        turns: The turns per example.
        files: The files in all examples.
        with_system: The examples with a system instruction.
        tokens: About how many tokens one pass through all of it has.
    """

    examples: int
    input_characters: Distribution
    output_characters: Distribution
    input_tokens: Distribution
    output_tokens: Distribution
    turns: Distribution
    files: int
    with_system: int
    tokens: Interval

    def to_dict(self) -> dict[str, Any]:
        """Return them as plain JSON."""
        return attrs.asdict(self)

    def table(self) -> list[tuple[str, ...]]:
        """Return the distributions as the lines of a table, the heading first."""
        rows: list[tuple[str, ...]] = [("", "sum", "least", "5 %", "half", "95 %", "most", "mean")]
        for name in _COLUMNS:
            spread: Distribution = getattr(self, name)
            cells = (spread.sum, spread.min, spread.p5, spread.median, spread.p95, spread.max)
            title = name.replace("_", " ") + (", about" if name.endswith("tokens") else "")
            rows.append((title, *(f"{cell:,}" for cell in cells), f"{spread.mean:,.1f}"))
        return rows

    def headline(self) -> str:
        """Return in one line how much there is."""
        said = f"{self.examples:,} example{'' if self.examples == 1 else 's'}, about {self.tokens} tokens in one pass"
        if self.with_system:
            said += f", {self.with_system:,} with a system instruction"
        return f"{said}, {self.files:,} files whose tokens are not among these" if self.files else said

    def __str__(self) -> str:
        rows = self.table()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
        return "\n".join([self.headline(), *lines])

    def _as_html(self) -> str:
        heads, *rows = self.table()
        return box(line(escape(self.headline())), table(heads, [[*map(escape, row)] for row in rows]))


@attrs.define(eq=False)
class RunningFigures:
    """The figures so far, while rows are read."""

    examples: int = 0
    files: int = 0
    with_system: int = 0
    asked: Characters = attrs.field(factory=Characters)
    answered: Characters = attrs.field(factory=Characters)
    again: Characters = attrs.field(factory=Characters)
    _columns: dict[str, Counter[int]] = attrs.field(factory=dict, init=False)

    def add(self, weight: Weight) -> None:
        """Count an example."""
        self.examples += 1
        self.files += weight.files
        self.with_system += weight.system
        self.asked += weight.asked
        self.answered += weight.answered
        self.again += weight.again
        for name, number in (
            ("turns", weight.turns),
            ("input_characters", weight.asked.count),
            ("output_characters", weight.answered.count),
            ("input_tokens", math.ceil(weight.asked.tokens().value)),
            ("output_tokens", math.ceil(weight.answered.tokens().value)),
        ):
            self._columns.setdefault(name, Counter())[number] += 1

    def stats(self) -> DataFigures:
        """Return them."""
        spread = {name: distribution(self._columns.get(name, Counter())) for name in _COLUMNS}
        tokens = (self.asked + self.answered).tokens()
        return DataFigures(
            examples=self.examples, files=self.files, with_system=self.with_system, tokens=tokens, **spread
        )


def stats(source: object, **given: Any) -> DataFigures:
    """Return the figures of training data: how many examples, and how long they are::

        print(gemtune.datasets.stats("train.jsonl"))

    Rows that are wrong do not count; ``check`` names them.

    Args:
        source: The training data, whatever ``gemtune.datasets.load`` takes.
        given: How to read it, as for ``load``.

    Raises:
        InvalidInput: It cannot be read.
    """
    figures = RunningFigures()
    for read in load(source, **given).reader:
        if read.problem is None:
            figures.add(weigh(read.example))
    return figures.stats()
