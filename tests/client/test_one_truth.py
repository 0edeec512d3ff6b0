"""One truth per job: whatever a handle, a watcher or an iterator of a client has seen, every handle of it says."""

import gc
import logging

import anyio
import pytest

import gemtune
from gemtune import errors
from gemtune.emulator import Fault, JobFate
from world import BASE, EXAMPLES, collect, make_app, make_client, sent

HYPERPARAMETERS = gemtune.Hyperparameters(epoch_count=5, batch_size=2, learning_rate=0.001)
pytestmark = pytest.mark.usefixtures("virtual_time")


async def start(client, **options):
    return await client.tune(BASE, EXAMPLES, **{"hyperparameters": HYPERPARAMETERS} | options)


def said(job):
    """All that a handle says of its job."""
    return {
        "state": job.state,
        "done": job.done,
        "steps": [snapshot.step for snapshot in job.snapshots],
        "progress": job.progress,
        "display_name": job.display_name,
        "base_model": job.base_model,
        "hyperparameters": job.hyperparameters,
        "error": job.error,
        "eta": job.eta,
    }


@pytest.mark.both_backends
async def test_after_a_watcher_has_reported_the_end_the_handles_say_the_same():
    app = make_app()
    async with make_client(app) as client:
        jobs = [await start(client, display_name=f"number {number}") for number in range(3)]
        async with client.watch(jobs) as watcher:
            await collect(watcher)
        asked = len(sent(app))
        for number, job in enumerate(jobs):
            assert (job.state, job.done, job.eta, job.error) == ("ACTIVE", True, None, None)
            assert [snapshot.step for snapshot in job.snapshots] == list(range(1, 39))
            assert job.progress == gemtune.TuningProgress(38, 38, 100.0)
            assert (job.display_name, job.base_model) == (f"number {number}", BASE)
            assert said(client.job(job.name)) == said(job)
            assert "ACTIVE 38/38" in repr(job)
            assert job.elapsed == pytest.approx(38 * 1.2, abs=3)
            model = await job
            assert len(model.tuning_task.snapshots) == 38
        assert len(sent(app)) == asked


async def test_a_state_is_logged_once_however_many_handles_and_watchers_see_it(caplog):
    caplog.set_level(logging.INFO, "gemtune")
    app = make_app()
    async with make_client(app) as client:
        job = await start(client, tuned_model_id="lxiv")
        async with client.watch(job) as watcher, anyio.create_task_group() as tasks:
            tasks.start_soon(collect, watcher)
            tasks.start_soon(collect, job.events())
            await job
            assert (await job).name == job.name
    logs = [record.message for record in caplog.records if record.name in {"gemtune.jobs", "gemtune.watch"}]
    assert logs == [
        "tunedModels/lxiv: UNKNOWN -> CREATING",
        "tunedModels/lxiv: CREATING -> ACTIVE",
        "tunedModels/lxiv: succeeded",
    ]


async def test_a_handle_follows_a_watcher_from_look_to_look():
    async with make_client(make_app()) as client:
        job = await start(client)
        shown = job.snapshots
        async with client.watch([job]) as watcher:
            async for event in watcher:
                if event.kind == "snapshot":
                    assert shown[-1].step == job.progress.completed_steps >= event.step
                if event.kind == "progress" and 1 < event.completed_steps < 38:
                    assert job.eta > 0
        assert len(shown) == 38


async def test_a_watcher_that_was_never_given_a_handle_informs_one_made_later():
    async with make_client(make_app()) as client:
        name = (await start(client)).name
        gc.collect()
        async with client.watch([name]) as watcher:
            await watcher.wait()
            assert client.job(name).done
        assert client.job(name).state == "ACTIVE"


async def test_a_handle_keeps_what_a_watcher_that_is_gone_has_seen():
    async with make_client(make_app()) as client:
        job = await start(client)
        async with client.watch([job]) as watcher:
            await collect(watcher)
        del watcher
        gc.collect()
        assert job.done
        assert len(job.snapshots) == 38


async def test_two_handles_on_a_job_share_what_each_has_seen():
    app = make_app()
    async with make_client(app) as client:
        mine = await start(client)
        yours = client.job(mine.name)
        await mine
        assert said(yours) == said(mine)
        asked = len(sent(app))
        assert await yours == await mine
        assert len(sent(app)) == asked


async def test_an_iterator_from_a_cursor_informs_the_handle_and_repeats_nothing():
    async with make_client(make_app()) as client:
        job = await start(client)
        events = [event async for event in job.events() if event.kind == "snapshot"]
        other = client.job(job.name)
        again = await collect(other.events(since=events[20].cursor))
        assert [event.step for event in again if event.kind == "snapshot"] == list(range(22, 39))
        assert len(other.snapshots) == 38


