"""The ASGI application: HTTP in, one handler, HTTP out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, quote

from attrs import define, field, frozen

from gemtune.emulator.front.admission import Auth, Credential
from gemtune.emulator.front.control import PREFIX, control
from gemtune.emulator.front.delivery import Receive, Scope, Send, connection_of, deliver, refuse
from gemtune.emulator.front.replies import (
    Layout,
    Reply,
    compress,
    error_reply,
    fault_reply,
    mark,
    not_found_reply,
    spoil,
    value_reply,
)
from gemtune.emulator.front.request_log import Journal
from gemtune.emulator.gemini.generation import input_tokens
from gemtune.emulator.gemini.routes import Route, find_route
from gemtune.emulator.messages.codec import decode, parse_json
from gemtune.emulator.messages.errors import ApiError, violations
from gemtune.emulator.messages.known_errors import payload_too_large
from gemtune.emulator.messages.masks import read_mask
from gemtune.emulator.trouble.faults import Fault, Faults
from gemtune.emulator.trouble.quotas import Load, Quota, load_of
from gemtune.emulator.trouble.replicas import Replicas
from gemtune.emulator.world.answers import Answers
from gemtune.emulator.world.base_models import BaseModel, catalogue
from gemtune.emulator.world.clock import Clock, SteppedClock, make_clock
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.state import StateFile
from gemtune.emulator.world.store import Call, Store
from gemtune.emulator.world.tuning import JobFate

# parameters of every Google API; each may also be written with a "$" before it
_SYSTEM_QUERY = frozenset({
    "key", "access_token", "oauth_token", "alt", "prettyPrint", "fields", "quotaUser", ".xgafv", "xgafv", "callback",
    "uploadType", "upload_protocol",
})  # fmt: skip


@frozen
class _Request:
    verb: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes = field(repr=False)
    size: int


@define(repr=False, eq=False)
class Emulator:
    """A local Gemini API: an ASGI 3 application. Make one with ``create_app``.

    Args:
        settings: the knobs.
        clock: its time.
        auth: who is let in; may be changed while it runs.
        store: what it remembers.
        faults: what is to go wrong; add instructions at any time.
        load: what limits generateContent; may be changed while it runs.
        state: the file that keeps the tuned models, if any.
        journal: the requests that came in.
    """

    settings: Settings
    clock: Clock
    auth: Auth
    store: Store
    faults: Faults = field(factory=Faults)
    load: Load = field(factory=Load)
    state: StateFile | None = None
    journal: Journal = field(init=False)
    replicas: Replicas = field(init=False)
    in_flight: int = field(default=0, init=False)
    peak_in_flight: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.journal = Journal(self.settings.journal_size)
        self.replicas = Replicas(self.settings)

    def __repr__(self) -> str:
        models, requests = len(self.store.tuned_models), self.journal.statistics()["requests"]
        return f"<Emulator {self.clock!r} tuned_models={models} requests={requests}>"

    def statistics(self) -> dict[str, object]:
        """Counts of what happened since the start or the last reset."""
        now = self.clock.now()
        self.store.overtake(now)
        return {
            **self.store.statistics(now),
            **self.journal.statistics(),
            "faults_followed": self.faults.followed,
            "faults_pending": len(self.faults.pending()),
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
        }

    def reset(self) -> None:
        """Forget models, requests and faults; the clock goes on."""
        self.store.reset()
        self.journal.clear()
        self.faults.clear()
        self.faults.followed = 0
        self.peak_in_flight = self.in_flight

    @property
    def answers(self) -> Answers | None:
        """Scripted answers; may be replaced while it runs."""
        return self.store.answers

    @answers.setter
    def answers(self, answers: Answers | None) -> None:
        self.store.answers = answers

    def advance(self, seconds: float) -> None:
        """Move a stepped clock on by this many seconds; raises ValueError for any other clock."""
        if not isinstance(self.clock, SteppedClock):
            raise ValueError(f"only a stepped clock can be advanced; this one is {self.clock!r}")  # noqa: TRY004
        self.clock.advance(seconds)

    def retire(self, base_model: str) -> None:
        """Serve a base model no longer; inference on the models tuned from it is a 404 from now on."""
        self.store.base_models.pop(base_model, None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await _lifespan(receive, send)
            case _:
                await receive()
                await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = connection_of(scope)
        if connection and connection.doomed:
            await refuse(connection, receive)
            return
        request = await _read(scope, receive, self.settings.max_request_bytes)
        if request is None:
            return
        if request.path.startswith(PREFIX):
            query = dict(request.query)
            reply = control(self, request.verb, request.path, query, request.body)
            if request.verb == "POST":
                with contextlib.suppress(ApiError):  # the next change says so
                    await self._keep()
            await deliver(reply, scope, receive, send, self.clock, 0.0)
            return
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            reply = await self._serve(request)
            if self.settings.gzip:
                reply = compress(reply, request.headers.get("accept-encoding", ""))
            await deliver(reply, scope, receive, send, self.clock, self.settings.chunk_seconds)
        finally:
            self.in_flight -= 1

    async def _serve(self, request: _Request) -> Reply:
        found = find_route(request.verb, request.path)
        method = found[0].method if found else None
        query, body = request.query, request.body
        entry = self.journal.open(
            self.clock.now(), method, request.verb, request.path, query, request.headers, body
        )  # fmt: skip
        fault = self.faults.take(method or "*", entry.number)
        layout = _layout(found[0] if found else None, query)
        if fault and fault.delay:
            await self.clock.sleep(fault.delay)
        midway = fault is not None and fault.after is not None and (layout.sse or layout.array)
        if fault and fault.replaces_reply and not fault.act and not midway:
            reply = fault_reply(fault, layout)
        else:
            reply = await self._answer(request, found, fault.job if fault else None, layout)
            reply = spoil(reply, fault, layout) if fault else reply
        reply = mark(reply, fault) if fault else reply
        self.journal.close(entry, reply.status)
        return reply

    async def _answer(
        self,
        request: _Request,
        found: tuple[Route, str, dict[str, str]] | None,
        fate: JobFate | None,
        layout: Layout,
    ) -> Reply:
        if found is None:
            return not_found_reply(request.path)
        route, version, params = found
        try:
            credential = Credential.read(request.headers, dict(request.query))
            now = self.clock.now()
            caller = self.auth.admit(credential, route, version, now, self.settings.default_email)
            mask = read_mask(_system_value(request.query, "fields"), route.message)
            call = Call(
                method=route.method, version=version, params=params, query=_bind_query(route, request.query),
                body=_bind_body(route, request, self.settings), caller=caller, now=now, fate=fate or JobFate(),
            )  # fmt: skip
            self.store.overtake(now)
            call, dice = self.replicas.ask(call)
            value = self.replicas.show(route.handler(self.store, call), dice)
            if route.changes:
                await self._keep()
            if route.request == "GenerateContentRequest":
                model = params["model"].removeprefix("models/")
                await self.load.serve(self.clock, input_tokens(call.body), model, self.settings.answer_seconds)
        except ApiError as error:
            return error_reply(error, layout)
        return value_reply(route, value, layout, mask)

    async def _keep(self) -> None:
        """Write the state file, if there is one."""
        try:
            if self.state:
                await self.state.save(self)
        except OSError as error:
            raise ApiError("INTERNAL", f"The emulator cannot write its state: {error}") from error


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _read(scope: Scope, receive: Receive, limit: int) -> _Request | None:
    """The whole request; a body beyond the limit is counted but not kept. None if the caller went away."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        if not message.get("more_body"):
            break
    raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    path = raw_path.partition(b"?")[0].decode("latin-1")
    return _Request(scope["method"], path, query, headers, b"".join(chunks), size)


