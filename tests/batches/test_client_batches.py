"""``client.batches`` and ``client.files`` of the Gemini API, against the emulator."""

import io
import json
import os

import anyio
import httpx
import pytest

import gemtune
from gemtune import errors
from gemtune.resources.batches import collection
from gemtune.types.batches import BatchState
from world import TOKEN, make_app, make_client, sent

pytestmark = pytest.mark.usefixtures("virtual_time")
MODEL = "models/gemini-3.7-flash"


@pytest.fixture
def app():
    return make_app(batch_queue_seconds=1.0, batch_seconds=10.0)


@pytest.fixture
async def client(app):
    async with make_client(app) as client:
        yield client


async def ended(client, batch):
    await anyio.sleep(12)
    return await client.batches.get(batch.name)


async def replies_of(client, batch):
    return {reply.key: reply async for reply in client.batches.results(batch)}


@pytest.mark.both_backends
async def test_a_few_prompts_go_with_the_creation_and_their_replies_have_the_keys(client, app):
    created = await client.batches.create(MODEL, [("a", "one"), ("b", "two"), "three"], display_name="mine")
    assert (created.display_name, created.model, created.state) == ("mine", MODEL, BatchState.PENDING)
    assert (created.batch.input, created.counts.total) == ("", 3)
    batch = await ended(client, created)
    assert (batch.state, batch.done, batch.counts.successful, len(batch.replies)) == (BatchState.SUCCEEDED, True, 3, 3)
    replies = await replies_of(client, batch)
    assert set(replies) == {"a", "b", "2"}
    assert all(reply.response.text for reply in replies.values())
    assert sent(app, "media.upload") == []


@pytest.mark.both_backends
async def test_many_prompts_go_into_a_file_and_come_back_from_one(client, app, monkeypatch):
    monkeypatch.setattr(collection, "_INLINE_COUNT", 10)
    created = await client.batches.create(MODEL, ((f"k{n}", f"prompt {n}") for n in range(25)))
    assert created.batch.input.startswith("files/gemtune-")
    assert created.display_name == created.batch.input.removeprefix("files/")
    batch = await ended(client, created)
    assert batch.output.startswith("files/batch-")
    assert set(await replies_of(client, batch)) == {f"k{n}" for n in range(25)}


async def test_what_frames_the_requests_stands_in_each_line(client, app):
    config = gemtune.GenerationConfig(temperature=0.5)
    await client.batches.create(
        MODEL, [("a", "x"), ("b", {"contents": "y"})], system_instruction="Briefly.", generation_config=config
    )
    (entry,) = sent(app, "models.batchGenerateContent")
    requests = json.loads(entry.body)["batch"]["inputConfig"]["requests"]["requests"]
    assert [each["request"]["generationConfig"] for each in requests] == [{"temperature": 0.5}] * 2
    assert [each["request"]["systemInstruction"]["parts"] for each in requests] == [[{"text": "Briefly."}]] * 2


async def test_a_file_with_ready_lines_is_used_as_it_is(client):
    lines = b"".join(
        json.dumps({"key": f"k{n}", "request": {"contents": [{"parts": [{"text": "x"}]}]}}).encode() + b"\n"
        for n in range(3)
    )
    file = await client.files.upload(lines, mime_type="application/jsonl", display_name="ready")
    for given in (file, file.name):
        batch = await ended(client, await client.batches.create(MODEL, given))
        assert batch.input == file.name
        assert set(await replies_of(client, batch)) == {"k0", "k1", "k2"}
    with pytest.raises(errors.InvalidInput, match=r"^system_instruction frames requests"):
        await client.batches.create(MODEL, file, system_instruction="Briefly.")


