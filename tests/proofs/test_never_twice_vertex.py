"""Never twice on Vertex AI: what the tables of never_twice_vertex.md leave out."""

import contextlib
import json

import anyio
import anyio.lowlevel
import httpx
import pytest

from gemtune import errors
from gemtune.protocol.vertex_names import label_of
from gemtune.resources.vertex.labels import LABEL, SETTLED
from proofs.faulty import BY_NAME
from proofs.never_twice_vertex import VertexWorld
from vertex.service import BASE, TRAIN

pytestmark = pytest.mark.usefixtures("virtual_time")


@pytest.fixture
async def world(virtual_time):
    return VertexWorld()


def test_a_label_is_the_same_in_every_process_and_of_the_service_s_alphabet():
    assert label_of("mine") == "7e0kijnslrxrwm5e0w52"
    assert len({label_of(f"id-{number}") for number in range(1000)}) == 1000
    assert all(len(label_of(str(number))) == 20 and label_of(str(number)).isalnum() for number in range(100))


async def test_a_creation_that_succeeds_at_once_costs_one_request(world):
    async with world.client as client:
        job = await client.tune(BASE, TRAIN, labels={"team": "a"})
        (sent,) = world.way.asked
        body = json.loads(sent.content)
        assert body["labels"] == {"team": "a", LABEL: body["labels"][LABEL]}
        assert (await client.tuning_jobs.get(job)).labels == body["labels"]


