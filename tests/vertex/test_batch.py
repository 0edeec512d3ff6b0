"""Batches on Vertex AI: what can be asked, what a journal resumes, and what pushes a run back."""

import anyio
import pytest

import gemtune
from gemtune import errors
from gemtune.emulator import Fault
from vertex.service import BASE, PLACE, TRAIN, make_vertex

pytestmark = pytest.mark.usefixtures("virtual_time")
SHARED = "Resource exhausted, please try again later."
PROVISIONED = "Too many requests. Exceeded the Provisioned Throughput."


async def test_whatever_can_be_asked_is_asked_in_a_batch():
    _, client = make_vertex()
    async with client:
        job = await client.tune(BASE, TRAIN)
        model = await job
        short = model.endpoint.partition("us-central1/")[2]
        for asked in (model, job, client.job(job.name), model.checkpoints[0], model.endpoint, short):
            if asked is not model and isinstance(asked, gemtune.TuningJob):
                await asked.refresh()
            [one] = await client.generate_many(asked, ["seven"])
            assert one.text.startswith("eight")
        for asked in (
            BASE,
            f"models/{BASE}",
            f"publishers/google/models/{BASE}",
            f"{PLACE}/publishers/google/models/{BASE}",
        ):
            [one] = await client.generate_many(asked, ["seven"])
            assert one.text.startswith("seven (emulator: a base model")


async def test_a_journal_of_a_job_is_resumed_by_its_endpoint_and_a_row_may_name_the_model(tmp_path):
    _, client = make_vertex()
    async with client:
        job = await client.tune(BASE, TRAIN)
        model = await job
        named, other = {"contents": "two", "model": model.endpoint}, {"contents": "x", "model": BASE}
        rows = [("a", "one"), ("b", named), ("c", other)]
        async with client.batch(job, rows, order="input", journal=tmp_path / "j") as results:
            found = [one async for one in results]
        assert [one.ok for one in found] == [True, True, False]
        assert f"the request is for {BASE}, but the batch is for {model.endpoint}" in str(found[2].error)
        short = model.endpoint.partition("us-central1/")[2]
        assert not model.endpoint.startswith("projects/my-project/"), "a reply spells the project by its number"
        for spelled in (model.endpoint, short, f"{PLACE}/{short}"):
            async with client.batch(spelled, [rows[0], ("b", named)], journal=tmp_path / "j", resume="rest") as results:
                assert [one async for one in results] == []
        named["model"] = short
        async with client.batch(job, [("n", named)]) as results:
            assert [one.ok async for one in results] == [True]
        with pytest.raises(errors.JournalMismatch, match="belongs to a batch on"):
            await client.batch(model.checkpoints[0], rows, journal=tmp_path / "j").collect()


async def test_a_job_that_cannot_be_asked_yet_is_refused_before_anything_is_sent():
    _, client = make_vertex()
    async with client:
        job = await client.tune(BASE, TRAIN)
        with pytest.raises(errors.InvalidInput, match=r"is asked through its endpoint.*give the job once it is done"):
            client.batch(job, ["seven"])


@pytest.mark.parametrize(
    ("message", "scope", "used_up"),
    [
        (SHARED, "shared", "the capacity that all who pay as they go share"),
        (PROVISIONED, "provisioned", "your Provisioned Throughput"),
    ],
    ids=["shared", "provisioned"],
)
async def test_a_push_back_says_what_is_used_up_and_fails_no_item(message, scope, used_up):
    app, client = make_vertex()
    async with client:
        app.faults.add(Fault(status=429, message=message, times=12))
        batch, seen = client.batch(BASE, [f"p{n}" for n in range(40)], concurrency=8), set()
        async with batch as results, anyio.create_task_group() as group:
            group.start_soon(watch, results, seen)
            found = [one async for one in results]
            group.cancel_scope.cancel()
        assert [one.ok for one in found] == [True] * 40
        assert any(said.startswith(f"the service is pushing back, as {used_up} is used up: every") for said in seen)
        app.faults.add(Fault(status=429, message=message))
        with pytest.raises(errors.QuotaExhausted, match=message) as caught:
            await client.generate_content(BASE, "x", retry=gemtune.RetryPolicy(attempts=1))
    assert (caught.value.scope, caught.value.failure) == (scope, errors.Failure.REJECTED)


async def watch(results, seen):
    """Note what is said to hold a batch back."""
    while True:
        seen.add(results.statistics().limit)
        await anyio.sleep(0.1)


async def test_an_endpoint_that_is_not_there_ends_the_run_at_once():
    app, client = make_vertex()
    async with client:
        with pytest.raises(errors.BatchStopped) as caught:
            await client.generate_many(f"{PLACE}/endpoints/123", [f"p{n}" for n in range(500)], concurrency=4)
    assert isinstance(caught.value.__cause__, errors.NotFound)
    assert len(app.requests) <= 4
