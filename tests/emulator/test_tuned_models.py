"""tunedModels: get, list, patch, delete; pages and filters."""

import pytest

from emulator.emulated import SAMPLES, bearer, model_body

LIST = "/v1beta/tunedModels"


async def many(api, count, **fields):
    for number in range(count):
        await api.create(model_body([("1", "2")], **fields), id=f"m{number:04}")


def names(page):
    return [model["name"].removeprefix("tunedModels/") for model in page.get("tunedModels", [])]


async def test_an_empty_project_has_an_empty_list(api):
    reply = await api.call("GET", LIST)
    assert reply.text == "{}\n"


async def test_a_finished_model_has_the_observed_layout(api):
    name = await api.tuned(model_body(displayName="a", description="b"))
    model = await api.get(f"/v1beta/{name}")
    seen = SAMPLES["list_tuned_models_2023"]["tunedModels"][0]
    assert list(model) == [key for key in seen if key != "topK"]  # this base model has no topK
    assert list(model["tuningTask"]) == list(seen["tuningTask"])
    assert list(model["tuningTask"]["snapshots"][-1]) == list(seen["tuningTask"]["snapshots"][-1])
    assert model["tuningTask"]["completeTime"] == model["updateTime"] > model["createTime"]


async def test_a_missing_model_is_the_observed_404(api):
    error = await api.refused(404, "GET", LIST + "/generate-num-8122")
    assert error["message"] == "Tuned model tunedModels/generate-num-8122 does not exist."


async def test_a_page_holds_ten_models_unless_asked_otherwise(api):
    await many(api, 12)
    first = await api.get(LIST)
    assert names(first) == [f"m{number:04}" for number in range(10)]
    second = await api.get(LIST, params={"pageToken": first["nextPageToken"]})
    assert names(second) == ["m0010", "m0011"]
    assert "nextPageToken" not in second


@pytest.mark.parametrize("size", ["pageSize", "page_size"])
async def test_the_pages_of_any_size_make_up_the_whole_list_once(api, size):
    await many(api, 7)
    seen, token = [], ""
    while True:
        page = await api.get(LIST, params={size: "3"} | ({"pageToken": token} if token else {}))
        seen += names(page)
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert seen == [f"m{number:04}" for number in range(7)]


async def test_a_page_size_beyond_1000_is_cut(api):
    await many(api, 1003)
    assert len(names(await api.get(LIST, params={"pageSize": "5000"}))) == 1000


async def test_models_that_come_and_go_between_pages_are_neither_lost_nor_repeated(api):
    await many(api, 6)
    first = await api.get(LIST, params={"pageSize": "2"})
    await api.call("DELETE", LIST + "/m0001")
    await api.call("DELETE", LIST + "/m0003")
    await api.create(id="new")
    second = await api.get(LIST, params={"pageSize": "2", "pageToken": first["nextPageToken"]})
    third = await api.get(LIST, params={"pageSize": "2", "pageToken": second["nextPageToken"]})
    assert names(second) + names(third) == ["m0002", "m0004", "m0005", "new"]


@pytest.mark.parametrize(
    "params", [{"pageSize": "-1"}, {"pageSize": "x"}, {"pageToken": "nonsense"}, {"pageToken": "bm9uc2Vuc2U"}]
)
async def test_a_bad_page_size_or_token_is_a_400(api, params):
    await many(api, 3)
    await api.refused(400, "GET", LIST, params=params)


async def test_a_token_only_fits_the_list_it_came_from(api):
    await many(api, 3)
    token = (await api.get(LIST, params={"pageSize": "1", "filter": "owner:me"}))["nextPageToken"]
    assert await api.get(LIST, params={"pageSize": "1", "filter": "owner:me", "pageToken": token})
    await api.refused(400, "GET", LIST, params={"pageSize": "1", "pageToken": token})


async def test_a_filter_searches_display_name_and_description(api):
    await api.create(model_body(displayName="Number generator"), id="a")
    await api.create(model_body(description="numbers in Roman style"), id="b")
    await api.create(model_body(displayName="poems"), id="c")
    assert names(await api.get(LIST, params={"filter": "number"})) == ["a", "b"]
    assert names(await api.get(LIST, params={"filter": "ROMAN numbers"})) == ["b"]
    assert names(await api.get(LIST, params={"filter": "nothing"})) == []


