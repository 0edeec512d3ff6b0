"""Watching many jobs at once, against the emulator in virtual time."""

import time

import anyio
import pytest

import gemtune
from gemtune import errors, events
from gemtune.emulator import Fault, JobFate, create_app
from world import BASE, EXAMPLES, LoopClock, collect, make_app, make_client, sent

pytestmark = pytest.mark.usefixtures("virtual_time")
HYPERPARAMETERS = gemtune.Hyperparameters(epoch_count=5, batch_size=2)


async def start(client, count=1, **options):
    options = {"hyperparameters": HYPERPARAMETERS} | options
    return [await client.tune(BASE, EXAMPLES, display_name=f"job {number}", **options) for number in range(count)]


def steps_of(seen, job=None):
    return [event.step for event in seen if isinstance(event, events.Snapshot) and job in {None, event.job}]


def ends_of(seen):
    return {event.job: event.kind for event in seen if events.is_terminal(event)}


@pytest.mark.both_backends
async def test_every_job_tells_every_snapshot_once_and_in_order_and_its_end_last():
    async with make_client(make_app()) as client:
        jobs = await start(client, 3)
        async with client.watch(jobs) as watcher:
            seen = await collect(watcher)
        for job in jobs:
            told = [event for event in seen if event.job == job.name]
            assert steps_of(told) == list(range(1, 39))
            assert isinstance(told[0], events.Added)
            assert isinstance(told[-1], events.Succeeded)
            assert len(told[-1].model.tuning_task.snapshots) == 38
            assert not any(event.replayed for event in told if isinstance(event, events.Snapshot))
        assert told[-1].model == await client.tuned_models.get(jobs[-1])


async def test_subscribers_cost_no_requests_and_each_sees_everything():
    app = make_app()
    async with make_client(app) as client:
        jobs = await start(client, 2)
        seen = [[] for _ in range(10)]

        async def read(subscription, into):
            async for event in subscription:
                into.append(event)

        async with client.watch(jobs) as watcher, anyio.create_task_group() as group:
            for into in seen:
                group.start_soon(read, watcher.subscribe(), into)
        assert all(sorted(steps_of(each)) == sorted([*range(1, 39)] * 2) for each in seen)
        assert len(sent(app, "tunedModels.operations.get")) <= 2 * 25


async def test_a_slow_and_a_dead_subscriber_delay_nobody_and_lose_nothing(virtual_time):
    async with make_client(make_app()) as client:
        (job,) = await start(client)
        async with client.watch([job]) as watcher:
            dead = watcher.subscribe()
            slow = watcher.subscribe(kinds=["snapshot", "succeeded"])
            assert steps_of(await collect(watcher)) == list(range(1, 39))
            assert virtual_time() < 70
            seen = []
            async for event in slow:
                await anyio.sleep(5)
                seen.append(event)
            assert steps_of(seen) == list(range(1, 39))
            assert isinstance(seen[-1], events.Succeeded)
            assert dead.backlog <= 2
            assert watcher.statistics().backlog <= 2


async def test_jobs_come_and_go_while_it_runs():
    async with make_client(make_app()) as client:
        first, second = await start(client, 2)
        async with client.watch([first]) as watcher:
            reader = watcher.subscribe()
            while not isinstance(await anext(reader), events.Snapshot):
                pass
            assert watcher.add(second, second.name) == [second.name] * 2
            assert watcher.discard(first)
            assert not watcher.discard(first)
            seen = await collect(reader)
        assert ends_of(seen) == {first.name: "lost", second.name: "succeeded"}
        assert [event.reason for event in seen if isinstance(event, events.Lost)] == ["detached"]
        assert steps_of(seen, second.name) == list(range(1, 39))
        assert (await first).state == "ACTIVE"


async def test_kinds_choose_events_and_a_wrong_one_is_named():
    async with make_client(make_app()) as client:
        jobs = await start(client, 2)
        async with client.watch(jobs) as watcher:
            only = watcher.subscribe(jobs[:1], kinds=["state_changed"])
            assert [(event.job, event.new) for event in await collect(only)] == [
                (jobs[0].name, "CREATING"),
                (jobs[0].name, "ACTIVE"),
            ]
            with pytest.raises(errors.InvalidInput, match="no event 'snapshots'; there are added, "):
                watcher.subscribe(kinds=["snapshots"])


