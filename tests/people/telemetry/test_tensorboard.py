"""TensorBoard reads what gemtune writes: its own reader is asked, and its plug-in for hyperparameters."""

import functools
import struct
import threading
import types

import anyio
import anyio.lowlevel
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from gemtune.telemetry import TensorBoard, forward
from gemtune.telemetry.tracking import tfevents
from gemtune.testing import GeminiEmulator
from gemtune.types import Hyperparameters

BASE = "models/gemini-1.0-pro-001"
ROWS = [(str(number), str(number + 1)) for number in range(20)]


def read(folder) -> EventAccumulator:
    reader = EventAccumulator(str(folder))
    reader.Reload()
    return reader


def points(folder, tag):
    return [(point.step, point.value, point.wall_time) for point in read(folder).Scalars(tag)]


def steps(folder):
    return [point[:2] for point in points(folder, "loss/train")]


def single(value):
    """A number as a file of TensorBoard holds it, with single precision."""
    return struct.unpack("f", struct.pack("f", value))[0]


def seen(job):
    return [(one.step, single(one.mean_loss), one.compute_time.to_datetime().timestamp()) for one in job.snapshots]


async def trained(client, name="lxiv", **options):
    job = await client.tune(BASE, ROWS, tuned_model_id=name, **options)
    await job
    return job


async def test_a_job_is_a_run_with_its_curve_and_its_hyperparameters(tmp_path):
    async with GeminiEmulator.make().client() as client:
        used = Hyperparameters(epoch_count=3, batch_size=4, learning_rate=0.002)
        job = await trained(client, hyperparameters=used, display_name="the next number")
    with TensorBoard(tmp_path) as board:
        await anyio.to_thread.run_sync(board.write, job)
    assert [path.name for path in tmp_path.iterdir()] == ["lxiv"]
    assert points(tmp_path / "lxiv", "loss/train") == seen(job)
    reader = read(tmp_path / "lxiv")
    assert "the next number" in reader.Tensors("job")[0].tensor_proto.string_val[0].decode()
    said = reader.summary_metadata[metadata.SESSION_START_INFO_TAG].plugin_data.content
    start = metadata.parse_session_start_info_plugin_data(said)
    found = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    assert found == {"base_model": "gemini-1.0-pro-001", "epoch_count": 3, "batch_size": 4, "learning_rate": 0.002}
    assert start.group_name == "lxiv"


async def test_on_vertex_the_loss_on_the_validation_data_is_a_second_curve(tmp_path):
    emulator = GeminiEmulator.make()
    options = {"vertexai": True, "project": "my-project", "location": "us-central1", "bucket": "test-bucket"}
    async with emulator.client(**options) as client:
        job = await client.tune("gemini-2.5-flash", ROWS, validation_data=ROWS[:5])
        with TensorBoard(tmp_path) as board:
            await forward(job, board)
    (folder,) = tmp_path.iterdir()
    assert folder.name == job.name.rpartition("/")[2]
    known = [(each.step, single(each.eval_loss)) for each in job.snapshots if each.eval_loss is not None]
    assert known
    assert [(step, value) for step, value, _ in points(folder, "loss/eval")] == known
    assert set(read(folder).Tags()["scalars"]) >= {"loss/train", "loss/eval", "accuracy/train", "accuracy/eval"}


async def test_a_watcher_makes_a_run_for_each_job_as_its_steps_come(tmp_path):
    async with GeminiEmulator.make().client() as client:
        jobs = [await client.tune(BASE, ROWS, tuned_model_id=name) for name in ("a", "b", "c")]
        async with client.watch(jobs) as watcher:
            with TensorBoard(tmp_path) as board:
                await forward(watcher, board)
        size = sum(path.stat().st_size for path in tmp_path.rglob("events*"))
        for job in jobs:
            await job.refresh()
            folder = tmp_path / job.name.rpartition("/")[2]
            assert points(folder, "loss/train") == seen(job)
            assert metadata.SESSION_START_INFO_TAG in read(folder).summary_metadata
            with TensorBoard(tmp_path) as board:
                await anyio.to_thread.run_sync(board.write, job)
        assert sum(path.stat().st_size for path in tmp_path.rglob("events*")) == size


