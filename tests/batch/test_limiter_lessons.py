"""What failures teach the limiter: the meaning of errors, the gate, outages and their probes; in virtual time."""

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune import errors
from gemtune.config import BatchPolicy
from gemtune.limiter.limiter import Limiter
from gemtune.limiter.ruling import Signal, minute_quota, seconds_to_reset, signal_of
from storm import RPC, refused

MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
TOKENS = "GenerateContentInputTokensPerModelPerMinute-FreeTier"


# What errors mean


@pytest.mark.parametrize(
    ("error", "signal", "action"),
    [
        (refused(MINUTE, hint=26), Signal.RATE, "retry"),
        (refused(MINUTE), Signal.RATE, "retry"),
        (refused(), Signal.CROWDED, "retry"),
        (refused(code=503), Signal.CROWDED, "retry"),
        (refused(DAY, hint=9000), Signal.DOOMED, "stop"),
        (refused(DAY), Signal.DOOMED, "stop"),
        (refused(DAY, MINUTE, hint=47), Signal.RATE, "retry"),
        (refused(MINUTE, hint=901), Signal.DOOMED, "stop"),
        (refused(message="Quota exceeded, limit: 0, model: x"), Signal.DOOMED, "stop"),
        (refused(message="Your project has reached its spending cap"), Signal.DOOMED, "stop"),
        (refused(message="Your billing account has exceeded its monthly spending cap."), Signal.DOOMED, "stop"),
        (refused(message="Your prepayment credits are depleted."), Signal.DOOMED, "stop"),
        (refused(message="You reached the spend-based rate limit of your tier"), Signal.SPENT, "retry"),
        (refused(message="You reached the spend-based rate limit of your tier", hint=901), Signal.DOOMED, "stop"),
        (errors.QuotaExhausted("no", status=402), Signal.DOOMED, "stop"),
        (errors.Unauthenticated("no"), Signal.DOOMED, "stop"),
        (errors.PermissionDenied("no"), Signal.REFUSED, "fail"),
        (errors.NotFound("no"), Signal.REFUSED, "fail"),
        (errors.TLSVerificationError("no"), Signal.DOOMED, "stop"),
        (errors.BadRequest("no", reason="FAILED_PRECONDITION"), Signal.REFUSED, "fail"),
        (errors.BadRequest("no"), Signal.ITEM, "fail"),
        (errors.ResponseTooLarge("no"), Signal.ITEM, "fail"),
        (errors.Unavailable("no", status=502), Signal.TROUBLE, "retry"),
        (errors.ConnectFailed("no"), Signal.TROUBLE, "retry"),
        (errors.ConnectionLost("no"), Signal.TROUBLE, "retry"),
        (errors.DeadlineExceeded("no"), Signal.TROUBLE, "retry"),
        (errors.MalformedResponse("no"), Signal.TROUBLE, "retry"),
    ],
    ids=map(str, range(27)),
)
@pytest.mark.usefixtures("virtual_time")
async def test_every_error_has_one_meaning(error, signal, action):
    assert signal_of(error, 900.0) is signal
    limiter = Limiter()
    permit = await limiter.acquire()
    verdict = permit.failed(error)
    assert (verdict.action, verdict.counted, limiter.statistics().in_flight) == (action, False, 0)


def test_the_named_quota_is_read_in_both_forms():
    assert minute_quota(refused(MINUTE, value="3000")).value == 3000
    tokens = minute_quota(refused(DAY, TOKENS, value="250000"))
    assert (tokens.of_tokens, tokens.value) == (True, 250_000)
    older = errors.QuotaExhausted("no")
    metadata = {"quota_limit": "GenerateContentRequestsPerMinutePerProject", "quota_limit_value": "60"}
    older.details = ({"@type": RPC + "ErrorInfo", "metadata": metadata},)
    assert minute_quota(older).value == 60
    assert minute_quota(refused()) is None


