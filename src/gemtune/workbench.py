"""The workbench: the part of a client with which the best of many models is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

import attrs

from gemtune.config import ONCE
from gemtune.evaluation.options import EvaluateOptions
from gemtune.http.caller import Caller
from gemtune.jobs import TuningJob
from gemtune.looks.followers import Followers
from gemtune.looks.service import TuningService
from gemtune.resources.drafts import SharedOptions, TuneOptions, check_gemini_draft, draft_of
from gemtune.resources.given import ModelLike, Prices, spelled_out
from gemtune.settings import Settings
from gemtune.sweep.asked.arguments import SweepOptions

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from gemtune.batch.planning.prices import TokenPrices
    from gemtune.datasets.accepted import TrainingDataLike
    from gemtune.datasets.dataset import DataSet
    from gemtune.evaluation.asking import OnPaid
    from gemtune.evaluation.result import Evaluation
    from gemtune.evaluation.run import Evaluates
    from gemtune.evaluation.values import EvaluationProgress
    from gemtune.metrics.named import MetricsLike
    from gemtune.metrics.values import Metric
    from gemtune.sweep.asked.options import SweepSpec
    from gemtune.sweep.point import SweepPoint
    from gemtune.sweep.sweep import Sweep

# What an evaluation and a sweep are made of is loaded by whoever calls one.


class Workbench:
    """Evaluates models beside each other, and sweeps over hyperparameters."""

    _caller: Caller
    _service: TuningService
    _settings: Settings
    _followers: Followers

    @spelled_out(EvaluateOptions)
    async def evaluate(
        self,
        models: ModelLike | Iterable[ModelLike] | Mapping[str, ModelLike],
        data: TrainingDataLike | DataSet | Iterable[str],
        *,
        metrics: MetricsLike = "exact_match",
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
        row without a score. A reply without text, once asking again has not helped, is an empty answer, and scored.

        Args:
            models: One model, several, or labels and models: base and tuned models, checkpoints, endpoints, and jobs,
                whose end is awaited.
            data: Rows that no model has learned, whatever ``tune`` takes, such as ``split.validation``. All turns
                before the last one are asked, and that is the expected answer; a judge or a function needs none.
            metrics: A name, a ``Metric``, a function of answer and row, plain or async, or several of these.
            baseline: The label of the model with which the others are compared; by default the first.
            journal: A folder that keeps every answer and verdict, but no score: functions of yours run again. The same
                call continues from there and asks nothing twice; it may have other metrics, and more rows or models.
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
            BatchStopped: For the model that it names, nothing more could succeed, or the budget is used up.
            MetricFailed: A metric raised. Whatever is raised once models are asked has all answers as ``evaluation``.
            JobError: A job has no model.
            JournalError: A journal cannot be used, or belongs to other rows.
        """
        from gemtune.evaluation.run import evaluate, evaluating

        given: dict[str, Any] = {"metrics": metrics, "baseline": baseline, "journal": journal, "prices": prices}
        spec = evaluating(models, data, limit=limit, key=key, on_progress=on_progress, options=options, **given)
        return await evaluate(cast("Evaluates", self), spec, self._service.model_name, self._caller.limiter)

    @spelled_out(SweepOptions, last=SharedOptions, concurrency=None)
    def sweep(self, base_model: ModelLike, data: TrainingDataLike, **options: Unpack[SweepOptions]) -> Sweep:
        """Tune many models that differ in their hyperparameters, and find the best: ``async with``, then ``async for``.

        One watcher follows all jobs; as many run at a time as the quota lets. Leaving, an interrupt and a crash touch
        no job: the same call with the same journal takes them up again, and creates none twice. Only a rule, the
        study's pruner or ``sweep.cancel()`` cancels one.

        Args:
            base_model: The model to tune.
            data: Training data as ``tune`` takes it; read, checked and split once.
            space: ``{"epoch_count": [2, 4, 8], "learning_rate_multiplier": [0.5, 1, 2]}`` is a grid; a list of dicts or
                ``Hyperparameters`` is tried in its order; ``(0.1, 10, "log")`` is a range.
            study: An ``optuna.Study`` (extra ``optuna``) that chooses the points, perhaps from ``space``.
            validation: The share of rows to validate with, rows of their own, or None for none.
            max_jobs: How many points there may be; a study and a range need it.
            concurrency: How many run at a time; None: as many as the quota lets, and 4 for a study.
            stop: Which running points are given up: a rule's name such as ``forecast``, a rule, or several. A study's
                own pruner is always asked.
            metrics: What the trained models, and in the end the base model, are evaluated by, as in ``evaluate``.
            objective: What ranks the points: ``eval_loss``, ``loss`` or a metric's name. By default the first metric;
                without one ``eval_loss`` on Vertex AI, and ``exact_match`` on the Gemini API.
            budget: What training and evaluations may cost, by ``prices``: a hard limit. What does not fit is left out.
            token_budget: How many tokens the training may take, likewise; those of evaluations are not in it.
            prices: The price of a million training tokens, prices by model, a ``PriceList``, or the path of one. Its
                ``asking`` says what evaluations cost; without it they are not counted.
            journal: A folder in which the sweep writes down what it does.
            seed: Of the split, and of what is sampled.
            title: What the sweep is called, at most 30 characters.
            method: As in ``tune``, like the other options, which hold for all points.

        Returns:
            The sweep. Nothing is read or sent before it is entered, or its ``run()`` or ``plan()`` awaited.

        Raises:
            InvalidInput: An argument is wrong.

        Example:
            >>> async with client.sweep(base, "rows.csv", space={"epoch_count": [8, 4, 2]}, journal="sweep") as sweep:
            ...     async for event in sweep:
            ...         print(event.kind, event.point.values)
            >>> print(sweep.best, sweep.best_model)
        """
        return _sweep(self, base_model, data, options)


