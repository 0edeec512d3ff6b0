"""Standard streams that are closed or full, or that nobody reads: what was done is done, and what costs money does not
begin if it cannot be reported."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import BASE
from cli.forked import Ended, Forks

pytestmark = [pytest.mark.socket, pytest.mark.slow]

DEEDS = {
    "tune": ["tune", "rows.csv", "--base", BASE, "--id", "made"],
    "tune json": ["tune", "rows.csv", "--base", BASE, "--id", "made-too", "--json"],
    "cancel": ["jobs", "cancel", "to-cancel"],
    "delete": ["jobs", "delete", "to-delete", "to-delete-2", "--yes"],
    "wait": ["jobs", "wait", "my-model"],
    "batch": ["batch", "in.txt", "out.jsonl", "--model", BASE],
    "batch json": ["batch", "in.txt", "out2.jsonl", "--model", BASE, "--json"],
}
"""Commands that do something: their output only says so."""
OUTPUTS = {
    "list": ["jobs", "list"],
    "list json": ["jobs", "list", "--json"],
    "get": ["jobs", "get", "my-model"],
    "get names": ["jobs", "get", "my-model", "-q"],
    "watch": ["jobs", "watch", "my-model"],
    "settings": ["settings"],
    "demo": ["demo", "--speed", "2000"],
    "version": ["--version"],
    "help": ["--help"],
    "help of a command": ["jobs", "watch", "--help"],
    "help of the emulator": ["emulator", "--help"],
}
"""Commands whose output is all that they do."""
PAID = {
    "generate": ["generate", "1", "--model", BASE],
    "generate json": ["generate", "1", "--model", BASE, "--json"],
    "stream": ["generate", "1", "--model", BASE, "--stream"],
    "batch to standard output": ["batch", "in.txt", "-", "--model", BASE],
}
"""Commands whose output costs money."""
FULL = "/dev/full"
MISSING = {
    "no input": {"stdin": "closed"},
    "no output": {"stdout": "closed"},
    "no errors": {"stderr": "closed"},
    "no streams": {"stdin": "closed", "stdout": "closed", "stderr": "closed"},
    "full errors": {"stderr": FULL},
    "nobody reads errors": {"stderr": "gone"},
}


@pytest.fixture(scope="module")
def forks(tmp_path_factory) -> Iterator[Forks]:
    forks = Forks(tmp_path_factory.mktemp("forks"))
    yield forks
    forks.close()


@pytest.fixture
def scene(app, gemtune, rows, tuned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("one\ntwo\n")
    for name in ("to-cancel", "to-delete", "to-delete-2"):
        assert gemtune("tune", rows, "--base", BASE, "--id", name).code == 0
    app.requests.clear()
    return app


def codes(ended: dict[str, Ended]) -> dict[str, int]:
    for name, one in ended.items():
        assert b"Traceback" not in one.err, (name, one.err)
        assert b"Exception ignored" not in one.err, (name, one.err)
    return {name: one.code for name, one in ended.items()}


def asked(app) -> int:
    return len([entry for entry in app.requests if "enerateContent" in entry.path])


def deeds_are_done(app) -> None:
    done = {"tunedModels.create": 2, "tunedModels.delete": 2, "tunedModels.operations.cancel": 1}
    assert {method: [entry.status for entry in app.requests.of(method)] for method in done} == {
        method: [200] * times for method, times in done.items()
    }
    assert [len(Path(name).read_text().splitlines()) for name in ("out.jsonl", "out2.jsonl")] == [2, 2]


@pytest.mark.parametrize("streams", MISSING.values(), ids=MISSING)
def test_every_command_does_its_work_without_a_stream(scene, forks, streams):
    ended = forks.run(DEEDS | OUTPUTS | PAID, **streams)
    assert set(codes(ended).values()) == {0}, codes(ended)
    assert asked(scene) == 9
    deeds_are_done(scene)


@pytest.mark.parametrize("errors", ["", FULL])
def test_into_a_full_disk_deeds_are_done_and_nothing_is_paid_for_that_would_be_lost(scene, forks, errors):
    streams = {"stdout": FULL} | ({"stderr": errors} if errors else {})
    ended = forks.run(OUTPUTS | PAID, **streams)
    assert set(codes(ended).values()) == {1}, codes(ended)
    said = b"error: standard output cannot be written: No space left on device; make room, or write elsewhere\n"
    assert {one.err for one in ended.values()} == {said if not errors else b""}
    assert asked(scene) == 0
    ended = forks.run(DEEDS, stdout=FULL)
    assert set(codes(ended).values()) == {0}, codes(ended)
    assert b"tunedModels/made\n" in ended["tune"].err
    assert b'"tunedModels/made-too"' in ended["tune json"].err
    assert b"deleted tunedModels/to-delete-2\n" in ended["delete"].err
    assert b'"answered"' in ended["batch json"].err
    deeds_are_done(scene)


def test_if_nothing_can_be_reported_no_job_is_created_and_nothing_is_asked(scene, forks):
    paid = {name: DEEDS[name] for name in ("tune", "batch")}
    assert set(codes(forks.run(paid, stdout=FULL, stderr=FULL)).values()) == {1}
    assert set(codes(forks.run(paid, stdout="gone", stderr="gone")).values()) == {141}
    assert asked(scene) == len(scene.requests.of("tunedModels.create")) == 0


def test_a_reader_that_is_gone_ends_what_only_writes_and_nothing_else(scene, forks):
    ended = forks.run(OUTPUTS | PAID, stdout="gone")
    assert set(codes(ended).values()) == {141}, codes(ended)
    assert {one.err for one in ended.values()} == {b""}
    assert asked(scene) == 0
    ended = forks.run(DEEDS, stdout="gone")
    assert set(codes(ended).values()) == {0}, codes(ended)
    assert b"tunedModels/made\n" in ended["tune"].err
    deeds_are_done(scene)


def test_what_goes_wrong_has_its_code_without_a_stream_to_say_it(scene, forks):
    wrong = {"usage": ["jobs", "list", "--frob"], "missing": ["jobs", "get", "nope"]}
    for streams in ({"stderr": "closed"}, {"stderr": FULL}, {"stdout": "gone", "stderr": "gone"}):
        assert codes(forks.run(wrong, **streams)) == {"usage": 2, "missing": 4}


def test_a_real_shell_closes_streams_likewise(scene, command):
    """The forks of the other tests find their streams as this process does, which has loaded nothing before."""
    for redirected, argv, code in (
        (">&-", DEEDS["tune"], 0),
        ("2>&- <&-", OUTPUTS["list"], 0),
        (">/dev/full", ["--help"], 1),
    ):
        shell = ["/bin/sh", "-c", f'exec "$@" {redirected}', "sh"]
        ran = subprocess.run([*shell, *command, *argv], capture_output=True, check=False)
        assert (ran.returncode, b"Traceback" in ran.stderr, b"ignored" in ran.stderr) == (code, False, False)


@pytest.mark.parametrize("redirected", ["<&- >&- 2>&-", ">/dev/full 2>/dev/full", ""])
def test_the_emulator_serves_whatever_its_streams_are(command, tmp_path, redirected):
    ready = tmp_path / "ready"
    argv = ["/bin/sh", "-c", f'exec "$@" {redirected}', "sh", *command, "emulator", "--ready-file", str(ready)]
    reader, gone = os.pipe()
    os.close(reader)
    process = subprocess.Popen(argv, stdout=gone, stderr=gone)
    os.close(gone)
    end = time.monotonic() + 60
    while not ready.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert (ready.exists(), process.wait(60)) == (True, 130)
