"""What stands around a tuning job of Vertex AI: models with versions, endpoints, and the curves of its training.

These are large resources of which tuning needs little. What this version has no field for stays in ``extra``.
"""

from __future__ import annotations

import attrs

from gemtune.types.message import EMPTY, Int64, Json, Message, as_html
from gemtune.types.timestamp import Timestamp


@attrs.frozen(kw_only=True)
class ModelVersionCheckpoint(Message):
    """A checkpoint as the model registry shows it: without its endpoint, which only the job knows."""

    checkpoint_id: str = ""
    epoch: Int64 = 0
    step: Int64 = 0


@attrs.frozen(kw_only=True)
class DeployedModelRef(Message):
    """Where a model is deployed."""

    endpoint: str = ""
    deployed_model_id: str = ""
    checkpoint_id: str = ""


@attrs.frozen(kw_only=True)
class VertexModel(Message):
    """A model of the model registry, in one of its versions.

    Args:
        name: ``projects/…/models/ID``, with or without ``@version``.
        version_id: The version, ``1``, ``2`` ...
        version_aliases: Other names of the version, such as ``default``.
        display_name: What people call the model.
        deployed_models: Where it is deployed.
        checkpoints: Its checkpoints.
        default_checkpoint_id: The checkpoint that the model's own endpoint serves.
        labels: Words of your own; those of the tuning job.
    """

    name: str = ""
    version_id: str = ""
    version_aliases: tuple[str, ...] = ()
    version_create_time: Timestamp | None = None
    version_update_time: Timestamp | None = None
    display_name: str = ""
    description: str = ""
    create_time: Timestamp | None = None
    update_time: Timestamp | None = None
    deployed_models: tuple[DeployedModelRef, ...] = ()
    labels: Json = attrs.field(default=EMPTY, hash=False)
    checkpoints: tuple[ModelVersionCheckpoint, ...] = ()
    default_checkpoint_id: str = ""

    def _facts(self) -> str:
        title = f" {self.display_name!r}" if self.display_name else ""
        return f"{self.name} version {self.version_id or '?'}{title}, {len(self.checkpoints)} checkpoints"

    def _repr_html_(self) -> str:
        return as_html(self)


@attrs.frozen(kw_only=True)
class DeployedModel(Message):
    """A model on an endpoint."""

    id: str = ""
    model: str = ""
    model_version_id: str = ""
    display_name: str = ""
    create_time: Timestamp | None = None
    checkpoint_id: str = ""


@attrs.frozen(kw_only=True)
class VertexEndpoint(Message):
    """Who serves a tuned model, or one of its checkpoints.

    Args:
        name: ``projects/…/endpoints/ID``; generate calls take it in the place of a model.
        display_name: What people call it.
        deployed_models: What it serves.
        labels: Words of your own; those of the tuning job.
    """

    name: str = ""
    display_name: str = ""
    description: str = ""
    deployed_models: tuple[DeployedModel, ...] = ()
    traffic_split: Json = attrs.field(default=EMPTY, hash=False)
    labels: Json = attrs.field(default=EMPTY, hash=False)
    create_time: Timestamp | None = None
    update_time: Timestamp | None = None

    def _facts(self) -> str:
        served = ", ".join(each.model for each in self.deployed_models) or "nothing"
        return f"{self.name} {self.display_name!r} serves {served}"

    def _repr_html_(self) -> str:
        return as_html(self)


@attrs.frozen(kw_only=True)
class VertexOperation(Message):
    """Work that the service does meanwhile, such as deleting a model."""

    name: str = ""
    metadata: Json = attrs.field(default=EMPTY, hash=False)
    done: bool = False
    error: Json = attrs.field(default=EMPTY, hash=False)
    response: Json = attrs.field(default=EMPTY, hash=False)


@attrs.frozen(kw_only=True)
class MetadataContext(Message):
    """An experiment, or one of its runs (Vertex ML Metadata); ``metadata`` names the TensorBoard."""

    name: str = ""
    display_name: str = ""
    schema_title: str = ""
    metadata: Json = attrs.field(default=EMPTY, hash=False)
    parent_contexts: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class TensorboardTimeSeries(Message):
    """One curve of a run; its display name is the metric, such as ``/train_total_loss``."""

    name: str = ""
    display_name: str = ""
    value_type: str = ""


@attrs.frozen(kw_only=True)
class CurveValue(Message):
    """The number of a point (the API calls it Scalar)."""

    value: float = 0.0


@attrs.frozen(kw_only=True)
class CurvePoint(Message):
    """One point of a curve (the API calls it TimeSeriesDataPoint).

    Args:
        wall_time: When it was measured.
        step: The training step, from 1.
        scalar: The number.
    """

    wall_time: Timestamp | None = None
    step: Int64 = 0
    scalar: CurveValue | None = None


@attrs.frozen(kw_only=True)
class TimeSeriesData(Message):
    """The points of one curve."""

    tensorboard_time_series_id: str = ""
    value_type: str = ""
    values: tuple[CurvePoint, ...] = ()
