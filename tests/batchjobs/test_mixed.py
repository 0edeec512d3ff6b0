"""Tuning jobs and batches in one watcher and one client, against the emulator in virtual time."""

import random

import pytest

import gemtune
from batchjobs.played import PlayedBatch, PlayedBatches
from gemtune import errors, events
from gemtune.config import WatchPolicy
from gemtune.emulator import BatchFate, Fault, JobFate
from gemtune.looks.either import JobsOfAllKinds
from gemtune.types import BatchState
from gemtune.watch import Watcher
from watch.service import Job, Service, named
from world import BASE, EXAMPLES, collect, make_app, make_client, sent

pytestmark = [pytest.mark.usefixtures("virtual_time"), pytest.mark.anyio]
MODEL = "models/gemini-3.7-flash"


def both(tuning, batches):
    """A service with so many tuning jobs and so many batches, and their names."""
    service = Service(dice=random.Random(1))
    jobs = service.add(*(Job(named(f"t{n}"), queue=30.0 * n, gap=5.0, total=20) for n in range(tuning)))
    played = PlayedBatches.of(*(PlayedBatch(f"batches/b{n}", queue=20.0 * n) for n in range(batches)))
    return service, played, [*jobs, *played.batches], JobsOfAllKinds(service, lambda: played)


def per_job(seen, kind):
    found = {}
    for event in seen:
        if isinstance(event, kind):
            found.setdefault(event.job, []).append(event)
    return found


async def test_twenty_of_each_in_one_watcher_each_with_one_end(virtual_time):
    service, played, names, jobs = both(20, 20)
    async with Watcher(jobs, names, policy=WatchPolicy()) as watcher:
        seen = await collect(watcher)
        statistics = watcher.statistics()
    ends = per_job(seen, events.TERMINAL)
    assert {name: [end.kind for end in each] for name, each in ends.items()} == {
        name: ["completed" if name.startswith("batches/") else "succeeded"] for name in names
    }
    steps = per_job(seen, events.Snapshot)
    assert all([event.step for event in each] == list(range(1, 21)) for each in steps.values())
    assert len(steps) == 20
    last = {name: each[-1].counts.finished for name, each in per_job(seen, events.Progress).items() if "batch" in name}
    assert last == dict.fromkeys(played.batches, 10)
    assert statistics.requests["batches.get"] == len(played.calls)
    assert "batches.list" not in statistics.requests
    # Together they keep the rate.
    times = sorted([at for at, _, _ in played.calls] + [at for at, _, _ in service.calls])
    assert len(times) <= 4.0 * virtual_time() + 8


async def test_who_waits_for_ends_only_has_tuning_jobs_swept_and_batches_looked_at(virtual_time):
    _service, _played, names, jobs = both(20, 20)
    async with Watcher(jobs, names, policy=WatchPolicy()) as watcher:
        result = await watcher.wait()
        statistics = watcher.statistics()
    assert {event.kind for event in result.done.values()} == {"succeeded", "completed"}
    assert statistics.sweeps > 0
    assert virtual_time() <= 20 * 30 + 5 * 20 + 60


async def test_a_hundred_batches_alone_cost_no_list_of_tuning_jobs():
    service, _played, names, jobs = both(0, 100)
    async with Watcher(jobs, names, policy=WatchPolicy()) as watcher:
        result = await watcher.wait()
    assert len(result.done) == 100
    assert service.calls == []


async def test_a_resume_token_continues_both_kinds_and_repeats_no_end():
    _service, _played, names, jobs = both(5, 5)
    ends, tokens = [], []
    async with Watcher(jobs, names, policy=WatchPolicy()) as watcher:
        async for event in watcher:
            if isinstance(event, events.TERMINAL):
                ends.append(event.job)
                if len(ends) == 4:
                    tokens.append(watcher.resume_token())
                    break
    async with Watcher(jobs, policy=WatchPolicy(), resume=tokens[0]) as watcher:
        async for event in watcher:
            if isinstance(event, events.TERMINAL):
                ends.append(event.job)
    assert sorted(ends) == sorted(names)


async def test_a_wait_counts_an_expired_batch_as_a_failure_and_raises_them_all_when_asked():
    _service, played, names, jobs = both(2, 2)
    played.batches["batches/b1"].fate = BatchState.EXPIRED
    played.batches["batches/b1"].stops = 2
    async with Watcher(jobs, names, policy=WatchPolicy()) as watcher:
        first = await watcher.wait(until="first_failure")
        result = await watcher.wait()
    assert "batches/b1" in first.done
    with pytest.raises(ExceptionGroup, match="1 of 4 jobs did not end well") as raised:
        result.raise_for_failures()
    (error,) = raised.value.exceptions
    assert isinstance(error, errors.BatchJobExpired)


