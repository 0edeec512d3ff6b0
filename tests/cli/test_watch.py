"""``gemtune jobs watch`` and ``gemtune jobs wait``."""

import json
import signal
import subprocess

import pytest

from cli.conftest import BASE, HOUR
from gemtune import events
from gemtune.cli.watch import exit_code_of
from gemtune.emulator import Fault, JobFate
from gemtune.events import JobState
from gemtune.show.jobs import JobsView

pytestmark = pytest.mark.socket


@pytest.fixture
def jobs(app, gemtune, rows):
    """Two jobs that run."""
    for name in ("one", "two"):
        assert gemtune("tune", rows, "--base", BASE, "--id", name).code == 0
    return ["tunedModels/one", "tunedModels/two"]


def test_waiting_ends_with_the_jobs(app, gemtune, jobs):
    app.clock.advance(HOUR)
    ran = gemtune("jobs", "wait", *jobs)
    assert ran.code == 0
    assert sorted(ran.out.splitlines()) == [f"{name} succeeded" for name in jobs]
    records = gemtune("jobs", "wait", *jobs, "--json").records
    assert {(record["kind"], record["job"]) for record in records} == {("succeeded", name) for name in jobs}


def test_waiting_has_an_end_of_its_own_and_the_exit_code_of_a_time_out(app, gemtune, jobs):
    ran = gemtune("jobs", "wait", "one", "two", "--timeout", "300ms")
    assert ran.code == 124
    assert "not done after 0.3 s: tunedModels/one, tunedModels/two; the jobs go on" in ran.err
    assert app.journal.of("tunedModels.operations.cancel") == []


def test_a_job_that_failed_is_an_exit_code_and_a_reason(app, gemtune, rows):
    app.faults.add(Fault(method="tunedModels.create", job=JobFate(fail_at_step=1, message="bad \x1b[31mdata")))
    gemtune("tune", rows, "--base", BASE, "--id", "bad")
    app.clock.advance(HOUR)
    for command in ("wait", "watch"):
        ran = gemtune("jobs", command, "bad")
        assert ran.code == 1
        assert "tunedModels/bad failed: bad" in ran.out
        assert "\x1b" not in ran.out


def test_the_exit_code_tells_out_of_sight_from_failed():
    lost = events.Lost(**stamp(), reason=events.LostReason.PERMISSION)
    failed = events.Failed(**stamp(), error=None)
    assert [exit_code_of(ends) for ends in ([], [lost], [lost, lost], [lost, failed], [failed])] == [0, 4, 4, 1, 1]


def test_watching_tells_every_event_as_json_and_goes_on_after_a_cursor(app, gemtune, jobs):
    app.clock.advance(HOUR)
    records = gemtune("jobs", "watch", "one", "--json").records
    steps = [record["step"] for record in records if record["kind"] == "snapshot"]
    assert steps == list(range(1, len(steps) + 1))
    assert (records[0]["kind"], records[-1]["kind"]) == ("added", "succeeded")
    third = next(record for record in records if record.get("step") == 3)
    again = gemtune("jobs", "watch", "--since", third["cursor"], "--json")
    assert [record["step"] for record in again.records if record["kind"] == "snapshot"] == steps[3:]
    assert again.code == 0
    refused = gemtune("jobs", "watch", "--since", "nonsense")
    assert (refused.code, len(refused.errors)) == (2, 1)


def test_watching_wants_to_know_what(app, gemtune):
    ran = gemtune("jobs", "watch")
    assert (ran.code, ran.errors) == (2, ["say which jobs to watch: give their names, or --all"])


@pytest.mark.slow
def test_ctrl_c_says_that_the_jobs_go_on_and_how_to_watch_them_again(app, gemtune, jobs, command):
    with subprocess.Popen(
        [*command, "jobs", "watch", "--all", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        added = 0
        while added < 2:
            added += json.loads(process.stdout.readline())["kind"] == "added"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert "2 jobs go on; watch them again with: gemtune jobs watch --since c1." in err
    app.clock.advance(HOUR)
    checkpoint = err.partition("--since ")[2].split()[0]
    assert gemtune("jobs", "watch", "--since", checkpoint).code == 0
    assert app.journal.of("tunedModels.operations.cancel") == []


def stamp(job="tunedModels/one"):
    return {"job": job, "cursor": "", "observed_at": None}


def test_the_table_has_a_line_for_each_job_and_those_that_go_on_first():
    view = JobsView()
    for number in range(5):
        name = f"tunedModels/job{number}"
        view.feed(events.StateChanged(**stamp(name), old=JobState.UNKNOWN, new=JobState.CREATING))
        view.feed(
            events.Progress(**stamp(name), completed_steps=number, total_steps=10, percent=10.0 * number, eta=None)
        )
    view.feed(events.Failed(**stamp("tunedModels/job0"), error=None))
    assert view.line(100) == "4 CREATING, 1 FAILED"
    block = view.block(80, 10, unicode=False)
    assert block[0] == view.line(80)
    assert [line.split()[0] for line in block[1:]] == [f"tunedModels/job{n}" for n in (1, 2, 3, 4, 0)]
    assert all(len(line) <= 80 for line in block)
    assert view.block(80, 3)[-1] == "and 3 more"
    view.feed(events.Degraded(**stamp(""), error="Unavailable", message="the service is out", status=503, failures=3))
    assert "still trying" in view.line(100)
    view.feed(events.Recovered(**stamp(""), downtime=3.0))
    assert "still trying" not in view.line(100)
