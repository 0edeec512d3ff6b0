"""What goes wrong is told once, to whom it concerns, and ends no watch."""

import math
import random

import anyio
import pytest

from gemtune import errors, events
from gemtune.config import WatchPolicy
from gemtune.jobs import TuningJob
from gemtune.looks.follower import Follower
from gemtune.watch import Watcher
from watch.service import Job, Service, named
from world import collect

pytestmark = pytest.mark.usefixtures("virtual_time")
TROUBLE = ["degraded", "recovered"]


def make_service(count=3, **options):
    service = Service(**options)
    service.add(*(Job(named(f"job{number}"), gap=20.0, total=10) for number in range(count)))
    return service


def failing(service, error, *, names=None):
    """Let requests about some jobs fail; returns a function that heals them."""
    whole = service._request

    async def request(method, name=None):
        at = await whole(method, name)
        about = (name or "").partition("/operations/")[0]
        if (names is None and method != "list") or (names and about in names):
            raise error
        return at

    service._request = request

    def heal():
        service._request = whole

    return heal


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("begin", [0.0, 20.0, 21.3])
@pytest.mark.parametrize("handles", [False, True], ids=["watcher", "handles"])
async def test_whoever_sits_and_watches_a_few_jobs_hears_of_an_outage_within_five_seconds(count, begin, handles):
    for seed in range(20):
        start, dice = anyio.current_time(), random.Random(seed)
        service = make_service(count, dice=dice, outage=(start + begin, math.inf))
        for job in service.jobs.values():
            job.created, job.gap = start, 3.0
        policy, heard = WatchPolicy(), []

        async def follow(name, service=service, policy=policy, heard=heard):
            async for event in TuningJob(Follower.attach(service, policy, name)).events():
                if isinstance(event, events.Degraded):
                    heard.append(anyio.current_time())

        with anyio.move_on_after(begin + 5):
            if handles:
                async with anyio.create_task_group() as group:
                    for name in service.jobs:
                        group.start_soon(follow, name)
            else:
                async with Watcher(service, list(service.jobs), policy=policy) as watcher:
                    async for _ in watcher.subscribe(kinds=["degraded"]):
                        heard.append(anyio.current_time())
        assert len(heard) == (count if handles else 1)


@pytest.mark.parametrize("seed", [12, 15, 17, 102])
async def test_after_an_outage_every_job_is_looked_at_again_soon(seed):
    # The job that was asked whether the outage is over had failed most often, and was put off for a minute.
    service = make_service(3, outage=(60.0, 660.0))
    for job in service.jobs.values():
        job.total = 100
    watcher = Watcher(service, list(service.jobs), policy=WatchPolicy(coalesce="never", max_rps=10))
    watcher._engine.roster.dice = random.Random(seed).random
    async with watcher:
        watcher.subscribe([named("job0")])
        await anyio.sleep(720)
        for job in ("job0", "job1", "job2"):
            assert any(680 < at < 700 for at, _, name in service.calls if name and job in name)


@pytest.mark.parametrize("count", [1, 3, 20])
async def test_an_error_of_gemtune_itself_in_an_outage_makes_no_busy_loop(count, caplog):
    caplog.set_level("CRITICAL", "gemtune.watch")
    service = make_service(count, outage=(60.0, 660.0))
    for job in service.jobs.values():
        job.total = 100
    watcher = Watcher(service, list(service.jobs), policy=WatchPolicy(max_rps=50))

    def dice():
        if watcher.statistics().outage:
            raise ZeroDivisionError
        return random.random()

    watcher._engine.roster.dice = dice
    async with watcher:
        readers = [watcher.subscribe([name]) for name in service.jobs]
        await anyio.sleep(120)
        assert watcher.statistics().outage
        before = len(service.calls)
        await anyio.sleep(530)
        assert 5 <= len(service.calls) - before <= 10  # a minute apart
        await anyio.sleep(120)
        assert not watcher.statistics().outage
        for reader in readers:
            seen = [event.step for event in await reader.next_batch(1000) if isinstance(event, events.Snapshot)]
            assert len(seen) > 30


