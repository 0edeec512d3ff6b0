"""Answers get their scores: plain functions one after the other, those that wait several at a time."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from typing import Any, Final

import anyio
import anyio.lowlevel
import attrs

from gemtune.errors import GemtuneError, InvalidInput, MetricFailed
from gemtune.evaluation.values import ModelAnswer
from gemtune.loops import current_time
from gemtune.metrics.values import HeldOutRow, Metric, Scored

AT_ONCE: Final = 16
"""So many calls of a metric that waits are under way."""
_SLICE: Final = 0.01
"""Seconds for which plain functions hold the event loop before others have their turn."""


def metrics_of(given: object) -> tuple[Metric, ...]:
    """Return metrics from whatever ``client.evaluate`` takes, each under a name of its own.

    Raises:
        InvalidInput: It is none, or two have the same name.
    """
    several = [*given] if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    found = tuple(_metric_of(each) for each in several)
    if not found:
        raise InvalidInput("metrics is empty: name at least one", field="metrics")
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"metrics has two that are called {name!r}: give each its own name", field="metrics")
    return found


def _metric_of(given: Any) -> Metric:
    if isinstance(given, Metric):
        return given
    if isinstance(given, str):
        return Metric(name=given, score=lambda a, r: a.strip() == r.expected.strip(), kind="share", expects=True)
    return Metric(name=given.__name__, score=given, kind="mean")


@attrs.frozen(eq=False)
class ToScore:
    """One answer that is to get a score.

    Args:
        label: Which model's.
        place: The place of its row.
        row: The row.
        text: The answer.
    """

    label: str
    place: int
    row: HeldOutRow
    text: str


def to_score(
    rows: Sequence[HeldOutRow], answers: Iterable[tuple[str, Sequence[ModelAnswer | None]]]
) -> Iterator[ToScore]:
    """Yield every answer that there is."""
    for label, given in answers:
        for place, (row, answer) in enumerate(zip(rows, given, strict=True)):
            if answer is not None and answer.text is not None:
                yield ToScore(label, place, row, answer.text)


async def score(metric: Metric, answers: Iterable[ToScore], labels: Sequence[str], rows: int) -> dict[str, list[Any]]:
    """Return the scores of a metric by model, in the order of the rows; None for what has none.

    Raises:
        MetricFailed: The metric has raised, or returned no number; it names the metric, the row and the model.
    """
    scores: dict[str, list[Any]] = {label: [None] * rows for label in labels}
    rest, turn = iter(answers), current_time()
    for each in rest:
        found = _called(metric, each)
        if inspect.isawaitable(found):
            await _score_at_once(metric, each, found, rest, scores)
            break
        scores[each.label][each.place] = _checked(metric, each, found)
        if current_time() > turn + _SLICE:
            await anyio.lowlevel.checkpoint()
            turn = current_time()
    return scores


async def _score_at_once(
    metric: Metric, first: ToScore, begun: Awaitable[Scored], rest: Iterator[ToScore], scores: dict[str, list[Any]]
) -> None:
    """Score what is left by workers over one iterator; of the first answer, the call is under way."""
    failures: list[MetricFailed] = []

    async def work(each: ToScore | None, found: Any) -> None:
        try:
            while each is not None:
                scores[each.label][each.place] = _checked(metric, each, await _value(metric, each, found))
                each = next(rest, None)
                found = None if each is None else _called(metric, each)
        except MetricFailed as error:
            failures.append(error)
            tasks.cancel_scope.cancel()

    async def begin() -> None:
        each = next(rest, None)
        if each is not None:
            try:
                found = _called(metric, each)
            except MetricFailed as error:
                failures.append(error)
                tasks.cancel_scope.cancel()
            else:
                await work(each, found)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, first, begun)
        for _ in range(AT_ONCE - 1):
            tasks.start_soon(begin)
    if failures:
        raise failures[0]


async def _value(metric: Metric, each: ToScore, found: Any) -> object:
    try:
        return await found if inspect.isawaitable(found) else found
    except Exception as error:
        raise _failed(metric, each, f"raised {_said(error)}") from error


def _called(metric: Metric, each: ToScore) -> Any:
    try:
        return metric.score(each.text, each.row)
    except Exception as error:
        raise _failed(metric, each, f"raised {_said(error)}") from error


def _checked(metric: Metric, each: ToScore, value: object) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # numpy's and Decimal's as well
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, str) or not math.isfinite(number):
        raise _failed(metric, each, f"returned {value!r:.60}, which is no number; None means that it cannot say")
    return number


def _failed(metric: Metric, each: ToScore, what: str) -> MetricFailed:
    row = (
        f"row {each.row.number:,}"
        if each.row.key == each.row.number
        else f"row {each.row.number:,}, key {each.row.key!r}"
    )
    error = MetricFailed(f"the metric {metric.name} {what}; met at {row} with the answer of {each.label}")
    error.metric, error.key, error.label = metric.name, each.row.key, each.label
    return error


def _said(error: Exception) -> str:
    said = error.message if isinstance(error, GemtuneError) else str(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
