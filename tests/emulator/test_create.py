"""tunedModels.create: the tutorial's request, ids, defaults and everything that is refused."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.emulated import BASE, GOLDEN, PAIRS, SAMPLES, model_body, tutorial_body
from gemtune.emulator.gemini.creation import slug

PATH = "/v1beta/tunedModels"


async def test_the_tutorials_own_request_gets_the_tutorials_answer_of_296_bytes(api):
    body = tutorial_body()
    assert len(body) == 1984  # what curl's meter shows in the tutorial
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)  # trailing commas
    reply = await api.call("POST", PATH, body, headers={"accept-encoding": "identity"})
    assert reply.status_code == 200
    assert len(reply.content) == 296
    ids = re.compile(r"number-generator-model-[a-z0-9]{12}|(?<=operations/)[a-z0-9]{12}")
    assert ids.sub("ID", reply.text) == ids.sub("ID", SAMPLES["create_operation_2024_b2_e5_raw"])


async def test_the_tutorials_question_is_answered(api):
    await api.tuned(tutorial_body(), id="tuned")
    question = (GOLDEN / "tutorial_generate_body.txt").read_bytes()
    reply = await api.call("POST", "/v1beta/tunedModels/tuned:generateContent", question)
    assert "(emulator: nearest training example)" in reply.json()["candidates"][0]["content"]["parts"][0]["text"]


async def test_the_tutorials_model_is_about_5921_bytes_when_it_is_active(api):
    name = (await api.create(tutorial_body()))["metadata"]["tunedModel"]
    api.app.advance(0.3 + 38 * 1.2)
    reply = await api.call("GET", f"/v1beta/{name}", headers={"accept-encoding": "identity"})
    assert '"state": "ACTIVE",' in reply.text
    assert len(reply.json()["tuningTask"]["snapshots"]) == 38
    assert abs(len(reply.content) - 5921) < 90  # one snapshot more or less is 95 bytes or more


async def test_camel_case_and_snake_case_may_be_mixed_in_one_body(api):
    body = model_body()
    body["tuning_task"] = body.pop("tuningTask")
    assert (await api.create(body))["metadata"]["totalSteps"] == 19


async def test_a_given_id_is_the_name_and_a_taken_one_is_a_409(api):
    operation = await api.create(id="my-model")
    assert operation["metadata"]["tunedModel"] == "tunedModels/my-model"
    assert re.fullmatch("tunedModels/my-model/operations/[a-z0-9]{12}", operation["name"])
    error = await api.refused(409, "POST", PATH + "?tunedModelId=my-model", model_body())
    assert error["status"] == "ALREADY_EXISTS"
    assert "tunedModels/my-model" in error["message"]
    assert len((await api.get(PATH))["tunedModels"]) == 1


async def test_the_query_name_may_be_snake_case(api):
    reply = await api.call("POST", PATH + "?tuned_model_id=mine", model_body())
    assert reply.json()["metadata"]["tunedModel"] == "tunedModels/mine"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.from_regex(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True))
async def test_any_id_of_the_documented_form_is_taken(api, wanted):
    reply = await api.call("POST", PATH, model_body([("1", "2")]), params={"tunedModelId": wanted})
    assert reply.status_code in (200, 409)


@pytest.mark.parametrize("wanted", ["", "A", "1a", "-a", "a-", "a_b", "a" * 41, "ü", "a b", "a/b"])
async def test_an_id_of_another_form_is_a_400_that_names_it(api, wanted):
    error = await api.refused(400, "POST", PATH, model_body(), params={"tunedModelId": wanted})
    assert error["details"][0]["fieldViolations"][0]["field"] == "tuned_model_id"
    assert (await api.get(PATH)) == {}


@pytest.mark.parametrize(
    ("display_name", "words"),
    [
        ("number generator model", "number-generator-model"), ("test_number_generator", "testnumbergenerator"),
        ("test_dataset_examples model", "testdatasetexamples-model"), ("generate-num-2528", "generatenum2528"),
        ("my display name 81", "my-display-name-81"), ("", ""), ("六 七", ""), ("  A  B ", "a-b"),
    ],
)  # fmt: skip
async def test_a_generated_id_begins_with_the_words_of_the_display_name(api, display_name, words):
    name = (await api.create(model_body(displayName=display_name)))["metadata"]["tunedModel"]
    prefix = f"tunedModels/{words}-" if words else "tunedModels/"
    assert re.fullmatch(re.escape(prefix) + "[a-z0-9]{12}", name)


@given(st.text(max_size=40))
def test_the_words_of_an_id_are_lower_case_letters_digits_and_single_dashes(text):
    assert re.fullmatch("([a-z0-9]+(-[a-z0-9]+)*)?", slug(text))


async def test_generated_ids_do_not_collide_and_follow_from_the_seed(start):
    names = []
    for seed in (1, 1, 2):
        api = await start(seed=seed)
        names.append([(await api.create(model_body([("1", "2")])))["name"] for _ in range(50)])
    assert names[0] == names[1] != names[2]
    assert len(set(names[0])) == 50


async def test_the_defaults_are_echoed_and_the_parameters_come_from_the_base_model(api):
    name = (await api.create())["metadata"]["tunedModel"]
    model = await api.get(f"/v1beta/{name}")
    assert model["tuningTask"]["hyperparameters"] == {"epochCount": 5, "batchSize": 4, "learningRate": 0.001}
    assert (model["temperature"], model["topP"], "topK" in model) == (0.9, 1, False)
    assert model["state"] == "CREATING"
    assert model["createTime"] == model["updateTime"]


async def test_a_new_model_looks_like_the_observed_one(api):
    body = model_body(base="models/text-bison-001", displayName="number generator", hyperparameters={"epochCount": 3})
    name = (await api.create(body))["metadata"]["tunedModel"]
    api.app.advance(0.4)
    model, seen = await api.get(f"/v1beta/{name}"), SAMPLES["get_tuned_model_CREATING_2023"]
    changing = ("name", "createTime", "updateTime")
    assert list(model) == list(seen)
    assert {key: model[key] for key in model if key not in (*changing, "tuningTask")} == {
        key: seen[key] for key in seen if key not in (*changing, "tuningTask")
    }
    assert list(model["tuningTask"]) == ["startTime", "hyperparameters"]
    assert model["tuningTask"]["hyperparameters"] == seen["tuningTask"]["hyperparameters"]


async def test_a_learning_rate_multiplier_is_echoed_in_place_of_the_rate(api):
    name = (await api.create(model_body(hyperparameters={"learningRateMultiplier": 2})))["metadata"]["tunedModel"]
    echoed = (await api.get(f"/v1beta/{name}"))["tuningTask"]["hyperparameters"]
    assert echoed == {"epochCount": 5, "batchSize": 4, "learningRateMultiplier": 2}


async def test_training_data_is_never_echoed(api):
    name = await api.tuned(model_body([("the secret input", "the secret output")]))
    for path in (f"/v1beta/{name}", "/v1beta/tunedModels", f"/v1beta/{name}/operations"):
        assert "secret" not in json.dumps(await api.get(path))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tuningTask": {}}, "training_data"),
        ({"tuningTask": {"trainingData": {"examples": {"examples": []}}}}, "training_data"),
        ({"tuningTask": {"trainingData": {"examples": {"examples": [{"output": "1"}]}}}}, "examples[0].text_input"),
        ({"tuningTask": {"trainingData": {"examples": {"examples": [{"textInput": "1"}]}}}}, "examples[0].output"),
        (model_body([("1", "2"), ("x" * 40_001, "1")]), "examples[1].text_input"),
        (model_body([("1", "2"), ("1", "x" * 5_001)]), "examples[1].output"),
        ({"displayName": "x" * 41}, "display_name"),
        ({"temperature": 1.1}, "temperature"), ({"temperature": -0.1}, "temperature"),
        ({"topP": 1.5}, "top_p"), ({"topK": 0}, "top_k"),
        (model_body(hyperparameters={"epochCount": 0}), "hyperparameters.epoch_count"),
        (model_body(hyperparameters={"batchSize": -4}), "hyperparameters.batch_size"),
        (model_body(hyperparameters={"learningRate": 0}), "hyperparameters.learning_rate"),
        (model_body(hyperparameters={"learningRate": 1, "learningRateMultiplier": 1}), "tuning_task.hyperparameters"),
    ],
)  # fmt: skip
async def test_a_value_out_of_its_limits_is_a_400_that_names_the_field(api, change, field):
    error = await api.refused(400, "POST", PATH, model_body() | change)
    assert error["status"] == "INVALID_ARGUMENT"
    assert field in error["details"][0]["fieldViolations"][0]["field"]
    assert (await api.get(PATH)) == {}


async def test_values_at_their_limits_are_taken(api):
    await api.create(model_body([("x" * 40_000, "y" * 5_000)], displayName="x" * 40, temperature=1, topP=1, topK=1))


async def test_more_than_4_mb_are_refused(api):
    body = model_body([("x" * 40_000, "y")] * 110)
    error = await api.refused(400, "POST", PATH, body)
    assert error["message"] == "Request payload size exceeds the limit: 4194304 bytes."


@pytest.mark.parametrize("base", ["models/gemini-3.7-flash", "models/unknown"])
async def test_a_base_model_that_cannot_be_tuned_is_refused(api, base):
    error = await api.refused(404, "POST", PATH, model_body(base=base))
    assert error["message"].startswith(
        f"{base} is not found for API version v1beta, or is not supported for createTuned"
    )


async def test_a_base_model_is_needed(api):
    await api.refused(400, "POST", PATH, model_body(base=None))


async def test_a_tuned_model_can_be_tuned_again(api):
    name = await api.tuned()
    source = {"tunedModelSource": {"tunedModel": name, "baseModel": "models/ignored"}}
    child = await api.tuned(model_body(base=None, **source), id="child")
    model = await api.get(f"/v1beta/{child}")
    assert model["tunedModelSource"] == {"tunedModel": name, "baseModel": BASE}
    assert "baseModel" not in model


async def test_a_source_that_is_missing_or_not_ready_is_refused(api):
    source = {"tunedModelSource": {"tunedModel": "tunedModels/young"}}
    await api.refused(404, "POST", PATH, model_body(base=None, **source))
    await api.create(id="young")
    await api.refused(400, "POST", PATH, model_body(base=None, **source))


async def test_a_base_and_a_source_together_are_refused(api):
    source = {"tunedModelSource": {"tunedModel": await api.tuned()}}
    error = await api.refused(400, "POST", PATH, model_body(**source))
    assert "oneof" in error["message"]


async def test_the_number_of_running_jobs_and_of_examples_can_be_limited(start):
    api = await start(max_concurrent_jobs=1, max_examples=20)
    await api.create()
    error = await api.refused(429, "POST", PATH, model_body())
    assert error["status"] == "RESOURCE_EXHAUSTED"
    api.app.advance(1000)
    await api.create()
    api.app.advance(1000)
    await api.refused(400, "POST", PATH, model_body(PAIRS * 2))
