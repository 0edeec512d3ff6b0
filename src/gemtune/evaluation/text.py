"""An evaluation as plain text: a row for each model, sentences that compare, labels, and the rows that changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, TypeAlias

from gemtune.evaluation.picture import EvaluationPicture
from gemtune.evaluation.values import ChangedRows, EvaluatedRow, EvaluationProgress
from gemtune.evaluation.words import (
    averages,
    compared,
    heading,
    judge_said,
    judged,
    label_cells,
    labels_heading,
    model_facts,
    name,
    progress_facts,
    row_cells,
    says_scores,
    score_cells,
    scores_of,
    strangers_said,
)
from gemtune.metrics.report import LabelReport
from gemtune.metrics.values import Comparison
from gemtune.metrics.verdicts import JudgeReport
from gemtune.show.terminal import aligned, cells, clipped, fitted, folded, padded, printable

WIDTH: Final = 110
"""Columns of a text that nobody has measured the room for."""
MOST_CHANGED: Final = 5
"""Rows shown of those that became better, and of those that became worse, if nobody says how many."""
_BELOW_EACH_OTHER: Final = 2
"""The same where there is no room beside each other."""
MOST_LABELS: Final = 20
_BESIDE: Final = 76
"""Columns from which on answers stand beside each other; below that, under each other."""
MOST_SENTENCES: Final = 12
MOST_PAIRS: Final = 3
"""Pairs of models whose changed rows are shown."""
_MORE: Final = "changed(model, other, metric) of the evaluation returns the rows of every other pair"
_ABOUT: Final = 300
_LABEL: Final = 24
_FIGURE: Final = 6
"""Columns that one figure of a label needs, with what parts it from the label."""
_MATRIX: Final = 10
"""Labels up to which a confusion matrix is text that can be read."""


def evaluation_text(picture: EvaluationPicture, width: int = WIDTH, most: int | None = None) -> str:
    """Return an evaluation as lines of at most so many columns.

    Args:
        picture: The evaluation.
        width: The most columns.
        most: The most rows that are shown of those that became better, and of those that became worse; None for a
            few, as there is room.
    """
    return "\n\n".join("\n".join(said for _, said in part) for part in evaluation_parts(picture, width, most))


Role: TypeAlias = Literal["title", "heads", "", "good", "bad"]
"""What a line is, for whoever has colours: a heading, the names of columns, or good or bad news."""


def evaluation_parts(
    picture: EvaluationPicture, width: int = WIDTH, most: int | None = None
) -> Iterator[list[tuple[Role, str]]]:
    """Yield the parts of the text, each as lines with what they are; for the arguments see ``evaluation_text``."""
    yield [("title", line) for line in wrapped(heading(picture), width)]
    if picture.models:
        below = [judge_said(each, picture.currency) for each in picture.judges]
        below += [f"{name(each.name)}: {each.about[:_ABOUT]}" for each in picture.metrics if each.about]
        lines = [line for each in below for line in wrapped(each, width)]
        yield _headed(model_lines(picture, width)) + [("", line) for line in lines]
    shown = picture.comparisons[:MOST_SENTENCES]
    said = [(tone_of(each), line) for each in shown for line in wrapped(compared(each), width)]
    if picture.comparisons[MOST_SENTENCES:]:
        more = f"and {len(picture.comparisons) - MOST_SENTENCES:,} more comparisons"
        said += [("", line) for line in wrapped(more, width)]
    if said:
        yield said
    yield from _reports(picture, width)
    pairs = [each for each in picture.changed if each.better or each.worse] if most != 0 else []
    for each in pairs[:MOST_PAIRS]:
        yield from changed_parts(each, width, most, scored=says_scores(each, picture))
    if len(pairs) > MOST_PAIRS:
        yield [("", line) for line in wrapped(_MORE, width)]


def tone_of(comparison: Comparison) -> Role:
    """Return whether a comparison is good news, bad news, or none."""
    if not (comparison.rows and comparison.significant and comparison.difference):
        return ""
    return "good" if comparison.leads else "bad"


def _headed(table: Sequence[str]) -> list[tuple[Role, str]]:
    return [("heads" if not number else "", line) for number, line in enumerate(table)]


def progress_text(progress: EvaluationProgress) -> str:
    """Return how far a running evaluation is, as one line."""
    held = [progress.held_back] if progress.held_back and not progress.ended else []
    return printable(" · ".join(["evaluation", *progress_facts(progress), *held]))


def model_lines(picture: EvaluationPicture, width: int = WIDTH) -> list[str]:
    """Return the table of the models, without the columns for which there is no room."""
    columns = [["model", *(_name(model.label, picture) for model in picture.models)]]
    for metric in picture.metrics:
        shown = [f"{value} ({between})" if between else value for value, between in score_cells(metric, picture)]
        columns.append([printable(name(metric.name)), *shown])
    facts = model_facts(picture.models, picture.currency)
    columns += [right([head, *map(printable, said)]) for head, said in facts]
    left, first = list(range(len(columns))), 1 + len(picture.metrics)
    # Tokens are given up first, then what is at the right; the name and the first metric stay.
    spare = [first + 1, first + 2, *reversed(range(2, len(columns)))]
    lines = aligned(list(zip(*columns, strict=True)))
    for column in spare:
        if max(map(cells, lines)) <= width:
            break
        left = [other for other in left if other != column]
        lines = aligned(list(zip(*(columns[n] for n in left), strict=True)))
    if picture.metrics and max(map(cells, lines)) > width:
        lines = _figures(picture, columns[0], width)
    return [clipped(line, width) for line in lines]


def _figures(picture: EvaluationPicture, names: Sequence[str], width: int) -> list[str]:
    """Return the models and what the first metric says, with the figures whole however little room there is."""
    metric = picture.metrics[0]
    values = [value for value, _ in score_cells(metric, picture)]
    said = right([clipped(printable(name(metric.name)), max(width // 2, *map(cells, values), 1)), *values])
    room = max(width - 2 - max(map(cells, said)), 4)
    return aligned([(clipped(each, room), cell) for each, cell in zip(names, said, strict=True)])


def changed_parts(
    changed: ChangedRows, width: int = WIDTH, most: int | None = None, *, scored: bool = False
) -> Iterator[list[tuple[Role, str]]]:
    """Yield the rows that changed for better and for worse, both answers side by side.

    Args:
        changed: The rows.
        width: The most columns.
        most: The most rows of either; None for a few.
        scored: Whether the scores are said, which of shares the heading says already.
    """
    roles: tuple[tuple[Role, str, Sequence[EvaluatedRow]], ...] = (
        ("good", "better", changed.better),
        ("bad", "worse", changed.worse),
    )
    one, other, metric = map(name, (changed.model, changed.other, changed.metric))
    draw, few = (_beside, MOST_CHANGED) if width >= _BESIDE else (_below, _BELOW_EACH_OTHER)
    shown = few if most is None else most
    for role, word, rows in roles:
        if rows:
            count = f"{len(rows):,} row{'s' if len(rows) != 1 else ''}"
            head = wrapped(f"{count} that {one} does {word} than {other} ({metric}):", width)
            more = [f"  and {len(rows) - shown:,} more"] if len(rows) > shown else []
            lines = [*draw(changed, rows[:shown], width, scored=scored), *more]
            yield [*((role, line) for line in head), *(("", line) for line in lines)]


def label_lines(report: LabelReport, width: int = WIDTH) -> list[str]:
    """Return how each label fares, and which are taken for which."""
    shown = report.labels[:MOST_LABELS]
    room = min(_LABEL, max(width - _FIGURE, 4))
    figures = [label_cells(clipped(_cut(each.label), room), each) for each in shown]
    figures += [label_cells(clipped(called, room), each) for called, each in averages(report)]
    columns = list(zip(("label", "precision", "recall", "F1", "rows"), *figures, strict=True))
    table = [columns[0], *(right(column) for column in columns[1:])]
    lines = fitted(list(zip(*table, strict=True)), width, (1, 2, 4))
    if len(report.labels) > len(shown):
        lines.append(f"and {len(report.labels) - len(shown):,} more")
    lines += wrapped(strangers_said(report), width)
    matrix = _confusion(report)
    if matrix and max(map(cells, matrix)) <= width:
        lines += ["", *wrapped("right answer by row, given answer by column:", width), *matrix]
    return lines


def wrapped(said: str, width: int) -> list[str]:
    """Return a sentence as lines, without what would control a terminal."""
    return folded(printable(said), max(width, 8))


def right(column: Sequence[str]) -> list[str]:
    """Return the cells of a column, aligned at the right."""
    widest = max(map(cells, column), default=0)
    return [" " * (widest - cells(cell)) + cell for cell in column]


def _name(label: str, picture: EvaluationPicture) -> str:
    aside = " (baseline)" if label == picture.baseline and len(picture.models) > 1 else ""
    return clipped(printable(name(label)), 32) + aside


def _reports(picture: EvaluationPicture, width: int) -> Iterator[list[tuple[Role, str]]]:
    for model in picture.models:
        for metric, report in model.reports.items():
            if isinstance(report, LabelReport):
                head = f"{labels_heading(model.label, metric, report)}:"
                yield [*(("title", line) for line in wrapped(head, width)), *_headed(label_lines(report, width))]
            elif isinstance(report, JudgeReport):
                yield [("", line) for line in wrapped(judged(model.label, picture.baseline, metric, report), width)]


def _beside(changed: ChangedRows, rows: Sequence[EvaluatedRow], width: int, *, scored: bool) -> list[str]:
    heads = ["row", "question", "expected", name(changed.other), name(changed.model)]
    table = [heads, *(list(row_cells(row, changed.other, changed.model)) for row in rows)]
    if scored:
        said = [scores_of(row, changed.metric, changed.other, changed.model) for row in rows]
        table = [[*row, score] for row, score in zip(table, ["score", *said], strict=True)]
    table = [[_flat(cell) for cell in row] for row in table]
    wanted = [max(cells(row[n]) for row in table) for n in range(len(heads))]
    fixed = min(wanted[0], 12)
    room = width - 2 - fixed - 2 * (len(table[0]) - 1) - (max(cells(row[-1]) for row in table) if scored else 0)
    widths = [fixed, *_shared(wanted[1:], room)]
    lines = []
    for row in table:
        parts = [padded(clipped(cell, wide), wide) for cell, wide in zip(row, widths, strict=False)]
        lines.append("  " + "  ".join([*parts, *row[len(heads) :]]).rstrip())
    return lines


def _below(changed: ChangedRows, rows: Sequence[EvaluatedRow], width: int, *, scored: bool) -> list[str]:
    heads = ["question", "expected", _flat(name(changed.other)), _flat(name(changed.model))]
    label = min(max(map(cells, heads)), 12)
    lines = []
    for row in rows:
        key, *said = [_flat(cell) for cell in row_cells(row, changed.other, changed.model)]
        pairs = list(zip(heads, said, strict=True))
        if scored:
            pairs.append(("score", scores_of(row, changed.metric, changed.other, changed.model)))
        block = [f"  row {key}", *(f"    {padded(clipped(head, label), label)}  {cell}" for head, cell in pairs)]
        lines += [clipped(line, width) for line in block]
    return lines


def _shared(wanted: Sequence[int], room: int) -> list[int]:
    """Return the widths of columns: what narrow ones do not need, the wide ones get."""
    widths, left = [0] * len(wanted), room
    order = sorted(range(len(wanted)), key=lambda n: wanted[n])
    for place, n in enumerate(order):
        widths[n] = max(min(wanted[n], left // (len(order) - place)), 4)
        left -= widths[n]
    return widths


def _confusion(report: LabelReport) -> list[str]:
    if not 1 < len(report.answered) <= _MATRIX or len(report.labels) > _MATRIX:
        return []
    columns = [["", *(_cut(each.label) for each in report.labels)]]
    for number, answered in enumerate(report.answered):
        columns.append(right([_cut(answered), *(f"{row[number]:,}" for row in report.confusion)]))
    return fitted(list(zip(*columns, strict=True)), 1 << 16, ())


def _cut(label: str) -> str:
    return clipped(_flat(label[:200]) or "(empty)", _LABEL)


def _flat(said: str) -> str:
    """Return what somebody said as one line of visible characters."""
    return " ".join(printable(said).split())
