"""The limiter's line: first come, first served, never above the limit, and no permit is ever lost; in virtual time."""

import math

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import virtualtime
from gemtune import errors
from gemtune.errors import Failure
from gemtune.limiter.concurrency import Aimd
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
    ],
)
def test_a_limit_that_cannot_work_is_refused_by_name(wrong):
    with pytest.raises(errors.SettingsError) as caught:
        Limiter(**wrong)
    assert caught.value.field == next(iter(wrong))


# How many at once


def rounds(aimd, count, sent_at=math.inf):
    limits = []
    for _ in range(count):
        while not aimd.success(sent_at, int(aimd.limit)) and aimd._successes:
            pass
        limits.append(int(aimd.limit))
    return limits


def test_concurrency_doubles_until_the_first_push_back_and_is_then_probed_by_one_and_ever_more():
    aimd = Aimd(50.0, 1000)
    assert rounds(aimd, 3) == [100, 200, 400]
    assert aimd.push_back(1.0, 1.1, 400)
    assert aimd.limit == 360
    assert rounds(aimd, 4) == [361, 363, 367, 375]
    assert Aimd(50.0, 256).limit == 50
    assert rounds(Aimd(50.0, 256), 4)[-1] == 256


def test_a_limit_found_is_probed_once_in_a_hundred_replies():
    aimd = Aimd(5.0, 100)
    aimd.push_back(1.0, 1.1, 5)
    limits = []
    for now in range(2, 20):
        replies = 1
        while not aimd.success(now, int(aimd.limit)):
            replies += 1
        limits.append((int(aimd.limit), replies))
        aimd.push_back(now + 0.1, now + 0.2, int(aimd.limit))
    assert set(limits) == {(5, 40)}  # and back to 4: ten rounds, where a hundred replies would be more

    aimd = Aimd(50.0, 100)
    aimd.push_back(1.0, 1.1, 50)
    assert sum(1 for _ in iter(lambda: aimd.success(2.0, 45), True)) == 99


def test_of_a_burst_as_much_is_left_as_the_service_took():
    aimd = Aimd(50.0, 256)
    for in_flight in range(50, 5, -1):
        aimd.push_back(0.0, 0.01, in_flight)
    assert (aimd.limit, aimd.cuts) == (5, 1)


def test_a_burst_refused_whole_says_nothing_about_how_many_are_too_many():
    aimd = Aimd(50.0, 256)
    for in_flight in range(50, 0, -1):
        aimd.push_back(0.0, 0.01, in_flight)
    assert (aimd.limit, aimd.cuts) == (45, 1)


def test_a_probe_that_is_refused_costs_no_more_than_itself():
    aimd = Aimd(100.0, 256)
    aimd.push_back(0.0, 0.5, 100)
    assert rounds(aimd, 3, sent_at=1.0) == [91, 93, 97]
    aimd.push_back(2.0, 2.5, 97)
    assert aimd.limit == 93


def test_after_a_dip_the_limit_that_had_held_is_soon_back():
    aimd = Aimd(100.0, 256)
    aimd.push_back(0.0, 0.5, 100)
    assert rounds(aimd, 4, sent_at=1.0) == [91, 93, 97, 105]
    for now in range(2, 60):
        aimd.push_back(now, now + 0.5, int(aimd.limit))
    assert aimd.limit == 1
    assert rounds(aimd, 7, sent_at=100.0) == [2, 4, 8, 16, 32, 64, 97]


def test_replies_to_what_was_sent_before_a_cut_do_not_prove_the_limit_after_it():
    aimd = Aimd(10.0, 256)
    aimd.push_back(0.0, 1.0, 10)
    assert not any(aimd.success(0.5, 9) for _ in range(1000))


def test_one_episode_cuts_once():
    aimd = Aimd(100.0, 1000)
    assert aimd.push_back(sent_at=1.0, now=2.0, in_flight=100)
    assert not any(aimd.push_back(sent_at, 2.5, 90) for sent_at in (0.5, 1.5, 2.0))
    assert aimd.push_back(sent_at=2.1, now=2.5, in_flight=90)
    assert (aimd.cuts, aimd.limit) == (2, 81)


def test_a_limit_that_was_not_reached_does_not_grow():
    aimd = Aimd(50.0, 1000)
    for _ in range(500):
        aimd.success(1.0, 10)
    assert aimd.limit == 50


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=300), st.integers(1, 300))
def test_the_limit_stays_between_one_and_the_ceiling(events, ceiling):
    aimd = Aimd(float(min(50, ceiling)), ceiling)
    for now, (pushed_back, in_flight) in enumerate(events):
        if pushed_back:
            aimd.push_back(float(now), now + 0.5, in_flight)
        else:
            aimd.success(float(now), in_flight)
        assert 1 <= aimd.limit <= ceiling


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
    aimd = Aimd(50.0, 1000)
    for _ in range(41):
        aimd.push_back(1.0, 1.1, 50)
    aimd.retune(100.0, 1000)
    aimd.push_back(1.0, 1.2, 9)
    assert aimd.limit == 100
