"""The recipes of docs/telemetry.md for W&B, MLflow and trackio: each is run as it stands there.

The packages themselves are too large for a test (up to 200 MB each): small modules of the same name take their place,
with what the recipes use of them. The page says with which versions they were tried.
"""

import sys
import types
from pathlib import Path

import pytest

import pages
from gemtune.emulator import Fault
from gemtune.errors import TuningFailed
from gemtune.telemetry import forward
from gemtune.testing import GeminiEmulator

PAGE = Path(__file__).parents[3] / "docs" / "telemetry.md"
ROWS = [(str(number), str(number + 1)) for number in range(20)]


def recipe(file):
    """The names that a recipe defines."""
    (code,) = [block.code for block in pages.blocks(PAGE.read_text(encoding="utf-8")) if block.file == file]
    module = types.ModuleType(file.removesuffix(".py"))
    exec(compile(code, file, "exec"), vars(module))
    return module


async def play(sink):
    """Two jobs that end well and one that fails; returns the three."""
    emulator = GeminiEmulator.make()
    async with emulator.client() as client:
        jobs = [await client.tune("models/gemini-1.0-pro-001", ROWS, tuned_model_id=name) for name in ("a", "b")]
        emulator.faults.add(Fault(method="tunedModels.create", job={"fail_at_step": 3}))
        jobs.append(await client.tune("models/gemini-1.0-pro-001", ROWS, tuned_model_id="c"))
        async with client.watch(jobs) as watcher:
            await forward(watcher, sink)
        for job in jobs[:2]:
            await job
        with pytest.raises(TuningFailed):
            await jobs[2]
    return {job.name.rpartition("/")[2]: [(one.step, one.mean_loss) for one in job.snapshots] for job in jobs}


class WandbRun:
    def __init__(self, name):
        self.name, self.rows, self.ended = name, [], None

    def define_metric(self, name, step_metric):
        assert (name, step_metric) == ("*", "step")

    def log(self, row):
        self.rows.append(row)

    def finish(self, exit_code):
        self.ended = exit_code


async def test_weights_and_biases(monkeypatch):
    runs, fake = {}, types.ModuleType("wandb")

    def init(*, project, name, reinit):
        assert (project, reinit) == ("gemtune", "create_new")
        return runs.setdefault(name, WandbRun(name))

    fake.init = init
    monkeypatch.setitem(sys.modules, "wandb", fake)
    known = await play(recipe("wandb_runs.py").WandbRuns("gemtune"))
    assert {name: [(row["step"], row["loss/train"]) for row in run.rows] for name, run in runs.items()} == known
    assert {name: run.ended for name, run in runs.items()} == {"a": 0, "b": 0, "c": 1}


async def test_mlflow(monkeypatch):
    metrics, ended = {}, {}

    class MlflowClient:
        def get_experiment_by_name(self, name):
            return None

        def create_experiment(self, name):
            return f"id of {name}"

        def create_run(self, experiment, run_name):
            assert experiment == "id of tuning"
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id=run_name))

        def log_metric(self, run, name, value, step):
            metrics.setdefault(run, []).append((step, value))
            assert name == "loss/train"

        def set_terminated(self, run, status):
            ended[run] = status

    fake = types.ModuleType("mlflow")
    fake.MlflowClient = MlflowClient
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    assert await play(recipe("mlflow_runs.py").MlflowRuns("tuning")) == metrics
    assert ended == {"a": "FINISHED", "b": "FINISHED", "c": "FAILED"}


async def test_trackio(monkeypatch):
    runs, fake = {}, types.ModuleType("trackio")

    class Run:
        def __init__(self):
            self.rows, self.over = [], False

        def log(self, values, step):
            self.rows.append((step, values["loss/train"]))

        def finish(self):
            self.over = True

    fake.init = lambda *, project, name: runs.setdefault(name, Run())
    monkeypatch.setitem(sys.modules, "trackio", fake)
    assert await play(recipe("trackio_runs.py").TrackioRuns("gemtune")) == {
        name: run.rows for name, run in runs.items()
    }
    assert all(run.over for run in runs.values())


async def test_an_async_function_is_awaited_and_its_error_ends_the_forwarding():
    seen = []

    async def sink(event):
        seen.append(event.kind)
        if event.kind == "succeeded":
            raise LookupError("no more")

    async with GeminiEmulator.make().client() as client:
        job = await client.tune("models/gemini-1.0-pro-001", ROWS)
        with pytest.raises(LookupError, match="no more"):
            await forward(job, sink)
    assert seen[0] == "added"
