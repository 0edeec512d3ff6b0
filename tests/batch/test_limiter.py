"""The limiter's line: first come, first served, never above the limit, and no permit is ever lost; in virtual time."""

import math
import random
from collections import deque
from statistics import fmean

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import virtualtime
from gemtune import errors
from gemtune.errors import Failure
from gemtune.limiter.concurrency import AdaptiveLimit
from gemtune.limiter.limiter import Limiter
from storm import refused

# The line


class Visitors:
    """Tasks that use a limiter, and what must hold at every moment."""

    def __init__(self, limiter, most):
        self.limiter, self.most = limiter, most
        self.inside = 0
        self.line = []  # in the order in which they asked
        self.granted = {}  # and when they got their permits

    async def visit(self, name, arrives, stays, patience, ending, tokens):
        await anyio.sleep(arrives)
        with anyio.move_on_after(patience):
            self.line.append(name)
            permit = await self.limiter.acquire(tokens)
            self.granted[name] = permit.sent_at
            self.inside += 1
            try:
                assert self.inside <= self.limiter.statistics().in_flight <= self.most
                await anyio.sleep(stays)
                ENDINGS[ending](permit)
            finally:
                self.inside -= 1
                permit.cancelled()


ENDINGS = {
    "success": lambda permit: permit.success(7),
    "unsent": lambda permit: permit.unsent(),
    "crowded": lambda permit: permit.failed(refused()),
    "broken": lambda permit: permit.failed(errors.ConnectFailed("refused")),
}
VISIT = st.tuples(
    st.floats(0, 5),
    st.floats(0, 3),
    st.one_of(st.just(math.inf), st.floats(0.01, 4)),
    st.sampled_from(["success", "success", "success", "unsent", "crowded", "broken"]),
    st.integers(0, 500),
)


@pytest.mark.parametrize("backend", [virtualtime.asyncio_backend, virtualtime.trio_backend], ids=["asyncio", "trio"])
@settings(max_examples=60, deadline=None)
@given(
    visits=st.lists(VISIT, min_size=1, max_size=40),
    limit=st.integers(1, 5),
    rpm=st.one_of(st.none(), st.integers(30, 600)),
    tpm=st.one_of(st.none(), st.integers(500, 20_000)),
)
def test_first_come_first_served_never_above_the_limit_and_nothing_is_lost_to_a_cancellation(
    backend, visits, limit, rpm, tpm
):
    async def main():
        limiter = Limiter(concurrency=limit, rpm=rpm, tpm=tpm)
        visitors = Visitors(limiter, limit)
        async with anyio.create_task_group() as group:
            for name, visit in enumerate(visits):
                group.start_soon(visitors.visit, name, *visit)
        statistics = limiter.statistics()
        assert (statistics.in_flight, statistics.waiting) == (0, 0)
        times = [visitors.granted[name] for name in visitors.line if name in visitors.granted]
        assert times == sorted(times), "somebody was overtaken"
        patient = {name for name, visit in enumerate(visits) if visit[2] == math.inf}
        assert patient <= visitors.granted.keys()
        assert 1 <= limiter.limit <= limit

    name, options = backend()
    anyio.run(main, backend=name, backend_options=options)


@pytest.mark.both_backends
async def test_a_permit_that_is_granted_to_someone_who_is_just_cancelled_goes_to_the_next(virtual_time):
    limiter = Limiter(concurrency=1)
    first = await limiter.acquire()
    got = []

    async def wait(name, scope):
        with scope:
            permit = await limiter.acquire()
            try:
                await anyio.lowlevel.checkpoint()
                got.append(name)
            finally:
                permit.cancelled()

    doomed = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(wait, "cancelled", doomed)
        await anyio.sleep(1)
        group.start_soon(wait, "next", anyio.CancelScope())
        await anyio.sleep(1)
        first.success(None)  # the permit is the first waiter's now,
        doomed.cancel()  # who may never hear of it
    assert got == ["next"]
    assert limiter.statistics().in_flight == 0


@pytest.mark.both_backends
async def test_a_large_request_at_the_head_is_not_overtaken_by_small_ones(virtual_time):
    limiter = Limiter(concurrency=10, tpm=6000)
    order = []

    async def ask(name, tokens):
        (await limiter.acquire(tokens)).success(tokens)
        order.append((name, round(virtual_time(), 1)))

    (await limiter.acquire(400)).success(400)
    async with anyio.create_task_group() as group:
        for name, tokens in (("large", 2000), ("small", 10), ("smaller", 1)):
            group.start_soon(ask, name, tokens)
            await anyio.sleep(0.01)
    assert [name for name, _ in order] == ["large", "small", "smaller"]
    assert order[0][1] <= 5


