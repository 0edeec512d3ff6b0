"""The curves of a tuning job on Vertex AI: experiment, run, time series, and their points."""

import re
import struct

import pytest

from emulator.emulated import bearer
from emulator.vertex import BETA_JOBS, CHECK, JOBS, OBSERVED, PARENT, TRAIN, job_body, preferences, supervised
from gemtune.emulator import Token

CHECKED = {"validationDatasetUri": CHECK, "hyperParameters": {"epochCount": 3}}
STORE = f"/v1/{PARENT}/metadataStores/default"
TRAINED = ["/train_total_loss", "/train_fraction_of_correct_next_step_preds", "/train_num_predictions"]


async def run_of(vertex, job):
    """The TensorBoard's run of a job, found as Google's client finds it."""
    experiment = (await vertex.look(job))["experiment"]
    context = await vertex.get(f"/v1/{experiment}")
    board = context["metadata"]["backing_tensorboard_resource"]
    text = f'schema_title="system.ExperimentRun" AND parent_contexts:"{experiment}"'
    (run,) = (await vertex.get(f"{STORE}/contexts", params={"filter": text}))["contexts"]
    name = experiment.rpartition("/")[2]
    run_id = run["name"].rpartition("/")[2].removeprefix(f"{name}-")
    return board, f"{board}/experiments/{name}/runs/{run_id}"


async def read(vertex, board, run):
    """The points of all series of a run, by metric, with one request."""
    series = (await vertex.get(f"/v1/{run}/timeSeries"))["tensorboardTimeSeries"]
    names = [("timeSeries", each["name"]) for each in series]
    data = (await vertex.get(f"/v1/{board}:batchRead", params=names))["timeSeriesData"]
    assert [each["tensorboardTimeSeriesId"] for each in data] == [name.rpartition("/")[2] for _, name in names]
    return {each["displayName"]: found.get("values", []) for each, found in zip(series, data, strict=True)}


async def test_the_curves_are_found_and_read_as_googles_client_does_it(vertex):
    vertex.put(supervised())
    job = await vertex.tune()
    vertex.app.advance(0.3 + 12 + 1.2 * 5)
    board, run = await run_of(vertex, job)
    points = await read(vertex, board, run)
    assert list(points) == TRAINED
    losses = points["/train_total_loss"]
    assert [point["step"] for point in losses] == ["1", "2", "3", "4", "5"]
    assert list(losses[0]) == ["wallTime", "step", "scalar"]
    for point in losses:
        value = point["scalar"]["value"]
        assert (
            struct.unpack("<f", struct.pack("<f", value))[0] == value
        )  # a float32, printed whole as the observed ones
    shown = [repr(value) for value in OBSERVED["tensorboard_train_loss_series"]["/train_total_loss"]["values"]]
    assert max(map(len, shown)) > 12
    assert max(len(repr(point["scalar"]["value"])) for point in losses) > 12
    vertex.app.advance(1.2)
    assert (await read(vertex, board, run))["/train_total_loss"][:5] == losses
    assert all(0 < point["scalar"]["value"] < 1 for point in points[TRAINED[1]])


async def test_there_is_no_experiment_before_training_and_no_run_before_the_first_step(vertex):
    job = await vertex.tune()
    vertex.app.advance(12.2)
    assert "experiment" not in await vertex.look(job)
    assert await vertex.get(f"{STORE}/contexts") == {}
    assert await vertex.get(f"/v1/{PARENT}/tensorboards") == {}
    vertex.app.advance(0.2)
    experiment = (await vertex.look(job))["experiment"]
    (context,) = (await vertex.get(f"{STORE}/contexts"))["contexts"]
    assert context["name"] == experiment
    board = context["metadata"]["backing_tensorboard_resource"]
    assert (await vertex.get(f"/v1/{board}"))["name"] == board
    name = experiment.rpartition("/")[2]
    assert await vertex.get(f"/v1/{board}/experiments/{name}/runs") == {}
    vertex.app.advance(1.2)
    (run,) = (await vertex.get(f"/v1/{board}/experiments/{name}/runs"))["tensorboardRuns"]
    assert await vertex.get(f"/v1/{run['name']}") == run
    artifact = await vertex.get(f"{STORE}/artifacts/{name}-{run['displayName']}-tb-run")
    assert artifact["metadata"]["resourceName"] == run["name"]