def _sweep(client: Workbench, base_model: ModelLike, data: TrainingDataLike, options: SweepOptions) -> Sweep:
    from gemtune.resources.vertex.drafts import check_draft
    from gemtune.sweep.asked.options import sweep_spec
    from gemtune.sweep.running.parts import SweepService
    from gemtune.sweep.sweep import make_sweep

    vertex = client._settings.service == "vertex"
    spec = sweep_spec(base_model, data, options, base_name=client._service.model_name, vertex=vertex)
    # What every creation would be refused for is refused before a journal is begun.
    (check_draft if vertex else check_gemini_draft)(
        draft_of(base_model, data, spec.method, cast("TuneOptions", spec.creating))
    )
    public, hands = cast("Any", client), _Hands(client, spec)
    service = SweepService(create=hands.create, job=public.job, watch=public.watch, evaluate=hands.evaluate)
    return make_sweep(spec, service, lambda: public.storage)


@attrs.frozen(eq=False)
class _Hands:
    """What a client does for one sweep."""

    client: Workbench
    spec: SweepSpec

    async def create(
        self, point: SweepPoint, job_id: str, train: object, measured: object | None, *, fresh: bool,
        wanted: Callable[[], bool],
    ) -> TuningJob:  # fmt: skip
        """Create the job of a point, with one request if nothing goes wrong: the sweep waits itself if it is refused.

        Args:
            point: The point.
            job_id: The id of its job.
            train: The training data.
            measured: The validation data, where the service measures the loss on it.
            fresh: Whether nobody can have used the id, so that the search for it is spared.
            wanted: Says whether it is still to be created, when that is about to be sent.
        """
        spec, client = self.spec, self.client
        title = f"{spec.title or job_id[:12]} {point.number}"
        options = cast("TuneOptions", {**spec.creating, "display_name": title})
        draft = draft_of(spec.base_model, train, spec.method, options)
        draft = attrs.evolve(draft, hyperparameters=point.hyperparameters, validation_data=measured)
        draft = attrs.evolve(draft, fresh=fresh, wanted=wanted)
        exists: Literal["error", "adopt"] = "error" if fresh else "adopt"
        started = await client._service.create(draft, job_id, exists, timeout=None, retry=ONCE)
        return TuningJob(client._followers.created(started.seen), started.data, started.adopted)

    async def evaluate(
        self,
        models: Mapping[str, ModelLike],
        data: Any,
        metrics: Sequence[Metric],
        journal: os.PathLike[str],
        *,
        prices: TokenPrices | None = None,
        budget: float | None = None,
        on_paid: OnPaid | None = None,
    ) -> Evaluation:
        """Evaluate models on the validation rows, as ``client.evaluate`` does.

        Args:
            models: The models, by label.
            data: The rows.
            metrics: By what.
            journal: Where the answers are kept.
            prices: What asking costs, by label.
            budget: What may be spent.
            on_paid: Is given what has been paid for a model or a judge so far, by its label.
        """
        from gemtune.evaluation.run import evaluate, evaluating

        client = self.client
        spec = evaluating(
            models, data, limit=None, key=None, metrics=metrics, baseline=None, journal=journal, prices=prices,
            on_progress=None, on_paid=on_paid, options={} if budget is None else {"budget": budget},
        )  # fmt: skip
        return await evaluate(cast("Evaluates", client), spec, client._service.model_name, client._caller.limiter)
