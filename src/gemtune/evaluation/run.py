"""``client.evaluate`` from its arguments to its result.

::

    data ──> rows ──┐
    models ─────────┴─> one batch for each model, one limiter ──> answers ──> scores ──> Evaluation
                                                                     └──> judges' batches ──┘

Everything that is wrong with the arguments is found before anything is asked, and everything that was answered is kept,
whatever happens later: in the journals, and in the evaluation that every error from then on holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Final, Protocol

import anyio
import anyio.to_thread
import attrs

from gemtune import checks
from gemtune.batch.acceptance import acceptance_of
from gemtune.batch.options import make_spec
from gemtune.batch.planning.prices import TokenPrices
from gemtune.errors import InvalidInput
from gemtune.evaluation.asking import Asking, Inquiry, OnPaid, OnProgress, RunsBatches
from gemtune.evaluation.folder import JournalFolder
from gemtune.evaluation.models import AskedModel, FindsJobs, Labelled, find_models, labelled, waits_for_jobs
from gemtune.evaluation.options import OF_THE_LIMITER, OF_THE_MODELS, OF_THE_READING, check_known
from gemtune.evaluation.result import Evaluation, scored
from gemtune.evaluation.rows import HeldOutReading, held_out_rows
from gemtune.evaluation.scoring.figures import figures_of
from gemtune.evaluation.scoring.functions import check_expected
from gemtune.evaluation.scoring.judging import Hearing, Verdicts, hearing_of
from gemtune.evaluation.values import EvaluatedRow, ModelAnswer
from gemtune.limiter.limiter import Limiter
from gemtune.loops import current_time
from gemtune.metrics.judging import Judge
from gemtune.metrics.named import resolve
from gemtune.metrics.values import HeldOutRow, Metric
from gemtune.remedy import Argument, Remedy

_NOT_ASKED: Final = ModelAnswer(error="it was not asked", attempts=0)


class Evaluates(RunsBatches, FindsJobs, Protocol):
    """The part of a client that an evaluation needs."""


def _folder(given: object) -> JournalFolder | None:
    return None if given is None else JournalFolder.at(given)


def _prices(given: object) -> TokenPrices | None:
    return None if given is None else TokenPrices.of(given)


@attrs.frozen(kw_only=True)
class Evaluating:
    """An evaluation, as it was asked for.

    Args:
        models: The models, as they were given.
        data: The held-out rows, as they were given.
        metrics: The metrics, as they were given.
        baseline: The label of the baseline, or None for the first.
        journal: The folder of the journals, or None.
        prices: What tokens cost, or None.
        on_progress: Is given the progress.
        on_paid: Is given what has been paid for a model or a judge so far, by its label.
        reading: How the data is read.
        options: The options that it shares with a batch.
    """

    models: Labelled = attrs.field(converter=labelled)
    data: object
    metrics: Sequence[Metric] = attrs.field(converter=resolve)
    baseline: str | None
    journal: JournalFolder | None = attrs.field(converter=_folder)
    prices: TokenPrices | None = attrs.field(converter=_prices)
    on_progress: OnProgress | None
    reading: HeldOutReading
    options: Mapping[str, Any]
    on_paid: OnPaid | None = None

    def __attrs_post_init__(self) -> None:
        if self.on_progress is not None and (not callable(self.on_progress) or iscoroutinefunction(self.on_progress)):
            checks.refuse("on_progress", "a plain function that takes an EvaluationProgress", self.on_progress)
        labels = [label for label, _ in self.models]
        if self.baseline is not None and all(labels) and self.baseline not in labels:
            raise _no_baseline(self.baseline, labels)
        _check_options(self.options, self.prices)


def _check_options(options: Mapping[str, Any], prices: TokenPrices | None) -> None:
    """Refuse what a batch would refuse, but only once all jobs have ended, and what is of the whole evaluation."""
    of_batches: Any = {name: value for name, value in options.items() if name not in {"budget", "timeout"}}
    make_spec("-", of_batches)
    if options.get("timeout") is not None:
        checks.seconds("timeout", options["timeout"], endless=True)
    if options.get("budget") is None:
        return
    checks.number("budget", options["budget"])
    if prices is None:
        what = "budget: without prices nobody can say what is spent, and no price is built in"
        raise InvalidInput(what, Remedy("give those of a million tokens with ", Argument("prices")), field="budget")
    if options.get("engine", "local") != "local":
        what = "budget is kept by an evaluation that asks from here, which counts what every reply costs"
        raise InvalidInput(what, Remedy("leave out ", Argument("engine")), field="budget")


def evaluating(models: object, data: object, *, limit: int | None, key: str | None, **given: Any) -> Evaluating:
    """Return an evaluation from the arguments of ``client.evaluate``, checked as far as nothing has to be read.

    Raises:
        InvalidInput: An argument is wrong.
    """
    options = given.pop("options")
    check_known(options)
    reading = HeldOutReading(
        limit=limit, key=key, **{name: options[name] for name in OF_THE_READING if name in options}
    )
    shared = {name: value for name, value in options.items() if name not in OF_THE_READING}
    return Evaluating(models=models, data=data, reading=reading, options=shared, **given)


async def evaluate(
    client: Evaluates, spec: Evaluating, model_name: Callable[[object], str], limiter: Limiter | None
) -> Evaluation:
    """Ask all models, score their answers, and return what they have reached.

    Args:
        client: The client to ask through.
        spec: What to do.
        model_name: Returns the name under which the service knows a model.
        limiter: The client's own limiter, if it has one.
    """
    asking = _asking(client, spec, limiter)
    rows = await anyio.to_thread.run_sync(held_out_rows, spec.data, spec.reading)
    check_expected(rows, spec.metrics)
    find = partial(_find, spec, client, model_name)
    waits_for = "waiting for the end of jobs" if waits_for_jobs(spec.models, client) else ""
    models, judges = await asking.meanwhile(find, waits_for)
    baseline = _baseline(models, spec.baseline)
    inputs = [(row.key, _asked(row)) for row in rows]
    inquiries = [_inquiry(spec, each, inputs) for each in models]
    if spec.journal is not None:
        await anyio.to_thread.run_sync(spec.journal.begin)
        await anyio.to_thread.run_sync(spec.journal.write_index)
    asking.expected = 2 * len(rows) * (len(models) - 1) * len(judges)  # at most: answers that are alike need no judge
    with _holding(lambda: _answered(spec, rows, inquiries, baseline)):
        await asking.ask(inquiries)
    found = _answered(spec, rows, inquiries, baseline)
    with _holding(lambda: found):
        verdicts: dict[str, Verdicts] = {}
        if judges:
            found, verdicts = await _judged(spec, found, judges, asking)
        found = await _scored(spec, found, verdicts, asking)
        if spec.journal is not None:
            # Once more: another evaluation may have written at the same moment what it has in this folder.
            await anyio.to_thread.run_sync(spec.journal.write_index)
        asking.finish()
    return found


@contextmanager
def _holding(evaluation: Callable[[], Evaluation]) -> Iterator[None]:
    """Let whatever is raised hold an evaluation with all answers so far, whoever raises it: they were paid for."""
    try:
        yield
    except Exception as error:
        if getattr(error, "evaluation", None) is None:  # that of a metric holds scores as well
            with suppress(AttributeError):  # an error of somebody's own may be frozen
                error.evaluation = evaluation()  # type: ignore[attr-defined]
        raise


async def _find(
    spec: Evaluating, client: FindsJobs, model_name: Callable[[object], str]
) -> tuple[tuple[AskedModel, ...], dict[str, AskedModel]]:
    """Return the models, and those that judge by the name of their metric, once the jobs among them have ended."""
    models = await find_models(spec.models, client, model_name)
    judges = {}
    for judge in spec.metrics:
        if isinstance(judge, Judge):
            if len(models) < 2:
                what = f"metrics: {judge.name} compares with the answers of the baseline: give at least two models"
                raise InvalidInput(what, field="metrics")
            (judges[judge.name],) = await find_models([(judge.name, judge.model)], client, model_name, field="metrics")
    for each in (*models, *judges.values()):
        price_of(spec.prices, each.label, each.name)
    return models, judges


async def _judged(
    spec: Evaluating, answered: Evaluation, judges: Mapping[str, AskedModel], asking: Asking
) -> tuple[Evaluation, dict[str, Verdicts]]:
    """Have the judges compare the answers; return the evaluation with what that has cost, and their verdicts."""
    labels = [each.label for each in answered.models]
    hearings, inquiries = [], []
    for judge in spec.metrics:
        if isinstance(judge, Judge):
            hear = partial(hearing_of, judge, answered.rows, labels, answered.baseline)
            hearings.append(await anyio.to_thread.run_sync(hear))
            inquiries.append(_question(spec, hearings[-1], judges[judge.name]))
    if spec.journal is not None:
        await anyio.to_thread.run_sync(spec.journal.write_index)
    asking.expected = 0
    await asking.ask(inquiries)
    for hearing, inquiry in zip(hearings, inquiries, strict=True):
        await anyio.to_thread.run_sync(hearing.settle, inquiry)  # of many rows, seconds
    cost = {each.label: figures_of(each) for each in inquiries}
    return attrs.evolve(answered, judges=cost), {each.judge.name: each.verdicts for each in hearings}


async def _scored(spec: Evaluating, found: Evaluation, verdicts: Mapping[str, Verdicts], asking: Asking) -> Evaluation:
    """Return the evaluation with its scores. A function of the user may wait for ever."""
    with anyio.move_on_at(math.inf if asking.deadline is None else asking.deadline):
        return await scored(found, spec.metrics, verdicts)
    raise asking.late("scoring the answers")


def _question(spec: Evaluating, hearing: Hearing, model: AskedModel) -> Inquiry:
    judge, journal = hearing.judge, None
    if spec.journal is not None:
        journal = spec.journal.of_verdicts(model.name, judge.name)
    return Inquiry(
        label=judge.name,
        model=model.name,
        inputs=list(hearing.questions.items()),
        journal=journal,
        framing={"accept": None},
        price=price_of(spec.prices, judge.name, model.name),
    )


def _asking(client: Evaluates, spec: Evaluating, limiter: Limiter | None) -> Asking:
    own = {*OF_THE_LIMITER, *OF_THE_MODELS, "limiter", "budget", "timeout"}
    timeout = spec.options.get("timeout")
    shared = spec.options.get("limiter")
    numbers = {name: spec.options[name] for name in OF_THE_LIMITER if spec.options.get(name) is not None}
    asks_from_here = spec.options.get("engine") != "server" or spec.options.get("finish") == "local"
    if shared is None and asks_from_here:
        numbers = {name: value for name, value in numbers.items() if (name, value) != ("concurrency", "auto")}
        # None takes the client's own, which the batches share already.
        shared = Limiter(**numbers) if numbers or limiter is None else None
        numbers = {}
    return Asking(
        client=client,
        options={**{name: value for name, value in spec.options.items() if name not in own}, **numbers},
        limiter=shared,
        budget=spec.options.get("budget"),
        currency=spec.prices.currency if spec.prices is not None else "",
        batch_share=spec.prices.batch_share if spec.prices is not None else 1.0,
        deadline=None if timeout is None else current_time() + timeout,
        on_progress=spec.on_progress,
        on_paid=spec.on_paid,
    )


def _inquiry(spec: Evaluating, model: AskedModel, inputs: Sequence[tuple[str | int, object]]) -> Inquiry:
    journal = None
    if spec.journal is not None:
        journal = spec.journal.of_answers(model.name, model.turn, model.label)
    return Inquiry(
        label=model.label,
        model=model.name,
        inputs=inputs,
        journal=journal,
        framing=_framing(spec),
        price=price_of(spec.prices, model.label, model.name),
    )


def _framing(spec: Evaluating) -> Mapping[str, Any]:
    """Return what frames the prompts. A reply without text is scored, so its journal must hold it as an answer."""
    framing = {name: spec.options[name] for name in OF_THE_MODELS if name in spec.options}
    return {**framing, "accept": attrs.evolve(acceptance_of(spec.options.get("accept")), empty_counts=True)}


def _asked(row: HeldOutRow) -> object:
    """Return what stands for a row in a batch: of a plain question its text, which is the same and costs less."""
    (first, *others), plain = row.request["contents"], row.request.keys() == {"contents"}
    if plain and not others and first.get("role") == "user" and first.get("parts") == [{"text": row.question}]:
        return row.question
    return row.request


def price_of(prices: TokenPrices | None, label: str, model: str) -> tuple[float, float] | None:
    """Return what a million tokens of a model cost, by its label if there is a price for that, else by its name."""
    if prices is None:
        return None
    return prices.per_million[label] if label in prices.per_million else prices.of_model(model)


def _baseline(models: Sequence[AskedModel], given: str | None) -> str:
    labels = [each.label for each in models]
    if given is None:
        return labels[0]
    if given not in labels:
        raise _no_baseline(given, labels)
    return given


def _no_baseline(given: object, labels: Sequence[str]) -> InvalidInput:
    what = f"baseline must be one of {', '.join(map(repr, labels))}, not {checks.shown(given)}"
    return InvalidInput(what, field="baseline")


def _answered(spec: Evaluating, rows: Sequence[HeldOutRow], inquiries: Sequence[Inquiry], baseline: str) -> Evaluation:
    """Return an evaluation with all answers that there are, and no scores."""
    columns = [(each.label, each.answers) for each in inquiries]
    return Evaluation(
        models=tuple(map(figures_of, inquiries)),
        rows=tuple(
            EvaluatedRow(row=row, answers={label: column[place] or _NOT_ASKED for label, column in columns}, scores={})
            for place, row in enumerate(rows)
        ),
        metrics=(),
        baseline=baseline,
        currency=spec.prices.currency if spec.prices is not None else "",
    )