async def test_an_evaluation_comes_at_the_end_of_an_epoch_and_late(vertex):
    vertex.put(supervised())
    vertex.put(supervised()[:3], CHECK)
    job = await vertex.tune(job_body(spec=CHECKED))
    vertex.app.advance(0.3 + 12 + 1.2 * 5)
    board, run = await run_of(vertex, job)
    early = await read(vertex, board, run)
    assert list(early) == [*TRAINED, *(name.replace("train", "eval") for name in TRAINED)]
    assert early["/eval_total_loss"] == []  # the epoch is over after step 4, the evaluation is not
    assert len(early["/train_total_loss"]) == 5
    vertex.app.advance(1.2 * 2)
    (point,) = (await read(vertex, board, run))["/eval_total_loss"]
    assert point["step"] == "4"
    vertex.app.advance(1000)
    done = await read(vertex, board, run)
    assert [each["step"] for each in done["/eval_total_loss"]] == ["4", "8", "12"]
    assert done["/eval_total_loss"][0] == point


async def test_preference_tuning_has_a_loss_of_its_own(vertex):
    vertex.put(preferences())
    vertex.put(preferences()[:2], CHECK)
    spec = {"trainingDatasetUri": TRAIN, "validationDatasetUri": CHECK}
    job = await vertex.tuned_job({"baseModel": "gemini-2.5-flash", "preferenceOptimizationSpec": spec})
    points = await read(vertex, *await run_of(vertex, job))
    assert list(points) == ["/preference_optimization_train_loss", "/eval_total_loss"]
    assert len(points["/preference_optimization_train_loss"]) == 19


async def test_above_a_thousand_points_a_read_is_a_sample_and_the_export_is_whole(start_vertex):
    vertex = await start_vertex(step_seconds=0.1)
    vertex.put(supervised([("q", "a")] * 8))
    job = await vertex.tuned_job(job_body(spec={"hyperParameters": {"epochCount": 700}}))
    board, run = await run_of(vertex, job)
    sample = [int(point["step"]) for point in (await read(vertex, board, run))["/train_total_loss"]]
    assert len(sample) == 1000
    assert sample == sorted(set(sample))
    assert sample[-1] > 1000
    series = (await vertex.get(f"/v1/{run}/timeSeries"))["tensorboardTimeSeries"][0]
    data = await vertex.get(f"/v1/{series['name']}:read", params={"maxDataPoints": -1})
    assert len(data["timeSeriesData"]["values"]) == 1400
    assert series["metadata"]["maxStep"] == "1400"
    assert len((await vertex.get(f"/v1/{series['name']}:read"))["timeSeriesData"]["values"]) == 1000
    few = await vertex.get(f"/v1/{series['name']}:read", params={"maxDataPoints": 7})
    assert len(few["timeSeriesData"]["values"]) == 7
    whole, token = [], None
    while token != "":
        body = {"pageSize": 300} | ({"pageToken": token} if token else {})
        reply = await vertex.call("POST", f"/v1/{series['name']}:exportTensorboardTimeSeries", body)
        assert reply.status_code == 200, reply.text
        whole += reply.json()["timeSeriesDataPoints"]
        token = reply.json().get("nextPageToken", "")
    assert [int(point["step"]) for point in whole] == list(range(1, 1401))
    assert whole == data["timeSeriesData"]["values"]


async def test_jobs_that_train_at_the_same_moment_have_experiments_of_their_own(start_vertex):
    vertex = await start_vertex(vertex_concurrent_jobs=None)
    jobs = [await vertex.tune() for _ in range(5)]
    vertex.app.advance(50)
    runs = {(await run_of(vertex, job))[1] for job in jobs}
    assert len(runs) == 5
    assert len({(await run_of(vertex, job))[0] for job in jobs}) == 1
    contexts = (await vertex.get(f"{STORE}/contexts"))["contexts"]
    assert len(contexts) == 10
    assert all(
        re.search(r"/tuning-experiment-\d{20}(-tuning-experiment-run-\d{20})?$", each["name"]) for each in contexts
    )


