"""What is said of an evaluation, in words and figures: the sentence that compares, and the cells of its table.

A figure has as many decimals as its interval makes sense of, the same in the whole column: 0.91 on a hundred rows,
0.913 on ten thousand. What is not known is a dash.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from gemtune.evaluation.picture import EvaluationPicture
from gemtune.evaluation.values import ChangedRows, EvaluatedModel, EvaluatedRow, EvaluationProgress, ModelAnswer
from gemtune.metrics.report import LabelReport, LabelScore
from gemtune.metrics.values import Comparison, Metric, Score
from gemtune.metrics.verdicts import JudgeReport
from gemtune.show.progress import duration

UNKNOWN: Final = "\N{EN DASH}"
"""What stands in the place of a figure that nobody knows."""
FEW: Final = 50
"""Rows below which a difference that cannot be seen may well be there."""
_NAME: Final = 48
_STRANGERS: Final = 3
_LONGEST: Final = 2000
"""Characters of an answer that are looked at: no cell shows more."""


def compared(comparison: Comparison) -> str:
    """Return a comparison as a sentence, which claims no more than the paired test allows.

    The interval is an approximation, and of few rows it may leave out 0 where the exact test says p = 0.12. An
    advantage of "0.20 ±0.19" would claim what the test does not, so it is said only if both say the same.

    Example:
        ``tuned is better than base: exact_match 0.91 against 0.78, ±0.05, p = 0.002 on 120 rows``
    """
    one, other, metric = map(name, (comparison.model, comparison.other, comparison.metric))
    rows = comparison.rows
    if not rows or comparison.value is None or comparison.other_value is None:
        return f"{one} and {other} cannot be compared by {metric}: no row has a score of both"
    low, high = comparison.low, comparison.high
    half = None if low is None or high is None else (high - low) / 2
    places = decimals([] if half is None else [half], [comparison.value, comparison.other_value])
    values = f"{metric} {comparison.value:.{places}f} against {comparison.other_value:.{places}f}"
    counted = f"{rows:,} row{'s' if rows != 1 else ''}"
    if not comparison.better and not comparison.worse and not comparison.difference:
        both = f"all {counted}" if rows > 1 else "the only row"
        return f"{one} and {other} do equally well on {both}: {metric} {comparison.value:.{places}f}"
    about = f" ±{half:.{places}f}," if half is not None and _agree(comparison) else ""
    figures = f"{values},{about} {_said_p(comparison.p)} on {counted}"
    if comparison.significant and comparison.difference:
        return f"{one} is {'better' if comparison.leads else 'worse'} than {other}: {figures}"
    few = " on so few rows" if rows < FEW else ""
    return f"no difference between {one} and {other} can be told from chance{few}: {figures}"


def _agree(comparison: Comparison) -> bool:
    """Return whether the interval leaves out 0 if the test finds a difference, and holds it if the test finds none."""
    low, high = comparison.low or 0.0, comparison.high or 0.0
    return comparison.significant == (low > 0 or high < 0)


def name(said: str) -> str:
    """Return what somebody called a model, a metric or a label, as one line that a sentence can bear."""
    flat = " ".join(said[:_NAME].split())
    return f"{flat[: _NAME - 1]}…" if len(said) > _NAME else flat


def decimals(halves: Iterable[float], values: Iterable[float]) -> int:
    """Return how many decimals figures are worth: to the first digit of the narrowest half interval, two at least.

    Args:
        halves: Half the width of each interval.
        values: The figures; of large ones no decimals are needed.
    """
    narrow = min((half for half in halves if half > 0 and math.isfinite(half)), default=0.0)
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    least = 2 if largest < 10 else 1 if largest < 100 else 0
    return max(min(-math.floor(math.log10(narrow)) if narrow else least, 6), least)


def score_places(scores: Iterable[Score]) -> int:
    """Return the decimals of a metric's column."""
    known = [score for score in scores if score.value is not None]
    halves = [(score.high - score.low) / 2 for score in known if score.high is not None and score.low is not None]
    return decimals(halves, [score.value for score in known if score.value is not None])


