"""Tuned models, their training data and their progress (API page: tunedModels)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import attrs

from gemtune import checks
from gemtune.errors import InvalidInput
from gemtune.markup import Displayed, box, escape, facts
from gemtune.rows.frames import rows_with
from gemtune.types.message import ELSEWHERE, Int64, Message, as_tuple
from gemtune.types.openenum import OpenEnum
from gemtune.types.timestamp import Timestamp
from gemtune.types.training import Checkpoint, Measured, SnapshotMetrics


class TunedModelState(OpenEnum):
    """Where a tuned model stands."""

    STATE_UNSPECIFIED = "STATE_UNSPECIFIED"
    CREATING = "CREATING"
    ACTIVE = "ACTIVE"
    FAILED = "FAILED"


@attrs.frozen
class TuningExample(Message):
    """One pair to learn from.

    Args:
        text_input: What the model is asked.
        output: What it should answer.
    """

    text_input: str
    output: str


@attrs.frozen
class TuningExamples(Message):
    """A list of examples."""

    examples: tuple[TuningExample, ...] = attrs.field(default=(), converter=as_tuple)


@attrs.frozen
class TrainingData(Message):
    """The training data, inline (the API calls it Dataset); the service never sends it back."""

    examples: TuningExamples | None = None


@rows_with("step", "epoch", "mean_loss", "compute_time")
@attrs.frozen
class TuningSnapshot(Measured, Message):
    """The metrics of one training step; a list of them makes a data frame.

    A service that measures more than the loss gives each a MeasuredSnapshot, whose ``metrics`` hold the rest.

    Args:
        step: The step, from 1.
        epoch: How often the whole data had been gone through after the step.
        mean_loss: The mean loss of the examples of this step.
        compute_time: When it was computed.
    """

    step: int = 0
    epoch: int = 0
    mean_loss: float = 0.0
    compute_time: Timestamp | None = None

    def to_dict(self) -> dict[str, int | float | datetime | None]:
        """Return step, epoch, mean_loss and compute_time, the last as a datetime, and the metrics if there are any."""
        time = self.compute_time.to_datetime() if self.compute_time is not None else None
        row = {"step": self.step, "epoch": self.epoch, "mean_loss": self.mean_loss, "compute_time": time}
        return row if self.metrics is None else row | attrs.asdict(self.metrics)


@rows_with("step", "epoch", "mean_loss", "compute_time", "accuracy", "eval_loss", "eval_accuracy")
@attrs.frozen
class MeasuredSnapshot(TuningSnapshot):
    """A snapshot of a service that measures more than the loss, and may have some of it later than the rest.

    ``mean_loss`` is NaN as long as the service has said no loss.

    Args:
        metrics: What else was measured.
    """

    # A class of its own, so that the millions of snapshots that have no more than a loss pay nothing for it.
    metrics: SnapshotMetrics = attrs.field(default=SnapshotMetrics(), kw_only=True)


@attrs.frozen(kw_only=True)
class Hyperparameters(Message):
    """What controls the training; the service fills in what is left out.

    The two services do not have the same ones. What belongs to the other service is refused, and its counterpart named.

    Args:
        epoch_count: How often the whole data is gone through; by default 5 on the Gemini API.
        batch_size: How many examples make a step; by default 4 or 16, by the number of examples. Gemini API only.
        learning_rate: The learning rate; by default 0.001 or 0.0002, by the number of examples. Gemini API only.
        learning_rate_multiplier: A factor on the default rate; on the Gemini API instead of ``learning_rate``.
        adapter_size: The size of the adapter that is trained: 1, 2, 4, 8, 16 or 32, by model. Vertex AI only.
        beta: How closely preference tuning keeps to the model it starts from; greater is closer. Vertex AI only.

    Raises:
        InvalidInput: Both learning rates are given, or a value is not positive.
    """

    epoch_count: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    learning_rate_multiplier: float | None = None
    adapter_size: int | None = attrs.field(default=None, metadata=ELSEWHERE)
    beta: float | None = attrs.field(default=None, metadata=ELSEWHERE)

    def __attrs_post_init__(self) -> None:
        # The API has a oneof here. Replies are decoded without this check (see protocol.codec.generate).
        if self.learning_rate is not None and self.learning_rate_multiplier is not None:
            raise InvalidInput(
                "learning_rate and learning_rate_multiplier exclude each other: give one of them",
                field="learning_rate_multiplier",
            )
        for name in ("epoch_count", "batch_size"):
            if (value := getattr(self, name)) is not None:
                checks.whole(name, value, most=_INT32)
        if self.adapter_size is not None and not (
            checks.is_whole(self.adapter_size) and self.adapter_size in _ADAPTERS
        ):
            checks.refuse("adapter_size", "1, 2, 4, 8, 16 or 32", self.adapter_size)
        for name in ("learning_rate", "learning_rate_multiplier", "beta"):
            if (value := getattr(self, name)) is not None:
                checks.number(name, value)


# What the API's int32 can hold.
_INT32: Final = 2**31 - 1
_ADAPTERS: Final = (1, 2, 4, 8, 16, 32)


@attrs.frozen(kw_only=True)
class TuningTask(Message):
    """The training that makes a tuned model.

    Args:
        start_time: When the training began; absent at first.
        complete_time: When it ended.
        snapshots: The metrics of the steps so far.
        training_data: What to learn from; sent once, never returned.
        hyperparameters: What controls the training, with the values in effect once the service has answered.
    """

    start_time: Timestamp | None = None
    complete_time: Timestamp | None = None
    snapshots: tuple[TuningSnapshot, ...] = attrs.field(default=(), converter=as_tuple)
    training_data: TrainingData | None = None
    hyperparameters: Hyperparameters | None = None


@attrs.frozen(kw_only=True)
class TunedModelSource(Message):
    """A tuned model that another one starts from.

    Args:
        tuned_model: Its name, ``tunedModels/...``.
        base_model: The model that one was tuned from; set by the service.
    """

    tuned_model: str = ""
    base_model: str = ""


@attrs.frozen(kw_only=True)
class TunedModel(Message, Displayed):
    """A model tuned from another.

    Args:
        name: ``tunedModels/{id}``; set by the service.
        tuned_model_source: The tuned model it starts from, instead of ``base_model``.
        base_model: The model it starts from, ``models/...``.
        display_name: The name for people, at most 40 characters.
        description: What it is for.
        state: Where it stands.
        create_time: When it was created.
        update_time: When it was last changed.
        tuning_task: The training.
        temperature: The default temperature, 0 to 1.
        top_p: The default nucleus probability.
        top_k: The default number of candidates per token.
        reader_project_numbers: Projects that may read it.
        type_url: The ``@type`` it came with as an operation's response; no part of the model.
    """

    name: str = ""
    tuned_model_source: TunedModelSource | None = None
    base_model: str = ""
    display_name: str = ""
    description: str = ""
    state: TunedModelState = attrs.field(default=TunedModelState.STATE_UNSPECIFIED, converter=TunedModelState)
    create_time: Timestamp | None = None
    update_time: Timestamp | None = None
    tuning_task: TuningTask | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    reader_project_numbers: tuple[Int64, ...] = attrs.field(default=(), converter=as_tuple)
    type_url: str = attrs.field(default="", eq=False, repr=False, metadata={"json": "@type"})

    @property
    def endpoint(self) -> str:
        """The full name of the endpoint that serves it; empty on the Gemini API, which serves it under its name."""
        return ""

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The model at points of its training, on a service that keeps them; the last one is the model itself."""
        return ()

    def _facts(self) -> str:
        snapshots = self.tuning_task.snapshots if self.tuning_task is not None else ()
        loss = f", loss {snapshots[-1].mean_loss:.4g} after {snapshots[-1].step} steps" if snapshots else ""
        title = f" {self.display_name!r}" if self.display_name else ""
        return f"{self.name} {self.state}{title}{loss}, from {self.base_model or 'a tuned model'}"

    def _as_html(self) -> str:
        task = self.tuning_task or TuningTask()
        last = task.snapshots[-1] if task.snapshots else None
        used = task.hyperparameters
        known: dict[str, object] = {} if used is None else attrs.asdict(used, filter=lambda _, value: bool(value))
        return box(
            f"<p>tuned model <strong>{escape(self.display_name or self.name)}</strong></p>",
            facts(
                [
                    ("name", self.name),
                    ("state", str(self.state)),
                    ("from", self.base_model or (self.tuned_model_source and self.tuned_model_source.tuned_model)),
                    ("loss", last and f"{last.mean_loss:.4g} after {last.step:,} steps"),
                    ("hyperparameters", ", ".join(f"{name} {value}" for name, value in known.items())),
                    ("created", self.create_time and f"{self.create_time.to_datetime():%Y-%m-%d %H:%M} UTC"),
                    ("endpoint", self.endpoint),
                    ("description", self.description),
                ]
            ),
            label=f"tuned model {self.display_name or self.name}",
        )