async def test_filters_by_role_follow_the_nested_roles(start):
    api = await start(callers={"a": "a@example.com", "b": "b@example.com"})
    for name, role in (("owned", None), ("written", "WRITER"), ("read", "READER"), ("foreign", None)):
        await api.create(id=name, **bearer("b" if name == "owned" else "a"))
        if role:
            grant = {"granteeType": "USER", "emailAddress": "b@example.com", "role": role}
            await api.call("POST", f"{LIST}/{name}/permissions", grant, **bearer("a"))

    async def found(filter):
        return names(await api.get(LIST, params={"filter": filter} if filter else {}, **bearer("b")))

    assert await found("") == ["owned", "written", "read"]
    assert await found("owner:me") == ["owned"]
    assert await found("writers:me") == ["owned", "written"]
    assert await found("readers:me") == ["owned", "written", "read"]


async def test_models_shared_with_everyone_are_listed_only_when_asked_for(start):
    api = await start(callers={"a": "a@example.com", "b": "b@example.com"})
    await api.create(id="public", **bearer("a"))
    grant = {"granteeType": "EVERYONE", "role": "READER"}
    assert (await api.call("POST", f"{LIST}/public/permissions", grant, **bearer("a"))).status_code == 200
    assert names(await api.get(LIST, **bearer("b"))) == []
    assert names(await api.get(LIST, params={"filter": "readers:everyone"}, **bearer("b"))) == ["public"]
    assert (await api.get(LIST + "/public", **bearer("b")))["name"] == "tunedModels/public"


@pytest.mark.parametrize("mask", ["displayName,description", "display_name,description"])
async def test_a_patch_changes_what_the_mask_names_in_either_spelling(api, mask):
    name = await api.tuned(model_body(displayName="old", description="old", temperature=0.5))
    before = await api.get(f"/v1beta/{name}")
    echo = before | {"displayName": "New", "description": "D", "temperature": 0.1, "state": 1}
    reply = await api.call("PATCH", f"/v1beta/{name}", echo, params={"updateMask": mask})
    after = await api.get(f"/v1beta/{name}")
    assert reply.json() == after
    assert (after["displayName"], after["description"], after["temperature"]) == ("New", "D", 0.5)
    assert after["updateTime"] > before["updateTime"]
    assert after["tuningTask"] == before["tuningTask"]


async def test_a_patch_without_a_mask_changes_the_fields_given(api):
    name = await api.tuned(model_body(displayName="old", description="kept"))
    await api.call("PATCH", f"/v1beta/{name}", {"displayName": "New"})
    after = await api.get(f"/v1beta/{name}")
    assert (after["displayName"], after["description"]) == ("New", "kept")


async def test_a_masked_field_that_is_not_given_is_cleared(api):
    name = await api.tuned(model_body(description="old", temperature=0.1))
    await api.call("PATCH", f"/v1beta/{name}", {}, params={"updateMask": "description,temperature"})
    after = await api.get(f"/v1beta/{name}")
    assert ("description" in after, after["temperature"]) == (False, 0.9)


async def test_a_patch_that_echoes_the_whole_resource_without_a_mask_is_taken(api):
    name = await api.tuned(model_body(displayName="old"))
    echo = await api.get(f"/v1beta/{name}")
    reply = await api.call("PATCH", f"/v1beta/{name}", echo | {"displayName": "New"})
    assert reply.json()["displayName"] == "New"


@pytest.mark.parametrize("mask", ["baseModel", "tuningTask", "tuning_task.hyperparameters.epoch_count", "nonsense"])
async def test_a_mask_that_names_an_immutable_or_unknown_field_is_refused(api, mask):
    name = await api.tuned()
    await api.refused(400, "PATCH", f"/v1beta/{name}", {"displayName": "x"}, params={"updateMask": mask})


@pytest.mark.parametrize(
    "body",
    [
        {"baseModel": "models/gemini-3.7-flash"}, {"tuningTask": {"hyperparameters": {"epochCount": 9}}},
        {"tuningTask": {"trainingData": {"examples": {"examples": []}}}}, {"temperature": 2}, {"displayName": "x" * 41},
    ],
)  # fmt: skip
async def test_a_patch_of_an_immutable_field_or_a_bad_value_changes_nothing(api, body):
    name = await api.tuned(model_body(displayName="old"))
    before = await api.get(f"/v1beta/{name}")
    await api.refused(400, "PATCH", f"/v1beta/{name}", {"description": "new"} | body)
    assert await api.get(f"/v1beta/{name}") == before


async def test_a_deleted_model_is_gone_with_its_operation_and_its_id_is_free(api):
    operation = await api.create(id="mine")
    reply = await api.call("DELETE", LIST + "/mine")
    assert (reply.status_code, reply.text) == (200, "{}\n")
    await api.refused(404, "GET", LIST + "/mine")
    await api.refused(404, "GET", f"/v1/{operation['name']}")
    await api.refused(404, "DELETE", LIST + "/mine")
    assert (await api.create(id="mine"))["name"] != operation["name"]
