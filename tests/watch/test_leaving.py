"""Jobs that leave a watcher, discarded by a user or found by a filter and ended: what stays, and what for."""

import gc
import sys

import anyio
import pytest

from gemtune import errors, events
from gemtune.config import WatchPolicy
from gemtune.watch import Watcher
from gemtune.watch.record import WatchedJob
from gemtune.watch.resume_token import ResumeToken
from watch.service import Job, Service, named
from world import collect

pytestmark = pytest.mark.usefixtures("virtual_time")
NAME = named("job0")
POLICY = WatchPolicy(max_rps=50)


def make_service(count=1, **options):
    service = Service()
    options = {"gap": 10.0, "total": 20} | options
    service.add(*(Job(named(f"job{number}"), **options) for number in range(count)))
    return service


def watch(service, resume=None, jobs=None, **options):
    return Watcher(service, list(service.jobs) if jobs is None else jobs, policy=POLICY, resume=resume, **options)


def steps(seen, name=None):
    return [event.step for event in seen if isinstance(event, events.Snapshot) and event.job == (name or NAME)]


def kinds(seen, name=None):
    return [event.kind for event in seen if event.job == (name or NAME) and event.kind not in {"snapshot", "progress"}]


async def read_some(reader, count, name=None):
    seen = []
    while len(steps(seen, name)) < count:
        seen.append(await anext(reader))
    return seen


def records_of(*names):
    gc.collect()
    return [each for each in gc.get_objects() if type(each) is WatchedJob and each.name in names]


@pytest.mark.both_backends
async def test_a_discarded_job_that_is_added_again_goes_on_for_each_subscriber_where_it_was():
    service = make_service(2)
    async with watch(service) as watcher:
        fast, slow = watcher.subscribe(), watcher.subscribe([NAME])
        seen, behind = await read_some(fast, 8), await read_some(slow, 3)
        watcher.discard(NAME)
        while not events.is_terminal(seen[-1]):
            seen.append(await anext(fast))
        await anyio.sleep(20)
        between = watcher.subscribe()
        watcher.add(NAME)
        late = watcher.subscribe()
        seen, behind = seen + await collect(fast), behind + await collect(slow)
        others = [await collect(between), await collect(late)]
    for each in (seen, behind, *others):
        assert steps(each) == list(range(1, 21))
        assert kinds(each)[-1] == "succeeded"
    assert not any(event.replayed for event in [*seen, *behind] if isinstance(event, events.Snapshot))
    assert kinds(seen) == ["added", "state_changed", "lost", "added", "state_changed", "succeeded"]
    assert kinds(behind) == ["added", "state_changed", "state_changed", "succeeded"], "what was taken back is no news"
    for each in others:
        assert kinds(each) == ["added", "state_changed", "state_changed", "succeeded"]
        assert {event.step for event in each if isinstance(event, events.Snapshot) and event.replayed} >= {1, 2, 3}


async def test_a_look_that_was_under_way_does_not_disturb_a_job_that_was_discarded_and_added_again():
    service = make_service(2)
    service.jobs[NAME].total, service.latency = 8, 4.0
    async with watch(service) as watcher:
        reader = watcher.subscribe()
        for _ in range(12):
            await anyio.sleep(11)
            assert watcher.discard(NAME)
            await anyio.sleep(0.5)
            watcher.add(NAME)
        seen = await collect(reader)
    assert steps(seen) == list(range(1, 9))
    assert kinds(seen)[-1] == "succeeded"


async def test_a_discarded_job_that_had_ended_is_told_to_nobody_again():
    service = make_service(2)
    service.jobs[NAME].total = 3
    async with watch(service) as watcher:
        reader = watcher.subscribe()
        seen = await read_some(reader, 12, named("job1"))
        assert watcher.discard(NAME)
        watcher.add(NAME)
        assert [event.kind for event in (await watcher.wait(NAME)).done.values()] == ["succeeded"]
        seen += await collect(reader)
        assert steps(await collect(watcher.subscribe([NAME]))) == [1, 2, 3], "but a new subscriber may ask"
    assert steps(seen) == [1, 2, 3]
    assert kinds(seen) == ["added", "state_changed", "state_changed", "succeeded"]
    assert kinds(seen, named("job1"))[-1] == "succeeded"


@pytest.mark.parametrize("ended", [False, True], ids=["going-on", "ended"])
async def test_a_discarded_job_leaves_nothing_once_those_who_read_it_need_nothing(ended):
    service = make_service(2)
    service.jobs[named("job1")].total = 1000
    async with watch(service) as watcher:
        reader = watcher.subscribe()
        await read_some(reader, 3)
        if ended:
            await anyio.sleep(300)
            await reader.next_batch(1000)
        else:
            reader.close()
        watcher.discard(NAME)
        await anyio.sleep(300)  # what the scheduler still held has come up
        assert records_of(NAME) == []
        assert len(records_of(named("job1"))) == 1


async def test_a_job_that_nobody_holds_any_more_goes_on_from_what_its_readers_had():
    service = make_service()
    async with watch(service) as watcher:
        reader = watcher.subscribe()
        first = await read_some(reader, 7)
        reader.close()
        watcher.discard(NAME)
        await anyio.sleep(60)
        assert records_of(NAME) == []
        token = watcher.resume_token()
        watcher.add(NAME)
        again = await collect(watcher.subscribe())
    assert steps(again) == list(range(1, 21))
    assert all(event.replayed for event in again if isinstance(event, events.Snapshot) and event.step <= 7)
    async with watch(service, token, jobs=[]) as watcher:
        assert watcher.jobs == {}
        watcher.add(NAME)
        rest = await collect(watcher)
    assert sorted(steps(first) + steps(rest)) == list(range(1, 21))


