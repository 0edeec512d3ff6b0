"""A batch on Vertex AI is a job like any other: its handle, the watcher, and the server engine know it."""

import anyio
import httpx
import pytest

from gemtune import errors, events
from gemtune.emulator import Fault, JobFate
from proofs.faulty import BY_NAME, Faulty
from vertex.service import BASE
from vertex.test_batches import CREATE, ROWS, app_with, client_of
from world import sent

pytestmark = pytest.mark.usefixtures("virtual_time")


@pytest.fixture
async def world(virtual_time):
    app = app_with(batch_seconds=100.0)
    return app, client_of(app)


async def test_a_handle_is_awaited_and_tells_what_happens(world):
    _, client = world
    async with client:
        job = await client.batches.create(BASE, ROWS)
        seen = [event async for event in job.events()]
        batch = await job
        assert batch.counts.successful == 10
        assert isinstance(seen[-1], events.Completed)
        counted = [event.counts.finished for event in seen if isinstance(event, events.Progress)]
        assert counted == sorted(counted)
        assert any(0 < count < 10 for count in counted)
        assert {result.key async for result in job.results()} == {key for key, _ in ROWS}


async def test_another_process_has_it_by_its_name(world):
    app, client = world
    async with client:
        name = (await client.batches.create(BASE, ROWS)).name
    async with client_of(app) as other:
        job = other.job(name)
        assert (await job).name == name
        assert [result.text.split()[0] async for result in job.results() if result.key == "k3"] == ["3"]


async def test_a_watcher_follows_batches_beside_tuning_jobs(world):
    _, client = world
    async with client:
        batch = await client.batches.create(BASE, ROWS)
        tuning = await client.tune(BASE, "gs://my-bucket/train.jsonl")
        ended = {}
        async with client.watch([batch, tuning]) as watcher:
            async for event in watcher:
                if event.job in (batch.name, tuning.name) and isinstance(event, events.TERMINAL):
                    ended[event.job] = type(event)
                if len(ended) == 2:
                    break
        assert ended[batch.name] is events.Completed


@pytest.mark.parametrize(
    ("fate", "error"),
    [({"fail_at_step": 3}, errors.BatchJobFailed), ({"stall_at_step": 3}, errors.BatchJobExpired)],
)
async def test_a_batch_that_does_not_succeed_is_an_error_of_its_own(world, fate, error):
    app, client = world
    app.faults.add(Fault(method=CREATE, job=JobFate(**fate)))
    async with client:
        job = await client.batches.create(BASE, ROWS)
        await anyio.sleep(25 * 3600)  # nobody looks meanwhile
        with pytest.raises(error):
            await job


async def test_a_cancelled_batch_is_told_from_a_failed_one(world):
    _, client = world
    async with client:
        job = await client.batches.create(BASE, ROWS)
        await anyio.sleep(55)
        await job.cancel()
        with pytest.raises(errors.BatchJobCancelled):
            await job
        assert len([result async for result in job.results()]) == 5


# ── the server engine ──────────────────────────────────────────────────────────────────────────────────────────────


async def texts(client, **options):
    async with client.batch(BASE, ROWS, engine="server", **options) as results:
        return {result.key: result.text_or_none async for result in results}


async def test_the_server_engine_asks_by_one_batch(world, tmp_path):
    app, client = world
    async with client:
        found = await texts(client, journal=tmp_path / "j")
        assert {key: text.split()[0] for key, text in found.items()} == dict(ROWS)
        again = await texts(client, journal=tmp_path / "j")
        assert again == found
    assert len(sent(app, CREATE)) == 1


async def test_what_a_batch_leaves_is_asked_from_here(virtual_time):
    app = app_with(batch_failed=0.3, batch_missing=0.3)
    async with client_of(app) as client:
        found = await texts(client, finish="local")
        assert {key: text.split()[0] for key, text in found.items()} == dict(ROWS)
    assert 0 < len([entry for entry in app.requests if str(entry.method).endswith("generateContent")]) < 10


@pytest.mark.parametrize("fault", ["reset, acted", "reset, not acted", "500, acted", "200 with cut JSON, acted"])
async def test_a_lost_reply_costs_no_second_batch(virtual_time, fault):
    app = app_with()
    way = Faulty(httpx.ASGITransport(app), [BY_NAME[fault]], part="/batchPredictionJobs", ends=True)
    async with client_of(app, way) as client:
        found = await texts(client)
        assert len(found) == 10
    assert way.used == 1
    assert len(app.store.shelves["vertex_batches"].jobs) == 1


async def test_a_run_that_was_left_is_collected_by_the_next_one(world, tmp_path):
    app, client = world
    async with client:
        with anyio.move_on_after(30):
            await texts(client, journal=tmp_path / "j")
        assert len(sent(app, CREATE)) == 1
        found = await texts(client, journal=tmp_path / "j")
        assert {key: text.split()[0] for key, text in found.items()} == dict(ROWS)
    assert len(sent(app, CREATE)) == 1
