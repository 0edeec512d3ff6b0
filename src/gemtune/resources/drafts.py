"""What the caller of ``client.tune`` wants, as a value, and what the Gemini API makes of it.

A draft holds exactly what was given. Each service reads the data and checks the arguments itself, because they disagree
about both: what the one takes inline the other wants in Cloud Storage, and a learning rate here is a multiplier there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Literal, Never, TypedDict, TypeVar

import anyio.to_thread
import attrs

from gemtune import checks
from gemtune.datasets.accepted import TrainingDataLike
from gemtune.datasets.examples import checked
from gemtune.datasets.headings import Choice
from gemtune.datasets.load import already_read, is_file, load, rows_in
from gemtune.datasets.report import TrainingSet
from gemtune.errors import InvalidInput
from gemtune.protocol import names
from gemtune.remedy import Argument, Remedy
from gemtune.resources.tuned_models import check_description, check_display_name, check_fraction, check_top_k
from gemtune.types import Hyperparameters, TrainingData, TunedModel, TunedModelSource, TuningExamples, TuningTask

T = TypeVar("T")

_data_log = logging.getLogger("gemtune.datasets")

MANY: Final = 1000
"""Examples, about 10 ms of work, from which on they are checked and written in a thread."""


@attrs.frozen(eq=False, kw_only=True)
class TuningDraft:
    """What the caller of ``client.tune`` wants, as it was given; nothing in it is read or checked yet.

    Args:
        base_model: The model to tune, or a tuned model to continue from.
        training_data: The examples in any form, or where they are.
        choice: What the caller says about the columns of a table.
        display_name: What people call the model.
        description: What it is for.
        hyperparameters: How to tune.
        temperature: The tuned model's default, like ``top_p`` and ``top_k``; the Gemini API only, like these.
        validation_data: Examples to measure the loss on; Vertex AI only, like everything below.
        method: ``supervised`` or ``preference``.
        labels: Labels of the caller's own.
        service_account: The account that reads the data.
        kms_key: The key that encrypts the model.
        checkpoints: ``all`` or ``last``; None for the service's own choice.
        bucket: The bucket for data that has to be uploaded, before the client's own.
        queue: Whether to wait for a free place if the quota is used up, rather than to fail.
        fresh: Whether the id was made for this one creation, so that nobody can have used it and nothing has to be
            looked for before it; ``client.sweep`` alone says so.
        wanted: Says whether it is still to be created, when that is about to be sent; also ``client.sweep``'s alone.
    """

    base_model: object
    training_data: object
    choice: Choice = attrs.field(factory=Choice)
    display_name: str | None = None
    description: str | None = None
    hyperparameters: Hyperparameters | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    validation_data: object | None = None
    method: Literal["supervised", "preference"] = "supervised"
    labels: Mapping[str, str] | None = None
    service_account: str | None = None
    kms_key: str | None = None
    checkpoints: Literal["all", "last"] | None = None
    bucket: str | None = None
    queue: bool = False
    fresh: bool = False
    wanted: Callable[[], bool] | None = None


class SharedOptions(TypedDict, total=False):
    """What ``client.tune`` takes of one job, and ``client.sweep`` of all its points."""

    input: str | int | None
    output: str | int | None
    heading: bool | None
    delimiter: str | None
    hyperparameters: Hyperparameters | None
    description: str | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    labels: Mapping[str, str] | None
    service_account: str | None
    kms_key: str | None
    checkpoints: Literal["all", "last"] | None
    bucket: str | None


class TuneOptions(SharedOptions, total=False):
    """What ``client.tune`` takes beside the model, the data and the id; see there, and ``TuningDraft``."""

    display_name: str | None
    validation_data: TrainingDataLike | None
    queue: bool


def draft_of(
    base_model: object,
    training_data: object,
    method: Literal["supervised", "preference"],
    options: TuneOptions,
) -> TuningDraft:
    """Return what the arguments of ``client.tune`` ask for.

    Raises:
        InvalidInput: What is said about the columns is wrong.
        TypeError: There is no such argument.
    """
    given: dict[str, Any] = dict(options)
    unknown = next((name for name in given if name not in TuneOptions.__annotations__), None)
    if unknown is not None:  # of a function that spells its arguments out, the same
        raise TypeError(f"tune got an unexpected keyword argument {unknown!r}")
    columns = {name: given.pop(name, None) for name in ("input", "output", "heading", "delimiter")}
    choice = Choice.of(columns["input"], columns["output"], heading=columns["heading"], delimiter=columns["delimiter"])
    return TuningDraft(base_model=base_model, training_data=training_data, method=method, choice=choice, **given)


_VERTEX_ONLY: Final = ("validation_data", "labels", "service_account", "kms_key", "checkpoints", "bucket", "queue")


async def model_to_create(draft: TuningDraft) -> tuple[TunedModel, TrainingSet]:
    """Return the TunedModel that a draft describes to the Gemini API, and the training data as it was read.

    Raises:
        InvalidInput: An argument or a row is wrong, or the Gemini API has nothing like it.
    """
    check_gemini_draft(draft)
    data = await read_data(draft.training_data, draft.choice)
    return await off_loop(len(data.examples) > MANY, partial(_tuned_model, draft, data)), data


def check_gemini_draft(draft: TuningDraft) -> None:
    """Refuse what is wrong in a draft, apart from its data, before anything is read or sent.

    Raises:
        InvalidInput: An argument is wrong, or the Gemini API has nothing like it.
    """
    _refuse_foreign(draft)
    check_display_name(draft.display_name)
    check_description(draft.description)
    check_fraction("temperature", draft.temperature)
    check_fraction("top_p", draft.top_p)
    check_top_k(draft.top_k)


def _refuse_foreign(draft: TuningDraft) -> None:
    checks.one_of("method", draft.method, "supervised", "preference")
    if draft.method != "supervised":
        _refuse("method", f"the Gemini API has no tuning by {draft.method}")
    for name in _VERTEX_ONLY:
        if getattr(draft, name) not in (None, False):
            _refuse(name, f"{name} has no counterpart on the Gemini API")
    if draft.hyperparameters is not None:
        checks.instance("hyperparameters", draft.hyperparameters, Hyperparameters, "gemtune.Hyperparameters(...)")
        for name in ("adapter_size", "beta"):
            if getattr(draft.hyperparameters, name) is not None:
                _refuse(name, f"{name} is a hyperparameter of Vertex AI and has no counterpart on the Gemini API")


def _refuse(field: str, what: str) -> Never:
    tunes = Remedy("tune on Vertex AI, with ", Argument("vertexai", True))
    raise InvalidInput(what, Remedy("leave it out"), tunes, field=field)


def _tuned_model(draft: TuningDraft, data: TrainingSet) -> TunedModel:
    source = names.model_name(draft.base_model, field="base_model")
    tuned = source.startswith("tunedModels/")
    return TunedModel(
        tuned_model_source=TunedModelSource(tuned_model=source) if tuned else None,
        base_model="" if tuned else source,
        display_name=draft.display_name or "",
        description=draft.description or "",
        temperature=draft.temperature,
        top_p=draft.top_p,
        top_k=draft.top_k,
        tuning_task=TuningTask(
            training_data=TrainingData(examples=TuningExamples(examples=data.examples)),
            hyperparameters=draft.hyperparameters,
        ),
    )


async def read_data(training_data: object, choice: Choice) -> TrainingSet:
    """Return training data as checked examples, and log what was read; files are read in a thread.

    Raises:
        InvalidInput: It cannot be read, or a row is wrong.
    """
    data = already_read(training_data, choice)
    if data is None and is_file(training_data):
        data = await anyio.to_thread.run_sync(load, training_data, choice)
    elif data is None:
        # Iterators are the caller's code, and run where the caller runs.
        rows = rows_in(training_data, choice)
        data = await off_loop(len(rows.numbered) > MANY, partial(checked, rows, choice))
    _data_log.info("training data: %s", data.report)
    for note in data.report.notes:
        _data_log.warning("training data: %s", note)
    return data


async def off_loop(large: bool, work: Callable[[], T]) -> T:
    """Do some work at once if it is small, and in a thread if it would hold up the event loop."""
    return await anyio.to_thread.run_sync(work) if large else work()
