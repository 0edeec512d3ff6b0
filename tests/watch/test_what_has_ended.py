"""What has ended, ends: resumed after the last event of its jobs, every way of watching ends at once."""

import anyio
import pytest

from gemtune import events
from gemtune.config import WatchPolicy
from gemtune.jobs import TuningJob
from gemtune.looks.follower import Follower
from gemtune.watch import Watcher
from watch.service import Job, Service, named
from world import collect

pytestmark = pytest.mark.usefixtures("virtual_time")
POLICY = WatchPolicy(max_rps=50)


def make_service(count=2):
    service = Service()
    service.add(*(Job(named(f"job{number}"), gap=5.0, total=4) for number in range(count)))
    return service


async def followed(service):
    """The resume token, and each job's last cursor, of somebody who has read everything to the end."""
    async with Watcher(service, list(service.jobs), policy=POLICY) as watcher:
        seen = await collect(watcher)
        assert sum(map(events.is_terminal, seen)) == len(service.jobs)
        return watcher.resume_token(), [event.cursor for event in seen if events.is_terminal(event)]


DOORS = {
    "iteration": lambda watcher, jobs, token: watcher,
    "subscribe": lambda watcher, jobs, token: watcher.subscribe(),
    "subscribe(jobs)": lambda watcher, jobs, token: watcher.subscribe(jobs),
    "subscribe(since)": lambda watcher, jobs, token: watcher.subscribe(since=token),
    "subscribe(jobs, since)": lambda watcher, jobs, token: watcher.subscribe(jobs, since=token),
    "as_completed": lambda watcher, jobs, token: watcher.as_completed(),
    "as_completed(jobs)": lambda watcher, jobs, token: watcher.as_completed(jobs),
}


@pytest.mark.parametrize("again", [True, False], ids=["jobs", "no-jobs"])
@pytest.mark.parametrize("door", DOORS)
async def test_a_watch_that_is_resumed_after_its_jobs_have_ended_ends_at_once(door, again, virtual_time):
    service = make_service()
    token, _ = await followed(service)
    jobs, began = list(service.jobs), virtual_time()
    async with Watcher(service, jobs if again else [], policy=POLICY, resume=token) as watcher:
        with anyio.fail_after(86400):
            assert await collect(DOORS[door](watcher, jobs, token)) == []
        assert virtual_time() == began
        with anyio.fail_after(86400):
            assert (await watcher.wait()).pending == frozenset()
            assert watcher.resume_token() != ""


@pytest.mark.parametrize("door", ["iteration", "subscribe(jobs)"])
async def test_so_does_a_watch_that_is_resumed_from_the_cursor_of_the_end_of_its_job(door):
    service = make_service(1)
    _, (cursor,) = await followed(service)
    async with Watcher(service, list(service.jobs), policy=POLICY, resume=cursor) as watcher:
        with anyio.fail_after(86400):
            assert await collect(DOORS[door](watcher, list(service.jobs), cursor)) == []


async def test_a_subscription_that_is_resumed_there_on_a_watcher_without_jobs_ends_too():
    service = make_service(1)
    token, (cursor,) = await followed(service)
    async with Watcher(service, [], policy=POLICY) as watcher:
        for since in (token, cursor):
            with anyio.fail_after(86400):
                assert await collect(watcher.subscribe(since=since)) == []


async def test_a_watch_whose_jobs_were_all_discarded_ends_when_it_is_resumed():
    service = make_service(1)
    async with Watcher(service, list(service.jobs), policy=POLICY) as watcher:
        watcher.discard(named("job0"))
        token = watcher.resume_token()
    async with Watcher(service, [], policy=POLICY, resume=token) as watcher:
        with anyio.fail_after(86400):
            assert await collect(watcher) == []


async def test_a_watcher_that_never_had_a_job_waits_until_one_is_added():
    service = make_service(1)
    async with Watcher(service, [], policy=POLICY) as watcher:
        seen = []

        async def read():
            seen.extend(await collect(watcher))

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.sleep(100)
            assert seen == []
            watcher.add(named("job0"))
        assert events.is_terminal(seen[-1])


async def test_a_handle_has_nothing_to_report_after_the_cursor_of_the_end(virtual_time):
    service = make_service(1)
    _, (cursor,) = await followed(service)
    calls, began = len(service.calls), virtual_time()
    job = TuningJob(Follower.attach(service, POLICY, named("job0")))
    assert await collect(job.events(since=cursor)) == []
    assert (len(service.calls), virtual_time()) == (calls, began)


async def test_whoever_waits_for_a_job_by_its_name_is_given_its_end_again():
    service = make_service(1)
    token, _ = await followed(service)
    async with Watcher(service, list(service.jobs), policy=POLICY, resume=token) as watcher:
        with anyio.fail_after(1000):
            assert [event.kind for event in (await watcher.wait(named("job0"))).done.values()] == ["succeeded"]
