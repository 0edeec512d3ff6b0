"""Vertex AI's tuningJobs: create, get, list, cancel, against the bodies that were observed."""

import itertools
import re

import pytest

from emulator.emulated import PAIRS
from emulator.vertex import (
    BETA_JOBS,
    CHECK,
    JOBS,
    OBSERVED,
    PARENT,
    TRAIN,
    Vertex,
    copied,
    job_body,
    preferences,
    supervised,
    turns,
)
from gemtune.emulator import Fault, JobFate
from gemtune.emulator.messages.codec import parse_timestamp
from gemtune.emulator.vertex.data.stats import distribution

TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3,9})?Z")
LABELS = {"owner": "team-a", "dataset-id": "set-1", "data-classification": "confidential"}
LITE = job_body(
    base="gemini-2.5-flash-lite", spec={"hyperParameters": {"epochCount": 1}, "exportLastCheckpointOnly": True},
    tunedModelDisplayName="my-job-a", labels=LABELS, serviceAccount="tuner@my-project.iam.gserviceaccount.com",
)  # fmt: skip


def shape(body):
    """A body with its changing parts, times and ids, replaced; key order included."""
    if isinstance(body, dict):
        return [(key, shape(value)) for key, value in body.items()]
    if isinstance(body, list):
        return [shape(item) for item in body]
    if isinstance(body, str):
        return re.sub(r"(?<=/)\d{18,19}(?=$|@)", "ID", TIMES.sub("TIME", body))
    return body


async def test_a_new_job_looks_like_the_observed_one(vertex):
    job = await vertex.tune(LITE)
    assert shape(job) == shape(OBSERVED["create_pending"])
    assert re.fullmatch(f"{PARENT}/tuningJobs/[1-9][0-9]{{18}}", job["name"])
    assert job["createTime"] == job["updateTime"]


async def test_a_running_job_looks_like_the_observed_ones(vertex):
    job = await vertex.tune(LITE)
    vertex.app.advance(3)
    early = await vertex.look(job)
    assert shape(early) == shape(OBSERVED["get_running_early"])
    assert job["createTime"] < early["startTime"] < early["updateTime"]
    vertex.app.advance(5)
    later = await vertex.look(job)
    assert shape(later) == shape(OBSERVED["get_running_service_account"])
    assert later["updateTime"] > early["updateTime"]


async def test_a_cancelled_job_passes_through_cancelling_as_observed(vertex):
    body = job_body(
        base="gemini-2.5-flash-lite", spec={"hyperParameters": {"epochCount": "1"}}, tunedModelDisplayName="my-job-b"
    )
    job = await vertex.tune(body)
    vertex.app.advance(0.4)
    reply = await vertex.call("POST", f"/v1/{job['name']}:cancel")
    assert (reply.status_code, reply.text) == (200, "{}\n")
    cancelling = await vertex.look(job)
    assert shape(cancelling) == shape(OBSERVED["get_cancelling"])
    assert cancelling["updateTime"] == cancelling["startTime"]  # did not move
    assert (await vertex.call("POST", f"/v1/{job['name']}:cancel")).status_code == 200
    vertex.app.advance(1.4)
    assert await vertex.look(job) == cancelling
    vertex.app.advance(1)
    cancelled = await vertex.look(job)
    assert shape(cancelled) == shape(OBSERVED["get_cancelled"])
    assert cancelled["endTime"] == cancelled["updateTime"]
    again = await vertex.call("POST", f"/v1beta1/{job['name']}:cancel", {})
    assert again.status_code == 400
    golden = OBSERVED["cancel_again_400"]
    golden["error"]["message"] = golden["error"]["message"].replace("2995954652073164800", job["name"][-19:])
    assert again.json() == golden


async def test_a_job_cancelled_before_it_starts_has_no_start_time(vertex):
    job = await vertex.tune()
    await vertex.call("POST", f"/v1/{job['name']}:cancel")
    vertex.app.advance(10)
    assert list(await vertex.look(job)) == list(OBSERVED["list_all"]["tuningJobs"][-1])


