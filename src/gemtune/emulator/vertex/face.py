"""Vertex AI as faces: one for each version, because v1 lacks fields that v1beta1 has.

Batch prediction has faces of its own, as it has a shelf of its own; the versions share the shelves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import attrs

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import RpcError, permission_denied
from gemtune.emulator.messages.known_errors import vertex_no_credential
from gemtune.emulator.vertex.batches.shelf import PREDICTIONS, PredictionShelf
from gemtune.emulator.vertex.messages.schema import SCHEMAS
from gemtune.emulator.vertex.names import canonical
from gemtune.emulator.vertex.refusals import no_such
from gemtune.emulator.vertex.routes import BATCHES, ROUTES
from gemtune.emulator.vertex.shelf import SHELF, VertexShelf
from gemtune.emulator.world.face import JsonFace, Replication
from gemtune.emulator.world.route import Route
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import MethodCall, Shelf

HOST = "aiplatform.googleapis.com"
# What is about no single thing; a job's curves are late as the job is.
_COLLECTIONS = frozenset({
    "tuningJobs.list", "metadataStores.contexts.list", "tensorboards.experiments.runs.timeSeries.list",
    "tensorboards.batchRead",
})  # fmt: skip


_BATCHES = frozenset({"batchPredictionJobs.list"})


def _running(_: Value) -> Iterator[Value]:
    """Find nothing: the curves of a job are not part of it."""
    return iter(())


def _hidden(kind: str, call: MethodCall, status: int) -> RpcError:
    name = canonical(call.params["name"])
    if status == 404:
        return no_such(kind, name)
    method = f"{kind[0].lower()}{kind[1:]}s.get"
    return permission_denied(f"Permission '{HOST}/{method}' denied on resource '//{HOST}/{name}'.")


def _replication(kind: str, field: str, collections: frozenset[str]) -> Replication:
    one = f"{kind[0].lower()}{kind[1:]}s.get"
    return Replication(
        reads=frozenset({one}) | collections, collections=collections, lists=(field,), running=_running,
        hidden=partial(_hidden, kind),
    )  # fmt: skip


def _face(
    version: str, name: str, routes: Iterable[Route], replication: Replication, shelf: Callable[[Settings], Shelf]
) -> JsonFace:
    return JsonFace(
        name=name,
        host=HOST,
        package="google.cloud.aiplatform.{version}",
        schema=SCHEMAS[version],
        routes=tuple(attrs.evolve(route, versions=(version,)) for route in routes),
        replication=replication,
        shelf=shelf if version == "v1" else None,
        nobody=vertex_no_credential,
        usual={429: "vertex_pay_as_you_go", 500: "vertex_internal", 503: "vertex_unavailable"},
    )


_TUNING = _replication("TuningJob", "tuning_jobs", _COLLECTIONS)
_PREDICTION = _replication("BatchPredictionJob", "batch_prediction_jobs", _BATCHES)
VERTEX = (
    *(_face(version, SHELF, ROUTES, _TUNING, VertexShelf) for version in ("v1", "v1beta1")),
    *(_face(version, PREDICTIONS, BATCHES, _PREDICTION, PredictionShelf) for version in ("v1", "v1beta1")),
)
