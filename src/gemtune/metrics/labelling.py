"""Answers that are one label of a few: which label an answer is, and the report of all of them.

An answer that is no label is wrong, and has a column of its own in the confusion matrix. scikit-learn would count it as
one more label, which the macro average suffers from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

import attrs

from gemtune import checks
from gemtune.errors import InvalidInput
from gemtune.metrics.matching import stands_in
from gemtune.metrics.normal import Normalization
from gemtune.metrics.report import LabelReport, LabelScore
from gemtune.metrics.values import HeldOutRow, Metric, Scored

_MATRIX: Final = 200
"""Labels up to which there is a confusion matrix: free text taken for labels would make a hundred million cells."""


def labels(known: Iterable[str] | None = None, *, find: bool = False, case: bool = False) -> Metric:
    """Return the metric of whether an answer is the expected label, with a report of all labels.

    Args:
        known: The labels there are; None for those that the data expects. Any other answer is counted as no label.
        find: Whether a label may stand within a sentence, such as ``The mood is positive.``: the answer is that label
            if exactly one of the known ones stands in it. It needs ``known``.
        case: Whether upper and lower case differ.

    Returns:
        A metric whose scores are 1 or 0 and whose ``report`` is a ``LabelReport``. A row without an expected label has
        no score.

    Raises:
        InvalidInput: Two labels are the same but for their spelling, or there are none.

    Example:
        >>> report = labels().report([("Spam", "spam"), ("ham.", "spam"), ("ham", "ham"), ("no idea", "ham")])
        >>> report.accuracy, report.answered, report.confusion
        (0.5, ('ham', 'spam', 'no label'), ((1, 0, 1), (1, 1, 0)))
    """
    plain = Normalization(case=case)
    table = None if known is None else _table(known, plain)
    checks.flag("find", find)
    if find and table is None:
        raise InvalidInput("find needs the labels to look for: give them as known", field="find")

    read = _LabelReader(plain, table, find)
    return Metric(
        name="labels",
        score=read.score,
        kind="share",
        about=f"1 if the answer is the expected label, {plain.said()}",
        report=read.report,
        expects=True,
        bounds=(0, 1),
    )


@attrs.frozen
class _LabelReader:
    """Which label an answer is."""

    plain: Normalization
    table: dict[str, str] | None
    find: bool

    def label_of(self, answer: str) -> str:
        text = self.plain(answer)
        if not self.find or self.table is None or text in self.table:
            return text
        inside = [label for label in self.table if stands_in(text, label)]
        # "not spam" holds "spam": a label within another one that is there as well was not meant.
        inside = [label for label in inside if not any(label != other and stands_in(other, label) for other in inside)]
        return inside[0] if len(inside) == 1 else text

    def score(self, answer: str, row: HeldOutRow) -> Scored:
        return self.label_of(answer) == self.plain(row.expected) if row.expected.strip() else None

    def report(self, pairs: list[tuple[str, str]]) -> LabelReport:
        spelled: dict[str, Counter[str]] = {}
        for _, expected in pairs:
            if expected.strip():
                spelled.setdefault(self.plain(expected), Counter())[expected.strip()] += 1
        names = {label: spellings.most_common(1)[0][0] for label, spellings in spelled.items()} | (self.table or {})
        counted = [(self.label_of(answer), self.plain(wanted), answer) for answer, wanted in pairs if wanted.strip()]
        return _report(counted, names)


def _table(known: Iterable[str], plain: Normalization) -> dict[str, str]:
    """Return the labels by their plain spelling."""
    if isinstance(known, str):
        raise InvalidInput(f"known must be a list of labels, not {known!r}", field="known")
    table: dict[str, str] = {}
    for label in known:
        if not isinstance(label, str) or not label.strip():
            raise InvalidInput(f"known must be labels, not {label!r}", field="known")
        if table.setdefault(plain(label), label) != label:
            raise InvalidInput(
                f"known has {table[plain(label)]!r} and {label!r}, which count as the same", field="known"
            )
    if not table:
        raise InvalidInput("known is empty: give the labels, or leave it out to take those of the data", field="known")
    return table


def _report(counted: list[tuple[str, str, str]], names: dict[str, str]) -> LabelReport:
    """Return the report of (label of the answer, expected label, answer); ``names`` has the spelling of each label."""
    order = sorted(names, key=lambda label: (names[label].casefold(), names[label]))
    cells = Counter((wanted, given if given in names else None) for given, wanted, _ in counted)
    strangers = Counter(answer.strip() for given, _, answer in counted if given not in names)
    wanted, given = Counter[str](), Counter[str | None]()
    for (right, said), count in cells.items():
        wanted[right] += count
        given[said] += count
    scores = [_score(names[each], cells[each, each], given[each], wanted[each]) for each in order]
    macro = _mean("macro", scores, [1] * len(scores))
    columns = [*order, *([None] * bool(strangers))]
    other = "no label" if "no label" not in names.values() else "(no label)"
    small = len(order) <= _MATRIX
    return LabelReport(
        rows=len(counted),
        accuracy=sum(cells[each, each] for each in order) / len(counted) if counted else None,
        macro_f1=None if macro is None else macro.f1,
        labels=tuple(scores),
        answered=tuple(other if each is None else names[each] for each in columns) if small else (),
        confusion=tuple(tuple(cells[row, column] for column in columns) for row in order) if small else (),
        unknown=given[None],
        macro=macro,
        weighted=_mean("weighted", scores, [each.rows for each in scores]),
        strangers=tuple(strangers.most_common(5)),
    )


def _score(label: str, right: int, given: int, rows: int) -> LabelScore:
    return LabelScore(
        label=label,
        precision=right / given if given else None,
        recall=right / rows if rows else None,
        f1=2 * right / (given + rows) if given + rows else None,
        rows=rows,
    )


def _mean(name: str, scores: list[LabelScore], weights: list[int]) -> LabelScore | None:
    """Return the mean over the labels that occur; a label that is only known would pull it to 0."""
    occurring = [(each, weight) for each, weight in zip(scores, weights, strict=True) if each.f1 is not None]
    total = sum(weight for _, weight in occurring)
    if not total:
        return None
    means = {
        figure: sum((getattr(each, figure) or 0.0) * weight for each, weight in occurring) / total
        for figure in ("precision", "recall", "f1")
    }
    return LabelScore(label=name, rows=sum(each.rows for each, _ in occurring), **means)