async def test_batches_are_listed_cancelled_and_deleted(client):
    first = await client.batches.create(MODEL, ["x"], display_name="first")
    second = await client.batches.create(MODEL, ["x"], display_name="second")
    assert [each.name for each in await client.batches.list(page_size=1).all()] == [second.name, first.name]
    await client.batches.cancel(first)
    assert (await client.batches.get(first)).state in {BatchState.CANCELLED, BatchState.CANCELLING}
    await client.batches.cancel(first.name)
    await client.batches.delete(second.name.removeprefix("batches/"))
    assert [each.name for each in await client.batches.list().all()] == [first.name]
    with pytest.raises(errors.NotFound):
        await client.batches.get(second)


@pytest.mark.both_backends
async def test_several_tasks_share_the_replies_of_one_iterator(client):
    batch = await ended(client, await client.batches.create(MODEL, [(f"k{n}", "x") for n in range(40)]))
    replies, seen = client.batches.results(batch), []

    async def read():
        async for reply in replies:
            seen.append(reply.key)
            await anyio.sleep(0.1)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(read)
    assert sorted(seen) == sorted(f"k{n}" for n in range(40))


async def test_results_of_a_batch_that_has_none_say_why(client):
    batch = await client.batches.create(MODEL, ["x"])
    with pytest.raises(errors.NotFound, match="has no results: it has not ended"):
        await anext(client.batches.results(batch))


async def test_inline_replies_that_are_larger_than_any_reply_may_be_come_one_by_one(client, app):
    batch = await client.batches.create(MODEL, [(f"k{n}", f"prompt {n}") for n in range(40)])
    await anyio.sleep(12)
    client._caller.wire.max_body = 4000
    seen = await client.batches.get(batch.name)
    assert (seen.done, seen.counts.successful, seen.replies) == (True, 40, ())
    assert set(await replies_of(client, batch)) == {f"k{n}" for n in range(40)}


async def test_failures_of_single_requests_are_replies_with_an_error():
    app = make_app(batch_queue_seconds=0.0, batch_seconds=1.0, batch_failed=1.0)
    async with make_client(app) as client:
        batch = await ended(client, await client.batches.create(MODEL, [("a", "x")]))
        (reply,) = (await replies_of(client, batch)).values()
        assert (reply.key, reply.response) == ("a", None)
        assert reply.error.message


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        ([], "requests: there are none"),
        ([("a", "x"), ("a", "y")], r"requests: row 2: the key 'a' was used before"),
        (["x", ("0", "y")], r"requests: row 2: the key '0' was used before"),
        (["x", ""], "row 2: the prompt is empty"),
        ("one prompt", "put one prompt in"),
        ([{"contents": "x", "model": "models/other"}], "the request is for models/other"),
    ],
)
async def test_rows_that_cannot_be_asked_are_refused_before_anything_is_sent(client, app, requests, said):
    with pytest.raises(errors.InvalidInput, match=said):
        await client.batches.create(MODEL, requests)
    assert sent(app) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": {"a": "b"}}, "labels is an argument of Vertex AI"),
        ({"display_name": ""}, "display_name must be a string of 1 to 512 characters"),
        ({"priority": True}, "priority must be a whole number"),
        ({"timeout": 0}, "timeout must be a positive number"),
        ({"frame": 1}, "frame is no argument of a batch"),
    ],
)
async def test_arguments_are_refused_in_our_words(client, app, options, said):
    with pytest.raises(errors.InvalidInput, match=said):
        await client.batches.create(MODEL, ["x"], **options)
    assert sent(app) == []


@pytest.mark.both_backends
async def test_a_file_is_uploaded_in_pieces_from_a_path_and_checked(client, app, tmp_path):
    path, content = tmp_path / "notes.txt", bytes(range(256)) * 140_000
    path.write_bytes(content)
    seen = []
    file = await client.files.upload(path, on_progress=lambda arrived, size: seen.append((arrived, size)))
    assert (file.display_name, file.mime_type, file.size_bytes) == ("notes.txt", "text/plain", len(content))
    assert seen == [(16 << 20, len(content)), (32 << 20, len(content)), (len(content), len(content))]
    assert await client.files.get(file) == file
    assert await client.files.list().all() == [file]
    await client.files.delete(file)
    assert await client.files.list().all() == []


