"""Evaluates the models of points that were trained to their end, one after the other, and in the end beside the base.

Every answer is in the journal of the evaluation, so that the evaluation of all of them at the end asks only what none
before has asked: the base model.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import attrs

from gemtune.errors import MisuseError
from gemtune.resources.given import ModelLike
from gemtune.resources.uploads.held import Held
from gemtune.sweep.events import PointEvaluated
from gemtune.sweep.journal.folder import EVALUATION
from gemtune.sweep.point import PointState
from gemtune.sweep.running.budget import BASE, label_of
from gemtune.sweep.running.parts import SweepParts
from gemtune.sweep.running.record import PointRecord

if TYPE_CHECKING:
    from gemtune.evaluation.result import Evaluation


@attrs.define(eq=False)
class Scoring:
    """Evaluates models.

    Args:
        parts: What the tasks share.
        base_model: The model that is tuned.
        found: The evaluation of all models, in the end.
    """

    parts: SweepParts
    base_model: ModelLike
    found: Evaluation | None = attrs.field(default=None, init=False)
    _own: Held[str] = attrs.field(init=False)
    _place: Path | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._own = Held(partial(tempfile.TemporaryDirectory, prefix="gemtune-sweep-"))

    def waiting(self) -> list[PointRecord]:
        """Return the points whose models are still to be evaluated."""
        if not self.parts.metrics:
            return []
        records = self.parts.board.records.values()
        return [each for each in records if each.state is PointState.TRAINED and not each.evaluated]

    async def run(self) -> None:
        """Evaluate models as they come."""
        while True:
            for record in self.waiting():
                await self._one(record)
            if not self.waiting():
                await self.parts.board.news.change()

    async def all(self) -> None:
        """Evaluate all models together, and the base model beside them if that is wanted."""
        parts, board = self.parts, self.parts.board
        records = [each for each in board.records.values() if each.evaluated and each.job is not None]
        if not parts.metrics or not records:
            return
        ranks = board.ranks()
        records.sort(key=lambda each: ranks.get(each.number, len(ranks) + 1))
        models: dict[str, ModelLike] = {BASE: self.base_model} if parts.compares or self._judged else {}
        models |= {label_of(each.number): each.job for each in records if each.job is not None}
        self.found = found = await self._evaluate(models)
        for record in records:
            record.scores = _scores(found, label_of(record.number))
        if parts.compares:
            best = label_of(records[0].number)
            board.comparisons = [found.compare(best, BASE, metric.name) for metric in found.metrics]
        board.news.ring()

    def close(self) -> None:
        """Remove what a sweep without a journal has kept for its evaluation; blocks."""
        self._own.close()

    @property
    def _judged(self) -> bool:
        return any(each.kind == "wins" for each in self.parts.metrics)

    async def _one(self, record: PointRecord) -> None:
        if record.job is None:
            return
        # A judge compares with the base, whose answers are asked for once and then read from the journal.
        models: dict[str, ModelLike] = {BASE: self.base_model} if self._judged else {}
        found = await self._evaluate(models | {label_of(record.number): record.job})
        record.evaluated, record.scores = True, _scores(found, label_of(record.number))
        await self._take(record)

    async def _take(self, record: PointRecord) -> None:
        parts, board = self.parts, self.parts.board
        if board.evaluates:
            record.objective = record.scores.get(board.objective)
        await parts.write(record, "evaluated", scores=record.scores)
        scores, objective = dict(record.scores), record.objective
        board.news.report(PointEvaluated(point=record.point, scores=scores, objective=objective))
        await parts.tell(record)

    async def _evaluate(self, models: Mapping[str, ModelLike]) -> Evaluation:
        parts, rows = self.parts, self.parts.data.data.validation
        if rows is None:
            raise MisuseError("there are no rows to evaluate models on")
        folder = await anyio.to_thread.run_sync(self._folder)
        return await parts.service.evaluate(models, rows, parts.metrics, folder)

    def _folder(self) -> Path:
        if self.parts.journal.folder is not None:
            return self.parts.journal.folder / EVALUATION
        if self._place is None:
            self._place = Path(self._own.open())
        return self._place


def _scores(found: Evaluation, label: str) -> dict[str, float]:
    scores = found[label].scores
    return {name: score.value for name, score in scores.items() if score.value is not None}
