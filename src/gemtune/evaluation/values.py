"""What an evaluation says: one value per row, per model, and for all of it. Nothing here waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from gemtune.metrics.values import HeldOutRow, Score


@attrs.frozen(kw_only=True)
class ModelAnswer:
    """What one model made of one row.

    Args:
        text: The answer; empty if the model gave none (it was blocked), None if no answer could be had.
        error: Why none could be had; empty otherwise. Such a row has no score for this model.
        finish_reason: Why the answer ended, in the service's word.
        prompt_tokens: In the prompt; None if the service did not say.
        output_tokens: In the answer, thoughts included.
        latency: Seconds that its last request took; 0 if it was replayed from the journal.
        attempts: Requests made for it.
        replayed: Whether an earlier run brought it.
    """

    text: str | None = None
    error: str = ""
    finish_reason: str = ""
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    latency: float = 0.0
    attempts: int = 0
    replayed: bool = False


@attrs.frozen(kw_only=True, eq=False)
class EvaluatedRow:
    """One held-out row with every model's answer and its scores.

    Args:
        row: The row.
        answers: The answers, by the model's label.
        scores: By metric, then by the model's label; None for what has no score.
    """

    row: HeldOutRow
    answers: Mapping[str, ModelAnswer]
    scores: Mapping[str, Mapping[str, float | None]]


@attrs.frozen(kw_only=True, eq=False)
class EvaluatedModel:
    """What one model has reached over all rows.

    Args:
        label: What the evaluation calls it.
        model: Its name.
        scores: By metric.
        answered: Rows with an answer.
        failed: Rows for which none could be had.
        prompt_tokens: Of all rows.
        output_tokens: Of all rows.
        cost: What the rows cost by the prices that were given; None without prices.
        latency: The median seconds of a request; None if all were replayed.
        slowest: The 95th percentile of these seconds.
        reports: What else a metric says of it, such as a table of labels, by metric.
    """

    label: str
    model: str
    scores: Mapping[str, Score]
    answered: int
    failed: int
    prompt_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    latency: float | None = None
    slowest: float | None = None
    reports: Mapping[str, object] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True, eq=False)
class ChangedRows:
    """The rows on which one model does better or worse than another.

    Args:
        metric: By which metric.
        model: The label of the model.
        other: The label of what it is compared with.
        better: The rows that the model does better, the greatest change first.
        worse: The rows that it does worse, the greatest change first.
    """

    metric: str
    model: str
    other: str
    better: Sequence[EvaluatedRow] = ()
    worse: Sequence[EvaluatedRow] = ()


@attrs.frozen(kw_only=True)
class EvaluationProgress:
    """How far a running evaluation is.

    Args:
        done: Answers so far, of all models and the judge, those of earlier runs and those that failed included.
        failed: How many of them could not be had.
        total: Answers in all; None while unknown.
        models: By the model's label, or the judge's, if need be with a number: how many of its answers there are.
        in_flight: Requests under way.
        parked: What waits for the end of an outage or a push-back.
        rate: Answers a second, over the last half minute.
        eta: Seconds until the end; None while unknown.
        elapsed: Seconds since it began.
        tokens: Tokens of the prompts and the answers.
        held_back: What holds it back at present; empty if nothing does.
        ended: Whether it is over.
    """

    done: int = 0
    failed: int = 0
    total: int | None = None
    models: Mapping[str, int] = attrs.field(factory=dict)
    in_flight: int = 0
    parked: int = 0
    rate: float = 0.0
    eta: float | None = None
    elapsed: float = 0.0
    tokens: int = 0
    held_back: str = ""
    ended: bool = False


def unique(labels: Sequence[str]) -> Iterator[str]:
    """Yield labels, those that came before with a number."""
    taken = set()
    for label in labels:
        found, number = label, 1
        while found in taken:
            number += 1
            found = f"{label} ({number})"
        taken.add(found)
        yield found
