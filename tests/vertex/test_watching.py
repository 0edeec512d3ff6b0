"""Following jobs of Vertex AI over the emulator: live loss exactly once under faults and resumes, and what it costs."""

import random
from collections import Counter

import anyio
import attrs
import httpx
import pytest

import gemtune
from gemtune import events
from gemtune.config import WatchPolicy
from vertex.service import BASE, TRAIN, VALIDATION, make_vertex
from world import make_app, sent

pytestmark = pytest.mark.usefixtures("virtual_time")
VALUES = ("accuracy", "eval_loss", "eval_accuracy")


def told(seen):
    """How often each value of each step, and each checkpoint, was told as news."""
    counted, known = Counter(), {}
    for event in seen:
        if isinstance(event, events.Snapshot | events.SnapshotUpdated):
            values = {name for name in VALUES if getattr(event, name) is not None} | {"loss"}
            before = known.setdefault((event.job, event.step), set())
            counted.update((event.job, event.step, name) for name in values - before)
            counted[event.job, event.step] += isinstance(event, events.Snapshot)
            assert isinstance(event, events.Snapshot) or values - before, "an update without news"
            before |= values
        elif isinstance(event, events.CheckpointReady):
            counted[event.job, "checkpoint", event.checkpoint.checkpoint_id] += 1
        elif events.is_terminal(event):
            counted[event.job, event.kind] += 1
    return counted


async def tuned(client, count=1, **options):
    return [
        await client.tune(BASE, TRAIN, validation_data=VALIDATION, display_name=f"job {number}", **options)
        for number in range(count)
    ]


class Weather(httpx.AsyncBaseTransport):
    """Lets some requests that only read fail."""

    def __init__(self, app, seed):
        self.whole, self.dice = httpx.ASGITransport(app), random.Random(seed)

    async def handle_async_request(self, request):
        if request.method == "GET" and self.dice.random() < 0.2:
            return httpx.Response(self.dice.choice([429, 500, 503]), json={"error": {"code": 503, "message": "no"}})
        return await self.whole.handle_async_request(request)


def make_slow(**options):
    return make_app(step_seconds=4.0, queue_seconds=0.1, vertex_concurrent_jobs=None, **options)


async def ages_of_losses(seed, handles):
    """Follow one job to its end; return how old each loss was when it was shown."""
    random.seed(seed)
    app, client = make_vertex(make_slow())
    async with client:
        (job,) = await tuned(client)
        seen, ages, begin = [], [], anyio.current_time()

        async def follow(source):
            async for event in source:
                seen.append(event)
                if isinstance(event, events.Snapshot):
                    ages.append(app.clock.now() / 1e9 - event.compute_time.nanoseconds / 1e9)

        if handles:
            await follow(job.events())
        else:
            async with client.watch(job) as watcher:
                await follow(watcher)
        seconds = anyio.current_time() - begin
    counted = told(seen)
    assert max(counted.values()) == 1
    assert {step for _, step, *name in counted if name == ["loss"]} == set(range(1, len(ages) + 1))
    assert len(ages) > 10
    assert sum(1 for _, what, *_ in counted if what == "checkpoint") == 5
    assert counted[job.name, "succeeded"] == 1
    requests = Counter(entry.method for entry in sent(app))
    looks = sum(requests[name] for name in requests if "tuningJobs.get" in name or "batchRead" in name)
    assert looks <= seconds / 2 + 10
    assert any(each.eval_loss is not None for each in job.snapshots)
    return ages


@pytest.mark.parametrize("handles", [False, True], ids=["watcher", "handle"])
async def test_a_job_followed_alone_costs_a_request_every_other_second_and_shows_its_loss_at_once(handles):
    # One job has a dozen losses, with a mean of 2.0 to 3.5 s: one says little.
    ages = [age for seed in range(4) for age in await ages_of_losses(seed, handles)]
    assert sum(ages) / len(ages) <= 3.0, "looks at the steps every two seconds, but for those at the job"


