"""Batches on Vertex AI: through Cloud Storage, created once, matched by key, whatever the network does."""

import io
import json

import anyio
import httpx
import pytest

from gemtune.emulator import Fault, JobFate
from gemtune.errors import AmbiguousOutcome, BadRequest, CallError, InvalidInput, NotFound, QuotaExhausted, Unavailable
from gemtune.protocol.vertex_names import Place
from gemtune.resources.batches.service import InlineInput, PlacedInput
from gemtune.resources.batches.vertex import VertexBatches
from gemtune.types.batches import BatchState
from proofs.faulty import BY_NAME, FAULTS, Faulty
from vertex.service import BASE, PLACE, TRAIN, Checked, make_vertex
from world import make_app, sent

pytestmark = pytest.mark.usefixtures("virtual_time")
ROWS = [(f"k{number}", str(number)) for number in range(10)]
CREATE = "batchPredictionJobs.create"


def app_with(**options):
    return make_app(**{"buckets": ["my-bucket"], "step_seconds": 1.0, "queue_seconds": 0.1} | options)


CHECKED = Checked()


def check(verb, target, body):
    """Refuse what the documents of Vertex AI do not know; they say nothing of Cloud Storage."""
    if "/storage/" not in target:
        CHECKED(verb, target, body)


def client_of(app, transport=None, **options):
    return make_vertex(app, transport, **{"bucket": "my-bucket", "on_request": check} | options)[1]


@pytest.fixture
async def world(virtual_time):
    app = app_with()
    return app, client_of(app)


def service_of(client):
    return VertexBatches(client._caller, Place("my-project", "us-central1"), "my-bucket")


def the(batch):
    """The batch of a handle, or the batch itself."""
    return getattr(batch, "name", batch)


async def outcome(act):
    """What came of a call, and the error if it failed."""
    try:
        return await act, None
    except CallError as error:
        return None, error


async def ended(client, batch):
    await anyio.sleep(60)
    found = await client.batches.get(the(batch))
    assert found.done
    return found


async def replies(client, batch):
    return {reply.key: reply async for reply in client.batches.results(the(batch))}


async def test_requests_go_through_the_bucket_and_every_reply_has_its_key(world):
    app, client = world
    async with client:
        batch = await client.batches.create(BASE, [*ROWS, ("Any key / ä", "x"), "no key"], labels={"team": "a"})
        found = await ended(client, batch)
        assert found.state is BatchState.SUCCEEDED
        assert (found.counts.total, found.counts.successful) == (12, 12)
        assert found.labels["team"] == "a"
        assert found.input.startswith("gs://my-bucket/gemtune/batches/")
        assert found.output.startswith(f"gs://my-bucket/gemtune/batches/{found.labels['gemtune-id']}/prediction-model-")
        got = await replies(client, batch)
        assert {key: reply.response.text.split()[0] for key, reply in got.items()} == {
            **dict(ROWS), "Any key / ä": "x", "11": "no",
        }  # fmt: skip
    assert len(sent(app, CREATE)) == 1


async def test_the_same_requests_are_uploaded_once(world):
    app, client = world
    async with client:
        first, second = [await client.batches.create(BASE, ROWS) for _ in range(2)]
        assert the(first) != the(second)
        batches = [await client.batches.get(the(each)) for each in (first, second)]
    assert len({batch.input for batch in batches}) == 1
    assert len(sent(app, "objects.insert")) == 1


async def test_a_tuned_model_is_asked_by_its_name_and_version(world):
    _, client = world
    async with client:
        model = await (await client.tune(BASE, TRAIN))
        batch = await client.batches.create(model, [("a", "seven")])
        found = await ended(client, batch)
        assert found.model == f"{found.model.partition('@')[0]}@1"
        assert "/models/" in found.model
        assert (await replies(client, batch))["a"].response.text.startswith("eight")
        other = VertexBatches(client._caller, Place("my-project", "europe-west4"), "my-bucket")
        with pytest.raises(InvalidInput, match=r"is in us-central1.*location='us-central1'"):
            await other.create(model.endpoint, PlacedInput("gs://my-bucket/x.jsonl"), "m")


