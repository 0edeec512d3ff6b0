"""What the caller of ``client.sweep`` wants, as a value; every argument is checked before anything is read or sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, Final, Literal

import attrs

from gemtune import checks
from gemtune.datasets.review.estimate import PriceList
from gemtune.errors import InvalidInput
from gemtune.metrics import resolve
from gemtune.metrics.named import NAMED
from gemtune.metrics.values import Metric
from gemtune.remedy import Argument, Remedy
from gemtune.resources.drafts import SharedOptions
from gemtune.resources.given import ModelLike
from gemtune.sweep.asked.arguments import SweepOptions
from gemtune.sweep.chooser import PointSource, StopRule
from gemtune.sweep.rules import resolve_rules
from gemtune.sweep.running.board import MEASURED
from gemtune.sweep.running.data import READING, journal_folder
from gemtune.sweep.sources import points_of
from gemtune.sweep.space import SweepSpace
from gemtune.types import Hyperparameters

STUDY_PLACES: Final = 4
"""Points at a time for a study, which learns from those that have ended."""
_LONGEST_TITLE: Final = 30
"""A display name has at most 40 characters, and each point's ends with its number."""
_OF_THE_SWEEP: Final = {
    "validation_data": Remedy("give ", Argument("validation")),
    "display_name": Remedy("give ", Argument("title")),
    "queue": Remedy("leave it out: the sweep waits for free places itself"),
}


@attrs.frozen(kw_only=True)
class SweepArguments:
    """The arguments of ``client.sweep`` that ``client.tune`` lacks, as they were given."""

    space: object = None
    study: object = None
    validation: object = 0.1
    max_jobs: int | None = None
    concurrency: int | None = None
    stop: Any = None
    metrics: object = ()
    objective: str | None = None
    budget: float | None = None
    token_budget: float | None = None
    prices: Any = None
    journal: object = None
    seed: int = 0
    title: str | None = None
    method: str = "supervised"


_OWN: Final = tuple(field.name for field in attrs.fields(SweepArguments))


@attrs.frozen(kw_only=True)
class SweepSpec:
    """What the caller of ``client.sweep`` wants, checked.

    Args:
        base_model: The model that is tuned.
        base_name: Its name.
        vertex: Whether it is tuned on Vertex AI.
        data: The training data.
        source: Says which points are tried.
        space: What tells the space from others.
        ahead: Whether the points follow from the space alone, so that all are known from the beginning.
        validation: The share to validate with, data of its own, or None.
        most: How many points there may be; None for as many as the source has.
        places: How many may run at a time; None for as many as the quota lets.
        rules: Say which are given up.
        metrics: What models are evaluated by.
        compares: Whether the base model is evaluated in the end.
        objective: What points are ranked by.
        better: Whether a ``lower`` or a ``higher`` objective is better.
        money: What may be spent.
        tokens: How many training tokens there may be.
        prices: What a million training tokens cost.
        folder: The folder of the journal.
        seed: Of the split, and of what is sampled.
        title: What the sweep is called.
        method: How the model is tuned.
        options: What all points share, as for ``client.tune``.
    """

    base_model: ModelLike
    base_name: str
    vertex: bool
    data: object = attrs.field(repr=False)
    source: PointSource
    space: str
    ahead: bool
    validation: object = attrs.field(repr=False)
    most: int | None
    places: int | None
    rules: Sequence[StopRule]
    metrics: Sequence[Metric]
    compares: bool
    objective: str
    better: Literal["lower", "higher"]
    money: float | None
    tokens: float | None
    prices: PriceList | None
    folder: Path | None
    seed: int
    title: str | None
    method: Literal["supervised", "preference"]
    options: SharedOptions

    @property
    def shared(self) -> Hyperparameters | None:
        """The hyperparameters that all points share."""
        return self.options.get("hyperparameters")

    @property
    def reading(self) -> dict[str, Any]:
        """What is said about the columns of the data."""
        return {name: value for name, value in self.options.items() if name in READING}

    @property
    def creating(self) -> SharedOptions:
        """What every creation is given beside the point's own."""
        left_out = (*READING, "hyperparameters", "bucket")
        return {name: value for name, value in self.options.items() if name not in left_out}  # type: ignore[return-value]

    def of(self, digests: Mapping[str, str]) -> dict[str, str]:
        """Return what the sweep is of, by name: what its journal has to agree with."""
        return {
            "base model": self.base_name,
            **digests,
            "space": self.space,
            "method": self.method,
            "setting that all points share": _digest(_said(self.options)),
        }


def sweep_spec(
    base_model: ModelLike, data: object, given: SweepOptions, *, base_name: Callable[[object], str], vertex: bool
) -> SweepSpec:
    """Return what the arguments of ``client.sweep`` ask for; that says what they are.

    Raises:
        InvalidInput: An argument is wrong.
    """
    asked = SweepArguments(**{name: given.pop(name) for name in _OWN if name in given})  # type: ignore[misc]
    options: SharedOptions = given
    _check_options(options)
    shared = options.get("hyperparameters")
    if shared is not None:
        checks.instance("hyperparameters", shared, Hyperparameters, "gemtune.Hyperparameters(...)")
    wanted, validation, name = _metrics(asked.metrics), _validation(asked.validation), _name(base_model, base_name)
    chosen, better = _objective(asked.objective, wanted, vertex=vertex, validation=validation)
    source, said = _source(asked, vertex=vertex, shared=shared, objective=chosen, better=better)
    places = asked.concurrency if asked.concurrency is None else checks.whole("concurrency", asked.concurrency)
    return SweepSpec(
        base_model=base_model,
        base_name=name,
        vertex=vertex,
        data=data,
        source=source,
        space=said,
        ahead=asked.study is None,
        validation=validation,
        most=asked.max_jobs,
        places=STUDY_PLACES if places is None and asked.study is not None else places,
        rules=resolve_rules(asked.stop),
        metrics=wanted or (() if chosen in MEASURED else resolve(chosen)),
        compares=bool(wanted),
        objective=chosen,
        better=better,
        money=None if asked.budget is None else checks.number("budget", asked.budget),
        tokens=None if asked.token_budget is None else checks.number("token_budget", asked.token_budget),
        prices=_prices(asked, name),
        folder=journal_folder(asked.journal),
        seed=checks.whole("seed", asked.seed, least=0),
        title=_title(asked.title),
        method=checks.one_of("method", asked.method, "supervised", "preference"),  # type: ignore[arg-type]
        options=options,
    )


