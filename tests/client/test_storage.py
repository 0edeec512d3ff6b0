"""Training data goes into Cloud Storage: once, in pieces, checked, and without leftovers."""

import io
import json
import logging
import os
import tempfile
import threading

import anyio
import httpx
import pytest

import gemtune
from bucket import Bucket
from gemtune import errors
from gemtune.resources.storage import Storage
from gemtune.resources.uploads import cloud, sending
from world import TOKEN

ROWS = [("a", "x"), ("b", "y")]
MIB = 2**20


@pytest.fixture
def bucket():
    return Bucket()


@pytest.fixture
async def storage(bucket):
    settings = {"vertexai": True, "project": "my-project", "bucket": "my-bucket"}
    async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=bucket, **settings) as client:
        yield client.storage


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A file of 4.5 MiB, which is sent in pieces of 1 MiB."""
    monkeypatch.setattr(cloud, "WHOLE", MIB)
    monkeypatch.setattr(sending, "PIECE", MIB)
    path = tmp_path / "train.jsonl"
    line = json.dumps(
        {"contents": [{"role": "user", "parts": [{"text": "{}"}]}, {"role": "model", "parts": [{"text": "x" * 900}]}]}
    )
    path.write_text("".join(line.replace("{}", f"{number:06}") + "\n" for number in range(4700)), encoding="utf-8")
    assert 4 * MIB < path.stat().st_size < 5 * MIB
    return path


async def test_rows_become_one_object_that_is_called_by_its_content(storage, bucket):
    placed = await storage.upload(ROWS)
    ((name, content),) = bucket.objects.items()
    assert placed.uri == f"gs://my-bucket/{name}"
    assert name.startswith("gemtune/")
    assert name.endswith(".jsonl")
    assert [json.loads(line)["contents"][1]["parts"] for line in content.splitlines()] == [
        [{"text": "x"}],
        [{"text": "y"}],
    ]
    assert placed.data.rows == 2
    assert bucket.log == ["get", "multipart"]


async def test_a_repeat_uploads_nothing(storage, bucket):
    assert (await storage.upload(ROWS)).uri == (await storage.upload(iter(ROWS))).uri
    assert bucket.log == ["get", "multipart", "get"]
    await storage.upload(ROWS[:1])
    assert len(bucket.objects) == 2


async def test_a_large_file_is_sent_in_pieces_as_it_is(storage, bucket, large):
    said = []
    placed = await storage.upload(large, on_progress=lambda *progress: said.append(progress))
    assert list(bucket.objects.values()) == [large.read_bytes()]
    assert bucket.log == ["get", "resumable", *["put"] * 5]
    assert bucket.largest == MIB
    size = large.stat().st_size
    assert said == [*((number * MIB, size) for number in range(1, 5)), (size, size)]
    assert await storage.upload(large) == placed
    assert bucket.log[7:] == ["get"]


async def test_pieces_begin_where_the_service_has_got_to(storage, bucket, large):
    bucket.kept = 3 * 256 * 1024
    await storage.upload(large)
    assert list(bucket.objects.values()) == [large.read_bytes()]
    assert bucket.log.count("put") == 6


async def test_a_service_that_takes_no_more_bytes_is_given_up(storage, bucket, large):
    bucket.kept = 0
    with pytest.raises(errors.Unavailable, match=r"0 of 4,[0-9,]+ bytes have arrived, and no more do"):
        await storage.upload(large)
    assert bucket.log.count("put") == 5


async def test_a_forgotten_upload_begins_again(storage, bucket, large):
    bucket.forgets = 2
    await storage.upload(large)
    assert list(bucket.objects.values()) == [large.read_bytes()]
    bucket.objects.clear()
    bucket.forgets = 3
    with pytest.raises(errors.Unavailable, match="has forgotten the upload 3 times"):
        await storage.upload(large)


@pytest.mark.parametrize("size", ["small", "large"])
async def test_what_arrives_damaged_is_deleted_and_refused(storage, bucket, large, size):
    bucket.spoiled = True
    with pytest.raises(errors.MalformedResponse, match="it was deleted: try again"):
        await storage.upload(ROWS if size == "small" else large)
    assert bucket.objects == {}
    assert bucket.log[-1] == "delete"


async def test_another_content_under_the_name_is_an_error_and_stays(storage, bucket):
    await storage.upload(ROWS)
    (name,) = bucket.objects
    bucket.objects[name] = b"something else"
    with pytest.raises(errors.AlreadyExists, match="gcloud storage rm gs://my-bucket/gemtune/"):
        await storage.upload(ROWS)
    assert bucket.objects == {name: b"something else"}


async def test_who_may_only_write_uploads_all_the_same(storage, bucket):
    bucket.readable = False
    assert (await storage.upload(ROWS)).uri == (await storage.upload(ROWS)).uri
    assert bucket.made == 1
    assert bucket.log == ["get", "multipart", "get", "multipart", "get"]


async def test_a_bucket_that_is_not_there_is_said_with_the_command_that_makes_it(storage):
    command = "gcloud storage buckets create gs://other-bucket --location REGION"
    with pytest.raises(
        errors.NotFound, match=f"the bucket other-bucket was not found .*; create it where you tune: {command}"
    ):
        await storage.upload(ROWS, bucket="other-bucket")


async def test_no_bucket_is_an_error_that_shows_the_ways_to_give_one(storage, bucket):
    without = Storage(storage._caller)
    with pytest.raises(errors.InvalidInput) as caught:
        await without.upload(ROWS)
    assert str(caught.value) == (
        "there is no bucket for the training data, and Vertex AI reads it from Cloud Storage; pass bucket='my-bucket', "
        "or set the environment variable GEMTUNE_BUCKET"
    )
    assert (await without.upload(ROWS, bucket="gs://my-bucket/")).uri.startswith("gs://my-bucket/gemtune/")
    for wrong in ("My Bucket", "a/b", "", 7, "-ab-"):
        with pytest.raises(errors.InvalidInput, match="bucket must be the name of a bucket"):
            await without.upload(ROWS, bucket=wrong)


async def test_what_is_in_cloud_storage_passes_through(storage, bucket):
    placed = await storage.upload("gs://anywhere/data/train.jsonl")
    assert (placed.uri, placed.data, bucket.log) == ("gs://anywhere/data/train.jsonl", None, [])
    with pytest.raises(errors.InvalidInput, match=r"gs://b/train.csv must end in \.jsonl"):
        await storage.upload("gs://b/train.csv")
    with pytest.raises(errors.InvalidInput, match="input has no meaning for a file in Cloud Storage: leave it out"):
        await storage.upload("gs://b/train.jsonl", input="a")


async def test_wrong_rows_are_refused_before_anything_is_asked(storage, bucket):
    with pytest.raises(errors.InvalidInput, match="row 1: output is empty"):
        await storage.upload([("a", "")])
    with pytest.raises(errors.InvalidInput, match="^validation_data: row 1: output is empty"):
        await storage.place([("a", "")], gemtune.datasets.Choice(), "supervised", field="validation_data")
    with pytest.raises(errors.InvalidInput, match="^validation_data is empty"):
        await storage.place([], gemtune.datasets.Choice(), "supervised", field="validation_data")
    assert bucket.log == []


async def test_a_file_that_changes_meanwhile_is_refused(storage, bucket, large):
    def cut(arrived, size):
        if arrived == 2 * MIB:
            os.truncate(large, 3 * MIB)

    with pytest.raises(errors.InvalidInput, match="train.jsonl has changed while it was uploaded"):
        await storage.upload(large, on_progress=cut)
    assert bucket.objects == {}


async def test_what_was_read_and_uploaded_is_logged(storage, large, caplog):
    with caplog.at_level(logging.INFO, logger="gemtune"):
        await storage.upload(large)
    lines = [record.getMessage() for record in caplog.records if record.name != "gemtune.http"]
    assert lines[0] == (
        "training data: 4,700 rows of train.jsonl; input = column 'contents: user', output = 'contents: model'"
    )
    assert lines[1].startswith("uploading 4,")
    assert " bytes to gs://my-bucket/gemtune/" in lines[1]
    assert [line.rpartition(": ")[2] for line in lines[2:]] == [
        "22 % uploaded", "44 % uploaded", "66 % uploaded", "88 % uploaded", "100 % uploaded",
    ]  # fmt: skip


@pytest.mark.parametrize("step", ["get", "resumable", "put", "spool"])
async def test_a_cancelled_upload_leaves_an_unfinished_session_at_most(storage, bucket, large, step, monkeypatch):
    made = []
    real = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: made.append(real()) or made[-1])
    inner = bucket.handle_async_request
    with anyio.CancelScope() as scope:

        async def handle(request):
            reply = await inner(request)
            if bucket.log[-1] == step:
                scope.cancel()
            return reply

        bucket.handle_async_request = handle
        if step == "spool":
            scope.cancel()
        await storage.upload(large if step == "put" else [("a", "x" * 2 * MIB)])
    assert scope.cancelled_caught
    assert bucket.objects == {}
    assert all(file.closed for file in made)


async def test_a_thread_that_spools_for_nobody_closes_its_file(storage, monkeypatch):
    opened, cancelled, closed = threading.Event(), threading.Event(), threading.Event()
    made = []  # or the collector would close it

    class Slow(io.BytesIO):
        def __init__(self):
            super().__init__()
            made.append(self)
            opened.set()
            cancelled.wait(5)

        def close(self):
            super().close()
            closed.set()

    monkeypatch.setattr(tempfile, "TemporaryFile", Slow)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(storage.upload, ROWS)
        assert await anyio.to_thread.run_sync(opened.wait, 5)
        tasks.cancel_scope.cancel()
    cancelled.set()
    assert await anyio.to_thread.run_sync(closed.wait, 5)


async def test_time_can_be_limited(storage, bucket):
    async def handle(request):
        await anyio.sleep_forever()

    bucket.handle_async_request = handle
    with pytest.raises(errors.DeadlineExceeded, match=r"did not end within 0\.01 s"):
        await storage.upload(ROWS, timeout=0.01)
    assert isinstance(bucket, httpx.AsyncBaseTransport)


async def test_data_that_vanish_while_they_are_copied_leave_no_file_open(storage, tmp_path, monkeypatch):
    path, made, usual = tmp_path / "train.jsonl", [], tempfile.TemporaryFile
    as_it_is = {"contents": [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "x"}]}]}
    to_be_copied = {"input": "b", "output": "y"}
    path.write_text(f"{json.dumps(as_it_is)}\n\n{json.dumps(as_it_is)}\n{json.dumps(to_be_copied)}\n")

    def vanish():
        path.unlink()
        made.append(usual())
        return made[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", vanish)
    with pytest.raises(FileNotFoundError):
        await storage.upload(path)
    assert [file.closed for file in made] == [True]
