"""Bad input and failures: one line of ours on standard error, and the exit code that tells them apart."""

import argparse
import io

import pytest

from cli.conftest import BASE
from gemtune import Client, RetryPolicy, errors
from gemtune.cli.exits import exit_code, together
from gemtune.cli.options import seconds
from gemtune.emulator import Fault

pytestmark = pytest.mark.socket

READ = "training data: 3 rows of rows.csv; input = column 'text_input', output = 'output'"


def quota(retry_delay: str) -> Fault:
    details = [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry_delay},
    ]
    error = {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED", "details": details}
    return Fault(status=429, body={"error": error})


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["frob"], 2, "invalid choice: 'frob'"),
        (["jobs"], 2, "ACTION"),
        (["jobs", "get"], 2, "NAME"),
        (["jobs", "list", "--timeout", "soon"], 2, "'soon' is not a duration"),
        (["jobs", "list", "--base-url", "http://example.com"], 2, "plain http"),
        (["jobs", "get", "tunedModels/../x"], 2, "must look like"),
        (["jobs", "get", "not-there"], 4, "tunedModels/not-there does not exist"),
        (["generate", "x", "--model", "models/none"], 4, "models/none"),
        (["tune", "ROWS", "--base", "models/gemini-2.0-flash"], 4, "models that can be tuned here"),
        (["tune", "ROWS", "--base", BASE, "--id", "Bad Id"], 2, "--id"),
        (["tune", "ROWS", "--base", BASE, "--if-exists", "adopt"], 2, "--id"),
        (["tune", "ROWS", "--base", BASE, "--learning-rate", "1", "--learning-rate-multiplier", "1"], 2, "not allowed"),
        (["tune", "nowhere.csv", "--base", BASE], 2, "nowhere.csv cannot be read"),
        (["tune", "ROWS.xlsx", "--base", BASE], 2, "cannot be read"),
        (["generate", "", "--model", BASE], 2, "the prompt is empty"),
        (["generate", "\udcff", "--model", BASE], 2, "PROMPT: holds bytes that are not UTF-8"),
        (["generate", "x", "--system", "a\udcff", "--model", BASE], 2, "--system: holds bytes that are not UTF-8"),
        (["generate", "x", "--model", "models/\udcff"], 2, "must look like"),
        (["tune", "ROWS", "--base", BASE, "--display-name", "\udcff"], 2, "--display-name: holds bytes"),
        (["tune", "ROWS", "--base", BASE, "--description", "\udcff"], 2, "--description: holds bytes"),
        (["tune", "ROWS", "--base", BASE, "--id", "\udcff"], 2, "--id"),
        (["jobs", "list", "--filter", "\udcff"], 2, "--filter: holds bytes"),
        (["jobs", "list", "--project", "\udcff"], 2, "--project"),
        (["jobs", "get", "\udcff"], 2, "NAME"),
        (["demo", "--speed", "0"], 2, "greater than 0"),
        (["demo", "--live", "--speed", "2"], 2, "--speed"),
        (["demo", "--base-url", "http://127.0.0.1:1"], 2, "--live"),
        (["emulator", "--clock", "broken"], 2, None),
    ],
)
def test_bad_input_is_told_in_one_line(app, gemtune, rows, argv, code, words):
    ran = gemtune(*[argument.replace("ROWS", str(rows)) for argument in argv])
    assert ran.code == code
    assert ran.out == ""
    # What the service refuses was read before, and that is said.
    *before, _ = ran.err.splitlines()
    assert before == ([READ] if argv[0] == "tune" and code == 4 else [])
    if words is not None:
        assert words in ran.errors[0]


def test_a_row_that_is_wrong_is_named(app, gemtune, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"text_input": "1", "output": "2"}\n{"text_input": "3", "output": ""}\n')
    ran = gemtune("tune", tmp_path / "bad.jsonl", "--base", BASE)
    assert ran.code == 2
    assert ran.errors == ["line 2: output is empty; fill it in or drop the row"]
    assert len(app.requests) == 0


def test_a_missing_credential_is_told_with_the_command_to_run(no_credentials, gemtune):
    ran = gemtune("jobs", "list")
    assert ran.code == 3
    assert "gcloud auth application-default login --scopes=" in ran.errors[0]


def test_the_live_demo_without_a_credential_says_what_is_missing(no_credentials, gemtune, monkeypatch):
    ran = gemtune("demo", "--live")
    assert ran.code == 3
    assert "Application Default Credentials" in ran.out
    assert "gcloud auth application-default login --scopes=" in ran.errors[0]


def test_a_credential_that_is_refused_has_the_same_code(app, gemtune):
    app.auth.mode = "strict"
    assert gemtune("jobs", "list").code == 3


def test_a_quota_that_is_used_up_has_its_code(app, gemtune):
    app.faults.add(quota("7200s"))
    ran = gemtune("jobs", "list")
    assert ran.code == 5
    assert len(ran.errors) == 1


def test_a_service_that_cannot_be_reached_is_a_failure(app, gemtune):
    ran = gemtune("jobs", "list", "--base-url", "http://127.0.0.1:9", "--timeout", "50ms")
    assert ran.code in {1, 124}
    assert len(ran.errors) == 1


