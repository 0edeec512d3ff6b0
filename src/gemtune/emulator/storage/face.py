"""Cloud Storage as a face."""

from __future__ import annotations

from typing import cast

import attrs

from gemtune.emulator.messages.bodies import HTML, JSON
from gemtune.emulator.messages.codec import Value, encode
from gemtune.emulator.messages.errors import RpcError
from gemtune.emulator.messages.http import HttpReply, HttpRequest, JsonLayout
from gemtune.emulator.messages.json_text import dumps
from gemtune.emulator.messages.masks import Mask, apply_mask, read_mask
from gemtune.emulator.messages.parameters import json_layout, system_value
from gemtune.emulator.storage.calls import StorageRequest
from gemtune.emulator.storage.messages import SCHEMA
from gemtune.emulator.storage.refusals import error_value, nobody, refused, usual
from gemtune.emulator.storage.routes import find_route
from gemtune.emulator.storage.sessions import UploadShelf
from gemtune.emulator.world.face import Reading, RouteMatch
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import Shelf


@attrs.frozen
class StorageFace:
    """Cloud Storage's JSON API."""

    name: str = "storage"
    host: str = "storage.googleapis.com"
    server: str = "UploadServer"
    replication: None = None

    def new_shelf(self, settings: Settings) -> Shelf | None:
        return UploadShelf(settings)

    def find(self, verb: str, path: str, query: str = "") -> RouteMatch | None:  # noqa: ARG002 - a face's
        found = find_route(verb, path)
        return RouteMatch(self, found[0], "v1", found[1]) if found else None

    def rpc_name(self, match: RouteMatch) -> str:
        return f"storage.{match.route.method}"

    def layout(self, match: RouteMatch | None, request: HttpRequest) -> JsonLayout:  # noqa: ARG002 - of every face
        return json_layout(request.query, streams=False)

    def read(self, match: RouteMatch, request: HttpRequest, settings: Settings) -> Reading:
        if not match.route.spools and request.size > settings.max_request_bytes:
            raise refused(413, f"The body is longer than {settings.max_request_bytes} bytes.")
        message = match.route.message if match.route.message in SCHEMA.messages else None
        said = StorageRequest(request.headers, request.origin, request.body, request.upload)
        return Reading(
            mask=read_mask(system_value(request.query, "fields"), SCHEMA, message),
            query=dict(request.query),  # Cloud Storage passes over parameters that it does not know
            body={"request": said},
        )

    def write(self, match: RouteMatch, value: Value | list[Value], layout: JsonLayout, mask: Mask) -> HttpReply:
        body = apply_mask(encode(SCHEMA, match.route.message, cast(Value, value)), mask)
        return HttpReply(chunks=(dumps(body, pretty=layout.pretty),), headers={"content-type": JSON})

    def refuse(self, error: RpcError, layout: JsonLayout) -> HttpReply:
        body = dumps(error_value(error), pretty=layout.pretty)
        return HttpReply(status=error.code, chunks=(body,), headers={"content-type": JSON, **error.headers})

    def anonymous(self) -> RpcError:
        return nobody()

    def usual_error(self, code: int) -> RpcError | None:
        return usual(code)

    def missing(self, path: str) -> HttpReply:  # noqa: ARG002 - of every face
        return HttpReply(status=404, chunks=(b"Not Found",), headers={"content-type": HTML})


STORAGE = StorageFace()
