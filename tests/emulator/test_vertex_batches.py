"""Vertex AI's batchPredictionJobs: what is refused, how a job is shown, and what it writes to Cloud Storage."""

import json
import re

import anyio.to_thread
import pytest

from discovery import BATCHES, check_body
from emulator.emulated import prompt
from emulator.test_vertex_jobs import shape
from emulator.vertex import PARENT, copied, turns
from gemtune.emulator import Fault, JobFate

JOBS = f"/v1/{PARENT}/batchPredictionJobs"
INPUT, OUTPUT = "gs://my-bucket/in.jsonl", "gs://my-bucket/out"
FLASH = "publishers/google/models/gemini-2.5-flash"


def lines(*texts, **fields):
    return [
        {"request": {"contents": turns(text), "labels": {"key": f"k{at}"}} | fields} for at, text in enumerate(texts)
    ]


def batch_body(**fields):
    source = {"instancesFormat": "jsonl", "gcsSource": {"uris": [INPUT]}}
    target = {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": OUTPUT}}
    return {"displayName": "d", "model": FLASH, "inputConfig": source, "outputConfig": target} | fields


@pytest.fixture
async def predict(start_vertex):
    """A function that starts an emulator with requests in its storage, and creates a job."""

    async def begin(texts="abcdefghij", fate=None, **options):
        vertex = await start_vertex(**options)
        vertex.put(texts if isinstance(texts, bytes | list) else lines(*texts), INPUT)
        if fate is not None:
            vertex.app.faults.add(Fault(method="batchPredictionJobs.create", job=fate))
        return vertex, await vertex.tune(batch_body(labels={"team": "a"}), path=JOBS)

    return begin


def results(vertex, job):
    """The lines of the results."""
    place = job["outputInfo"]["gcsOutputDirectory"].removeprefix("gs://my-bucket/")
    raw = vertex.app.store.objects.read("my-bucket", f"{place}/predictions.jsonl")
    return [json.loads(line) for line in raw.splitlines()]


def answered(found):
    """The answer by the label of its request."""
    return {
        line["request"]["labels"]["key"]: line["response"]["candidates"][0]["content"]["parts"][0]["text"].split()[0]
        for line in found
    }


async def after(vertex, job, seconds):
    vertex.app.advance(seconds)
    return await vertex.look(job)


async def test_a_job_passes_through_its_states_and_counts(predict):
    vertex, job = await predict()
    assert (job["state"], job["createTime"]) == ("JOB_STATE_PENDING", job["updateTime"])
    assert re.fullmatch(f"{PARENT}/batchPredictionJobs/[1-9][0-9]{{18}}", job["name"])
    assert "completionStats" not in job
    running = await after(vertex, job, 4)
    assert running["state"] == "JOB_STATE_RUNNING"
    assert running["completionStats"] == {"successfulCount": "3", "incompleteCount": "7"}
    done = await after(vertex, job, 7)
    assert done["state"] == "JOB_STATE_SUCCEEDED"
    assert done["completionStats"] == {"successfulCount": "10"}
    assert done["startTime"] < done["endTime"] == done["updateTime"]
    assert re.fullmatch(rf"{OUTPUT}/prediction-model-[\d-]+T[\d:.]+Z", done["outputInfo"]["gcsOutputDirectory"])


async def test_a_line_echoes_its_request_with_nulls_and_holds_the_reply(predict):
    vertex, job = await predict("a", answers={"a": "A"})
    (line,) = results(vertex, await after(vertex, job, 20))
    assert list(line) == ["status", "processed_time", "request", "response"]
    assert line["status"] == ""
    assert line["request"]["labels"] == {"key": "k0"}
    assert line["request"]["system_instruction"] is None
    assert line["request"]["contents"][0]["parts"][0] | {"text": None} == dict.fromkeys(
        line["request"]["contents"][0]["parts"][0]
    )
    assert line["response"]["candidates"][0]["content"] == {"role": "model", "parts": [{"text": "A"}]}
    assert line["response"]["modelVersion"] == "gemini-2.5-flash"
    reply = await vertex.call("POST", f"/v1/{PARENT}/{FLASH}:generateContent", prompt("a"))
    assert line["response"].keys() == reply.json().keys()


async def test_lines_come_in_another_order_and_each_request_has_one(predict):
    vertex, job = await predict("abcdefghijklmnop")
    found = results(vertex, await after(vertex, job, 20))
    keys = [line["request"]["labels"]["key"] for line in found]
    assert sorted(keys) == sorted(f"k{number}" for number in range(16)) != keys
    assert answered(found) == {f"k{at}": letter for at, letter in enumerate("abcdefghijklmnop")}


async def test_lines_may_come_in_the_order_of_the_requests(predict):
    vertex, job = await predict("abcdef", batch_shuffled=False)
    found = results(vertex, await after(vertex, job, 20))
    assert list(answered(found).values()) == list("abcdef")


async def test_results_are_there_for_whoever_looks_into_the_bucket_first(predict):
    vertex, _ = await predict()
    vertex.app.advance(10.9)
    before = await vertex.get("/storage/v1/b/my-bucket/o?prefix=out")
    vertex.app.advance(0.1)
    after = await vertex.get("/storage/v1/b/my-bucket/o?prefix=out")
    assert ("items" in before, len(after["items"])) == (False, 1)


async def test_a_line_that_is_wrong_fails_and_no_other_does(predict):
    bad = [b"{no json", b"[]", b'{"request": {"contents": []}}', b'{"request": {"foo": 1}}']
    good = [json.dumps(line).encode() for line in lines("a", "b")]
    vertex, job = await predict(b"\n\n".join([*bad, *good]), batch_partial=True)
    done = await after(vertex, job, 20)
    assert done["state"] == "JOB_STATE_PARTIALLY_SUCCEEDED"
    assert done["completionStats"] == {"successfulCount": "2", "failedCount": "4"}
    assert [failure["code"] for failure in done["partialFailures"]] == [3, 3, 3, 3]
    failed = [line for line in results(vertex, done) if line["status"]]
    assert len(failed) == 4
    assert not any("response" in line for line in failed)
    assert all(line["status"].startswith('Bad Request: {"error": {"code": 400, ') for line in failed)


async def test_requests_fail_and_lines_are_missing_as_the_settings_say(predict):
    vertex, job = await predict([*lines(*map(str, range(200)))], batch_failed=0.2, batch_missing=0.1)
    half = (await after(vertex, job, 6))["completionStats"]
    done = await after(vertex, job, 20)
    found = results(vertex, done)
    stats = {name: int(value) for name, value in done["completionStats"].items()}
    assert 25 < stats["failedCount"] < 55
    assert stats["successfulCount"] + stats["failedCount"] == 200 > len(found) > 165
    assert sum(map(int, half.values())) == 200
    assert 0 < int(half["failedCount"]) < stats["failedCount"]
    assert len(done["partialFailures"]) == 20


async def test_results_may_appear_late_and_lines_twice(predict):
    vertex, job = await predict(batch_output_seconds=60.0, batch_repeated=0.5)
    done = await after(vertex, job, 30)
    assert (done["state"], "outputInfo" in done) == ("JOB_STATE_SUCCEEDED", False)
    assert done["completionStats"] == {"successfulCount": "10"}
    found = results(vertex, await after(vertex, job, 50))
    assert 10 < len(found) < 20
    assert len(answered(found)) == 10


async def test_a_cancelled_job_keeps_what_is_finished_and_cannot_be_cancelled_again(predict):
    vertex, job = await predict()
    vertex.app.advance(5.5)
    assert (await vertex.call("POST", f"/v1/{job['name']}:cancel")).text == "{}\n"
    assert (await vertex.look(job))["state"] == "JOB_STATE_CANCELLING"
    assert (await vertex.call("POST", f"/v1/{job['name']}:cancel", {})).status_code == 200
    done = await after(vertex, job, 2)
    assert (done["state"], done["error"]) == ("JOB_STATE_CANCELLED", {"code": 1, "message": "CANCELED"})
    assert done["completionStats"] == {"successfulCount": "4", "incompleteCount": "6"}
    assert len(results(vertex, done)) == 4
    error = await vertex.refused(400, "POST", f"/v1/{job['name']}:cancel")
    assert error["status"] == "FAILED_PRECONDITION"


async def test_a_job_that_was_cancelled_in_the_queue_has_no_results(predict):
    vertex, job = await predict()
    await vertex.call("POST", f"/v1/{job['name']}:cancel")
    done = await after(vertex, job, 5)
    assert done["state"] == "JOB_STATE_CANCELLED"
    assert not {"startTime", "outputInfo", "completionStats"} & done.keys()


@pytest.mark.parametrize(
    ("fate", "hours", "finished"), [({"stall_at_step": 4}, 24, 4), ({"stuck_ingestion": True}, 72, 0)]
)
async def test_a_stuck_job_expires_and_what_is_finished_is_kept(predict, fate, hours, finished):
    vertex, job = await predict(fate=JobFate(**fate))
    assert (await after(vertex, job, hours * 3600 - 1))["state"] in ("JOB_STATE_PENDING", "JOB_STATE_RUNNING")
    done = await after(vertex, job, 2)
    assert done["state"] == "JOB_STATE_EXPIRED"
    assert ("outputInfo" in done) == bool(finished)
    if finished:
        assert len(results(vertex, done)) == finished


async def test_a_whole_job_may_fail(predict):
    vertex, job = await predict(fate=JobFate(fail_at_step=3))
    done = await after(vertex, job, 20)
    assert (done["state"], done["error"]["code"]) == ("JOB_STATE_FAILED", 13)
    assert "outputInfo" not in done


@pytest.mark.parametrize(
    ("texts", "code", "said"),
    [(b"", 3, "holds no request"), (b"{}\n" * 200_001, 3, "200001 requests"), (None, 5, "does not exist")],
    ids=["empty", "too many", "missing"],
)
async def test_an_input_that_cannot_be_used_fails_the_job_and_not_its_creation(vertex, texts, code, said):
    if texts is not None:
        vertex.put(texts, INPUT)
    job = await vertex.tune(batch_body(), path=JOBS)
    done = await after(vertex, job, 1)
    assert (done["state"], done["error"]["code"]) == ("JOB_STATE_FAILED", code)
    assert said in done["error"]["message"]


async def test_what_goes_away_while_it_runs_fails_it(predict):
    vertex, job = await predict()
    assert (await vertex.call("DELETE", "/storage/v1/b/my-bucket/o/in.jsonl")).status_code == 204
    done = await after(vertex, job, 20)
    assert (done["state"], done["error"]["code"]) == ("JOB_STATE_FAILED", 5)
    target = {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": "gs://no-such-bucket/"}}
    vertex.put(lines("a"), INPUT)
    job = await vertex.tune(batch_body(outputConfig=target), path=JOBS)
    assert "no-such-bucket" in (await after(vertex, job, 20))["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"displayName": None}, "display_name"),
        ({"displayName": "x" * 129}, "128 characters"),
        ({"model": None}, "batch_prediction_job.model"),
        ({"inputConfig": None}, "input_config"),
        ({"outputConfig": None}, "output_config"),
        ({"inputConfig": {"instancesFormat": "csv", "gcsSource": {"uris": [INPUT]}}}, "must be jsonl"),
        ({"inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [INPUT, INPUT]}}}, "one GCS object"),
        ({"inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": ["in.jsonl"]}}}, "one GCS object"),
        ({"inputConfig": {"instancesFormat": "bigquery", "bigquerySource": {"inputUri": "bq://p.d.t"}}}, "no BigQuery"),
        ({"outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": "out"}}}, "directory"),
        ({"labels": {"A": "b"}}, "lower-case"),
        ({"model": "gemini-2.5-flash"}, "neither"),
    ],
)
async def test_a_body_that_is_wrong_is_refused(vertex, fields, said):
    error = await vertex.refused(400, "POST", JOBS, batch_body(**fields))
    assert said in error["message"]
    assert await vertex.get(JOBS) == {}


