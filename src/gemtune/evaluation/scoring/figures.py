"""The figures of one model: what its answers and scores of all rows come to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs

from gemtune.errors import MetricFailed
from gemtune.evaluation.asking import Inquiry
from gemtune.evaluation.scoring.functions import said_of
from gemtune.evaluation.values import EvaluatedModel, EvaluatedRow
from gemtune.metrics.statistics import score_of
from gemtune.metrics.values import Metric
from gemtune.money import MILLION

Scores = Mapping[str, Mapping[str, Sequence[float | None]]]
"""By metric, then by the model's label, in the order of the rows."""


def figures_of(inquiry: Inquiry) -> EvaluatedModel:
    """Return what asking a model, or a judge, has brought; without scores."""
    answers = [each for each in inquiry.answers if each is not None]
    asked = sum(each.prompt_tokens or 0 for each in answers)
    answered = sum(each.output_tokens or 0 for each in answers)
    seconds = sorted(each.latency for each in answers if not each.replayed and each.attempts)
    texts = sum(each.text is not None for each in answers)
    return EvaluatedModel(
        label=inquiry.label,
        model=inquiry.model,
        scores={},
        answered=texts,
        failed=len(answers) - texts,
        prompt_tokens=asked,
        output_tokens=answered,
        cost=_cost(inquiry, asked, answered),
        latency=_quantile(seconds, 0.5),
        slowest=_quantile(seconds, 0.95),
    )


def _cost(inquiry: Inquiry, asked: int, answered: int) -> float | None:
    if inquiry.price is None:
        return None
    return inquiry.share * (asked * inquiry.price[0] + answered * inquiry.price[1]) / MILLION


def with_scores(
    model: EvaluatedModel, metrics: Sequence[Metric], rows: Sequence[EvaluatedRow], scores: Scores
) -> EvaluatedModel:
    """Return a model with what its scores come to, and what else the metrics say of it.

    Args:
        model: The model.
        metrics: By what the answers were scored.
        rows: The rows, with its answers.
        scores: All scores.

    Raises:
        MetricFailed: What a metric says of all answers raised.
    """
    pairs = [
        (answer.text, row.row.expected)
        for row in rows
        for answer in [row.answers[model.label]]
        if answer.text is not None and row.row.expected
    ]
    return attrs.evolve(
        model,
        scores={each.name: score_of(scores[each.name][model.label], each.kind, bounds=each.bounds) for each in metrics},
        reports={each.name: _reported(each, pairs, model.label) for each in metrics if each.report is not None},
    )


def _reported(metric: Metric, pairs: list[tuple[str, str]], label: str) -> object:
    try:
        return metric.report(pairs) if metric.report is not None else None
    except Exception as error:
        failed = MetricFailed(f"the report of {metric.name} on the answers of {label} raised {said_of(error)}")
        failed.metric, failed.label = metric.name, label
        raise failed from error


def scored_rows(rows: Sequence[EvaluatedRow], metrics: Sequence[Metric], scores: Scores) -> tuple[EvaluatedRow, ...]:
    """Return rows with their scores."""
    columns = [(each.name, [*scores[each.name].items()]) for each in metrics]
    return tuple(
        EvaluatedRow(
            row=row.row,
            answers=row.answers,
            scores={name: {label: column[place] for label, column in of_models} for name, of_models in columns},
        )
        for place, row in enumerate(rows)
    )


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the least number that so large a share of them does not exceed; None if there are none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