@pytest.mark.parametrize(
    ("count", "hang"),
    [*((count, hang) for count in (1, 3, 1000) for hang in (False, True)), (10_000, False)],
    ids=lambda value: value if type(value) is int else ("503", "hangs")[value],
)
async def test_an_outage_of_ten_minutes_costs_few_requests_and_two_events_for_each_subscriber(count, hang):
    service = make_service(count, outage=(60.0, 660.0))
    for job in service.jobs.values():
        job.total = 100
    policy = WatchPolicy(coalesce="never" if count < 10 else "auto", max_rps=10)
    watcher = Watcher(service, list(service.jobs), policy=policy)
    async with watcher, anyio.create_task_group() as group:
        told = [[] for _ in range(3)]
        for into in told:
            group.start_soon(read, watcher.subscribe(kinds=TROUBLE), into)
        some = watcher.subscribe([named("job0")])
        await anyio.sleep(60)
        if hang:
            service.latency = 20.0
        await anyio.sleep(600)
        service.latency = 0.05
        during = [at for at, _, _ in service.calls if 60 < at < 655]
        assert 5 < len(during) <= 40
        await anyio.sleep(60)
        for each in told:
            assert [(event.kind, event.job) for event in each] == [("degraded", ""), ("recovered", "")]
        assert 500 < told[0][1].downtime < 640
        assert told[0][0].status == 503
        after = [at for at, _, _ in service.calls if at > 655]
        assert all(sum(first <= at < first + 5 for at in after) <= 58 for first in range(655, 700))
        assert not watcher.statistics().outage
        seen = [event.step for event in await some.next_batch(1000) if isinstance(event, events.Snapshot)]
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) >= 30
        group.cancel_scope.cancel()


async def read(subscription, into):
    async for event in subscription:
        into.append(event)


async def test_one_job_that_fails_concerns_no_other():
    service = make_service()
    heal = failing(service, errors.Unavailable("boom", status=500), names={named("job1")})
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        reader = watcher.subscribe(kinds=["degraded", "recovered", "succeeded"])
        trouble = await anext(reader)
        assert (trouble.kind, trouble.job, trouble.error) == ("degraded", named("job1"), "Unavailable")
        for _ in range(2):
            assert (await anext(reader)).kind == "succeeded"
        heal()
        assert [event.kind for event in await collect(reader)] == ["recovered", "succeeded"]


async def test_a_refused_credential_is_told_at_once_and_watching_goes_on_when_it_is_mended():
    service = make_service()
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        reader = watcher.subscribe(kinds=TROUBLE)
        await anyio.sleep(30)
        heal = failing(service, errors.Unauthenticated("the token is refused", status=401))
        before = len(service.calls)
        event = await anext(reader)
        assert (event.kind, event.job, event.error) == ("degraded", "", "Unauthenticated")
        await anyio.sleep(300)
        assert len(service.calls) - before <= 10
        heal()
        assert (await anext(reader)).kind == "recovered"
        assert len((await watcher.wait()).done) == 3


async def test_a_forbidden_job_is_lost_after_a_second_look_half_a_minute_later(virtual_time):
    service = make_service()
    failing(service, errors.PermissionDenied("not yours", status=403), names={named("job1")})
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        result = await watcher.wait(until="any")
        assert [(event.kind, str(event.reason)) for event in result.done.values()] == [("lost", "permission")]
        assert 30 <= virtual_time() < 70


@pytest.mark.parametrize("count", [3, 30])
async def test_one_forbidden_job_beside_a_forbidden_list_is_that_jobs_own_affair(count):
    service = make_service(count)
    forbidden = errors.PermissionDenied("not yours", status=403)
    failing(service, forbidden, names={named("job1")})
    service._list = refusing(service, forbidden)
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        reader = watcher.subscribe(kinds=[*TROUBLE, "lost"])
        with anyio.fail_after(120):
            lost = await anext(reader)
        assert (lost.kind, lost.job, str(lost.reason)) == ("lost", named("job1"), "permission")
        assert sum(name == named("job1") for _, _, name in service.calls) <= 4
        assert {event.kind for event in (await watcher.wait()).done.values()} == {"succeeded", "lost"}
        assert await collect(reader) == []


