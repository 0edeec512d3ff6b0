"""Evaluates the models of points that were trained to their end, one after the other, and in the end beside the base.

Every answer is in the journal of the evaluation, so that the evaluation of all of them at the end asks only what none
before has asked: the base model.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import attrs

from gemtune.batch.planning.prices import TokenPrices
from gemtune.errors import BatchStopped, MisuseError
from gemtune.evaluation.paid import paid_answers
from gemtune.resources.given import ModelLike
from gemtune.resources.uploads.held import Held
from gemtune.sweep.events import PointEvaluated, PointNotEvaluated
from gemtune.sweep.journal.folder import EVALUATION
from gemtune.sweep.running.asking import EvaluationCosts
from gemtune.sweep.running.budget import BASE, BASE_SHORT, BudgetLedger, label_of
from gemtune.sweep.running.parts import SweepParts
from gemtune.sweep.running.record import PointRecord

if TYPE_CHECKING:
    from gemtune.evaluation.result import Evaluation

_NEXT_TO_NOTHING: Final = 1e-9


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
        return [each for each in records if each.to_evaluate]

    def take_up(self) -> None:
        """Count what the answers of earlier runs have cost, and reserve that of the base model; blocks."""
        board, folder = self.parts.board, self.parts.journal.folder
        costs = board.evaluation
        if costs is None or not costs.counted:
            return
        for each in () if folder is None else paid_answers(folder / EVALUATION):
            price = costs.prices.get(each.label if each.by_judge else "")
            if price is not None:
                board.budget.evaluation(each.label).spent += each.cost(price)
        board.budget.grant(BASE, costs.most_base)

    async def run(self) -> None:
        """Evaluate models as they come."""
        while True:
            done = [await self._one(record) for record in self.waiting()]
            if not any(done):
                await self.parts.board.news.change()

    async def all(self) -> None:
        """Evaluate all models together, and the base model beside them if that is wanted."""
        parts, board = self.parts, self.parts.board
        records = [each for each in board.records.values() if each.evaluated and each.job is not None]
        if not parts.metrics or not records:
            board.budget.grant(BASE, 0.0)
            return
        ranks = board.ranks()
        records.sort(key=lambda each: ranks.get(each.number, len(ranks) + 1))
        models: dict[str, ModelLike] = {BASE: self.base_model} if parts.compares or self._judged else {}
        if models and not self._judged and board.budget.money is not None:
            # Alone, because it is all that is still to be asked: what follows is in the journal, and costs nothing.
            found = await self._evaluate(models, BASE)
            if isinstance(found, str):
                board.notes.append(f"{BASE_SHORT}: {found}")
                models = {}
        models |= {label_of(each.number): each.job for each in records if each.job is not None}
        found = await self._evaluate(models, BASE, again=True)
        if isinstance(found, str):
            board.notes.append(f"the models were not compared: {found}")
            return
        self.found = found
        for record in records:
            record.scores = _scores(found, label_of(record.number))
        if parts.compares and BASE in models:
            best = label_of(records[0].number)
            board.comparisons = [found.compare(best, BASE, metric.name) for metric in found.metrics]
        board.news.ring()

    def close(self) -> None:
        """Remove what a sweep without a journal has kept for its evaluation; blocks."""
        self._own.close()

    @property
    def _judged(self) -> bool:
        return any(each.kind == "wins" for each in self.parts.metrics)

    async def _one(self, record: PointRecord) -> bool:
        """Evaluate the model of a point; return whether anything was done: others may still give money back."""
        parts, board, label = self.parts, self.parts.board, label_of(record.number)
        if record.job is None:
            return False
        short = board.budget.claim(label, board.most_evaluated) == 0.0 < board.most_evaluated
        if short and any(each.active for each in board.records.values()):
            return False
        # A judge compares with the base, whose answers are asked for once and then read from the journal.
        models: dict[str, ModelLike] = {BASE: self.base_model} if self._judged else {}
        found = await self._evaluate(models | {label: record.job}, label)
        if not isinstance(found, str):
            record.evaluated, record.scores = True, _scores(found, label)
            await self._take(record)
        elif not any(each.active for each in board.records.values()):
            record.unevaluated = found
            board.hold(record, record.tokens)
            board.news.report(PointNotEvaluated(point=record.point, reason=found))
            await parts.tell(record)
        return True

    async def _take(self, record: PointRecord) -> None:
        parts, board = self.parts, self.parts.board
        if board.evaluates:
            record.objective = record.scores.get(board.objective)
        await parts.write(record, "evaluated", scores=record.scores)
        scores, objective = dict(record.scores), record.objective
        board.news.report(PointEvaluated(point=record.point, scores=scores, objective=objective))
        await parts.tell(record)

    async def _evaluate(self, models: Mapping[str, ModelLike], payer: str, *, again: bool = False) -> Evaluation | str:
        """Evaluate models within the budget; return in words why that was not possible, if it was not.

        Args:
            models: The models, by label.
            payer: The label of the one for which that is done; what its judges cost is added to it.
            again: Whether all answers should be there: it may take what is left, and begins whatever that is.
        """
        parts, board, rows = self.parts, self.parts.board, self.parts.data.data.validation
        if rows is None:
            raise MisuseError("there are no rows to evaluate models on")
        folder = await anyio.to_thread.run_sync(self._folder)
        costs, budget = board.evaluation, board.budget
        if costs is None or not costs.counted:
            return await parts.service.evaluate(models, rows, parts.metrics, folder)
        most = costs.most_base if payer == BASE else costs.most_tuned
        prices = _prices(costs, models)
        while True:
            limit = _limit(budget, payer, most, with_base=BASE in models, again=again)
            if limit == 0.0:
                return _shortage(budget, payer, most)
            meter = _Meter(budget, payer, models)
            try:
                found = await parts.service.evaluate(
                    models, rows, parts.metrics, folder, prices=prices, budget=limit, on_paid=meter.paid
                )
            except BatchStopped:
                if limit is None or meter.total < limit:  # it was not the money
                    raise
                if again:
                    return _shortage(budget, payer, most)
                continue
            for label in {payer, BASE} & {payer, *models}:
                budget.grant(label, 0.0)
            return found

    def _folder(self) -> Path:
        if self.parts.journal.folder is not None:
            return self.parts.journal.folder / EVALUATION
        if self._place is None:
            self._place = Path(self._own.open())
        return self._place


def _scores(found: Evaluation, label: str) -> dict[str, float]:
    scores = found[label].scores
    return {name: score.value for name, score in scores.items() if score.value is not None}


def _limit(budget: BudgetLedger, payer: str, most: float, *, with_base: bool, again: bool) -> float | None:
    """Return what an evaluation may spend now; None for no limit, 0 if it is not to begin."""
    if budget.money is None or not most:
        return None
    if again:
        return max(budget.money - budget.money_used, most * _NEXT_TO_NOTHING)
    base = budget.evaluation(BASE)
    left = budget.claim(payer, most)
    return left and left + (base.held - base.spent if with_base and payer != BASE else 0.0)


def _shortage(budget: BudgetLedger, payer: str, most: float) -> str:
    """Return in words why an evaluation is not begun, or not finished."""
    spent = budget.evaluation(payer).spent
    said = budget.shortage(most)
    return f"{said}; {spent:,.4g} {budget.currency} were spent on it" if spent else said


def _prices(costs: EvaluationCosts, models: Mapping[str, ModelLike]) -> TokenPrices:
    """Return prices by label: a tuned model costs what its base costs."""
    judges = {name: price for name, price in costs.prices.items() if name}
    return TokenPrices(per_million=judges | dict.fromkeys(models, costs.prices[""]), currency=costs.currency)


@attrs.define(eq=False)
class _Meter:
    """Counts what an evaluation pays, for whom.

    Args:
        budget: Where it is counted.
        payer: Who pays what is for none of the models, such as a judge's replies.
        models: The models, by label.
        total: What this evaluation has paid.
    """

    budget: BudgetLedger
    payer: str
    models: Collection[str]
    total: float = 0.0
    _paid: dict[str, float] = attrs.field(factory=dict)

    def paid(self, label: str, spent: float) -> None:
        """Take in what has been paid for a model or a judge so far."""
        more = spent - self._paid.get(label, 0.0)
        self._paid[label] = spent
        self.total += more
        self.budget.evaluation(label if label in self.models else self.payer).spent += more