async def test_waiting_for_all_for_any_and_for_the_first_failure():
    app = make_app(faults=[Fault(method="tunedModels.create", job=JobFate(fail_at_step=11, message="bad data"))])
    async with make_client(app) as client:
        jobs = await start(client, 3)
        names = [job.name for job in jobs]
        async with client.watch(jobs) as watcher:
            early = await watcher.wait(timeout=5)
            assert (early.done, early.pending) == ({}, frozenset(names))
            failed = await watcher.wait(until="first_failure")
            assert {name: event.reason for name, event in failed.done.items()} == {names[0]: "bad data"}
            assert failed.pending == frozenset(names[1:])
            assert (await watcher.wait(*jobs[:1], until="any")).done == failed.done
            result = await watcher.wait()
            assert set(result.done) == set(names)
            assert not result.pending
            assert repr(result) == "<WaitResult 1 failed, 2 succeeded, 0 pending>"
            with pytest.raises(ExceptionGroup) as caught:
                result.raise_for_failures()
            assert [type(error) for error in caught.value.exceptions] == [errors.TuningFailed]
            completed = [event.job for event in await collect(watcher.as_completed())]
            assert sorted(completed) == sorted(names)
        with pytest.raises(errors.InvalidInput, match="until"):
            await watcher.wait(until="some")


async def test_leaving_it_early_touches_no_job_and_an_error_of_the_block_comes_out_alone():
    app = make_app()
    async with make_client(app) as client:
        jobs = await start(client, 2)
        watcher = client.watch(jobs)

        async def stumble():
            async with watcher:
                async for event in watcher:
                    if isinstance(event, events.Snapshot):
                        raise KeyError(event.step)

        with pytest.raises(KeyError):
            await stumble()
        assert {entry.verb for entry in app.requests} == {"POST", "GET"}
        requests = len(app.requests)
        await anyio.sleep(100)
        assert len(app.requests) == requests
        assert "closed" in repr(watcher)


@pytest.mark.both_backends
async def test_a_reader_may_be_timed_out_cancelled_or_be_another_task_and_nothing_is_lost():
    async with make_client(make_app()) as client:
        (job,) = await start(client)
        async with client.watch([job]) as watcher:
            reader = watcher.subscribe(kinds=["snapshot"])
            seen = []

            async def read_one():
                async for event in reader:
                    seen.append(event)
                    return

            while True:
                with anyio.move_on_after(0.7):
                    async with anyio.create_task_group() as group:
                        group.start_soon(read_one)
                if reader.backlog == 0 and watcher.jobs[job.name].terminal:
                    break
            assert steps_of(seen) == list(range(1, 39))


async def test_closing_a_subscription_wakes_its_reader():
    async with make_client(make_app()) as client:
        (job,) = await start(client)
        async with client.watch([job]) as watcher, anyio.create_task_group() as group:
            with watcher.subscribe(kinds=["failed"]) as reader:
                group.start_soon(collect, reader)
                await anyio.sleep(3)
            assert "closed" in repr(reader)


async def test_batches_and_bookmarks_serve_those_who_must_answer_in_time(virtual_time):
    async with make_client(make_app(step_seconds=30)) as client:
        (job,) = await start(client)
        async with client.watch([job]) as watcher:
            assert [event.kind for event in await watcher.subscribe().next_batch()] == ["added"]
            quiet = watcher.subscribe(kinds=["succeeded"], bookmarks=10)
            assert [type(await anext(quiet)) for _ in range(3)] == [events.Bookmark] * 3
            assert virtual_time() >= 30
            assert await watcher.subscribe(kinds=["failed"]).next_batch(max_wait=5) == []


async def test_a_watcher_that_was_not_started_says_so():
    async with make_client(make_app()) as client:
        watcher = client.watch(["tunedModels/abc"])
        assert "not started" in repr(watcher)
        assert isinstance(await anext(aiter(watcher)), events.Added)
        with pytest.raises(errors.MisuseError, match="not running"):
            await anext(aiter(watcher))


async def test_start_and_aclose_need_no_scope():
    async with make_client(make_app()) as client:
        (job,) = await start(client)
        watcher = await client.watch([job]).start()
        assert await watcher.start() is watcher
        reader = aiter(watcher)
        assert isinstance(await anext(reader), events.Added)
        await anyio.sleep(30)
        await watcher.aclose()
        await watcher.aclose()
        told = await collect(reader)
        assert steps_of(told) == list(range(1, len(steps_of(told)) + 1))
        with pytest.raises(errors.MisuseError, match="once"):
            await watcher.start()


async def test_a_closed_client_ends_the_watch_with_its_error():
    client = make_client(make_app())
    (job,) = await start(client)
    async with client.watch([job]) as watcher:
        await client.aclose()
        with pytest.raises(errors.MisuseError):
            await collect(watcher)


async def test_jobs_are_discovered_but_not_those_that_ended_before_the_watch_began():
    app = create_app(clock=LoopClock(time.time_ns() - 3600 * 10**9))
    async with make_client(app) as client:
        await (await start(client))[0]
        await anyio.sleep(100)
        (running,) = await start(client)
        async with client.watch(filter="owner:me") as watcher:
            reader = watcher.subscribe(kinds=["added", "succeeded"])
            assert (await anext(reader)).job == running.name
            (later,) = await start(client)
            seen = [await anext(reader) for _ in range(3)]
            assert [event.origin for event in seen if isinstance(event, events.Added)] == ["discovered"]
            assert {event.job for event in seen if isinstance(event, events.Succeeded)} == {running.name, later.name}