async def test_a_model_that_is_not_there_is_a_404(vertex):
    for model in ("publishers/google/models/nope", f"{PARENT}/models/1", f"{PARENT}/endpoints/1"):
        assert (await vertex.refused(404, "POST", JOBS, batch_body(model=model)))["status"] == "NOT_FOUND"


async def test_tuned_models_and_endpoints_answer_from_their_examples(vertex):
    tuned = (await vertex.tuned_job())["tunedModel"]
    vertex.put(lines("seven", "one"), INPUT)
    for model in (tuned["model"], tuned["model"].partition("@")[0], tuned["endpoint"]):
        job = await vertex.tune(batch_body(model=model), path=JOBS)
        done = await after(vertex, job, 20)
        assert done["modelVersionId"] == "1"
        assert answered(results(vertex, done)) == {"k0": "eight", "k1": "two"}
    elsewhere = JOBS.replace("us-central1", "global")
    error = await vertex.refused(400, "POST", elsewhere, batch_body(model=tuned["model"]))
    assert error["status"] == "FAILED_PRECONDITION"
    assert (await vertex.call("POST", elsewhere, batch_body())).status_code == 200  # a base model may be asked there


async def test_jobs_are_listed_and_found_by_their_labels(predict):
    vertex, first = await predict()
    vertex.app.advance(20)
    second = await vertex.tune(batch_body(displayName="e", labels={"team": "b"}), path=JOBS)
    listed = (await vertex.get(JOBS))["batchPredictionJobs"]
    assert [job["name"] for job in listed] == [second["name"], first["name"]]
    for text, wanted in (
        ('labels.team="a"', first), ("labels.team=b", second), ('display_name="d"', first),
        ('state="JOB_STATE_SUCCEEDED"', first), ('NOT display_name:"d*"', second),
        ("labels.team:* AND state!=JOB_STATE_PENDING", first),
    ):  # fmt: skip
        found = await vertex.get(JOBS, params={"filter": text})
        assert [job["name"] for job in found["batchPredictionJobs"]] == [wanted["name"]], text
    page = await vertex.get(JOBS, params={"pageSize": 1})
    rest = await vertex.get(JOBS, params={"pageSize": 1, "pageToken": page["nextPageToken"]})
    assert [each["batchPredictionJobs"][0]["name"] for each in (page, rest)] == [second["name"], first["name"]]
    assert await vertex.get(JOBS.replace("us-central1", "europe-west4")) == {}