def _name(base_model: object, base_name: Callable[[object], str]) -> str:
    try:
        return base_name(base_model)
    except InvalidInput as error:
        raise checks.about(error, "model", "base_model") if error.field == "model" else error from None


def _prices(asked: SweepArguments, base_name: str) -> PriceList | None:
    found = None if asked.prices is None else PriceList.of(asked.prices)
    if found is not None:
        found.of_model(base_name)
    if found is None and asked.budget is not None:
        what = "budget: money is counted by the price of a million training tokens, and none is built in"
        raise InvalidInput(what, Remedy("give ", Argument("prices")), field="budget")
    return found


def _title(given: object) -> str | None:
    if given is not None and not (isinstance(given, str) and 0 < len(given) <= _LONGEST_TITLE):
        checks.refuse("title", f"a string of at most {_LONGEST_TITLE} characters", given)
    return given


def _check_options(options: Mapping[str, Any]) -> None:
    for name, instead in _OF_THE_SWEEP.items():
        if options.get(name):
            raise InvalidInput(f"a sweep has no {name} of its own", instead, field=name)
    unknown = [name for name in options if name not in SharedOptions.__annotations__]
    if unknown:
        raise TypeError(f"a sweep got an unexpected keyword argument {unknown[0]!r}")


def _validation(given: object) -> object:
    if given is None or given is False or (checks.is_number(given) and given == 0):
        return None
    if checks.is_number(given):
        if not 0 < given < 1:
            checks.refuse("validation", "a share between 0 and 1, or validation data", given)
        return float(given)
    return given


def _metrics(given: Any) -> Sequence[Metric]:
    if given is None or (isinstance(given, Sized) and not len(given)):
        return ()
    return resolve(given)


def _objective(
    given: str | None, metrics: Sequence[Metric], *, vertex: bool, validation: object
) -> tuple[str, Literal["lower", "higher"]]:
    names = {each.name: each for each in metrics}
    if given is None:
        given = next(iter(names), None) or ("eval_loss" if vertex else "exact_match")
        if validation is None and not names:
            given = "loss"
    if given in MEASURED:
        _check_measured(given, vertex=vertex, validation=validation)
        return given, "lower"
    if given not in (names or NAMED):
        known = ", ".join((*MEASURED, *(names or NAMED)))
        raise InvalidInput(f"objective: {given!s:.60} is none of {known}", field="objective")
    if validation is None:
        what = f"objective: {given} is found by asking rows that were held out, and there is no validation"
        raise InvalidInput(what, Remedy("give ", Argument("validation", "0.1")), field="objective")
    metric = names[given] if names else resolve(given)[0]
    return given, metric.better


def _check_measured(objective: str, *, vertex: bool, validation: object) -> None:
    if objective != "eval_loss":
        return
    if not vertex:
        what = "objective: the Gemini API measures no loss on validation data"
        other = Remedy("rank by a metric, such as ", Argument("objective", "exact_match"))
        raise InvalidInput(what, other, field="objective")
    if validation is None:
        what = "objective: the loss on validation data is not measured without any"
        raise InvalidInput(what, Remedy("give ", Argument("validation", "0.1")), field="objective")


def _source(
    asked: SweepArguments, objective: str, better: Literal["lower", "higher"], *, vertex: bool,
    shared: Hyperparameters | None,
) -> tuple[PointSource, str]:  # fmt: skip
    """Return what says which points are tried, and what tells its space from others."""
    most = None if asked.max_jobs is None else checks.whole("max_jobs", asked.max_jobs)
    service: Literal["gemini", "vertex"] = "vertex" if vertex else "gemini"
    if asked.study is not None:
        from gemtune.sweep.optuna_study import study_points  # whoever has no study needs no Optuna

        found = study_points(
            asked.study, asked.space, max_jobs=most, better=better, objective=objective, service=service, shared=shared
        )
        return found, _digest(found.space.to_plain())
    if asked.space is None:
        grid = Remedy("give ", Argument("space"), ', such as {"epoch_count": [2, 4, 8]}')
        raise InvalidInput("a sweep needs a space, or an Optuna study", grid, field="space")
    space = SweepSpace.of(asked.space, service=service, shared=shared)
    return points_of(space, max_jobs=most, seed=asked.seed), _digest(space.to_plain())


def _said(options: Mapping[str, Any]) -> dict[str, str]:
    """Return what all points share; how the data were read shows in the data."""
    left_out = (*READING, "bucket")
    return {name: repr(value) for name, value in sorted(options.items()) if name not in left_out and value is not None}


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