@pytest.mark.usefixtures("virtual_time")
async def test_a_permit_ends_once():
    limiter = Limiter()
    permit = await limiter.acquire()
    permit.success(None)
    permit.unsent()
    permit.cancelled()
    assert limiter.statistics().in_flight == 0
    with pytest.raises(errors.MisuseError, match="ends once"):
        permit.failed(refused())


@pytest.mark.usefixtures("virtual_time")
async def test_what_was_not_sent_is_given_back():
    limiter = Limiter(rpm=12, rpd=2)
    for _ in range(50):
        (await limiter.acquire()).unsent()
    assert limiter.statistics().accepted == 0


async def test_the_requests_of_a_day_end_with_the_time_of_the_next(virtual_time):
    limiter = Limiter(rpd=2)
    for _ in range(2):
        (await limiter.acquire()).success(None)
    with pytest.raises(errors.QuotaExhausted, match="2 requests a day") as caught:
        await limiter.acquire()
    assert (caught.value.scope, caught.value.failure) == ("day", Failure.FATAL)
    await anyio.sleep(caught.value.retry_after)
    await limiter.acquire()


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrency": 0},
        {"concurrency": 1001},
        {"ceiling": 4096},
        {"rpm": 0},
        {"tpm": -1},
        {"concurrency": True},
        {"rpd": math.inf},
        *({name: 10**400} for name in ("concurrency", "ceiling", "rpm", "tpm", "rpd")),
    ],
)
def test_a_limit_that_cannot_work_is_refused_by_name(wrong):
    with pytest.raises(errors.SettingsError) as caught:
        Limiter(**wrong)
    assert caught.value.field == next(iter(wrong))


# How many at once


class Crowd:
    """An adaptive limit with so many requests in flight as it allows, each of which is answered or refused in turn."""

    def __init__(self, limit, ceiling):
        self.limit = AdaptiveLimit(float(limit), ceiling)
        self.in_flight = deque()
        self.now = 0.0
        self.fill()

    def fill(self):
        while len(self.in_flight) < int(self.limit.limit):
            self.in_flight.append(self.limit.refusals.number())

    def answer(self, count=1):
        """The oldest are answered; the limits that resulted."""
        limits = []
        for _ in range(count):
            self.now += 0.001
            if self.limit.success(self.in_flight[0], self.now, len(self.in_flight)):
                limits.append(int(self.limit.limit))
            self.in_flight.popleft()
            self.fill()
        return limits

    def refuse(self, count=1):
        """The newest are refused; how often the limit was cut."""
        cuts = 0
        for _ in range(count):
            self.now += 0.001
            cuts += self.limit.push_back(self.in_flight[-1], self.now, len(self.in_flight))
            self.in_flight.pop()
        return cuts

    def refuse_and_refill(self, most=1000):
        """Refuse whatever leaves until the limit is cut; how many that took."""
        for count in range(1, most):
            if self.refuse():
                return count
            self.fill()
        raise AssertionError("never cut")

    def grow(self, steps):
        """Answer until it has grown so many times; the limits."""
        limits = []
        while len(limits) < steps:
            limits += self.answer()
        return limits


def settled(limit, ceiling=1000, answered=99):
    """A crowd at a limit that is known to hold and above which is refused."""
    crowd = Crowd(limit, ceiling)
    crowd.limit.cut(0.0, limit + 1)
    crowd.limit.retune(float(limit), ceiling)
    crowd.limit._growth.known = float(limit)
    crowd.in_flight.clear()
    crowd.fill()
    crowd.answer(answered)
    return crowd


def test_concurrency_doubles_until_more_is_refused_than_chance_explains():
    crowd = Crowd(50, 1000)
    assert crowd.grow(3) == [100, 200, 400]
    assert crowd.refuse_and_refill() <= 6
    assert 350 <= crowd.limit.limit <= 360
    assert Crowd(50, 256).grow(3)[-1] == 256


def test_a_limit_found_is_probed_once_in_a_hundred_replies_and_then_by_ever_more():
    crowd = settled(50)
    assert crowd.grow(4) == [51, 53, 57, 65]
    small = settled(5, answered=0)
    assert small.answer(49) == []
    assert small.answer(1) == [6], "ten rounds, where a hundred replies would be more"


def test_of_a_burst_as_much_is_left_as_the_service_took():
    crowd = Crowd(50, 256)
    assert crowd.refuse(45) == 1
    assert crowd.limit.limit == 5


def test_a_burst_refused_whole_says_nothing_about_how_many_are_too_many():
    crowd = Crowd(50, 256)
    crowd.refuse(50)
    assert crowd.limit.limit >= 35