async def test_what_a_watcher_knows_leaves_the_events_of_a_handle_whole():
    async with make_client(make_app()) as client:
        job = await start(client)
        async with client.watch([job]) as watcher:
            await collect(watcher)
        seen = await collect(job.events())
        assert [event.step for event in seen if event.kind == "snapshot"] == list(range(1, 39))
        assert seen[-1].kind == "succeeded"


async def test_a_handle_says_why_its_job_failed_whoever_saw_it():
    app = make_app(faults=[Fault(method="tunedModels.create", job=JobFate(fail_at_step=11, message="bad data"))])
    async with make_client(app) as client:
        job = await start(client)
        assert job.error is None
        async with client.watch([job]) as watcher:
            await collect(watcher)
        assert (job.state, job.done, job.error.message) == ("FAILED", True, "bad data")
        with pytest.raises(errors.TuningFailed, match="bad data"):
            await job


async def test_a_job_that_waits_wakes_up_with_the_end_that_a_watcher_has_seen():
    app = make_app()
    async with make_client(app) as client:
        job = await start(client)
        async with client.watch([job], policy=gemtune.WatchPolicy()) as watcher, anyio.create_task_group() as tasks:
            tasks.start_soon(job.wait)
            await collect(watcher)
        assert job.done


async def test_a_fresh_handle_looks_again_for_what_could_not_be_seen():
    async with make_client(make_app()) as client:
        async with client.watch(["not-there-yet"]) as watcher:
            await collect(watcher)
            early = client.job("not-there-yet")
            assert not early.done
        with pytest.raises(errors.TuningLost):
            await early
        assert early.done
        job = await start(client, tuned_model_id="not-there-yet")
        late = client.job("not-there-yet")
        assert not late.done
        assert said(late) == said(job)


async def test_a_created_job_knows_what_it_was_created_with():
    async with make_client(make_app()) as client:
        job = await start(client, display_name="numbers")
        assert (job.display_name, job.base_model, job.hyperparameters) == ("numbers", BASE, HYPERPARAMETERS)
        assert 0 <= job.elapsed < 5
        assert job.eta is None


async def test_of_a_job_that_nobody_looked_at_a_handle_claims_nothing():
    async with make_client(make_app()) as client:
        assert said(client.job("anything")) == {
            "state": "UNKNOWN",
            "done": False,
            "steps": [],
            "progress": gemtune.TuningProgress(0, None, None),
            "display_name": None,
            "base_model": None,
            "hyperparameters": None,
            "error": None,
            "eta": None,
        }
        assert client.job("anything").elapsed is None


@pytest.mark.parametrize(("seconds", "state", "steps"), [(0, "CREATING", 0), (20, "CREATING", 16), (100, "ACTIVE", 38)])
async def test_an_adopted_job_knows_what_the_look_at_it_has_brought(seconds, state, steps):
    app = make_app()
    async with make_client(app) as client:
        await start(client, tuned_model_id="mine", display_name="numbers")
    await anyio.sleep(seconds)
    async with make_client(app) as client:
        job = await client.tune(BASE, EXAMPLES, tuned_model_id="mine", if_exists="adopt")
        assert (job.state, len(job.snapshots), job.done) == (state, steps, state == "ACTIVE")
        assert (job.display_name, job.base_model) == ("numbers", BASE)
        assert job.hyperparameters.epoch_count == 5
        asked = len(sent(app))
        assert len((await job).tuning_task.snapshots) == 38
        assert state == "CREATING" or len(sent(app)) == asked


async def test_an_adopted_job_that_has_failed_says_so_at_once():
    app = make_app(faults=[Fault(method="tunedModels.create", job=JobFate(fail_at_step=3, message="bad data"))])
    async with make_client(app) as client:
        await start(client, tuned_model_id="mine")
    await anyio.sleep(100)
    async with make_client(app) as client:
        job = await client.tune(BASE, EXAMPLES, tuned_model_id="mine", if_exists="adopt")
        assert job.state == "FAILED"
        with pytest.raises(errors.TuningFailed, match="bad data"):
            await job
        assert job.error.message == "bad data"


async def test_handles_of_jobs_that_nobody_holds_are_forgotten():
    async with make_client(make_app()) as client:
        for number in range(10_000):
            client.job(f"job-{number}")
        gc.collect()
        assert len(client._followers._by_name) == 0