async def test_a_job_cancelled_late_keeps_its_model_and_has_no_endpoint(vertex):
    job = await vertex.tune(LITE)
    vertex.app.advance(14)
    await vertex.call("POST", f"/v1/{job['name']}:cancel")
    vertex.app.advance(1000)
    ended = await vertex.look(job)
    assert list(ended["tunedModel"]) == ["model"]
    assert re.fullmatch(f"{PARENT}/models/[0-9]{{19}}@1", ended["tunedModel"]["model"])
    ids = [*OBSERVED["list_all"]["tuningJobs"][1], "experiment", "tuningDataStats"]
    assert sorted(ended) == sorted(ids)


async def test_late_fields_come_in_their_order_and_the_endpoint_last(vertex):
    vertex.put(supervised())
    body = job_body(serviceAccount="a@b.example", spec={"hyperParameters": {"epochCount": 3}})
    job = await vertex.tune(body, path=BETA_JOBS)
    seen, phases, checkpoints = [], [], []
    while True:
        look = await vertex.look(job, "v1beta1")
        model = look.get("tunedModel", {})
        found = [key for key in look if key in ("serviceAccount", "experiment", "tuningDataStats")]
        found += [f"tunedModel.{key}" for key in model]
        seen += [key for key in found if key not in seen]
        if (phase := look.get("tuningJobState")) not in (*phases[-1:], None):
            phases.append(phase)
        if len(model.get("checkpoints", [])) > len(checkpoints):
            checkpoints = model["checkpoints"]
            assert len(checkpoints) == len({each["endpoint"] for each in checkpoints})
            assert "endpoint" not in model or len(checkpoints) == 3
        if look["state"] == "JOB_STATE_SUCCEEDED":
            break
        vertex.app.advance(0.6)
    assert seen == [
        "serviceAccount", "experiment", "tuningDataStats", "tunedModel.model", "tunedModel.checkpoints",
        "tunedModel.endpoint",
    ]  # fmt: skip
    assert phases == [f"TUNING_JOB_STATE_{word}" for word in ("PROCESSING_DATASET", "TUNING", "POST_PROCESSING")]
    assert [(each["checkpointId"], each["epoch"], each["step"]) for each in checkpoints] == [
        ("1", "1", "4"), ("2", "2", "8"), ("3", "3", "12"),
    ]  # fmt: skip
    assert look["tunedModel"]["endpoint"] == checkpoints[-1]["endpoint"]
    assert look["endTime"] == look["updateTime"]
    documented = OBSERVED["tuned_model_with_checkpoints_documented"]["tunedModel"]
    assert sorted(look["tunedModel"]) == sorted(documented)
    assert list(checkpoints[0]) == list(documented["checkpoints"][0])
    assert look["tuningJobMetadata"] == {"completedEpochCount": "3"}


async def test_a_succeeded_job_has_the_fields_of_the_observed_one_in_their_order(vertex):
    vertex.put(supervised())
    vertex.put(supervised()[:3], CHECK)
    spec = {"validationDatasetUri": CHECK, "hyperParameters": {"epochCount": "10", "adapterSize": 3}}
    ended = await vertex.tuned_job(job_body(spec=spec, tunedModelDisplayName="my-tuned-flash"))
    golden = OBSERVED["get_succeeded_2024"]
    assert list(ended) == list(golden)
    assert list(ended["supervisedTuningSpec"]) == list(golden["supervisedTuningSpec"])
    assert ended["supervisedTuningSpec"]["hyperParameters"] == golden["supervisedTuningSpec"]["hyperParameters"]
    stats, seen = (each["tuningDataStats"]["supervisedTuningDataStats"] for each in (ended, golden))
    assert [key for key in stats if key != "tuningStepCount"] == list(seen)
    for key in ("userInputTokenDistribution", "userMessagePerExampleDistribution"):
        assert list(stats[key]) == list(seen[key])
        assert list(stats[key]["buckets"][0]) == list(seen[key]["buckets"][0])
    assert stats["tuningDatasetExampleCount"] == "15"
    assert stats["tuningStepCount"] == "38"
    total = sum(int(stats[key]["sum"]) for key in ("userInputTokenDistribution", "userOutputTokenDistribution"))
    assert stats["totalBillableTokenCount"] == str(total)
    assert stats["userDatasetExamples"] == [turn for line in supervised()[:3] for turn in line["contents"]]
    assert re.fullmatch(r"tuning-experiment-\d{20}", ended["experiment"].rpartition("/")[2])


