"""The command line on Vertex AI: the same commands, led there by Google's variables and a service account's file."""

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cli.terminal import Terminal, check, quick
from gemtune.cli import tune
from gemtune.emulator import Fault, create_app, running_emulator
from gemtune.resources.vertex import labels, waiting

BASE = "gemini-2.5-flash"
HOUR = 3600.0


@pytest.fixture(scope="module")
def private_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form).decode()


@pytest.fixture
def vertex(monkeypatch, tmp_path, private_key):
    """An emulator with a bucket, and an environment that leads every command to its Vertex AI.

    Its list never lags behind, so that a command need not wait ten seconds for it: tests/proofs do, in virtual time.
    """
    monkeypatch.setattr(labels, "SETTLED", 0.05)
    with running_emulator(create_app(clock="stepped", auth="required", buckets=["my-bucket"])) as server:
        account = {
            "type": "service_account", "project_id": "my-project", "private_key_id": "1", "private_key": private_key,
            "client_email": "robot@my-project.iam.gserviceaccount.com", "token_uri": f"{server.url}/token",
        }  # fmt: skip
        file = tmp_path / "account.json"
        file.write_text(json.dumps(account), encoding="utf-8")
        for name, value in {
            "GOOGLE_APPLICATION_CREDENTIALS": str(file),
            "GOOGLE_GENAI_USE_VERTEXAI": "true",
            "GOOGLE_CLOUD_PROJECT": "my-project",
            "GOOGLE_VERTEX_BASE_URL": server.url,
            "GEMTUNE_BUCKET": "my-bucket",
            "NO_COLOR": "1",
        }.items():
            monkeypatch.setenv(name, value)
        yield server.app


@pytest.fixture
def started(vertex, gemtune, rows):
    """The name of a tuning job."""
    ran = gemtune("tune", rows, "--base", BASE, "--display-name", "Mine", "--epochs", 2, "--label", "team=a", "--json")
    assert ran.code == 0, ran.err
    return ran.records[-1]["job"]


def asked(app):
    return [request for request in app.requests if "enerateContent" in request.path]


def bodies(app, method):
    return [json.loads(request.body) for request in app.requests.of(method)]


