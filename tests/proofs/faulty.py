"""A network that breaks at chosen requests: each fault is one way in which an attempt can end badly.

``Faulty`` stands between a client and an emulator in one process. What a fault says is used up request by request;
``used`` counts them, so that a case can prove that its faults really happened.
"""

from collections.abc import Callable

import anyio
import attrs
import httpx

__all__ = ["BY_NAME", "FAULTS", "HARMLESS", "UNAVAILABLE", "Fault", "Faulty"]

HANG = object()
HTML = b"<!DOCTYPE html><html><title>Error</title><p>Please sign in to this network.</p></html>"


def _json(status: int, name: str, message: str, details: str = "[]") -> httpx.Response:
    body = f'{{"error": {{"code": {status}, "message": "{message}", "status": "{name}", "details": {details}}}}}'
    return httpx.Response(status, content=body.encode(), headers={"content-type": "application/json"})


def _html(status: int) -> httpx.Response:
    return httpx.Response(status, content=HTML, headers={"content-type": "text/html"})


@attrs.frozen
class Fault:
    """One way for an attempt to fail.

    Args:
        name: For the table.
        end: Makes what the client gets: a reply, an exception, or HANG for nothing at all.
        acts: ``"no"``: the service never sees the request; ``"yes"``: it carries it out and the client gets ``end``
            instead of the answer; ``"late"``: it carries it out only after the client has given the attempt up, at
            the worst moment, which is just before the next request of the same method.
    """

    name: str
    end: Callable[[], object]
    acts: str = "no"


def _reset() -> object:
    return httpx.ReadError("Connection reset by peer")


def _dropped() -> object:
    return httpx.RemoteProtocolError("Server disconnected without sending a response.")


def _unavailable() -> object:
    return _json(503, "UNAVAILABLE", "The model is overloaded.")


def _in_7_seconds() -> object:
    return _json(429, "RESOURCE_EXHAUSTED", "Please retry in 7s.")


def _tomorrow() -> object:
    quota = '[{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "XPerDay"}]}]'
    return _json(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", quota)


UNAVAILABLE = Fault("503 UNAVAILABLE", _unavailable)

FAULTS = (
    Fault("connection refused", lambda: httpx.ConnectError("Connection refused")),
    Fault("no connection in time", lambda: httpx.ConnectTimeout("")),
    UNAVAILABLE,
    Fault("429, wait 7 s", _in_7_seconds),
    Fault("429 for the day", _tomorrow),
    Fault("reset, not acted", _reset),
    Fault("reset, acted", _reset, "yes"),
    Fault("reset, acts late", _reset, "late"),
    Fault("reply dropped, acted", _dropped, "yes"),
    Fault("timeout, not acted", lambda: HANG),
    Fault("timeout, acted", lambda: HANG, "yes"),
    Fault("timeout, acts late", lambda: HANG, "late"),
    Fault("500, not acted", lambda: _json(500, "INTERNAL", "An internal error has occurred.")),
    Fault("500, acted", lambda: _json(500, "INTERNAL", "An internal error has occurred."), "yes"),
    Fault("502 HTML, not acted", lambda: _html(502)),
    Fault("502 HTML, acted", lambda: _html(502), "yes"),
    Fault("503 HTML, acted", lambda: _html(503), "yes"),
    Fault("503 UNAVAILABLE, acted all the same", _unavailable, "yes"),
    Fault("504, not acted", lambda: _json(504, "DEADLINE_EXCEEDED", "Deadline expired.")),
    Fault("504, acted", lambda: _json(504, "DEADLINE_EXCEEDED", "Deadline expired."), "yes"),
    Fault("200 with HTML, not acted", lambda: _html(200)),
    Fault("200 with HTML, acted", lambda: _html(200), "yes"),
    Fault("200 with cut JSON, acted", lambda: httpx.Response(200, content=b'{"name": "tunedMod'), "yes"),
    Fault("200 with a JSON list, acted", lambda: httpx.Response(200, content=b"[]"), "yes"),
    Fault("200 without a body, acted", lambda: httpx.Response(200, content=b""), "yes"),
    Fault(
        "200 with broken gzip, acted",
        lambda: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"\x1f\x8b no gzip")),
        "yes",
    ),
)
BY_NAME = {fault.name: fault for fault in FAULTS}
HARMLESS = tuple(fault for fault in FAULTS if fault.acts == "no")


@attrs.define(eq=False)
class Faulty(httpx.AsyncBaseTransport):
    """Passes requests on, except that the next ones of a kind meet faults.

    Args:
        inner: Where requests go.
        faults: What the first, second ... request of that kind meets; None passes it on.
        forever: What all later ones meet.
        verb: The HTTP method of that kind of request.
        part: A piece of its path.
        ends: Whether the path ends with it.
    """

    inner: httpx.AsyncBaseTransport
    faults: list[Fault | None]
    forever: Fault | None = None
    verb: str = "POST"
    part: str = "/tunedModels"
    ends: bool = False
    used: int = attrs.field(default=0, init=False)
    asked: list[httpx.Request] = attrs.field(factory=list, init=False)
    deeds: list[int] = attrs.field(factory=list, init=False)
    _late: list[httpx.Request] = attrs.field(factory=list, init=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method != self.verb or not (path.endswith(self.part) if self.ends else self.part in path):
            return await self.inner.handle_async_request(request)
        await self.catch_up()
        self.asked.append(request)
        fault = self.faults.pop(0) if self.faults else self.forever
        if fault is None:
            return await self._carry_out(request)
        self.used += 1
        if fault.acts == "yes":
            await (await self._carry_out(request)).aread()
        elif fault.acts == "late":
            self._late.append(request)
        end = fault.end()
        if end is HANG:
            await anyio.sleep_forever()
        if isinstance(end, Exception):
            raise end
        assert isinstance(end, httpx.Response)
        return end

    async def catch_up(self) -> None:
        """Let the service carry out what it was slow to carry out."""
        while self._late:
            await (await self._carry_out(self._late.pop(0))).aread()

    async def _carry_out(self, request: httpx.Request) -> httpx.Response:
        response = await self.inner.handle_async_request(request)
        self.deeds.append(response.status_code)
        return response

    @property
    def done(self) -> int:
        """How many requests of that kind the service has carried out with success."""
        return sum(200 <= status < 300 for status in self.deeds)

    async def aclose(self) -> None:
        await self.inner.aclose()