async def test_v1_lacks_the_fields_of_v1beta1_in_both_directions(vertex):
    job = await vertex.tune()
    vertex.app.advance(3)
    beta, plain = await vertex.look(job, "v1beta1"), await vertex.look(job)
    assert set(beta) - set(plain) == {"tuningJobState"}
    body = job_body(spec={"hyperParameters": {"batchSize": 8}})
    error = await vertex.refused(400, "POST", JOBS, body)
    assert 'Unknown name "batchSize"' in error["message"]
    await vertex.tune(body, path=BETA_JOBS)


async def test_a_project_may_be_named_by_its_id_and_is_answered_by_its_number(vertex):
    job = await vertex.tune(path="/v1beta1/projects/my-project/locations/us-central1/tuningJobs")
    number = job["name"].split("/")[1]
    assert number.isdecimal()
    alias = job["name"].replace(number, "my-project")
    assert (await vertex.get(f"/v1/{alias}"))["name"] == job["name"]
    assert (await vertex.call("POST", f"/v1/{alias}:cancel")).status_code == 200
    listed = await vertex.get("/v1/projects/my-project/locations/us-central1/tuningJobs")
    assert [each["name"] for each in listed["tuningJobs"]] == [job["name"]]
    assert await vertex.get(JOBS) == {}
    assert await vertex.get("/v1/projects/my-project/locations/europe-west4/tuningJobs") == {}


async def test_both_spellings_and_number_forms_are_read_in_one_body(vertex):
    body = {
        "base_model": "publishers/google/models/gemini-2.5-flash",
        "supervisedTuningSpec": {
            "training_dataset_uri": TRAIN,
            "hyper_parameters": {"epochCount": "3", "learning_rate_multiplier": "1.5", "adapterSize": 2},
        },
        "encryptionSpec": {"kms_key_name": "projects/p/locations/l/keyRings/r/cryptoKeys/k"},
    }
    job = await vertex.tune(body)
    assert job["baseModel"] == "publishers/google/models/gemini-2.5-flash"
    assert job["supervisedTuningSpec"]["hyperParameters"] == {
        "epochCount": "3", "learningRateMultiplier": 1.5, "adapterSize": "ADAPTER_SIZE_FOUR",
    }  # fmt: skip
    assert job["encryptionSpec"] == {"kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}


async def test_the_list_begins_with_the_job_that_changed_last(start_vertex):
    vertex = await start_vertex(vertex_concurrent_jobs=None)
    older, newer = await vertex.tune(), None
    vertex.app.advance(5)
    newer = await vertex.tune()
    names = [job["name"] for job in (await vertex.get(JOBS))["tuningJobs"]]
    assert names == [newer["name"], older["name"]]
    await vertex.call("POST", f"/v1/{older['name']}:cancel")
    vertex.app.advance(1)
    await vertex.get(JOBS)
    vertex.app.advance(2)
    assert (await vertex.get(JOBS))["tuningJobs"][0]["state"] == "JOB_STATE_CANCELLED"


async def test_pages_hold_together_while_nothing_changes(start_vertex):
    vertex = await start_vertex(vertex_concurrent_jobs=None)
    made = {(await vertex.tune())["name"] for _ in range(7)}
    seen, token = [], ""
    while True:
        page = await vertex.get(JOBS, params={"pageSize": 3, "pageToken": token})
        seen += [job["name"] for job in page["tuningJobs"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert len(seen) == 7
    assert set(seen) == made


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('state="JOB_STATE_RUNNING"', "ab"), ("state=JOB_STATE_SUCCEEDED", ""), ("labels.team=x", "a"),
        ('labels.team="y" AND state=JOB_STATE_RUNNING', "b"), ("labels.team:*", "ab"), ("labels:color", "b"),
        ("NOT labels.color:*", "a"), ("labels.team=x OR labels.team=y", "ab"), ("-labels.team=x", "b"),
        ('tuned_model_display_name="a"', "a"), ('displayName!="a"', "b"), ('display_name:"*a*"', "a"),
        ('createTime<"2024-03-14T15:11:03Z"', "a"), ("create_time>=2024-03-14T15:11:03Z", "b"),
        ("(labels.team=x OR labels.team=y) AND NOT (labels.color=red)", "a"), ("", "ab"),
    ],
)  # fmt: skip
async def test_a_filter_chooses_by_state_labels_names_and_times(start_vertex, text, wanted):
    vertex = await start_vertex(vertex_concurrent_jobs=None)
    await vertex.tune(job_body(tunedModelDisplayName="a", labels={"team": "x"}))
    vertex.app.advance(2)
    await vertex.tune(job_body(tunedModelDisplayName="b", labels={"team": "y", "color": "red"}))
    vertex.app.advance(1)
    found = (await vertex.get(JOBS, params={"filter": text})).get("tuningJobs", [])
    assert "".join(sorted(job["tunedModelDisplayName"] for job in found)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "state=",
        "=x",
        "nonsense=1",
        "(state=a",
        "state=a)",
        'state="a',
        "create_time>x",
        "NOT " * 5000 + "state=a",
        "(" * 5000,
    ],
)
async def test_a_filter_that_is_none_is_a_400(vertex, text):
    await vertex.tune()
    assert "filter" in (await vertex.refused(400, "GET", JOBS, params={"filter": text}))["message"]