async def test_the_filters_of_googles_client_are_understood(vertex):
    job = await vertex.tuned_job()
    text = (
        '(schema_title="system.ExperimentRun" OR schema_title="system.PipelineRun") AND '
        f'parent_contexts:"{job["experiment"]}"'
    )
    assert len((await vertex.get(f"{STORE}/contexts", params={"filter": text}))["contexts"]) == 1
    text = f'(schema_title="system.Run") AND in_context("{job["experiment"]}")'
    assert await vertex.get(f"{STORE}/executions", params={"filter": text}) == {}


async def test_a_filter_by_one_parent_or_another_finds_both(start_vertex):
    vertex = await start_vertex(vertex_concurrent_jobs=None)
    first, second, _ = [(await vertex.tuned_job())["experiment"] for _ in range(3)]
    for text, count in (
        (f'parent_contexts:"{first}"', 1), (f'parent_contexts:"{first}" OR parent_contexts:"{second}"', 2),
        (f'(display_name:"nothing" AND parent_contexts:"{first}") OR parent_contexts:"{second}"', 1),
        (f'NOT parent_contexts:"{first}"', 5), (f'schema_title:* AND parent_contexts:"{first}"', 1),
        (f'schema_title="system.Experiment" AND parent_contexts:"{first}"', 0),
        (f'name:"x" OR schema_title:* AND parent_contexts:"{second}"', 1), ('parent_contexts:"nothing"', 0),
    ):  # fmt: skip
        found = await vertex.get(f"{STORE}/contexts", params={"filter": text})
        assert len(found.get("contexts", [])) == count, text


async def test_the_curve_stops_with_a_cancelled_job(vertex):
    job = await vertex.tune()
    vertex.app.advance(0.3 + 12 + 1.2 * 4)
    await vertex.call("POST", f"/v1/{job['name']}:cancel")
    vertex.app.advance(1000)
    board, run = await run_of(vertex, job)
    assert len((await read(vertex, board, run))["/train_total_loss"]) == 4


@pytest.mark.parametrize(
    "path",
    [
        "metadataStores/default/contexts/tuning-experiment-20240101000000000000", "tensorboards/1",
        "metadataStores/default/artifacts/x", "tensorboards/1/experiments/e", "tensorboards/1/experiments/e/runs/r",
        "tensorboards/1/experiments/e/runs/r/timeSeries", "tensorboards/1/experiments/e/runs/r/timeSeries/1:read",
    ],
)  # fmt: skip
async def test_what_does_not_exist_is_a_404(vertex, path):
    await vertex.tuned_job()
    assert (await vertex.refused(404, "GET", f"/v1/{PARENT}/{path}"))["status"] == "NOT_FOUND"


async def test_a_run_of_another_name_is_none_of_the_jobs(vertex):
    job = await vertex.tuned_job(path=BETA_JOBS)
    board, run = await run_of(vertex, job)
    await vertex.refused(404, "GET", f"/v1/{run}0/timeSeries")
    series = (await vertex.get(f"/v1/{run}/timeSeries"))["tensorboardTimeSeries"][0]["name"]
    await vertex.refused(404, "GET", f"/v1/{series}0:read")
    foreign = board.replace("tensorboards/", "tensorboards/9")
    await vertex.refused(400, "GET", f"/v1/{foreign}:batchRead", params={"timeSeries": series})
    assert (await vertex.get(JOBS))["tuningJobs"][0]["name"] == job["name"]


async def test_the_curves_take_no_scope_but_cloud_platform(vertex):
    vertex.app.auth.tokens["t"] = Token(scopes=["https://www.googleapis.com/auth/aiplatform"])
    assert (await vertex.call("GET", JOBS, **bearer("t"))).status_code == 200
    error = await vertex.refused(403, "GET", f"{STORE}/contexts", **bearer("t"))
    assert error["details"][0]["metadata"]["method"] == "google.cloud.aiplatform.v1.MetadataService.ListContexts"
