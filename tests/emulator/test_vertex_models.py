"""Models with versions and checkpoints, endpoints, and tuning further on Vertex AI."""

import itertools
import re

import anyio
import pytest

from emulator.emulated import PAIRS, prompt
from emulator.vertex import JOBS, PARENT, TRAIN, copied, job_body, supervised

THREE = {"hyperParameters": {"epochCount": 3}}


@pytest.fixture
async def tuned(vertex):
    """A job of three checkpoints that is over."""
    vertex.put(supervised())
    return await vertex.tuned_job(job_body(spec=THREE, tunedModelDisplayName="mine", labels={"team": "a"}))


def further(job, **fields):
    body = job_body(base=None, **fields)
    return body | {"preTunedModel": {"tuned_model_name": job["tunedModel"]["model"]}}


async def test_a_model_has_its_version_checkpoints_labels_and_default(vertex, tuned):
    name = tuned["tunedModel"]["model"]
    model = await vertex.get(f"/v1beta1/{name}")
    assert model["name"] == name.removesuffix("@1")
    assert (model["versionId"], model["versionAliases"], model["displayName"]) == ("1", ["default"], "mine")
    assert model["defaultCheckpointId"] == "3"
    assert model["checkpoints"] == [
        {"checkpointId": str(number), "epoch": str(number), "step": str(number * 4)} for number in (1, 2, 3)
    ]
    assert model["labels"]["team"] == "a"
    assert model["labels"]["tune-type"] == "sft"
    endpoints = [each["endpoint"] for each in tuned["tunedModel"]["checkpoints"]]
    assert [each["endpoint"] for each in model["deployedModels"]] == endpoints
    assert await vertex.get(f"/v1/{model['name']}") == await vertex.get(f"/v1/{name}")
    assert (await vertex.get(f"/v1/{name}:listCheckpoints"))["checkpoints"] == model["checkpoints"]


async def test_a_model_is_there_before_its_job_is_over(vertex):
    job = await vertex.tune()
    vertex.app.advance(12.4)
    assert await vertex.get(f"/v1/{PARENT}/models") == {}
    vertex.app.advance(1.2)
    (model,) = (await vertex.get(f"/v1/{PARENT}/models"))["models"]
    assert (await vertex.look(job))["tunedModel"] == {"model": f"{model['name']}@1"}
    assert "deployedModels" not in model


async def test_another_default_checkpoint_moves_the_endpoint_of_the_job(vertex, tuned):
    name, checkpoints = tuned["tunedModel"]["model"].removesuffix("@1"), tuned["tunedModel"]["checkpoints"]
    assert tuned["tunedModel"]["endpoint"] == checkpoints[2]["endpoint"]
    reply = await vertex.call("PATCH", f"/v1beta1/{name}", {"displayName": "n", "defaultCheckpointId": "1"})
    assert reply.status_code == 200, reply.text
    assert (reply.json()["defaultCheckpointId"], reply.json()["displayName"]) == ("1", "n")
    assert (await vertex.look(tuned))["tunedModel"]["endpoint"] == checkpoints[0]["endpoint"]
    error = await vertex.refused(400, "PATCH", f"/v1/{name}", {"defaultCheckpointId": "9"})
    assert "1, 2, 3" in error["message"]
    await vertex.refused(400, "PATCH", f"/v1/{name}", {"versionId": "9"})
    masked = await vertex.call("PATCH", f"/v1/{name}?updateMask=description", {"displayName": "x", "description": "d"})
    assert (masked.json()["displayName"], masked.json()["description"]) == ("n", "d")


async def test_only_the_last_checkpoint_is_kept_if_so_wanted(vertex):
    vertex.put(supervised())
    ended = await vertex.tuned_job(job_body(spec=THREE | {"exportLastCheckpointOnly": True}))
    (checkpoint,) = ended["tunedModel"]["checkpoints"]
    assert checkpoint["step"] == "12"
    assert checkpoint["endpoint"] == ended["tunedModel"]["endpoint"]


