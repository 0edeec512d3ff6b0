"""What was read of training data, as a value: nobody should have to guess which column became the input."""

from __future__ import annotations

import attrs

from gemtune.markup import Displayed, box, escape, facts, line
from gemtune.types import TuningExample


class SaidInLines(Displayed):
    """A value whose string says everything, in a notebook as well."""

    __slots__ = ()

    def _as_text(self) -> str:
        return str(self)

    def _as_html(self) -> str:
        return box(*(line(escape(each)) for each in str(self).splitlines()))


@attrs.frozen(kw_only=True)
class DataReport(Displayed):
    """What was read of training data; printing it says so in one line.

    Args:
        rows: How many examples there are.
        input: The columns that became the input, joined in this order; empty if the rows have no named columns.
        output: The columns that became the output; more than one if rows name theirs differently.
        rejected: The columns with the worse answers, for preference tuning.
        left_out: The columns that were not used.
        source: What was read: a file's name, or such as ``a data frame``.
        notes: What you may want to know, such as rows that contradict each other; each is logged as a warning.
    """

    rows: int
    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()

    def _as_html(self) -> str:
        columns = {"input": self.input, "output": self.output, "rejected": self.rejected, "left out": self.left_out}
        return box(
            f"<p><strong>{self.rows:,} {'row' if self.rows == 1 else 'rows'}</strong> {escape(self.source)}</p>",
            facts((name, " + ".join(named)) for name, named in columns.items()),
            *(line(escape(note), dim=True) for note in self.notes),
            label="training data",
        )

    def __str__(self) -> str:
        said = [f"{self.rows:,} {'row' if self.rows == 1 else 'rows'}"]
        if self.source:
            said[0] += f" of {self.source}"
        if self.input and self.output:
            plus = " + ".join(map(_quoted, self.input))
            columns = "column" if len(self.input) == 1 else "columns"
            said.append(f"input = {columns} {plus}, output = {' or '.join(map(_quoted, self.output))}")
        else:
            said.append("input = first of each pair, output = second")
        if self.rejected:
            said[-1] += f", preferred to {' or '.join(map(_quoted, self.rejected))}"
        if self.left_out:
            said.append(f"left out: {', '.join(map(_quoted, self.left_out))}")
        return "; ".join(said)


def _quoted(name: str) -> str:
    return f"{name!r:.60}"


@attrs.frozen
class TrainingSet:
    """Training examples that were read and checked; ``client.tune`` takes it as training data.

    Args:
        examples: The examples, in their order.
        report: What was read.
    """

    examples: tuple[TuningExample, ...] = attrs.field(repr=False)
    report: DataReport
