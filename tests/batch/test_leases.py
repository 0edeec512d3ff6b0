"""One quota for many processes: shares that never exceed it, leases that come back, and nobody who starves."""

import random
from bisect import bisect_right

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemtune.config import BatchPolicy
from gemtune.errors import Failure, QuotaExhausted
from gemtune.limiter.leased import LeasedLimiter
from gemtune.limiter.leases import LEASE, LeaseBook, LeaseReport
from gemtune.limiter.shares import RateClaim, lot_for, permits_of_each
from gemtune.loops import current_time

NAMES = st.sampled_from("abcdefg")


def book_of(concurrency, **ceilings):
    book = LeaseBook.over(concurrency, BatchPolicy(), random.Random(7).random)
    for name, per_minute in ceilings.items():
        book.set_ceiling(name, per_minute)
    return book


# Who gets which part


@given(st.integers(0, 300), st.dictionaries(NAMES, st.integers(0, 200)), st.dictionaries(NAMES, st.floats(0, 1e6)))
def test_permits_never_exceed_the_total_or_what_is_wanted_and_none_is_left_over(total, wanted, had):
    parts = permits_of_each(total, wanted, had)
    assert all(0 <= parts[name] <= want for name, want in wanted.items())
    assert sum(parts.values()) == min(total, sum(wanted.values()))


@given(st.integers(0, 300), st.dictionaries(NAMES, st.integers(0, 200)), st.dictionaries(NAMES, st.floats(0, 1e6)))
def test_whoever_gets_less_than_it_wants_has_at_most_one_permit_less_than_any_other(total, wanted, had):
    parts = permits_of_each(total, wanted, had)
    for name, part in parts.items():
        assert part == wanted[name] or part >= max(parts.values()) - 1


@given(st.integers(1, 4), st.lists(st.sampled_from("abcdefg"), min_size=5, unique=True))
def test_with_more_holders_than_permits_each_has_its_turn(total, names):
    had = dict.fromkeys(names, 0.0)
    for _ in range(len(names) * 2):
        for name, part in permits_of_each(total, dict.fromkeys(names, 3), had).items():
            had[name] += part
    assert min(had.values()) >= 1
    assert max(had.values()) - min(had.values()) <= 1


CLAIMS = st.dictionaries(
    NAMES, st.builds(RateClaim, st.floats(1, 1000), st.floats(1, 50), st.floats(0, 100)), min_size=1
)


@given(CLAIMS, st.floats(0, 500), st.lists(NAMES, min_size=1, max_size=30))
def test_lots_never_exceed_the_room_whoever_comes_in_whatever_order(claims, room, visits):
    left = room
    for name in visits:
        if name in claims:
            lot = lot_for(name, left, claims)
            assert lot == 0 or lot >= min(claims[name].least, claims[name].wanted)
            left -= lot
    assert left >= -1e-6


@given(CLAIMS)
def test_a_request_that_is_larger_than_a_fair_part_is_saved_up_for(claims):
    """Whatever the others take: room grows until whoever has waited longest can be served, and then the next."""
    clock, room, hungry = 1000.0, 0.0, set(claims)
    for _ in range(5000):
        if not hungry:
            return
        room += 1.0
        for name in sorted(claims):
            clock += 0.1
            lot = lot_for(name, room, claims)
            if lot:
                room -= lot
                hungry.discard(name)
                claim = claims[name]
                claims = claims | {name: RateClaim(claim.wanted, claim.least, clock)}
    raise AssertionError(f"{hungry} had nothing in 5000 rounds")


# The book

STEPS = st.lists(
    st.tuples(
        NAMES, st.sampled_from(["renew", "renew", "renew", "renew", "die", "leave", "again"]), st.integers(0, 40)
    ),
    max_size=60,
)


@settings(max_examples=200)
@given(st.integers(1, 30), STEPS, st.lists(st.floats(0.01, 2.0), min_size=60, max_size=60))
def test_permits_held_never_exceed_the_limit_whoever_dies(limit, steps, gaps):
    """Each holder uses all that it was last lent until the answer to its next report, as a busy actor does."""
    book, now, lives, may, until = book_of(limit), 0.0, {}, {}, {}
    for (name, what, wanted), gap in zip(steps, gaps, strict=False):
        now += gap
        may = {other: permits for other, permits in may.items() if until[other] > now}
        if what == "again":  # Ray has started the process anew
            lives[name] = lives.get(name, 0) + 1
            may.pop(name, None)
        if what == "die":
            may.pop(name, None)
            continue
        report = LeaseReport(life=str(lives.get(name, 0)), wanted=wanted, in_flight=may.get(name, 0))
        if what == "leave":
            may.pop(name, None)
            book.leave(name, LeaseReport(life=report.life, wanted=0), now, now)
            continue
        lease = book.renew(name, report, now, now)
        # What is under way beyond a smaller lease ends within the next period.
        may[name], until[name] = lease.permits, now + lease.seconds
        assert sum(may.values()) <= limit
    assert book.held <= limit


