"""Vertex AI: one function per remote method, from arguments to a Call.

Methods and paths are those of the discovery documents of ``aiplatform`` (revision 20261106). Tuning jobs are read on
v1beta1, which alone shows what a running job waits for and how many epochs are done; everything else lives on v1. All
names come checked from ``vertex_names``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from gemtune import checks
from gemtune.errors import MalformedResponse
from gemtune.protocol import vertex_names
from gemtune.protocol.call import Call, Effect
from gemtune.protocol.codec import decode, decode_lenient, dumps, encode
from gemtune.protocol.gemini import Page
from gemtune.protocol.hosts import origin_of
from gemtune.types.message import Message
from gemtune.types.vertex import (
    CurvePoint,
    MetadataContext,
    ModelVersionCheckpoint,
    TensorboardTimeSeries,
    TimeSeriesData,
    VertexEndpoint,
    VertexModel,
    VertexOperation,
    VertexTuningJob,
)

T = TypeVar("T")
M = TypeVar("M", bound=Message)

_Query = tuple[tuple[str, object], ...]

LIGHT: Final = "tuningJobs(name,state,tuningJobState,createTime,tunedModel(endpoint)),nextPageToken"
"""The mask of a light list: what states need, and neither statistics nor examples."""
SAMPLED_ABOVE: Final = 1000
"""Points of a curve above which ``batchRead`` answers with a random sample of them."""
LARGEST_EXPORT: Final = 10_000
"""Points on the largest page of an export."""

_JOB: Final = partial(decode_lenient, VertexTuningJob)
_MODEL: Final = partial(decode_lenient, VertexModel)
_OPERATION: Final = partial(decode_lenient, VertexOperation)


def create_tuning_job(parent: str, job: VertexTuningJob) -> Call[VertexTuningJob]:
    """``tuningJobs.create``: no id can be chosen, so that a label of ours has to tell the job apart."""
    return Call(
        method="tuningJobs.create",
        verb="POST",
        path=f"/v1beta1/{parent}/tuningJobs",
        body=dumps(encode(job), strict=True),
        effect=Effect.CREATE,
        decode=_JOB,
        resource=f"{parent}/tuningJobs",
        origin=origin_of(parent),
    )


def get_tuning_job(name: str) -> Call[VertexTuningJob]:
    """``tuningJobs.get``."""
    return _get("tuningJobs.get", name, _JOB, version="v1beta1")


def list_tuning_jobs(
    parent: str,
    *,
    page_size: int | None = None,
    page_token: str | None = None,
    filter: str | None = None,
    fields: str | None = None,
) -> Call[Page[VertexTuningJob]]:
    """``tuningJobs.list``: the job that was updated last comes first, so that jobs move between pages."""
    query = (*_paging(page_size, page_token, filter), ("fields", fields))
    read = partial(_page, VertexTuningJob, "tuningJobs")
    return _get("tuningJobs.list", f"{parent}/tuningJobs", read, version="v1beta1", query=query)


def cancel_tuning_job(name: str) -> Call[None]:
    """``tuningJobs.cancel``: it may be sent again, because a job that has ended or is being cancelled stays so."""
    return Call(
        method="tuningJobs.cancel",
        verb="POST",
        path=f"/v1beta1/{name}:cancel",
        body=b"{}",
        effect=Effect.READ,
        decode=_nothing,
        resource=name,
        origin=origin_of(name),
    )


def get_model(name: str) -> Call[VertexModel]:
    """``models.get``: without ``@version``, the default version."""
    return _get("models.get", name, _MODEL)


def list_models(
    parent: str,
    *,
    page_size: int | None = None,
    page_token: str | None = None,
    filter: str | None = None,
    fields: str | None = None,
) -> Call[Page[VertexModel]]:
    """``models.list``: one version of each model."""
    read = partial(_page, VertexModel, "models")
    query = (*_paging(page_size, page_token, filter), ("fields", fields))
    return _get("models.list", f"{parent}/models", read, query=query)


def list_versions(name: str, *, page_size: int | None = None, page_token: str | None = None) -> Call[Page[VertexModel]]:
    """``models.listVersions``."""
    read = partial(_page, VertexModel, "models")
    return _get("models.listVersions", name, read, suffix=":listVersions", query=_paging(page_size, page_token))


def list_checkpoints(
    name: str, *, page_size: int | None = None, page_token: str | None = None
) -> Call[Page[ModelVersionCheckpoint]]:
    """``models.listCheckpoints``: those of one version."""
    read = partial(_page, ModelVersionCheckpoint, "checkpoints")
    return _get("models.listCheckpoints", name, read, suffix=":listCheckpoints", query=_paging(page_size, page_token))


def update_model(name: str, changes: Mapping[str, object]) -> Call[VertexModel]:
    """``models.patch``: Google's client sends no mask with it, and what is not given stays as it is."""
    return _write("models.patch", "PATCH", name, dict(changes), _MODEL)


