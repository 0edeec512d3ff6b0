"""Live loss on Vertex AI, over the emulator: what it costs, what it brings, and that nothing comes twice or is lost."""

import json
import math
import re
import threading
from collections import Counter

import anyio
import httpx
import pytest

import gemtune
from gemtune import events
from gemtune.emulator import Fault
from gemtune.looks import vertex_words
from vertex.service import BASE, TRAIN, VALIDATION, make_vertex, put
from world import collect, make_app

pytestmark = pytest.mark.usefixtures("virtual_time")
EPOCHS = gemtune.Hyperparameters(epoch_count=3)
CURVES = "tensorboards.batchRead"


def snapshots(seen):
    return [event for event in seen if isinstance(event, events.Snapshot)]


async def test_once_it_is_known_where_the_curves_are_every_look_costs_one_request(virtual_time):
    app = make_app(step_seconds=1.0, queue_seconds=0.1)
    put(app, count=400)
    put(app, VALIDATION, 3)
    _, client = make_vertex(app)
    put(app, count=400)
    async with client:
        job = await client.tune(BASE, TRAIN, validation_data=VALIDATION, hyperparameters=EPOCHS)
        seen = await collect(job.events())
    counts = Counter(entry.method for entry in app.requests)
    steps = len(snapshots(seen))
    assert steps == 300
    # Where the curves are is found out once; apart from that a look is a request, each other second.
    assert counts["metadataStores.contexts.get"] == counts["metadataStores.contexts.list"] == 1
    searches = counts["tensorboards.experiments.runs.timeSeries.list"]
    assert searches <= counts[CURVES] / 2, "until the first evaluation"
    looks = job.statistics().looks
    assert counts[CURVES] + counts["tuningJobs.get"] == looks - 1 <= virtual_time() / 2 + 3, (
        "the creation shows the job"
    )
    assert counts.total() == 1 + (looks - 1) + 2 + searches
    assert counts["tuningJobs.get"] >= 20


async def test_evaluations_come_as_updates_of_the_steps_that_they_belong_to():
    app = make_app(step_seconds=1.0, queue_seconds=0.1, eval_lag_steps=3)
    _, client = make_vertex(app)
    async with client:
        job = await client.tune(BASE, TRAIN, validation_data=VALIDATION, hyperparameters=EPOCHS)
        seen = await collect(job.events())
    first = {event.step: event for event in snapshots(seen)}
    updates = [event for event in seen if isinstance(event, events.SnapshotUpdated)]
    assert list(first) == list(range(1, 8))
    assert all(event.accuracy is not None for event in first.values())
    assert updates
    for update in updates:
        assert first[update.step].eval_loss is None
        assert update.eval_loss is not None
        assert update.mean_loss == first[update.step].mean_loss
    assert len({update.step for update in updates}) == len(updates)


async def test_without_validation_data_there_are_no_evaluations_and_no_search_for_them():
    app = make_app(step_seconds=1.0, queue_seconds=0.1)
    _, client = make_vertex(app)
    async with client:
        job = await client.tune(BASE, TRAIN, hyperparameters=EPOCHS)
        seen = await collect(job.events())
    assert all(event.eval_loss is None for event in snapshots(seen))
    counts = Counter(entry.method for entry in app.requests)
    assert counts["tensorboards.experiments.runs.timeSeries.list"] == 1


async def test_checkpoints_are_events_and_values_that_can_be_asked_while_the_job_still_runs():
    _, client = make_vertex()
    async with client:
        job = await client.tune(BASE, TRAIN, hyperparameters=EPOCHS)
        ready = []
        async for event in job.events():
            if isinstance(event, events.CheckpointReady):
                ready.append(event.checkpoint)
                assert (await client.generate_content(event.checkpoint, "seven")).text.startswith("eight")
        assert [each.checkpoint_id for each in ready] == ["1", "2", "3"]
        assert job.checkpoints == (await job).checkpoints == tuple(ready)


async def test_a_curve_of_more_than_a_thousand_points_is_whole():
    app = make_app(step_seconds=0.05, queue_seconds=0.1)
    _, client = make_vertex(app)
    put(app, count=1000)
    async with client:
        hyperparameters = gemtune.Hyperparameters(epoch_count=5)
        job = await client.tune(BASE, TRAIN, hyperparameters=hyperparameters)
        steps = [event.step for event in snapshots(await collect(job.events()))]
    assert steps == list(range(1, 1251))
    assert Counter(entry.method for entry in app.requests)[
        "tensorboards.experiments.runs.timeSeries.exportTensorboardTimeSeries"
    ]