def test_a_probe_that_is_refused_costs_no_more_than_itself():
    crowd = settled(90)
    assert crowd.grow(3) == [91, 93, 97]
    assert crowd.refuse_and_refill() == 1
    assert crowd.limit.limit == 93


def test_after_a_dip_the_limit_that_had_held_is_soon_back():
    crowd = settled(97)
    while crowd.limit.limit > 6:
        crowd.refuse_and_refill()
    assert crowd.limit.limit >= 4
    crowd.fill()
    limits = crowd.grow(5)
    assert 97 in limits
    assert limits[0] == 2 * limits[1] // 4, "by doubling"


def test_replies_to_what_was_sent_before_a_cut_do_not_prove_the_limit_after_it():
    crowd = Crowd(10, 256)
    crowd.limit.cut(1.0, 10)
    before = crowd.limit.limit
    assert not any(crowd.limit.success(1, 2.0, 9) for _ in range(1000))
    assert crowd.limit.limit == before


def test_one_episode_cuts_once():
    crowd = settled(100)
    crowd.refuse_and_refill()
    cuts = crowd.limit.cuts
    assert crowd.refuse(len(crowd.in_flight) // 2) == 0
    assert crowd.limit.cuts == cuts


def test_a_limit_that_was_not_reached_does_not_grow():
    limit = AdaptiveLimit(50.0, 1000)
    for _ in range(500):
        limit.success(limit.refusals.number(), 1.0, 10)
    assert limit.limit == 50


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=300), st.integers(1, 300))
def test_the_limit_stays_between_one_and_the_ceiling(events, ceiling):
    limit = AdaptiveLimit(float(min(50, ceiling)), ceiling)
    for now, (pushed_back, in_flight) in enumerate(events):
        number = limit.refusals.number()
        if pushed_back:
            limit.push_back(number, now + 0.5, in_flight)
        else:
            limit.success(number, float(now), in_flight)
        assert 1 <= limit.limit <= ceiling


# Chance


@pytest.mark.parametrize("percent", [1, 2, 5, 10])
def test_refusals_by_chance_leave_the_limit_where_it_is(percent):
    crowd, dice = settled(256, 256), random.Random(percent)
    limits = []
    for _ in range(20_000):
        if dice.random() * 100 < percent:
            crowd.refuse()
            crowd.fill()
        else:
            crowd.answer()
        limits.append(crowd.limit.limit)
    assert fmean(limits) >= 0.95 * 256


@pytest.mark.parametrize("percent", [0, 1, 5])
def test_a_single_refusal_of_a_limit_that_had_held_cuts_nothing(percent):
    crowd = settled(256, 256)
    crowd.answer(2000)
    assert crowd.refuse() == 0
    assert crowd.limit.limit == 256


def test_a_share_that_falls_with_the_load_is_found_by_a_trial_and_the_lower_limit_kept():
    crowd, dice = settled(100, 100), random.Random(1)
    limits, refused = [], 0
    for number in range(40_000):
        crowd.now += 0.01
        # A twentieth is refused above 92 at a time, too few to be a surge once they are known.
        if len(crowd.in_flight) > 92 and dice.random() < 0.05:
            crowd.refuse()
            crowd.fill()
            refused += number >= 10_000
        else:
            crowd.answer()
        limits.append(crowd.limit.limit)
    assert 85 <= fmean(limits[10_000:]) <= 95
    assert refused <= 0.015 * 30_000


def test_after_the_weather_has_cleared_a_cap_is_seen_as_early_as_before():
    crowd, dice = settled(256, 256), random.Random(2)
    for _ in range(5000):
        if dice.random() < 0.05:
            crowd.refuse()
            crowd.fill()
        else:
            crowd.answer()
    crowd.answer(3000)
    assert crowd.refuse_and_refill() <= 6


@pytest.mark.both_backends
async def test_a_new_limit_lets_those_who_wait_go_at_once(virtual_time):
    limiter = Limiter(concurrency=1)
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(limiter.acquire)
        await anyio.sleep(1)
        assert (limiter.statistics().waiting, limiter.statistics().binding) == (4, "concurrency")
        limiter.limit = 5
    assert (virtual_time(), limiter.limit) == (1, 5)
    limiter.limit = "auto"
    assert limiter.limit == 50


def test_a_limit_that_is_set_is_not_undone_by_a_refusal_of_an_earlier_burst():
    crowd = Crowd(50, 1000)
    crowd.refuse(41)
    crowd.limit.retune(100.0, 1000)
    crowd.refuse(1)
    assert crowd.limit.limit == 100
