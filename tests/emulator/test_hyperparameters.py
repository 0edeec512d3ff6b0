"""The hyperparameters of a job reach its losses, on both services and over restarts."""

import json

import anyio
import pytest

from emulator.emulated import model_body
from emulator.test_vertex_metrics import read, run_of
from emulator.vertex import CHECK, copied, job_body, supervised
from gemtune.emulator.world import surface
from gemtune.emulator.world.keeping.state import seal
from gemtune.emulator.world.surface import Recipe

ROWS = [(str(number), str(number + 1)) for number in range(40)]


async def losses(api, name):
    return [each["meanLoss"] for each in (await api.get(f"/v1beta/{name}"))["tuningTask"]["snapshots"]]


def expected(name, epochs=5, **chosen):
    recipe = Recipe(seed=0, name=name, **{"examples": 40, "batch_size": 4} | chosen)
    return surface.losses(recipe, epochs)


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ({}, 1), ({"learningRate": 0.001}, 1), ({"learningRate": 0.003}, 3), ({"learningRate": 1e30}, 100),
        ({"learningRateMultiplier": 0.1}, 0.1), ({"learningRateMultiplier": 20}, 20),
    ],
)  # fmt: skip
async def test_on_the_gemini_api_the_losses_follow_from_the_rate(api, given, rate):
    name = await api.tuned(model_body(ROWS, hyperparameters=given))
    wanted = [loss for _, loss in expected(name, rate=rate).losses]
    assert await losses(api, name) == pytest.approx(wanted, rel=1e-6)


async def test_on_the_gemini_api_the_default_rate_depends_on_the_number_of_examples(api):
    many = [(str(number), "x") for number in range(1_000)]
    for rows, rate in ((many[:-1], 0.001), (many, 0.0002)):
        name = await api.tuned(model_body(rows, hyperparameters={"batchSize": 100}), id=f"m{len(rows)}")
        task = (await api.get(f"/v1beta/{name}"))["tuningTask"]
        assert task["hyperparameters"]["learningRate"] == pytest.approx(rate)
        wanted = expected(name, examples=len(rows), batch_size=100).losses[-1][1]
        assert task["snapshots"][-1]["meanLoss"] == pytest.approx(wanted, rel=1e-6)


async def test_on_vertex_ai_the_curves_follow_from_rate_and_adapter(start_vertex):
    vertex = await start_vertex()
    vertex.put(supervised(ROWS))
    vertex.put(supervised(ROWS[:5]), CHECK)
    given = {"epochCount": 12, "learningRateMultiplier": 2.5, "adapterSize": "ADAPTER_SIZE_SIXTEEN"}
    job = await vertex.tuned_job(job_body(spec={"validationDatasetUri": CHECK, "hyperParameters": given}))
    wanted = expected(job["name"], 12, rate=2.5, adapter=16)
    read_back = (await read(vertex, *await run_of(vertex, job))).items()
    shown = {metric: {int(each["step"]): each["scalar"]["value"] for each in found} for metric, found in read_back}
    assert shown["/train_total_loss"] == pytest.approx(dict(wanted.losses), rel=1e-6)
    assert shown["/eval_total_loss"] == pytest.approx(dict(wanted.eval_losses), rel=1e-6)
    held_out = [loss for _, loss in wanted.eval_losses]
    assert min(held_out) < held_out[-1] / 2, "it overfits"


async def test_the_hyperparameters_of_a_job_survive_a_restart_and_older_files_have_default_ones(start, tmp_path):
    path, older = tmp_path / "state.json", tmp_path / "older.json"
    before = await start(state=path)
    name = await before.tuned(model_body(ROWS, hyperparameters={"learningRateMultiplier": 3}))
    await before.call("POST", "/_emulator/clock", {"advance": 1})
    kept = json.loads(path.read_text())["state"]
    after = await start(state=await anyio.to_thread.run_sync(_written, tmp_path / "same.json", kept))
    assert await losses(after, name) == await losses(before, name)
    for model in kept["tuned_models"]:
        del model["job"]["rate"], model["job"]["adapter"]
    after = await start(state=await anyio.to_thread.run_sync(_written, older, kept))
    wanted = [loss for _, loss in expected(name).losses]
    assert await losses(after, name) == pytest.approx(wanted, rel=1e-6)


async def test_older_files_of_vertex_ai_are_read(start_vertex, tmp_path):
    path = tmp_path / "state.json"
    before = await start_vertex(state=path)
    job = await before.tuned_job()
    await before.call("POST", "/_emulator/clock", {"advance": 1})
    kept = json.loads(path.read_text())["state"]
    del kept["shelves"]["vertex"]["held_out"]
    for each in kept["shelves"]["vertex"]["jobs"]:
        del each["plan"]["rate"], each["plan"]["adapter"]
    older = await copied(path)  # with its objects
    await anyio.to_thread.run_sync(_written, older, kept)
    after = await start_vertex(state=older)
    assert await after.look(job) == await before.look(job)


def _written(path, kept):
    path.write_text(seal(kept))
    return path


@pytest.mark.parametrize("bad", [{"rate": 0}, {"rate": -1}, {"rate": 1e9}, {"rate": "1"}, {"adapter": 0}])
async def test_a_file_with_impossible_hyperparameters_is_refused(start, tmp_path, bad):
    path = tmp_path / "state.json"
    before = await start(state=path)
    await before.create()
    kept = json.loads(path.read_text())["state"]
    kept["tuned_models"][0]["job"] |= bad
    await anyio.to_thread.run_sync(_written, tmp_path / "bad.json", kept)
    with pytest.raises(ValueError, match="cannot be used"):
        await start(state=tmp_path / "bad.json")
