"""A limiter given to a client: a permit for every attempt of a generate call, none held while backing off."""

import json

import anyio
import attrs
import httpx
import pytest

import gemtune
from gemtune import errors
from gemtune.limiter.limiter import Limiter
from world import TOKEN

pytestmark = pytest.mark.usefixtures("virtual_time")

REPLY = {
    "candidates": [{"content": {"parts": [{"text": "LXIV"}], "role": "model"}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 100},
}
UNAVAILABLE = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}


def made(handler, limiter, **options):
    return gemtune.Client(
        base_url="http://127.0.0.1", token=TOKEN, transport=httpx.MockTransport(handler), limiter=limiter, **options
    )


@pytest.mark.both_backends
async def test_no_more_calls_are_in_flight_than_there_are_permits(virtual_time):
    busy, peak = 0, 0

    async def handler(request):
        nonlocal busy, peak
        busy += 1
        peak = max(peak, busy)
        await anyio.sleep(1)
        busy -= 1
        return httpx.Response(200, json=REPLY)

    limiter = Limiter(concurrency=3)
    async with made(handler, limiter) as client, anyio.create_task_group() as group:
        for _ in range(9):
            group.start_soon(client.generate_content, "gemini-x", "LXIII")
    assert (peak, virtual_time()) == (3, pytest.approx(3))
    statistics = limiter.statistics()
    assert (statistics.accepted, statistics.in_flight) == (9, 0)
    assert statistics.estimate_ratio > 0.5  # 100 tokens for some seventy bytes


async def test_no_permit_is_held_while_backing_off_and_every_attempt_teaches():
    limiter = Limiter(concurrency=1)
    held = []

    async def handler(request):
        held.append(limiter.statistics().in_flight)
        return httpx.Response(*((503,) if len(held) == 1 else (200,)), json=UNAVAILABLE if len(held) == 1 else REPLY)

    async def watch():
        await anyio.sleep(0.001)
        held.append(limiter.statistics().in_flight)

    client = made(handler, limiter, retry=gemtune.RetryPolicy(initial=10))
    async with client, anyio.create_task_group() as group:
        group.start_soon(client.generate_content, "gemini-x", "LXIII")
        group.start_soon(watch)
    assert held == [1, 0, 1]
    assert limiter.statistics().rejected == 1


async def test_a_call_that_gets_no_permit_in_time_says_so_and_sends_nothing():
    limiter = Limiter(concurrency=1)
    await limiter.acquire()
    sent = []
    async with made(sent.append, limiter) as client:
        with pytest.raises(errors.DeadlineExceeded, match="no permit in time"):
            await client.generate_content("gemini-x", "LXIII", timeout=5)
    assert sent == []
    assert limiter.statistics().waiting == 0


async def test_other_calls_ask_for_no_permit():
    limiter = Limiter(concurrency=1)
    await limiter.acquire()
    async with made(lambda request: httpx.Response(200, json={"name": "tunedModels/x"}), limiter) as client:
        assert (await client.tuned_models.get("x")).name == "tunedModels/x"


async def test_whoever_holds_a_permit_already_is_not_asked_for_another():
    limiter = Limiter(concurrency=1)
    permit = await limiter.acquire()
    async with made(lambda request: httpx.Response(200, json=REPLY), limiter) as client:
        assert (await client._with_permits().generate_content("gemini-x", "LXIII", timeout=5)).text == "LXIV"
        permit.success(None)
        async with client.batch("gemini-x", ["LXIII"]) as results:
            assert [result.text async for result in results] == ["LXIV"]


async def test_a_stream_holds_its_permit_until_it_is_closed():
    limiter = Limiter(concurrency=1)
    data = f"data: {json.dumps(REPLY)}\r\n\r\n".encode()
    async with made(lambda request: httpx.Response(200, content=data + data), limiter) as client:
        stream = client.stream_generate_content("gemini-x", "LXIII")
        await anext(stream)
        assert limiter.statistics().in_flight == 1
        await stream.aclose()
        assert limiter.statistics().in_flight == 0
        assert [chunk.text async for chunk in client.stream_generate_content("gemini-x", "LXIII")] == ["LXIV"] * 2
    assert (limiter.statistics().in_flight, limiter.statistics().accepted) == (0, 1)


def event(value):
    return f"data: {json.dumps(value)}\r\n\r\n".encode()


BEGUN = event({"candidates": [{"content": {"parts": [{"text": "LX"}], "role": "model"}}]})


async def endless():
    yield BEGUN
    await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("content", "learned"),
    [
        (BEGUN + event(UNAVAILABLE), {"rejected": 1}),
        (BEGUN + event({"error": {"code": 500, "message": "no", "status": "INTERNAL"}}), {"troubled": 1}),
        (BEGUN, {"troubled": 1}),
        (BEGUN + b"data: {", {"troubled": 1}),
    ],
    ids=["pushed back", "an error", "no finish reason", "cut off"],
)
async def test_what_breaks_a_stream_off_teaches_like_any_failure(content, learned):
    limiter = Limiter(concurrency=1)
    async with made(lambda request: httpx.Response(200, content=content), limiter) as client:
        with pytest.raises(errors.StreamInterrupted):
            [chunk async for chunk in client.stream_generate_content("gemini-x", "LXIII")]
    statistics = attrs.asdict(limiter.statistics())
    assert {name: statistics[name] for name in ("accepted", "rejected", "troubled", "in_flight")} == {
        "accepted": 0, "rejected": 0, "troubled": 0, "in_flight": 0, **learned
    }  # fmt: skip


@pytest.mark.parametrize(("timeout", "troubled"), [(5, 0), (None, 1)], ids=["its own time", "silence"])
async def test_silence_in_a_stream_teaches_and_the_end_of_its_own_time_does_not(timeout, troubled):
    limiter = Limiter(concurrency=1)
    async with made(lambda request: httpx.Response(200, content=endless()), limiter) as client:
        with pytest.raises(errors.StreamInterrupted):
            [chunk async for chunk in client.stream_generate_content("gemini-x", "LXIII", timeout=timeout)]
    assert (limiter.statistics().troubled, limiter.statistics().in_flight) == (troubled, 0)


async def test_a_cancelled_call_returns_its_permit():
    limiter = Limiter(concurrency=1)

    async def handler(request):
        await anyio.sleep_forever()

    async with made(handler, limiter) as client:
        with anyio.move_on_after(1):
            await client.generate_content("gemini-x", "LXIII")
    assert limiter.statistics().in_flight == 0
