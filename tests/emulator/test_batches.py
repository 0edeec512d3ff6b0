"""Batches of the Gemini API: their life, their results, what goes wrong with them."""

import json
import shutil

import anyio
import anyio.to_thread
import pytest

from emulator.batching import (
    MODEL,
    batch_of,
    create,
    download,
    inline,
    requests,
    results,
    text_of,
    upload,
)
from emulator.emulated import BATCHES, bearer, prompt
from gemtune.emulator import BatchFate, Fault, JobFate

HOUR = 3600.0
TEXTS = [f"text {number}" for number in range(1, 11)]
TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch"


def is_like(observed, made) -> bool:
    """Whether keys come in the observed order, at every depth; an observed body may lack keys, as it was cut."""
    if isinstance(observed, dict):
        shared = [key for key in made if key in observed]
        return shared == list(observed) and all(is_like(observed[key], made[key]) for key in observed)
    if isinstance(observed, list):
        return all(is_like(observed[0], each) for each in made)
    return isinstance(made, type(observed))


async def stats(api, name):
    return (await api.get(f"/v1beta/{name}"))["metadata"]["batchStats"]


# ── the good case ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_batch_of_a_file_is_like_the_observed_one_from_beginning_to_end(start):
    api = await start(safety_ratings=False)
    file = await upload(api, requests("one", "two"))
    made = await create(api, {"fileName": file["name"]}, name="my batch name")
    assert is_like(BATCHES["create_file"], made)
    assert list(made["metadata"]) == list(BATCHES["create_file"]["metadata"])
    assert made["metadata"]["state"] == "BATCH_STATE_PENDING"
    assert len(made["name"].removeprefix("batches/")) == 36
    api.app.advance(1 + 10)
    done = await api.get(f"/v1beta/{made['name']}")
    assert is_like(BATCHES["done_file"], done)
    assert [list(done), list(done["metadata"])] == [
        list(BATCHES["done_file"]), list(BATCHES["done_file"]["metadata"]),
    ]  # fmt: skip
    assert done["metadata"]["output"] == {"responsesFile": f"files/batch-{made['name'].removeprefix('batches/')}"}
    assert done["response"] == {"@type": TYPE + "Output", **done["metadata"]["output"]}
    assert done["metadata"]["updateTime"] < done["metadata"]["endTime"]
    line = (await results(api, made["name"]))[0]
    observed = BATCHES["result_file_line"]
    assert list(line) == ["response", "key"]
    assert list(line["response"]) == list(observed["response"])


async def test_a_batch_whose_requests_came_with_it_is_like_the_observed_one(start):
    api = await start(safety_ratings=False)
    made = await create(api, inline("one", "two", "three"), name="test-batch-job")
    assert list(made["metadata"]) == list(BATCHES["create_inline"]["metadata"])
    assert made["metadata"]["batchStats"] == {"requestCount": "3", "pendingRequestCount": "3"}
    api.app.advance(100)
    done = await api.get(f"/v1beta/{made['name']}")
    assert is_like(BATCHES["done_inline"], done)
    assert done["metadata"]["output"]["inlinedResponses"] == done["response"]["inlinedResponses"]
    lines = done["response"]["inlinedResponses"]["inlinedResponses"]
    assert [line["metadata"]["key"] for line in lines] == ["k1", "k2", "k3"]
    assert [text_of(line).split()[0] for line in lines] == ["one", "two", "three"]


async def test_a_batch_waits_runs_and_counts_its_requests(api):
    name = await batch_of(api, *TEXTS)
    assert await stats(api, name) == {"requestCount": "10", "pendingRequestCount": "10"}
    api.app.advance(1 + 4)
    running = (await api.get(f"/v1beta/{name}"))["metadata"]
    assert running["state"] == "BATCH_STATE_RUNNING"
    assert running["batchStats"] == {"requestCount": "10", "successfulRequestCount": "4", "pendingRequestCount": "6"}
    assert (await api.get("/_emulator"))["batch_states"] == {"RUNNING": 1}
    api.app.advance(6)
    assert await stats(api, name) == {"requestCount": "10", "successfulRequestCount": "10"}