async def test_a_job_is_deleted_once_it_is_over_and_its_results_stay(predict):
    vertex, job = await predict()
    error = await vertex.refused(400, "DELETE", f"/v1/{job['name']}")
    assert (error["status"], "cancel it first" in error["message"]) == ("FAILED_PRECONDITION", True)
    done = await after(vertex, job, 20)
    operation = (await vertex.call("DELETE", f"/v1/{job['name']}")).json()
    assert operation["done"] is True
    await vertex.refused(404, "GET", f"/v1/{job['name']}")
    assert len(results(vertex, done)) == 10


async def test_a_project_may_be_named_by_its_id_and_is_answered_by_its_number(vertex):
    vertex.put(lines("a"), INPUT)
    reply = await vertex.call(
        "POST", "/v1beta1/projects/my-project/locations/us-central1/batchPredictionJobs", batch_body()
    )
    name = reply.json()["name"]
    assert re.fullmatch(r"projects/\d{12}/locations/us-central1/batchPredictionJobs/\d{19}", name)
    alias = f"projects/my-project/{name.split('/', 2)[2]}"
    assert (await vertex.get(f"/v1/{alias}"))["name"] == name


async def test_every_body_is_one_that_the_document_knows_with_its_keys_in_their_order(predict):
    vertex, job = await predict("ab")
    order = [*batch_body()][:4]
    seen = [job, await after(vertex, job, 2), await after(vertex, job, 20)]
    for body in seen:
        check_body("BatchPredictionJob", body, "get", sent=False)
        assert list(body) == [key for key in KEYS if key in body]
        assert [key for key in body if key in order] == order
    check_body("ListBatchPredictionJobsResponse", await vertex.get(JOBS), "list", sent=False)
    assert shape(seen[0]["inputConfig"]) == [("instancesFormat", "jsonl"), ("gcsSource", [("uris", [INPUT])])]


