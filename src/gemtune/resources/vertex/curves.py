"""The curves of a training: where Vertex AI keeps them, and how they are read with one request per look.

A job names its experiment, from some moment on. From there it takes three steps, of which the first two are made once
for a job. The third is made again while a curve that must come is missing; for those that may come, ever more rarely,
and once when the job has ended::

    experiment  GET  …/contexts/E                     its TensorBoard
    run         GET  …/contexts?filter=…              the run, whose name is the name of the job's work
    series      GET  …/runs/R/timeSeries              one for each metric; eval curves come with the first evaluation
    points      GET  …/tensorboards/T:batchRead       all curves in one reply

A curve of more than 1,000 points is answered with a random sample of them, which would be steps that come and go. Such
a curve is exported instead, page by page, and from then on only exported.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from gemtune.protocol import vertex, vertex_names
from gemtune.protocol.call import Call
from gemtune.types.timestamp import Timestamp
from gemtune.types.vertex import CurvePoint

Send: TypeAlias = Callable[[Call[Any]], Awaitable[Any]]
"""Carries out a call in the way in which somebody looks."""

METRICS: Final[Mapping[str, str]] = {
    "/train_total_loss": "loss",
    "/preference_optimization_train_loss": "loss",
    "/train_fraction_of_correct_next_step_preds": "accuracy",
    "/train_num_predictions": "predictions",
    "/eval_total_loss": "eval_loss",
    "/eval_fraction_of_correct_next_step_preds": "eval_accuracy",
    "/eval_num_predictions": "eval_predictions",
}
"""What the curves are called, and what is measured in them."""

_MOST_RUNS: Final = 10_000
_MOST_PAGES: Final = 1000
_FIRST_SEARCH: Final = 4
"""Readings after which a curve that may come is looked for; then after twice as many, and so on."""


@attrs.define
class CurveStep:
    """What was measured at one step.

    Args:
        step: The step, from 1.
        time: When the loss was measured.
        values: What was measured, by the words of ``METRICS``.
    """

    step: int
    time: Timestamp | None = None
    values: dict[str, float] = attrs.field(factory=dict)


@attrs.define
class _Series:
    """The curves of one run: their names by what is measured, and those that are too long to be read at once."""

    names: dict[str, str]
    long: set[str] = attrs.field(factory=set)
    readings: int = 0
    sought_last: bool = False

    def is_sought(self, expected: frozenset[str], *, ended: bool) -> bool:
        """Return whether curves are to be looked for that were not there at the last search."""
        if not expected <= self.names.keys():
            return True
        evaluated = "eval_loss" in expected
        if all(word in self.names for word in METRICS.values() if evaluated or not word.startswith("eval_")):
            return False
        if ended:
            return not self.sought_last
        return self.readings >= _FIRST_SEARCH and self.readings & (self.readings - 1) == 0


@attrs.define(eq=False)
class Curves:
    """Finds and reads curves, and remembers where those are that it has read."""

    _runs: dict[str, str] = attrs.field(factory=dict, init=False)
    _known: dict[str, _Series] = attrs.field(factory=dict, init=False)

    async def of(
        self, experiment: str, expected: frozenset[str], send: Send, *, ended: bool = False
    ) -> list[CurveStep]:
        """Return what was measured so far in an experiment, by step; nothing as long as its run is not there.

        Args:
            experiment: The experiment as the job names it.
            expected: As for ``read``.
            send: Carries out the calls.
            ended: As for ``read``.

        Raises:
            CallError: It could not be read.
        """
        run = self._runs.get(experiment) or await self.find(experiment, send)
        if run is None:
            return []
        if len(self._runs) >= _MOST_RUNS and experiment not in self._runs:
            self._runs.pop(next(iter(self._runs)))
        self._runs[experiment] = run
        return await self.read(run, expected, send, ended=ended)

    async def find(self, experiment: str, send: Send) -> str | None:
        """Return the run of a job's experiment, or None as long as it is not there.

        Args:
            experiment: The experiment as the job names it.
            send: Carries out the calls.

        Raises:
            CallError: It could not be found out.
        """
        name = vertex_names.context(experiment)
        if name is None:
            return None
        context = await send(vertex.get_context(name))
        board = vertex_names.tensorboard(context.metadata.get("backing_tensorboard_resource"))
        if board is None:
            return None
        runs = (vertex_names.run(board, name, each.name) for each in await send(vertex.list_runs(name)))
        return next((run for run in runs if run is not None), None)

    async def read(self, run: str, expected: frozenset[str], send: Send, *, ended: bool = False) -> list[CurveStep]:
        """Return what was measured so far, by step.

        Args:
            run: The run.
            expected: What must be measured some day; as long as a curve for it is missing, it is looked for.
            send: Carries out the calls.
            ended: Whether the job has ended, so that this is the last moment to find a curve.

        Raises:
            CallError: It could not be read.
        """
        series = self._known.get(run)
        if series is None or series.is_sought(expected, ended=ended):
            series = await self._list(run, series, send)
            series.sought_last = ended
        series.readings += 1
        steps: dict[int, CurveStep] = {}
        metric_of = {name.rpartition("/")[2]: metric for metric, name in series.names.items()}
        short = [name for metric, name in series.names.items() if metric not in series.long]
        for data in await send(vertex.read_time_series(short)) if short else ():
            metric = metric_of.get(data.tensorboard_time_series_id)
            if metric is not None and len(data.values) >= vertex.SAMPLED_ABOVE:
                series.long.add(metric)
            elif metric is not None:
                _add(steps, metric, data.values)
        for metric in sorted(series.long):
            _add(steps, metric, await _export(series.names[metric], send))
        return [steps[step] for step in sorted(steps)]

    async def _list(self, run: str, known: _Series | None, send: Send) -> _Series:
        names = {}
        for each in await send(vertex.list_time_series(run)):
            metric, name = METRICS.get(each.display_name), vertex_names.time_series(each.name)
            if metric is not None and name is not None:
                names[metric] = name
        if run not in self._known and len(self._known) >= _MOST_RUNS:  # the one found first is the likeliest to be over
            self._known.pop(next(iter(self._known)))
        long, readings = (known.long & names.keys(), known.readings) if known is not None else (set(), 0)
        self._known[run] = _Series(names, long, readings)
        return self._known[run]


async def _export(name: str, send: Send) -> list[CurvePoint]:
    points: list[CurvePoint] = []
    token: str | None = None
    for _ in range(_MOST_PAGES):
        page = await send(vertex.export_time_series(name, page_token=token))
        points += page
        token = page.next_page_token
        if token is None:
            break
    return points


def _add(steps: dict[int, CurveStep], metric: str, points: Iterable[CurvePoint]) -> None:
    for point in points:
        if point.step > 0 and point.scalar is not None:
            at = steps.setdefault(point.step, CurveStep(point.step))
            at.values[metric] = point.scalar.value
            if metric == "loss" or at.time is None:
                at.time = point.wall_time
