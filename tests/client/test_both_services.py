"""What handles, watchers, cancelling and creation promise, on the Gemini API and on Vertex AI alike."""

import anyio
import httpx
import pytest

from both import SERVICES, make_world
from gemtune import errors, events
from gemtune.emulator import Fault, JobFate
from proofs.faulty import FAULTS, Faulty
from world import collect, sent

pytestmark = pytest.mark.usefixtures("virtual_time")
BY_NAME = {fault.name: fault for fault in FAULTS}


@pytest.fixture(params=SERVICES, ids=lambda service: service.name)
def service(request):
    return request.param


def steps_of(seen, job=None):
    return [event.step for event in seen if isinstance(event, events.Snapshot) and job in {None, event.job}]


@pytest.mark.both_backends
async def test_a_job_tells_every_snapshot_once_and_in_order_and_its_end_last(service):
    app = make_world()
    async with service.client(app) as client:
        job = await service.tune(client, display_name="my job")
        assert (job.state, job.display_name, job.done) == ("CREATING", "my job", False)
        seen = await collect(job.events())
        assert isinstance(seen[0], events.Added)
        assert steps_of(seen) == list(range(1, service.steps + 1))
        assert isinstance(seen[-1], events.Succeeded)
        assert sum(events.is_terminal(event) for event in seen) == 1
        model = await job
        assert seen[-1].model.name == model.name
        assert len(model.tuning_task.snapshots) == service.steps
        assert job.progress.percent == 100.0
        assert (await client.generate_content(model, "seven")).text


async def test_tune_returns_at_once_and_a_job_alone_costs_a_request_every_other_second(service, virtual_time):
    app = make_world()
    async with service.client(app) as client:
        job = await service.tune(client)
        assert virtual_time() < 0.1
        await job
        assert len(app.requests) <= virtual_time() / 2 + 8


async def test_everybody_who_waits_for_a_job_shares_its_looks(service, virtual_time):
    app = make_world()
    async with service.client(app) as client:
        job = await service.tune(client)
        found = []

        async def wait():
            found.append((await job).name)

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(wait)
        assert len(set(found)) == 1
        assert len(app.requests) <= virtual_time() / 2 + 8


async def test_leaving_a_wait_touches_nothing_and_another_process_takes_over_from_the_cursor(service):
    app = make_world()
    async with service.client(app) as client:
        job = await service.tune(client)
        had = []
        with anyio.move_on_after(service.steps):
            async for event in job.events():
                had.append(event)
                if len(steps_of(had)) == 3:
                    break
        name, cursor = job.name, had[-1].cursor
        with pytest.raises(errors.DeadlineExceeded, match="only the waiting has ended"):
            await job.wait(timeout=1)
    assert {entry.verb for entry in app.requests} == {"POST", "GET"}
    async with service.client(app) as other:
        rest = await collect(other.job(name).events(since=cursor))
    assert steps_of([*had, *rest]) == list(range(1, service.steps + 1))
    assert isinstance(rest[-1], events.Succeeded)


async def test_cancelling_ends_the_story_and_may_be_done_again(service):
    app = make_world(step_seconds=50.0)
    async with service.client(app) as client:
        job = await service.tune(client)
        await anyio.sleep(5)
        await job.cancel()
        story = await collect(job.events())
        assert isinstance(story[-1], events.Cancelled)
        with pytest.raises(errors.TuningCancelled, match="was cancelled"):
            await job
        assert job.state == "CANCELLED"


async def test_a_job_that_fails_says_why_in_the_service_s_words(service):
    fate = JobFate(fail_at_step=3, code=3, message="bad data in line 7")
    app = make_world(faults=[Fault(method=service.create, job=fate)])
    async with service.client(app) as client:
        job = await service.tune(client)
        seen = await collect(job.events())
        assert isinstance(seen[-1], events.Failed)
        assert steps_of(seen) == [1, 2]
        with pytest.raises(errors.TuningFailed, match="bad data in line 7") as caught:
            await job
        assert (caught.value.code, caught.value.job) == (3, job.name)


@pytest.mark.both_backends
async def test_a_watcher_delivers_every_snapshot_of_every_job_once_and_every_end(service):
    app = make_world()
    async with service.client(app) as client:
        jobs = [await service.tune(client) for _ in range(4)]
        async with client.watch(jobs) as watcher:
            seen = await collect(watcher)
    for job in jobs:
        assert steps_of(seen, job.name) == list(range(1, service.steps + 1))
        assert [event.kind for event in seen if events.is_terminal(event) and event.job == job.name] == ["succeeded"]


async def test_a_watcher_resumes_from_its_token_without_a_loss_or_a_repetition(service):
    app = make_world()
    async with service.client(app) as client:
        jobs = [await service.tune(client) for _ in range(2)]
        had = []
        async with client.watch(jobs) as watcher:
            async for event in watcher:
                had.append(event)
                if len(steps_of(had)) == 5:
                    break
            token = watcher.resume_token()
    async with service.client(app) as other, other.watch(resume=token) as watcher:
        rest = await collect(watcher)
    for job in jobs:
        assert sorted(steps_of(had, job.name) + steps_of(rest, job.name)) == list(range(1, service.steps + 1))


async def test_faults_of_looks_lose_nothing_and_repeat_nothing(service):
    app = make_world()
    async with service.client(app) as client:
        job = await service.tune(client)
        app.faults.add(Fault(status=503, times=3), Fault(garbage=True, times=2), Fault(status=429, times=2))
        seen = await collect(job.events())
    assert steps_of(seen) == list(range(1, service.steps + 1))
    assert isinstance(seen[-1], events.Succeeded)


async def test_a_watcher_finds_jobs_that_others_have_created(service):
    app = make_world()
    async with service.client(app) as client:
        job = await service.tune(client)
        async with client.watch(filter=service.everything or "owner:me") as watcher:
            async for event in watcher:
                if events.is_terminal(event):
                    break
    assert (event.job, event.kind) == (job.name, "succeeded")


@pytest.mark.parametrize("name", ["reset, acted", "timeout, acted", "500, acted", "200 with cut JSON, acted"])
@pytest.mark.parametrize("given", [{}, {"tuned_model_id": "mine"}], ids=["made-up id", "chosen id"])
async def test_a_creation_whose_answer_was_lost_leaves_one_job(service, name, given):
    app = make_world()
    way = Faulty(httpx.ASGITransport(app), [BY_NAME[name]], part=service.collection, ends=True)
    async with service.client(app, way) as client:
        job = await service.tune(client, **given)
        assert await service.alive(app) == [job.name]
        assert len(sent(app, service.create)) == 1
        assert way.used == 1


async def test_the_same_line_run_again_adopts_the_job_and_creates_no_other(service):
    app = make_world()
    async with service.client(app) as client:
        first = await service.tune(client, tuned_model_id="mine", if_exists="adopt")
    async with service.client(app) as other:
        again = await service.tune(other, tuned_model_id="mine", if_exists="adopt")
        assert again.name == first.name
        with pytest.raises(errors.AlreadyExists, match="if_exists='adopt'"):
            await service.tune(other, tuned_model_id="mine")
    assert await service.alive(app) == [first.name]
