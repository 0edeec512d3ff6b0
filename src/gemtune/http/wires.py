"""The wires of one client: one for its base URL, and one for each further address that its calls need.

Each wire knows one address and has connections of its own, so that a credential cannot travel along to another. Which
addresses there can be is for the ``Routes`` of the settings to say; a call for any other is refused here, before a
byte has left and before a connection is made. A client of the Gemini API never comes here.
"""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack

import attrs

from gemtune import checks
from gemtune.config import Timeouts
from gemtune.errors import SettingsError
from gemtune.http._httpx import httpx
from gemtune.http.engines.httpx_engine import Borrowed
from gemtune.http.wire import OnRequest, Wire, WireStatistics
from gemtune.protocol.hosts import Routes
from gemtune.settings import Settings, given


@attrs.define(eq=False)
class Wires:
    """Finds the wire for a call.

    Args:
        main: The wire to the base URL.
        routes: Which addresses calls may go to.
    """

    main: Wire
    routes: Routes
    _by_origin: dict[str, Wire] = attrs.field(factory=dict, init=False, repr=False)

    def at(self, origin: str) -> Wire:
        """Return the wire on which calls for one of Google's origins are sent.

        Raises:
            InvalidInput: No call of this client goes there.
            MisuseError: The client is closed, or belongs to another event loop.
        """
        wire = self._by_origin.get(origin)
        if wire is None:
            address = self.routes.to(origin)
            self.main.check()  # one loop and one process for all of them, whichever is used first
            wire = next((each for each in self._all() if each.origin == address), None) or self._beside(address)
            self._by_origin[origin] = wire
        return wire

    def _beside(self, address: str) -> Wire:
        # A transport of the user's is shared by all, and closed once.
        transport = self.main.transport
        return attrs.evolve(self.main, origin=address, transport=None if transport is None else Borrowed(transport))

    def _all(self) -> list[Wire]:
        return list(dict.fromkeys((self.main, *self._by_origin.values())))

    def statistics(self) -> WireStatistics:
        """Return the counts of requests and connections to all addresses."""
        each = [wire.statistics() for wire in self._all()]
        return WireStatistics(
            in_flight=sum(one.in_flight for one in each), connections=sum(one.connections for one in each)
        )

    async def aclose(self) -> None:
        """Close every connection; requests under way fail. Closing twice is fine."""
        async with AsyncExitStack() as closing:
            for wire in self._all():  # the main one last, from which others borrow a transport
                closing.push_async_callback(wire.aclose)


def make_wires(
    settings: Settings,
    timeouts: Timeouts,
    transport: httpx.AsyncBaseTransport | None,
    ssl_context: ssl.SSLContext | None,
    trust_env: bool,
    max_connections: int,
    on_request: OnRequest | None,
) -> Wires:
    """Return the wires for a client's settings and arguments.

    Raises:
        SettingsError: An argument is wrong.
    """
    main = Wire(
        settings.base_url,
        transport=_checked_transport(transport),
        ssl_context=given("ssl_context", ssl_context, ssl.SSLContext),
        connect_timeout=timeouts.connect,
        max_connections=checks.whole("max_connections", max_connections, error=SettingsError),
        trust_env=checks.flag("trust_env", trust_env),
        trusted_hosts=settings.trusted_hosts,
        on_request=_checked_function(on_request),
    )
    routes = Routes(
        base_url=settings.base_url, fixed=settings.fixed, storage=settings.storage, vertex=settings.service == "vertex"
    )
    return Wires(main, routes)


def _checked_transport(transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncBaseTransport | None:
    if transport is not None and not callable(getattr(transport, "handle_async_request", None)):
        checks.refuse("transport", "an httpx.AsyncBaseTransport", transport, error=SettingsError)
    return transport


def _checked_function(on_request: OnRequest | None) -> OnRequest | None:
    if on_request is not None and not callable(on_request):
        checks.refuse("on_request", "a function", on_request, error=SettingsError)
    return on_request
