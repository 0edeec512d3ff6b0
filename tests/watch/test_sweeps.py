"""Many jobs cost few requests: the list carries states, single looks carry steps, and a 429 is obeyed."""

import logging
import random
from collections import Counter
from statistics import fmean

import anyio
import pytest

from gemtune import events
from gemtune.config import WatchPolicy
from gemtune.limiter.pace import RequestPace
from gemtune.limiter.rate import Bucket
from gemtune.pager import Pager
from gemtune.protocol.gemini import Page
from gemtune.watch import Watcher
from gemtune.watch.roster import ListPlan
from watch.service import Job, Service, named
from world import collect

pytestmark = pytest.mark.usefixtures("virtual_time")


def make_service(count, **options):
    service = Service(**options)
    service.add(*(Job(named(f"job{number}"), gap=20.0, total=10) for number in range(count)))
    return service


def make_watcher(service, policy=None, **options):
    return Watcher(service, list(service.jobs), policy=policy or WatchPolicy(**options))


def methods(service, until=float("inf")):
    return Counter(method for at, method, _ in service.calls if at < until)


async def test_a_thousand_states_cost_one_request_every_ten_seconds(virtual_time):
    service = make_service(1000)
    service.jobs[named("job7")].total = 3
    async with make_watcher(service) as watcher:
        result = await watcher.wait(named("job7"))
        ended = service.jobs[named("job7")].ends
        assert [event.kind for event in result.done.values()] == ["succeeded"]
        assert virtual_time() - ended <= 10.5
        assert methods(service)["list"] <= ended / 10 + 2
        assert methods(service)["job"] == 1, "the end was confirmed by one full look"
        assert methods(service)["work"] == 0


@pytest.mark.both_backends
async def test_jobs_whose_steps_are_wanted_are_looked_at_and_the_others_are_not():
    service = make_service(100)
    async with make_watcher(service) as watcher:
        seen = await collect(watcher.subscribe([named("job3")]))
        assert [event.step for event in seen if isinstance(event, events.Snapshot)] == list(range(1, 11))
        asked = {name for at, _, name in service.calls if name and at < 200}
        assert asked == {named("job3"), service.handle(service.jobs[named("job3")])}


async def test_a_refused_mask_is_remembered():
    service = make_service(20, masks=False)
    async with make_watcher(service, max_rps=50) as watcher:
        assert len((await watcher.wait()).done) == 20
    assert methods(service)["list"] == 1


@pytest.mark.parametrize(
    ("coalesce", "count", "swept"), [("never", 50, False), ("always", 2, True), ("auto", 8, False)]
)
async def test_the_caller_may_decide(coalesce, count, swept):
    service = make_service(count)
    async with make_watcher(service, coalesce=coalesce) as watcher:
        await watcher.wait(timeout=60)
    assert (methods(service)["list"] > 0) == swept


async def test_a_list_full_of_other_models_is_given_up_for_single_looks():
    service = make_service(10, page_size=3)
    others = [Job(named(f"other{number}"), total=1000) for number in range(90)]
    service.jobs = {job.name: job for job in [*others, *service.jobs.values()]}
    async with Watcher(service, [named(f"job{number}") for number in range(10)], policy=WatchPolicy()) as watcher:
        await watcher.wait(timeout=100)
        assert methods(service)["list"] == 34
        assert methods(service).total() - methods(service)["list"] > 20


async def test_absence_from_a_list_is_no_deletion_and_an_absent_job_is_looked_at():
    service = make_service(30, p_unlisted=1.0)
    async with make_watcher(service, max_rps=50) as watcher:
        result = await watcher.wait()
    assert {event.kind for event in result.done.values()} == {"succeeded"}


async def test_requests_never_exceed_what_is_allowed_and_effective_freshness_says_what_that_buys():
    service = make_service(200)
    for job in service.jobs.values():
        job.total = 1000
    async with make_watcher(service, coalesce="never", max_rps=4, burst=8) as watcher:
        watcher.subscribe()
        await anyio.sleep(300)
        statistics = watcher.statistics()
    times = [at for at, _, _ in service.calls]
    for first in range(0, 300, 10):
        assert sum(first <= at < first + 10 for at in times) <= 40 + 8
    assert statistics.effective_freshness == 50
    assert statistics.overdue > 0
    last = {}
    for at, _, name in service.calls:
        last[name.partition("/operations")[0]] = at
    assert len(last) == 200, "nobody starves"
    assert max(250 - at for at in last.values()) <= 60


