"""``gemtune jobs export``: steps for TensorBoard and as tables, whole, once, and while a job runs."""

import csv
import json
import threading

import anyio
import pytest

from gemtune.cli.signals import until_stopped
from gemtune.errors import GemtuneError
from gemtune.telemetry.tracking import table, tfevents

from .conftest import BASE, HOUR

COLUMNS = ["job", "step", "epoch", "mean_loss", "eval_loss", "accuracy", "eval_accuracy", "compute_time"]


def steps_in(folder):
    data = (folder / "events.out.tfevents.0.gemtune").read_bytes()
    points = [tfevents.point(event) for event, _ in tfevents.frames(data)]
    return [point.step for point in points if point is not None]


@pytest.fixture
def job(app, gemtune, rows):
    """A job that has ended."""
    assert gemtune("tune", rows, "--base", BASE, "--id", "lxiv").code == 0
    app.advance(HOUR)
    return "lxiv"


def test_all_steps_of_a_job_are_written_in_every_form_and_twice_is_once(app, gemtune, job, tmp_path):
    board, sheet, lines = tmp_path / "runs", tmp_path / "steps.csv", tmp_path / "steps.jsonl"
    for _ in range(2):
        ran = gemtune("jobs", "export", job, "--tensorboard", board, "--csv", sheet, "--jsonl", lines)
        assert (ran.code, ran.errors) == (0, [])
        model = gemtune("jobs", "get", job, "--json").records[0]
        known = [(each["step"], each["meanLoss"]) for each in model["tuningTask"]["snapshots"]]
        assert ran.out == f"tunedModels/lxiv: {len(known)} steps, succeeded\n"
        assert ran.err == f"look at them with: tensorboard --logdir {board}\n"
        assert steps_in(board / "lxiv") == [step for step, _ in known]
        with sheet.open(newline="") as file:
            written = list(csv.DictReader(file))
        assert list(written[0]) == COLUMNS
        assert [(int(row["step"]), float(row["mean_loss"]), row["eval_loss"]) for row in written] == [
            (step, loss, "") for step, loss in known
        ]
        assert [json.loads(line)["step"] for line in lines.read_text().splitlines()] == [step for step, _ in known]


def test_a_job_is_followed_to_its_end(app, gemtune, rows, tmp_path):
    assert gemtune("tune", rows, "--base", BASE, "--id", "lxiv").code == 0
    app.advance(5)
    ending = threading.Timer(0.5, app.advance, [HOUR])
    ending.start()
    ran = gemtune("jobs", "export", "lxiv", "--tensorboard", tmp_path, "--follow", "--json")
    ending.join()
    (record,) = ran.records
    assert (ran.code, record["state"]) == (0, "ACTIVE")
    assert steps_in(tmp_path / "lxiv") == list(range(1, record["steps"] + 1))


def test_a_write_that_fails_while_a_job_is_followed_is_said_once_and_tried_again(
    app, gemtune, rows, tmp_path, monkeypatch
):
    write, written = table.write, []

    def failing(path, text):
        written.append(text)
        if len(written) in {2, 3}:
            raise GemtuneError("steps.csv: the disk is full")
        write(path, text)
        app.advance(5 if len(written) == 1 else HOUR)

    monkeypatch.setattr(table, "write", failing)
    assert gemtune("tune", rows, "--base", BASE, "--id", "lxiv", "--epochs", 50).code == 0
    app.advance(5)
    ran = gemtune("jobs", "export", "lxiv", "--csv", tmp_path / "steps.csv", "--follow", "--json")
    assert (ran.code, ran.err.count("the disk is full"), "ExceptionGroup" in ran.err) == (0, 1, False)
    assert len(written) >= 5
    assert (tmp_path / "steps.csv").read_text() == written[-1]


async def test_a_failed_task_beside_the_work_ends_it_and_is_raised_as_it_is():
    async def fail():
        raise GemtuneError("beside")

    async def work(tasks):
        tasks.start_soon(fail)
        await anyio.sleep_forever()

    with pytest.raises(GemtuneError, match="beside"):
        await until_stopped(work)


def test_one_job_that_is_not_there_keeps_no_other_from_being_written(app, gemtune, job, tmp_path):
    ran = gemtune("jobs", "export", "nobody", job, "--csv", tmp_path / "steps.csv")
    assert ran.code == 4
    assert "tunedModels/nobody" in ran.errors[0]
    assert ran.out.startswith("tunedModels/lxiv: ")
    assert "lxiv" in (tmp_path / "steps.csv").read_text()


def test_without_a_place_nothing_is_asked(app, gemtune):
    ran = gemtune("jobs", "export", "lxiv")
    assert (ran.code, ran.errors) == (2, ["say where to: --tensorboard DIR, --csv FILE or --jsonl FILE"])
    assert len(app.requests) == 0


def test_a_place_that_cannot_be_written_is_named(app, gemtune, job, tmp_path):
    ran = gemtune("jobs", "export", job, "--csv", tmp_path / "no" / "steps.csv")
    assert ran.code == 1
    assert "steps.csv: cannot be written: No such file or directory" in ran.errors[0]