async def test_failures_expiry_and_missing_lines_are_said_by_key():
    client = client_of(app_with(batch_failed=0.3, batch_missing=0.2, batch_partial=True))
    async with client:
        batch = await client.batches.create(BASE, [(f"k{number}", "x") for number in range(100)])
        found = await ended(client, batch)
        assert found.state is BatchState.PARTIALLY_SUCCEEDED
        got = await replies(client, batch)
        assert 60 < len(got) < 100
        failed = [reply for reply in got.values() if reply.error]
        assert {reply.error.code for reply in failed} == {13}
        assert 0 < len(failed) <= found.counts.failed


async def test_what_is_finished_at_a_cancel_has_results_and_a_second_cancel_is_no_failure(world):
    _, client = world
    async with client:
        batch = await client.batches.create(BASE, ROWS)
        await anyio.sleep(6)
        await client.batches.cancel(the(batch))
        found = await ended(client, batch)
        assert found.state is BatchState.CANCELLED
        assert len(await replies(client, batch)) == found.counts.finished == 5
        await client.batches.cancel(the(batch))
        with pytest.raises(NotFound):
            await client.batches.cancel("12345")


async def test_a_stuck_batch_expires(world):
    app, client = world
    app.faults.add(Fault(method=CREATE, job=JobFate(stall_at_step=3)))
    async with client:
        batch = await client.batches.create(BASE, ROWS)
        await anyio.sleep(25 * 3600)
        found = await client.batches.get(the(batch))
        assert found.state is BatchState.EXPIRED
        assert len(await replies(client, batch)) == 3


async def test_a_batch_that_runs_is_cancelled_before_it_is_deleted(world):
    _, client = world
    async with client:
        batch = await client.batches.create(BASE, ROWS)
        await anyio.sleep(5)
        await client.batches.delete(the(batch))
        with pytest.raises(NotFound):
            await client.batches.get(the(batch))
        with pytest.raises(NotFound):
            await client.batches.delete(the(batch))


async def test_batches_are_listed_in_pages_and_known_by_their_names(world):
    _, client = world
    async with client:
        names = [the(await client.batches.create(BASE, [("k", str(number))])) for number in range(5)]
        assert {batch.name async for batch in client.batches.list(page_size=2)} == set(names)
        short = names[0].rpartition("/")[2]
        assert (await client.batches.get(short)).name == names[0]
        with pytest.raises(InvalidInput):
            await client.batches.get("batches/1")


async def test_a_file_of_the_users_own_is_asked_as_it_is(world):
    app, client = world
    line = service_of(client).input_line("mine", BASE, _request("two"))
    _put(app, "theirs", "in.jsonl", line)
    async with client:
        batch = await client.batches.create(BASE, "gs://theirs/in.jsonl")
        found = await ended(client, batch)
        assert found.input == "gs://theirs/in.jsonl"
        assert found.output.startswith("gs://my-bucket/gemtune/batches/")  # where this client may write
        assert (await replies(client, batch)).keys() == {"mine"}


def _request(text):
    from gemtune.types import GenerateContentRequest

    return GenerateContentRequest(contents=text)


def _put(app, bucket, name, data):
    from gemtune.emulator.world.objects import StoredBucket, StoredObject

    objects, now = app.store.objects, app.clock.now()
    if bucket not in objects.buckets:
        objects.add_bucket(StoredBucket(name=bucket, created=now))
    scratch = objects.depot.scratch()
    scratch.append(data)
    generation, content = objects.settle(scratch, now)
    objects.put(StoredObject(bucket=bucket, name=name, generation=generation, created=now, content=content))


async def test_without_a_bucket_the_error_shows_both_ways_to_give_one():
    app = app_with()
    client = client_of(app, bucket=None)
    async with client:
        with pytest.raises(InvalidInput) as caught:
            await client.batches.create(BASE, ROWS)
        said = str(caught.value)
        assert "bucket='my-bucket'" in said
        assert "GEMTUNE_BUCKET" in said
        assert not sent(app)
        batch = await client.batches.create(BASE, ROWS, bucket="my-bucket")
        assert (await ended(client, batch)).output.startswith("gs://my-bucket/")


