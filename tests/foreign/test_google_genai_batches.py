"""google-genai's batches and files, in sync and async use: uploads in parts, batches of both forms, results."""

import json

import httpx2
import pytest
from google import genai
from google.genai import errors, types

from gemtune.emulator import BatchFate, Fault, JobFate

pytestmark = [pytest.mark.socket, pytest.mark.filterwarnings("ignore")]  # of Google's code

MODEL = "gemini-3.7-flash"
MIB = 1 << 20
JSONL = {"mime_type": "application/jsonl"}
INLINE = [
    {"contents": [{"parts": [{"text": text}], "role": "user"}], "metadata": {"key": text}} for text in ("one", "two")
]


def connect(url, *, version="v1beta", **options):
    return genai.Client(api_key="K", http_options=types.HttpOptions(base_url=url, api_version=version, **options))


@pytest.fixture
def emulator(serve):
    return serve(answers={"one": "uno", "two": "due"}, auth="required")


@pytest.fixture(params=["v1beta", None], ids=["v1beta", "its own version"])
def client(request, emulator):
    with connect(emulator.url, version=request.param) as client:
        yield client


@pytest.fixture(params=["httpx2", "aiohttp"])
async def engine(request):
    """Options that choose the engine of the async client; with aiohttp installed that is the default."""
    if request.param == "aiohttp":
        yield {}
    else:
        async with httpx2.AsyncClient() as http:
            yield {"httpx_async_client": http}


