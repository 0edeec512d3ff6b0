"""The workbench: the part of a client with which the best of many models is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack, cast

from gemtune.evaluation.options import EvaluateOptions
from gemtune.http.caller import Caller
from gemtune.looks.service import TuningService
from gemtune.resources.given import ModelLike, Prices, spelled_out

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from gemtune.datasets.accepted import TrainingDataLike
    from gemtune.datasets.dataset import DataSet
    from gemtune.evaluation.result import Evaluation
    from gemtune.evaluation.run import Evaluates
    from gemtune.evaluation.values import EvaluationProgress
    from gemtune.metrics.values import Metric, Scorer

# What an evaluation and a sweep are made of is loaded by whoever calls one.


class Workbench:
    """Evaluates models beside each other, and sweeps over hyperparameters."""

    _caller: Caller
    _service: TuningService

    @spelled_out(EvaluateOptions)
    async def evaluate(
        self,
        models: ModelLike | Iterable[ModelLike] | Mapping[str, ModelLike],
        data: TrainingDataLike | DataSet | Iterable[str],
        *,
        metrics: str | Metric | Scorer | Iterable[str | Metric | Scorer] = "exact_match",
        baseline: str | None = None,
        journal: str | os.PathLike[str] | None = None,
        prices: Prices | None = None,
        limit: int | None = None,
        key: str | None = None,
        on_progress: Callable[[EvaluationProgress], object] | None = None,
        **options: Unpack[EvaluateOptions],
    ) -> Evaluation:
        """Ask models the same held-out rows, score their answers, and compare them.

        All are asked through ``batch``, at once and within one limit. Every answer is kept: an item that failed is a
        row without a score, and a reply without text an empty answer.

        Args:
            models: One model, several, or labels and models: base and tuned models, checkpoints, endpoints, and jobs,
                whose end is awaited.
            data: Rows that no model has learned, whatever ``tune`` takes, such as ``split.validation``. All turns
                before the last one are asked, and that is the expected answer; a judge or a function needs none.
            metrics: A name, a ``Metric``, a function of answer and row, plain or async, or several of these.
            baseline: The label of the model with which the others are compared; by default the first.
            journal: A folder that keeps every answer. The same call continues from there and asks nothing twice; it
                may have other metrics, and more rows or models.
            prices: As in ``batch``, by the model's name or its label.
            limit: How many rows are asked, from the first one; None for all.
            key: The column that tells rows apart; None takes ``key`` or ``id`` if it does, or else their number.
            on_progress: Is given an ``EvaluationProgress`` four times a second, and at the end.
            options: ``input``, ``output``, ``heading`` and ``delimiter``, as in ``tune``. The others are those of
                ``batch``, for all models together; only ``max_failures`` holds for each.

        Returns:
            What each model has reached, and every answer: about 1 kB a row and model, and what the texts take.

        Raises:
            InvalidInput: An argument or a row is wrong, or a metric needs answers that are missing; nothing was asked.
            BatchStopped: For the model that it names, nothing more could succeed. With a journal, call it again.
            MetricFailed: A metric raised for an answer; its ``evaluation`` has all answers.
            JobError: A job has no model.
            JournalError: A journal cannot be used, or belongs to other rows.
        """
        from gemtune.evaluation.run import evaluate, evaluating

        given: dict[str, Any] = {"metrics": metrics, "baseline": baseline, "journal": journal, "prices": prices}
        spec = evaluating(models, data, limit=limit, key=key, on_progress=on_progress, options=options, **given)
        return await evaluate(cast("Evaluates", self), spec, self._service.model_name, self._caller.limiter)
