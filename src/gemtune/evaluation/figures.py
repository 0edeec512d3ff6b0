"""The figures of one model, and of two beside each other: what the answers and scores of all rows come to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gemtune.evaluation.asking import Inquiry
from gemtune.evaluation.values import EvaluatedModel, ModelAnswer
from gemtune.metrics.values import Comparison, HeldOutRow, Metric, Score
from gemtune.money import MILLION


def figures_of(
    inquiry: Inquiry,
    rows: Sequence[HeldOutRow],
    metrics: Sequence[Metric],
    scores: Mapping[str, Mapping[str, Sequence[float | None]]],
) -> EvaluatedModel:
    """Return what one model, or a judge, has reached.

    Args:
        inquiry: Its questions and answers.
        rows: The rows, as far as they are those of its questions; empty for a judge.
        metrics: What was scored.
        scores: The scores by metric, then by model.
    """
    label, answers = inquiry.label, [each for each in inquiry.answers if each is not None]
    asked, answered = (sum(tokens or 0 for tokens in column) for column in _tokens(answers))
    seconds = sorted(each.latency for each in answers if not each.replayed and each.attempts)
    given = [each for each in metrics if label in scores.get(each.name, {})]
    return EvaluatedModel(
        label=label,
        model=inquiry.model,
        scores={each.name: scored(each, scores[each.name][label]) for each in given},
        answered=sum(each.text is not None for each in answers),
        failed=sum(each.text is None for each in answers),
        prompt_tokens=asked,
        output_tokens=answered,
        cost=None if inquiry.price is None else (asked * inquiry.price[0] + answered * inquiry.price[1]) / MILLION,
        latency=_quantile(seconds, 0.5),
        slowest=_quantile(seconds, 0.95),
        reports={each.name: each.report(_pairs(rows, inquiry)) for each in given if each.report is not None},
    )


def _tokens(answers: Sequence[ModelAnswer]) -> tuple[list[int | None], list[int | None]]:
    return [each.prompt_tokens for each in answers], [each.output_tokens for each in answers]


def _pairs(rows: Sequence[HeldOutRow], inquiry: Inquiry) -> list[tuple[str, str]]:
    """Return the answers with what was expected, of rows that have both."""
    return [
        (answer.text, row.expected)
        for row, answer in zip(rows, inquiry.answers, strict=True)
        if answer is not None and answer.text is not None and row.expected
    ]


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the least number that so large a share of them does not exceed; None if there are none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def scored(_: Metric, scores: Sequence[float | None]) -> Score:
    found = [each for each in scores if each is not None]
    return Score(value=sum(found) / len(found) if found else None, rows=len(found))


def compared(metric: Metric, model: str, other: str, pairs: Sequence[tuple[Any, Any]]) -> Comparison:
    both = [(one, two) for one, two in pairs if one is not None and two is not None]
    count = max(1, len(both))
    one, two = sum(each[0] for each in both) / count, sum(each[1] for each in both) / count
    up, down = sum(a > b for a, b in both), sum(a < b for a, b in both)
    better, worse = (up, down) if metric.better == "higher" else (down, up)
    return Comparison(
        metric=metric.name, model=model, other=other, value=one, other_value=two, difference=one - two, low=one - two,
        high=one - two, p=1.0, rows=len(both), better=better, worse=worse, test="", direction=metric.better,
    )  # fmt: skip
