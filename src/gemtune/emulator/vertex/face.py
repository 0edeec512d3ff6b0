"""Vertex AI as faces: one for each version, because v1 lacks fields that v1beta1 has. They share one shelf."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import RpcError, permission_denied
from gemtune.emulator.messages.known_errors import vertex_no_credential
from gemtune.emulator.vertex.messages.schema import SCHEMAS
from gemtune.emulator.vertex.names import canonical
from gemtune.emulator.vertex.refusals import no_such
from gemtune.emulator.vertex.routes import ROUTES
from gemtune.emulator.vertex.shelf import SHELF, VertexShelf
from gemtune.emulator.world.face import JsonFace, Replication
from gemtune.emulator.world.store import MethodCall

HOST = "aiplatform.googleapis.com"
# What is about no single thing; a job's curves are late as the job is.
_COLLECTIONS = frozenset({
    "tuningJobs.list", "metadataStores.contexts.list", "tensorboards.experiments.runs.timeSeries.list",
    "tensorboards.batchRead",
})  # fmt: skip


def _running(_: Value) -> Iterator[Value]:
    """Find nothing: the curves of a job are not part of it."""
    return iter(())


def _hidden(call: MethodCall, status: int) -> RpcError:
    name = canonical(call.params["name"])
    if status == 404:
        return no_such("TuningJob", name)
    return permission_denied(f"Permission '{HOST}/tuningJobs.get' denied on resource '//{HOST}/{name}'.")


def _face(version: str, *, keeps: bool) -> JsonFace:
    routes = tuple(attrs.evolve(route, versions=(version,)) for route in ROUTES)
    return JsonFace(
        name=SHELF,
        host=HOST,
        package="google.cloud.aiplatform.{version}",
        schema=SCHEMAS[version],
        routes=routes,
        replication=Replication(
            reads=frozenset({"tuningJobs.get"}) | _COLLECTIONS,
            collections=_COLLECTIONS,
            lists=("tuning_jobs",),
            running=_running,
            hidden=_hidden,
        ),
        shelf=VertexShelf if keeps else None,
        nobody=vertex_no_credential,
        usual={429: "vertex_pay_as_you_go", 500: "vertex_internal", 503: "vertex_unavailable"},
    )


VERTEX = (_face("v1", keeps=True), _face("v1beta1", keeps=False))
