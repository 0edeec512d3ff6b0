"""The ASGI application: a thin shell around the service. HTTP in, one exchange, HTTP out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread
import attrs

from gemtune.emulator.front.aside import aside
from gemtune.emulator.front.control import PREFIX, control, control_weight
from gemtune.emulator.front.delivery import Receive, Scope, Send, connection_of, deliver, refuse
from gemtune.emulator.front.exchange import exchange
from gemtune.emulator.front.guard import refuse_foreign
from gemtune.emulator.front.replies import own_error
from gemtune.emulator.front.requests import BodyTooLong, path_of, read_request
from gemtune.emulator.gemini.face import GEMINI
from gemtune.emulator.messages.contents import DepotFull
from gemtune.emulator.messages.errors import RpcError
from gemtune.emulator.messages.http import HttpRequest
from gemtune.emulator.service import EmulatedService
from gemtune.emulator.storage.face import STORAGE
from gemtune.emulator.trouble.faults import Fault
from gemtune.emulator.trouble.quotas import Load, QuotaRule, load_of
from gemtune.emulator.vertex.face import VERTEX
from gemtune.emulator.vertex.token import TOKEN
from gemtune.emulator.world.answers import Answers
from gemtune.emulator.world.auth import Auth
from gemtune.emulator.world.base_models import BaseModel, catalogue
from gemtune.emulator.world.clock import Clock, make_clock
from gemtune.emulator.world.face import Face, RouteMatch
from gemtune.emulator.world.keeping.state import StateFile
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import Store

FACES: tuple[Face, ...] = (GEMINI, *VERTEX, STORAGE, TOKEN)
_LINGER = 1.0  # seconds for a reply to arrive while its caller is still sending


@attrs.define(repr=False, eq=False)
class Emulator(EmulatedService):
    """A local Gemini API, Vertex AI and Cloud Storage: an ASGI 3 application. Make one with ``create_app``."""

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
        foreign = refuse_foreign(scope, self.hosts)
        if foreign:
            self.requests.turn_away(self.clock.now(), scope["method"], path_of(scope), "its host or origin is foreign")
            await deliver(foreign, scope, receive, send, self.clock, 0.0)
            return
        match = self.find(scope["method"], path_of(scope), scope["query_string"].decode("latin-1"))
        upload = self.store.objects.depot.scratch() if match and match.route.spools else None
        try:
            request = await read_request(scope, receive, self.settings, upload)
            if request is not None:
                await self._answer(request, match, scope, receive, send)
        except (BodyTooLong, DepotFull) as endless:
            code = 413 if isinstance(endless, BodyTooLong) else 507
            refusal = own_error(code, str(endless), "INVALID_ARGUMENT")
            self.requests.turn_away(self.clock.now(), scope["method"], path_of(scope), str(endless))
            await deliver(refusal, scope, receive, send, self.clock, 0.0)
            if connection:
                connection.close(after=_LINGER)
        finally:
            if upload is not None and upload.is_long:  # nobody took it
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(upload.discard)

    async def _answer(
        self, request: HttpRequest, match: RouteMatch | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if request.path.startswith(PREFIX):
            reply = await aside(control_weight(self, request), control, self, request)
            if request.verb == "POST":
                with contextlib.suppress(RpcError):  # the next change says so
                    await self.keep()
            await deliver(reply, scope, receive, send, self.clock, 0.0)
            return
        with self.serving():
            reply = await exchange(self, request, match)
            await deliver(reply, scope, receive, send, self.clock, self.settings.chunk_seconds)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


def create_app(
    *,
    clock: str | Clock = "real",
    auth: str | Auth = "any",
    callers: Mapping[str, str] | None = None,
    answers: Answers | None = None,
    models: Iterable[BaseModel | Mapping[str, object]] | None = None,
    faults: Iterable[Fault | Mapping[str, object]] = (),
    load: Load | Iterable[QuotaRule] = (),
    knows: object = (),
    state: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Emulator:
    """Return a local Gemini API, which answers as Vertex AI and as Cloud Storage on the same address.

    Args:
        clock: ``"real"``, ``"scaled:N"`` (N times as fast), ``"stepped"`` (moved by ``app.clock.advance``), or a clock.
        auth: ``"any"``, ``"required"``, ``"strict"``, or an ``Auth`` with tokens, keys and projects.
        callers: email by access token or API key; other callers are the default user.
        answers: scripted answers: a mapping from prompt to text or ``Answer``, or a function of a ``Prompt`` that may
            return None. Without one a tuned model answers with the output of its nearest training example.
        models: base models in place of the default ones.
        faults: faults to begin with.
        load: quotas, a cap on concurrency and latencies of generateContent: a ``Load``, or quotas alone.
        knows: held-out rows whose right answers are known: a mapping from prompt to answer, or pairs, mappings or
            objects with ``text_input`` and ``output``. A model answers the share of them right that follows from its
            loss.
        state: a file, or a directory for it, that keeps what is stored; read at once and written after every change.
        settings: any field of ``Settings``, such as ``seed=7`` or ``step_seconds=0.1``.

    Returns:
        An ASGI 3 application.

    Raises:
        TypeError: a setting has no such name.
        ValueError: a value is out of its range.
    """
    rules, knobs = _rules(auth, callers or {}), Settings(**settings)
    app = Emulator(knobs, make_clock(clock), rules, Store(knobs, catalogue(models), answers), FACES)
    if given := list(faults):
        app.faults.add(*given)
    app.load = load_of(load)
    app.knows = knows
    if state is not None:
        app.state = StateFile(Path(state))
        app.state.load(app.clock, app.store)
    return app


def _rules(auth: str | Auth, callers: Mapping[str, str]) -> Auth:
    if isinstance(auth, str) and auth not in ("any", "required", "strict"):
        raise ValueError(f"unknown auth {auth!r}: choose 'any', 'required' or 'strict', or pass an Auth")
    rules = Auth(mode=cast(Any, auth)) if isinstance(auth, str) else auth
    for credential, email in callers.items():
        rules.tokens.setdefault(credential, email)
        rules.api_keys.setdefault(credential, email)
    return rules
