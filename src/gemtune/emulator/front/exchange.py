"""From a request to its reply: the log, the faults, the face, in this order.

A fault is taken before the request is understood, because a fault may stand for a service that is not there to
understand it. With ``act`` (and with everything that only disturbs the bytes) the request is carried out first, and the
reply is spoiled afterwards: the deed is done, and its caller cannot know.
"""

from __future__ import annotations

import anyio.to_thread
import attrs

from gemtune.emulator.front.aside import aside, weight
from gemtune.emulator.front.replies import compress, fault_reply, mark, spoil
from gemtune.emulator.messages.contents import DepotFull
from gemtune.emulator.messages.errors import RpcError
from gemtune.emulator.messages.http import HttpReply, HttpRequest, JsonLayout
from gemtune.emulator.service import EmulatedService
from gemtune.emulator.trouble.faults import Fault
from gemtune.emulator.world.auth import Credential
from gemtune.emulator.world.batches.lines import BatchFate
from gemtune.emulator.world.face import RouteMatch
from gemtune.emulator.world.route import Route
from gemtune.emulator.world.store import MethodCall, due
from gemtune.emulator.world.tuning import JobFate

_NO_FATE, _NO_BATCH_FATE = JobFate(), BatchFate()


async def exchange(service: EmulatedService, request: HttpRequest, match: RouteMatch | None) -> HttpReply:
    """Return the reply to a request, whose route has been found, faults included."""
    face = match.face if match else service.faces[0]
    method = match.route.method if match else None
    # Logged before anything can go wrong with it: a test asks the log what arrived, not what was answered.
    entry = service.requests.open(service.clock.now(), method, request)
    fault = service.faults.take(method or "*", entry.number)
    entry.fault = fault is not None
    layout = face.layout(match, request)
    if fault and fault.delay:
        await service.clock.sleep(fault.delay)
    # "after" lets the first elements of a stream through, so that the stream has to be made first
    midway = fault is not None and fault.after is not None and (layout.sse or layout.array)
    if fault and fault.replaces_reply and not fault.act and not midway:
        reply = fault_reply(fault, layout, face)
    else:
        reply = await _answer(service, request, match, layout, fault)
        reply = spoil(reply, fault, layout, face) if fault else reply
    reply = mark(reply, fault) if fault else reply
    reply = attrs.evolve(reply, headers={"server": face.server, **reply.headers})
    service.requests.close(entry, reply.status)
    if not service.settings.gzip:
        return reply
    return await aside(sum(map(len, reply.chunks)), compress, reply, request.headers.get("accept-encoding", ""))


async def _answer(
    service: EmulatedService, request: HttpRequest, match: RouteMatch | None, layout: JsonLayout, fault: Fault | None
) -> HttpReply:
    """Return the reply of the service itself."""
    if match is None:
        return service.faces[0].missing(request.path)
    face, route, settings = match.face, match.route, service.settings
    try:
        credential = Credential.read(request.headers, dict(request.query))
        now = service.clock.now()
        principal = service.auth.admit(credential, match, now, settings.default_email)
        said = await aside(request.length, face.read, match, request, settings)
        call = MethodCall(
            method=route.method, version=match.version, params=match.params, query=said.query, body=said.body,
            caller=principal, now=now, fate=(fault and fault.job) or _NO_FATE,
            batch_fate=(fault and fault.batch) or _NO_BATCH_FATE,
        )  # fmt: skip
        # Who deleted the model behind our back did so before this request, not after it.
        service.store.overtake(now)
        # So was what a batch has finished by now: its results are there before anybody looks for them.
        # Whoever asks a model sees none of it, and does not wait for it.
        busy = [] if route.cost else due(service.store, now)
        for shelf in busy:
            await anyio.to_thread.run_sync(shelf.work, service.store, now)
        call, thinning = service.replicas.ask(call, face.replication)
        if route.blocks and route.blocks(service.store, call):
            value = await anyio.to_thread.run_sync(route.handler, service.store, call)
        else:
            value = route.handler(service.store, call)
        if thinning and not isinstance(value, HttpReply):
            value = thinning.show(value)
        if route.changes or busy:
            await service.keep()
        # Quotas are last: they limit answers, and what is refused for another reason costs nothing.
        if route.cost:
            tokens, model = route.cost(call)
            await _serve(service, route, tokens, model)
    except RpcError as error:
        return face.refuse(error, layout)
    except DepotFull as full:
        return face.refuse(RpcError("RESOURCE_EXHAUSTED", f"There is no room left: {full}", code=507), layout)
    if isinstance(value, HttpReply):
        return value
    return await aside(weight(value), face.write, match, value, layout, said.mask)


async def _serve(service: EmulatedService, route: Route, tokens: int, model: str) -> None:
    """Wait as long as an answer takes; raises RpcError if a quota refuses it."""
    try:
        await service.load.serve(service.clock, tokens, model, service.settings.answer_seconds)
    except RpcError as error:
        if route.throttled and error.status == "RESOURCE_EXHAUSTED":
            raise route.throttled() from None
        raise