async def test_ten_epochs_and_more_leave_about_ten_checkpoints_and_the_last_one(vertex):
    vertex.put(supervised())
    ended = await vertex.tuned_job(job_body(spec={"hyperParameters": {"epochCount": 33}}))
    epochs = [int(each["epoch"]) for each in ended["tunedModel"]["checkpoints"]]
    assert len(epochs) == 10
    assert epochs[-1] == 33
    assert max(second - first for first, second in itertools.pairwise(epochs)) <= 4


async def test_a_base_model_without_checkpoints_has_an_endpoint_alone(vertex):
    vertex.put(supervised())
    ended = await vertex.tuned_job(job_body(base="gemini-3.5-flash"))
    assert list(ended["tunedModel"]) == ["model", "endpoint"]


async def test_tuned_further_it_is_the_next_version_of_the_same_model(vertex, tuned):
    vertex.put(supervised([("further", "and further")]))
    child = await vertex.tuned_job(further(tuned))
    name = tuned["tunedModel"]["model"].removesuffix("@1")
    assert child["tunedModel"]["model"] == f"{name}@2"
    assert child["tunedModelDisplayName"] == "mine"
    assert child["preTunedModel"] == {"tunedModelName": f"{name}@1", "baseModel": "gemini-2.5-flash"}
    assert "baseModel" not in child
    versions = (await vertex.get(f"/v1/{name}:listVersions"))["models"]
    assert [each["versionId"] for each in versions] == ["2", "1"]
    assert (await vertex.get(f"/v1/{name}"))["versionId"] == "1"  # the first version stays the default one
    assert (await vertex.get(f"/v1/{name}@2"))["versionId"] == "2"
    reply = await vertex.call("POST", f"/v1/{child['tunedModel']['endpoint']}:generateContent", prompt("further"))
    assert reply.json()["candidates"][0]["content"]["parts"][0]["text"].startswith("and further")


async def test_tuned_further_under_a_new_name_it_is_a_new_model(vertex, tuned):
    child = await vertex.tuned_job(further(tuned, tunedModelDisplayName="other"))
    assert child["tunedModel"]["model"].endswith("@1")
    assert child["tunedModel"]["model"] != tuned["tunedModel"]["model"]
    assert len((await vertex.get(f"/v1/{PARENT}/models"))["models"]) == 2


async def test_it_may_be_tuned_further_from_a_checkpoint_that_exists(vertex, tuned):
    body = further(tuned)
    body["preTunedModel"]["checkpoint_id"] = "2"
    job = await vertex.tune(body)
    assert job["preTunedModel"]["checkpointId"] == "2"
    body["preTunedModel"]["checkpoint_id"] = "7"
    assert "7" in (await vertex.refused(400, "POST", JOBS, body))["message"]
    body["preTunedModel"] = {"tunedModelName": f"{PARENT}/models/1"}
    await vertex.refused(404, "POST", JOBS, body)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (["labels.team=a", "labels.tune-type:*"], 1), (["labels.team=b", "labels.tune-type:*"], 0),
        (['displayName="mine"'], 1), (['displayName="x"'], 0), (['baseModelName="gemini-2.5-flash"'], 1), ([""], 1),
    ],
)  # fmt: skip
async def test_models_are_listed_by_all_filters_that_are_given(vertex, tuned, filters, count):
    listed = await vertex.get(f"/v1beta1/{PARENT}/models", params=[("filter", text) for text in filters])
    assert len(listed.get("models", [])) == count
    assert tuned["state"] == "JOB_STATE_SUCCEEDED"