def test_leases_of_the_dead_come_back():
    book = book_of(10)
    assert book.renew("a", LeaseReport(life="1", wanted=50), 0.0, 0.0).permits == 10
    report = LeaseReport(life="1", wanted=50)
    assert book.renew("b", report, 1.0, 0.0).permits == 0
    assert book.renew("b", report, LEASE + 0.1, 0.0).permits == 10
    assert [*book.holders] == ["b"]


def test_a_new_life_ends_the_leases_of_the_old_one_at_once():
    book = book_of(10)
    book.renew("a", LeaseReport(life="1", wanted=50, sent=10, in_flight=10), 0.0, 0.0)
    assert book.control.in_flight == 10
    assert book.renew("a", LeaseReport(life="2", wanted=50), 0.1, 0.0).permits == 10
    assert book.control.in_flight == 0


def test_permits_move_to_where_the_work_is():
    book, both = book_of(10), {}
    for now in range(6):
        for name, wanted in (("a", 50), ("b", 50 if now < 3 else 2)):
            used = both.get(name, 0)
            both[name] = book.renew(name, LeaseReport(life="1", wanted=wanted, in_flight=used), now / 2, 0.0).permits
        if now == 2:
            assert both == {"a": 5, "b": 5}
    assert both == {"a": 8, "b": 2}


def refusal(hint=None, scope="minute"):
    error = QuotaExhausted("refused", status=429, retry_after=hint, failure=Failure.REJECTED)
    error.scope = scope
    return error


def test_a_push_back_that_one_holder_meets_closes_the_gate_for_all():
    book = book_of(100)
    book.renew("b", LeaseReport(life="1", wanted=5), 0.0, 0.0)
    book.renew("a", LeaseReport(life="1", wanted=50, sent=1, outcomes=[refusal(hint=30.0)]), 1.0, 0.0)
    assert book.renew("b", LeaseReport(life="1", wanted=5), 2.0, 0.0).closed_for == pytest.approx(29.0, abs=2.0)


def test_a_surge_of_refusals_lowers_the_limit_of_all():
    book = book_of(100)
    book.renew("a", LeaseReport(life="1", wanted=50), 0.0, 0.0)
    report = LeaseReport(life="1", wanted=50, sent=50, outcomes=[refusal(scope="shared"), -19])
    book.renew("a", report, 1.0, 0.0)
    assert book.control.allowed < 90
    assert book.control.counts.rejected == 20


# Limiters that live on leases


async def run(book, actors, seconds, tokens=(10,), answer=0.3, dies=None, cap=None):
    """Let actors send as fast as they may; (time, actor, tokens) of each request that has left."""
    sent, flying, refused = [], set(), []

    async def work(limiter, name):
        while True:
            size = random.Random(len(sent)).choice(tokens)
            permit = await limiter.acquire(size)
            sent.append((permit.sent_at, name, size))
            tasks.start_soon(reply, permit, size)

    async def reply(permit, size):
        if cap is not None and len(flying) >= cap:
            await anyio.sleep(0.01)
            refused.append(permit.sent_at)
            permit.failed(refusal(scope="shared"))
            return
        flying.add(permit)
        await anyio.sleep(answer)
        flying.remove(permit)
        permit.success(size)

    async def live(name):
        limiter = LeasedLimiter(concurrency=1000, wanted=lambda: 10_000, dice=random.Random(name).random)

        async def renew(report):
            await anyio.sleep(0.005)
            return book.renew(name, report, current_time(), 0.0)

        with anyio.move_on_after(dies if name == "a0" and dies is not None else seconds):
            async with anyio.create_task_group() as lives:
                lives.start_soon(limiter.keep, renew)
                lives.start_soon(work, limiter, name)

    async with anyio.create_task_group() as tasks:
        for number in range(actors):
            tasks.start_soon(live, f"a{number}")
        await anyio.sleep(seconds)
        tasks.cancel_scope.cancel()
    return (sent, refused) if cap is not None else sent


def most_in_a_minute(taken):
    times = [at for at, _ in taken]
    return max(
        sum(amount for _, amount in taken[number : bisect_right(times, at + 60 - 1e-6)])
        for number, at in enumerate(times)
    )


