"""Protections speak: the error of a call that one of them ended names it and its setting; in virtual time."""

import collections

import anyio
import httpx
import pytest

import gemtune
from gemtune import errors
from world import TOKEN

pytestmark = pytest.mark.usefixtures("virtual_time")

REPLY = {"candidates": [{"content": {"parts": [{"text": "LXIV"}], "role": "model"}, "finishReason": "STOP"}]}
BUSY = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


def client_of(app, **options):
    return gemtune.Client(base_url="http://127.0.0.1", transport=httpx.MockTransport(app), token=TOKEN, **options)


@pytest.mark.parametrize("failure", [503, 429, 520, "reset"])
async def test_of_a_burst_of_calls_that_each_fail_once_all_are_tried_again(failure):
    seen = collections.Counter()

    async def app(request):
        seen[request.content] += 1
        await anyio.sleep(0.1)
        if seen[request.content] > 1:
            return httpx.Response(200, json=REPLY)
        if failure == "reset":
            raise httpx.ReadError("reset")
        return httpx.Response(failure, json=BUSY | {"error": {"code": failure, "message": "later"}})

    texts = []
    async with client_of(app) as client:

        async def ask(number):
            texts.append((await client.generate_content("gemini-x", f"question {number}")).text)

        for _ in range(2):  # the next burst finds the budget as the first did
            seen.clear()
            async with anyio.create_task_group() as tasks:
                for number in range(200):
                    tasks.start_soon(ask, number)
        assert texts == ["LXIV"] * 400
        assert client.statistics().retry_budget == 500


@pytest.mark.parametrize(("budget", "requests"), [(500, 1000 + 1000), (13, 1000)])
async def test_in_an_outage_a_burst_is_tried_again_once_and_what_comes_later_not_at_all(budget, requests):
    sent, said = [], []

    async def app(request):
        sent.append(request)
        await anyio.sleep(0.1)
        return httpx.Response(503, json=BUSY)

    async with client_of(app, retry=gemtune.RetryPolicy(budget=budget, initial=10.0)) as client:

        async def ask():
            with pytest.raises(errors.Unavailable) as caught:
                await client.generate_content("gemini-x", "hi")
            said.append(str(caught.value))

        async with anyio.create_task_group() as tasks:
            for _ in range(1000):
                tasks.start_soon(ask)
        # The first retries are spread over ten seconds; those that failed meanwhile have emptied the budget.
        assert len(sent) <= requests + 35
        assert all(f"retry budget is used up (RetryPolicy.budget is {budget})" in text for text in said)
        before = len(sent)
        await ask()
        assert len(sent) == before + 1


async def test_a_hint_above_the_limit_is_named_with_the_limit():
    def app(_):
        return httpx.Response(503, json=BUSY, headers={"retry-after": "90"})

    async with client_of(app) as client:
        with pytest.raises(
            errors.Unavailable, match=r"asks for a wait of 90 s \(RetryPolicy.max_hint is 60\)"
        ) as caught:
            await client.tuned_models.get("x")
    assert caught.value.attempts == 1
    assert caught.value.retry_after == 90


async def test_an_error_that_is_not_retried_anyway_names_no_protection():
    async with client_of(lambda _: httpx.Response(400, json={"error": {"message": "no"}})) as client:
        with pytest.raises(errors.BadRequest) as caught:
            await client.tuned_models.get("x")
    assert "RetryPolicy" not in str(caught.value)
