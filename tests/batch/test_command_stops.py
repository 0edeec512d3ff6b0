"""``gemtune batch`` stopped: by a signal, by a full disk, by whoever reads its output; and run again to its end."""

import errno
import io
import json
import os
import resource
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.lowlevel
import httpx
import pytest

from batch.service import MODEL, Service
from gemtune import Client, errors
from gemtune.batch.journal import export
from gemtune.cli.batch.bar import Bar, Stall
from gemtune.cli.batch.output import Target
from gemtune.cli.console import Console

pytestmark = pytest.mark.socket

SLOWLY = pytest.mark.parametrize("app", [0.02], indirect=True)
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
COMMAND = [sys.executable, "-m", "gemtune", "batch", "--model", MODEL, "--concurrency", "4"]
AGAIN = "nothing is lost; make room or choose another place, and try again"
HINT = "what was answered is in out.journal; resume with the same command"
ROWS = 200


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with 200 prompts, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("".join(f"p{n}\n" for n in range(ROWS)))
    return tmp_path


def started(*arguments, **options):
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True, **options)


def still_runs(process):
    """Give a process a moment, in which it must not end; whoever only asked would take the processor from it."""
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.005)


def asked(app, count, process):
    """Wait until the emulator was asked so often."""
    while len(app.requests) < count:
        still_runs(process)


def finish(gemtune, app, folder):
    """Go on to the end; every line is there once, and only what was in flight was asked again."""
    ran = gemtune("batch", "in.txt", "out", "--model", MODEL, "--concurrency", "64", "--resume")
    assert ran.code == 0
    assert [json.loads(line)["key"] for line in (folder / "out").read_text().splitlines()] == list(range(ROWS))
    assert len(app.requests) <= ROWS + 8
    assert sorted(path.name for path in folder.iterdir()) == ["in.txt", "out", "out.journal"]


@SLOWLY
@SIGNALS
@pytest.mark.parametrize("again", [0, 3])
def test_a_signal_ends_a_run_with_a_hint_and_the_run_can_go_on(app, gemtune, folder, number, again):
    with started("in.txt", "out") as process:
        asked(app, 40, process)
        for _ in range(1 + again):
            process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert err == f"{HINT} and --resume\ninterrupted\n"
    assert len(app.requests) < ROWS
    finish(gemtune, app, folder)


