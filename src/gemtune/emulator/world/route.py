"""A route: one binding of one method to a verb and a path, and the handler that answers it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote

import attrs

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import RpcError
from gemtune.emulator.messages.http import HttpReply
from gemtune.emulator.messages.schema import snake_case
from gemtune.emulator.world.store import MethodCall, Store

Handler = Callable[[Store, MethodCall], "Value | list[Value] | HttpReply"]
Cost = Callable[[MethodCall], tuple[int, str]]

# A fault is written before there is an emulator to ask, so its method is checked against every route there is,
# whichever service has it. The values mean nothing: a dict keeps the order.
_METHODS: dict[str, None] = {}


def known_methods() -> tuple[str, ...]:
    """Return the methods of all services, in the order of their tables."""
    return tuple(_METHODS)


@attrs.frozen
class Route:
    """One binding of one method.

    Args:
        method: such as ``"tunedModels.get"``.
        verb: the HTTP method.
        template: the path after the version, with variables as in ``google.api.http``.
        versions: where it exists.
        handler: what answers, with a message or, if it is none, with the reply itself.
        request: name of the body's message, None where there is no body.
        response: name of the reply's message.
        query: the method's own query parameters in camelCase; one that may come several times ends with ``*``, and its
            values reach the handler on lines of their own.
        scopes: any one of these OAuth scopes is enough; empty means any token is.
        rpc: the service and method name that error details mention.
        limit: the setting that bounds the request's body.
        changes: whether it changes what the service remembers; by default all but a GET do.
        spools: its body may be long, and comes as the request's ``upload``.
        blocks: whether a call works on long data or files, so that a thread has to carry it out; never by default.
        throttled: makes the 429 of a quota in the service's own words; by default they are the quota's.
        public: whether it needs no credential, because it is where one is had.
        cost: what a call weighs for the ``Load``: input tokens and the model; None for what is never limited.
    """

    method: str
    verb: str
    template: str
    versions: tuple[str, ...]
    handler: Handler
    request: str | None = None
    response: str = "Empty"
    query: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    rpc: str = ""
    limit: str = attrs.field(default="max_request_bytes", kw_only=True)
    changes: bool = attrs.field(kw_only=True)
    spools: bool = attrs.field(default=False, kw_only=True)
    blocks: Callable[[Store, MethodCall], bool] | None = attrs.field(default=None, kw_only=True)
    cost: Cost | None = attrs.field(default=None, kw_only=True)
    throttled: Callable[[], RpcError] | None = attrs.field(default=None, kw_only=True)
    public: bool = attrs.field(default=False, kw_only=True)
    pattern: re.Pattern[str] = attrs.field(init=False, repr=False)
    variable: str | None = attrs.field(init=False, repr=False)

    @changes.default
    def _unless_it_only_reads(self) -> bool:
        return self.verb != "GET"

    def __attrs_post_init__(self) -> None:
        _METHODS[self.method] = None
        found = re.search(r"\{([\w.]+)=([^}]+)\}", self.template)
        pattern = re.escape(self.template)
        if found:
            inner = re.escape(found[2]).replace(r"\*\*", ".+").replace(r"\*", "[^/:]+")
            pattern = pattern.replace(re.escape(found[0]), f"(?P<name>{inner})")
        object.__setattr__(self, "pattern", re.compile(pattern))
        object.__setattr__(self, "variable", found[1] if found else None)

    @property
    def streams(self) -> bool:
        return self.response.endswith("*")

    @property
    def message(self) -> str:
        """Name of the message that the reply is, or is a stream of."""
        return self.response.rstrip("*")

    def query_name(self, name: str) -> str | None:
        """Return the proto name of a query parameter, ``*`` and all; None if the method has no such."""
        wanted = snake_case(name)
        found = (snake_case(known) for known in self.query)
        return next((name for name in found if name.removesuffix("*") == wanted), None)


def find_route(routes: Iterable[Route], verb: str, path: str) -> tuple[Route, str, dict[str, str]] | None:
    """Return the route of a request.

    Args:
        routes: to choose from.
        verb: the HTTP method.
        path: as it was sent, percent-encoding and all.

    Returns:
        The route, the version and the variables of the path; None when nothing is bound there.
    """
    version, _, rest = path.removeprefix("/").partition("/")
    for route in routes:
        if route.verb == verb and version in route.versions and (match := route.pattern.fullmatch(rest)):
            return route, version, {route.variable: unquote(match["name"])} if route.variable else {}
    return None
