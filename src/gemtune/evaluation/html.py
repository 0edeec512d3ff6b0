"""An evaluation as HTML, for the cells of a notebook: no script, no network, one string; long parts can be folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gemtune.evaluation.picture import EvaluationPicture
from gemtune.evaluation.values import ChangedRows, EvaluatedModel, EvaluatedRow, EvaluationProgress
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
from gemtune.markup import bar, box, dot, escape, folded, line, table
from gemtune.metrics.report import LabelReport
from gemtune.metrics.values import Comparison, Metric, Score
from gemtune.metrics.verdicts import JudgeReport
from gemtune.show.palette import TONES, stroke
from gemtune.show.picture import Tone

MOST_CHANGED: Final = 20
"""Rows shown of those that became better, and of those that became worse, by each model and metric."""
MOST_LABELS: Final = 50
_MATRIX: Final = 16
_LONGEST: Final = 300
"""Characters of a question or an answer that a cell shows."""
_LEAST_SHARE: Final = 0.2
_WHISKER: Final = 120
"""How wide the picture of an interval is."""


def evaluation_html(picture: EvaluationPicture, note: str = "") -> str:
    """Return an evaluation: the models, the sentences that compare, and what can be unfolded.

    Args:
        picture: The evaluation.
        note: A sentence to put below it.
    """
    return box(
        line(f"<strong>{escape(heading(picture))}</strong>"),
        _models(picture),
        *(line(escape(judge_said(each, picture.currency)), dim=True) for each in picture.judges),
        *(comparison_html(each) for each in picture.comparisons),
        line(
            *(escape(f"{name(metric.name)}: {_brief(metric.about)}") for metric in picture.metrics if metric.about),
            dim=True,
        ),
        *_reports(picture),
        *(_changed(each, picture) for each in picture.changed),
        f"<p><i>{escape(note)}</i></p>" if note else "",
        label=f"evaluation: {heading(picture)}",
    )


def progress_html(progress: EvaluationProgress, note: str = "") -> str:
    """Return how far a running evaluation is: a bar and one line."""
    share = progress.done / progress.total if progress.total else None
    tone = Tone.GOOD if progress.ended else Tone.WAITING if progress.parked and not progress.in_flight else Tone.RUNNING
    held = progress.held_back if not progress.ended else ""
    return box(
        bar(share, TONES[tone].color),
        line("<strong>evaluation</strong>", *map(escape, progress_facts(progress))),
        line(escape(held), dim=True),
        f"<p><i>{escape(note)}</i></p>" if note else "",
        label="evaluation, running" if not progress.ended else "evaluation, ended",
    )


def comparison_html(comparison: Comparison) -> str:
    """Return the sentence that compares two models, with a dot in the colour that means the same."""
    tone = Tone.UNSEEN
    if comparison.rows and comparison.significant and comparison.difference:
        tone = Tone.GOOD if comparison.leads else Tone.BAD
    return f"<p>{dot(TONES[tone].color)}{escape(compared(comparison))}</p>"


def _models(picture: EvaluationPicture) -> str:
    if not picture.models:
        return ""
    several = len(picture.models) > 1
    columns = [("model", [_model(each, several and each.label == picture.baseline) for each in picture.models])]
    columns += [(name(metric.name), _scores(metric, picture)) for metric in picture.metrics]
    first = len(columns)
    columns += [(head, list(map(escape, said))) for head, said in model_facts(picture.models, picture.currency)]
    rows = list(zip(*(cells for _, cells in columns), strict=True))
    return table([head for head, _ in columns], rows, right=range(first, len(columns)))


def _model(model: EvaluatedModel, baseline: bool) -> str:
    said = f"<strong>{escape(name(model.label))}</strong>"
    full = _brief(model.model) if model.model != model.label else ""
    about = " · ".join(each for each in ("baseline" if baseline else "", escape(full)) if each)
    return f'{said}<br/><span class="dim">{about}</span>' if about else said


def _scores(metric: Metric, picture: EvaluationPicture) -> list[str]:
    scores = [model.scores.get(metric.name) for model in picture.models]
    low, high = _scale(metric, [score for score in scores if score is not None and score.value is not None])
    cells = []
    for number, (score, (value, between)) in enumerate(zip(scores, score_cells(metric, picture), strict=True)):
        aside = f' <span class="dim">{escape(between)}</span>' if between else ""
        drawn = _whisker(score, low, high, stroke(number).color) if score is not None and between else ""
        cells.append(f"<strong>{escape(value)}</strong>{aside}{f'<br/>{drawn}' if drawn else ''}")
    return cells


def _scale(metric: Metric, known: Sequence[Score]) -> tuple[float, float]:
    """Return from where to where intervals are drawn; of shares at least a fifth, or a little would look like much."""
    ends = [end for score in known for end in (score.low, score.value, score.high) if end is not None]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    if metric.kind != "mean" and high - low < _LEAST_SHARE:
        middle = min(max((low + high) / 2, _LEAST_SHARE / 2), 1 - _LEAST_SHARE / 2)
        low, high = middle - _LEAST_SHARE / 2, middle + _LEAST_SHARE / 2
    return low, high


def _whisker(score: Score, low: float, high: float, color: str) -> str:
    """Return a score and its interval as a dot on a line, on the scale of all models."""
    if score.value is None or score.low is None or score.high is None or not high > low:
        return ""
    at = [6 + (each - low) / (high - low) * (_WHISKER - 12) for each in (score.low, score.value, score.high)]
    label = escape(f"{score.value:.4g}, 95 % interval {score.low:.4g} to {score.high:.4g}")
    return (
        f'<svg viewBox="0 0 {_WHISKER} 12" width="{_WHISKER}" height="12" role="img" aria-label="{label}">'
        f'<line x1="1" x2="{_WHISKER - 1}" y1="6" y2="6" stroke="currentColor" stroke-opacity=".16"/>'
        f'<line x1="{at[0]:.1f}" x2="{at[2]:.1f}" y1="6" y2="6" stroke="{color}" stroke-width="2"/>'
        f'<circle cx="{at[1]:.1f}" cy="6" r="4" fill="{color}"/></svg>'
    )


def _reports(picture: EvaluationPicture) -> Iterator[str]:
    for model in picture.models:
        for metric, report in model.reports.items():
            if isinstance(report, LabelReport):
                yield folded(labels_heading(model.label, metric, report), labels_html(report))
            elif isinstance(report, JudgeReport):
                yield line(escape(judged(model.label, picture.baseline, metric, report)))


def labels_html(report: LabelReport) -> str:
    """Return how each label fares, and which are taken for which."""
    rows = [label_cells(escape(_label(each.label)), each) for each in report.labels[:MOST_LABELS]]
    rows += [label_cells(f'<span class="dim">{called}</span>', each) for called, each in averages(report)]
    more = f"and {len(report.labels) - MOST_LABELS:,} more labels" if len(report.labels) > MOST_LABELS else ""
    drawn = table(("label", "precision", "recall", "F1", "rows"), rows, right=range(1, 5)) if rows else ""
    return drawn + line(more, dim=True) + line(escape(strangers_said(report)), dim=True) + _confusion(report)


def _confusion(report: LabelReport) -> str:
    if not 1 < len(report.answered) <= _MATRIX or len(report.labels) > _MATRIX:
        return ""
    rows = []
    for each, counts in zip(report.labels, report.confusion, strict=True):
        most = max(sum(counts), 1)
        cells = [_count(count, count / most) for count in counts]
        rows.append((f"<strong>{escape(_label(each.label))}</strong>", *cells))
    heads = ("right ↓ given →", *map(_label, report.answered))
    return table(heads, rows, right=range(1, len(heads)))


def _count(count: int, share: float) -> str:
    if not count:
        return '<span class="dim">0</span>'
    paper = f"background:color-mix(in srgb,currentColor {round(30 * share)}%,transparent)"
    return f'<span style="{paper};padding:1px 6px;border-radius:3px">{count:,}</span>'


def _changed(changed: ChangedRows, picture: EvaluationPicture) -> str:
    scored, parts = says_scores(changed, picture), []
    for word, tone, rows in (("better", Tone.GOOD, changed.better), ("worse", Tone.BAD, changed.worse)):
        if rows:
            count = f"{len(rows):,} row{'s' if len(rows) != 1 else ''} {word}"
            more = f"and {len(rows) - MOST_CHANGED:,} more" if len(rows) > MOST_CHANGED else ""
            head = f"<p>{dot(TONES[tone].color)}<strong>{count}</strong></p>"
            parts.append(f"{head}{_answers(changed, rows, scored)}{line(more, dim=True)}")
    if not parts:
        return ""
    one, other, by = map(name, (changed.model, changed.other, changed.metric))
    counts = f"{len(changed.better):,} better, {len(changed.worse):,} worse"
    return folded(f"rows that changed from {other} to {one} ({by}): {counts}", *parts)


def _answers(changed: ChangedRows, rows: Sequence[EvaluatedRow], scored: bool) -> str:
    heads = ("row", "question", "expected", name(changed.other), name(changed.model), "score")
    cells = []
    for row in rows[:MOST_CHANGED]:
        said = [_brief(each) for each in row_cells(row, changed.other, changed.model)]
        said += [scores_of(row, changed.metric, changed.other, changed.model)] if scored else []
        cells.append([escape(each) for each in said])
    return table(heads if scored else heads[:-1], cells, wide=range(1, 5))


def _brief(said: str) -> str:
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


def _label(label: str) -> str:
    return (label if len(label) <= 40 else f"{label[:40]}…") or "(empty)"
