"""Sweep: what users hold. What it does is in ``running``; what it is asked to do, in ``options``."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import anyio.to_thread
import attrs

from gemtune.background import Background
from gemtune.errors import InvalidInput, MisuseError
from gemtune.jobs import TuningJob
from gemtune.metrics.values import Metric
from gemtune.notebook.live import said_if_left
from gemtune.remedy import Argument, Remedy
from gemtune.resources.storage import Storage
from gemtune.sweep.asked.options import SweepSpec
from gemtune.sweep.events import SweepEvent
from gemtune.sweep.journal.folder import SweepJournal
from gemtune.sweep.plan import SweepPlan, planned
from gemtune.sweep.point import PointPicture, PointState, SweepPicture
from gemtune.sweep.running.asking import EvaluationCosts
from gemtune.sweep.running.board import SweepBoard
from gemtune.sweep.running.budget import BudgetLedger, PointCosts
from gemtune.sweep.running.data import PlacedData, SweepData, read_sweep_data
from gemtune.sweep.running.parts import SweepParts, SweepService
from gemtune.sweep.running.runner import SweepRun
from gemtune.sweep.shown import ShownSweep
from gemtune.sweep.space import hyperparameters_of

if TYPE_CHECKING:
    from gemtune.evaluation.result import Evaluation

_log = logging.getLogger("gemtune.sweep")
_EPOCHS: Final = 5
"""What the Gemini API takes if nobody says how many."""
_ONCE: Final = "a sweep runs once: make another, with the same journal to resume"
_LEFT: Final = "left; the jobs continue. The same call with the same journal takes them up again"
_LEFT_FOR_GOOD: Final = "left; the jobs continue, but no sweep can take them up again without a journal"


@attrs.frozen(kw_only=True)
class SweepStatistics:
    """What a sweep has done so far, in this run.

    Args:
        points: How many points are in which state.
        created: Creations that were sent.
        refused: How many of these were refused because the quota is used up.
        cancelled: Cancellations that were sent.
        requests: The watcher's requests, by method.
        steps: Steps done by all points, in all runs.
        saved_steps: Steps that were not taken because points were stopped.
        tokens: Training tokens that are spent or reserved.
        waiting_for: What holds the sweep back at present; empty if nothing does.
    """

    points: Mapping[PointState, int]
    created: int = 0
    refused: int = 0
    cancelled: int = 0
    requests: Mapping[str, int] = attrs.field(factory=dict)
    steps: int = 0
    saved_steps: int = 0
    tokens: int = 0
    waiting_for: str = ""


@attrs.define(eq=False, repr=False)
class SweepFacts(ShownSweep):
    """What is known of a sweep; nothing here is asked, and nothing waits."""

    _spec: SweepSpec
    _service: SweepService
    _storage: Callable[[], Storage]
    _data: SweepData | None = attrs.field(default=None, init=False)
    _run: SweepRun | None = attrs.field(default=None, init=False)
    _background: Background | None = attrs.field(default=None, init=False)

    def __repr__(self) -> str:
        states = Counter(each.state.value for each in self.points)
        said = ", ".join(f"{count} {state}" for state, count in states.items())
        return f"<Sweep over {self._spec.base_name}: {said or 'not begun'}>"

    def _left_note(self) -> str:
        return _LEFT if self._spec.folder is not None else _LEFT_FOR_GOOD

    @property
    def points(self) -> list[PointPicture]:
        """The points as they stand, by number."""
        return [] if self._run is None else self._run.parts.board.pictures()

    @property
    def best(self) -> PointPicture | None:
        """The point that is ranked first; None while nothing is ranked."""
        return self.picture().best

    @property
    def best_model(self) -> TuningJob | None:
        """The job that made the best model, and stands for it wherever a model is wanted; None while there is none."""
        best = self.best
        record = None if best is None or self._run is None else self._run.parts.board.records[best.point.number]
        return None if record is None else record.job

    @property
    def evaluation(self) -> Evaluation | None:
        """What the metrics say of all models that were trained, the base model included; None before the end."""
        return None if self._run is None else self._run.scoring.found

    def picture(self) -> SweepPicture:
        """Return what a person sees of the sweep now. Nothing is asked."""
        if self._run is not None:
            return self._run.parts.board.picture()
        spec = self._spec
        return SweepPicture(
            title=spec.title or "sweep", base_model=spec.base_name, objective=spec.objective, better=spec.better
        )

    def statistics(self) -> SweepStatistics:
        """Return what it has done so far."""
        run, picture = self._begun(), self.picture()
        return SweepStatistics(
            points=Counter(each.state for each in picture.points),
            created=run.creating.requests,
            refused=run.creating.refused,
            cancelled=run.stopping.requests,
            requests={} if run.watcher is None else run.watcher.statistics().requests,
            steps=picture.steps,
            saved_steps=picture.saved_steps,
            tokens=picture.tokens,
            waiting_for=picture.waiting_for,
        )

    def _begun(self) -> SweepRun:
        if self._run is None:
            raise MisuseError("the sweep has not begun: enter it, or await its run()")
        return self._run


@attrs.define(eq=False, repr=False)
class Sweep(SweepFacts):
    """Tunes the points of a space, and finds the best: ``async with``, then ``async for event in sweep``.

    Leaving it in whatever way touches no job; the same call with the same journal takes them up again. ``run()`` is for
    those who want no events. It is made by ``client.sweep``, and runs once.

    Example:
        >>> async with client.sweep(base, "train.csv", space={"epoch_count": [2, 4, 8]}, journal="sweep") as sweep:
        ...     async for event in sweep:
        ...         print(event.to_dict())
        >>> print(sweep.best)
    """

    async def __aenter__(self) -> Self:
        if self._run is not None:
            raise MisuseError(_ONCE)
        data = await self._read()
        journal = SweepJournal(self._spec.folder, self._spec.of(data.digests))
        run = self._run = _run_of(self._spec, self._service, data, journal, self._storage)
        try:
            await journal.open()
            run.parts.board.title = self._spec.title or journal.id[:12]
            await run.prepare()
            self._background = Background("sweep", run.run, run.leave, partial(run.end, cancelled=True))
            await self._background.enter(self)
        except BaseException:
            journal.close()
            run.over = True
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._background is not None:
            await self._background.leave()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SweepEvent:
        """Return the next event, waiting for it.

        Raises:
            GemtuneError: What ended the sweep before all was done; the jobs continue.
        """
        run, news = self._begun(), self._begun().parts.board.news
        while True:
            event = news.next()
            if event is not None:
                return event
            if run.over:
                _raise_once(run)
                raise StopAsyncIteration
            await news.change()

    async def run(self) -> SweepPicture:
        """Run it to its end, without a loop, and return what became of it.

        Raises:
            GemtuneError: What ended the sweep before all was done; the jobs continue.
            MisuseError: It was left before its end: make another, with the same journal.
        """
        if self._run is not None and self._run.over and not self.picture().ended and self._run.error is None:
            raise MisuseError(_ONCE)
        async with nullcontext() if self._run is not None else self:
            run = self._begun()
            run.parts.board.news.close_ears()
            with said_if_left(self._left_note):
                while not run.over:
                    await run.parts.board.news.change()
            _raise_once(run)
        return self.picture()

    async def cancel(self) -> None:
        """Cancel every job of the sweep that has not ended, and begin no further one; only you say so.

        The points are stopped, and the sweep ends once their jobs have. It returns as soon as the intention is on the
        disk. The same call with the same journal continues with the points that had no job.

        Raises:
            MisuseError: It does not run.
            JournalError: It could not be written down; nothing was cancelled.
        """
        run = self._begun()
        if run.over:
            raise MisuseError("the sweep does not run any more: " + _ONCE)
        await run.cancel("the sweep was cancelled")

    async def plan(self) -> SweepPlan:
        """Return what the sweep will take: points, tokens, cost. The data is read, and nothing is sent or written.

        Raises:
            InvalidInput: The data cannot be read, or a row is wrong.
        """
        spec, data = self._spec, await self._read()
        total = spec.source.total
        points = []
        if spec.ahead:
            asked = [await spec.source.ask(number) for number in range(total or 0)]
            points = [hyperparameters_of(values, spec.shared) for values in asked if values is not None]
        return planned(
            points, _costs(spec, data), _ledger(spec), total=total if total is not None else spec.most,
            rows=data.rows, places=spec.places, evaluation=_evaluation(spec, data), notes=data.notes,
        )  # fmt: skip

    async def _read(self) -> SweepData:
        if self._data is None:
            spec = self._spec
            data = await read_sweep_data(
                spec.data, spec.validation, seed=spec.seed, method=spec.method, reading=spec.reading, vertex=spec.vertex
            )
            await anyio.to_thread.run_sync(_check_rows, spec.metrics, data)
            self._data = data
        return self._data


def _check_rows(metrics: Sequence[Metric], data: SweepData) -> None:
    """Refuse metrics that could score no row: an evaluation would say so once a model is trained and paid for."""
    from gemtune.evaluation.rows import held_out_rows
    from gemtune.evaluation.scoring.functions import check_expected

    if data.validation is not None and any(each.expects for each in metrics):
        check_expected(held_out_rows(data.validation), metrics)


def _raise_once(run: SweepRun) -> None:
    error, run.error = run.error, None
    if error is not None:
        raise error


def _costs(spec: SweepSpec, data: SweepData) -> PointCosts:
    price = None if spec.prices is None else spec.prices.of_model(spec.base_name)
    return PointCosts(once=data.once, examples=data.examples, epochs=None if spec.vertex else _EPOCHS, price=price)


def _evaluation(spec: SweepSpec, data: SweepData) -> EvaluationCosts | None:
    return EvaluationCosts.of(data.questions, spec.metrics, spec.base_name, compares=spec.compares, prices=spec.prices)


def _ledger(spec: SweepSpec) -> BudgetLedger:
    price = None if spec.prices is None else spec.prices.of_model(spec.base_name)
    currency = "" if spec.prices is None else spec.prices.currency
    return BudgetLedger(tokens=spec.tokens, money=spec.money, price=price, currency=currency)


def _run_of(
    spec: SweepSpec, service: SweepService, data: SweepData, journal: SweepJournal, storage: Callable[[], Storage]
) -> SweepRun:
    board = SweepBoard(
        title=spec.title or "",
        base_model=spec.base_name,
        objective=spec.objective,
        better=spec.better,
        budget=_ledger(spec),
        costs=_costs(spec, data),
        evaluation=_evaluation(spec, data),
        planned=spec.source.total if spec.source.total is not None else spec.most,
    )
    if board.evaluation is not None and spec.money is not None and board.evaluation.not_counted:
        board.notes.append(board.evaluation.not_counted)
        _log.warning("%s; the budget holds for the training alone", board.evaluation.not_counted)
    parts = SweepParts(
        board=board,
        journal=journal,
        service=service,
        source=spec.source,
        rules=spec.rules,
        data=PlacedData(data, storage if spec.vertex else None, spec.method, spec.options.get("bucket")),
        metrics=spec.metrics,
        compares=spec.compares,
        places=spec.places,
        most=spec.most,
        ahead=spec.ahead,
    )
    limited = spec.tokens is not None or spec.money is not None
    if limited and data.once is None:
        what = "the budget cannot be kept: the tokens of data in Cloud Storage are not known here"
        raise InvalidInput(what, Remedy("give the file itself, or no budget"), field="budget")
    if spec.metrics and not data.rows:  # or else that would be said once everything is trained and paid for
        what = "metrics: models are evaluated on rows that were held out, and there are none that can be read here"
        raise InvalidInput(what, Remedy("give rows as ", Argument("validation")), field="metrics")
    parts.data.check()
    return SweepRun(parts, spec.base_model, spec.shared)


def make_sweep(spec: SweepSpec, service: SweepService, storage: Callable[[], Storage]) -> Sweep:
    """Return a sweep; nothing happens before it is entered.

    Args:
        spec: What is wanted.
        service: What the client does for it.
        storage: Uploads its data on Vertex AI.
    """
    return Sweep(spec, service, storage)
