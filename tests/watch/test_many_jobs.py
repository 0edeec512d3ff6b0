"""What ten thousand jobs cost: pages spread over the time, ends seen soon, and nothing done for a job that rests."""

import asyncio
from collections import Counter

import anyio
import pytest

from gemtune import errors, events
from gemtune.config import WatchPolicy
from gemtune.watch import Watcher
from watch.service import Job, Service, named

pytestmark = pytest.mark.usefixtures("virtual_time")
ENDS = ["succeeded", "failed", "cancelled", "deleted", "lost"]


def make_service(count, **options):
    service = Service(**options)
    service.add(*(Job(named(f"job{number}"), gap=20.0, total=1000) for number in range(count)))
    return service


def times(service, method="list"):
    return [at for at, asked, _ in service.calls if asked == method]


async def test_the_pages_of_a_list_are_spread_over_the_time_between_two_sweeps():
    service = make_service(400, page_size=40)
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()):
        await anyio.sleep(125)
    pages = [at for at in times(service) if at >= 20]
    assert len(pages) in range(104, 107), "ten pages every ten seconds"
    assert max(Counter(int(at) for at in pages).values()) <= 2, "and never all at once"


async def test_one_page_is_asked_for_every_ten_seconds():
    service = make_service(400)
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()):
        await anyio.sleep(125)
    gaps = [later - before for before, later in zip(times(service), times(service)[1:], strict=False)]
    assert all(gap == pytest.approx(10) for gap in gaps)


async def test_ends_on_many_pages_are_told_within_ten_seconds_and_the_way_of_two_requests(virtual_time):
    service = make_service(400, page_size=40, latency=0.1)
    for number, job in enumerate(list(service.jobs.values())[::4]):
        job.queue, job.gap, job.total = 30 + 0.6 * number, 1.0, 2
    late = []
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        ends = watcher.subscribe(kinds=ENDS)
        while len(late) < 100:
            event = await anext(ends)
            assert isinstance(event, events.Succeeded)
            late.append(virtual_time() - service.jobs[event.job].ends)
    assert sorted(late)[94] <= 10.0 + 2 * 0.15
    assert max(late) <= 11
    assert times(service, "job") == sorted(times(service, "job"))
    assert len(times(service, "job")) == 100, "one full look for each end"


async def test_every_page_of_a_sweep_counts_as_a_request():
    service = make_service(100, page_size=30)
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        await anyio.sleep(35)
        service.outage = (35.0, 36.0)
        await anyio.sleep(20)
        counted = watcher.statistics()
    assert counted.requests[service.face.listing] == len(times(service))
    assert counted.requests[service.face.listing] > 3 * counted.sweeps


async def test_a_job_that_the_list_shows_costs_nothing_between_two_sweeps():
    service = make_service(300)
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        await anyio.sleep(300)
        assert len(watcher._engine.roster.agenda) <= 1, "only the next sweep has a time"
        assert watcher.statistics().effective_freshness == 15
    assert {method for _, method, _ in service.calls} == {"list"}


async def test_sweeps_come_back_some_minutes_after_the_list_was_forbidden():
    service = make_service(30)
    refused = forbid_list(service)
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        watcher.subscribe(kinds=ENDS)
        await anyio.sleep(250)
        assert len(refused) == 1
        del service._list
        looks = len(service.calls)
        assert looks > 100, "meanwhile jobs are looked at one by one"
        await anyio.sleep(450)
        recent = Counter(method for at, method, _ in service.calls if at > 400)
        assert set(recent) == {"list"}
        assert 28 <= recent["list"] <= 32


async def test_whoever_comes_for_the_steps_of_a_job_that_rests_gets_them_at_once_and_it_rests_again_after(virtual_time):
    service = make_service(2500)
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        await anyio.sleep(95)
        with watcher.subscribe([named("job9")], kinds=["snapshot"]) as reader:
            assert (await anext(reader)).step == 1
            assert virtual_time() < 97
            await anyio.sleep(60)
        await anyio.sleep(60)
        before = len(service.calls)
        await anyio.sleep(100)
        assert {method for _, method, _ in service.calls[before:]} == {"list"}


async def test_jobs_that_rest_are_looked_at_when_too_few_are_left_for_a_sweep(virtual_time):
    service = make_service(12)
    for job in list(service.jobs.values())[:8]:
        job.total = 2
    for job in list(service.jobs.values())[8:]:
        job.total = 10
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        watcher.subscribe(kinds=ENDS)
        result = await watcher.wait(timeout=300)
        assert len(result.done) == 12
        assert virtual_time() < 201 + 16


async def test_a_job_that_disappears_from_the_list_is_looked_at_within_forty_seconds():
    service = make_service(40)
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        await anyio.sleep(100)
        gone = service.jobs.pop(named("job5"))
        with anyio.fail_after(2 * 15 + 10 + 10 + 2):
            result = await watcher.wait(gone.name)
        assert [event.kind for event in result.done.values()] == ["deleted"]
        assert {name for _, method, name in service.calls if method != "list"} == {gone.name}


async def test_after_an_outage_the_whole_list_is_asked_for_at_once_and_hardly_any_job_by_itself():
    service = make_service(400, page_size=40, outage=(65.0, 180.0))
    async with Watcher(service, list(service.jobs)[::-1], policy=WatchPolicy()) as watcher:
        await anyio.sleep(300)
        assert not watcher.statistics().outage
    after = [(at, method) for at, method, _ in service.calls if at > 180]
    back = next(at for at, method in after if method == "list")
    assert sum(method == "list" for at, method in after if at < back + 5) >= 10
    assert sum(method != "list" for _, method in after) <= 5


async def test_after_a_sleep_of_the_machine_a_list_that_was_half_read_is_begun_again():
    service = make_service(400, page_size=40)
    async with Watcher(service, list(service.jobs)[::-1], policy=WatchPolicy()):
        await anyio.sleep(95)
        asyncio.get_running_loop().now += 3600
        await anyio.sleep(100)
    assert {method for _, method, _ in service.calls} == {"list"}


def forbid_list(service):
    from gemtune.pager import Pager

    calls = []

    def listed(**_):
        async def fetch(token):
            calls.append(anyio.current_time())
            raise errors.PermissionDenied("not yours", status=403)

        return Pager(fetch)

    service._list = listed
    return calls