@pytest.fixture
def rows(tmp_path):
    """A file of 10 MiB with 20 requests: more than the client sends at once."""
    path = tmp_path / "rows.jsonl"
    lines = [
        {"key": f"k{n}", "request": {"contents": [{"parts": [{"text": f"{n} " + "x" * (MIB // 2)}]}]}}
        for n in range(20)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def keys_of(data):
    return {line["key"] for line in map(json.loads, data.splitlines())}


def test_a_file_goes_up_in_parts_and_is_got_listed_and_deleted(emulator, client, rows):
    file = client.files.upload(file=rows, config={"display_name": "rows", **JSONL})
    assert (file.state, file.source, file.size_bytes) == ("ACTIVE", "UPLOADED", rows.stat().st_size)
    assert (file.display_name, file.mime_type, file.download_uri) == ("rows", "application/jsonl", None)
    parts = [entry.headers["x-goog-upload-command"] for entry in emulator.app.requests.of("media.part")]
    assert parts == ["upload", "upload, finalize"]
    assert client.files.get(name=file.name).sha256_hash == file.sha256_hash
    names = [client.files.upload(file=rows.open("rb"), config=JSONL).name, file.name]
    assert [each.name for each in client.files.list(config={"page_size": 1})] == names
    with pytest.raises(ValueError, match="Only generated files can be downloaded"):
        client.files.download(file=file)
    with pytest.raises(errors.ClientError, match="400 INVALID_ARGUMENT"):
        client.files.download(file=file.name)
    client.files.delete(name=file.name)
    with pytest.raises(errors.ClientError, match="403 PERMISSION_DENIED"):
        client.files.get(name=file.name)


def test_a_file_has_the_name_that_was_wanted_once(client, rows):
    assert client.files.upload(file=rows, config={"name": "mine", **JSONL}).name == "files/mine"
    with pytest.raises(errors.ClientError, match="409 ALREADY_EXISTS"):
        client.files.upload(file=rows, config={"name": "mine", **JSONL})


def test_an_upload_gets_through_a_part_that_was_refused(emulator, client, rows, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _seconds: None)  # of its own retry, which waits for seconds
    emulator.app.faults.add(Fault(method="media.part", status=503))
    assert client.files.upload(file=rows, config=JSONL).size_bytes == rows.stat().st_size
    assert len(emulator.app.requests.of("media.part")) == 3


def test_a_batch_of_a_file_is_created_followed_and_downloaded(emulator, client, rows, tmp_path):
    file = client.files.upload(file=rows, config=JSONL)
    job = client.batches.create(model=MODEL, src=file.name, config={"display_name": "mine"})
    assert (job.state, job.display_name, job.model) == ("JOB_STATE_PENDING", "mine", f"models/{MODEL}")
    emulator.app.advance(5)
    assert client.batches.get(name=job.name).state == "JOB_STATE_RUNNING"
    emulator.app.advance(100)
    job = client.batches.get(name=job.name)
    assert (job.state, job.done) == ("JOB_STATE_SUCCEEDED", True)
    assert job.create_time < job.update_time <= job.end_time
    assert keys_of(client.files.download(file=job.dest.file_name)) == {f"k{n}" for n in range(20)}
    made = next(each for each in client.files.list() if each.download_uri)
    client.files.download(file=made, destination=tmp_path / "results.jsonl")
    assert keys_of((tmp_path / "results.jsonl").read_bytes()) == {f"k{n}" for n in range(20)}


def test_a_batch_of_requests_brings_its_results_with_it(emulator, client):
    job = client.batches.create(model=MODEL, src=INLINE)
    emulator.app.advance(100)
    found = client.batches.get(name=job.name).dest.inlined_responses
    assert [(each.metadata["key"], each.response.text) for each in found] == [("one", "uno"), ("two", "due")]
    assert found[0].response.usage_metadata.total_token_count > 0


def test_a_tuned_model_answers_a_batch(emulator, client):
    with connect(emulator.url) as beta:
        examples = {"tuningTask": {"trainingData": {"examples": {"examples": [{"textInput": "1", "output": "2"}]}}}}
        tuned = beta.tunings.tune(
            base_model="models/gemini-1.0-pro-001", training_dataset=types.TuningDataset(examples=[]),
            config=types.CreateTuningJobConfig(http_options=types.HttpOptions(extra_body=examples)),
        )  # fmt: skip
    emulator.app.advance(1000)
    job = client.batches.create(model=tuned.name, src=[{"contents": [{"parts": [{"text": "1"}], "role": "user"}]}])
    emulator.app.advance(100)
    (found,) = client.batches.get(name=job.name).dest.inlined_responses
    assert found.response.text.startswith("2")


def test_batches_are_listed_cancelled_and_deleted(emulator, client):
    jobs = [client.batches.create(model=MODEL, src=INLINE) for _ in range(3)]
    client.batches.cancel(name=jobs[0].name)
    listed = list(client.batches.list(config={"page_size": 2}))
    assert [job.name for job in listed] == [job.name for job in jobs[::-1]]
    assert [job.state for job in listed] == ["JOB_STATE_PENDING"] * 2 + ["JOB_STATE_CANCELLED"]
    client.batches.delete(name=jobs[1].name)
    with pytest.raises(errors.ClientError, match="404 NOT_FOUND"):
        client.batches.get(name=jobs[1].name)


def test_what_goes_wrong_is_seen(emulator, client):
    emulator.app.faults.add(
        Fault(method="models.batchGenerateContent", batch=BatchFate(failed_lines=(2,))),
        Fault(method="models.batchGenerateContent", job=JobFate(fail_at_step=1)),
        Fault(method="models.batchGenerateContent", job=JobFate(stuck_ingestion=True)),
    )
    partly, failed, stuck = (client.batches.create(model=MODEL, src=INLINE).name for _ in range(3))
    emulator.app.advance(48 * 3600)
    found = client.batches.get(name=partly).dest.inlined_responses
    assert (found[0].response.text, found[1].error.code) == ("uno", 14)
    assert client.batches.get(name=failed).state == "JOB_STATE_FAILED"
    assert client.batches.get(name=stuck).state == "JOB_STATE_EXPIRED"


def test_too_many_tokens_in_the_queue_are_refused(serve):
    with connect(serve(batch_enqueued_tokens=1).url) as client, pytest.raises(errors.ClientError) as raised:
        client.batches.create(model=MODEL, src=INLINE)
    assert (raised.value.code, raised.value.status) == (429, "RESOURCE_EXHAUSTED")


async def test_the_async_client_does_the_same(emulator, engine, rows):
    app = emulator.app
    async with connect(emulator.url, **engine).aio as client:
        file = await client.files.upload(file=rows, config={"name": "rows", **JSONL})
        assert (await client.files.get(name=file.name)).size_bytes == rows.stat().st_size
        jobs = [
            await client.batches.create(model=MODEL, src=file.name, config={"display_name": "mine"}),
            await client.batches.create(model=MODEL, src=INLINE),
            await client.batches.create(model=MODEL, src=INLINE),
        ]
        await client.batches.cancel(name=jobs[2].name)
        app.advance(100)
        first, second, third = [await client.batches.get(name=job.name) for job in jobs]
        assert [job.state.removeprefix("JOB_STATE_") for job in (first, second, third)] == [
            "SUCCEEDED", "SUCCEEDED", "CANCELLED",
        ]  # fmt: skip
        assert keys_of(await client.files.download(file=first.dest.file_name)) == {f"k{n}" for n in range(20)}
        assert [each.response.text for each in second.dest.inlined_responses] == ["uno", "due"]
        assert [job.name async for job in await client.batches.list(config={"page_size": 1})] == [
            job.name for job in jobs[::-1]
        ]
        await client.batches.delete(name=jobs[0].name)
        with pytest.raises(errors.ClientError, match="404 NOT_FOUND"):
            await client.batches.get(name=jobs[0].name)
        assert len([each async for each in await client.files.list()]) == 2
        await client.files.delete(name=file.name)
        with pytest.raises(errors.ClientError, match="403 PERMISSION_DENIED"):
            await client.files.get(name=file.name)
    assert [entry.headers["x-goog-upload-command"] for entry in app.requests.of("media.part")] == [
        "upload", "upload, finalize",
    ]  # fmt: skip