async def test_answers_are_those_of_generate_content(start):
    api = await start(answers={"text 3": "three!"})
    model = await api.tuned()
    for asked in (model, MODEL):
        name = await batch_of(api, "text 3", "seven", model=asked)
        api.app.advance(100)
        by_key = {line["key"]: line for line in await results(api, name)}
        now = (await api.call("POST", f"/v1beta/{asked}:generateContent", prompt("seven"))).json()
        assert text_of(by_key["k1"]) == "three!"
        assert by_key["k2"]["response"] | {"responseId": ""} == now | {"responseId": ""}


async def test_results_come_in_another_order_and_in_the_same_one_in_every_run(start):
    async def keys(**options):
        api = await start(**options)
        name = await batch_of(api, *TEXTS)
        api.app.advance(100)
        return [line["key"] for line in await results(api, name)]

    asked = [f"k{number}" for number in range(1, 11)]
    assert sorted(await keys()) == sorted(asked)
    assert asked != await keys() == await keys() != await keys(seed=2)
    assert await keys(batch_shuffled=False) == asked


async def test_the_list_shows_the_newest_first_and_no_results(api):
    names = [(await create(api, inline("one")))["name"] for _ in range(3)] + [await batch_of(api, "one")]
    api.app.advance(100)
    page = await api.get("/v1beta/batches", params={"pageSize": 3})
    rest = await api.get("/v1beta/batches", params={"pageSize": 3, "pageToken": page["nextPageToken"]})
    assert [each["name"] for each in page["operations"] + rest["operations"]] == names[::-1]
    assert "nextPageToken" not in rest
    assert "inlinedResponses" not in json.dumps([page, rest])
    assert page["operations"][0]["response"]["responsesFile"]
    assert all(each["done"] for each in page["operations"])


# ── what is refused ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({}, 400), ({"requests": {"requests": []}}, 400), ({"fileName": "files/nothing"}, 403),
        ({"requests": {"requests": [{"request": {"colour": "red"}}]}}, 400), ({"colour": "red"}, 400),
        ({"requests": {"requests": [{"request": prompt("x")}]}, "fileName": "files/x"}, 400),
    ],
)  # fmt: skip
async def test_a_batch_that_cannot_be_is_refused(api, config, code):
    body = {"batch": {"displayName": "b", "inputConfig": config}}
    await api.refused(code, "POST", f"/v1beta/{MODEL}:batchGenerateContent", body)
    assert await api.get("/v1beta/batches") == {}


async def test_an_empty_file_is_refused(api):
    file = await upload(api, b"\n \n")
    body = {"batch": {"inputConfig": {"fileName": file["name"]}}}
    await api.refused(400, "POST", f"/v1beta/{MODEL}:batchGenerateContent", body)


@pytest.mark.parametrize("model", ["models/nothing", "models/gemini-1.0-pro-001", "tunedModels/nothing"])
async def test_a_model_that_takes_no_batches_is_a_404(api, model):
    await api.refused(404, "POST", f"/v1beta/{model}:batchGenerateContent", {"batch": {"inputConfig": inline("x")}})


async def test_what_is_not_there_or_not_ones_own_is_a_404(start):
    api = await start(callers={"T1": "one@example.com", "T2": "two@example.com"})
    name = (await create(api, inline("x"), **bearer("T1")))["name"]
    for verb, path in (("GET", name), ("POST", f"{name}:cancel"), ("DELETE", name), ("GET", "batches/nothing")):
        error = await api.refused(404, verb, f"/v1beta/{path}", **bearer("T2"))
        assert error["message"] == "Requested entity was not found."
    assert await api.get("/v1beta/batches", **bearer("T2")) == {}


@pytest.mark.parametrize("details", [True, False])
async def test_too_many_tokens_in_the_queue_are_a_429_until_a_batch_has_ended(start, details):
    api = await start(batch_enqueued_tokens=25, batch_quota_details=details)
    await batch_of(api, "x" * 40, "y" * 40)
    body = {"batch": {"inputConfig": inline("z" * 40)}}
    error = await api.refused(429, "POST", f"/v1beta/{MODEL}:batchGenerateContent", body)
    assert error["status"] == "RESOURCE_EXHAUSTED"
    kinds = [detail["@type"].rpartition(".")[2] for detail in error.get("details", [])]
    assert kinds == (["Help"] if details else [])
    api.app.advance(100)
    await create(api, inline("z" * 40))


