"""Never twice: the tables of all proofs, played anew, and what those of the Gemini API leave out."""

import contextlib
import itertools
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest

import gemtune
from gemtune import errors
from gemtune.emulator import Fault, running_emulator
from proofs import never_twice, never_twice_batches, never_twice_vertex, uploads
from proofs.faulty import BY_NAME, FAULTS
from proofs.never_twice import World
from world import BASE, EXAMPLES, TOKEN

PROOFS = {"gemini": never_twice, "vertex": never_twice_vertex, "batches": never_twice_batches, "uploads": uploads}
PLAYED = [
    pytest.param(proof, number, id=f"{name}-{number}")
    for name, proof in PROOFS.items()
    for number in range(len(proof.TABLES))
]


def proved(proof):
    return Path(proof.__file__).with_suffix(".md").read_text(encoding="utf-8").strip().split("\n\n## ")


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize(("proof", "number"), PLAYED)
async def test_no_fault_at_any_attempt_does_anything_twice(proof, number):
    table = proof.TABLES[number]
    expected = f"## {proved(proof)[1 + number]}".splitlines()
    assert table.render(await table.play()).splitlines() == expected


@pytest.mark.parametrize("proof", PROOFS.values(), ids=PROOFS)
def test_the_tables_written_down_are_those_that_are_played(proof):
    written = proved(proof)
    assert written[0] == proof.INTRODUCTION
    assert len(written) == 1 + len(proof.TABLES)


@pytest.fixture
def world(virtual_time):
    return World()


async def test_a_service_that_says_unavailable_for_ever_and_acts_all_the_same_is_seen_through(world):
    world.way.forever = BY_NAME["503 UNAVAILABLE, acted all the same"]
    async with world.client as client:
        job = await client.tune(BASE, EXAMPLES)
    assert world.models == [job.name]