async def test_bytes_and_open_files_are_uploaded_from_where_they_stand(client, tmp_path):
    open_file = io.BytesIO(b"before and after")
    open_file.seek(7)
    for given, content in ((b"and after", b"and after"), (open_file, b"and after")):
        file = await client.files.upload(given)
        assert file.size_bytes == len(content)
        assert not open_file.closed


async def test_a_file_whose_name_is_not_utf_8_is_uploaded_under_one_that_is(client):
    file = io.BytesIO(b"content")
    file.name = os.fsdecode(b"caf\xe9.txt")
    uploaded = await client.files.upload(file)
    assert (uploaded.display_name, uploaded.mime_type) == ("caf?.txt", "text/plain")


@pytest.mark.parametrize(
    ("file", "options", "said"),
    [
        (b"", {}, "file: .* is empty"),
        (io.StringIO("x"), {}, "file must be a path, bytes, or a file that is open for reading bytes"),
        (7, {}, "file must be a path, bytes"),
        (b"x", {"name": "No!"}, "name 'No!' is not allowed for a file"),
        (b"x", {"display_name": "x" * 513}, "display_name must be a string of at most 512"),
        (b"x", {"mime_type": "text"}, "mime_type must be a MIME type"),
    ],
)
async def test_files_that_cannot_be_uploaded_are_refused_in_our_words(client, app, file, options, said):
    with pytest.raises(errors.InvalidInput, match=said):
        await client.files.upload(file, **options)
    assert sent(app) == []


async def test_a_name_of_ones_own_is_given_once_and_the_same_content_is_adopted(client):
    file = await client.files.upload(b"content", name="mine")
    assert file.name == "files/mine"
    assert await client.files.upload(b"content", name="mine") == file
    with pytest.raises(errors.AlreadyExists, match="files/mine exists already, with other content") as caught:
        await client.files.upload(b"other", name="files/mine")
    assert "choose another name" in str(caught.value)
    assert (await client.files.get("mine")).size_bytes == 7


async def results_file(client, monkeypatch, count=3):
    monkeypatch.setattr(collection, "_INLINE_COUNT", 0)
    return await ended(client, await client.batches.create(MODEL, [f"prompt {n}" for n in range(count)]))


@pytest.mark.both_backends
async def test_a_file_of_results_is_downloaded_as_bytes_or_to_a_path(client, monkeypatch, tmp_path):
    batch = await results_file(client, monkeypatch)
    content = await client.files.download(batch.output)
    assert len(content.splitlines()) == 3
    target = tmp_path / "results.jsonl"
    assert await client.files.download(batch.output, target) == target
    assert target.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["results.jsonl"]


async def test_an_uploaded_file_is_not_given_back_and_the_error_says_so(client, tmp_path):
    file = await client.files.upload(b"content")
    with pytest.raises(errors.NotSupported, match="was uploaded, and the service gives back only what it has made"):
        await client.files.download(file, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


async def test_on_vertex_files_name_cloud_storage():
    async with gemtune.Client(vertexai=True, project="my-project", token=TOKEN, base_url="http://127.0.0.1") as client:
        with pytest.raises(errors.NotSupported, match="Vertex AI has no files of its own: it reads from Cloud Storage"):
            await client.files.get("files/x")


async def test_a_file_that_arrives_spoiled_is_deleted_and_is_an_error(app):
    inner = httpx.ASGITransport(app)

    class Spoiling(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if "x-goog-upload-offset" in request.headers:
                body = b"S" + request.content[1:]
                request = httpx.Request(request.method, request.url, headers=request.headers, content=body)
            return await inner.handle_async_request(request)

    async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=Spoiling()) as client:
        with pytest.raises(errors.MalformedResponse, match="with other content than the 7 bytes that were sent"):
            await client.files.upload(b"content")
        assert await client.files.list().all() == []