KEYS = (
    "name", "displayName", "model", "inputConfig", "modelParameters", "outputConfig", "dedicatedResources",
    "manualBatchTuningParameters", "outputInfo", "state", "error", "partialFailures", "resourcesConsumed",
    "completionStats", "createTime", "startTime", "endTime", "updateTime", "labels", "encryptionSpec",
    "modelVersionId",
)  # fmt: skip
assert set(KEYS) <= BATCHES["BatchPredictionJob"].keys()


async def test_a_job_outlives_the_process_and_so_do_its_results(start_vertex, tmp_path):
    state = tmp_path / "state.json"
    vertex = await start_vertex(state=str(state), batch_failed=0.3)
    await anyio.to_thread.run_sync(vertex.put, lines(*"abcdefghij"), INPUT)
    jobs = [await vertex.tune(batch_body(), path=JOBS) for _ in range(2)]
    vertex.app.advance(5)
    await vertex.call("POST", f"/v1/{jobs[1]['name']}:cancel")
    again = await start_vertex(state=str(await copied(state)), batch_failed=0.3)
    for at, job in enumerate(jobs):
        again.app.advance(20)
        done = await again.look(job)
        assert done["state"] == ("JOB_STATE_CANCELLED" if at else "JOB_STATE_SUCCEEDED")
        assert len(await anyio.to_thread.run_sync(results, again, done)) == (4 if at else 10)


async def test_statistics_count_the_jobs(predict):
    vertex, _ = await predict()
    vertex.app.advance(20)
    await vertex.get(JOBS)
    statistics = await vertex.get("/_emulator")
    assert statistics["batch_prediction_job_states"] == {"SUCCEEDED": 1}