async def test_a_surge_of_429_cuts_the_rate_and_its_hint_is_waited_for():
    service = make_service(50)
    async with make_watcher(service, coalesce="never", max_rps=10) as watcher:
        watcher.subscribe()
        reader = watcher.subscribe(kinds=["degraded", "recovered"])
        await anyio.sleep(20)
        service.p_error, service.dice = 1.0, Always429()
        await anyio.sleep(3)
        service.p_error, before = 0.0, anyio.current_time()
        told = await reader.next_batch()
        await anyio.sleep(40)
        quiet = [at for at, _, _ in service.calls if at > before + 0.2]
        assert quiet[0] - before > 20, "it waits as it was told"
        assert watcher.statistics().throttled >= 1
        told += await reader.next_batch()
        assert [(event.kind, event.job) for event in told] == [("degraded", ""), ("recovered", "")]


class Always429:
    def random(self):
        return 0.5

    def choice(self, options):
        return next((each for each in options if type(each).__name__ == "QuotaExhausted"), 25.0)


async def test_adding_many_jobs_makes_no_burst():
    service = make_service(400)
    async with make_watcher(service, coalesce="never", max_rps=20, burst=5) as watcher:
        watcher.subscribe()
        await anyio.sleep(10)
    assert methods(service, until=1.0).total() <= 26


async def test_every_change_of_state_is_logged_once(caplog):
    caplog.set_level(logging.INFO, "gemtune.watch")
    service = make_service(2)
    async with make_watcher(service) as watcher:
        await collect(watcher)
    lines = [record.message for record in caplog.records if "job1" in record.message]
    assert lines == [
        f"{named('job1')}: UNKNOWN -> CREATING",
        f"{named('job1')}: CREATING -> ACTIVE",
        f"{named('job1')}: succeeded",
    ]


async def test_jobs_are_discovered_also_where_the_mask_is_refused():
    service = make_service(5, masks=False)
    async with Watcher(service, policy=WatchPolicy(), filter="owner:me") as watcher:
        await anyio.sleep(30)
        assert len(watcher.jobs) == 5


async def test_whoever_comes_later_for_the_steps_of_a_job_gets_them_soon(virtual_time):
    service = make_service(50)
    async with make_watcher(service) as watcher:
        await anyio.sleep(95)
        began = virtual_time()
        reader = watcher.subscribe([named("job9")], kinds=["snapshot"])
        assert (await anext(reader)).step == 1
        assert virtual_time() - began < 16


async def test_a_job_that_is_discarded_during_a_look_is_not_looked_at_again():
    service = make_service(2, latency=4.0)
    async with make_watcher(service) as watcher:
        await anyio.sleep(1)
        assert any(name == named("job1") for _, _, name in service.calls)
        watcher.discard(named("job1"))
        await anyio.sleep(100)
        assert sum((name or "").startswith(named("job1")) for _, _, name in service.calls) == 1


class Requests:
    """A pace, and requests at it of which some are refused."""

    def __init__(self, **options):
        self.pace = RequestPace(**options)
        self.now = 100.0

    def make(self, count, refused=lambda: False, hint=None):
        """Make so many requests as soon as they may go; the rates after each."""
        rates = []
        for _ in range(count):
            while wait := self.pace.wait(self.now):
                self.now += wait
            self.pace.take(self.now)
            self.now += 0.01
            if refused():
                self.pace.throttle(self.now, hint)
            else:
                self.pace.answered(self.now)
            rates.append(self.pace.rate)
        return rates


def test_a_single_429_leaves_a_watcher_at_its_pace_and_a_twentieth_of_them_nearly():
    requests, dice = Requests(most=8, burst=4), random.Random(1)
    requests.make(200)
    assert requests.make(1, lambda: True, hint=30.0) == [8]
    assert requests.pace.wait(requests.now) < 1
    assert fmean(requests.make(3000, lambda: dice.random() < 0.05)) >= 0.95 * 8