async def test_an_outage_of_the_service_holds_for_both():
    service, played, names, jobs = both(3, 3)
    service.outage = played.outage = (40.0, 300.0)
    async with Watcher(jobs, names, policy=WatchPolicy()) as watcher:
        seen = await collect(watcher)
    assert [event.job for event in seen if isinstance(event, events.Degraded)] == [""]
    assert len(per_job(seen, events.TERMINAL)) == 6


async def test_handles_know_what_the_watcher_saw():
    app = make_app()
    async with make_client(app) as client:
        job = await client.batches.create(MODEL, ["one", "two"])
        async with client.watch(job) as watcher:
            await watcher.wait()
        before = len(sent(app))
        assert (job.done, job.state, job.counts.successful) == (True, "SUCCEEDED", 2)
        assert (await job).state == "SUCCEEDED"
        assert (await client.job(job.name)).name == job.name
        assert len(sent(app)) == before


async def test_from_creation_to_results_against_the_emulator(virtual_time):
    app = make_app()
    async with make_client(app) as client:
        job = await client.batches.create(MODEL, ["one", "two", "three"])
        assert isinstance(job, gemtune.BatchJob)
        assert (job.state, job.counts.total) == ("PENDING", 3)
        seen = await collect(job.events())
        assert isinstance(seen[0], events.Added)
        assert isinstance(seen[-1], events.Completed)
        results = {result.key: result.text async for result in job.results()}
        assert set(results) == {0, 1, 2}
        keyed = await client.batches.create(MODEL, {"a": "one", "b": "two"})
        assert {result.key async for result in keyed.results()} == {"a", "b"}
        other = {result.key: result.text async for result in client.job(job.name).results()}
        assert other == {str(key): text for key, text in results.items()}
        assert client.batches.job(job.name).name == job.name
        tuned = await client.tune(BASE, EXAMPLES)
        kinds = [type(each).__name__ for each in (client.job(job), client.job(tuned), client.job(await job))]
        assert kinds == ["BatchJob", "TuningJob", "BatchJob"]


async def test_one_that_a_process_left_is_followed_by_its_cursor_in_the_next():
    app = make_app()
    async with make_client(app) as client:
        job = await client.batches.create(MODEL, [f"prompt {n}" for n in range(40)])
        async for event in job.events():
            if isinstance(event, events.StateChanged):
                cursor = event.cursor
                break
    async with make_client(app) as client:  # another process: it has the name and the cursor
        job = client.job(job.name)
        seen = await collect(job.events(since=cursor))
        assert isinstance(seen[-1], events.Completed)
        assert len([result async for result in job.results()]) == 40
    creations = [entry for entry in sent(app) if "batchGenerateContent" in entry.path]
    assert len(creations) == 1


async def test_the_emulators_unlucky_batches_end_as_errors():
    app = make_app()
    app.faults.add(Fault(method="models.batchGenerateContent", job=JobFate(fail_at_step=1, message="out of tokens")))
    async with make_client(app) as client:
        with pytest.raises(errors.BatchJobFailed, match="out of tokens"):
            await (await client.batches.create(MODEL, ["one", "two"]))
    app = make_app(batch_expiry_seconds=60, batch_seconds=3600)
    async with make_client(app) as client:
        job = await client.batches.create(MODEL, ["one", "two"])
        with pytest.raises(errors.BatchJobExpired):
            await job
        assert job.state == "EXPIRED"
        with pytest.raises(errors.BatchJobExpired):
            await anext(job.results())  # the emulator's have none then


async def test_failed_requests_are_results_with_their_errors():
    app = make_app()
    app.faults.add(Fault(method="models.batchGenerateContent", batch=BatchFate(failed_lines=(2,))))
    async with make_client(app) as client:
        job = await client.batches.create(MODEL, {"a": "one", "b": "two", "c": "three"})
        batch = await job
        results = {result.key: result async for result in job.results()}
    assert (batch.counts.successful, batch.counts.failed) == (2, 1)
    assert {key for key, result in results.items() if result.ok} == {"a", "c"}
    assert isinstance(results["b"].error, errors.ApiError)
    assert str(results["b"].error).startswith("request 'b' failed: ")


async def test_cancelling_and_deleting_through_the_handle():
    app = make_app()
    async with make_client(app) as client:
        job = await client.batches.create(MODEL, ["one", "two"])
        await job.cancel()
        with pytest.raises(errors.BatchJobCancelled):
            await job
        other = await client.batches.create(MODEL, ["one", "two"])
        await other.delete()
        with pytest.raises(errors.BatchJobLost, match="was deleted"):
            await other
