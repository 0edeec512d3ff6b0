"""Answers get their scores: plain functions one after the other, those that wait several at a time."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

import anyio
import anyio.lowlevel
import attrs
from anyio.abc import TaskGroup

from gemtune.errors import GemtuneError, InvalidInput, MetricFailed
from gemtune.evaluation.values import EvaluatedRow
from gemtune.loops import current_time
from gemtune.metrics.statistics import as_score
from gemtune.metrics.values import SCORES_OF, HeldOutRow, Metric, Scored
from gemtune.remedy import Argument, Remedy

AT_ONCE: Final = 16
"""So many calls of a metric that waits are under way."""
_SLICE: Final = 0.01
"""Seconds for which plain functions hold the event loop before others have their turn."""

_Scores: TypeAlias = "dict[str, list[float | None]]"
"""By model, in the order of the rows; None for what has none."""


def check_expected(rows: Sequence[HeldOutRow], metrics: Sequence[Metric]) -> None:
    """Refuse rows without the right answer if a metric compares with it, or if it could score none of them.

    Raises:
        InvalidInput: There are such rows.
    """
    _check_answered(rows, metrics)
    for metric in metrics:
        scorer: Any = metric.score
        if hasattr(scorer, "can_read") and not any(scorer.can_read(row.expected) for row in rows):
            raise InvalidInput(
                f"data: no row expects {scorer.reads}, which is what {metric.name} compares with",
                Remedy("choose another metric"),
                field="data",
            )


def _check_answered(rows: Sequence[HeldOutRow], metrics: Sequence[Metric]) -> None:
    needs = [metric.name for metric in metrics if metric.expects]
    lacking = [row for row in rows if not row.expected] if needs else []
    if not lacking:
        return
    first = lacking[0]
    many = "no row has" if len(lacking) == len(rows) else f"{len(lacking):,} of {len(rows):,} rows, the first in row"
    what = f"data: {many} " + ("an" if len(lacking) == len(rows) else f"{first.number:,}, have no") + " expected answer"
    raise InvalidInput(
        f"{what}, with which {' and '.join(needs)} compare{'s' if len(needs) == 1 else ''}",
        Remedy("name its column with ", Argument("output")),
        Remedy("choose another metric, such as a judge"),
        field="data",
        row=first.number,
    )


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


def to_score(rows: Sequence[EvaluatedRow], labels: Sequence[str]) -> Iterator[ToScore]:
    """Yield every answer that there is, one model after the other."""
    for label in labels:
        for place, row in enumerate(rows):
            text = row.answers[label].text
            if text is not None:
                yield ToScore(label, place, row.row, text)


async def score(metric: Metric, rows: Sequence[EvaluatedRow], labels: Sequence[str]) -> _Scores:
    """Return the scores of a metric by model, in the order of the rows; None for what has none.

    Raises:
        MetricFailed: The metric has raised, or returned no number; it names the metric, the row and the model.
    """
    scores: _Scores = {label: [None] * len(rows) for label in labels}
    rest, turn = to_score(rows, labels), current_time()
    for each in rest:
        found = _called(metric, each)
        if inspect.isawaitable(found):
            # A metric that waits once waits for every answer, and then several are scored at a time.
            await _AtOnce(metric, rest, scores).run(each, found)
            break
        _keep(scores, metric, each, found)
        if current_time() > turn + _SLICE:
            await anyio.lowlevel.checkpoint()
            turn = current_time()
    return scores


@attrs.define(eq=False)
class _AtOnce:
    """Workers over one iterator, for a metric that waits."""

    metric: Metric
    rest: Iterator[ToScore]
    scores: _Scores
    failure: MetricFailed | None = None

    async def run(self, first: ToScore, begun: Awaitable[Scored]) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._work, tasks, first, begun)
                for _ in range(AT_ONCE - 1):
                    tasks.start_soon(self._work, tasks, None, None)
        finally:
            if inspect.iscoroutine(begun):
                begun.close()  # perhaps its worker was cancelled before it began
        if self.failure is not None:
            raise self.failure

    async def _work(self, tasks: TaskGroup, each: ToScore | None, found: Any) -> None:
        turn = current_time()
        try:
            if each is None and (each := next(self.rest, None)) is not None:
                found = _called(self.metric, each)
            while each is not None:
                _keep(self.scores, self.metric, each, await _value(self.metric, each, found))
                if current_time() > turn + _SLICE:  # an async function may compute, and never wait
                    await anyio.lowlevel.checkpoint()
                    turn = current_time()
                each = next(self.rest, None)
                found = None if each is None else _called(self.metric, each)
        except MetricFailed as error:
            self.failure = self.failure or error
            tasks.cancel_scope.cancel()


async def _value(metric: Metric, each: ToScore, found: Any) -> object:
    try:
        return await found if inspect.isawaitable(found) else found
    except Exception as error:
        raise _failed(metric, each, f"raised {said_of(error)}") from error
    except anyio.get_cancelled_exc_class() as error:
        if anyio.current_effective_deadline() == -math.inf:  # we are cancelled, or the evaluation is
            raise
        # A task of its own was, and to let that pass would end the worker, and leave answers without a score.
        raise _failed(metric, each, f"raised {said_of(error)}") from error


def _called(metric: Metric, each: ToScore) -> Any:
    try:
        return metric.score(each.text, each.row)
    except (Exception, anyio.get_cancelled_exc_class()) as error:  # it has not waited, so it is no cancellation of ours
        raise _failed(metric, each, f"raised {said_of(error)}") from error


def _keep(scores: _Scores, metric: Metric, each: ToScore, value: object) -> None:
    try:
        found = as_score(value)
    except InvalidInput as error:
        raise _failed(metric, each, f"returned no score: {error.message}") from None
    except Exception as error:  # of a number of somebody's own, such as a tensor with two elements
        raise _failed(metric, each, f"returned no score: as a number it raised {said_of(error)}") from error
    allowed = SCORES_OF.get(metric.kind)
    if found is not None and allowed and found not in allowed:
        wanted = " or ".join(f"{each:g}" for each in allowed)
        raise _failed(metric, each, f"returned {found:g}, and a score of the kind {metric.kind!r} is {wanted}")
    if found is not None and metric.bounds is not None and not _within(found, *metric.bounds):
        low, high = metric.bounds
        raise _failed(metric, each, f"returned {found:g}, and its bounds are {low:g} and {high:g}")
    scores[each.label][each.place] = found


def _within(score: float, low: float, high: float) -> bool:
    near = 1e-9 * (high - low)  # 1.0000000000000002 is 1 to whoever adds up tenths
    return low - near <= score <= high + near


def _failed(metric: Metric, each: ToScore, what: str) -> MetricFailed:
    row = each.row
    key = "" if row.key == row.number else f", key {row.key!r}"
    error = MetricFailed(
        f"the metric {metric.name} {what}; met at row {row.number:,}{key}, with the answer of {each.label}"
    )
    error.metric, error.key, error.label = metric.name, row.key, each.label
    return error


def said_of(error: BaseException) -> str:
    """Return what somebody's function raised, with its type."""
    said = ""
    with suppress(Exception):  # somebody's own error may not even be able to say what it is
        said = error.message if isinstance(error, GemtuneError) else str(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