async def test_what_vertex_ai_does_not_take_is_refused_before_anything_is_sent(world):
    app, client = world
    placed, batches = PlacedInput("gs://my-bucket/x.jsonl"), service_of(client)
    model = f"{PLACE}/publishers/google/models/{BASE}"
    async with client:
        for options in (
            {"priority": 1}, {"labels": {"A": "b"}}, {"labels": {"gemtune-id": "x"}}, {"display_name": ""},
            {"display_name": "x" * 129},
        ):  # fmt: skip
            with pytest.raises(InvalidInput):
                await batches.create(model, placed, "mark", **options)
        for wrong in (PlacedInput("files/1"), PlacedInput("gs://"), InlineInput(b"{}\n", 1)):
            with pytest.raises(InvalidInput, match="Cloud Storage"):
                await batches.create(model, wrong, "mark")
    assert not sent(app)
    assert batches.limits.requests == 200_000
    assert batches.limits.inline_bytes == 0


# ── never twice ────────────────────────────────────────────────────────────────────────────────────────────────────


def unlucky(faults, *, part="/batchPredictionJobs", **kind):
    """An emulator and a client behind a network that breaks."""
    app = app_with()
    way = Faulty(httpx.ASGITransport(app), list(faults), part=part, **kind)
    return app, client_of(app, way), way


def alive(app):
    shelf = app.store.shelves["vertex_batches"]
    return [job.name for job in shelf.jobs.values() if job.cancelled is None]


async def test_a_creation_that_nobody_can_tell_about_is_ambiguous_and_says_how_to_look():
    app, client, way = unlucky([BY_NAME["reset, acted"]], ends=True)
    way.forever = BY_NAME["reset, not acted"]
    batches = service_of(client)
    _put(app, "my-bucket", "in.jsonl", batches.input_line("k", BASE, _request("x")))
    lists = Faulty(way, [], forever=BY_NAME["503 UNAVAILABLE"], verb="GET", part="/batchPredictionJobs", ends=True)
    client = client_of(app, lists)
    async with client:
        with pytest.raises(AmbiguousOutcome, match=r"batches\.list.*gemtune-id=mark-1"):
            await service_of(client).create(
                f"{PLACE}/publishers/google/models/{BASE}", PlacedInput("gs://my-bucket/in.jsonl"), "mark-1"
            )
        lists.forever = None
        found = await service_of(client).find("mark-1")
        assert [found.name] == alive(app)


async def test_absence_is_believed_only_after_two_passes(world, virtual_time):
    app, client = world
    async with client:
        begun = virtual_time()
        assert await service_of(client).find("nobody") is None
        assert virtual_time() - begun >= 10 - 1e-6
    assert len(sent(app, "batchPredictionJobs.list")) == 3  # with the filter, and twice without


async def test_a_mark_that_is_no_label_is_found_all_the_same(world):
    app, client = world
    batches = service_of(client)
    _put(app, "my-bucket", "in.jsonl", batches.input_line("k", BASE, _request("x")))
    async with client:
        made = await batches.create(BASE_NAME, PlacedInput("gs://my-bucket/in.jsonl"), "My Mark!")
        assert (await batches.find("My Mark!")).name == made.name


BASE_NAME = f"{PLACE}/publishers/google/models/{BASE}"


async def test_a_quota_is_the_callers_business(world):
    app, client = world
    _put(app, "my-bucket", "in.jsonl", b"{}\n")
    app.faults.add(Fault(method=CREATE, status=429, times=20))
    async with client:
        with pytest.raises(QuotaExhausted):
            await service_of(client).create(BASE_NAME, PlacedInput("gs://my-bucket/in.jsonl"), "m")
    assert not alive(app)


