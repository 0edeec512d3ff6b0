"""``gemtune batches``, and ``gemtune jobs`` with batches among the jobs."""

import asyncio
import json
import subprocess

import pytest

import gemtune as sdk
from cli.conftest import HOUR
from gemtune.emulator import BatchFate, Fault, JobFate

pytestmark = pytest.mark.socket
CREATED = "models.batchGenerateContent"


@pytest.fixture
def create(app):
    """Create a batch of the named prompts, with what becomes of it, and return its name."""

    def make(*keys, ended=True, **fates):
        async def created():
            async with sdk.Client() as client:
                return (await client.batches.create("gemini-3.7-flash", {key: key for key in keys})).name

        if fates:
            app.faults.add(Fault(method=CREATED, **fates))
        name = asyncio.run(created())
        if ended:
            app.clock.advance(49 * HOUR)
        return name

    return make


def test_the_list_has_a_line_for_each_with_its_requests(gemtune, create):
    assert gemtune("batches", "list").err == "no batches\n"
    first = create("a", "b", batch=BatchFate(failed_lines=(1,)))
    second = create("c", ended=False)
    heading, *lines = gemtune("batches", "list").out.splitlines()
    assert heading.split()[:2] == ["NAME", "STATE"]
    assert [line.split()[:2] for line in lines] == [[second, "PENDING"], [first, "SUCCEEDED"]]
    assert "2/2, 1 failed" in lines[1]
    assert gemtune("batches", "ls", "-q").out.splitlines() == [second, first]
    records = gemtune("batches", "list", "--json").records
    assert [(record["name"], record["counts"]["total"]) for record in records] == [(second, 1), (first, 2)]


def test_get_takes_full_names_and_bare_ids(gemtune, create):
    name = create("a", "b")
    for given in (name, name.removeprefix("batches/")):
        ran = gemtune("batches", "get", given)
        assert ran.out.splitlines()[0] == name
        assert "2/2 requests" in ran.out
    (record,) = gemtune("batches", "get", name, "--json").records
    assert (record["state"], record["counts"]["successful"]) == ("SUCCEEDED", 2)
    assert gemtune("jobs", "get", name, "--json").records == [record]


@pytest.mark.parametrize("group", ["batches", "jobs"])
def test_watch_and_wait_say_how_they_ended(gemtune, create, tuned, group):
    good = create("a", "b", batch=BatchFate(failed_lines=(1,)))
    bad = create("c", "d", job=JobFate(fail_at_step=1, message="out of tokens"))
    ran = gemtune(group, "wait", good)
    assert (ran.code, ran.out) == (0, f"{good} completed: 1 of 2 answered, 1 failed\n")
    ran = gemtune(group, "watch", good, bad)
    assert ran.code == 1
    assert f"{bad} failed: out of tokens" in ran.out
    kinds = {record["kind"] for record in gemtune(group, "watch", good, "--json").records}
    assert kinds >= {"added", "progress", "completed"}
    if group == "jobs":
        assert gemtune("jobs", "wait", good, tuned, "--json").code == 0
    else:
        assert gemtune("batches", "wait", good.removeprefix("batches/")).code == 0
        assert gemtune("batches", "watch").code == 2


def test_watching_is_resumed_with_a_command_of_the_same_group(gemtune, create):
    name = create("a", ended=False)
    ran = gemtune("batches", "watch", name, "--timeout", "3s", "--json")  # as for the first list of jobs
    assert ran.code == 124
    again = ran.err.splitlines()[-1].partition("gemtune ")[2].split()
    assert again[:2] == ["batches", "watch"]
    assert "--since" in again


def test_a_process_that_is_killed_is_resumed_by_the_last_cursor_that_it_wrote(app, gemtune, create, command):
    name = create(*map(str, range(20)), ended=False)
    app.clock.advance(3.0)
    watching = subprocess.Popen([*command, "batches", "watch", name, "--json"], stdout=subprocess.PIPE, text=True)
    seen = []
    for line in watching.stdout:
        seen.append(json.loads(line))
        if seen[-1]["kind"] == "progress":
            break
    watching.kill()
    watching.communicate()
    app.clock.advance(49 * HOUR)
    after = gemtune("batches", "watch", "--since", seen[-1]["cursor"], "--json").records
    assert (after[0]["kind"], after[0]["origin"]) == ("added", "resumed")
    assert [record["kind"] for record in after].count("completed") == 1
    assert after[-1]["batch"]["counts"]["successful"] == 20
    assert "completed" not in {record["kind"] for record in seen}
    assert gemtune("batches", "watch", "--since", after[-1]["cursor"], "--json").records == []
    assert len(app.requests.of(CREATED)) == 1


def test_results_are_lines_with_keys_on_standard_output_and_in_a_whole_file(gemtune, create, tmp_path):
    name = create("a", "b", "c", batch=BatchFate(failed_lines=(2,)))
    ran = gemtune("batches", "results", name)
    assert ran.code == 1, "a request has failed"
    lines = {line["key"]: line for line in ran.records}
    assert set(lines) == {"a", "b", "c"}
    assert "response" in lines["a"]
    assert lines["b"]["error"]["message"]
    assert ran.err == "3 results, 1 failed\n"
    path = tmp_path / "answers.jsonl"
    path.write_text("older")
    ran = gemtune("batches", "results", name, path, "--json")
    assert ran.records == [{"output": str(path), "results": 3, "failed": 1}]
    assert {json.loads(line)["key"] for line in path.read_text().splitlines()} == {"a", "b", "c"}


def test_a_file_stays_as_it_was_if_there_are_no_results(gemtune, create, tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text("older")
    name = create("a", ended=False)
    ran = gemtune("batches", "results", name, path)
    assert ran.code == 4
    assert "has not ended" in ran.errors[0]
    assert f"gemtune batches get {name}" in ran.errors[0]
    assert path.read_text() == "older"
    assert [each.name for each in tmp_path.iterdir()] == ["answers.jsonl"]


def test_cancel_and_delete(gemtune, create):
    name = create("a", ended=False)
    assert gemtune("batches", "cancel", name).out == f"asked to cancel {name}\n"
    assert "has ended (CANCELLED)" in gemtune("jobs", "cancel", name).out
    ran = gemtune("batches", "delete", name)
    assert ran.code == 2
    assert "pass --yes" in ran.errors[0]
    assert gemtune("batches", "rm", name, "--yes").out == f"deleted {name}\n"
    ran = gemtune("batches", "get", name)
    assert ran.code == 4
    assert ran.errors[0].endswith("list yours with gemtune batches list")


@pytest.mark.parametrize("given", ["a b", "../x", "tunedModels/x", "batches/", "batches/x/y"])
@pytest.mark.parametrize("action", ["get", "watch", "wait", "cancel", "results"])
def test_bad_names_are_refused_before_anything_is_sent(app, gemtune, action, given):
    ran = gemtune("batches", action, given)
    assert ran.code == 2
    assert "must look like 'batches/abc123'" in ran.errors[0]
    assert list(app.requests) == []


@pytest.mark.parametrize("action", [["compare"], ["export", "--csv", "steps.csv"]])
def test_what_is_about_steps_refuses_a_batch(gemtune, create, action, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = gemtune("jobs", *action, create("a"))
    assert ran.code == 2
    assert "is a batch, which has no steps" in ran.errors[0]