@attrs.frozen(kw_only=True)
class ServedModel(TunedModel):
    """A tuned model of a service that serves models, and their checkpoints, on endpoints.

    Args:
        endpoint: The full name of the endpoint that serves it.
        checkpoints: The model at points of its training, by step.
    """

    endpoint: str = ""
    checkpoints: tuple[Checkpoint, ...] = attrs.field(default=(), converter=as_tuple)


@attrs.frozen(kw_only=True)
class CreateTunedModelMetadata(Message):
    """The progress of a job, as its operation reports it.

    Args:
        total_steps: How many steps there will be.
        completed_steps: How many are done.
        completed_percent: The same as a percentage, 0 to 100.
        snapshots: The metrics of the steps so far.
        tuned_model: The name of the model that comes of it.
        type_url: The ``@type`` it came with.
    """

    total_steps: int = 0
    completed_steps: int = 0
    completed_percent: float = 0.0
    snapshots: tuple[TuningSnapshot, ...] = attrs.field(default=(), converter=as_tuple)
    tuned_model: str = ""
    type_url: str = attrs.field(default="", eq=False, repr=False, metadata={"json": "@type"})


@attrs.frozen(kw_only=True)
class ListTunedModelsResponse(Message):
    """One page of tuned models; without a next page token it is the last."""

    tuned_models: tuple[TunedModel, ...] = ()
    next_page_token: str = ""


@attrs.frozen(kw_only=True)
class TransferOwnershipRequest(Message):
    """Make somebody else the owner; the old owner becomes a writer."""

    email_address: str
