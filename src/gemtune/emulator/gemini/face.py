"""The Gemini API as a face."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl

import attrs

from gemtune.emulator.gemini.files.calls import MediaRequest
from gemtune.emulator.gemini.messages import SCHEMA
from gemtune.emulator.gemini.routes import DOWNLOAD, ROUTES, UPLOADS
from gemtune.emulator.gemini.shelf import SHELF, GeminiShelf
from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import SERVICE, RpcError, not_found
from gemtune.emulator.messages.http import HttpRequest
from gemtune.emulator.messages.known_errors import forbidden
from gemtune.emulator.messages.masks import read_mask
from gemtune.emulator.messages.parameters import bind_query, system_value
from gemtune.emulator.world.face import JsonFace, Reading, Replication, RouteMatch
from gemtune.emulator.world.route import find_route
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import MethodCall

_MEDIA = re.compile(r"(?:/resumable)?/(upload|download)(/.+)")


@attrs.frozen(kw_only=True, eq=False)
class GeminiFace(JsonFace):
    """The Gemini API, with what is no JSON in it: files go up and down below paths of their own."""

    def find(self, verb: str, path: str, query: str = "") -> RouteMatch | None:
        media = _MEDIA.fullmatch(path)
        if media is None:
            return super().find(verb, path)
        names = dict(parse_qsl(query, keep_blank_values=True))
        route = UPLOADS["upload_id" in names] if media[1] == "upload" else DOWNLOAD
        found = find_route((route,), verb, media[2])
        return RouteMatch(self, *found) if found else None

    def read(self, match: RouteMatch, request: HttpRequest, settings: Settings) -> Reading:
        route = match.route
        if not route.method.startswith(("files.", "media.")) or route.request is not None:
            return super().read(match, request, settings)
        return Reading(
            mask=read_mask(system_value(request.query, "fields"), self.schema, route.message),
            query=bind_query(request.query, route.query_name),
            body={"request": MediaRequest(request.headers, request.origin, request.upload)},
        )


def _running(value: Value) -> Iterator[Value]:
    """Find the snapshots of a running job: a tuned model holds them in its task, an operation in its metadata."""
    task = value.get("tuning_task") if value.get("state") == "CREATING" else None
    metadata = value.get("metadata") if not value.get("done") else None
    yield from (part for part in (task, metadata) if isinstance(part, dict))


def _hidden(call: MethodCall, status: int) -> RpcError:
    name = call.params["name"]
    if name.startswith("batches/"):
        return not_found("Requested entity was not found.")
    return not_found(f"{name} does not exist.") if status == 404 else forbidden(name)


GEMINI = GeminiFace(
    name=SHELF,
    host=SERVICE,
    server="scaffolding on HTTPServer2",
    package="google.ai.generativelanguage.{version}",
    schema=SCHEMA,
    routes=ROUTES,
    usual={429: "batch_429_bare", 500: "internal", 503: "overloaded_new", 504: "deadline"},
    shelf=GeminiShelf,
    replication=Replication(
        reads=frozenset({
            "tunedModels.get", "tunedModels.list", "tunedModels.operations.get", "tunedModels.operations.list",
            "batches.get", "batches.list",
        }),
        collections=frozenset({"tunedModels.list", "batches.list"}),
        lists=("tuned_models", "operations"),
        running=_running,
        hidden=_hidden,
    ),
)  # fmt: skip