@pytest.mark.parametrize(("actors", "rpm"), [(1, 600), (4, 600), (10, 60), (20, 3000)])
async def test_requests_of_all_actors_stay_below_the_rate_and_use_it_up(virtual_time, actors, rpm):
    sent = await run(book_of(200, rpm=rpm), actors, 200.0)
    times = [(at, 1) for at, _, _ in sent]
    assert most_in_a_minute(times) <= rpm
    assert len(sent) >= 0.95 * rpm * 200 / 60
    by_actor = [sum(name == f"a{number}" for _, name, _ in sent) for number in range(actors)]
    assert min(by_actor) >= 0.5 * len(sent) / actors


async def test_tokens_of_all_actors_stay_below_the_rate_and_large_requests_go(virtual_time):
    sent = await run(book_of(200, tpm=60_000), 5, 200.0, tokens=(50, 50, 50, 4000, 20_000))
    # A request that is larger than what comes in within 5 s goes into debt, and the window forgives none of it.
    assert most_in_a_minute([(at, size) for at, _, size in sent]) <= 60_000 + 20_000
    assert sum(size for _, _, size in sent) >= 0.9 * 60_000 * 200 / 60
    assert {size for _, _, size in sent} == {50, 4000, 20_000}
    assert {name for _, name, _ in sent} == {f"a{number}" for number in range(5)}


async def test_in_flight_of_all_actors_never_exceeds_the_limit_and_uses_it(virtual_time):
    sent = await run(book_of(7), 10, 60.0, answer=0.5)
    events = sorted([(at, 1) for at, _, _ in sent] + [(at + 0.5 - 1e-9, -1) for at, _, _ in sent])
    level = most = 0
    for _, change in events:
        level += change
        most = max(most, level)
    assert most <= 7
    assert len(sent) >= 0.7 * 7 * 60 / 0.5
    assert {name for _, name, _ in sent} == {f"a{number}" for number in range(10)}


async def test_the_part_of_an_actor_that_died_is_soon_used_by_the_others(virtual_time):
    sent = await run(book_of(20), 2, 60.0, answer=1.0, dies=10.0)
    before = sum(name == "a1" for at, name, _ in sent if 4 < at < 9)
    after = sum(name == "a1" for at, name, _ in sent if 20 < at < 25)
    assert before <= 55
    assert after >= 90


async def test_all_actors_together_grow_to_what_nobody_refuses(virtual_time):
    book = book_of("auto")
    sent = await run(book, 4, 30.0, answer=0.2)
    assert book.control.allowed == 256
    assert len(sent) > 0.8 * 256 * 30 / 0.2


@pytest.mark.parametrize(("actors", "cap", "answer"), [(2, 12, 0.05), (4, 40, 0.2), (4, 100, 1.0), (8, 150, 0.5)])
async def test_all_actors_together_find_out_how_many_the_service_takes(virtual_time, actors, cap, answer):
    book = book_of("auto")
    sent, refused = await run(book, actors, 120.0, answer=answer, cap=cap)
    assert len(refused) <= 0.03 * len(sent)
    assert len(sent) - len(refused) >= 0.8 * cap * 120 / answer


async def test_an_actor_that_cannot_report_stops_before_its_lease_is_given_to_others(virtual_time):
    book, sent = book_of(5), []
    limiter = LeasedLimiter(concurrency=1000, wanted=lambda: 100)
    reports = []

    async def renew(report):
        reports.append(report)
        if len(reports) > 1:
            await anyio.sleep_forever()
        return book.renew("a", report, current_time(), 0.0)

    async def work():
        while True:
            permit = await limiter.acquire(1)
            sent.append(current_time())
            await anyio.sleep(0.1)
            permit.success(1)

    with anyio.move_on_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(limiter.keep, renew)
            tasks.start_soon(work)
    assert LEASE - 2 < max(sent) < LEASE - 0.9


async def test_what_was_given_back_is_not_used_again(virtual_time):
    """Two actors, one block after the other: between two blocks, what one has given back belongs to the other."""
    book, level, most = book_of(6), [], []

    async def live(name):
        limiter = LeasedLimiter(concurrency=1000, dice=random.Random(name).random)

        async def renew(report):
            await anyio.sleep(0.4)  # a busy cluster
            return book.renew(name, report, current_time(), 0.0)

        async def row(left):
            permit = await limiter.acquire(1)
            level.append(name)
            most.append(len(level))
            await anyio.sleep(0.3)
            level.remove(name)
            permit.success(1)
            left.pop()

        for block in range(20):
            left = [block] * 15
            limiter.wanted = left.__len__
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(limiter.keep, renew)
                async with anyio.create_task_group() as rows:
                    for _ in range(15):
                        rows.start_soon(row, left)
                tasks.cancel_scope.cancel()
            book.leave(name, limiter.give_back(), current_time(), 0.0)

    async with anyio.create_task_group() as actors:
        actors.start_soon(live, "a")
        actors.start_soon(live, "b")
    assert max(most) == 6
