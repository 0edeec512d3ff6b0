"""Creations without a place: the service lets them queue, or refuses them; with ``queue=True`` nothing is lost."""

import json

import anyio
import httpx
import pytest

import gemtune
from gemtune import errors, events
from gemtune.resources.vertex import waiting
from proofs.faulty import BY_NAME, Faulty
from vertex.service import BASE, TRAIN, make_vertex
from world import make_app, sent

pytestmark = pytest.mark.usefixtures("virtual_time")
METRIC = "aiplatform.googleapis.com/global_concurrent_tuning_jobs"
ONCE = gemtune.RetryPolicy(attempts=1)


class Full(httpx.AsyncBaseTransport):
    """Refuses creations for the quota as often as it is told to."""

    def __init__(self, inner, left):
        self.inner, self.left, self.refused = inner, left, []
        self.said = f"The following quota metrics exceed quota limits: {METRIC}"

    async def handle_async_request(self, request):
        if request.method == "POST" and request.url.path.endswith("/tuningJobs") and self.left:
            self.left -= 1
            self.refused.append((anyio.current_time(), json.loads(request.content)["labels"]))
            body = {"error": {"code": 429, "message": self.said, "status": "RESOURCE_EXHAUSTED"}}
            return httpx.Response(429, json=body)
        return await self.inner.handle_async_request(request)


@pytest.fixture
async def world(virtual_time):
    app = make_app(step_seconds=1.0, queue_seconds=0.1)
    full = Full(httpx.ASGITransport(app), 4)
    policy = gemtune.WatchPolicy(queued_interval=2.0)  # who waits looks every other second
    return app, full, make_vertex(app, full, retry=ONCE, watch=policy)[1]


async def jobs_of(app):
    async with make_vertex(app)[1] as client:
        return await client.tuning_jobs.list().all()


async def test_what_the_service_lets_queue_says_what_it_waits_for():
    app = make_app(step_seconds=1.0, queue_seconds=0.1, vertex_concurrent_jobs=1)
    _, client = make_vertex(app)
    async with client:
        first, second = [await client.tune(BASE, TRAIN) for _ in range(2)]
        await anyio.sleep(5)
        await second.refresh()
        assert second.reason == "TUNING_JOB_STATE_WAITING_FOR_QUOTA"
        assert (await first).endpoint
        assert (await second).endpoint


async def test_without_queue_the_refusal_is_an_error_that_names_it(world):
    app, _, client = world
    async with client:
        with pytest.raises(errors.QuotaExhausted, match=r"global_concurrent_tuning_jobs.*queue=True"):
            await client.tune(BASE, TRAIN)
    assert await jobs_of(app) == []


NEVER = (f"Quota exceeded for quota metric '{METRIC}', limit: 0", "Billing account is disabled: no credits are left.")


@pytest.mark.parametrize("said", NEVER, ids=["none", "billing"])
async def test_where_no_place_can_become_free_nothing_waits(world, said):
    app, full, client = world
    full.said = said
    async with client:
        with pytest.raises(errors.QuotaExhausted) as caught:
            await client.tune(BASE, TRAIN, queue=True)
        assert "queue=True" not in str(caught.value)
        assert client.statistics().queued == 0
    assert (len(full.refused), await jobs_of(app)) == (1, [])


async def test_a_quota_that_is_taken_away_while_a_job_waits_ends_it(world):
    _, full, client = world
    async with client:
        job = await client.tune(BASE, TRAIN, queue=True)
        full.said = NEVER[0]
        with pytest.raises(errors.TuningFailed, match="limit: 0"):
            await job
    assert len(full.refused) == 2


async def test_a_full_quota_of_jobs_is_refused_once_in_a_call(world):
    app, full, _ = world
    async with make_vertex(app, full)[1] as client:
        with pytest.raises(errors.QuotaExhausted) as caught:
            await client.tune(BASE, TRAIN)
    assert (caught.value.scope, len(full.refused)) == ("tuning", 1)


