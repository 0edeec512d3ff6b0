"""The operation of a tuning job, from the first answer to the last."""

import pytest

from emulator.emulated import model_body, prompt
from gemtune.emulator import Fault, JobFate

TYPE = "type.googleapis.com/google.ai.generativelanguage.v1beta."


async def test_the_first_answer_holds_the_name_the_steps_and_the_model_only(api):
    operation = await api.create()
    assert list(operation) == ["name", "metadata"]
    assert operation["metadata"]["@type"] == TYPE + "CreateTunedModelMetadata"
    assert list(operation["metadata"]) == ["@type", "totalSteps", "tunedModel"]


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_polling_shows_the_steps_done_so_far(api, version):
    name = (await api.create())["name"]
    assert list((await api.get(f"/{version}/{name}"))["metadata"]) == ["@type", "totalSteps", "tunedModel"]
    api.app.advance(0.3 + 4 * 1.2)
    metadata = (await api.get(f"/{version}/{name}"))["metadata"]
    assert metadata["completedSteps"] == 4
    assert metadata["completedPercent"] == pytest.approx(100 * 4 / 19, rel=1e-6)
    assert [snapshot["step"] for snapshot in metadata["snapshots"]] == [1, 2, 3, 4]
    assert "epoch" not in metadata["snapshots"][0]
    assert metadata["snapshots"][3]["epoch"] == 1


async def test_the_last_answer_holds_the_tuned_model(api):
    name = (await api.create())["name"]
    api.app.advance(1000)
    operation = await api.get(f"/v1/{name}")
    model = await api.get("/v1beta/" + operation["metadata"]["tunedModel"])
    assert list(operation) == ["name", "metadata", "done", "response"]
    assert operation["done"] is True
    assert operation["metadata"]["completedPercent"] == 100
    assert operation["response"] == {"@type": TYPE + "TunedModel"} | model
    assert operation["metadata"]["snapshots"] == model["tuningTask"]["snapshots"]


async def test_a_models_operations_are_listed(api):
    operation = await api.create(id="mine")
    for version in ("v1", "v1beta"):
        (listed,) = (await api.get(f"/{version}/tunedModels/mine/operations"))["operations"]
        assert listed["name"] == operation["name"]
    await api.refused(404, "GET", "/v1/tunedModels/other/operations")


async def test_a_missing_operation_is_a_404(api):
    await api.create(id="mine")
    await api.refused(404, "GET", "/v1/tunedModels/mine/operations/nonsense")
    await api.refused(404, "GET", "/v1/models/gemini-3.7-flash/operations/nonsense")


async def test_cancelling_ends_the_operation_with_code_1(api):
    name = (await api.create(id="mine"))["name"]
    api.app.advance(5)
    reply = await api.call("POST", f"/v1/{name}:cancel")
    assert reply.text == "{}\n"
    api.app.advance(1000)
    operation = await api.get(f"/v1/{name}")
    assert operation["done"] is True
    assert operation["error"]["code"] == 1
    assert "response" not in operation
    assert len(operation["metadata"]["snapshots"]) == 3
    assert (await api.get("/v1beta/tunedModels/mine"))["state"] == "FAILED"


async def test_cancelling_what_is_over_changes_nothing(api):
    name = (await api.create())["name"]
    api.app.advance(1000)
    before = await api.get(f"/v1/{name}")
    assert (await api.call("POST", f"/v1/{name}:cancel", {})).status_code == 200
    assert await api.get(f"/v1/{name}") == before


async def test_the_state_after_a_cancellation_and_the_cancellation_itself_are_settings(start):
    api = await start(cancelled_state="ACTIVE")
    name = (await api.create(id="mine"))["name"]
    await api.call("POST", f"/v1/{name}:cancel")
    assert (await api.get("/v1beta/tunedModels/mine"))["state"] == "ACTIVE"
    api = await start(cancel_supported=False)
    name = (await api.create())["name"]
    await api.refused(501, "POST", f"/v1/{name}:cancel")


async def test_a_failed_job_has_an_error_and_its_model_is_failed(api):
    fate = JobFate(fail_at_step=3, code=9, message="The data is no good.")
    api.app.faults.add(Fault(method="tunedModels.create", job=fate))
    name = (await api.create(id="mine"))["name"]
    await api.create(id="next")
    api.app.advance(1000)
    operation = await api.get(f"/v1/{name}")
    assert operation["error"] == {"code": 9, "message": "The data is no good."}
    assert operation["metadata"]["completedSteps"] == 2
    model = await api.get("/v1beta/tunedModels/mine")
    assert model["state"] == "FAILED"
    await api.refused(400, "POST", "/v1beta/tunedModels/mine:generateContent", prompt("1"))
    assert (await api.get("/v1beta/tunedModels/next"))["state"] == "ACTIVE"


async def test_a_hollow_model_is_active_without_snapshots_and_answers_500(api):
    api.app.faults.add({"method": "tunedModels.create", "job": {"hollow": True}})
    name = await api.tuned(model_body())
    model = await api.get(f"/v1beta/{name}")
    assert (model["state"], list(model["tuningTask"])) == ("ACTIVE", ["hyperparameters"])
    await api.refused(500, "POST", f"/v1beta/{name}:generateContent", prompt("1"))


async def test_an_operation_can_expire_while_the_job_goes_on(api):
    api.app.faults.add(Fault(method="tunedModels.create", job={"expire_at_step": 5}))
    operation = await api.create(id="mine")
    path = "/v1/" + operation["name"]
    api.app.advance(0.3 + 4 * 1.2)
    assert (await api.get(path))["metadata"]["completedSteps"] == 4
    api.app.advance(1.2)
    error = await api.refused(404, "GET", path)
    assert error["message"] == f"Operation {operation['name']} does not exist."
    assert await api.get("/v1/tunedModels/mine/operations") == {}
    api.app.advance(1000)
    assert (await api.get("/v1beta/tunedModels/mine"))["state"] == "ACTIVE"


async def test_a_model_can_be_deleted_under_its_job(api):
    api.app.faults.add(Fault(method="tunedModels.create", job={"delete_at_step": 5}))
    operation = await api.create(id="mine")
    api.app.advance(0.3 + 4 * 1.2)
    assert (await api.get("/v1beta/tunedModels/mine"))["state"] == "CREATING"
    api.app.advance(1.2)
    assert api.app.statistics()["tuned_models"] == 0
    for path in ("/v1beta/tunedModels/mine", "/v1/" + operation["name"]):
        assert (await api.refused(404, "GET", path))["message"] == "Tuned model tunedModels/mine does not exist."
    assert await api.get("/v1beta/tunedModels") == {}
    await api.create(id="mine")  # the id is free again, and this one stays
    api.app.advance(1000)
    assert (await api.get("/v1beta/tunedModels/mine"))["state"] == "ACTIVE"


async def test_a_model_deleted_by_its_owner_is_not_deleted_again_by_its_fate(api):
    api.app.faults.add(Fault(method="tunedModels.create", job={"delete_at_step": 5}))
    await api.create(id="mine")
    assert (await api.call("DELETE", "/v1beta/tunedModels/mine")).status_code == 200
    await api.create(id="mine")
    api.app.advance(1000)
    assert (await api.get("/v1beta/tunedModels/mine"))["state"] == "ACTIVE"