def score_cell(score: Score | None, places: int) -> tuple[str, str]:
    """Return a score, and its 95 % interval in short; a dash and nothing if it is unknown."""
    if score is None or score.value is None or not math.isfinite(score.value):
        return UNKNOWN, ""
    value = f"{score.value:.{places}f}"
    if score.low is None or score.high is None:
        return value, ""
    between = " to " if score.low < 0 else "\N{EN DASH}"
    return value, f"{score.low:.{places}f}{between}{score.high:.{places}f}"


def score_cells(metric: Metric, picture: EvaluationPicture) -> list[tuple[str, str]]:
    """Return the cells of a metric's column: for each model its score and its interval.

    Against itself the baseline wins half of the rows by definition, of which there is no interval.
    """
    scores = [model.scores.get(metric.name) for model in picture.models]
    places = score_places(score for score in scores if score is not None)
    cells = [score_cell(score, places) for score in scores]
    itself = [metric.kind == "wins" and model.label == picture.baseline for model in picture.models]
    return [(value, "" if alone else between) for (value, between), alone in zip(cells, itself, strict=True)]


def money_places(costs: Iterable[float | None]) -> int:
    """Return the decimals of a column of amounts: two, and as many more as the least needs to be seen."""
    least = min((cost for cost in costs if cost is not None and cost > 0), default=1.0)
    return 2 if least >= 1 else min(max(2, 1 - math.floor(math.log10(least))), 6)


def money(cost: float | None, currency: str, places: int | None = None) -> str:
    """Return an amount in its currency.

    Args:
        cost: The amount.
        currency: The currency.
        places: The decimals; by default as many as the amount needs to be seen.
    """
    if cost is None:
        return UNKNOWN
    return f"{cost:,.{money_places([cost]) if places is None else places}f} {currency[:20]}".rstrip()


def seconds(value: float | None) -> str:
    """Return how long a request took: ``0.42 s``."""
    if value is None:
        return UNKNOWN
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s" if value < 100 else duration(value)


def heading(picture: EvaluationPicture) -> str:
    """Return what was compared: ``2 models on 120 held-out rows``."""
    models, rows = len(picture.models), picture.rows
    return f"{models:,} model{'s' if models != 1 else ''} on {rows:,} held-out row{'s' if rows != 1 else ''}"


def model_facts(models: Sequence[EvaluatedModel], currency: str) -> list[tuple[str, list[str]]]:
    """Return the columns behind the metrics, each with its heading: answered rows, tokens, cost, median time."""
    places = money_places(model.cost for model in models)
    costs = [money(model.cost, currency, places) for model in models]
    return [
        ("answered", [_answered(model) for model in models]),
        ("tokens in", [f"{model.prompt_tokens:,}" if model.prompt_tokens else UNKNOWN for model in models]),
        ("tokens out", [f"{model.output_tokens:,}" if model.output_tokens else UNKNOWN for model in models]),
        # Without prices there is no such column.
        *([("cost", costs)] if any(model.cost is not None for model in models) else []),
        ("median time", [seconds(model.latency) for model in models]),
    ]


def _answered(model: EvaluatedModel) -> str:
    return f"{model.answered:,} of {model.answered + model.failed:,}" if model.failed else f"{model.answered:,}"


def judge_said(judge: EvaluatedModel, currency: str) -> str:
    """Return what a judge was asked and has cost: ``judge: gemini-3.7-flash gave 240 verdicts, 12,345 tokens``."""
    failed = f", {judge.failed:,} failed" if judge.failed else ""
    tokens = judge.prompt_tokens + judge.output_tokens
    said = [f"{judge.answered:,} replies{failed}", f"{tokens:,} tokens" if tokens else ""]
    said += [money(judge.cost, currency) if judge.cost is not None else ""]
    return f"{name(judge.label)} ({name(judge.model)}): {', '.join(each for each in said if each)}"


def judged(model: str, other: str, metric: str, report: JudgeReport) -> str:
    """Return how a judge's verdicts fell, with the doubtful ones: ``tuned against base by judge: 62 wins, 27 ties``."""
    said = [
        f"{count:,} {one if count == 1 else many}"
        for count, one, many in (
            (report.wins, "win", "wins"),
            (report.ties, "tie", "ties"),
            (report.losses, "loss", "losses"),
        )
    ]
    doubts = [f"{report.biased:,} of the ties because the order changed the verdict" if report.biased else ""]
    rows = f"{report.unreadable:,} row{'s' if report.unreadable != 1 else ''}"
    doubts += [f"{rows} without a verdict" if report.unreadable else ""]
    verdicts = "; ".join([", ".join(said), *(each for each in doubts if each)])
    return f"{name(model)} against {name(other)} by {name(metric)}: {verdicts}"


