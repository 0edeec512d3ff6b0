"""What limits generateContent: quotas per minute and day, concurrency, latency and overload."""

import random
from itertools import pairwise

import anyio
import httpx
import pytest

from gemtune.emulator import ConcurrencyCap, Latency, Load, MinuteWindow, PerDay, TokenBucket
from gemtune.emulator.messages.errors import RpcError
from world import BASE, make_app

URL = f"http://127.0.0.1/v1beta/{BASE}:generateContent"
BODY = {"contents": [{"parts": [{"text": "LXIII"}], "role": "user"}]}


def admitted(quota, now, tokens=1):
    """Let a request in if the quota allows, and tell whether it did."""
    if quota.refuse(now, tokens, "m") is None:
        quota.take(tokens)
        return True
    return False


def wait_of(error):
    (hint,) = (detail["retry_delay"] for detail in error.details if "retry_delay" in detail)
    return float(hint.removesuffix("s"))


def quota_of(error):
    (violation,) = (item for detail in error.details for item in detail.get("violations", ()))
    return violation["quota_id"], violation["quota_value"]


def test_a_minute_window_admits_its_limit_in_each_minute_and_tells_when_the_next_begins():
    quota = MinuteWindow(limit=3)
    assert [admitted(quota, now) for now in (10, 20, 59, 59.5, 60, 61, 119, 119.9, 120)] == [
        True, True, True, False, True, True, True, False, True,
    ]  # fmt: skip
    for _ in range(2):
        admitted(quota, 135)
    error = quota.refuse(135.0, 1, "gemini-x")
    assert wait_of(error) == 45
    assert "Please retry in 45s" in error.message
    assert quota_of(error) == ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", 3)


def test_a_window_of_tokens_counts_tokens_and_lets_one_that_is_too_large_in_alone():
    quota = MinuteWindow(limit=100, tokens=True)
    assert [admitted(quota, 0, tokens) for tokens in (60, 41, 40, 1)] == [True, False, True, False]
    assert quota_of(quota.refuse(0, 1, "m")) == ("GenerateContentInputTokensPerModelPerMinute-FreeTier", 100)
    assert admitted(quota, 60, 500)
    assert not admitted(quota, 61, 1)


def test_a_quota_per_day_begins_anew_at_midnight_in_california():
    quota, noon = PerDay(limit=1), 20 * 3600.0
    assert admitted(quota, noon)
    error = quota.refuse(noon, 1, "m")
    assert quota_of(error)[0] == "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
    assert wait_of(error) == 12 * 3600
    assert admitted(quota, 32 * 3600.0)


def test_a_bucket_admits_its_burst_and_then_evenly():
    quota = TokenBucket(limit=60, burst=5)
    times = [now / 10 for now in range(600) if admitted(quota, now / 10)]
    assert times[:5] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert len(times) in {64, 65}
    assert {round(later - earlier, 1) for earlier, later in pairwise(times[6:])} <= {0.9, 1.0, 1.1}


def test_a_cap_counts_who_is_inside_and_gives_no_hint_unless_told():
    quota = ConcurrencyCap(limit=2)
    assert [admitted(quota, 0) for _ in range(3)] == [True, True, False]
    error = quota.refuse(0, 1, "m")
    assert (error.code, error.details) == (429, [])
    quota.leave()
    assert admitted(quota, 0)
    hinted = ConcurrencyCap(limit=1, hint=7, status="UNAVAILABLE")
    admitted(hinted, 0)
    assert hinted.refuse(0, 1, "m").code == 503
    assert wait_of(hinted.refuse(0, 1, "m")) == 7


def test_what_one_quota_refuses_uses_up_none_of_the_others():
    window, cap = MinuteWindow(limit=2), ConcurrencyCap(limit=1)
    load = Load([window, cap])
    load.enter(0)
    with pytest.raises(RpcError):
        load.enter(0)
    load.leave()
    load.enter(0)
    assert (load.admitted, load.refused, load.in_flight) == (2, 1, 1)


def test_latencies_have_the_median_and_mean_they_say_and_grow_under_overload():
    latency, dice = Latency(median=4, sigma=0.5, capacity=10), random.Random(1)
    drawn = sorted(latency.draw(dice, 1) for _ in range(4001))
    assert drawn[2000] == pytest.approx(4, rel=0.05)
    assert sum(drawn) / len(drawn) == pytest.approx(latency.mean, rel=0.05)
    assert Latency(median=4, capacity=10).draw(dice, 30) == 12


@pytest.mark.both_backends
async def test_the_emulator_answers_with_googles_body_and_keeps_count_of_who_left(virtual_time):
    app = make_app(load=Load([ConcurrencyCap(limit=2)], Latency(median=3)))
    statuses = []

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            reply = await client.post(URL, json=BODY, headers={"x-goog-api-key": "k"})
            statuses.append((round(virtual_time(), 6), reply.status_code))

    with anyio.move_on_after(1):
        await ask()
    assert app.load.in_flight == 0
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(ask)
    assert statuses == [(1, 429), (4, 200), (4, 200)]


async def test_a_quota_speaks_to_the_wire_in_camel_case(virtual_time):
    app = make_app(load=[MinuteWindow(limit=1)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        await client.post(URL, json=BODY, headers={"x-goog-api-key": "k"})
        error = (await client.post(URL, json=BODY, headers={"x-goog-api-key": "k"})).json()["error"]
    (violation,) = error["details"][1]["violations"]
    assert (error["code"], violation["quotaValue"]) == (429, "1")
    assert violation["quotaId"] == "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