def _layout(route: Route | None, query: list[tuple[str, str]]) -> Layout:
    given = {name.lstrip("$"): value for name, value in query}
    alt, *options = given.get("alt", "json").split(";")
    streams = route is not None and route.streams
    return Layout(
        pretty=given.get("prettyPrint", given.get("pretty_print", "true")).lower() not in ("false", "0"),
        enum_numbers="enum-encoding=int" in options,
        sse=streams and alt == "sse",
        array=streams and alt != "sse",
    )


def _system_value(query: list[tuple[str, str]], name: str) -> str:
    return next((value for key, value in query if key.removeprefix("$") == name), "")


def _bind_query(route: Route, query: list[tuple[str, str]]) -> dict[str, str]:
    """The method's own query parameters; a name that is neither its own nor Google's is refused."""
    bound: dict[str, str] = {}
    for name, value in query:
        own = route.query_name(name)
        if own is not None:
            bound[own] = value
        elif name.lstrip("$") not in _SYSTEM_QUERY and name.lstrip("$") != "pretty_print":
            text = (
                f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
                f"Field '{name}' could not be found in request message."
            )
            raise violations([("", text)])
    return bound


def _bind_body(route: Route, request: _Request, settings: Settings) -> dict[str, object]:
    limit = settings.max_create_bytes if route.method == "tunedModels.create" else settings.max_request_bytes
    if request.size > limit:
        raise payload_too_large(limit)
    if route.request is None or not request.body.strip():
        return {}
    return decode(route.request, parse_json(request.body))


def create_app(
    *,
    clock: str | Clock = "real",
    auth: str | Auth = "any",
    callers: Mapping[str, str] | None = None,
    answers: Answers | None = None,
    models: Iterable[BaseModel | Mapping[str, object]] | None = None,
    faults: Iterable[Fault | Mapping[str, object]] = (),
    load: Load | Iterable[Quota] = (),
    state: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Emulator:
    """A local Gemini API.

    Args:
        clock: ``"real"``, ``"scaled:N"`` (N times as fast), ``"stepped"`` (moved by ``app.clock.advance``), or a clock.
        auth: ``"any"``, ``"required"``, ``"strict"``, or an ``Auth`` with tokens, keys and projects.
        callers: email by access token or API key; other callers are the default user.
        answers: scripted answers: a mapping from prompt to text or ``Answer``, or a function of a ``Prompt`` that may
            return None. Without one a tuned model answers with the output of its nearest training example.
        models: base models in place of the default ones.
        faults: instructions to begin with.
        load: quotas, a cap on concurrency and latencies of generateContent: a ``Load``, or quotas alone.
        state: a file that keeps the tuned models; they are read from it at once and written after every change.
        settings: any field of ``Settings``, such as ``seed=7`` or ``step_seconds=0.1``.

    Returns:
        An ASGI 3 application.

    Raises:
        TypeError: a setting has no such name.
        ValueError: a value is out of its range.
    """
    if isinstance(auth, str) and auth not in ("any", "required", "strict"):
        raise ValueError(f"unknown auth {auth!r}: choose 'any', 'required' or 'strict', or pass an Auth")
    rules = Auth(mode=cast(Any, auth)) if isinstance(auth, str) else auth
    for credential, email in (callers or {}).items():
        rules.tokens.setdefault(credential, email)
        rules.api_keys.setdefault(credential, email)
    knobs = Settings(**settings)
    app = Emulator(knobs, make_clock(clock), rules, Store(knobs, catalogue(models), answers))
    if given := list(faults):
        app.faults.add(*given)
    app.load = load_of(load)
    if state is not None:
        app.state = StateFile(Path(state))
        app.state.load(app)
    return app