def averages(report: LabelReport) -> list[tuple[str, LabelScore]]:
    """Return the last rows of a table of labels: what they come to on average."""
    found = [("mean", report.macro), ("weighted by rows", report.weighted)]
    return [(called, score) for called, score in found if score is not None]


def label_cells(called: str, each: LabelScore) -> tuple[str, ...]:
    """Return a row of a table of labels: what it is called, precision, recall, F1, and its rows."""
    figures = (each.precision, each.recall, each.f1)
    return (called, *(UNKNOWN if value is None else f"{value:.2f}" for value in figures), f"{each.rows:,}")


def labels_heading(model: str, metric: str, report: LabelReport) -> str:
    """Return what stands above a table of labels: ``labels of tuned (labels, macro F1 0.83)``."""
    macro = f", macro F1 {report.macro_f1:.2f}" if report.macro_f1 is not None else ""
    return f"labels of {name(model)} ({name(metric)}{macro})"


def strangers_said(report: LabelReport) -> str:
    """Return which answers are none of the labels; empty if all are."""
    if not report.unknown:
        return ""
    few = ", ".join(f"{' '.join(said[:_NAME].split())!r} {count:,} ×" for said, count in report.strangers[:_STRANGERS])
    are = "answer is" if report.unknown == 1 else "answers are"
    return f"{report.unknown:,} {are} none of the labels" + (f": {few}" if few else "")


def answer_text(answer: ModelAnswer | None) -> str:
    """Return an answer for a cell: cut, or why there is nothing to read."""
    if answer is None or answer.text is None:
        why = f": {answer.error[:_LONGEST]}" if answer is not None and answer.error else ""
        return f"(no answer{why})"
    return answer.text[:_LONGEST] if answer.text.strip() else "(empty)"


def row_cells(row: EvaluatedRow, other: str, model: str) -> tuple[str, str, str, str, str]:
    """Return a row's key, question, right answer, and the answers of two models."""
    return (
        str(row.row.key)[:_LONGEST],
        row.row.question[:_LONGEST],
        row.row.expected[:_LONGEST],
        answer_text(row.answers.get(other)),
        answer_text(row.answers.get(model)),
    )


def says_scores(changed: ChangedRows, picture: EvaluationPicture) -> bool:
    """Return whether changed rows have their scores beside them; of shares, better or worse says it already."""
    metric = picture.metric(changed.metric)
    return metric is None or metric.kind == "mean"


def scores_of(row: EvaluatedRow, metric: str, other: str, model: str) -> str:
    """Return how a row's score changed: ``0.50 → 0.83``."""
    scores = row.scores.get(metric, {})
    return " → ".join(UNKNOWN if (each := scores.get(label)) is None else f"{each:.2f}" for label in (other, model))


def progress_facts(progress: EvaluationProgress) -> list[str]:
    """Return how far a running evaluation is, how fast it goes, and what each model has."""
    total = f" of {progress.total:,}" if progress.total is not None else ""
    said = [f"{progress.done:,}{total} answers", f"{progress.failed:,} failed" if progress.failed else ""]
    if len(progress.models) > 1:
        said.append(", ".join(f"{label} {count:,}" for label, count in progress.models.items()))
    if progress.ended:
        said.append(f"took {duration(progress.elapsed)}" if progress.elapsed >= 1 else "took less than a second")
    else:
        said += [f"{progress.in_flight:,} in flight" if progress.in_flight else ""]
        said += [f"{progress.parked:,} parked" if progress.parked else ""]
        said += [f"{progress.rate:.3g}/s" if progress.rate else ""]
        said += [f"{duration(progress.eta)} left" if progress.eta else ""]
    said += [f"{progress.tokens:,} tokens" if progress.tokens else ""]
    return [each for each in said if each]


def _said_p(p: float) -> str:
    if p < 0.001:
        return "p < 0.001"
    if p >= 0.1:
        return f"p = {p:.2f}"
    # Rounded to 0.050 it would seem to be on the other side of the line.
    return f"p = {p:.3f}" if round(p, 3) != 0.05 or p >= 0.05 else f"p = {math.floor(p * 10000) / 10000:.4f}"
