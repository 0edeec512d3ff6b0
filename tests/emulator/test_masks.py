"""Partial responses with ``fields=``."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.emulated import model_body, prompt
from gemtune.emulator.gemini.messages import SCHEMA
from gemtune.emulator.messages.errors import RpcError
from gemtune.emulator.messages.masks import apply_mask, read_mask

LIST = "/v1beta/tunedModels"


async def test_a_list_is_cut_to_the_fields_asked_for(api):
    for number in range(3):
        await api.create(id=f"number-{number}")
    page = await api.get(LIST, params={"pageSize": 2, "fields": "tunedModels(name,state,updateTime),nextPageToken"})
    assert [list(model) for model in page["tunedModels"]] == [["name", "state", "updateTime"]] * 2
    assert page["nextPageToken"]
    assert list(await api.get(LIST, params={"fields": "tunedModels/name"})) == ["tunedModels"]


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ("name,state", {"name": "tunedModels/tuned", "state": "ACTIVE"}),
        ("tuningTask/hyperparameters/epochCount", {"tuningTask": {"hyperparameters": {"epochCount": 5}}}),
        ("tuning_task.hyperparameters.epoch_count", {"tuningTask": {"hyperparameters": {"epochCount": 5}}}),
        ("name,tuningTask(hyperparameters(epochCount),completeTime)", ...),
        ("readerProjectNumbers", {}),
        ("tuningTask/hyperparameters(epochCount),name,tuningTask/hyperparameters/batchSize", {
            "name": "tunedModels/tuned", "tuningTask": {"hyperparameters": {"epochCount": 5, "batchSize": 4}}}),
        ("name,name", {"name": "tunedModels/tuned"}),
    ],
)  # fmt: skip
async def test_a_model_is_cut_to_the_fields_asked_for(api, fields, left):
    await api.tuned()
    model = await api.get(f"{LIST}/tuned", params={"fields": fields})
    if left is ...:
        assert list(model) == ["name", "tuningTask"]
        assert list(model["tuningTask"]) == ["completeTime", "hyperparameters"]
    else:
        assert model == left


async def test_steps_alone_are_asked_of_a_model_and_of_its_operation(api):
    operation = await api.create(id="tuned")
    api.app.advance(1000)
    steps = [{"step": step} for step in range(1, 20)]
    model = await api.get(f"{LIST}/tuned", params={"fields": "tuningTask/snapshots/step"})
    assert model == {"tuningTask": {"snapshots": steps}}
    found = await api.get("/v1/" + operation["name"], params={"$fields": "done,metadata(snapshots/step)"})
    metadata_type = operation["metadata"]["@type"]
    assert found == {"metadata": {"@type": metadata_type, "snapshots": steps}, "done": True}


@pytest.mark.parametrize("fields", ["*", "", "name,*", "*/x,*"])
async def test_a_star_and_nothing_are_everything(api, fields):
    await api.tuned()
    assert await api.get(f"{LIST}/tuned", params={"fields": fields}) == await api.get(f"{LIST}/tuned")


async def test_a_star_stands_for_every_field_on_its_level(api):
    await api.tuned()
    task = (await api.get(f"{LIST}/tuned", params={"fields": "*/epochCount,*/hyperparameters/epochCount"}))[
        "tuningTask"
    ]
    assert task == {"hyperparameters": {"epochCount": 5}}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ("nonsense", "nonsense"), ("name,tuningTask/nonsense", "tuningTask.nonsense"), ("name/x", "name.x"),
        ("name,", ""), (",", ","), ("tuningTask(", "tuningTask."), ("tuningTask(snapshots", "tuningTask"),
        ("name)", "name)"), ("name name", "name name"), ("na!me", "na!me"), ("tuningTask()", "tuningTask.)"),
        ("*" + "/*" * 60, ...), ("(" * 5000, "("),
    ],
)  # fmt: skip
async def test_a_bad_mask_is_a_400_that_names_the_path(api, fields, path):
    await api.tuned()
    error = await api.refused(400, "GET", f"{LIST}/tuned", params={"fields": fields})
    assert (error["status"], error["message"]) == ("INVALID_ARGUMENT", "Request contains an invalid argument.")
    (violation,) = error["details"][0]["fieldViolations"]
    if path is not ...:
        assert violation.get("field", "") == path
        expected = f"Error expanding 'fields' parameter. Cannot find matching fields for path '{path}'."
        assert violation["description"] == expected


async def test_a_bad_mask_is_refused_before_anything_is_done(api):
    await api.refused(400, "POST", LIST, model_body(), params={"tunedModelId": "mine", "fields": "nonsense"})
    assert await api.get(LIST) == {}


async def test_each_element_of_a_stream_is_cut(api):
    await api.tuned()
    path = f"{LIST}/tuned:streamGenerateContent"
    parts = (await api.call("POST", path, prompt("1"), params={"fields": "candidates/content/parts"})).json()
    assert len(parts) > 1
    assert all(
        list(part["candidates"][0]) == ["content"] == list(part) or list(part) == ["candidates"] for part in parts
    )


async def test_an_error_is_never_cut(api):
    error = await api.refused(404, "GET", f"{LIST}/none", params={"fields": "name"})
    assert error["message"] == "Tuned model tunedModels/none does not exist."


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
MASKS = st.recursive(st.just({}), lambda inner: st.dictionaries(st.sampled_from("abcd*"), inner, max_size=3))


def write(mask):
    return ",".join(f"{name}({write(below)})" if below else name for name, below in mask.items())


@given(MASKS)
def test_a_mask_means_what_it_says(mask):
    assert read_mask(write(mask), SCHEMA, None) == mask


@given(JSON, MASKS)
def test_what_is_left_was_there_and_cutting_twice_changes_nothing(value, mask):
    left = apply_mask(value, mask)
    assert apply_mask(left, mask) == left
    assert len(json.dumps(left)) <= len(json.dumps(value))


@given(st.text(alphabet="ab*(),/. !", max_size=12))
def test_any_text_is_a_mask_or_a_400(text):
    with contextlib.suppress(RpcError):
        read_mask(text, SCHEMA, None)