async def test_a_model_of_ours_that_cannot_be_seen_yet_is_an_open_question_and_not_a_missing_one(world):
    class Lagging(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if request.method == "GET":
                return httpx.Response(404, json={"error": {"code": 404, "status": "NOT_FOUND"}})
            return await world.way.handle_async_request(request)

    world.way.faults = [BY_NAME["reset, acted"]]
    world.client._caller.wire.transport = Lagging()
    async with world.client as client:
        with pytest.raises(errors.AmbiguousOutcome, match="if_exists='adopt'"):
            await client.tune(BASE, EXAMPLES, tuned_model_id="mine")
    assert world.way.used == 1


async def test_an_id_taken_by_somebody_else_while_nothing_of_ours_was_sent_is_not_taken_for_ours(world):
    async def taken_meanwhile(request):
        await World(world.app).client.tune(BASE, EXAMPLES, tuned_model_id="mine", description="theirs")
        raise httpx.ConnectError("Connection refused")

    way, tried = world.way, iter([taken_meanwhile])

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            act = next(tried, way.handle_async_request) if request.method == "POST" else way.handle_async_request
            return await act(request)

    world.client._caller.wire.transport = Slow()
    async with world.client as client:
        with pytest.raises(errors.AlreadyExists, match="choose another tuned_model_id"):
            await client.tune(BASE, EXAMPLES, tuned_model_id="mine")
    assert next(tried, None) is None


@pytest.mark.parametrize("if_exists", ["error", "adopt"])
async def test_an_id_that_belongs_to_somebody_else_is_told_as_taken(world, if_exists):
    world.app.auth.tokens["theirs"] = "somebody@example.com"
    async with gemtune.Client(
        base_url="http://127.0.0.1", token="theirs", transport=httpx.ASGITransport(world.app)
    ) as somebody:
        await somebody.tune(BASE, EXAMPLES, tuned_model_id="mine")
    async with world.client as client:
        with pytest.raises(errors.AlreadyExists, match=r"tunedModels/mine.*choose another tuned_model_id"):
            await client.tune(BASE, EXAMPLES, tuned_model_id="mine", if_exists=if_exists)


async def test_a_timeout_bounds_a_creation_with_all_its_looks(world, virtual_time):
    """The look before takes 6 s, the creation is lost at once, and no look for it is ever answered."""

    class Sleepy(httpx.AsyncBaseTransport):
        looks = 0

        async def handle_async_request(self, request):
            if request.method == "GET":
                self.looks += 1
                await anyio.sleep(6 if self.looks == 1 else 1000)
            return await world.way.handle_async_request(request)

    world.way.forever = BY_NAME["reset, acted"]
    world.client._caller.wire.transport = Sleepy()
    async with world.client as client:
        for given in ({"tuned_model_id": "mine"}, {}):
            before = virtual_time()
            with pytest.raises(errors.CallError):
                await client.tune(BASE, EXAMPLES, timeout=10, **given)
            assert virtual_time() - before <= 10.1
    assert world.way.used >= 1


async def test_calling_tune_again_after_a_crash_with_the_same_id_adopts_at_every_moment(world):
    """The process dies before, while or after the creation is answered; the next one runs the same line."""
    for fault, ticks in itertools.product((None, *FAULTS), range(0, 64, 8)):
        name = f"run-{len(world.models)}"
        world.way.faults = [fault]

        async def line(client=world.client, name=name):
            with contextlib.suppress(errors.CallError):
                await client.tune(BASE, EXAMPLES, tuned_model_id=name, if_exists="adopt")

        async with anyio.create_task_group() as process:
            process.start_soon(line)
            for _ in range(ticks):
                await anyio.lowlevel.checkpoint()
            process.cancel_scope.cancel()
        world.way.faults = []
        before = set(world.models)
        async with World(world.app).client as client:
            job = await client.tune(BASE, EXAMPLES, tuned_model_id=name, if_exists="adopt")
            assert (await job).name == f"tunedModels/{name}"
        assert set(world.models) - before <= {job.name}
    assert len(world.models) == 8 * (1 + len(FAULTS))


async def test_many_processes_that_run_the_same_line_at_once_share_one_model(world):
    jobs = []

    async def run(fault):
        other = World(world.app)
        other.way.faults = [fault]
        async with other.client as client:
            jobs.append(await client.tune(BASE, EXAMPLES, tuned_model_id="shared", if_exists="adopt"))

    usable = [fault for fault in FAULTS if fault.name != "429 for the day"]
    async with anyio.create_task_group() as tasks:
        for fault in usable:
            tasks.start_soon(run, fault)
    assert {job.name for job in jobs} == {"tunedModels/shared"} == set(world.models)
    assert len(jobs) == len(usable)


SOCKET_FAULTS = {
    "502 acted": Fault(method="tunedModels.create", status=502, html=True, act=True),
    "504": Fault(method="tunedModels.create", status=504),
    "dropped before": Fault(method="tunedModels.create", drop=True),
    "dropped, acted": Fault(method="tunedModels.create", drop=True, act=True),
    "garbage, acted": Fault(method="tunedModels.create", garbage=True, act=True),
    "empty, acted": Fault(method="tunedModels.create", status=200, body="", act=True),
    "503": Fault(method="tunedModels.create", status=503),
    "503 acted": Fault(method="tunedModels.create", status=503, act=True),
}


@pytest.fixture
def server():
    with running_emulator(queue_seconds=0, step_seconds=0) as running:
        yield running


@pytest.mark.socket
@pytest.mark.both_backends
@pytest.mark.parametrize("given", [None, "mine"], ids=["generated id", "given id"])
async def test_over_a_real_socket_one_model_is_created_too(server, given):
    """Every fault meets the first attempt and, on a kept-alive connection, the one after a 503."""
    app, policy = server.app, gemtune.RetryPolicy(initial=0.001)
    async with gemtune.Client(base_url=server.url, token=TOKEN, retry=policy) as client:
        for (name, fault), warm in itertools.product(SOCKET_FAULTS.items(), (False, True)):
            app.reset()
            app.faults.add(*([Fault(method="tunedModels.create", status=503)] if warm else []), fault)
            job = await client.tune(BASE, EXAMPLES, tuned_model_id=given)
            assert list(app.store.tuned_models) == [job.name], name
            assert app.faults.pending() == []
            assert await job.refresh() == "ACTIVE"