async def test_endpoints_say_which_checkpoint_of_which_model_they_have(vertex, tuned):
    checkpoints = tuned["tunedModel"]["checkpoints"]
    listed = (await vertex.get(f"/v1/{PARENT}/endpoints"))["endpoints"]
    assert {each["name"] for each in listed} == {each["endpoint"] for each in checkpoints}
    endpoint = await vertex.get(f"/v1beta1/{checkpoints[0]['endpoint']}")
    (deployed,) = endpoint["deployedModels"]
    assert f"{deployed['model']}@{deployed['modelVersionId']}" == tuned["tunedModel"]["model"]
    assert deployed["checkpointId"] == "1"
    assert endpoint["labels"]["team"] == "a"
    chosen = await vertex.get(f"/v1/{PARENT}/endpoints", params={"filter": f"endpoint={endpoint['name'][-19:]}"})
    assert [each["name"] for each in chosen["endpoints"]] == [endpoint["name"]]


async def test_a_model_is_deleted_once_nothing_is_deployed(vertex, tuned):
    name = tuned["tunedModel"]["model"].removesuffix("@1")
    error = await vertex.refused(400, "DELETE", f"/v1/{name}")
    assert error["status"] == "FAILED_PRECONDITION"
    for checkpoint in tuned["tunedModel"]["checkpoints"]:
        endpoint = checkpoint["endpoint"]
        assert (await vertex.refused(400, "DELETE", f"/v1/{endpoint}"))["status"] == "FAILED_PRECONDITION"
        (deployed,) = (await vertex.get(f"/v1/{endpoint}"))["deployedModels"]
        body = {"deployedModelId": deployed["id"]}
        assert (await vertex.call("POST", f"/v1/{endpoint}:undeployModel", body)).status_code == 200
        await vertex.refused(400, "POST", f"/v1/{endpoint}:undeployModel", body)
        await vertex.refused(400, "POST", f"/v1/{endpoint}:generateContent", prompt("x"))
        assert (await vertex.call("DELETE", f"/v1/{endpoint}")).json()["done"]
        await vertex.refused(404, "GET", f"/v1/{endpoint}")
    reply = await vertex.call("DELETE", f"/v1/{name}")
    assert reply.json()["done"]
    assert re.fullmatch(f"{PARENT}/operations/[0-9]{{19}}", reply.json()["name"])
    await vertex.refused(404, "GET", f"/v1/{name}")
    assert await vertex.get(f"/v1/{PARENT}/models") == {}
    # The job goes on showing what came of it.
    assert (await vertex.look(tuned))["tunedModel"]["model"] == tuned["tunedModel"]["model"]
    await vertex.refused(404, "POST", JOBS, further(tuned))


async def test_what_was_changed_outlives_the_process(start_vertex, tmp_path):
    before = await start_vertex(state=tmp_path / "state.json", vertex_concurrent_jobs=None)
    jobs = [await before.tuned_job(job_body(tunedModelDisplayName=name)) for name in ("a", "b")]
    name = jobs[0]["tunedModel"]["model"].removesuffix("@1")
    await before.call("PATCH", f"/v1/{name}", {"defaultCheckpointId": "2", "labels": {"x": "y"}})
    endpoint = jobs[1]["tunedModel"]["endpoint"]
    (deployed,) = (await before.get(f"/v1/{endpoint}"))["deployedModels"]
    await before.call("POST", f"/v1/{endpoint}:undeployModel", {"deployedModelId": deployed["id"]})
    shown = [await before.get(f"/v1/{PARENT}/{kind}") for kind in ("models", "endpoints", "tuningJobs")]
    after = await start_vertex(state=await copied(tmp_path / "state.json"), vertex_concurrent_jobs=None)
    assert [await after.get(f"/v1/{PARENT}/{kind}") for kind in ("models", "endpoints", "tuningJobs")] == shown
    await after.tune()
    assert len({job["name"] for job in (await after.get(JOBS))["tuningJobs"]}) == 3


async def test_long_data_is_read_in_a_thread_and_counted_all_the_same(vertex):
    pairs = [(text, output) for text, output in PAIRS] * 1500
    await anyio.to_thread.run_sync(vertex.put, supervised(pairs))
    stats = (await vertex.tuned_job())["tuningDataStats"]["supervisedTuningDataStats"]
    assert stats["tuningDatasetExampleCount"] == str(len(pairs))
    assert TRAIN.endswith(".jsonl")
