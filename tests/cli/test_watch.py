"""``gemtune jobs watch`` and ``gemtune jobs wait``."""

import argparse
import json
import shlex
import signal
import subprocess

import pytest

from cli.conftest import BASE, HOUR
from cli.listening import until_it_asks
from gemtune import events
from gemtune.cli.jobs.watch import again, exit_code_of
from gemtune.emulator import Fault, JobFate

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
    assert "not done after 0.3 s: tunedModels/one, tunedModels/two; only the waiting has ended" in ran.err
    assert app.requests.of("tunedModels.operations.cancel") == []


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


def test_watching_after_the_last_event_ends_at_once(app, gemtune, jobs):
    app.clock.advance(HOUR)
    cursor = gemtune("jobs", "watch", "one", "--json").records[-1]["cursor"]
    for names in (["one"], []):
        again = gemtune("jobs", "watch", *names, "--since", cursor, "--json", "--timeout", "60s")
        assert (again.records, again.code) == ([], 0)


def test_watching_wants_to_know_what(app, gemtune):
    ran = gemtune("jobs", "watch")
    assert (ran.code, ran.errors) == (2, ["name the jobs to watch, or pass --all"])
    for given in (["one", "--all"], ["--all", "one", "two"]):
        ran = gemtune("jobs", "watch", *given)
        assert (ran.code, ran.errors) == (2, ["--all watches all jobs; leave out the names or --all"])


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ([], "no job is running now; watch for more with: gemtune jobs watch --all"),
        (["one"], "1 job is still running; watch it again with: gemtune jobs watch --all"),
        (["one", "two"], "2 jobs are still running; watch them again with: gemtune jobs watch --all"),
    ],
)
def test_leaving_says_how_many_jobs_go_on(app, gemtune, rows, jobs, said):
    for name in jobs:
        assert gemtune("tune", rows, "--base", BASE, "--id", name).code == 0
    ran = gemtune("jobs", "watch", "--all", "--timeout", "3s")  # a loaded machine needs its time for the first list
    assert (ran.code, said in ran.err) == (124, True), ran.err


def test_a_reader_that_has_seen_enough_ends_the_watch_quietly(app, gemtune, jobs, command):
    app.clock.advance(HOUR)
    arguments = [*command, "jobs", "watch", "one", "two", "--json"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["kind"] == "added"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_say_that_the_jobs_go_on_and_with_which_command(app, gemtune, jobs, command, number):
    given = ["--all", "--json", "--timeout", "1h", "--project", "my-project"]
    code, err = stopped(app, [*command, "jobs", "watch", *given], number, told=2)
    assert code == 130
    told, end = err.splitlines()
    assert end == "interrupted"
    options = "--all --json --timeout 3600 --project my-project --since c1."
    assert told.startswith(f"2 jobs are still running; watch them again with: gemtune jobs watch {options}")
    app.clock.advance(HOUR)
    again = shlex.split(told.partition("gemtune ")[2])
    assert app.requests.of("tunedModels.operations.cancel") == []
    again.remove("--all")  # which waits for more of them
    records = gemtune(*again).records
    assert {record["job"] for record in records if record["kind"] == "succeeded"} == set(jobs)
    assert app.requests.of("tunedModels.operations.cancel") == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_the_waiting_and_no_job(app, gemtune, jobs, command, number):
    code, err = stopped(app, [*command, "jobs", "wait", *jobs], number)
    assert code == 130
    assert err.splitlines() == [
        "only the waiting has ended; wait again with the same command",
        "interrupted",
    ]


def stopped(app, argv, number, told=0):
    """Send a process a signal once it has asked and told of some jobs; return its exit code and what it said."""
    app.requests.clear()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        until_it_asks(process, app)
        while told:
            told -= json.loads(process.stdout.readline())["kind"] == "added"
        process.send_signal(number)
        _, err = process.communicate()
    return process.returncode, err


def test_the_command_that_goes_on_is_the_same_but_for_what_the_resume_token_holds():
    given = {"names": ["a", "b c"], "all": False, "json": True, "since": None, "base_url": None, "project": None}
    given |= {"timeout": None, "no_color": False, "vertex": None, "location": None, "trust_host": None}

    def words(token, **options):
        return again(argparse.Namespace(**(given | options)), token)

    assert words("c1.x") == "gemtune jobs watch --json --since c1.x"
    assert words("c1.x", json=False) == "gemtune jobs watch a 'b c'", "a person wants the names, and the whole curves"
    assert words("c1.x", json=False, names=[], all=True) == "gemtune jobs watch --all"
    assert words("c1.x", json=False, names=[], since="c1.w") == "gemtune jobs watch --since c1.x"
    assert words("c1.x", all=True, no_color=True) == "gemtune jobs watch --all --json --no-color --since c1.x"
    assert words("c1.x", timeout=90.0) == "gemtune jobs watch --json --timeout 90 --since c1.x"
    assert words("c1.x", base_url="http://[::1]:8080/$x") == (
        "gemtune jobs watch --json --base-url 'http://[::1]:8080/$x' --since c1.x"
    )
    assert words("c1.x", vertex=True, location="eu") == "gemtune jobs watch --json --vertex --location eu --since c1.x"
    assert (
        words("c1.x", trust_host=["a", "b"]) == "gemtune jobs watch --json --trust-host a --trust-host b --since c1.x"
    )
    long = "c1." + "x" * 5000
    assert words(long) == "gemtune jobs watch a 'b c' --json", "nobody copies that from a terminal"
    assert words(long, names=[], all=True) == "gemtune jobs watch --all --json"
    assert words(long, since="c1.y") == "gemtune jobs watch a 'b c' --json --since c1.y"


def stamp(job="tunedModels/one"):
    return {"job": job, "cursor": "", "observed_at": None}


@pytest.mark.parametrize("action", ["wait", "watch"])
def test_nothing_is_claimed_of_a_name_that_the_service_does_not_know(app, gemtune, action):
    ran = gemtune("jobs", action, "nope", "--timeout", "1s")
    assert (ran.code, ran.out) == (4, "")
    (line,) = ran.errors
    assert "tunedModels/nope does not exist" in line
    assert line.endswith("list yours with gemtune jobs list")
    assert "running" not in ran.err


def test_a_watch_in_a_pipe_reports_progress_while_a_job_runs(app, gemtune, rows, command):
    assert gemtune("tune", rows, "--base", BASE, "--id", "one").code == 0
    argv = [*command, "jobs", "watch", "one"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.terminate()
        assert first.startswith("tunedModels/one  ")
        assert "1 job is still running" in process.stderr.read()