def test_tune_uploads_the_data_and_says_everything_that_was_asked_for(vertex, gemtune, rows, tmp_path):
    validation = tmp_path / "validation.csv"
    validation.write_text("text_input,output\nfive,six\n", encoding="utf-8")
    rows.write_text("text_input,output\n" + "1,2\nthree,four\n" * 2, encoding="utf-8")
    ran = gemtune(
        "tune", rows, "--base", BASE, "--validation", validation, "--epochs", 2, "--learning-rate-multiplier", 0.5,
        "--adapter-size", 4, "--checkpoints", "last", "--label", "team=a", "--label", "cost=low", "--id", "mine",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "/tuningJobs/" in ran.out
    (body,) = bodies(vertex, "tuningJobs.create")
    spec = body["supervisedTuningSpec"]
    assert spec["trainingDatasetUri"] != spec["validationDatasetUri"]
    for uri in (spec["trainingDatasetUri"], spec["validationDatasetUri"]):
        assert uri.startswith("gs://my-bucket/gemtune/")
    assert spec["exportLastCheckpointOnly"] is True
    assert spec["hyperParameters"]["adapterSize"] == "ADAPTER_SIZE_FOUR"
    assert body["labels"] | {"gemtune-id": ""} == {"team": "a", "cost": "low", "gemtune-id": ""}
    assert "4 rows of rows.csv" in ran.err


def test_the_same_id_adopts_the_job_and_says_so(vertex, gemtune, rows):
    first = gemtune("tune", rows, "--base", BASE, "--id", "mine", "--json")
    again = gemtune("tune", rows, "--base", BASE, "--id", "mine", "--if-exists", "adopt", "--json")
    assert (first.records[-1]["kind"], again.records[-1]["kind"]) == ("created", "adopted")
    assert first.records[-1]["job"] == again.records[-1]["job"]
    assert "existed already" in again.err
    assert len(list(vertex.requests.of("tuningJobs.create"))) == 1


def test_a_job_is_found_by_the_id_that_was_chosen_for_it(vertex, gemtune, rows):
    made = gemtune("tune", rows, "--base", BASE, "--id", "mine", "--json").records[-1]["job"]
    assert gemtune("jobs", "get", "mine", "-q").out.split() == [made]
    assert gemtune("jobs", "cancel", "mine").code == 0
    vertex.clock.advance(HOUR)
    assert "cancelled" in gemtune("jobs", "get", "mine").out.lower()
    other = gemtune("jobs", "get", "yours")
    assert other.code == 4
    assert "which stands for your own id" in other.err


def test_list_shows_the_jobs(started, gemtune):
    ran = gemtune("jobs", "list")
    heading, line = ran.out.splitlines()
    assert heading.split()[:2] == ["NAME", "STATE"]
    assert started in line
    assert BASE in line
    assert "Mine" in line
    assert "JOB_STATE" not in line
    assert gemtune("jobs", "list", "-q").out.split() == [started]
    assert gemtune("jobs", "list", "--json").records[0]["name"] == started


def test_get_shows_what_the_job_is_and_what_came_of_it(vertex, started, gemtune):
    vertex.clock.advance(HOUR)
    ran = gemtune("jobs", "get", started)
    assert ran.code == 0, ran.err
    for said in (
        started,
        "succeeded",
        "JOB_STATE_SUCCEEDED",
        "team=a",
        "3 examples",
        "/endpoints/",
        "checkpoint 2",
        "/models/",
    ):
        assert said in ran.out
    assert gemtune("jobs", "get", started.rpartition("/")[2], "-q").out.strip() == started
    assert gemtune("jobs", "get", started, "--json").records[0]["state"] == "JOB_STATE_SUCCEEDED"


def test_wait_and_generate_with_the_endpoint(vertex, started, gemtune):
    vertex.clock.advance(HOUR)
    assert gemtune("jobs", "wait", started, "--timeout", "30s").code == 0
    endpoint = gemtune("jobs", "get", started, "--json").records[0]["tunedModel"]["endpoint"]
    assert gemtune("generate", "three", "--model", endpoint).out.startswith("four")
    assert gemtune("generate", "three", "--model", started).out.startswith("four")
    assert gemtune("generate", "three", "--model", started, "--stream").out.startswith("four")
    assert {request.path.rpartition("/")[2].partition(":")[0] for request in asked(vertex)} == {
        endpoint.rpartition("/")[2]
    }
    ran = gemtune("generate", "hello", "--model", BASE)
    assert ran.code == 0, ran.err
    assert list(vertex.requests)[-1].path.endswith(f"publishers/google/models/{BASE}:generateContent")


def test_a_job_that_is_not_done_cannot_be_asked_and_the_message_says_when(started, gemtune):
    ran = gemtune("generate", "three", "--model", started)
    assert ran.code == 2
    assert "cannot be asked: its state is" in ran.err


def test_batch_asks_the_endpoint_of_a_job(vertex, started, gemtune, tmp_path):
    vertex.clock.advance(HOUR)
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out.jsonl"
    prompts.write_text("1\nthree\n", encoding="utf-8")
    ran = gemtune("batch", prompts, out, "--model", started)
    assert ran.code == 0, ran.err
    assert len(out.read_text(encoding="utf-8").splitlines()) == 2
    assert all("/endpoints/" in request.path for request in asked(vertex))


def test_cancel_twice_is_no_error(vertex, started, gemtune):
    assert "asked to cancel" in gemtune("jobs", "cancel", started).out
    vertex.clock.advance(HOUR)
    assert "has ended (CANCELLED)" in gemtune("jobs", "cancel", started).out


def test_delete_takes_the_model_of_a_job(vertex, started, gemtune):
    ran = gemtune("jobs", "delete", started, "--yes")
    assert ran.code == 2
    assert "no model to delete" in ran.err


def test_a_command_to_follow_keeps_the_place(vertex, gemtune, rows, monkeypatch):
    monkeypatch.delenv("GOOGLE_GENAI_USE_VERTEXAI")
    ran = gemtune("tune", rows, "--base", BASE, "--vertex", "--location", "europe-west4")
    assert ran.code == 0, ran.err
    assert ran.err.splitlines()[-1].endswith("--vertex --location europe-west4")
    assert "/locations/europe-west4/" in ran.out


def test_a_command_that_helps_keeps_the_place(vertex, gemtune, monkeypatch):
    monkeypatch.delenv("GOOGLE_GENAI_USE_VERTEXAI")
    place = "--vertex --project my-project --location europe-west4"
    for action in ("get", "wait", "cancel"):
        timeout = ("--timeout", "1s") if action == "wait" else ()
        ran = gemtune("jobs", action, "123", *place.split(), *timeout)
        assert ran.errors[-1].endswith(f"list yours with gemtune jobs list {place}")


def test_settings_say_which_service_and_where(vertex, gemtune):
    ran = gemtune("settings")
    assert "Vertex AI  (from GOOGLE_GENAI_USE_VERTEXAI)" in ran.out
    assert "us-central1  (from default)" in ran.out
    assert "my-bucket  (from GEMTUNE_BUCKET)" in ran.out
    assert "Gemini API  (from argument vertexai)" in gemtune("settings", "--no-vertex").out


def test_what_belongs_to_the_other_service_is_refused_in_the_shell_s_words(vertex, gemtune, rows):
    ran = gemtune("tune", rows, "--base", BASE, "--batch-size", 4)
    assert ran.code == 2
    assert "--batch-size" in ran.err
    ran = gemtune("tune", rows, "--base", "models/x", "--no-vertex", "--validation", rows)
    assert ran.code == 2
    assert ran.errors == [
        "--validation has no counterpart on the Gemini API; leave it out, or tune on Vertex AI, with --vertex"
    ]


def test_without_a_bucket_both_ways_to_give_one_are_named(vertex, gemtune, rows, monkeypatch):
    monkeypatch.delenv("GEMTUNE_BUCKET")
    ran = gemtune("tune", rows, "--base", BASE)
    assert ran.code == 2
    assert "--bucket" in ran.err
    assert "GEMTUNE_BUCKET" in ran.err
    assert gemtune("tune", rows, "--base", BASE, "--bucket", "gs://my-bucket").code == 0


def test_whoever_stops_before_the_job_is_sent_hears_that_there_is_none(vertex, gemtune, rows):
    vertex.faults.add(Fault(method="objects.insert", delay=60))
    ran = gemtune("tune", rows, "--base", BASE, "--timeout", "1s")
    assert ran.code == 124, ran.err
    assert "no job was created" in ran.err.splitlines(), ran.err


def test_of_the_requests_only_the_creation_may_have_made_a_job(vertex, gemtune, rows):
    assert gemtune("tune", rows, "--base", BASE).code == 0
    sent = [(request.verb, request.path, None) for request in vertex.requests]
    (created,) = [target for call in sent for target in tune.creation(*call)]
    assert created.endswith("/locations/us-central1/tuningJobs")


def test_watch_all_finds_the_job(vertex, started, gemtune):
    ran = gemtune("jobs", "watch", "--all", "--json", "--timeout", "3s")
    assert {record["job"] for record in ran.records} == {started}
    assert "1 job is still running" in ran.err


def test_the_demo_runs_the_tutorial_s_data_on_the_emulator_s_vertex_ai(gemtune):
    ran = gemtune("demo", "--vertex", "--speed", "500", "--json")
    assert ran.code == 0, ran.err
    kinds = [record["kind"] for record in ran.records]
    assert [kind for kind in kinds if kind in {"listed", "created", "succeeded", "done"}] == [
        "listed", "created", "succeeded", "done",
    ]  # fmt: skip
    assert sum(kind == "answer" for kind in kinds) == 2
    targets = [record["target"] for record in ran.records if record["kind"] == "request"]
    assert any(target.startswith("/upload/storage/v1/b/gemtune-demo/o") for target in targets)
    assert not any(target.startswith("/v1beta/") for target in targets)


USED_UP = {
    "error": {
        "code": 429,
        "message": "Quota exceeded.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "TuningJobsPerDay"}]}
        ],
    }
}