async def test_one_job_at_a_time_and_the_next_one_waits_for_quota(vertex):
    first = await vertex.tune()
    second, third = [await vertex.tune(path=BETA_JOBS) for _ in range(2)]
    vertex.app.advance(20)
    waiting = await vertex.look(second, "v1beta1")
    assert waiting["state"] == "JOB_STATE_RUNNING"
    assert waiting["tuningJobState"] == "TUNING_JOB_STATE_WAITING_FOR_QUOTA"
    assert "tuningDataStats" not in waiting
    await vertex.call("POST", f"/v1/{first['name']}:cancel")
    await vertex.call("POST", f"/v1/{second['name']}:cancel")
    vertex.app.advance(3)
    assert (await vertex.look(third, "v1beta1"))["tuningJobState"] == "TUNING_JOB_STATE_PROCESSING_DATASET"
    vertex.app.advance(10_000)
    states = [(await vertex.look(job))["state"] for job in (first, second, third)]
    assert states == ["JOB_STATE_CANCELLED", "JOB_STATE_CANCELLED", "JOB_STATE_SUCCEEDED"]


async def test_a_job_that_gives_up_waiting_takes_no_slot(vertex):
    first, second, third = [await vertex.tune(path=BETA_JOBS) for _ in range(3)]
    vertex.app.advance(10)
    await vertex.call("POST", f"/v1/{second['name']}:cancel")
    vertex.app.advance(10_000)
    ended = [await vertex.look(job) for job in (first, third)]
    times = [parse_timestamp(job["endTime"]) for job in ended]
    started = parse_timestamp(ended[0]["startTime"])
    assert times[1] - times[0] == times[0] - started  # the third began when the first one was over


async def test_checkpoints_are_deployed_one_after_the_other(vertex):
    vertex.put(supervised())
    job = await vertex.tune(job_body(spec={"hyperParameters": {"epochCount": 3}}))
    seen = {}
    for tenth in range(1000):
        vertex.app.advance(0.1)
        for each in (await vertex.look(job)).get("tunedModel", {}).get("checkpoints", []):
            seen.setdefault(each["checkpointId"], tenth / 10)
    times = sorted(seen.values())
    assert len(times) == 3
    assert all(second - first >= 11.9 for first, second in itertools.pairwise(times))


async def test_jobs_that_queue_are_done_one_after_the_other(vertex):
    jobs = [await vertex.tune() for _ in range(3)]
    vertex.app.advance(10_000)
    ends = [(await vertex.look(job))["endTime"] for job in jobs]
    assert ends == sorted(ends)
    assert len(set(ends)) == 3


async def test_a_full_quota_can_be_a_429(start_vertex):
    vertex = await start_vertex(vertex_quota="refuse")
    await vertex.tune()
    error = await vertex.refused(429, "POST", JOBS, job_body())
    golden = OBSERVED["quota_429_sister_resource"]["error"]
    assert error["message"].startswith(golden["message"].rpartition("/")[0])
    assert list(error) == list(golden)
    vertex.app.advance(10_000)
    await vertex.tune()