@pytest.mark.parametrize("counts", ["input_tokens", "requests"])
async def test_a_quota_that_only_the_message_names_is_told_by_what_it_counts(counts):
    metric = f"aiplatform.googleapis.com/generate_content_{counts}_per_minute_per_project_per_base_model"
    error = refused(message=f"Quota exceeded for {metric} with base model: gemini-2.5-flash.")
    assert minute_quota(error).of_tokens is (counts == "input_tokens")
    limiter = Limiter()
    for permit in [await limiter.acquire(1) for _ in range(4)]:
        permit.success(1)
    (await limiter.acquire(100)).failed(error)
    learned = limiter.statistics()
    assert (learned.learned_rpm is None, learned.learned_tpm) == (counts == "input_tokens", None)
    assert learned.gate > 1


def test_a_daily_quota_is_back_at_midnight_in_california_unless_the_server_says_when():
    summer = datetime(2026, 7, 1, 20, tzinfo=UTC).timestamp()  # 13:00 there
    assert seconds_to_reset(refused(DAY), summer) == 11 * 3600
    assert seconds_to_reset(refused(DAY, hint=47), summer) == 11 * 3600
    assert seconds_to_reset(refused(DAY, hint=9000), summer) == 9000
    assert seconds_to_reset(refused(), summer) is None


async def test_a_daily_quota_named_beside_a_short_delay_is_believed_the_second_time(virtual_time):
    limiter = Limiter()
    assert (await limiter.acquire()).failed(refused(DAY, MINUTE, hint=47)).action == "retry"
    assert (await limiter.acquire()).failed(refused(DAY, MINUTE, hint=47)).action == "stop"
    assert virtual_time() >= 47


async def fails(limiter, failures, others):
    """One item fails after a second in which ``others`` were answered; the ruling."""
    permit = await limiter.acquire()
    await anyio.sleep(1)
    for _ in range(others):
        (await limiter.acquire()).success(None)
    return permit.failed(errors.Unavailable("no", status=500), failures)


@pytest.mark.usefixtures("virtual_time")
async def test_an_item_is_blamed_only_where_others_succeed_and_tried_again_twice_where_failures_are_rare():
    limiter = Limiter()
    assert not (await fails(limiter, 0, others=0)).counted
    rulings = [await fails(limiter, failures, others=200) for failures in range(3)]
    assert [ruling.action for ruling in rulings] == ["retry", "retry", "fail"]
    assert all(ruling.counted for ruling in rulings)


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("repeats", [0, 1, 4])
async def test_where_many_fail_by_chance_an_item_is_given_all_the_repeats_and_no_more(repeats):
    limiter = Limiter(policy=BatchPolicy(repeats=repeats))
    for _ in range(50):
        await fails(limiter, 0, others=9)
    rulings = [await fails(limiter, failures, others=9) for failures in range(repeats + 1)]
    assert [ruling.action for ruling in rulings] == ["retry"] * repeats + ["fail"]


@pytest.mark.parametrize("latency", [0.05, 1.0])
@pytest.mark.parametrize(("concurrency", "bad"), [(4, 4), (64, 60), ("auto", 60)])
async def test_the_last_rows_of_a_run_all_of_them_bad_are_soon_given_up(virtual_time, concurrency, bad, latency):
    limiter = Limiter(concurrency=concurrency, dice=random.Random(1).random)
    rulings = []

    async def work(is_bad):
        failures, again = 0, False
        while True:
            permit = await limiter.acquire(again=again)
            await anyio.sleep(latency)
            again = True
            if not is_bad:
                return permit.success(None)
            ruling = permit.failed(refused(code=500), failures)
            failures += ruling.counted
            if ruling.action == "fail":
                return rulings.append(ruling)
            await anyio.sleep(ruling.delay)

    async with anyio.create_task_group() as group:
        for number in range(400):
            group.start_soon(work, number >= 400 - bad)
    assert len(rulings) == bad
    assert limiter.statistics().outages <= 1
    assert virtual_time() < 400 / limiter.limit + 160


# The gate