async def test_with_queue_there_is_a_job_at_once_that_says_that_it_waits_and_is_sent_again_by_who_looks(
    world, virtual_time
):
    app, full, client = world
    async with client:
        job = await client.tune(BASE, TRAIN, display_name="my job", queue=True)
        assert virtual_time() < 1
        assert (job.state, job.service_state) == ("CREATING", "JOB_STATE_QUEUED")
        assert job.reason == "TUNING_JOB_STATE_WAITING_FOR_QUOTA"
        assert (job.display_name, job.base_model) == ("my job", BASE)
        assert client.statistics().queued == 1
        story = [event async for event in job.events()]
        assert isinstance(story[-1], events.Succeeded)
        assert client.statistics().queued == 0
        assert (await client.generate_content(job, "seven")).text
    gaps = [later - before for (before, _), (later, _) in zip(full.refused, full.refused[1:], strict=False)]
    assert len(gaps) == 3
    assert all(least <= gap <= 1.2 * least + 3 for least, gap in zip((15, 30, 60), gaps, strict=True))
    (made,) = await jobs_of(app)
    assert [labels for _, labels in full.refused] == [made.labels] * 4, "every attempt carries the same label"


async def test_a_job_that_has_waited_stands_for_its_model_in_every_process(world):
    app, _, client = world
    async with client:
        job = await client.tune(BASE, TRAIN, queue=True)
        model = await job
        assert "waiting-" in job.name
        for other in (client, make_vertex(app)[1]):
            async with other:
                assert (await other.tuned_models.get(job.name)).name.partition("@")[0] == model.name.partition("@")[0]
                assert await other.tuned_models.versions(job.name).all()
                assert (await other.tune(job.name, TRAIN)).name


async def test_nobody_who_looks_no_request(world):
    app, full, client = world
    async with client:
        await client.tune(BASE, TRAIN, queue=True)
        await anyio.sleep(10_000)
    assert len(full.refused) == 1
    assert sent(app) == []


async def test_a_watcher_keeps_a_waiting_job_going_beside_others(world):
    _, full, client = world
    full.left = 2
    async with client:
        job = await client.tune(BASE, TRAIN, queue=True)
        ends = []
        async with client.watch([job]) as watcher:
            async for event in watcher:
                if events.is_terminal(event):
                    ends.append(event)
    assert [(end.job, end.kind) for end in ends] == [(job.name, "succeeded")]


async def test_cancelling_a_job_that_waits_means_that_it_is_not_sent_any_more(world):
    app, full, client = world
    async with client:
        job = await client.tune(BASE, TRAIN, queue=True)
        await job.cancel()
        with pytest.raises(errors.TuningCancelled):
            await job
        await job.cancel()
        assert client.statistics().queued == 0
        await anyio.sleep(1000)
    assert len(full.refused) == 1
    assert await jobs_of(app) == []


async def test_cancelling_it_after_it_was_taken_cancels_the_job(world):
    app, full, client = world
    full.left = 1
    async with client:
        job = await client.tune(BASE, TRAIN, queue=True)
        await anyio.sleep(60)
        await job.refresh()
        assert job.service_state in {"JOB_STATE_PENDING", "JOB_STATE_RUNNING"}
        await job.cancel()
        (made,) = await jobs_of(app)
        assert "CANCEL" in made.state


async def test_another_process_finds_by_the_name_what_has_come_of_it(world):
    app, full, client = world
    full.left = 1
    async with client:
        job = await client.tune(BASE, TRAIN, queue=True)
        name = job.name
        await job
    async with make_vertex(app)[1] as other:
        assert (await other.job(name)).endpoint
        assert (await other.tuning_jobs.get(name)).tuned_model.endpoint
        await other.tuning_jobs.cancel(name)
        with pytest.raises(errors.NotFound, match=r"has no job: .*if_exists='adopt'"):
            await other.tuning_jobs.get(name[:-2] + "zz")
        gone = other.job(name[:-1] + ("a" if name[-1] != "a" else "b"))
        with pytest.raises(errors.TuningError, match=r"cannot be seen|was deleted"):
            await gone


