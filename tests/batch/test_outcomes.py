"""What is counted and told of an item that was never sent, and of the one that stopped the run."""

import anyio
import httpx
import pytest

from batch.service import MODEL, Service, collect, envelope, into, quota, run
from gemtune import errors
from gemtune.batch import read_journal

pytestmark = pytest.mark.usefixtures("virtual_time")


# Never sent


@pytest.mark.both_backends
@pytest.mark.parametrize("row", ["half of \ud83d", ("k", "half of \ud83d"), {"contents": "half of \ud83d"}], ids=ascii)
async def test_a_prompt_that_cannot_be_encoded_is_no_request_and_names_its_row(row, tmp_path):
    service = Service()
    async with service.client() as client:
        for options in ({}, {"journal": tmp_path / "j"}):
            async with client.batch(MODEL, ["p0", row, "p2"], order="input", **options) as results:
                found = await collect(results)
            assert [one.attempts for one in found] == [1, 0, 1]
            assert isinstance(found[1].error, errors.InvalidInput)
            assert str(found[1].error).startswith("row 2, key 'k': " if isinstance(row, tuple) else "row 2: ")
            assert found[1].error.row == 2
            assert results.statistics().requests == 2
    assert [one.attempts for one in read_journal(tmp_path / "j", order="input")] == [1, 0, 1]
    assert service.asked.total() == 4


async def test_what_was_never_sent_takes_nothing_from_a_quota():
    async with Service().client() as client:
        found = await run(client, ["half of \ud83d"] * 50 + ["p"] * 5, concurrency=1, rpd=5)
    assert sum(one.ok for one in found) == 5


async def test_waiting_for_a_credential_is_no_request():
    bad = {1, 2}

    async def token():
        if bad:
            bad.pop()
            raise RuntimeError("the metadata server stumbled")
        return "token"

    client = Service().client(api_key=None, token=token)
    client._caller.credentials._clock = anyio.current_time
    async with client, client.batch(MODEL, ["a", "b"], concurrency=1) as results:
        assert [one.attempts for one in await collect(results)] == [1, 1]
        assert results.statistics().requests == 2


# What stops the run

STOPS = {
    "a bad credential": lambda: envelope(401, "UNAUTHENTICATED"),
    "no model": lambda: envelope(404, "NOT_FOUND", "Tuned model tunedModels/x does not exist."),
    "no quota": lambda: quota("RequestsPerMinute", "0"),
    "a quota per day": lambda: quota("GenerateRequestsPerDayPerProjectPerModel"),
    "billing": lambda: envelope(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
}


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("stop", STOPS)
async def test_what_stops_the_run_is_the_failure_of_no_item_and_whoever_met_it_is_asked_again(stop, keyed, tmp_path):
    service, first = Service(), []
    rows = [(f"k{n}", f"p{n}") if keyed else f"p{n}" for n in range(20)]
    options = {"journal": tmp_path / "j", "concurrency": 3, "retry_failed": False, "resume": "rest"}
    for n in (7, 8, 9):
        service.steps[f"p{n}"].append(STOPS[stop]())
    service.seconds["p7"] = 0.5
    async with service.client() as client:
        async with client.batch(MODEL, rows, **options) as results:
            with pytest.raises(errors.BatchStopped, match=f"met at row 8{', key .k7.' * keyed};") as caught:
                await into(first, results)
        assert caught.value.key == ("k7" if keyed else 7)
        held = list(read_journal(tmp_path / "j"))
        assert {one.key for one in first} == {one.key for one in held}
        assert all(one.ok for one in first + held)
        service.steps.clear()
        again = await run(client, rows, **options)
    assert sorted(one.index for one in first + again) == list(range(20))
    assert all(one.ok for one in again)


async def test_without_a_journal_the_stop_names_its_item_too_and_yields_it_not():
    service, found = Service(), []
    service.steps["p1"].append(envelope(401, "UNAUTHENTICATED"))
    async with service.client() as client, client.batch(MODEL, ["p0", "p1", "p2"], concurrency=1) as results:
        with pytest.raises(errors.BatchStopped, match="met at row 2; ") as caught:
            await into(found, results)
    assert [one.index for one in found] == [0]
    assert caught.value.key == 1


async def test_a_quota_per_day_tells_when_it_is_there_again():
    service = Service()
    service.always = STOPS["a quota per day"]
    async with service.client() as client:
        with pytest.raises(errors.BatchStopped, match=r"it can continue in (about [\d.]+ h|\d+ s)") as caught:
            await run(client, ["a"])
    assert 0 < caught.value.reset_after <= 25 * 3600


# A reply without text


async def test_a_reply_may_have_no_text_and_a_failure_has_none():
    service = Service()
    service.steps["blocked"].append(httpx.Response(200, json={"promptFeedback": {"blockReason": "SAFETY"}}))
    service.steps["failed"].append(envelope(400, "INVALID_ARGUMENT"))
    async with service.client() as client:
        found = await client.generate_many(MODEL, ["answered", "blocked", "failed"])
    assert [one.ok for one in found] == [True, True, False]
    assert [one.text_or_none for one in found] == ["re: answered", None, None]
    with pytest.raises(errors.NoText, match="SAFETY"):
        found[1].text  # noqa: B018


# generate_many


async def test_a_short_list_that_is_stopped_hands_over_what_was_answered():
    service = Service()
    service.seconds["p0"] = 3.0
    service.steps["p5"].append(envelope(401, "UNAUTHENTICATED"))
    async with service.client() as client:
        with pytest.raises(errors.BatchStopped) as caught:
            await client.generate_many(MODEL, [f"p{n}" for n in range(20)], concurrency=2)
    assert [one.text for one in caught.value.results] == [f"re: p{n}" for n in range(5)]
    assert len(caught.value.results) == service.answered


async def test_a_short_list_that_runs_out_of_time_hands_over_what_was_answered():
    service = Service()
    service.seconds["p0"] = 100.0
    async with service.client() as client:
        with pytest.raises(errors.DeadlineExceeded) as caught:
            await client.generate_many(MODEL, [f"p{n}" for n in range(20)], concurrency=2, timeout=5.5)
    assert [one.text for one in caught.value.results] == [f"re: p{n}" for n in range(1, 6)]


async def test_a_short_list_that_raises_the_first_failure_hands_over_what_was_answered():
    service = Service()
    service.seconds["p0"] = 3.5
    service.steps["p0"].append(envelope(400, "INVALID_ARGUMENT"))
    async with service.client() as client:
        with pytest.raises(errors.BadRequest) as caught:
            await client.generate_many(MODEL, [f"p{n}" for n in range(20)], concurrency=2, on_error="raise")
    assert [one.text for one in caught.value.results] == [f"re: p{n}" for n in range(1, service.answered + 1)]
    assert service.answered >= 3