@SLOWLY
def test_a_run_that_the_service_answers_says_that_its_batches_continue_and_collects_them(app, gemtune, folder):
    command = [part for part in COMMAND if part not in {"--concurrency", "4"}]
    with subprocess.Popen(
        [*command, "--engine", "server", "in.txt", "out"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        while not any(entry.method == "models.batchGenerateContent" for entry in app.requests):
            still_runs(process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == f"batches of this run continue at the service, and {HINT} and --resume\ninterrupted\n"
    ran = gemtune("batch", "in.txt", "out", "--model", MODEL, "--engine", "server", "--resume")
    assert (ran.code, len((folder / "out").read_text().splitlines())) == (0, ROWS)
    assert sum(entry.method == "models.batchGenerateContent" for entry in app.requests) == 1


@pytest.mark.parametrize("engine", ["server", "auto"])
def test_no_batch_is_said_to_continue_if_none_was_created(gemtune, folder, engine):
    ran = gemtune("batch", "in.txt", "out", "--model", "models/nonsense-1", "--engine", engine)
    assert ran.code == 4
    assert "models/nonsense-1" in ran.err
    assert "continue at the service" not in ran.err
    assert not (folder / "out.journal").exists(), "there is nothing to resume"
    assert "resume" not in ran.err
    again = gemtune("batch", "in.txt", "out", "--model", "models/nonsense-2", "--engine", engine)
    assert (again.code, "models/nonsense-2" in again.err) == (4, True)


@SIGNALS
@pytest.mark.parametrize("again", [0, 3])
@pytest.mark.parametrize("given", ["", "a\nb\n"])
def test_a_signal_ends_a_run_whose_input_is_still_open(app, folder, number, again, given):
    with started("-", "out") as process:
        process.stdin.write(given)
        process.stdin.flush()
        if given:
            asked(app, 2, process)
            while not (folder / "out.journal").exists() or len((folder / "out.journal").read_bytes().split(b"\n")) < 4:
                still_runs(process)
        else:
            while not (folder / "out.journal").exists():
                still_runs(process)
        for _ in range(1 + again):
            process.send_signal(number)
        assert process.wait(20) == 130
        err = process.stderr.read()
    if given:
        assert err == f"{HINT} and --resume\ninterrupted\n"
    else:
        assert err == "interrupted\n"
    assert (folder / "out.journal").exists() == bool(given)


@SIGNALS
def test_a_signal_while_the_output_is_written_leaves_none(app, gemtune, folder, monkeypatch, number):
    plain = export.write_lines

    def interrupted(lines, to):
        plain(islice(lines, 50), to)
        signal.raise_signal(number)
        plain(lines, to)
        while True:  # until the loop has been told
            anyio.from_thread.check_cancelled()

    with monkeypatch.context() as patch:
        patch.setattr(export, "write_lines", interrupted)
        ran = gemtune("batch", "in.txt", "out", "--model", MODEL)
    assert (ran.code, ran.err) == (130, f"{HINT} and --resume\ninterrupted\n")
    assert sorted(path.name for path in folder.iterdir()) == ["in.txt", "out.journal"]
    finish(gemtune, app, folder)
    assert len(app.requests) == ROWS


@SIGNALS
@pytest.mark.parametrize("phase", ["the run ends", "it says how to go on"])
def test_more_signals_change_nothing_whenever_they_come(app, gemtune, folder, monkeypatch, number, phase):
    plain = {"aclose": Client.aclose, "leave": Target.leave}

    async def aclose(client):
        await plain["aclose"](client)
        signal.raise_signal(number)

    def leave(target, console):
        signal.raise_signal(number)
        plain["leave"](target, console)

    if phase == "the run ends":
        monkeypatch.setattr(Client, "aclose", aclose)
    else:
        monkeypatch.setattr(Target, "leave", leave)
    monkeypatch.setattr(Bar, "watch", lambda bar, results: interrupted_when_asked(app, number))
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    ran = gemtune("batch", "in.txt", "out", "--model", MODEL, "--concurrency", "1")
    assert (ran.code, ran.err) == (130, f"{HINT} and --resume\ninterrupted\n")
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


async def interrupted_when_asked(app, number):
    while len(app.requests) < 20:
        await anyio.lowlevel.checkpoint()
    signal.raise_signal(number)


@SIGNALS
def test_a_signal_while_the_input_is_looked_at_is_an_interrupt_too(app, gemtune, folder, monkeypatch, number):
    monkeypatch.setattr(Target, "check", lambda *_: signal.raise_signal(number))
    ran = gemtune("batch", "in.txt", "out", "--model", MODEL)
    assert (ran.code, ran.err) == (130, "interrupted\n")


def test_a_journal_that_cannot_grow_stops_the_run_and_loses_nothing(app, gemtune, folder):
    limit = 50_000
    with started(
        "in.txt", "out", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    ) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    error, hint = err.splitlines()
    assert error.startswith("error: the journal ")
    assert "out.journal could not be written: File too large; make room" in error
    assert "call" not in error
    assert hint == f"{HINT} and --resume"
    held = (folder / "out.journal").read_bytes()
    assert len(held) <= limit
    assert held.endswith(b"\n")
    saved = held.count(b"\n") - 1
    assert saved > 0
    ran = gemtune("batch", "in.txt", "out", "--model", MODEL, "--resume")
    assert ran.code == 0
    assert f"{saved} from before" in ran.err
    assert [json.loads(line)["key"] for line in (folder / "out").read_text().splitlines()] == list(range(ROWS))


def test_an_output_that_does_not_fit_is_told_and_written_later(app, gemtune, folder, monkeypatch):
    def full(lines, to):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(export, "write_lines", full)
        ran = gemtune("batch", "in.txt", "out", "--model", MODEL)
    assert ran.code == 1
    assert ran.err == (f"error: out could not be written: No space left on device; {AGAIN}\n{HINT} and --resume\n")
    assert sorted(path.name for path in folder.iterdir()) == ["in.txt", "out.journal"]
    finish(gemtune, app, folder)
    assert len(app.requests) == ROWS


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_standard_output_is_told(app, folder, monkeypatch, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([*COMMAND, "in.txt", "-"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 1
    assert (
        ran.stderr
        == "error: standard output cannot be written: No space left on device; make room, or write elsewhere\n"
    )


def test_a_reader_that_has_enough_ends_the_run_in_silence(app, folder):
    with started("in.txt", "-") as process:
        assert json.loads(process.stdout.readline())["key"] == 0
        process.stdout.close()
        assert process.wait(20) == 141
        assert process.stderr.read() == ""


def test_a_named_pipe_is_an_input_also_to_go_on_from(app, gemtune, folder):
    arguments = [*COMMAND, "<(cat in.txt)", "out", "--resume"]
    line = " ".join(arguments)
    for told in (f"{ROWS} answered, 0 failed: ", f"0 answered, 0 failed, {ROWS} from before: "):
        ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stderr) == (0, f"{told}{ROWS} lines in out\n")


@pytest.mark.usefixtures("virtual_time")
async def test_where_nothing_is_drawn_a_word_is_said_when_nothing_moves():
    service, err = Service(0.01), io.StringIO()
    service.always = httpx.ConnectError("refused")
    bar = Bar(Console(io.StringIO(), err), quiet_output=True, stall=Stall(0.25))
    async with (
        service.client() as client,
        client.batch(MODEL, ["p"] * ROWS, timeout=2) as results,
        anyio.create_task_group() as group,
    ):
        group.start_soon(bar.watch, results)
        with pytest.raises(errors.DeadlineExceeded):
            await anext(results)
        group.cancel_scope.cancel()
    notes = err.getvalue().splitlines()
    assert len(notes) == 3  # each after twice as long
    assert all(note.startswith("note: 0 of 200 done, and none for ") for note in notes)
    assert all(": the service does not answer; " in note for note in notes)


def test_a_stall_is_told_after_its_patience_and_then_ever_more_rarely():
    stall = Stall(60.0)
    told = [second for second in range(1000) if stall.seconds(0, float(second)) is not None]
    assert told == [60, 120, 240, 480, 960]
    assert stall.seconds(1, 1000.0) is None
    assert stall.seconds(1, 1059.0) is None
    assert stall.seconds(1, 1060.0) == 60.0


@pytest.mark.parametrize("app", [0.0], indirect=True)
def test_json_is_one_object_also_where_something_failed(app, gemtune, folder):
    (folder / "mixed.jsonl").write_text('"a"\nno json\n')
    ran = gemtune("batch", "mixed.jsonl", "out", "--model", MODEL, "--json")
    assert (ran.code, ran.err) == (1, "")
    (line,) = ran.out.splitlines()
    summary = json.loads(line)
    assert (summary["answered"], summary["failed"], summary["output"]) == (1, 1, "out")


def summary(text):
    """The one object of --json, without how long it took."""
    (line,) = text.splitlines()
    told = json.loads(line)
    assert told.pop("seconds") >= 0
    return told


FIELDS = {
    "answered",
    "without_answer",
    "finish_reasons",
    "failed",
    "skipped",
    "requests",
    "prompt_tokens",
    "output_tokens",
    "output",
    "journal",
    "stopped",
    "reset_after",
}


@pytest.mark.parametrize("app", [0.0], indirect=True)
def test_json_tells_also_of_a_day_that_is_used_up_and_of_the_run_that_went_on(app, gemtune, folder):
    arguments = ["batch", "in.txt", "out", "--model", MODEL, "--json", "--concurrency", "1"]
    ran = gemtune(*arguments, "--rpd", "5")
    told = summary(ran.out)
    assert set(told) == FIELDS
    assert (ran.code, told["answered"], told["failed"], told["requests"]) == (5, 5, 0, 5)
    assert (told["output"], told["journal"]) == (None, "out.journal")
    assert "the 5 requests a day that you allow are used up" in told["stopped"]
    assert 86_000 < told["reset_after"] < 90_000
    assert ran.err == f"error: {told['stopped']}\n{HINT} and --resume\n"
    ran = gemtune(*arguments, "--resume")
    told = summary(ran.out)
    assert (ran.code, told["answered"], told["skipped"], told["output"]) == (0, ROWS - 5, 5, "out")
    assert (told["stopped"], told["reset_after"], ran.err) == (None, None, "")


@pytest.mark.parametrize("app", [0.0], indirect=True)
@pytest.mark.parametrize("output", ["out", "-"])
@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--model", "models/none"], 4, "models/none is not found"),
        (["--timeout", "300ms", "--base-url", "http://127.0.0.1:9"], 124, "the batch was not done within 0.3 s"),
    ],
)
def test_json_tells_also_of_a_run_without_any_answer(app, gemtune, folder, output, more, code, message):
    ran = gemtune("batch", "in.txt", output, "--model", MODEL, "--json", *more)
    told = summary(ran.out if output == "out" else ran.err.splitlines()[-1])
    assert (ran.code, told["answered"], told["failed"]) == (code, 0, 0)
    assert (told["output"], told["journal"]) == (None if output == "out" else "-", None)
    assert message in told["stopped"]
    assert ran.err.startswith(f"error: {told['stopped']}\n")


@SLOWLY
@SIGNALS
def test_json_tells_also_of_an_interrupt(app, folder, number):
    with started("in.txt", "out", "--json") as process:
        asked(app, 40, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    told = summary(out)
    assert (process.returncode, err) == (130, f"{HINT} and --resume\ninterrupted\n")
    assert 20 < told["answered"] < ROWS
    assert told["answered"] == (folder / "out.journal").read_bytes().count(b"\n") - 1
    assert (told["stopped"], told["output"]) == ("interrupted", None)


@pytest.mark.parametrize("app", [0.0], indirect=True)
def test_json_tells_also_of_an_output_that_could_not_be_written(app, gemtune, folder, monkeypatch):
    def full(lines, to):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(export, "write_lines", full)
    ran = gemtune("batch", "in.txt", "out", "--model", MODEL, "--json")
    told = summary(ran.out)
    assert (ran.code, told["answered"], told["output"], told["journal"]) == (1, ROWS, None, "out.journal")
    assert told["stopped"] == f"out could not be written: No space left on device; {AGAIN}"


@pytest.mark.parametrize("app", [0.0], indirect=True)
def test_json_tells_also_of_an_input_that_is_not_that_of_the_journal(app, gemtune, folder):
    assert gemtune("batch", "in.txt", "out", "--model", MODEL).code == 0
    (folder / "in.txt").write_text("another\n")
    ran = gemtune("batch", "in.txt", "out", "--model", MODEL, "--json", "--resume")
    told = summary(ran.out)
    assert ran.code == 2
    assert told["stopped"].startswith("row 1 was answered before with another content; ")
    assert ran.err == f"error: {told['stopped']}\n"


@pytest.mark.parametrize("app", [0.0], indirect=True)
def test_json_tells_nothing_of_a_run_that_never_began(app, gemtune, folder):
    (folder / "out.journal").write_text("not one of ours\n")
    ran = gemtune("batch", "in.txt", "out", "--model", MODEL, "--json", "--resume")
    assert (ran.code, ran.out) == (2, "")


@pytest.mark.parametrize("app", [0.0], indirect=True)
def test_json_tells_also_of_a_reader_that_had_enough(app, folder):
    with started("in.txt", "-", "--json") as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 141
        told = summary(process.stderr.read())
    assert (told["stopped"], told["output"]) == ("nobody reads standard output any more", "-")


def test_the_help_tells_what_a_cron_job_has_to_know(gemtune):
    ran = gemtune("batch", "--help")
    text = " ".join(ran.out.split())
    assert "it counts this run only, so another run, including one with --resume, sends as many again" in text
    assert "5 quota, 124 time-out, 130 interrupted (Ctrl-C or SIGTERM), 141 nobody reads the output" in text
