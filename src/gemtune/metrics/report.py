"""What a metric of labels says beyond its share: how each label fares, and which are taken for which. Values only.

The figures are scikit-learn's ``classification_report`` with ``zero_division=0``, but where it writes 0 for a precision
or recall that is of no answer or row, these say None; the averages count such as 0, as scikit-learn does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class LabelScore:
    """How one label fares, or all of them on average.

    Args:
        label: The label.
        precision: Of the answers that say it, the share that is right; None if none says it.
        recall: Of the rows whose right answer it is, the share that is answered so; None if there is none.
        f1: The harmonic mean of both, 0 if one of them is 0 or None; None if the label is neither asked for nor
            answered.
        rows: Rows whose right answer it is.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    rows: int


@attrs.frozen(kw_only=True)
class LabelReport:
    """Answers that are labels, counted.

    Args:
        rows: How many answers.
        accuracy: The share of right ones; None without rows.
        macro_f1: The mean of the labels' F1; None without labels.
        labels: Each label, in alphabetical order.
        answered: What the columns of ``confusion`` are: the labels, then ``no label`` if anything else was answered.
        confusion: For each of ``labels``, how often it was answered with each of ``answered``; both are empty with more
            than 200 labels.
        unknown: How many answers are none of the labels.
        macro: The plain mean of precision, recall and F1 over the labels that occur; None without any.
        weighted: Their mean weighted by the rows of each label; None without rows.
        strangers: The most frequent answers that are none of the labels, up to five, with how often each came.
    """

    rows: int
    accuracy: float | None
    macro_f1: float | None
    labels: Sequence[LabelScore]
    answered: Sequence[str]
    confusion: Sequence[Sequence[int]]
    unknown: int = 0
    macro: LabelScore | None = None
    weighted: LabelScore | None = None
    strangers: Sequence[tuple[str, int]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        return attrs.asdict(self)