async def test_a_discard_is_in_the_resume_token_so_that_no_list_brings_the_job_back():
    service = make_service(3)
    async with watch(service, jobs=[], filter="owner:me") as watcher:
        await anyio.sleep(30)
        assert watcher.discard(NAME)
        token = watcher.resume_token()
    assert ResumeToken.parse(token).discarded == {NAME}
    for _ in range(2):
        async with watch(service, token, jobs=[], filter="owner:me") as watcher:
            await anyio.sleep(30)
            assert NAME not in watcher.jobs
            assert len(watcher.jobs) == 2
            token = watcher.resume_token()
    async with watch(service, token, jobs=[NAME], filter="owner:me") as watcher:
        assert NAME in watcher.jobs, "whoever names it wants it"
        assert ResumeToken.parse(watcher.resume_token()).discarded == frozenset()


def test_a_discard_in_a_damaged_resume_token_is_refused():
    for wrong in ("x", {"a": 1}, [1], ["x"], None):
        with pytest.raises(errors.InvalidInput):
            ResumeToken.parse(crafted(wrong))


def crafted(discarded):
    import base64
    import json
    import zlib

    plain = json.dumps({"jobs": [], "since": 0, "discarded": discarded}).encode()
    return "c1." + base64.urlsafe_b64encode(zlib.compress(plain)).rstrip(b"=").decode()


async def test_a_discovered_job_leaves_once_its_end_was_read_by_everybody_who_is_there():
    service = make_service(3)
    service.jobs[NAME].total = 3
    async with watch(service, jobs=[], filter="owner:me") as watcher:
        first, second = watcher.subscribe(), watcher.subscribe()
        await anyio.sleep(90)
        seen = await first.next_batch(1000)
        assert NAME in watcher.jobs, "the second has yet to read"
        seen += await second.next_batch(1000)
        assert set(watcher.jobs) == {named("job1"), named("job2")}
        calls = len(service.calls)
        await anyio.sleep(100)
        assert NAME not in watcher.jobs
        assert not any(NAME in (name or "") for _, _, name in service.calls[calls:]), "nobody looks at it again"
        seen += await first.next_batch(1000)
        assert steps(seen) == [1, 2, 3] * 2
        assert {event.kind for event in (await watcher.wait(NAME)).done.values()} == {"succeeded"}
        assert steps(await collect(watcher.subscribe([NAME]))) == [1, 2, 3], "but one may ask"
        assert steps(await first.next_batch(1000)) == []


async def test_a_discovered_job_that_nobody_reads_stays_until_somebody_has():
    service = make_service(total=3)
    async with watch(service, jobs=[], filter="owner:me") as watcher:
        with watcher.subscribe() as behind:
            await anyio.sleep(300)
            assert set(watcher.jobs) == {NAME}
            with watcher.subscribe() as reader:
                assert steps(await reader.next_batch(1000)) == [1, 2, 3]
            assert set(watcher.jobs) == {NAME}
            assert behind.backlog
        assert watcher.jobs == {}, "whoever was behind has left"


@pytest.mark.parametrize("restarted", [False, True], ids=["one-life", "resumed"])
async def test_a_job_that_left_and_is_made_anew_is_found_again(restarted):
    service = make_service(total=3)
    async with watch(service, jobs=[], filter="owner:me") as watcher:
        reader = watcher.subscribe()
        await anyio.sleep(90)
        seen = await reader.next_batch(1000)
        assert watcher.jobs == {}
        token = watcher.resume_token()
        if not restarted:
            service.add(Job(NAME, created=90.0, gap=5.0, total=4))
            await anyio.sleep(60)
            seen += await reader.next_batch(1000)
            assert watcher.jobs == {}
    if restarted:
        async with watch(service, token, jobs=[], filter="owner:me") as watcher:
            service.calls.clear()
            await anyio.sleep(60)
            assert {method for _, method, _ in service.calls} == {"list"}, "it is known to have ended"
            service.add(Job(NAME, created=anyio.current_time(), gap=5.0, total=4))
            reader = watcher.subscribe()
            await anyio.sleep(60)
            seen += await reader.next_batch(1000)
    assert steps(seen) == [1, 2, 3, 1, 2, 3, 4]
    assert kinds(seen)[-1] == "succeeded"
    assert [str(event.origin) for event in seen if isinstance(event, events.Added)] == ["discovered", "recreated"]


async def test_jobs_that_have_left_take_little_memory():
    count = 60
    service = make_service(count, gap=0.1, total=200)
    async with watch(service, jobs=[], filter="owner:me") as watcher:
        reader = watcher.subscribe(kinds=["succeeded"])
        other = watcher.subscribe()
        assert len([await anext(reader) for _ in range(count)]) == count
        assert reader.next_nowait() is None
        while other.next_nowait() is not None:
            pass
        await anyio.sleep(100)
        assert watcher.jobs == {}
        assert len(other._reader._positions) == len(reader._reader._positions) == 0
        left = records_of(*service.jobs)
        assert sum(each.past for each in left) == count
        assert len(left) <= count + 2, "an entry of the schedule that does not count any more may hold the last ones"
        assert max(deep_size(each) for each in left if each.past) < 4096


def deep_size(thing, seen=None):
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type) or type(thing).__module__ == "enum":
        return 0
    seen.add(id(thing))
    inner = gc.get_referents(thing) if not isinstance(thing, str | int | float) else []
    return sys.getsizeof(thing) + sum(deep_size(each, seen) for each in inner)