@pytest.mark.both_backends
@pytest.mark.parametrize("hint", [0.5, 26.0, 900.0])
async def test_a_hint_closes_one_gate_for_all_until_then_and_a_little_longer(virtual_time, hint):
    limiter = Limiter()
    permits = [await limiter.acquire() for _ in range(10)]
    await anyio.sleep(0.1)
    for permit in permits:
        assert permit.failed(refused(MINUTE, hint=hint, value="600")).action == "retry"
    begun, times = virtual_time(), []

    async def ask():
        (await limiter.acquire()).success(None)
        times.append(virtual_time() - begun)

    async with anyio.create_task_group() as group:
        for _ in range(30):
            group.start_soon(ask)
        await anyio.sleep(hint / 2)
        statistics = limiter.statistics()
        assert (statistics.parked, statistics.binding, statistics.learned_rpm) == (30, "gate", 600)
        assert (f"{statistics.gate:.0f} s" if statistics.gate >= 1 else "less than 1 s") in statistics.reason
    assert min(times) >= hint
    assert min(times) <= hint + min(2.0, 0.05 * hint) + 0.01
    assert len([at for at in times if at < min(times) + 1]) <= 600 / 60 * 2.1
    assert limiter.statistics().cuts == 0


@pytest.mark.usefixtures("virtual_time")
async def test_a_late_refusal_from_before_the_cut_teaches_nothing_new():
    limiter = Limiter(dice=lambda: 0.5)
    permits = [await limiter.acquire() for _ in range(3)]
    await anyio.sleep(1)
    permits[0].failed(refused(MINUTE, hint=10, value="600"))
    await anyio.sleep(5)
    permits[1].failed(refused(MINUTE, hint=5, value="60"))
    assert limiter.statistics().learned_rpm == 600
    assert limiter.statistics().gate == pytest.approx(5.25, abs=0.01)


@pytest.mark.usefixtures("virtual_time")
async def test_tokens_per_minute_are_learned_apart_from_requests():
    limiter = Limiter()
    (await limiter.acquire(100)).failed(refused(TOKENS, hint=1, value="6000"))
    assert (limiter.statistics().learned_tpm, limiter.statistics().learned_rpm) == (6000, None)
    for _ in range(20):
        (await limiter.acquire(500)).success(500)
    assert 60 < anyio.current_time() < 20 * 500 / 100


@pytest.mark.usefixtures("virtual_time")
async def test_push_back_without_a_hint_leaves_what_was_taken_and_pauses_until_the_next_reply():
    limiter = Limiter(concurrency=100)
    permits = [await limiter.acquire() for _ in range(100)]
    await anyio.sleep(0.05)
    for permit in permits[80:]:
        permit.failed(refused())
    statistics = limiter.statistics()
    assert (statistics.limit, statistics.cuts, statistics.rejected) == (80, 1, 20)
    assert 0.2 <= statistics.gate <= 0.5
    permits[0].success(None)
    assert limiter.statistics().gate == 0


@pytest.mark.both_backends
@pytest.mark.parametrize("code", [429, 503])
async def test_a_hint_of_a_single_refusal_holds_for_its_item_and_for_nobody_else(virtual_time, code):
    limiter = Limiter(concurrency=100)
    permits = [await limiter.acquire() for _ in range(20)]
    for permit in permits[1:]:
        permit.success(None)
    ruling = permits[0].failed(refused(code=code, hint=26))
    assert ruling.action == "retry"
    assert 26 <= ruling.delay <= 26 * 1.05
    (await limiter.acquire()).success(None)
    assert virtual_time() == 0
    assert (limiter.statistics().cuts, limiter.statistics().learned_rpm) == (0, None)


@pytest.mark.parametrize("code", [429, 503])
async def test_the_hint_of_a_surge_of_refusals_holds_for_all(virtual_time, code):
    limiter = Limiter(concurrency=100)
    for permit in [await limiter.acquire() for _ in range(50)]:
        permit.success(None)
    for permit in [await limiter.acquire() for _ in range(20)]:
        permit.failed(refused(code=code, hint=26))
    await limiter.acquire()
    assert 26 <= virtual_time() <= 26 * 1.05
    assert limiter.statistics().cuts == 1


@pytest.mark.parametrize("age", [10.0, 30.0, 300.0])
async def test_a_rate_is_learned_from_what_was_accepted_over_the_real_age_of_the_run(virtual_time, age):
    limiter = Limiter(concurrency=100)
    while virtual_time() < age:
        (await limiter.acquire()).success(None)
        await anyio.sleep(0.1)
    (await limiter.acquire()).failed(refused(MINUTE, hint=1))
    assert limiter.statistics().learned_rpm == pytest.approx(600, rel=0.03)


