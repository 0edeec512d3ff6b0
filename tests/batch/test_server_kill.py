"""Killed without warning at every stage of the server engine, and run again: each batch is paid for once.

The emulator counts the creations, over a real socket. What a killed program has printed and what its successor prints
are all rows, each once, but for those that were in the journal and not yet printed: they are in the journal.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gemtune.batch import read_journal
from gemtune.emulator import Fault, create_app, running_emulator

pytestmark = [pytest.mark.socket, pytest.mark.slow]

ROWS = [(f"k{n}", f"prompt {n}") for n in range(25)]
MODEL = "models/gemini-3.7-flash"
CREATE = "models.batchGenerateContent"
NOTES = [f"note {state}" for state in ("intended", "placed", "created", "ended")]
STEPS = [*NOTES, "place", "create", "get", "fetch", "check", "discard"]
# What is after one step is before the next.
STAGES = [(f"before:{step}", 1) for step in STEPS]
STAGES += [("after:note placed", 2), ("after:create", 2), ("before:note created", 3), ("results", 7), ("results", 25)]


SETTINGS = {"batch_seconds": 0.2, "batch_queue_seconds": 0.0, "request_log_size": 100_000}


@pytest.fixture
def app(monkeypatch):
    with running_emulator(create_app(clock="real", **SETTINGS)) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        monkeypatch.setenv("GOOGLE_API_KEY", "key-of-the-tests")
        yield server.app


@pytest.fixture
def vertex_app(monkeypatch):
    with running_emulator(create_app(clock="real", buckets=["results"], **SETTINGS)) as server:
        client = {"vertexai": True, "project": "home", "location": "us-central1", "token": "x", "bucket": "results"}
        monkeypatch.setenv("CLIENT", json.dumps(client | {"base_url": server.url}))
        yield server.app


def drive(folder, stage, nth=1, model=MODEL, **options):
    """Run the program; return what it printed and whether it was killed."""
    command = [sys.executable, str(Path(__file__).with_name("server_driver.py")), stage, str(nth), model]
    ran = subprocess.run(
        [*command, json.dumps(options)], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode in {0, -9}, ran.stderr
    return dict(line.split(" ", 1) for line in ran.stdout.splitlines()), ran.returncode == -9


def check_all(app, folder, first, second, method=CREATE):
    assert len(app.requests.of(method)) == 3, "paid twice"
    assert not first.keys() & second.keys(), "yielded twice"
    held = [result.key for result in read_journal(folder / "journal")]
    assert sorted(held) == sorted(dict(ROWS)), "lost"
    assert all(text.endswith(key[1:]) or key[1:] in text for key, text in (first | second).items())
    outcomes = [line for line in (folder / "journal").read_bytes().splitlines() if b'"response":' in line]
    assert len(outcomes) == len(ROWS), "an item has two outcomes"


@pytest.mark.parametrize(("stage", "nth"), STAGES)
def test_killed_at_any_stage_and_run_again_it_pays_once_and_loses_nothing(app, tmp_path, stage, nth):
    first, killed = drive(tmp_path, stage, nth)
    assert killed
    second, killed = drive(tmp_path, "never")
    assert not killed
    check_all(app, tmp_path, first, second)


def test_killed_again_and_again_at_every_stage_of_one_run_it_pays_once(app, tmp_path):
    printed: dict[str, str] = {}
    for stage in ("place", "create", "note created", "fetch", "note ended"):
        more, _ = drive(tmp_path, f"after:{stage}")
        assert not printed.keys() & more.keys()
        printed |= more
    more, killed = drive(tmp_path, "never")
    assert not killed
    check_all(app, tmp_path, printed, more)


def test_a_creation_that_arrives_after_its_sender_was_killed_is_found(app, tmp_path):
    # The emulator has the request, and creates the batch half a second later: the first look finds nothing.
    app.faults.add(Fault(method=CREATE, delay=0.5))
    command = [sys.executable, str(Path(__file__).with_name("server_driver.py")), "never", "1", MODEL, "{}"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not app.requests.of(CREATE):
            assert process.poll() is None
        process.kill()
    second, killed = drive(tmp_path, "never")
    assert not killed
    check_all(app, tmp_path, {}, second)


def test_a_creation_whose_reply_is_lost_is_found_by_the_same_run(app, tmp_path):
    app.faults.add(Fault(method=CREATE, act=True, drop=True, times=1))
    printed, killed = drive(tmp_path, "never")
    assert not killed
    check_all(app, tmp_path, {}, printed)


ON_VERTEX = [("before:create", 1), ("after:create", 2), ("before:fetch", 1), ("results", 7)]


@pytest.mark.parametrize(("stage", "nth"), ON_VERTEX)
def test_on_vertex_ai_it_is_the_same(vertex_app, tmp_path, stage, nth):
    first, killed = drive(tmp_path, stage, nth, model="gemini-2.5-flash")
    assert killed
    second, killed = drive(tmp_path, "never", model="gemini-2.5-flash")
    assert not killed
    check_all(vertex_app, tmp_path, first, second, "batchPredictionJobs.create")