async def test_each_model_has_a_queue_of_its_own(start):
    api = await start(batch_enqueued_tokens=25)
    model = await api.tuned()
    await batch_of(api, "x" * 40, "y" * 40)
    assert (await create(api, inline("z" * 40), model=model))["name"]


async def test_there_are_at_most_so_many_batches_at_a_time(start):
    api = await start(max_batches=2)
    first = (await create(api, inline("x")))["name"]
    await create(api, inline("x"))
    body = {"batch": {"inputConfig": inline("x")}}
    await api.refused(429, "POST", f"/v1beta/{MODEL}:batchGenerateContent", body)
    await api.call("POST", f"/v1beta/{first}:cancel", {})
    await create(api, inline("x"))


# ── what goes wrong ────────────────────────────────────────────────────────────────────────────────────────────────


async def fated(api, fate=None, job=None, texts=TEXTS):
    api.app.faults.add(Fault(method="models.batchGenerateContent", batch=fate, job=job))
    return await batch_of(api, *texts)


async def test_single_lines_fail(api):
    name = await fated(api, BatchFate(failed_lines=(2, 9), shuffled=False))
    api.app.advance(1 + 4)
    running = {
        "requestCount": "10",
        "successfulRequestCount": "3",
        "failedRequestCount": "1",
        "pendingRequestCount": "6",
    }
    assert await stats(api, name) == running
    api.app.advance(100)
    assert await stats(api, name) == {"requestCount": "10", "successfulRequestCount": "8", "failedRequestCount": "2"}
    lines = await results(api, name)
    failed = {line["key"]: line["error"] for line in lines if "error" in line}
    assert sorted(failed) == ["k2", "k9"]
    assert failed["k2"]["code"] == 14  # a line says the number of google.rpc, and not the HTTP status
    assert len(lines) == 10


async def test_lines_are_missing_repeated_and_crossed(api):
    name = await fated(api, BatchFate(missing_lines=(1,), repeated_lines=(5,), crossed_lines=(7,), shuffled=False))
    api.app.advance(100)
    assert await stats(api, name) == {"requestCount": "10", "successfulRequestCount": "10"}
    lines = await results(api, name)
    assert [line["key"] for line in lines] == [f"k{n}" for n in (2, 3, 4, 5, 5, 6, 8, 7, 9, 10)]
    assert [text_of(line).split(" (")[0] for line in lines] == [f"text {n}" for n in (2, 3, 4, 5, 5, 6, 7, 8, 9, 10)]


@pytest.mark.parametrize(
    ("setting", "count"),
    [("batch_failed", lambda lines: sum("error" in line for line in lines)),
     ("batch_missing", lambda lines: 200 - len(lines)),
     ("batch_repeated", lambda lines: len(lines) - 200),
     ("batch_crossed", lambda lines: sum(line["key"].lstrip("k") != text_of(line).split()[1] for line in lines))],
)  # fmt: skip
async def test_a_part_of_the_lines_has_bad_luck(start, setting, count):
    api = await start(**{setting: 0.1})
    name = await batch_of(api, *(f"text {n}" for n in range(1, 201)))
    api.app.advance(100)
    assert 5 <= count(await results(api, name)) <= 40


async def test_a_line_that_cannot_be_read_fails_alone(api):
    data = requests("one") + b"{nonsense\n" + b'{"key":"k3","request":{"colour":1}}\n' + b'{"key":"k4"}\n[]\n'
    file = await upload(api, data)
    name = (await create(api, {"fileName": file["name"]}))["name"]
    api.app.advance(100)
    lines = await results(api, name)
    assert {line.get("key"): "error" in line for line in lines} == {"k1": False, None: True, "k3": True, "k4": True}
    assert await stats(api, name) == {"requestCount": "5", "successfulRequestCount": "1", "failedRequestCount": "4"}