@pytest.mark.parametrize(
    "argv",
    [
        ["jobs", "list"],
        ["jobs", "get", "x"],
        ["jobs", "get", "tunedModels/x/operations/y"],
        ["jobs", "cancel", "x"],
        ["jobs", "delete", "x", "y", "--yes"],
        ["generate", "x", "--model", "tunedModels/x"],
        ["generate", "x", "--model", "tunedModels/x", "--stream"],
        ["tune", "ROWS", "--base", BASE],
        ["tune", "ROWS", "--base", BASE, "--id", "x", "--wait"],
    ],
)
def test_whatever_takes_too_long_has_the_code_of_a_time_out(app, gemtune, rows, argv):
    app.faults.add(*[Fault(delay=60) for _ in range(10)])
    ran = gemtune(*[str(rows) if argument == "ROWS" else argument for argument in argv], "--timeout", "1ms")
    assert ran.code == 124, ran.err
    assert ran.out == ""
    assert len(ran.errors) == 1


def test_an_answer_that_does_not_come_is_given_up_in_time(app, gemtune, rows):
    app.faults.add(Fault(method="tunedModels.create", delay=60))
    ran = gemtune("tune", rows, "--base", BASE, "--timeout", "1s")  # a loaded machine needs its time to send it
    assert ran.code == 124
    assert ran.err.splitlines()[:2] == [READ, "the job may have been created; look with: gemtune jobs list"]


def test_what_the_sdk_warns_about_is_noted(app, gemtune):
    app.faults.add(quota("0.001s"))
    ran = gemtune("jobs", "list")
    assert ran.code == 0
    assert ran.err.startswith("note: tunedModels.list: attempt 1 failed")


def test_a_mistake_of_ours_is_one_line_and_with_the_switch_a_traceback(app, gemtune, monkeypatch):
    def broken(*_: object) -> object:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("gemtune.cli.settings.open_client", broken)
    ran = gemtune("settings")
    assert ran.code == 1
    assert ran.errors[0].startswith("ZeroDivisionError: division by zero")
    assert "Traceback" not in ran.err
    monkeypatch.setenv("GEMTUNE_DEBUG", "1")
    assert "Traceback" in gemtune("settings").err


def test_a_missing_server_package_is_told_with_the_extra_that_has_it(gemtune, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    for command in ("demo", "emulator"):
        ran = gemtune(command)
        assert ran.code == 2
        assert "pip install 'gemtune[emulator]'" in ran.err
        assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("given", "encoding", "words"),
    [
        (b"", "utf-8", "standard input is empty"),
        (b" \n", "utf-8", "standard input is empty"),
        (b"a\xff", "utf-8", "standard input is not UTF-8"),
        (b"a\xff", "ascii", "standard input is not UTF-8"),
    ],
)
def test_a_prompt_from_standard_input_has_to_be_one(app, gemtune, monkeypatch, given, encoding, words):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given), encoding, "surrogateescape"))
    ran = gemtune("generate", "-", "--model", BASE)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.errors[0]
    assert len(app.requests) == 0


def test_a_job_on_a_service_that_does_not_answer_is_not_advised_to_be_deleted(gemtune, monkeypatch):
    def impatient(options: argparse.Namespace) -> Client:
        return Client(base_url=options.base_url, api_key="k", retry=RetryPolicy(attempts=1))

    monkeypatch.setattr("gemtune.cli.jobs.each.open_client", impatient)
    ran = gemtune("jobs", "cancel", "x", "--base-url", "http://127.0.0.1:9")
    assert ran.code == 1
    assert "127.0.0.1:9" in ran.errors[0]
    assert "delete" not in ran.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.TuningFailed("x"), 1),
        (errors.Unavailable("x"), 1),
        (errors.ConnectFailed("x"), 1),
        (errors.AmbiguousOutcome("x"), 1),
        (errors.InvalidInput("x"), 2),
        (errors.CredentialsError("x"), 3),
        (errors.Unauthenticated("x"), 3),
        (errors.NotFound("x"), 4),
        (errors.PermissionDenied("x"), 4),
        (errors.TuningUnavailable("x"), 4),
        (errors.QuotaExhausted("x"), 5),
        (errors.DeadlineExceeded("x"), 124),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
    ],
)
def test_the_exit_code_tells_the_kind_of_failure(error, code):
    assert exit_code(error) == code


@pytest.mark.parametrize(("codes", "code"), [([], 0), ([0, 0], 0), ([0, 4, 4], 4), ([2, 4], 1), ([0, 1], 1)])
def test_several_things_share_an_exit_code_or_have_simply_failed(codes, code):
    assert together(codes) == code


@pytest.mark.parametrize(
    ("text", "value"), [("30", 30), ("30s", 30), ("5m", 300), ("2h", 7200), ("1.5 h", 5400), ("250ms", 0.25)]
)
def test_a_duration_may_have_a_unit(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("words", [[], ["jobs"], ["jobs", "delete"], ["tune"], ["generate"], ["demo"], ["settings"]])
def test_every_help_has_examples(gemtune, words):
    ran = gemtune(*words, "--help")
    assert ran.code == 0
    assert "\n  gemtune " in ran.out