async def test_a_tensorboard_that_runs_sees_the_file_grow(tmp_path):
    emulator = GeminiEmulator.make(step_seconds=10.0)
    async with emulator.client() as client:
        job = await client.tune(BASE, ROWS, tuned_model_id="lxiv")
        emulator.advance(25)
        await job.refresh()
        with TensorBoard(tmp_path) as board:
            await anyio.to_thread.run_sync(board.write, job)
            reader = read(tmp_path / "lxiv")
            first = len(reader.Scalars("loss/train"))
            assert metadata.SESSION_START_INFO_TAG not in reader.summary_metadata  # not all of it is known yet
            emulator.advance(3600)
            await job.refresh()
            await anyio.to_thread.run_sync(board.write, job)
            reader.Reload()
    assert "epoch_count" in str(reader.Tensors("job")[0].tensor_proto.string_val[0])
    assert 0 < first < len(reader.Scalars("loss/train")) == len(job.snapshots)


async def test_two_that_export_one_job_at_once_write_each_step_once_and_lose_none(tmp_path):
    emulator = GeminiEmulator.make(step_seconds=10.0)
    async with emulator.client() as client:
        job = await client.tune(BASE, ROWS, tuned_model_id="lxiv")
        with TensorBoard(tmp_path) as first, TensorBoard(tmp_path) as second:
            for seconds in (25, 20, 3600):
                emulator.advance(seconds)
                await job.refresh()
                await anyio.to_thread.run_sync(first.write, job)
                await anyio.to_thread.run_sync(second.write, job)
    assert steps(tmp_path / "lxiv") == [(one.step, single(one.mean_loss)) for one in job.snapshots]
    (file,) = (tmp_path / "lxiv").iterdir()
    assert file.read_bytes().count(b"_hparams_/") == 1


async def test_what_another_has_appended_since_a_file_was_read_is_not_cut_off(tmp_path, monkeypatch):
    emulator = GeminiEmulator.make(step_seconds=10.0)
    async with emulator.client() as client:
        job = await client.tune(BASE, ROWS, tuned_model_id="lxiv")
        emulator.advance(25)
        await job.refresh()
        with TensorBoard(tmp_path) as first, TensorBoard(tmp_path) as second:
            await anyio.to_thread.run_sync(first.write, job)
            known = ("name", "display_name", "base_model", "hyperparameters", "snapshots", "done")
            behind = types.SimpleNamespace(**{name: getattr(job, name) for name in known})
            behind.snapshots = [*job.snapshots]
            emulator.advance(3600)
            await job.refresh()
            other = threading.Thread(target=first.write, args=[job])
            read, started = tfevents.frames, []

            def slow(data):
                """What a file holds, while another thread would append to it."""
                found = list(read(data))
                if not started:
                    started.append(other.start())
                    other.join(0.2)  # it waits for us, or has written by then
                return found

            monkeypatch.setattr(tfevents, "frames", slow)
            await anyio.to_thread.run_sync(second.write, behind)
            await anyio.to_thread.run_sync(other.join)
    assert steps(tmp_path / "lxiv") == [(one.step, single(one.mean_loss)) for one in job.snapshots]


async def test_a_plain_function_that_returns_an_awaitable_has_it_awaited():
    seen = []

    def later(function, event):
        return function(event)

    async def keep(event):
        await anyio.lowlevel.checkpoint()
        seen.append(event.kind)

    async with GeminiEmulator.make().client() as client:
        job = await client.tune(BASE, ROWS, tuned_model_id="lxiv")
        await forward(job, functools.partial(later, keep))
        assert seen == [event.kind async for event in job.events()]
    assert seen[-1] == "succeeded"