async def test_a_batch_fails_as_a_whole(api):
    name = await fated(api, job=JobFate(fail_at_step=3, code=13, message="no luck"))
    api.app.advance(100)
    operation = await api.get(f"/v1beta/{name}")
    assert operation["metadata"]["state"] == "BATCH_STATE_FAILED"
    assert (operation["done"], operation["error"]) == (True, {"code": 13, "message": "no luck"})
    assert "response" not in operation
    assert "output" not in operation["metadata"]
    assert await api.get("/v1beta/files") != {}  # the input


@pytest.mark.parametrize(
    ("fate", "state"), [(JobFate(stuck_ingestion=True), "PENDING"), (JobFate(stall_at_step=5), "RUNNING")]
)
async def test_a_batch_that_is_stuck_expires_after_two_days(api, fate, state):
    name = await fated(api, job=fate)
    api.app.advance(48 * HOUR - 1)
    assert (await api.get(f"/v1beta/{name}"))["metadata"]["state"] == f"BATCH_STATE_{state}"
    api.app.advance(1)
    operation = await api.get(f"/v1beta/{name}")
    assert operation["metadata"]["state"] == "BATCH_STATE_EXPIRED"
    assert operation["error"]["code"] == 4
    assert "output" not in operation["metadata"]


async def test_the_time_until_a_batch_expires_can_be_shortened(start):
    api = await start(batch_expiry_seconds=60, batch_seconds=1000)
    name = await batch_of(api, *TEXTS)
    api.app.advance(60)
    assert (await api.get(f"/v1beta/{name}"))["metadata"]["state"] == "BATCH_STATE_EXPIRED"


async def test_a_cancelled_batch_keeps_what_is_finished(api):
    name = await batch_of(api, *TEXTS)
    api.app.advance(1 + 4)
    assert (await api.call("POST", f"/v1beta/{name}:cancel", {})).json() == {}
    operation = await api.get(f"/v1beta/{name}")
    assert operation["metadata"]["state"] == "BATCH_STATE_CANCELLED"
    assert operation["error"]["code"] == 1
    assert operation["metadata"]["batchStats"]["successfulRequestCount"] == "4"
    reply = await download(api, operation["metadata"]["output"]["responsesFile"])
    assert len(reply.text.splitlines()) == 4
    api.app.advance(1)
    await api.call("POST", f"/v1beta/{name}:cancel", {})
    assert await api.get(f"/v1beta/{name}") == operation  # it was cancelled when it was cancelled


async def test_a_batch_that_is_cancelled_before_it_began_has_no_results(api):
    name = await batch_of(api, *TEXTS)
    await api.call("POST", f"/v1beta/{name}:cancel", {})
    assert "output" not in (await api.get(f"/v1beta/{name}"))["metadata"]


async def test_cancelling_what_is_over_changes_nothing(api):
    name = await batch_of(api, *TEXTS)
    api.app.advance(100)
    before = await api.get(f"/v1beta/{name}")
    assert (await api.call("POST", f"/v1beta/{name}:cancel", {})).status_code == 200
    assert await api.get(f"/v1beta/{name}") == before


async def test_a_deleted_batch_is_gone_and_what_it_left_goes_with_its_time(api):
    name = await batch_of(api, *TEXTS)
    api.app.advance(100)
    file = (await api.get(f"/v1beta/{name}"))["response"]["responsesFile"]
    assert (await api.call("DELETE", f"/v1beta/{name}")).json() == {}
    await api.refused(404, "GET", f"/v1beta/{name}")
    assert (await download(api, file)).status_code == 200
    api.app.advance(48 * HOUR)
    await api.refused(403, "GET", f"/v1beta/{file}:download", params={"alt": "media"})
    assert api.app.store.objects.depot.used == 0


async def test_a_batch_has_its_requests_although_their_file_was_deleted(api):
    file = await upload(api, requests(*TEXTS))
    name = (await create(api, {"fileName": file["name"]}))["name"]
    await api.call("DELETE", f"/v1beta/{file['name']}")
    api.app.advance(100)
    assert len(await results(api, name)) == 10