async def test_absence_is_believed_only_after_two_passes_ten_seconds_apart(world, virtual_time):
    lists = []
    inner = world.way.inner

    class Watched(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if request.method == "GET":
                lists.append((virtual_time(), dict(request.url.params)))
            return await inner.handle_async_request(request)

    world.way.inner = Watched()
    world.way.faults = [BY_NAME["reset, not acted"]]
    async with world.client as client:
        await client.tune(BASE, TRAIN)
    before, after = lists[:-2], lists[-2:]
    assert ["filter" in asked for _, asked in before] == [True, False, False]
    assert before[2][0] - before[0][0] >= SETTLED - 1e-6  # the rounding of floats
    assert ["filter" in asked for _, asked in after] == [False, False]
    assert after[1][0] - after[0][0] >= SETTLED - 1e-6
    assert all("labels" in asked["fields"] for _, asked in lists)
    assert len(world.way.asked) == 2


async def test_a_job_that_moves_between_pages_while_the_list_is_read_is_found(world):
    """The first pass misses it, because it moves to the front after the front was read."""
    inner, passes = world.way.inner, []

    class Moving(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if request.method == "GET" and request.url.path.endswith("/tuningJobs"):
                if "filter" in request.url.params:
                    return httpx.Response(400, json={"error": {"code": 400, "status": "INVALID_ARGUMENT"}})
                passes.append(request.url.params.get("pageToken"))
                if len(passes) <= 2:
                    token = {} if passes[-1] else {"nextPageToken": "2"}
                    return httpx.Response(200, json={"tuningJobs": [], **token})
            return await inner.handle_async_request(request)

    world.way.inner = Moving()
    world.way.faults = [BY_NAME["reset, acted"]]
    async with world.client as client:
        job = await client.tune(BASE, TRAIN)
        assert await world.alive() == [job.name]
    assert passes[:3] == [None, "2", None]
    assert len(world.way.asked) == 1


async def test_in_a_list_that_lags_behind_the_job_of_an_attempt_in_doubt_is_found_as_well(world, virtual_time):
    inner, born = world.way.inner, {}

    class Lagging(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            response = await inner.handle_async_request(request)
            if request.method == "GET" and request.url.path.endswith("/tuningJobs"):
                body = json.loads(await response.aread())
                jobs = body.get("tuningJobs", [])
                shown = [job for job in jobs if born.setdefault(job["name"], virtual_time()) < virtual_time() - 5]
                return httpx.Response(200, json=body | {"tuningJobs": shown})
            return response

    world.way.inner = Lagging()
    world.way.faults = [BY_NAME["503 UNAVAILABLE, acted all the same"]]
    async with world.client as client:
        job = await client.tune(BASE, TRAIN)
    world.way.inner = inner
    assert len(world.way.asked) == len(await world.jobs()) == 2
    assert await world.alive() == [job.name]


async def test_a_filter_that_lets_everything_through_is_not_believed(world):
    inner = world.way.inner

    class Deaf(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if "filter" in request.url.params:
                request = httpx.Request("GET", request.url.copy_remove_param("filter"), headers=request.headers)
            return await inner.handle_async_request(request)

    world.way.inner = Deaf()
    async with world.client as client:
        other = await client.tune(BASE, TRAIN, tuned_model_id="theirs")
        job = await client.tune(BASE, TRAIN, tuned_model_id="mine", if_exists="adopt")
    assert job.name != other.name


async def test_many_processes_that_run_the_same_line_at_once_share_one_job(world):
    jobs = []

    class Distant(httpx.AsyncBaseTransport):
        """Takes a while, so that all of them have searched before the first of them creates."""

        async def handle_async_request(self, request):
            await anyio.sleep(0.1)
            return await world.way.inner.handle_async_request(request)

    async def run():
        other = VertexWorld(world.app)
        other.way.inner = Distant()
        async with other.client as client:
            jobs.append(await client.tune(BASE, TRAIN, tuned_model_id="shared", if_exists="adopt"))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(run)
    assert await world.alive() == [jobs[0].name]
    assert {job.name for job in jobs} == {jobs[0].name}
    assert len(await world.jobs()) == 5, "all of them had created one"


async def test_calling_tune_again_after_a_crash_with_the_same_id_adopts_at_every_moment(world):
    """The process dies before, while or after the creation is answered; the next one runs the same line."""
    crashed = 0
    for fault in (None, BY_NAME["reset, acted"], BY_NAME["503 UNAVAILABLE, acted all the same"]):
        for ticks in range(0, 96, 12):
            name = f"run-{crashed}"
            crashed += 1
            other = VertexWorld(world.app)
            other.way.faults = [fault]

            async def line(client=other.client, name=name):
                with contextlib.suppress(errors.CallError):
                    await client.tune(BASE, TRAIN, tuned_model_id=name, if_exists="adopt")

            async with anyio.create_task_group() as process:
                process.start_soon(line)
                for _ in range(ticks):
                    await anyio.lowlevel.checkpoint()
                process.cancel_scope.cancel()
            before = set(await world.alive())
            async with VertexWorld(world.app).client as client:
                job = await client.tune(BASE, TRAIN, tuned_model_id=name, if_exists="adopt")
            assert set(await world.alive()) - before <= {job.name}
    assert len(await world.alive()) == crashed == 24


async def test_an_id_that_is_taken_says_by_whom(world):
    async with world.client as client:
        first = await client.tune(BASE, TRAIN, tuned_model_id="mine")
        with pytest.raises(errors.AlreadyExists, match=r"mine is taken by .*if_exists='adopt'") as caught:
            await client.tune(BASE, TRAIN, tuned_model_id="mine")
        assert caught.value.resource == first.name
        with pytest.raises(errors.AlreadyExists, match="tuned from another base"):
            await client.tune("gemini-2.5-flash-lite", TRAIN, tuned_model_id="mine", if_exists="adopt")
    assert await world.alive() == [first.name]


async def test_a_timeout_bounds_a_creation_with_all_its_searches(world, virtual_time):
    world.way.forever = BY_NAME["reset, not acted"]
    async with world.client as client:
        for given in ({"tuned_model_id": "mine"}, {}):
            before = virtual_time()
            with pytest.raises(errors.CallError):
                await client.tune(BASE, TRAIN, timeout=15, **given)
            assert virtual_time() - before <= 15.1
    assert await world.jobs() == {}


async def test_a_list_that_cannot_be_searched_leaves_the_question_open_and_sends_nothing_again(world):
    inner = world.way.inner

    class Blind(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if request.method == "GET":
                return httpx.Response(403, json={"error": {"code": 403, "status": "PERMISSION_DENIED"}})
            return await inner.handle_async_request(request)

    world.way.inner = Blind()
    world.way.faults = [BY_NAME["reset, acted"]]
    async with world.client as client:
        with pytest.raises(errors.AmbiguousOutcome, match=r"label gemtune-id=.*tuned_model_id='.*if_exists='adopt'"):
            await client.tune(BASE, TRAIN)
    assert len(world.way.asked) == 1


async def test_the_thin_mirror_creates_exactly_once_as_well(virtual_time):
    world = VertexWorld()
    world.way.faults = [BY_NAME["reset, acted"]]
    async with world.client as client:
        job = await client.tuning_jobs.create(
            {"base_model": BASE, "supervised_tuning_spec": {"trainingDatasetUri": TRAIN}, "labels": {"team": "a"}}
        )
        assert set(job.labels) == {"team", LABEL}
        assert await world.alive() == [job.name]
        with pytest.raises(errors.InvalidInput, match="job must be"):
            await client.tuning_jobs.create("gemini-2.5-flash")
        assert len(world.way.asked) == 1
