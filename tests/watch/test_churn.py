"""A watcher that lives long: jobs that come and go leave nothing that grows, in memory or in its resume token."""

import gc

import anyio
import pytest

from gemtune import events
from gemtune.config import WatchPolicy
from gemtune.watch import Watcher
from gemtune.watch.record import WatchedJob
from gemtune.watch.resume_token import ResumeToken
from watch.service import Job, Service, named
from world import collect

pytestmark = pytest.mark.usefixtures("virtual_time")
POLICY = WatchPolicy(max_rps=50)
NAME = named("job0")


def make_service(count, **options):
    service = Service()
    options = {"gap": 10.0, "total": 50} | options
    service.add(*(Job(named(f"job{number}"), **options) for number in range(count)))
    return service


def watched(*names):
    gc.collect()
    return [each for each in gc.get_objects() if type(each) is WatchedJob and (not names or each.name in names)]


async def read_all(reader):
    while reader.next_nowait() is not None:
        pass


@pytest.mark.parametrize("behind", [False, True], ids=["read", "half-read"])
async def test_a_job_that_is_discarded_and_added_again_and_again_keeps_a_short_story(behind):
    service = make_service(2)
    async with Watcher(service, [], policy=POLICY) as watcher:
        watcher.add(NAME)
        reader, slow = watcher.subscribe(), watcher.subscribe()
        lengths = []
        for _ in range(100):
            await anyio.sleep(0.1)
            await read_all(reader)
            if behind:
                slow.next_nowait()
            else:
                await read_all(slow)
            watcher.discard(NAME)
            await read_all(reader)
            watcher.add(NAME)
            lengths.append(len(watcher._board.jobs[NAME].reports.marks))
        assert max(lengths) <= 8
        assert len(watcher.resume_token()) < 400
        seen = [await collect(reader), await collect(slow)]
    for each in seen:
        steps = [event.step for event in each if isinstance(event, events.Snapshot)]
        assert steps == list(range(51 - len(steps), 51))
        assert each[-1].kind == "succeeded"
    assert len([event for event in seen[0] if isinstance(event, events.Snapshot)]) >= 48


@pytest.mark.parametrize("ended", [False, True], ids=["unfinished", "ended"])
@pytest.mark.parametrize("readers", [0, 2])
async def test_jobs_of_ever_new_names_leave_nothing_that_grows(readers, ended):
    service = make_service(1500, total=0 if ended else 50, queue=0.0)
    async with Watcher(service, [], policy=WatchPolicy(max_rps=10_000, burst=1000)) as watcher:
        held = [watcher.subscribe() for _ in range(readers)]
        sizes = []
        for name in list(service.jobs):
            watcher.add(name)
            await anyio.sleep(1.0 if ended else 0.01)
            for reader in held:
                await read_all(reader)
            watcher.discard(name)
            for reader in held:
                await read_all(reader)
            sizes.append((len(watcher._board.absent.discarded), *(len(each._reader.since) for each in held)))
        assert max(map(max, sizes)) <= 512
        await anyio.sleep(100)
        assert len(watched(*service.jobs)) <= 400
        token = watcher.resume_token()
        assert len(ResumeToken.parse(token).discarded) <= 512
        assert len(token) < 40_000


async def test_the_latest_discards_are_remembered_so_that_a_job_continues_where_it_was():
    service = make_service(200)
    async with Watcher(service, [], policy=POLICY) as watcher:
        reader = watcher.subscribe()
        for name in service.jobs:
            watcher.add(name)
        await anyio.sleep(45)
        first = await reader.next_batch(10_000)
        for name in service.jobs:
            watcher.discard(name)
        await read_all(reader)
        watcher.add(NAME)
        seen = [
            event.step for event in [*first, *await collect(reader)] if event.kind == "snapshot" and event.job == NAME
        ]
    assert seen == list(range(1, 51))


async def test_a_sweep_does_not_bring_back_even_the_oldest_of_many_discarded_jobs():
    service = make_service(700)
    async with Watcher(service, [], policy=WatchPolicy(max_rps=500, burst=500), filter="owner:me") as watcher:
        await anyio.sleep(5)
        assert len(watcher.jobs) == 700
        for name in list(service.jobs):
            watcher.discard(name)
        await anyio.sleep(60)
        assert watcher.jobs == {}
        token = watcher.resume_token()
    async with Watcher(service, [], policy=POLICY, filter="owner:me", resume=token) as watcher:
        await anyio.sleep(60)
        assert watcher.jobs == {}
        for name in list(service.jobs)[:650]:
            del service.jobs[name]
        await anyio.sleep(150)
        assert len(ResumeToken.parse(watcher.resume_token()).discarded) <= 300, "what no list shows need not be shunned"


async def test_discovered_jobs_that_have_ended_and_are_deleted_leave_nothing():
    service = make_service(0)
    async with Watcher(service, [], policy=WatchPolicy(max_rps=500, burst=500), filter="owner:me") as watcher:
        reader = watcher.subscribe()
        for generation in range(12):
            names = [named(f"job{generation}-{number}") for number in range(60)]
            service.add(*(Job(name, created=anyio.current_time(), gap=1.0, total=2) for name in names))
            await anyio.sleep(40)
            await read_all(reader)
            for name in names:
                del service.jobs[name]
            await anyio.sleep(40)
            await read_all(reader)
        assert len(watched()) <= 400
        assert len(reader._reader.since) <= 400
        assert len(ResumeToken.parse(watcher.resume_token()).jobs) <= 400