async def test_a_bad_uri_is_refused_as_observed(vertex):
    body = job_body(spec={"trainingDatasetUri": "gs://b/x.csv", "validationDatasetUri": "nowhere"})
    reply = await vertex.call("POST", JOBS, body)
    assert (reply.status_code, reply.json()) == (400, OBSERVED["create_bad_dataset_uri"])


async def test_a_bad_adapter_is_refused_as_observed(vertex):
    body = job_body(base="gemini-2.5-pro", spec={"hyperParameters": {"adapterSize": "ADAPTER_SIZE_SIXTEEN"}})
    reply = await vertex.call("POST", JOBS, body)
    assert (reply.status_code, reply.json()) == (400, OBSERVED["create_bad_adapter"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"baseModel": "gemini-2.0-flash"}, "not supported"), ({"baseModel": ""}, "not supported"),
        ({"labels": {"A": "b"}}, "labels"), ({"labels": {"a": "x" * 65}}, "labels"),
        ({"tunedModelDisplayName": "x" * 129}, "display_name"), ({"supervisedTuningSpec": {}}, "training_dataset_uri"),
        ({"supervisedTuningSpec": None}, "required"), ({"flavour": 1}, 'Unknown name "flavour"'),
        (job_body(spec={"hyperParameters": {"epochCount": -1}}), "epoch_count"),
        (job_body(spec={"evaluationConfig": {}}) | {"preferenceOptimizationSpec": {}}, "oneof"),
        ({"preTunedModel": {"tunedModelName": "x"}}, "oneof"),
    ],
)  # fmt: skip
async def test_what_cannot_be_tuned_is_refused_at_once(vertex, change, reason):
    error = await vertex.refused(400, "POST", JOBS, job_body() | change)
    assert reason in error["message"]
    assert await vertex.get(JOBS) == {}


async def test_the_location_global_is_refused(vertex):
    error = await vertex.refused(400, "POST", JOBS.replace("us-central1", "global"), job_body())
    assert error["status"] == "FAILED_PRECONDITION"


async def test_express_mode_has_no_tuning(vertex):
    reply = await vertex.call("POST", "/v1beta1/tuningJobs", job_body())
    assert reply.status_code == 404
    assert "<!DOCTYPE html>" in reply.text


async def test_a_job_that_is_not_there_is_a_404(vertex):
    for verb, tail in (("GET", ""), ("POST", ":cancel")):
        error = await vertex.refused(404, verb, f"{JOBS}/1{tail}")
        assert error["status"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (b'{"contents": ', "Line 1: invalid JSON"), (b"", "no usable example"),
        (b"[]", "Line 1: it is not a JSON object"),
        ([*supervised()[:2], {"messages": []}], "Line 3: missing required `contents`"),
        ([{"contents": turns("only asked")}], "Line 1: contents must end with a turn of the role model"),
        ([{"contents": [{"role": "judge", "parts": [{"text": "x"}]}]}], "contents[0].role"),
        ([{"contents": [{"role": "user", "parts": []}]}], "contents[0].parts"),
        ([{"contents": [{"role": "user", "parts": [{"text": 3}]}]}], "text must be a string"),
        (preferences()[:1], "must end with a turn of the role model"),
    ],
)  # fmt: skip
async def test_a_bad_dataset_fails_the_running_job_and_names_the_lines(vertex, lines, reason):
    vertex.put(lines)
    job = await vertex.tune()
    vertex.app.advance(5)
    assert (await vertex.look(job))["state"] == "JOB_STATE_RUNNING"
    vertex.app.advance(100)
    failed = await vertex.look(job)
    assert failed["state"] == "JOB_STATE_FAILED"
    assert failed["error"]["code"] == 3
    assert reason in failed["error"]["message"]
    assert TRAIN in failed["error"]["message"]
    assert not {"tuningDataStats", "experiment", "tunedModel"} & set(failed)


