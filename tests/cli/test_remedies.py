"""Errors on the command line say what to type there, not what to write in Python."""

import re

import pytest

from cli.conftest import BASE
from gemtune import errors
from gemtune.cli.remedies import worded
from gemtune.emulator import Fault

pytestmark = pytest.mark.socket

PYTHON = re.compile(r"client\.|\w+=|tuned_model_id|if_exists|training_data|base_url|\w\(")


def test_a_taken_id_is_told_with_the_options_that_help(app, gemtune, rows, tuned):
    (error,) = gemtune("tune", rows, "--base", BASE, "--id", "my-model").errors
    assert "choose another --id, or take it over with --if-exists adopt" in error
    (error,) = gemtune("tune", rows, "--base", tuned, "--id", "my-model", "--if-exists", "adopt").errors
    assert "cannot be adopted; choose another --id" in error


def test_adopting_without_an_id_asks_for_one(app, gemtune, rows):
    (error,) = gemtune("tune", rows, "--base", BASE, "--if-exists", "adopt").errors
    assert error == "--id is missing: to adopt a model, name it"


def test_a_job_that_cannot_be_cancelled_is_told_with_the_command_that_deletes(app, gemtune, rows):
    gemtune("tune", rows, "--base", BASE, "--id", "running")
    app.faults.add(Fault(method="tunedModels.operations.cancel", status=501, body="Not Implemented"))
    (error,) = gemtune("jobs", "cancel", "running").errors
    assert error.endswith("delete the model: gemtune jobs delete tunedModels/running")


def test_a_creation_that_may_have_happened_is_told_with_the_command_that_looks(app, gemtune, rows):
    app.faults.add(
        Fault(method="tunedModels.create", drop=True, act=True),
        *[Fault(method="tunedModels.get", status=403) for _ in range(20)],
    )
    (error,) = gemtune("tune", rows, "--base", BASE, "--id", "perhaps").errors
    assert "look with gemtune jobs get tunedModels/perhaps" in error
    assert "tune again with the same --id and --if-exists adopt" in error


@pytest.mark.parametrize(
    ("argv", "beginning"),
    [
        (["tune", "ROWS", "--base", BASE, "--id", "Bad Id"], "--id 'Bad Id' is not allowed"),
        (["tune", "nowhere.csv", "--base", BASE], "DATA: nowhere.csv cannot be read"),
        (["tune", "ROWS", "--base", "a b"], "--base must look like"),
        (["tune", "ROWS", "--base", BASE, "--display-name", "x" * 41], "--display-name must be"),
        (["tune", "ROWS", "--base", BASE, "--epochs", "x"], "argument --epochs: 'x' is not a whole number"),
        (["generate", "x", "--model", "y", "--temperature", "x"], "argument --temperature: 'x' is not a number"),
        (["tune", "ROWS", "--base", BASE, "--epochs", "0"], "--epochs must be"),
        (["tune", "ROWS", "--base", BASE, "--learning-rate-multiplier", "0"], "--learning-rate-multiplier must be"),
        (["jobs", "list", "--base-url", "http://example.com"], "--base-url is plain http"),
        (["jobs", "list", "--project", "a b"], "--project must be"),
        (["generate", "x", "--model", "a b"], "--model must look like"),
        (["jobs", "get", "a b"], "NAME must look like"),
        (["evaluate", "nowhere.csv", "--model", "x"], "DATA: nowhere.csv cannot be read"),
        (["evaluate", "ROWS", "--model", "x", "--baseline", "y"], "--baseline must be"),
        (["sweep", "ROWS", "--base", BASE, "--epochs", "1", "--objective", "eval_loss"], "--objective: the Gemini API"),
        (
            ["sweep", "ROWS", "--base", BASE, "--adapter", "4"],
            "--adapter: adapter_size is a hyperparameter of",
        ),
        (
            ["sweep", "ROWS", "--base", BASE, "--rate", "0.1..10"],
            "a space with a range has no end; say how many points to try at most with --max-jobs",
        ),
    ],
)
def test_an_argument_that_is_wrong_is_called_as_it_was_given(app, gemtune, rows, argv, beginning):
    (error,) = gemtune(*[str(rows) if argument == "ROWS" else argument for argument in argv]).errors
    assert error.startswith(beginning)
    assert not PYTHON.search(error)


def test_a_variable_that_leads_elsewhere_is_told_with_the_option(gemtune, monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "https://example.com")
    monkeypatch.setenv("GOOGLE_API_KEY", "anything")
    (error,) = gemtune("settings").errors
    assert error.endswith("pass --base-url https://example.com")


def test_what_the_service_says_is_left_as_it_is():
    said = "the service said: tuned_model_id is odd, and so is base_model"
    assert worded(errors.BadRequest(said)) == said
