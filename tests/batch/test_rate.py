"""Rates: ceilings that hold in any sixty seconds and are used up, rates learned from errors, windows, estimates."""

import math
from bisect import bisect_right

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gemtune.limiter.limiter import Limiter
from gemtune.limiter.rate import BURST, Ceiling, LearnedRate, TokenEstimate, Window


def greedy(meter, seconds, amounts):
    """Take one amount after another, each as soon as the meter allows; (time, amount) of all."""
    now, taken = 0.0, []
    for amount in amounts:
        while (at := meter.ready_at(now, amount)) > now:
            now = at
        if now >= seconds:
            return taken
        meter.take(now, amount)
        taken.append((now, amount))
    return taken


def most_in_a_minute(taken):
    times = [at for at, _ in taken]
    return max(
        sum(amount for _, amount in taken[number : bisect_right(times, at + 60 - 1e-6)])
        for number, at in enumerate(times)
    )


@settings(max_examples=25)
@given(st.integers(1, 600))
def test_requests_never_exceed_their_ceiling_in_any_minute_and_use_it_up(rpm):
    taken = greedy(Ceiling(float(rpm)), 200, [1] * (4 * rpm))
    assert most_in_a_minute(taken) <= rpm
    assert len(taken) >= 0.97 * rpm * 200 / 60


@settings(max_examples=25)
@given(st.lists(st.integers(1, 30_000), min_size=300, max_size=300), st.integers(20_000, 200_000))
def test_tokens_never_exceed_their_ceiling_but_by_one_request_that_is_larger_than_it(sizes, tpm):
    taken = greedy(Ceiling(float(tpm)), 300, sizes)
    largest = max(sizes)
    assert most_in_a_minute(taken) <= max(tpm, largest)


def test_a_minute_does_not_begin_with_a_minutes_worth():
    taken = greedy(Ceiling(600.0), 30, [1] * 600)
    assert len([at for at, _ in taken if at < 1]) <= 600 / 60 * (BURST + 1)


def test_a_request_larger_than_the_quota_goes_alone_and_is_paid_back():
    ceiling = Ceiling(6000.0)
    taken = greedy(ceiling, 10_000, [100, 30_000, 100])
    assert [amount for _, amount in taken] == [100, 30_000, 100]
    assert taken[1][0] == pytest.approx(60, abs=0.2)  # when nothing else is in the window
    assert taken[2][0] - taken[1][0] == pytest.approx(30_000 / 100 - 4, abs=2)  # its own five minutes


def test_what_was_estimated_too_high_is_given_back_and_what_was_too_low_is_paid():
    ceiling = Ceiling(6000.0)
    ceiling.take(0.0, 500)
    assert ceiling.ready_at(0.0, 500) > 4
    ceiling.correct(0.0, -400)
    assert ceiling.ready_at(0.0, 300) == 0.0
    ceiling.correct(0.0, 400)
    assert ceiling.ready_at(0.0, 300) > 2


def test_a_new_ceiling_counts_what_has_gone_already():
    ceiling = Ceiling(600.0)
    taken = greedy(ceiling, 20, [1] * 600)
    ceiling.retune(120.0)
    assert len(taken) > 120
    assert ceiling.ready_at(20.0, 1) > 50


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 9), st.booleans()), max_size=60),
    st.integers(1, 20),
)
def test_a_window_counts_exactly_what_was_taken_and_not_corrected(steps, quota):
    window, now, kept = Window(float(quota)), 0.0, []
    for pause, amount, undone in steps:
        now += pause
        window.take(now, amount)
        if undone:
            window.correct(now, -amount)
        else:
            kept.append((now, amount))
        in_window = sum(taken for at, taken in kept if now - at < 60 - 1e-6)
        with_slack = sum(taken for at, taken in kept if now - at <= 60.2)
        assert in_window - 1e-6 <= window.count(now) <= with_slack + 1e-6


def test_a_learned_rate_starts_below_what_is_known_reaches_it_after_20_s_and_probes_beyond():
    guessed, told = LearnedRate(10.0, 100.0), LearnedRate(10.0, 100.0, told=True)
    assert (guessed.rate_at(100.0), told.rate_at(100.0)) == (8.5, 9.5)
    assert guessed.rate_at(120.0) == told.rate_at(120.0) == 10.0
    assert told.rate_at(140.0) == pytest.approx(11.5)
    rates = [told.rate_at(100.0 + second) for second in range(90)]
    assert rates == sorted(rates)


def test_a_learned_rate_lets_nothing_go_before_the_gate_opens_and_little_at_once():
    learned = LearnedRate(10.0, 100.0, told=True, closed_at=70.0)
    taken = [at for at, _ in greedy(learned, 105.0, [1] * 200)]
    assert taken[0] >= 100
    assert len([at for at in taken if at < 100.5]) <= 10 + 5 + 1


@example(0.015625, 0)
@given(st.floats(0.01, 2), st.integers(0, 50))
def test_an_estimate_follows_what_the_service_counts(ratio, noise):
    estimate = TokenEstimate()
    for number in range(200):
        nbytes = 400 + (number * noise) % 100
        estimate.learn(estimate.tokens(nbytes), estimate.ratio, max(1, math.ceil(nbytes * ratio)))
    # Counts are whole: up to one token more in 400 bytes, and one in the estimate itself.
    assert estimate.tokens(1000) == pytest.approx(1000 * ratio, rel=0.1, abs=1000 / 400 + 1)


@pytest.mark.both_backends
async def test_a_limiter_keeps_to_both_ceilings_and_uses_them_up(virtual_time):
    limiter = Limiter(concurrency=50, rpm=300, tpm=60_000)
    taken, seconds = [], 240

    async def work():
        while virtual_time() < seconds:
            permit = await limiter.acquire(150)
            taken.append((virtual_time(), 100))
            await anyio.sleep(0.5)
            permit.success(100)

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(work)
    assert most_in_a_minute([(at, 1) for at, _ in taken]) <= 300
    assert len([at for at, _ in taken if at < seconds]) >= 0.97 * 300 * seconds / 60


@pytest.mark.both_backends
async def test_a_ceiling_raised_while_all_wait_takes_effect_at_once(virtual_time):
    limiter = Limiter(concurrency=50, rpm=1)
    permit = await limiter.acquire()
    permit.success(None)
    async with anyio.create_task_group() as group:
        group.start_soon(limiter.acquire)
        await anyio.sleep(1)
        limiter.rpm = None
    assert virtual_time() == 1
