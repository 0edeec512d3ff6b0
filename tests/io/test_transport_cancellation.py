"""A request may be cancelled at every await; nothing of it stays behind, and the next one works."""

import asyncio
import ssl
from pathlib import Path

import anyio
import pytest
import trustme

from gemtune.errors import TransportError

pytestmark = pytest.mark.socket

TICKS = 45


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(params=["tcp", "tls"])
def secured(request, authority):
    """Server side and client side contexts, or None for plain TCP."""
    if request.param == "tcp":
        return None, None
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def cancelled_natively(send, ticks):
    task = asyncio.ensure_future(send())
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return
    assert task.done()


async def cancelled_twice(send, ticks):
    task = asyncio.ensure_future(send())
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def cancelled_by_a_scope(send, ticks):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        for _ in range(ticks):
            await asyncio.sleep(0)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("cancelled", [cancelled_natively, cancelled_twice, cancelled_by_a_scope])
@pytest.mark.parametrize("warm", [False, True])
async def test_cancelled_after_any_number_of_steps_nothing_is_left(
    serve, wire_to, reply, answering, secured, cancelled, warm
):
    closing = () if warm else (b"connection: close",)
    server = serve(answering(reply(b"{}" * 40_000, *closing)), tls=secured[0])
    wire = wire_to(server, ssl_context=secured[1], max_connections=1)

    async def send():
        await wire.send("POST", "/x", {"content-type": "a/b"}, b"{}" * 100, timeout=5)

    await send()
    before = open_files() + 2
    for ticks in range(TICKS):
        await cancelled(send, ticks)
        if warm:
            with anyio.fail_after(30):
                await send()
    with anyio.fail_after(30):
        await send()
    assert wire.statistics().in_flight == 0
    assert wire.statistics().connections <= 1
    await left_alone(most=before)


async def test_many_cancelled_at_once_leave_the_pool_as_it_was(serve, wire_to, reply, answering):
    server = serve(answering(reply(b"{}" * 2_000)))
    wire = wire_to(server, max_connections=10)
    await wire.send("GET", "/x", {}, None, timeout=5)
    before = open_files()

    async def send():
        await wire.send("GET", "/x", {}, None, timeout=5)

    for ticks in range(25):
        async with anyio.create_task_group() as tasks:
            for _ in range(40):
                tasks.start_soon(send)
            for _ in range(ticks):
                await asyncio.sleep(0)
            tasks.cancel_scope.cancel()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(send)
    assert wire.statistics().in_flight == 0
    assert wire.statistics().connections <= 10
    await left_alone(most=before + 2 * 10)  # both ends are in this process


async def left_alone(*, most):
    """Wait until no task and no more than so many files are left: TLS takes leave of its peer, in another thread."""
    for _ in range(6_000):  # half a minute, for a machine that is busy
        if open_files() <= most and len(asyncio.all_tasks()) <= 2:
            return
        await asyncio.sleep(0.005)
    assert open_files() <= most
    assert [task for task in asyncio.all_tasks() if "anyio" not in repr(task)] == []


async def test_a_wire_that_is_closed_leaves_no_socket_to_its_loop(serve, wire_to, reply, answering, secured):
    server = serve(answering(reply(b"{}" * 40_000, b"connection: close")), tls=secured[0])
    for _ in range(20):
        wire = wire_to(server, ssl_context=secured[1])
        await wire.send("POST", "/x", {}, b"{}", timeout=5)
        await wire.aclose()  # TLS takes leave of its peer, and a loop that ended now would forget it
        transports = asyncio.get_running_loop()._transports.values()
        assert [each for each in transports if each._sock is not None] == []


@pytest.mark.both_backends
async def test_a_request_cut_off_by_the_callers_own_time_limit_leaves_nothing(serve, wire_to, reply):
    async def handle(connection):
        while request := await connection.request():
            if b"/hang" in request:
                await asyncio.sleep(60)
            await connection.send(reply(b"fine"))

    wire = wire_to(serve(handle), max_connections=1)
    for _ in range(3):
        with anyio.move_on_after(0.03) as scope:
            await wire.send("GET", "/hang", {}, None, timeout=5)
        assert scope.cancelled_caught
        with anyio.fail_after(30):
            assert (await wire.send("GET", "/y", {}, None, timeout=5)).body == b"fine"
    assert wire.statistics().in_flight == 0


@pytest.mark.both_backends
async def test_closing_while_requests_are_under_way_ends_them(serve, wire_to):
    async def handle(connection):
        await connection.request()
        await asyncio.sleep(60)

    wire = wire_to(serve(handle))
    errors = []

    async def send():
        try:
            await wire.send("GET", "/x", {}, None, timeout=2)
        except TransportError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await anyio.sleep(0.05)
        await wire.aclose()
    assert len(errors) == 1
    assert wire.statistics().in_flight == 0
