"""What a metric of labels says beyond its share: how each label fares, and which are taken for which. Values only."""

from __future__ import annotations

from collections.abc import Sequence

import attrs


@attrs.frozen(kw_only=True)
class LabelScore:
    """How one label fares.

    Args:
        label: The label.
        precision: Of the answers that say it, the share that is right; None if none says it.
        recall: Of the rows whose right answer it is, the share that is answered so; None if there is none.
        f1: The harmonic mean of both; None without either.
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
        labels: Each label.
        answered: What the columns of ``confusion`` are: the labels, then whatever else was answered.
        confusion: For each of ``labels``, how often it was answered with each of ``answered``.
    """

    rows: int
    accuracy: float | None
    macro_f1: float | None
    labels: Sequence[LabelScore]
    answered: Sequence[str]
    confusion: Sequence[Sequence[int]]