async def test_a_dataset_that_is_missing_fails_the_running_job(vertex):
    vertex.put(supervised())
    job = await vertex.tuned_job(job_body(spec={"validationDatasetUri": CHECK}))
    assert job["error"]["code"] == 5
    assert CHECK in job["error"]["message"]


async def test_an_emulator_without_a_bucket_makes_no_data_up(start):
    api = await start()
    job = await Vertex(api.app, api.http).tuned_job()
    assert (job["state"], job["error"]["code"]) == ("JOB_STATE_FAILED", 5)
    assert TRAIN in job["error"]["message"]


@pytest.mark.parametrize("sample", ["get_succeeded_2024", "get_failed_after_training_2024"])
@pytest.mark.parametrize("key", ["Input", "Output"])
def test_the_buckets_of_a_distribution_are_the_observed_ones(sample, key):
    seen = OBSERVED[sample]["tuningDataStats"]["supervisedTuningDataStats"][f"user{key}TokenDistribution"]
    values = [value for bucket in seen["buckets"] for value in (bucket["left"], bucket["right"])]
    ours = distribution(values)
    assert (ours["min"], ours["max"]) == (seen["min"], seen["max"])
    assert ours["buckets"] == [bucket | {"count": 2} for bucket in seen["buckets"]]


async def test_preference_pairs_are_tuned_and_counted(vertex):
    vertex.put(preferences())
    body = {
        "baseModel": "gemini-2.5-flash",
        "preferenceOptimizationSpec": {"trainingDatasetUri": TRAIN, "hyperParameters": {"epochCount": 2, "beta": 0.1}},
    }
    ended = await vertex.tuned_job(body)
    assert ended["state"] == "JOB_STATE_SUCCEEDED"
    assert ended["preferenceOptimizationSpec"]["hyperParameters"]["beta"] == 0.1
    stats = ended["tuningDataStats"]["preferenceOptimizationDataStats"]
    assert stats["tuningDatasetExampleCount"] == "15"
    assert stats["userInputTokenDistribution"]["sum"] == sum(-(-len(text) // 4) for text, _ in PAIRS)
    assert stats["scoresDistribution"]["mean"] == 0.5
    body["baseModel"] = "gemini-2.5-pro"
    assert "not supported" in (await vertex.refused(400, "POST", JOBS, body))["message"]
    vertex.put(supervised())
    body["baseModel"] = "gemini-2.5-flash"
    assert "Line 1: contents must end" in (await vertex.tuned_job(body))["error"]["message"]


async def test_an_endpoint_that_cannot_be_made_fails_the_job_and_leaves_the_model(vertex):
    vertex.app.faults.add(Fault(method="tuningJobs.create", job=JobFate(endpoint_fails=True)))
    vertex.put(supervised())
    ended = await vertex.tuned_job(job_body(spec={"hyperParameters": {"epochCount": 10}}))
    golden = OBSERVED["get_failed_after_training_2024"]
    assert list(ended) == list(golden)
    assert (ended["state"], ended["error"]) == (golden["state"], golden["error"])
    assert list(ended["tunedModel"]) == ["model"]


async def test_a_stuck_ingestion_never_shows_statistics_and_can_be_cancelled(vertex):
    vertex.app.faults.add(Fault(method="tuningJobs.create", job={"stuck_ingestion": True}))
    job = await vertex.tuned_job(path=BETA_JOBS)
    assert job["state"] == "JOB_STATE_RUNNING"
    assert "tuningDataStats" not in job
    waiting = await vertex.tune()
    vertex.app.advance(10_000)
    await vertex.call("POST", f"/v1/{job['name']}:cancel")
    vertex.app.advance(10_000)
    assert (await vertex.look(waiting))["state"] == "JOB_STATE_SUCCEEDED"


async def test_dropped_examples_are_counted_and_named(vertex):
    long = supervised([("x " * 140_000 * 2, "y")])
    vertex.put([*supervised(), *long])
    vertex.app.faults.add(Fault(method="tuningJobs.create", job={"dropped_examples": [2]}))
    stats = (await vertex.tuned_job())["tuningDataStats"]["supervisedTuningDataStats"]
    assert stats["tuningDatasetExampleCount"] == "14"
    assert stats["totalTruncatedExampleCount"] == "2"
    assert stats["truncatedExampleIndices"] == ["2", "16"]
    assert "131072" in stats["droppedExampleReasons"][1]


async def test_a_fate_that_fails_the_job_is_told_in_the_services_words(vertex):
    vertex.app.faults.add(Fault(method="tuningJobs.create", job={"fail_at_step": 3}))
    ended = await vertex.tuned_job()
    assert ended["error"] == {"code": 13, "message": "Internal error occurred. Contact Vertex AI."}
    assert list(ended["tunedModel"]) == ["model"]


async def test_the_end_and_the_endpoint_may_be_apart(start_vertex):
    vertex = await start_vertex(endpoint_lag_seconds=200_000)
    job = await vertex.tuned_job()
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    assert "endpoint" not in job["tunedModel"]
    vertex.app.advance(200_000)
    later = await vertex.look(job)
    assert later["tunedModel"]["endpoint"]
    assert later["updateTime"] > later["endTime"]


async def test_jobs_in_a_state_file_go_on_and_keep_their_place_in_the_queue(start_vertex, tmp_path):
    before = await start_vertex(state=tmp_path / "state.json")
    jobs = [await before.tune(job_body(labels={"a": "b"})) for _ in range(3)]
    before.app.advance(20)
    await before.call("POST", f"/v1/{jobs[1]['name']}:cancel")
    shown = await before.get(BETA_JOBS)
    again = await start_vertex(state=await copied(tmp_path / "state.json"))
    assert (await again.get(BETA_JOBS)) == shown
    again.app.advance(100_000)
    states = [(await again.look(job))["state"] for job in jobs]
    assert states == ["JOB_STATE_SUCCEEDED", "JOB_STATE_CANCELLED", "JOB_STATE_SUCCEEDED"]


async def test_replicas_that_are_behind_show_an_earlier_state(start_vertex):
    vertex = await start_vertex(publish_lag_seconds=30)
    job = await vertex.tune()
    vertex.app.advance(20)
    assert (await vertex.look(job))["state"] == "JOB_STATE_PENDING"
    vertex.app.advance(20)
    assert (await vertex.look(job))["state"] == "JOB_STATE_RUNNING"


async def test_the_curves_lag_as_the_job_does(start_vertex):
    vertex = await start_vertex(publish_lag_seconds=6)
    job = await vertex.tune()
    vertex.app.advance(0.3 + 12 + 1.2 * 3 + 6)
    context = await vertex.get(f"/v1/{(await vertex.look(job))['experiment']}")
    board = context["metadata"]["backing_tensorboard_resource"]
    (run,) = (await vertex.get(f"/v1/{board}/experiments/{context['displayName']}/runs"))["tensorboardRuns"]
    series = (await vertex.get(f"/v1/{run['name']}/timeSeries"))["tensorboardTimeSeries"][0]["name"]
    data = await vertex.get(f"/v1/{board}:batchRead", params={"timeSeries": series})
    assert [point["step"] for point in data["timeSeriesData"][0]["values"]] == ["1", "2", "3"]


async def test_the_emulator_counts_its_jobs_and_a_reset_forgets_them(vertex):
    await vertex.tune()
    await vertex.tune()
    vertex.app.advance(1)
    statistics = await vertex.get("/_emulator")
    assert statistics["tuning_jobs"] == 2
    assert statistics["tuning_job_states"] == {"RUNNING": 2}
    assert statistics["by_method"] == {"tuningJobs.create": 2}
    await vertex.call("POST", "/_emulator/reset", {})
    assert await vertex.get(JOBS) == {}
    assert (await vertex.get("/_emulator"))["tuning_jobs"] == 0


async def test_a_lost_reply_leaves_one_job_that_its_label_finds(vertex):
    vertex.app.faults.add(Fault(method="tuningJobs.create", act=True, status=503))
    error = await vertex.refused(503, "POST", JOBS, job_body(labels={"gemtune-id": "abc"}))
    assert error["message"] == "The service is currently unavailable."
    (job,) = (await vertex.get(JOBS, params={"filter": "labels.gemtune-id=abc"}))["tuningJobs"]
    assert job["labels"] == {"gemtune-id": "abc"}