async def test_results_may_come_later_than_the_end(start):
    api = await start(batch_output_seconds=30)
    name = await batch_of(api, *TEXTS)
    api.app.advance(11)
    operation = await api.get(f"/v1beta/{name}")
    assert operation["metadata"]["state"] == "BATCH_STATE_SUCCEEDED"
    assert operation["response"] == {"@type": TYPE + "Output"}
    assert "output" not in operation["metadata"]
    api.app.advance(30)
    assert len(await results(api, name)) == 10


async def test_a_creation_whose_reply_is_lost_is_found_in_the_list(api):
    api.app.faults.add(Fault(method="models.batchGenerateContent", act=True, drop=True))
    with pytest.raises(ConnectionResetError):
        await create(api, inline("x"), name="mark")
    (found,) = (await api.get("/v1beta/batches"))["operations"]
    assert found["metadata"]["displayName"] == "mark"


async def test_a_replica_that_is_behind_does_not_know_a_new_batch(start):
    api = await start(publish_lag_seconds=10)
    name = await batch_of(api, *TEXTS)
    await api.refused(404, "GET", f"/v1beta/{name}")
    assert await api.get("/v1beta/batches") == {}
    api.app.advance(10)
    assert (await api.get(f"/v1beta/{name}"))["metadata"]["state"] == "BATCH_STATE_PENDING"


# ── over a restart ─────────────────────────────────────────────────────────────────────────────────────────────────


async def everything(api, name):
    operation = await api.get(f"/v1beta/{name}")
    output = operation["metadata"].get("output", {})
    lines = (await download(api, output["responsesFile"])).text if "responsesFile" in output else ""
    return operation, lines, await api.get("/v1beta/files"), await api.get("/v1beta/batches")


@pytest.mark.parametrize("seconds", [0, 5, 50])
@pytest.mark.parametrize("form", ["file", "inline"])
async def test_files_and_batches_survive_a_restart_at_any_time(start, tmp_path, form, seconds):
    before = await start(state=tmp_path / "before" / "state.json")
    await anyio.Path(tmp_path / "before").mkdir()
    before.app.faults.add(Fault(method="models.batchGenerateContent", batch=BatchFate(failed_lines=(3,))))
    made = await batch_of(before, *TEXTS) if form == "file" else (await create(before, inline(*TEXTS)))["name"]
    await before.call("POST", "/_emulator/clock", {"advance": seconds})
    # a copy, because the process that was killed goes on in this test
    await anyio.to_thread.run_sync(shutil.copytree, tmp_path / "before", tmp_path / "after")
    after = await start(state=tmp_path / "after" / "state.json")
    assert await everything(after, made) == await everything(before, made)
    after.app.advance(100)
    before.app.advance(100)
    assert await everything(after, made) == await everything(before, made)
    assert "error" in json.dumps(await everything(after, made))
    for path in (made, *(f["name"] for f in (await after.get("/v1beta/files")).get("files", []))):
        await after.call("DELETE", f"/v1beta/{path}")
    after.app.advance(48 * HOUR)
    await after.get("/v1beta/files")
    assert after.app.store.objects.depot.used == 0


async def test_a_restored_batch_has_its_requests_although_their_file_is_deleted_then(start, tmp_path):
    before = await start(state=tmp_path / "state.json")
    file = await upload(before, requests(*TEXTS))
    name = (await create(before, {"fileName": file["name"]}))["name"]
    after = await start(state=tmp_path / "state.json")
    await after.call("DELETE", f"/v1beta/{file['name']}")
    after.app.advance(100)
    assert len(await results(after, name)) == 10


async def test_a_reset_gives_everything_back(api):
    await batch_of(api, *TEXTS)
    api.app.advance(100)
    await api.get("/v1beta/batches")
    await create(api, inline("x"))
    api.app.reset()
    assert await api.get("/v1beta/files") == await api.get("/v1beta/batches") == {}
    assert (api.app.store.objects.depot.used, api.app.store.objects.depot.held) == (0, 0)


@pytest.mark.parametrize(
    ("what", "words"),
    [({"failed_lines": [0]}, "counted from 1"), ({"output_seconds": -1}, "at least 0"), ({"shuffled": 3}, "shuffled")],
)
def test_a_fate_that_cannot_be_is_refused(what, words):
    with pytest.raises(ValueError, match=words):
        Fault.from_dict({"method": "models.batchGenerateContent", "batch": what})
