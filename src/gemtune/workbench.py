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

        Every model is asked through a batch, all at once and within one limit. An answer is kept, whatever happens
        later: an item that failed is a row without a score, and never the end. A reply without text counts as an empty
        answer.

        Args:
            models: One model, several, or labels and models: base and tuned models, checkpoints, endpoints, and jobs,
                whose end is awaited. Without labels, they are called by the last part of their names.
            data: Rows that no model has learned, whatever ``client.tune`` takes as training data, such as
                ``split.validation``. All turns before the last one of the model are asked, with the row's system
                instruction; that last one is the expected answer. A judge or a function of yours needs none.
            metrics: How answers are scored: a name, a ``gemtune.metrics.Metric``, a function of an answer and its row
                that returns a number, True or False, plain or async, or several of these.
            baseline: The label of the model with which the others are compared; by default that of the first.
            journal: A folder, in which every answer is kept before it counts. The same call continues from there and
                asks nothing twice; it may have other metrics, more rows or more models.
            prices: Of a million input and output tokens: ``(0.30, 2.50)``, or a ``gemtune.batch.TokenPrices``, by the
                model's name or its label.
            limit: How many rows are asked, from the first one; None for all.
            key: The column by which rows are told apart; None takes ``key`` or ``id`` if it does, else their number.
            on_progress: Is given an ``EvaluationProgress`` four times a second, and at the end.
            options: ``input``, ``output``, ``heading`` and ``delimiter`` say how the data is read, as in ``tune``. All
                else is as in ``batch``: what frames the prompts, how fast and how patiently they are asked, for all
                models together. ``max_failures`` holds for each model; ``timeout`` and ``budget`` for everything.

        Returns:
            An ``Evaluation``: what each model has reached, with confidence intervals, paired comparisons, and every
            answer. It takes about 1 kB a row and model, and what the texts take.

        Raises:
            InvalidInput: An argument or a row is wrong, or a metric needs answers that the data does not have; nothing
                was asked.
            BatchStopped: For one of the models nothing more could succeed; the message says for which. With a journal,
                the same call continues.
            MetricFailed: A metric raised for an answer. The answers are in its ``evaluation``.
            JobError: A job among the models has no model.
            JournalError: A journal cannot be used, or belongs to other rows or another configuration.

        Example:
            >>> evaluation = await client.evaluate({"base": "gemini-2.5-flash", "tuned": job}, "held_out.csv")
            >>> print(evaluation)
        """
        from gemtune.evaluation.run import evaluate, evaluating

        given: dict[str, Any] = {"metrics": metrics, "baseline": baseline, "journal": journal, "prices": prices}
        spec = evaluating(
            models, data, limit=limit, key=key, on_progress=on_progress, options=dict(options), **given
        )
        # Client is both: what asks, and what knows jobs.
        return await evaluate(cast("Evaluates", self), spec, self._service.model_name, self._caller.limiter)