@pytest.mark.gemini
@pytest.mark.parametrize("by", ["operation", "name"])
async def test_a_job_whose_operation_is_gone_and_whose_model_is_forbidden_is_not_asked_in_a_loop(by):
    service = make_service(2)
    answered = service._request

    async def request(method, name=None):
        await answered(method, name)
        if name is not None and name.startswith(named("job1")):
            await anyio.sleep_forever()
        if method in {"work", "seek"}:
            raise errors.NotFound("gone", status=404)
        raise errors.PermissionDenied("not yours", status=403)

    service._request = request
    async with Watcher(service, [getattr(job, by) for job in service.jobs.values()], policy=WatchPolicy()):
        await anyio.sleep(65)
    asked = [at for at, _, name in service.calls if name is not None and name.startswith(named("job0"))]
    assert len(asked) <= 4, "the operation, the model, and the model again each half minute"


async def test_where_there_is_no_list_and_everything_is_forbidden_no_job_is_given_up():
    service = make_service(30)
    service._list = refusing(service, errors.BadRequest("no such method", status=400))
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        reader = watcher.subscribe(kinds=[*TROUBLE, "lost"])
        await anyio.sleep(30)
        heal = failing(service, errors.PermissionDenied("not let in", status=403))
        with anyio.fail_after(120):
            event = await anext(reader)
        assert (event.kind, event.job, event.error) == ("degraded", "", "PermissionDenied")
        before = len(service.calls)
        await anyio.sleep(600)
        assert len(service.calls) - before <= 15, "one question a minute, and what was under way"
        heal()
        assert (await anext(reader)).kind == "recovered"
        assert {event.kind for event in (await watcher.wait()).done.values()} == {"succeeded"}


async def test_a_discoverer_who_may_not_list_is_told():
    service = make_service()
    service.jobs[named("job2")].total = 100
    service._list = refusing(service, errors.PermissionDenied("not let in", status=403))
    async with Watcher(service, policy=WatchPolicy(), filter="owner:me") as watcher:
        with anyio.fail_after(60):
            event = await anext(watcher.subscribe(kinds=TROUBLE))
        assert (event.kind, event.job, event.error) == ("degraded", "", "PermissionDenied")
        await anyio.sleep(600)
        assert len(service.calls) <= 15
        del service._list
        await anyio.sleep(70)
        assert list(watcher.jobs) == [named("job2")], "the others had ended before anybody looked"


async def test_when_everything_is_forbidden_no_job_is_given_up():
    service = make_service()
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        reader = watcher.subscribe(kinds=[*TROUBLE, "lost"])
        await anyio.sleep(30)
        forbidden = errors.PermissionDenied("not let in", status=403)
        heal = failing(service, forbidden)
        service._list = refusing(service, forbidden)
        event = await anext(reader)
        assert (event.kind, event.job, event.error) == ("degraded", "", "PermissionDenied")
        await anyio.sleep(600)
        heal()
        assert (await anext(reader)).kind == "recovered"
        assert {event.kind for event in (await watcher.wait()).done.values()} == {"succeeded"}


def refusing(service, error):
    from gemtune.pager import Pager

    def listed(**_):
        async def fetch(token):
            service.calls.append((anyio.current_time(), "list", None))
            raise error

        return Pager(fetch)

    return listed


async def test_a_deleted_job_is_told_once_it_was_missing_twice():
    service = make_service()
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        await anyio.sleep(70)
        gone = service.jobs.pop(named("job2"))
        result = await watcher.wait(gone.name)
        assert [event.kind for event in result.done.values()] == ["deleted"]


async def test_a_model_made_anew_under_its_name_is_another_story():
    service = make_service(12)
    async with Watcher(service, list(service.jobs), policy=WatchPolicy(max_rps=50)) as watcher:
        reader = watcher.subscribe([named("job2")])
        await anyio.sleep(70)
        service.add(Job(named("job2"), created=70.0, gap=5.0, total=4))
        seen = await collect(reader)
    kinds = [event.kind for event in seen]
    again = kinds.index("deleted")
    assert kinds[again + 1] == "added"
    assert str(seen[again + 1].origin) == "recreated"
    shown = [event for event in seen[again:] if isinstance(event, events.Snapshot)]
    assert [event.step for event in shown] == [1, 2, 3, 4]
    assert kinds[-1] == "succeeded"
    assert seen[-1].model.tuning_task.snapshots[0].compute_time == shown[0].compute_time


