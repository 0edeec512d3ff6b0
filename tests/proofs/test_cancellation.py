"""The cancellation sweep of sweep.py: bounded here, whole with GEMTUNE_DEEP=1 (``nox -s deep``)."""

import asyncio
import gc
import os
import socket
import warnings

import anyio
import anyio.lowlevel
import httpx
import pytest

import gemtune
from gemtune.emulator import Fault
from gemtune.http.engines.httpx_engine import RecyclingTransport
from proofs.sweep import OPERATIONS, Arena, Scene, Tally, arena, contended, open_files, sweep
from world import BASE, EXAMPLES, TOKEN, make_app, make_client

DEEP = bool(os.environ.get("GEMTUNE_DEEP"))
TCP = {} if DEEP else {"dense": 3, "stride": 9, "far": 100}
TLS = {} if DEEP else {"dense": 2, "stride": 9, "far": 60}
ENOUGH = 30
"""Scenarios of one operation in the bounded sweep: fewer would mean that it ends before it begins."""


@pytest.fixture(params=[False, True], ids=["TCP", "TLS"])
def where(request):
    with arena(request.param) as place:
        yield place


@pytest.mark.socket
@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
async def test_cancelled_at_any_moment_an_operation_leaves_nothing_and_the_next_call_works(where, name):
    tally = Tally()
    for warm in (False, True) if DEEP or not where.context else (False,):
        await sweep(where, (name,), tally, warm=warm, **(TLS if where.context else TCP))
    assert tally.leaks == []
    assert tally.scenarios.total() >= ENOUGH


@pytest.mark.socket
@pytest.mark.slow
@pytest.mark.parametrize("name", ["generate_content", "stream", "pager", "await job"])
async def test_some_of_many_that_share_few_connections_are_cancelled_and_the_others_succeed(tcp, name):
    tally = Tally()
    tcp.connections = 3
    async with tcp.client() as client:
        await client.tune(BASE, EXAMPLES, tuned_model_id="ready")
    await contended(tcp, name, tally, range(200) if DEEP else (*range(0, 24, 3), *range(24, 200, 12)))
    assert tally.leaks == []
    assert tally.scenarios.total() >= ENOUGH


@pytest.mark.socket
@pytest.mark.both_backends
@pytest.mark.parametrize("name", ["tune", "generate_content", "pager", "await job", "job.events()"])
async def test_cancelled_after_any_number_of_checkpoints_the_next_call_works_on_trio_too(tcp, name, anyio_backend_name):
    met = 0
    async with tcp.client() as client:
        await client.tune(BASE, EXAMPLES, tuned_model_id="ready", if_exists="adopt")
        for number in range(400) if DEEP else (*range(30), *range(30, 400, 25)):
            tcp.server.app.store.tuned_models.pop("tunedModels/mine", None)
            scene = Scene(client)
            ended = False

            async def run(scene=scene):
                nonlocal ended
                await OPERATIONS[name](scene)
                ended = True

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                for _ in range(number):
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            met += not ended
            with anyio.fail_after(5):
                await client.models.get(BASE)
            assert client._caller.wire.statistics().in_flight == 0
            assert scene.job is None or not scene.job._follower.looking.locked()
            if anyio_backend_name == "trio":
                pool = client._caller.wire._engine.transport
                assert isinstance(pool, RecyclingTransport)
                assert pool._places.value == pool.capacity
                assert pool._dead == []
    assert met >= 5


@pytest.mark.both_backends
@pytest.mark.usefixtures("virtual_time")
async def test_a_request_cut_off_while_its_body_is_sent_leaves_no_generator_to_the_garbage_collector():
    class Stuck(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            async for chunk in request.stream:
                assert chunk
                await anyio.sleep_forever()

    client = gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=Stuck())
    with anyio.move_on_after(1) as scope:
        await client.generate_content("gemini-3.7-flash", "count")
    assert scope.cancelled_caught
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(one.message) for one in seen] == []


@pytest.fixture
def tcp():
    with arena() as place:
        yield place


async def a_task(scene, kept):
    kept.append(asyncio.ensure_future(asyncio.sleep(60)))


async def files(scene, kept):
    kept.extend(socket.socket() for _ in range(3))


async def a_request(scene, kept):
    kept.append(asyncio.ensure_future(scene.client.generate_content("gemini-3.7-flash", "count")))
    await asyncio.sleep(0.1)


async def a_lock(scene, kept):
    scene.job = scene.client.job("mine")
    await scene.job._follower.looking.acquire()


@pytest.mark.socket
@pytest.mark.parametrize(
    ("leave", "told"),
    [(a_task, "1 tasks"), (files, "files"), (a_request, "the next call failed"), (a_lock, "the job's lock is held")],
)
async def test_the_sweep_sees_what_is_left_behind(tcp, monkeypatch, leave, told):
    kept = []
    monkeypatch.setitem(OPERATIONS, "careless", lambda scene: leave(scene, kept))
    tcp.server.app.faults.add(Fault(method="models.generateContent", delay=60))
    tcp.patience = 0.2
    before = len(asyncio.all_tasks()), open_files()
    async with tcp.scene(warm=True) as scene:
        await OPERATIONS["careless"](scene)
        found = await tcp.left(scene, *before)
        for thing in kept:
            (thing.cancel if isinstance(thing, asyncio.Task) else thing.close)()
    assert told in found


@pytest.mark.both_backends
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("moment", range(0, 60, 2))
async def test_of_two_that_wait_for_one_job_the_one_that_is_not_cancelled_gets_its_model(moment):
    """Whoever is looking at the service for both may be the one that is cancelled."""
    app = make_app()
    async with make_client(app) as client:
        job = await client.tune(BASE, EXAMPLES)
        seen = []

        async def listen():
            async for event in job.events():
                seen.append(event)

        async def cut_off():
            with anyio.move_on_after(moment):
                await job

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cut_off)
            tasks.start_soon(listen)
        assert seen[-1].kind == "succeeded"
        assert job._follower.looking.locked() is False
        assert (await job).state == "ACTIVE"
        assert [event.cursor for event in seen] == [event.cursor async for event in job.events()]
        assert app.requests.of("tunedModels.operations.cancel") == []
        assert app.requests.of("tunedModels.delete") == []


@pytest.mark.both_backends
@pytest.mark.usefixtures("virtual_time")
async def test_leaving_a_wait_never_touches_the_remote_job():
    app = make_app()
    async with make_client(app) as client:
        job = await client.tune(BASE, EXAMPLES)
        with anyio.move_on_after(1):
            await job
        with pytest.raises(gemtune.errors.DeadlineExceeded):
            await job.wait(timeout=1)
        async for _event in job.events():
            break
    writes = [entry.method for entry in app.requests if entry.verb != "GET"]
    assert writes == ["tunedModels.create"]
    assert list(app.store.tuned_models) == [job.name]


def test_an_arena_gives_its_clients_one_connection():
    place = Arena(server=type("Server", (), {"url": "http://127.0.0.1:1"})())
    assert place.client()._caller.wire.max_connections == 1
    assert TOKEN not in repr(place.client())
