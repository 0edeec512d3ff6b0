"""The tutorial from end to end, over real sockets."""

import json
import os
import re
from collections import Counter

import pytest

import gemtune as sdk
from gemtune.cli.demo.requests import short_target, shortened
from gemtune.emulator import running_emulator

pytestmark = pytest.mark.socket

FAST = ["--speed", "2000"]


@pytest.mark.slow
def test_the_demo_runs_the_tutorial_for_machines(gemtune):
    ran = gemtune("demo", "--json", "--speed", 20)  # slow enough to be seen while it is CREATING
    assert ran.code == 0
    assert ran.err == ""
    records = ran.records
    kinds = Counter(record["kind"] for record in records)
    assert (kinds["step"], kinds["snapshot"], kinds["answer"], kinds["succeeded"]) == (5, 38, 2, 1)
    assert [record["state"] for record in records if record["kind"] == "state"] == ["CREATING", "ACTIVE"]
    snapshots = [record for record in records if record["kind"] == "snapshot"]
    assert [snapshot["step"] for snapshot in snapshots] == list(range(1, 39))
    assert snapshots[-1]["epoch"] == 5
    assert snapshots[-1]["mean_loss"] < snapshots[0]["mean_loss"]
    assert [record["prompt"] for record in records if record["kind"] == "answer"] == ["LXIII", "六"]
    assert records[-1]["kind"] == "done"


def test_the_demos_creation_is_the_tutorials(gemtune):
    records = gemtune("demo", "--json", *FAST).records
    (created,) = [record for record in records if record.get("verb") == "POST" and "?tunedModelId=" in record["target"]]
    body = created["body"]
    assert (body["displayName"], body["baseModel"]) == ("number generator model", "models/gemini-1.0-pro-001")
    assert body["tuningTask"]["hyperparameters"] == {"epochCount": 5, "batchSize": 2, "learningRate": 0.001}
    assert body["tuningTask"]["trainingData"]["examples"]["examples"] == [
        {"textInput": "1", "output": "2"},
        "... 14 more",
    ]


@pytest.mark.slow
def test_the_demo_runs_on_vertex_ai_as_well(gemtune):
    ran = gemtune("demo", "--vertex", "--speed", 50)  # slow enough for several looks at the curves
    assert ran.code == 0, ran.err
    assert "/endpoints/" in ran.out
    assert "succeeded" in ran.out
    assert ran.out.count(":batchRead?") == 1, "a request that is repeated is printed once, and so are two in turn"
    assert ran.out.rstrip().endswith("gemtune demo --vertex --live")


def test_the_demo_says_whose_answers_they_are(gemtune):
    ran = gemtune("demo", *FAST)
    assert ran.code == 0
    assert "nothing is learned" in ran.out
    assert ran.out.count("(emulator: nearest training example)") == 2
    assert ran.out.count("/operations/") == 1, "a request that is repeated is printed once"
    assert "succeeded  [" in ran.err
    assert "\x1b" not in ran.out + ran.err


def test_the_live_demo_says_what_it_really_talks_to(app, gemtune, monkeypatch):
    address = os.environ["GOOGLE_GEMINI_BASE_URL"]
    ran = gemtune("demo", "--live", "--timeout", "100ms")
    assert ran.code == 124  # the emulator's clock stands still
    assert ran.out.splitlines()[0] == f"The tuning tutorial on the service at {address}, with your own credentials:"
    assert "real service" not in ran.out


def test_the_real_service_is_called_so(no_credentials, gemtune, monkeypatch):
    monkeypatch.delenv("GOOGLE_GEMINI_BASE_URL")
    assert gemtune("demo", "--live").out.startswith("The tuning tutorial on the real service, ")


def test_the_same_seed_gives_the_same_losses(gemtune):
    def losses(seed: int) -> list[float]:
        records = gemtune("demo", "--json", "--seed", seed, *FAST).records
        return [record["mean_loss"] for record in records if record["kind"] == "snapshot"]

    assert losses(1) != losses(2)


async def test_the_requests_that_a_client_shows_are_those_that_arrive():
    shown: list[tuple[str, str, bytes | None]] = []
    async with running_emulator(clock="stepped") as server:
        async with sdk.Client(base_url=server.url, token="t", on_request=lambda *sent: shown.append(sent)) as client:
            await client.tuned_models.list(page_size=3).all()
            job = await client.tune("models/gemini-1.0-pro-001", [("1", "2")], display_name="Ünïcode")
            await job.refresh()
            async for _ in client.stream_generate_content("models/gemini-1.0-pro-001", "hello"):
                pass
        arrived = [(entry.verb, entry.path, entry.query, entry.body) for entry in server.app.requests]
    assert len(shown) == 4
    for (method, target, sent), (verb, path, query, body) in zip(shown, arrived, strict=True):
        assert (method, target.partition("?")[0], sent or b"") == (verb, path, body)
        pairs = [pair for pair in target.partition("?")[2].split("&") if pair]
        assert [pair.partition("=")[0] for pair in pairs] == [name for name, _ in query]


def test_a_body_is_shown_with_its_long_lists_cut():
    body = {"a": [1, 2, 3], "b": [1, 2], "c": {"d": [[0, 0, 0]]}}
    assert shortened(json.dumps(body).encode()) == {
        "a": [1, "... 2 more"],
        "b": [1, 2],
        "c": {"d": [[0, "... 2 more"]]},
    }
    assert shortened(None) is None


def test_an_address_is_shown_with_its_long_values_cut():
    assert short_target("/v1/a:batchRead?s=one&s=two&s=three&x=1") == "/v1/a:batchRead?s=one (and 2 more)&x=1"
    assert short_target(f"/v1/a?filter={'%20' * 40}") == f"/v1/a?filter={'%20' * 19}..."
    assert short_target("/v1/a") == "/v1/a"


@pytest.mark.slow
def test_the_sweep_of_the_demo_ends_with_the_best_hyperparameters_and_whether_they_are_better(gemtune):
    ran = gemtune("demo", "--sweep", "--speed", 600)
    assert ran.code == 0, ran.err
    assert "nothing is learned" in ran.out
    answer = ran.out.partition("\n3. Which hyperparameters")[2].splitlines()
    assert answer[0].endswith("better than the base model?")
    (best,) = [line for line in answer if line.startswith("best: point ")]
    (better,) = [line for line in answer if " is better than base: exact_match " in line]
    assert re.search(r"p < 0\.0\d+ on 60 rows", better)
    assert best.split()[2] == better.split()[1], "the best point is what is compared"
    assert "(epochs 8 · rate × 1)" in best or "(epochs 4 · rate × 3)" in best, "the surface says so"
    assert answer[-1].startswith("Done in ")
    assert "gemtune sweep rows.csv" in answer[-1]


@pytest.mark.slow
def test_the_sweep_of_the_demo_runs_on_the_gemini_api_for_machines(gemtune):
    records = gemtune("demo", "--sweep", "--no-vertex", "--json", "--speed", 600).records
    assert [record["title"].split()[0] for record in records if record["kind"] == "step"] == ["The", "Tune", "Which"]
    (whole,) = [record for record in records if record["kind"] == "sweep"]
    assert len(whole["points"]) == 12
    assert whole["objective"] == "exact_match"
    assert whole["comparisons"][0]["significant"]
    assert records[-1]["kind"] == "done"


def test_the_sweep_of_the_demo_is_not_for_the_real_service(gemtune):
    ran = gemtune("demo", "--sweep", "--live")
    assert ran.code == 2
    assert "a service of its own: gemtune sweep is the real one" in ran.err