# Outages


KINDS = {
    "503": lambda: refused(code=503),
    "502": lambda: errors.Unavailable("bad gateway", status=502),
    "unreachable": lambda: errors.ConnectFailed("refused"),
    "time-out": lambda: errors.DeadlineExceeded("no reply"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_an_outage_of_a_minute_costs_few_requests_and_no_item(virtual_time, kind, seed):
    limiter = Limiter(concurrency=200, dice=random.Random(seed).random)
    sent, lost, done = 0, 0, []

    async def work():
        nonlocal sent, lost
        while virtual_time() < 82:
            permit = await limiter.acquire()
            at = virtual_time()
            await anyio.sleep(0.2)
            if 5 <= at < 65:
                sent += 1
                lost += permit.failed(KINDS[kind]()).action != "retry"
            else:
                done.append(virtual_time())
                permit.success(None)

    async with anyio.create_task_group() as group:
        for _ in range(200):
            group.start_soon(work)
    assert lost == 0
    assert sent <= 250
    per_second = len([at for at in done if at < 5]) / 5
    assert len([at for at in done if 80 <= at < 81]) >= 0.9 * per_second
    assert limiter.statistics().outages == 1
    assert limiter.limit == 200


@pytest.mark.both_backends
async def test_a_cancelled_probe_leaves_the_way_free_for_the_next(virtual_time):
    limiter = Limiter(concurrency=10)
    for permit in [await limiter.acquire() for _ in range(5)]:
        permit.failed(errors.ConnectFailed("refused"))
    for _ in range(3):
        with anyio.move_on_after(30):
            permit = await limiter.acquire()
            assert permit.probe
            with anyio.move_on_after(1):
                try:
                    await limiter.acquire()  # nobody else while the probe is on its way
                    pytest.fail("two probes at once")
                finally:
                    permit.cancelled()
    permit = await limiter.acquire()
    permit.success(None)
    assert limiter.statistics().outages == 1
    assert not (await limiter.acquire()).probe


@pytest.mark.usefixtures("virtual_time")
async def test_probes_are_one_at_a_time_and_ever_rarer():
    limiter = Limiter(concurrency=10, dice=lambda: 0.5)
    for permit in [await limiter.acquire() for _ in range(5)]:
        permit.failed(errors.ConnectFailed("refused"))
    times = []
    for _ in range(8):
        permit = await limiter.acquire()
        times.append(anyio.current_time())
        permit.failed(errors.ConnectFailed("refused"))
    gaps = [round((later - earlier) / 0.7) for earlier, later in zip([times[0] - 0.7, *times], times, strict=False)]
    assert gaps == [1, 2, 4, 8, 15, 15, 15, 15]


@pytest.mark.usefixtures("virtual_time")
async def test_a_request_that_is_wrong_shows_that_the_service_is_back():
    limiter = Limiter(concurrency=100)
    for permit in [await limiter.acquire() for _ in range(20)]:
        permit.failed(errors.ConnectFailed("refused"))
    assert (await limiter.acquire()).failed(errors.BadRequest("no")).action == "fail"
    assert limiter.limit < 10  # a slow start
    for _ in range(100):
        (await limiter.acquire()).success(None)
    assert limiter.limit == 100


@pytest.mark.usefixtures("virtual_time")
async def test_an_item_that_fails_alone_for_long_is_given_up_at_last():
    limiter = Limiter(concurrency=1, policy=BatchPolicy(patience=60))
    failures, sent = 0, 0
    while True:
        permit = await limiter.acquire()
        sent += 1
        verdict = permit.failed(errors.Unavailable("internal", status=500), failures)
        failures += verdict.counted
        if verdict.action == "fail":
            break
    assert sent <= 20


@given(st.integers(1_700_000_000, 2_000_000_000))
def test_midnight_in_california_is_that_of_the_time_zone(wall):
    there = datetime.fromtimestamp(wall, ZoneInfo("America/Los_Angeles"))
    midnight = (there + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert seconds_to_reset(refused(DAY), wall) == midnight.timestamp() - wall