def delete_model(name: str) -> Call[VertexOperation]:
    """``models.delete``: with all of its versions; refused as long as it is deployed."""
    return _write("models.delete", "DELETE", name, None, _OPERATION)


def get_endpoint(name: str) -> Call[VertexEndpoint]:
    """``endpoints.get``."""
    return _get("endpoints.get", name, partial(decode_lenient, VertexEndpoint))


def list_endpoints(
    parent: str, *, page_size: int | None = None, page_token: str | None = None, filter: str | None = None
) -> Call[Page[VertexEndpoint]]:
    """``endpoints.list``."""
    read = partial(_page, VertexEndpoint, "endpoints")
    return _get("endpoints.list", f"{parent}/endpoints", read, query=_paging(page_size, page_token, filter))


def get_context(name: str) -> Call[MetadataContext]:
    """``metadataStores.contexts.get``: the experiment, whose metadata name the TensorBoard."""
    return _get("contexts.get", name, partial(decode_lenient, MetadataContext))


def list_runs(experiment: str) -> Call[Page[MetadataContext]]:
    """``metadataStores.contexts.list``: the runs of an experiment."""
    collection = experiment.rpartition("/")[0]
    within = f'schema_title="system.ExperimentRun" AND parent_contexts:"{experiment}"'
    read = partial(_page, MetadataContext, "contexts")
    return _get("contexts.list", collection, read, query=(("filter", within),))


def list_time_series(run: str) -> Call[Page[TensorboardTimeSeries]]:
    """``timeSeries.list``: the curves of a run; it has six at most, and a page holds 1,000."""
    read = partial(_page, TensorboardTimeSeries, "tensorboardTimeSeries")
    return _get("timeSeries.list", f"{run}/timeSeries", read, query=(("pageSize", 1000),))


def read_time_series(names: Sequence[str]) -> Call[Page[TimeSeriesData]]:
    """``tensorboards.batchRead``: curves of one TensorBoard; of more than 1,000 points it answers with a sample."""
    read = partial(_page, TimeSeriesData, "timeSeriesData", read=decode)
    query = tuple(("timeSeries", name) for name in names)
    tensorboard = vertex_names.tensorboard_of(names[0])
    return _get("tensorboards.batchRead", tensorboard, read, suffix=":batchRead", query=query)


def export_time_series(name: str, *, page_token: str | None = None) -> Call[Page[CurvePoint]]:
    """``timeSeries.exportTensorboardTimeSeries``: every point of one curve."""
    body = {"pageSize": LARGEST_EXPORT, **({"pageToken": page_token} if page_token else {})}
    return Call(
        method="timeSeries.export",
        verb="POST",
        path=f"/v1/{name}:exportTensorboardTimeSeries",
        body=dumps(body, strict=True),
        effect=Effect.READ,
        decode=partial(_page, CurvePoint, "timeSeriesDataPoints", read=decode),
        resource=name,
        origin=origin_of(name),
    )


def _get(
    method: str,
    name: str,
    read: Callable[[object], T],
    *,
    version: str = "v1",
    suffix: str = "",
    query: _Query = (),
) -> Call[T]:
    return Call(
        method=method,
        verb="GET",
        path=f"/{version}/{name}{suffix}",
        query=query,
        effect=Effect.READ,
        decode=read,
        resource=name,
        origin=origin_of(name),
    )


def _write(method: str, verb: str, name: str, body: object, read: Callable[[object], T]) -> Call[T]:
    return Call(
        method=method,
        verb=verb,
        path=f"/v1/{name}",
        body=None if body is None else dumps(body, strict=True),
        effect=Effect.WRITE,
        decode=read,
        resource=name,
        origin=origin_of(name),
    )


def _page(cls: type[M], key: str, value: object, *, read: Callable[[type[M], object], M] = decode_lenient) -> Page[M]:
    # Points come by the thousand, and only from the service itself: there ``read`` knows one spelling alone.
    if not isinstance(value, dict):
        raise MalformedResponse("the list is not a JSON object")
    # The service leaves out an empty list, and Google's own clients know the token in both spellings.
    found = value.get(key) or []
    token = value.get("nextPageToken") or value.get("next_page_token") or None
    if not isinstance(found, list) or not (token is None or isinstance(token, str)):
        raise MalformedResponse(f"the list's {key} or nextPageToken has the wrong type")
    return Page(tuple(read(cls, item) for item in found), token)


def _nothing(value: object) -> None:
    """Read the empty message ``{}``."""
    if not isinstance(value, dict):
        raise MalformedResponse("the empty message is not a JSON object")


def _paging(page_size: int | None, page_token: str | None, filter: object = None) -> _Query:
    if page_size is not None:
        checks.whole("page_size", page_size)
    if not isinstance(filter, str | None) or any("\ud800" <= letter <= "\udfff" for letter in filter or ""):
        checks.refuse("filter", "a string", filter)
    return (("pageSize", page_size), ("pageToken", page_token), ("filter", filter))