def test_a_quota_below_the_pace_is_found_and_the_pace_is_soon_back_when_it_is_lifted():
    requests, quota = Requests(most=8, burst=4), Bucket(4.0)
    refused = 0

    def exceeded():
        nonlocal refused
        quota.fill(requests.now, 3.0, 4.0)
        enough = quota.level >= 1.0
        quota.level -= enough
        refused += not enough
        return not enough

    requests.make(500)
    requests.make(2000, exceeded)
    assert 2.0 <= fmean(requests.make(500, exceeded)) <= 3.5
    assert refused <= 0.12 * 2500
    lifted = requests.now
    while requests.pace.rate < 8:
        requests.make(1)
    assert requests.now - lifted <= 75


def test_a_surge_of_429_pauses_as_told_though_no_longer_than_two_minutes():
    for hint, pause in ((30.0, 30.0), (500.0, 120.0)):
        requests = Requests(most=8, burst=4)
        for _ in range(3):
            requests.pace.take(requests.now)
            requests.pace.throttle(requests.now, hint)
        requests.pace.take(requests.now)
        assert requests.pace.throttle(requests.now, hint)
        assert requests.pace.wait(requests.now) == pause
        assert requests.pace.rate < 8


def test_a_quota_that_is_named_holds_for_all_from_the_first_429_on():
    pace = RequestPace(most=8, burst=4)
    pace.take(100.0)
    assert pace.throttle(100.0, 20.0, quota=True)
    assert pace.wait(100.0) == 20


def test_the_plan_follows_the_number_of_jobs():
    planner = ListPlan(WatchPolicy())
    assert [planner.sweeps(live, 0.0) for live in (0, 8, 9, 10_000)] == [False, False, True, True]
    assert planner.pause(pages=10, rate=4.0) == 10.0
    assert planner.pause(pages=100, rate=4.0) == 50.0


def endless(service, entries=()):
    """A list that has a further page, with a token of its own, for ever."""

    def listed(*, size, light):
        async def fetch(token):
            at = await service._request("list")
            return Page(tuple((job, at) for job in entries), str(int(token or 0) + 1))

        return Pager(fetch)

    return listed


@pytest.mark.parametrize("discovering", [False, True], ids=["named", "discovering"])
@pytest.mark.parametrize("empty", [True, False], ids=["empty-pages", "one-job-again-and-again"])
async def test_a_list_without_an_end_keeps_no_job_from_being_looked_at(empty, discovering, virtual_time):
    service = make_service(12)
    others = [] if empty else [Job(named("other"), gap=20.0, total=10_000)]
    service._list = endless(service, others)
    policy = WatchPolicy(coalesce="always")
    options = {"filter": "owner:me"} if discovering else {}
    async with Watcher(service, list(service.jobs), policy=policy, **options) as watcher:
        with anyio.fail_after(3600):
            assert len((await watcher.wait(*service.jobs)).done) == 12
        late = virtual_time() - max(job.ends for job in service.jobs.values())
        assert late <= 3 * policy.freshness
        await anyio.sleep(3600)
        assert methods(service)["list"] <= 0.6 * policy.max_rps * virtual_time()


async def test_a_list_without_an_end_is_left_after_a_thousand_pages(caplog):
    service = Service()
    service.add(*(Job(named(f"job{number}"), gap=20.0, total=1000) for number in range(12)))
    service._list = endless(service, [Job(named("other"), gap=20.0, total=10_000)])
    async with Watcher(service, list(service.jobs), policy=WatchPolicy(coalesce="always")) as watcher:
        await anyio.sleep(600)
        assert methods(service)["list"] <= 1000
        assert any("more than 1000 pages" in record.message for record in caplog.records)
        before = methods(service)["list"]
        await anyio.sleep(200)
        assert methods(service)["list"] == before, "it is not begun again at once"
        assert watcher.statistics().sweeps == 0


async def test_in_a_long_list_a_job_waits_for_its_page_and_is_not_looked_at_before():
    service = Service(page_size=10)
    service.add(*(Job(named(f"job{number}"), gap=20.0, total=1000) for number in range(1200)))
    policy = WatchPolicy(coalesce="always", max_rps=4)
    async with Watcher(service, list(service.jobs), policy=policy) as watcher:
        await anyio.sleep(200)
        service.calls.clear()
        await anyio.sleep(600)
        counts = methods(service)
        assert counts["list"] > 1000
        assert set(counts) == {"list"}
        assert watcher.statistics().sweeps > 8
