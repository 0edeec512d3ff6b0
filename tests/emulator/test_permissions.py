"""Permissions, roles and ownership."""

import pytest

from emulator.emulated import bearer, prompt

MODEL = "/v1beta/tunedModels/tuned"
PERMISSIONS = MODEL + "/permissions"


@pytest.fixture
async def shared(start):
    """A model of a@example.com, written by w@ and read by r@; s@ is a stranger."""
    api = await start(callers={letter: f"{letter}@example.com" for letter in "awrs"})
    await api.tuned(**bearer("a"))
    for letter, role in (("w", "WRITER"), ("r", "READER")):
        grant = {"granteeType": "USER", "emailAddress": f"{letter}@example.com", "role": role}
        assert (await api.call("POST", PERMISSIONS, grant, **bearer("a"))).status_code == 200
    return api


async def test_a_new_model_has_one_permission_its_owners(api):
    await api.tuned()
    (owner,) = (await api.get(PERMISSIONS))["permissions"]
    assert owner["name"].startswith("tunedModels/tuned/permissions/")
    assert {key: owner[key] for key in owner if key != "name"} == {
        "granteeType": "USER", "emailAddress": "you@example.com", "role": "OWNER",
    }  # fmt: skip
    assert await api.get("/v1beta/" + owner["name"]) == owner


REQUESTS = {
    "read": ("GET", MODEL, None),
    "ask": ("POST", MODEL + ":generateContent", prompt("1")),
    "look at the operations": ("GET", MODEL + "/operations", None),
    "edit": ("PATCH", MODEL, {"description": "new"}),
    "share": ("POST", PERMISSIONS, {"granteeType": "USER", "emailAddress": "n@example.com", "role": "READER"}),
    "transfer": ("POST", MODEL + ":transferOwnership", {"emailAddress": "n@example.com"}),
    "delete": ("DELETE", MODEL, None),
}
ALLOWED = {
    "a": list(REQUESTS),
    "w": ["read", "ask", "look at the operations", "edit", "share"],
    "r": ["read", "ask", "look at the operations"],
    "s": [],
}


@pytest.mark.parametrize("letter", "awrs")
@pytest.mark.parametrize("action", REQUESTS)
async def test_a_role_may_do_what_it_may_and_no_more(shared, letter, action):
    reply = await shared.call(*REQUESTS[action], **bearer(letter))
    if action in ALLOWED[letter]:
        assert reply.status_code == 200, reply.text
    else:
        assert reply.status_code == 403
        message = "You do not have permission to access tuned model tunedModels/tuned"
        assert reply.json()["error"] == {"code": 403, "message": message, "status": "PERMISSION_DENIED"}


async def test_the_former_owner_is_a_writer_after_the_transfer(shared):
    reply = await shared.call("POST", MODEL + ":transferOwnership", {"emailAddress": "r@example.com"}, **bearer("a"))
    assert reply.text == "{}\n"
    permissions = (await shared.get(PERMISSIONS, **bearer("a")))["permissions"]
    roles = {permission["emailAddress"][0]: permission["role"] for permission in permissions}
    assert roles == {"a": "WRITER", "w": "WRITER", "r": "OWNER"}
    assert (await shared.call("DELETE", MODEL, **bearer("a"))).status_code == 403
    assert (await shared.call("DELETE", MODEL, **bearer("r"))).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {}, {"granteeType": "USER", "role": "READER"}, {"granteeType": "USER", "emailAddress": "a@b.c"},
        {"granteeType": "EVERYONE", "emailAddress": "a@b.c", "role": "READER"},
        {"granteeType": "USER", "emailAddress": "a@b.c", "role": "OWNER"},
        {"granteeType": "USER", "emailAddress": "nobody", "role": "READER"},
        {"emailAddress": "a@b.c", "role": "READER"},
    ],
)  # fmt: skip
async def test_an_incomplete_or_contradictory_permission_is_a_400(api, body):
    await api.tuned()
    await api.refused(400, "POST", PERMISSIONS, body)
    assert len((await api.get(PERMISSIONS))["permissions"]) == 1


async def test_a_second_permission_for_the_same_grantee_is_a_409(api):
    await api.tuned()
    body = {"grantee_type": 1, "email_address": "A@b.c", "role": 3}
    assert (await api.call("POST", PERMISSIONS, body)).json()["role"] == "READER"
    await api.refused(409, "POST", PERMISSIONS, body | {"email_address": "a@b.c", "role": 2})


async def test_a_permission_can_be_changed_in_its_role_only_and_deleted(api):
    await api.tuned()
    made = await api.call("POST", PERMISSIONS, {"granteeType": "GROUP", "emailAddress": "g@b.c", "role": "READER"})
    path = "/v1beta/" + made.json()["name"]
    reply = await api.call("PATCH", path, {"role": "WRITER"}, params={"updateMask": "role"})
    assert reply.json() == made.json() | {"role": "WRITER"}
    await api.refused(400, "PATCH", path, {"role": "READER"})
    await api.refused(400, "PATCH", path, {"emailAddress": "x@b.c"}, params={"updateMask": "emailAddress"})
    await api.refused(400, "PATCH", path, {"role": "OWNER"}, params={"updateMask": "role"})
    assert (await api.call("DELETE", path)).text == "{}\n"
    await api.refused(404, "GET", path)


async def test_the_owners_permission_cannot_be_taken_away(api):
    await api.tuned()
    (owner,) = (await api.get(PERMISSIONS))["permissions"]
    await api.refused(400, "DELETE", "/v1beta/" + owner["name"])
    await api.refused(400, "PATCH", "/v1beta/" + owner["name"], {"role": "READER"}, params={"updateMask": "role"})


async def test_permissions_come_in_pages(api):
    await api.tuned()
    for number in range(12):
        body = {"granteeType": "USER", "emailAddress": f"u{number}@b.c", "role": "READER"}
        await api.call("POST", PERMISSIONS, body)
    first = await api.get(PERMISSIONS)
    second = await api.get(PERMISSIONS, params={"pageToken": first["nextPageToken"]})
    assert (len(first["permissions"]), len(second["permissions"])) == (10, 3)


async def test_a_reader_project_may_read(start):
    api = await start(callers={"s": "s@example.com"})
    await api.tuned()
    await api.call("PATCH", MODEL, {"readerProjectNumbers": ["123"]})
    await api.refused(403, "GET", MODEL, **bearer("s"))
    model = await api.get(MODEL, **bearer("s", **{"x-goog-user-project": "123"}))
    assert model["readerProjectNumbers"] == ["123"]