WAYS = {
    "get": ("GET", "/batchPredictionJobs/", lambda client, name: client.batches.get(name)),
    "list": ("GET", "/batchPredictionJobs", lambda client, name: client.batches.list().all()),
    "cancel": ("POST", ":cancel", lambda client, name: client.batches.cancel(name)),
    "delete": ("DELETE", "/batchPredictionJobs/", lambda client, name: client.batches.delete(name)),
    "results, list": ("GET", "my-bucket/o", replies),
    "results, object": ("GET", "predictions", replies),
    "upload, look": ("GET", "gemtune/batches/", lambda client, _: client.batches.create(BASE, [("z", "z")])),
    "upload": ("POST", "upload/storage", lambda client, _: client.batches.create(BASE, [("z", "z")])),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("what", sorted(WAYS))
async def test_every_other_request_may_be_lost_and_is_made_again(fault, what):
    verb, part, act = WAYS[what]
    app, client, way = unlucky([], verb=verb, part=part)
    way.ends = what in ("list", "results, list")
    async with client:
        batch = await client.batches.create(BASE, ROWS)
        await ended(client, batch)
        way.asked.clear()
        way.faults, way.used = [fault], 0
        done, failure = await outcome(act(client, the(batch)))
        assert way.used == 1
        if failure is not None:
            # What cannot be read is no passing trouble, and a quota for the day is not waited for.
            assert fault.name == "429 for the day" or fault.name.startswith("200 "), failure
            return
        if what.startswith("results"):
            assert done.keys() == dict(ROWS).keys()
    assert len(sent(app, CREATE)) == (2 if what.startswith("upload") else 1)


# ── results ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_results_in_several_files_are_one_file_of_whole_lines(world):
    app, client = world
    for name, data in {
        "predictions_1.jsonl": b'{"a": 1}', "sub/predictions_2.jsonl": b'{"a": 2}\n', "predictions_3.jsonl": b"",
        "errors.jsonl": b"no", "predictions.csv": b"no",
    }.items():  # fmt: skip
        _put(app, "my-bucket", f"out/dir/{name}", data)
    _put(app, "my-bucket", "out/dir2/predictions.jsonl", b"of another batch")
    async with client:
        batch = (await client.batches.get(the(await client.batches.create(BASE, ROWS)))).__class__(
            name="n", output="gs://my-bucket/out/dir/"
        )
        with io.BytesIO() as into:
            assert await service_of(client).fetch(batch, into) == 18
            assert into.getvalue() == b'{"a": 1}\n{"a": 2}\n'


async def test_a_batch_without_results_has_none(world):
    _, client = world
    async with client:
        batch = await client.batches.create(BASE, ROWS)
        found = await client.batches.get(the(batch))
        with io.BytesIO() as into:
            assert await service_of(client).fetch(found, into) == 0


@pytest.mark.parametrize("seconds", [120.0, 10_000.0])
async def test_results_that_are_late_are_waited_for_and_never_taken_for_none(virtual_time, seconds):
    async with client_of(app_with(batch_output_seconds=seconds)) as client:
        batch = await client.batches.create(BASE, ROWS)
        await ended(client, batch)
        got, failure = await outcome(replies(client, batch))
        if seconds < 600:
            assert got.keys() == dict(ROWS).keys()
        else:
            assert isinstance(failure, Unavailable)
            assert "10 answers, have not appeared" in str(failure)


async def test_an_input_is_left_where_it_is(world):
    app, client = world
    async with client:
        await service_of(client).discard(PlacedInput("gs://my-bucket/x.jsonl"))
    assert not sent(app)


async def test_a_refusal_is_said_as_the_service_says_it(world):
    app, client = world
    _put(app, "my-bucket", "in.jsonl", b"{}\n")
    async with client:
        with pytest.raises(BadRequest):
            await service_of(client).create(f"{PLACE}/nope", PlacedInput("gs://my-bucket/in.jsonl"), "m")
        with pytest.raises(NotFound):
            await client.batches.create("gemini-nope", ROWS)
    assert json.dumps(alive(app)) == "[]"