async def test_patience_ends_with_the_service_s_words(world, monkeypatch):
    _, full, client = world
    monkeypatch.setattr(waiting, "PATIENCE", 600.0)
    full.left = 10_000
    async with client:
        job = await client.tune(BASE, TRAIN, queue=True)
        with pytest.raises(errors.TuningFailed, match="global_concurrent_tuning_jobs"):
            await job
        assert client.statistics().queued == 0
    assert full.refused[-1][0] - full.refused[0][0] <= 600 + 360


async def test_what_is_refused_for_good_while_it_waits_has_failed(world):
    _, full, client = world
    full.left = 1
    async with client:
        job = await client.tune(BASE, TRAIN, queue=True)
        inner = full.inner

        class Refusing(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request):
                if request.method == "POST":
                    error = {"code": 400, "message": "Base model gone", "status": "INVALID_ARGUMENT"}
                    return httpx.Response(400, json={"error": error})
                return await inner.handle_async_request(request)

        full.inner = Refusing()
        with pytest.raises(errors.TuningFailed, match="Base model gone"):
            await job


async def test_an_attempt_whose_answer_is_lost_while_it_waits_is_found_and_not_repeated(world):
    app, full, client = world
    full.left = 1
    way = full.inner = Faulty(full.inner, [BY_NAME["reset, acted"]], part="/tuningJobs", ends=True)
    async with client:
        job = await client.tune(BASE, TRAIN, queue=True)
        assert (await job).endpoint
    assert way.used == len(await jobs_of(app)) == 1


async def test_an_attempt_of_which_nobody_could_say_what_it_did_is_searched_for_before_the_next(world):
    app, full, client = world
    full.left = 1
    inner, lost, blind_until = full.inner, [], [0.0]

    class Blind(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            listing = request.method == "GET" and request.url.path.endswith("/tuningJobs")
            if listing and anyio.current_time() < blind_until[0]:
                return httpx.Response(503, json={"error": {"code": 503, "status": "UNAVAILABLE"}})
            response = await inner.handle_async_request(request)
            if request.method == "POST" and request.url.path.endswith("/tuningJobs") and not lost:
                lost.append(request)
                blind_until[0] = anyio.current_time() + 5
                raise httpx.ReadError("Connection reset by peer")
            return response

    full.inner = Blind()
    async with client:
        job = await client.tune(BASE, TRAIN, queue=True)
        assert (await job).endpoint
    assert len(lost) == len(await jobs_of(app)) == 1


@pytest.fixture
async def interrupted(world):
    """A job that waited, whose first creation that was taken is acted on while whoever looked left."""
    app, full, client = world
    full.left = 1
    inner, held = full.inner, []

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            response = await inner.handle_async_request(request)
            if request.method == "POST" and request.url.path.endswith("/tuningJobs") and not held:
                held.append(request)
                await anyio.sleep(30)
            return response

    full.inner = Slow()
    job = await client.tune(BASE, TRAIN, queue=True)
    await anyio.sleep(60)
    with anyio.move_on_after(5):
        await job.refresh()
    assert len(held) == 1
    return app, client, job


async def test_an_attempt_that_somebody_left_is_searched_for_before_the_next(interrupted):
    app, client, job = interrupted
    async with client:
        assert (await job).endpoint
    assert len(await jobs_of(app)) == 1


async def test_cancelling_after_an_attempt_that_somebody_left_cancels_the_job_that_it_made(interrupted):
    app, client, job = interrupted
    async with client:
        await job.cancel()
        with pytest.raises(errors.TuningCancelled):
            await job
    (made,) = await jobs_of(app)
    assert "CANCEL" in made.state


async def test_the_same_id_waits_once_however_often_it_is_given(world):
    app, full, client = world
    full.left = 2
    async with client:
        jobs = [await client.tune(BASE, TRAIN, tuned_model_id="mine", queue=True) for _ in range(2)]
        assert client.statistics().queued == 1
        assert len({(await job).name for job in jobs}) == 1
        assert client.statistics().queued == 0
    assert len(await jobs_of(app)) == 1
