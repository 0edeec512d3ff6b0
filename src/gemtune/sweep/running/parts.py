"""What the tasks of a sweep share: what is known, what is written down, whom they ask."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import attrs

from gemtune.jobs import TuningJob
from gemtune.resources.given import ModelLike
from gemtune.sweep.chooser import PointSource, StopRule
from gemtune.sweep.journal.folder import SweepJournal
from gemtune.sweep.journal.lines import point_line
from gemtune.sweep.point import PointState, SweepPoint
from gemtune.sweep.running.board import SweepBoard
from gemtune.sweep.running.data import PlacedData
from gemtune.sweep.running.record import PointRecord
from gemtune.watch import Watcher

if TYPE_CHECKING:
    from gemtune.batch.planning.prices import TokenPrices
    from gemtune.datasets.dataset import DataSet
    from gemtune.evaluation.asking import OnPaid
    from gemtune.evaluation.result import Evaluation
    from gemtune.metrics.values import Metric


class CreatePoint(Protocol):
    """Creates the job of a point, exactly once."""

    def __call__(
        self, point: SweepPoint, job_id: str, train: object, measured: object | None, *, fresh: bool,
        wanted: Callable[[], bool],
    ) -> Awaitable[TuningJob]:  # fmt: skip
        """Create it, or adopt it unless its id is fresh.

        Raises:
            NotWanted: It is not there, and when it was about to be created, it was not wanted any more.
        """
        ...


class EvaluateModels(Protocol):
    """Evaluates models, by label."""

    def __call__(
        self,
        models: Mapping[str, ModelLike],
        data: DataSet,
        metrics: Sequence[Metric],
        journal: Path,
        *,
        prices: TokenPrices | None = None,
        budget: float | None = None,
        on_paid: OnPaid | None = None,
    ) -> Awaitable[Evaluation]:
        """Evaluate them; with prices say what is paid, and end with a ``BatchStopped`` once the budget is used up."""
        ...


@attrs.frozen(kw_only=True)
class SweepService:
    """What the client does for a sweep.

    Args:
        create: Creates the job of a point.
        job: Returns a handle on a job.
        watch: Returns a watcher.
        evaluate: Evaluates models, by label.
    """

    create: CreatePoint
    job: Callable[[str], TuningJob]
    watch: Callable[[], Watcher]
    evaluate: EvaluateModels


@attrs.define(eq=False, kw_only=True)
class SweepParts:
    """What the tasks of a sweep share.

    Args:
        board: What is known.
        journal: What is written down.
        service: What the client does.
        source: Says which points are tried.
        rules: Say which are given up.
        data: The data, where the service reads it.
        metrics: What models are evaluated by; empty for no evaluation.
        compares: Whether the base model is evaluated in the end.
        places: How many jobs may run at a time; None for as many as the service lets.
        most: How many points there may be; None for as many as the source has.
        ahead: Whether all points are known from the beginning.
        dice: Chance, from 0 to 1.
        ended: How many jobs have ended in this run.
        closing: Why nothing new is to begin; empty as long as it may.
    """

    board: SweepBoard
    journal: SweepJournal
    service: SweepService
    source: PointSource
    rules: Sequence[StopRule] = ()
    data: PlacedData
    metrics: Sequence[Metric] = ()
    compares: bool = False
    places: int | None = None
    most: int | None = None
    ahead: bool = True
    dice: Callable[[], float] = random.random
    ended: int = 0
    closing: str = ""

    async def tell(self, record: PointRecord) -> None:
        """Tell the source how a point has ended, once."""
        if record.telling:
            return
        record.telling = True
        stopped = record.state is PointState.STOPPED
        value = record.objective
        if stopped and not self.board.evaluates:
            value = record.curve.last(self.board.objective)
        if record.state in (PointState.FAILED, PointState.LEFT_OUT):
            value = None
        await self.source.tell(record.number, value, stopped=stopped)
        record.told = True
        self.board.news.ring()

    @property
    def without_jobs(self) -> bool:
        """Whether no job can exist, as if all points were left out or refused: the journal would only be in the way."""
        records = self.board.records.values()
        # The trials of a study that were not told how they ended belong to the id in the journal.
        told = self.ahead or all(each.told for each in records)
        return told and not any(each.job is not None or each.may_exist for each in records)

    async def write(self, record: PointRecord, kind: str, **said: object) -> None:
        """Write a line about a point, and wait until it is on the disk."""
        await self.journal.note(point_line(record.number, kind, **said))

    async def write_end(self, record: PointRecord) -> None:
        """Write down how a point has ended."""
        await self.write(
            record,
            "ended",
            state=record.state.value,
            reason=record.reason,
            steps=record.curve.completed,
            total=record.curve.total,
            objective=record.objective,
            **{"ranked by": self.board.objective},
        )
