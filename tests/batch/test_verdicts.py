"""Whose fault a refusal is: the item's, that named something of its own, or the run's, that needs what is not there."""

import pytest

from batch.service import MODEL, Service, envelope, into, run
from gemtune import errors
from gemtune.limiter.limiter import Limiter

OWN = {
    "a file of somebody else": (
        403,
        "PERMISSION_DENIED",
        "You do not have permission to access the File abc or it may not exist.",
    ),
    "a file not ready": (
        400,
        "FAILED_PRECONDITION",
        "The File abc is not in an ACTIVE state and usage is not allowed.",
    ),
    "a cache that is gone": (404, "NOT_FOUND", "CachedContent not found (or permission denied)"),
}
OF_ALL = {
    "a foreign tuned model": (
        403,
        "PERMISSION_DENIED",
        "You do not have permission to access tuned model tunedModels/mymodel",
    ),
    "no such tuned model": (404, "NOT_FOUND", "Tuned model tunedModels/x does not exist."),
    "no such model": (404, "NOT_FOUND", "models/m is not found for API version v1beta, or is not supported."),
    "no credential": (403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers (callers without ...)"),
    "a leaked key": (403, "PERMISSION_DENIED", "Your API key was reported as leaked."),
    "the wrong country": (400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
    "a wrong key": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
}
REASONS = [
    "API_KEY_SERVICE_BLOCKED",
    "SERVICE_DISABLED",
    "USER_PROJECT_DENIED",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    "CONSUMER_SUSPENDED",
]


def because(reason):
    return envelope(
        403, "PERMISSION_DENIED", "denied", {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}
    )


@pytest.mark.parametrize("refusal", OWN)
@pytest.mark.parametrize("row", [0, 7])
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_row_that_names_what_is_not_there_fails_alone(refusal, row, concurrency):
    service = Service(0.0)
    service.steps[f"p{row}"].extend([envelope(*OWN[refusal])] * 9)
    async with service.client() as client:
        found = await run(client, [f"p{n}" for n in range(30)], concurrency=concurrency)
    assert [result.index for result in found if not result.ok] == [row]
    assert len(found) == 30
    assert service.asked[f"p{row}"] == 1


async def test_neighbours_that_all_name_a_file_that_is_gone_fail_alone():
    service = Service(0.0)
    for n in range(80):
        service.steps[f"p{n}"].append(envelope(*OWN["a file of somebody else"]))
    async with service.client() as client:
        found = await run(client, [f"p{n}" for n in range(100)], concurrency=4)
    assert [sum(result.ok for result in found), len(found)] == [20, 100]


async def test_a_run_with_a_row_that_is_refused_can_be_resumed_from_its_journal(tmp_path):
    service = Service(0.0)
    service.steps["p3"].extend([envelope(*OWN["a cache that is gone"])] * 9)
    async with service.client() as client:
        for expected in (30, 1):
            found = await run(
                client, [f"p{n}" for n in range(30)], concurrency=1, journal=tmp_path / "j", resume="rest"
            )
            assert len(found) == expected
    assert (service.asked["p3"], service.asked["p4"]) == (2, 1)


@pytest.mark.parametrize("refusal", OF_ALL)
@pytest.mark.parametrize("answered", [0, 5])
async def test_a_refusal_about_the_model_the_credential_or_the_service_stops_at_the_first(refusal, answered):
    await stops_after(lambda: envelope(*OF_ALL[refusal]), answered, 1, rows=100)


@pytest.mark.parametrize("reason", REASONS)
async def test_the_reasons_of_a_refused_credential_or_project_stop_at_the_first(reason):
    await stops_after(lambda: because(reason), 5, 1, rows=100)


@pytest.mark.parametrize(("answered", "asked"), [(0, 3), (5, 50)])
async def test_what_every_item_meets_in_a_row_stops_the_run_and_sooner_where_nothing_was_answered(answered, asked):
    await stops_after(
        lambda: envelope(403, "PERMISSION_DENIED", "The caller does not have permission"), answered, asked
    )


async def stops_after(reply, answered, asked, rows=1000):
    service, found = Service(0.0), []
    async with (
        service.client() as client,
        client.batch(MODEL, [f"p{n}" for n in range(rows)], concurrency=1) as results,
    ):
        for n in range(answered, rows):
            service.steps[f"p{n}"].append(reply())
        with pytest.raises(errors.BatchStopped):
            await into(found, results)
    assert service.asked.total() == answered + asked
    assert len(found) == answered + asked - 1


async def test_an_answer_in_between_ends_the_row_of_refusals():
    limiter = Limiter()
    error = errors.PermissionDenied("no")
    for _ in range(60):
        assert (await limiter.acquire()).failed(error).action == "fail"
        (await limiter.acquire()).success(None)