def test_with_queue_the_command_waits_for_a_place_and_says_the_name_of_the_job(vertex, gemtune, rows, monkeypatch):
    monkeypatch.setattr(waiting, "SHORTEST", 0.01)
    vertex.faults.add(Fault(method="tuningJobs.create", status=429, body=json.dumps(USED_UP)))
    refused = gemtune("tune", rows, "--base", BASE)
    assert refused.code != 0
    assert "--queue" in refused.err
    vertex.faults.add(Fault(method="tuningJobs.create", status=429, body=json.dumps(USED_UP)))
    ran = gemtune("tune", rows, "--base", BASE, "--queue")
    assert ran.code == 0, ran.err
    assert "waiting for a place" in ran.err
    assert "/tuningJobs/" in ran.out
    assert "waiting" not in ran.out
    assert gemtune("jobs", "get", ran.out.strip()).code == 0


@pytest.mark.slow
def test_whoever_leaves_a_job_that_has_no_place_is_not_told_that_it_continues(vertex, rows):
    vertex.faults.add(Fault(method="tuningJobs.create", status=429, body=json.dumps(USED_UP), times=100))
    terminal = Terminal(quick("tune", rows, "--base", BASE, "--queue", "--wait"), 200)
    assert "Ctrl-C gives it up while it has no place" in terminal.until("waiting for quota")
    terminal.press_ctrl_c()
    assert "if it had no place yet, nothing was created; otherwise the job continues" in terminal.close()


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 40])
def test_a_person_sees_what_a_job_waits_for(vertex, started, gemtune, rows, columns):
    terminal = Terminal(quick("tune", rows, "--base", BASE, "--epochs", 2, "--wait"), columns)
    terminal.until("starting")
    vertex.clock.advance(5)
    waits = terminal.until("waiting for quota")
    terminal.press_ctrl_c()
    terminal.close()
    check(f"tune-waits-for-quota-{columns}", waits)
    second = gemtune("jobs", "list", "-q").out.split()[0]
    shown = gemtune("jobs", "get", second).out
    assert shown.splitlines()[1] == "  waiting for quota"
    assert "reason" not in shown, "what the service says is said once"
    assert "JOB_STATE_RUNNING, WAITING_FOR_QUOTA" in shown
    terminal = Terminal(quick("jobs", "watch", started, second), columns)
    waits = terminal.until("1 starting, 1 waiting for quota")
    terminal.press_ctrl_c()
    terminal.close()
    check(f"watch-waits-for-quota-{columns}", waits)