@pytest.mark.parametrize("seed", range(4))
async def test_under_faults_and_with_a_reader_that_comes_back_everything_is_told_once(seed):
    app = make_slow(seed=seed, publish_lag_seconds=2, stale_reads=0.2, stale_seconds=10)
    app, client = make_vertex(app, Weather(app, seed))
    async with client:
        jobs = await tuned(client, 4)
        seen, token = [], None
        while True:
            async with client.watch(jobs, resume=token, policy=WatchPolicy(max_rps=20, burst=20)) as watcher:
                with anyio.move_on_after(25) as limit:
                    async for event in watcher:
                        seen.append(event)
                        token = watcher.resume_token()
            if not limit.cancelled_caught:
                break
    counted = told(seen)
    assert max(counted.values()) == 1
    for job in jobs:
        assert counted[job.name, "succeeded"] == 1
        steps = {step for name, step, *rest in counted if name == job.name and rest == ["loss"]}
        assert steps == set(range(1, max(steps) + 1))
        whole = {(each.step, name) for each in job.snapshots for name in VALUES if getattr(each, name) is not None}
        assert whole <= {(rest[0], rest[1]) for name, *rest in counted if name == job.name and len(rest) == 2}


async def test_jobs_of_which_only_the_ends_are_wanted_are_swept_and_their_curves_read_once():
    app = make_slow()
    app, client = make_vertex(app)
    async with client:
        jobs = await tuned(client, 30)
        async with client.watch(jobs) as watcher:
            result = await watcher.wait()
        assert len(result.done) == 30
    requests = Counter(entry.method for entry in sent(app))
    assert [requests[name] for name in requests if "batchRead" in name] == [30]


async def test_a_handle_that_is_refreshed_knows_the_state_and_the_steps():
    _, client = make_vertex(make_slow())
    async with client:
        (job,) = await tuned(client)
        await anyio.sleep(60)
        other = client.job(job.name)
        await other.refresh()
        assert (other.state, other.service_state) == ("CREATING", "JOB_STATE_RUNNING")
        assert len(other.snapshots) > 2
        assert gemtune.TuningJob is type(other)


def spellings(job):
    """The names by which another process may know a job."""
    number = job.name.rpartition("/")[2]
    return number, f"projects/my-project/locations/us-central1/tuningJobs/{number}", job.name


@pytest.mark.parametrize("spelling", range(3), ids=["bare id", "project's id", "project's number"])
@pytest.mark.parametrize("looked", [False, True], ids=["at once", "after a look"])
async def test_a_cursor_leads_on_whichever_way_the_project_is_spelled(spelling, looked):
    app, client = make_vertex(make_slow())
    seen = []
    async with client:
        (job,) = await tuned(client)
        async for event in job.events():
            seen.append(event)
            if isinstance(event, events.Snapshot) and event.step == 3:
                break
    given = spellings(job)[spelling]
    for name in (given, job.name):  # the second reads a cursor in the spelling of the first
        async with make_vertex(app)[1] as other:
            handle = other.job(name)
            if looked:
                await handle.refresh()
            async for event in handle.events(since=seen[-1].cursor):
                seen.append(attrs.evolve(event, job=""))
                if name == given and isinstance(event, events.Snapshot) and event.step == 6:
                    break
    counted = told([attrs.evolve(event, job="") for event in seen])
    assert max(counted.values()) == counted["", "succeeded"] == 1


@pytest.mark.parametrize("spelling", range(3), ids=["bare id", "project's id", "project's number"])
async def test_a_watch_is_resumed_whichever_way_the_project_is_spelled(spelling):
    app, client = make_vertex(make_slow())
    seen, token = [], None

    async def read(client, jobs, most):
        nonlocal token
        async with client.watch(jobs, resume=token) as watcher:
            async for event in watcher:
                seen.append(attrs.evolve(event, job=event.job.rpartition("/")[2]))
                token = watcher.resume_token()
                if len(seen) == most:
                    break

    async with client:
        jobs = await tuned(client, 2)
        await read(client, jobs, 20)
    for most in (60, None, None):
        async with make_vertex(app)[1] as other:
            await read(other, [spellings(job)[spelling] for job in jobs], most)
    counted = told(seen)
    assert max(counted.values()) == 1
    assert sum(key[1] == "succeeded" for key in counted) == 2