@pytest.mark.gemini
async def test_an_expired_operation_leaves_the_model():
    service = make_service(expires_after=-1e9)
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        seen = await collect(watcher)
    assert sum(isinstance(event, events.Snapshot) for event in seen) == 30
    assert [event.kind for event in seen if events.is_terminal(event)] == ["succeeded"] * 3


async def test_an_error_of_our_own_keeps_one_job_back_for_a_minute(caplog):
    service = make_service()
    heal = failing(service, ZeroDivisionError("a bug"), names={named("job1")})
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        reader = watcher.subscribe(kinds=["degraded", "succeeded"])
        event = await anext(reader)
        assert (event.job, event.error) == (named("job1"), "ZeroDivisionError")
        await anyio.sleep(100)
        assert sum(name == named("job1") for _, _, name in service.calls) <= 3
        heal()
        assert len((await watcher.wait()).done) == 3
    assert "a bug" in caplog.text


async def test_after_a_sleep_of_the_machine_looks_are_spread(virtual_time):
    import asyncio

    service = make_service(100)
    async with Watcher(service, list(service.jobs), policy=WatchPolicy(coalesce="never", max_rps=10)) as watcher:
        watcher.subscribe()
        await anyio.sleep(30)
        asyncio.get_running_loop().now += 3600
        await anyio.sleep(0.5)
        woke = virtual_time()
        await anyio.sleep(20)
        assert watcher.statistics().stalls == 1
        assert sum(woke - 0.5 <= at < woke + 0.5 for at, _, _ in service.calls) <= 11, "no burst"


class Weather:
    """A service that can be out."""

    def __init__(self, count=1):
        self.service = make_service(count)
        for job in self.service.jobs.values():
            job.total = 1000

    async def storm(self, seconds=60.0):
        """Be out for a time, and then well for half a minute."""
        heal = failing(self.service, errors.Unavailable("out", status=503))
        await anyio.sleep(seconds)
        heal()
        await anyio.sleep(40)


async def troubles(reader):
    return [event.kind for event in await reader.next_batch(1000, max_wait=0) if event.kind in TROUBLE]


@pytest.mark.both_backends
@pytest.mark.parametrize("count", [1, 3])
async def test_an_outage_is_two_events_for_everybody_who_was_there_while_it_lasted(count):
    weather = Weather(count)
    async with Watcher(weather.service, list(weather.service.jobs), policy=WatchPolicy(coalesce="never")) as watcher:
        before = watcher.subscribe()
        await anyio.sleep(30)
        heal = failing(weather.service, errors.Unavailable("out", status=503))
        await anyio.sleep(100)
        during, attentive = watcher.subscribe(), watcher.subscribe([named("job0")])
        assert await troubles(attentive) == ["degraded"]
        await anyio.sleep(100)
        heal()
        await anyio.sleep(60)
        after = watcher.subscribe()
        assert await troubles(attentive) == ["recovered"]
        assert await troubles(before) == ["degraded", "recovered"], "also if it slept"
        assert await troubles(during) == ["degraded", "recovered"], "also if it did not read meanwhile"
        assert await troubles(after) == [], "what was over before is no news"
        await weather.storm()
        for each in (before, during, attentive, after):
            assert await troubles(each) == ["degraded", "recovered"]


async def test_outages_that_a_reader_slept_through_are_told_as_one():
    weather = Weather()
    async with Watcher(weather.service, list(weather.service.jobs), policy=WatchPolicy()) as watcher:
        asleep, surprised = watcher.subscribe(), watcher.subscribe()
        only_ends = watcher.subscribe(kinds=["recovered"])
        await anyio.sleep(30)
        heal = failing(weather.service, errors.Unavailable("out", status=503))
        await anyio.sleep(60)
        assert await troubles(surprised) == ["degraded"]
        heal()
        await anyio.sleep(40)
        await weather.storm()
        assert await troubles(surprised) == ["recovered"]
        assert await troubles(asleep) == ["degraded", "recovered"]
        assert await troubles(only_ends) == ["recovered"]
        await weather.storm()
        for each in (asleep, surprised):
            assert await troubles(each) == ["degraded", "recovered"]
        assert await troubles(only_ends) == ["recovered"]