@pytest.mark.parametrize(("count", "here"), [(100, True), (1000, False)])
async def test_what_many_steps_mean_is_worked_out_in_a_thread(monkeypatch, count, here):
    threads = []

    def noted(steps, known, plain=vertex_words.snapshots):
        threads.append((len(steps) > 1000, threading.get_ident() == threading.main_thread().ident))
        return plain(steps, known)

    monkeypatch.setattr(vertex_words, "snapshots", noted)
    app = make_app(step_seconds=0.05, queue_seconds=0.1)
    _, client = make_vertex(app)
    put(app, count=count)
    async with client:
        await (await client.tune(BASE, TRAIN, hyperparameters=gemtune.Hyperparameters(epoch_count=5)))
    assert set(threads) >= {(not here, here)}
    assert all(many is not main for many, main in threads)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503, times=3), Fault(status=500, times=3), Fault(garbage=True, times=3), Fault(drop=True, times=3),
        Fault(status=429, times=3), Fault(status=200, body="", times=3), Fault(method=CURVES, status=404, times=1),
        Fault(method=CURVES, status=403, times=1), Fault(method=CURVES, status=200, body="{}", times=3),
        Fault(method="metadataStores.contexts.get", status=404, times=1),
    ],
    ids=lambda fault: f"{fault.method} {fault.status or 'broken'}{' off' * fault.drop}",
)  # fmt: skip
@pytest.mark.parametrize("after", [1, 14, 17, 60])
async def test_no_fault_of_a_look_repeats_or_loses_a_snapshot(fault, after):
    app = make_app(step_seconds=1.0, queue_seconds=0.1)
    _, client = make_vertex(app)
    async with client:
        job = await client.tune(BASE, TRAIN, validation_data=VALIDATION, hyperparameters=EPOCHS)
        seen = []

        async def follow():
            seen.extend(await collect(job.events()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            await anyio.sleep(after)
            app.faults.add(fault)
    assert [event.step for event in snapshots(seen)] == list(range(1, 8))
    assert isinstance(seen[-1], events.Succeeded)


async def test_without_an_experiment_there_are_snapshots_of_the_checkpoints_without_a_loss():
    app = make_app(step_seconds=1.0, queue_seconds=0.1)
    inner = httpx.ASGITransport(app)

    class Unrecorded(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            response = await inner.handle_async_request(request)
            if request.method == "GET" and "/tuningJobs/" in request.url.path:
                body = json.loads(await response.aread())
                body.pop("experiment", None)
                return httpx.Response(200, json=body)
            return response

    _, client = make_vertex(app, Unrecorded())
    async with client:
        job = await client.tune(BASE, TRAIN, hyperparameters=EPOCHS)
        seen = await collect(job.events())
    assert [(event.step, event.epoch) for event in snapshots(seen)] == [(3, 1), (5, 2), (7, 3)]
    assert all(math.isnan(event.mean_loss) for event in snapshots(seen))
    assert isinstance(seen[-1], events.Succeeded)
    assert job.progress.completed_steps == 7


@pytest.mark.parametrize("watched", [False, True])
async def test_a_job_whose_curves_may_not_be_read_is_followed_all_the_same_and_says_why_it_has_no_losses(
    watched, caplog
):
    app = make_app(step_seconds=1.0, queue_seconds=0.1)
    app.faults.add(Fault(method="metadataStores.contexts.get", status=403, message="not yours", times=1000))
    _, client = make_vertex(app)
    async with client:
        job = await client.tune(BASE, TRAIN, hyperparameters=EPOCHS)
        other = await client.tune(BASE, TRAIN, hyperparameters=EPOCHS)
        if watched:
            async with client.watch([job, other]) as watcher:
                seen = [event async for event in watcher if event.job == job.name]
                pictures = watcher.pictures()
        else:
            seen = await collect(job.events())
            await other
            pictures = [job.picture(), other.picture()]
    assert all(re.match("no losses: .* 403 PERMISSION_DENIED: not yours; ", picture.trouble) for picture in pictures)
    assert len(pictures) == 2
    (warning,) = [record for record in caplog.records if record.name == "gemtune.jobs"]
    assert warning.getMessage().endswith(". The role Vertex AI User (roles/aiplatform.user) may read the curves")
    assert warning.levelname == "WARNING"
    assert "403 PERMISSION_DENIED: not yours; " in warning.getMessage()
    assert isinstance(seen[-1], events.Succeeded)
    assert snapshots(seen) == []
    assert [event.checkpoint.step for event in seen if isinstance(event, events.CheckpointReady)] == [3, 5, 7]


async def test_once_the_curves_may_be_read_nothing_is_said_of_them_any_more():
    app = make_app(step_seconds=1.0, queue_seconds=0.1)
    app.faults.add(Fault(method="metadataStores.contexts.get", status=403, message="not yours", times=1))
    _, client = make_vertex(app)
    async with client:
        job = await client.tune(BASE, TRAIN, hyperparameters=EPOCHS)
        troubles = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(collect, job.events())
            while not job.done:
                troubles.append(job.picture().trouble)
                await anyio.sleep(1)
    assert any(trouble.startswith("no losses: ") for trouble in troubles)
    assert troubles[-1] == job.picture().trouble == ""
