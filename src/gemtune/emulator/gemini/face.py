"""The Gemini API as a face."""

from __future__ import annotations

from collections.abc import Iterator

from gemtune.emulator.gemini.messages import SCHEMA
from gemtune.emulator.gemini.routes import ROUTES
from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import SERVICE, RpcError, not_found
from gemtune.emulator.messages.known_errors import forbidden
from gemtune.emulator.world.face import JsonFace, Replication
from gemtune.emulator.world.store import MethodCall


def _running(value: Value) -> Iterator[Value]:
    """Find the snapshots of a running job: a tuned model holds them in its task, an operation in its metadata."""
    task = value.get("tuning_task") if value.get("state") == "CREATING" else None
    metadata = value.get("metadata") if not value.get("done") else None
    yield from (part for part in (task, metadata) if isinstance(part, dict))


def _hidden(call: MethodCall, status: int) -> RpcError:
    name = call.params["name"]
    return not_found(f"{name} does not exist.") if status == 404 else forbidden(name)


GEMINI = JsonFace(
    name="gemini",
    host=SERVICE,
    server="scaffolding on HTTPServer2",
    package="google.ai.generativelanguage.{version}",
    schema=SCHEMA,
    routes=ROUTES,
    usual={429: "batch_429_bare", 500: "internal", 503: "overloaded_new", 504: "deadline"},
    replication=Replication(
        reads=frozenset({
            "tunedModels.get", "tunedModels.list", "tunedModels.operations.get", "tunedModels.operations.list",
        }),
        collections=frozenset({"tunedModels.list"}),
        lists=("tuned_models", "operations"),
        running=_running,
        hidden=_hidden,
    ),
)  # fmt: skip
