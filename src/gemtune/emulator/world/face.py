"""A face: one service as its callers see it.

The front takes a request in, keeps the log, follows faults and delivers; it knows no service. For everything in which
services differ it asks a face: which requests are its own, how it reads them, how it writes a value or an error. Faces
stand side by side on one origin and share the clock, the tuning formula, quotas and faults::

    request ─ find ─ (fault) ─ layout ─ admit ─ read ─ handler ─ write ─ (fault) ─ reply
              face             face             face   route     face

``JsonFace`` is the face of every service that speaks Google's JSON; what has other bodies (uploads, downloads) writes a
``Face`` of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import attrs

from gemtune.emulator.messages.bodies import error_reply, not_found_reply, value_reply
from gemtune.emulator.messages.codec import Value, decode
from gemtune.emulator.messages.errors import RpcError
from gemtune.emulator.messages.http import HttpReply, HttpRequest, JsonLayout
from gemtune.emulator.messages.json_text import parse_json
from gemtune.emulator.messages.known_errors import KNOWN_ERRORS, no_credential, payload_too_large
from gemtune.emulator.messages.masks import Mask, read_mask
from gemtune.emulator.messages.parameters import bind_query, json_layout, system_value
from gemtune.emulator.messages.schema import Schema
from gemtune.emulator.world.route import Route, find_route
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import MethodCall, Shelf


@attrs.frozen(kw_only=True)
class Replication:
    """What a replica that is behind may get wrong in the reads of one service.

    Args:
        reads: the methods that replicas answer.
        collections: those of them that are about no single thing, and so cannot lack it.
        lists: fields of a reply whose entries may be missing.
        running: the parts of an entry that hold ``snapshots`` of a job that is not over.
        hidden: the error of a replica that does not know the thing, or does not let the caller see it (404 or 403).
    """

    reads: frozenset[str]
    collections: frozenset[str]
    lists: tuple[str, ...]
    running: Callable[[Value], Iterable[Value]]
    hidden: Callable[[MethodCall, int], RpcError]


@attrs.frozen
class RouteMatch:
    """A request's route, and who has it.

    Args:
        face: the service.
        route: the binding.
        version: such as ``"v1beta"``.
        params: the variables of the path.
    """

    face: Face
    route: Route
    version: str
    params: dict[str, str]


@attrs.frozen(kw_only=True)
class Reading:
    """What a request says: the method's own query, its message, and which fields of the reply it wants."""

    query: dict[str, str]
    body: Value
    mask: Mask


class Face(Protocol):
    """One service."""

    @property
    def name(self) -> str:
        """A word for it; its shelf in the store has the same."""

    @property
    def host(self) -> str:
        """The host that error details name, such as ``"generativelanguage.googleapis.com"``."""

    @property
    def server(self) -> str:
        """The value of the header ``server`` in its replies."""

    @property
    def replication(self) -> Replication | None:
        """How its reads lag, if they do."""

    def new_shelf(self, settings: Settings) -> Shelf | None:
        """Return room for what it keeps beside tuned models; None if it keeps nothing."""

    def find(self, verb: str, path: str, query: str = "") -> RouteMatch | None:
        """Return the route of a request; None if the request is for another service."""

    def rpc_name(self, match: RouteMatch) -> str:
        """Return the full name of a method, as error details have it."""

    def layout(self, match: RouteMatch | None, request: HttpRequest) -> JsonLayout:
        """Return how the reply is to be written, an error included; never fails."""

    def read(self, match: RouteMatch, request: HttpRequest, settings: Settings) -> Reading:
        """Return what a request says, or raise an ``RpcError``."""

    def write(self, match: RouteMatch, value: Value | list[Value], layout: JsonLayout, mask: Mask) -> HttpReply:
        """Return the reply to a request that was carried out."""

    def refuse(self, error: RpcError, layout: JsonLayout) -> HttpReply:
        """Return an error in the service's own form."""

    def anonymous(self) -> RpcError:
        """Return the error of a request without a credential."""

    def usual_error(self, code: int) -> RpcError | None:
        """Return the error that the service usually gives with an HTTP status; None if nobody has seen one."""

    def missing(self, path: str) -> HttpReply:
        """Return what stands at a URL that is bound to nothing."""


@attrs.frozen(kw_only=True, eq=False)
class JsonFace:
    """A service that speaks JSON as all of Google's do.

    Args:
        name: a word for it.
        host: the host that error details name.
        package: of its methods, with ``{version}`` in it.
        schema: its messages.
        routes: its methods.
        server: the value of that header in its replies.
        replication: how its reads lag.
        shelf: makes room for what it keeps beside tuned models.
        nobody: makes the error of a request without a credential.
        usual: the names of the errors (``KNOWN_ERRORS``) that it usually gives with an HTTP status.
    """

    name: str
    host: str
    package: str
    schema: Schema
    routes: Sequence[Route]
    server: str = "ESF"
    replication: Replication | None = None
    shelf: Callable[[Settings], Shelf] | None = None
    nobody: Callable[[], RpcError] = no_credential
    usual: Mapping[int, str] = attrs.field(factory=dict)

    def new_shelf(self, settings: Settings) -> Shelf | None:
        return self.shelf(settings) if self.shelf else None

    def find(self, verb: str, path: str, query: str = "") -> RouteMatch | None:  # noqa: ARG002 - a face's
        found = find_route(self.routes, verb, path)
        return RouteMatch(self, *found) if found else None

    def rpc_name(self, match: RouteMatch) -> str:
        shared = match.route.rpc.startswith("Operations.")
        package = "google.longrunning" if shared else self.package.format(version=match.version)
        return f"{package}.{match.route.rpc}"

    def layout(self, match: RouteMatch | None, request: HttpRequest) -> JsonLayout:
        return json_layout(request.query, streams=match is not None and match.route.streams)

    def read(self, match: RouteMatch, request: HttpRequest, settings: Settings) -> Reading:
        route = match.route
        return Reading(
            mask=read_mask(system_value(request.query, "fields"), self.schema, route.message),
            query=bind_query(request.query, route.query_name),
            body=self._body(route, request, getattr(settings, route.limit)),
        )

    def _body(self, route: Route, request: HttpRequest, limit: int) -> Value:
        if request.size > limit:
            raise payload_too_large(limit)
        if route.request is None or not request.body.strip():
            return {}
        return decode(self.schema, route.request, parse_json(request.body))

    def write(self, match: RouteMatch, value: Value | list[Value], layout: JsonLayout, mask: Mask) -> HttpReply:
        return value_reply(self.schema, match.route.message, value, layout, mask)

    def refuse(self, error: RpcError, layout: JsonLayout) -> HttpReply:
        return error_reply(error, layout)

    def anonymous(self) -> RpcError:
        return self.nobody()

    def usual_error(self, code: int) -> RpcError | None:
        name = self.usual.get(code)
        return KNOWN_ERRORS[name]() if name else None

    def missing(self, path: str) -> HttpReply:
        return not_found_reply(path)
