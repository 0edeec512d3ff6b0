"""Credentials that are refused, in the service's own words, and who a caller is."""

import pytest

from emulator.emulated import ERRORS, bearer, model_body
from gemtune.emulator import ApiKey, Auth, Token, create_app

LIST = "/v1beta/tunedModels"
TUNING = "https://www.googleapis.com/auth/generative-language.tuning"


def observed(name):
    return ERRORS[name]["body"]


@pytest.mark.parametrize("auth", ["any", "required"])
@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"x-goog-api-key": "K"}}, {"params": {"key": "K"}}, bearer("T"), {"params": {"access_token": "T"}},
        {"headers": {"Authorization": "bearer T"}},
    ],
)  # fmt: skip
async def test_any_form_of_credential_is_taken_unless_told_otherwise(start, auth, options):
    api = await start(auth=auth)
    await api.get(LIST, **options)


async def test_no_credential_is_the_observed_403_where_one_is_required(start):
    assert await (await start()).get(LIST) == {}
    reply = await (await start(auth="required")).call("GET", LIST)
    assert reply.json() == observed("no_credentials")


async def test_unknown_credentials_are_refused_in_strict_mode(start):
    api = await start(auth="strict")
    reply = await api.call("GET", LIST, headers={"x-goog-api-key": "AIzaNonsense"})
    assert reply.json() == observed("api_key_invalid")
    for options in ({"headers": {"x-goog-api-key": "AQ.nonsense"}}, bearer("nonsense")):
        reply = await api.call("GET", "/v1beta/models", **options)
        assert (reply.status_code, reply.json()) == (401, observed("bad_bearer_or_AQ_key"))
        assert 'error="invalid_token"' in reply.headers["www-authenticate"]


async def test_expired_and_blocked_keys_are_refused(start):
    api = await start(auth=Auth(api_keys={"old": ApiKey(expired=True), "other": ApiKey(blocked=True)}))
    error = await api.refused(400, "GET", LIST, params={"key": "old"})
    assert error["message"] == "API key expired. Please renew the API key."
    error = await api.refused(403, "GET", LIST, params={"key": "other"})
    assert error["details"][0]["reason"] == "API_KEY_SERVICE_BLOCKED"
    assert "ModelService.ListTunedModels are blocked" in error["message"]


async def test_a_token_expires_on_the_emulators_clock(start):
    api = await start(auth="strict")
    now = api.app.clock.now() / 1e9
    api.app.auth.tokens["t"] = Token(expires_at=now + 3600)
    await api.get(LIST, **bearer("t"))
    api.app.advance(3601)
    error = await api.refused(401, "GET", LIST, **bearer("t"))
    assert error["details"][0]["reason"] == "ACCESS_TOKEN_EXPIRED"


async def test_a_token_without_the_scope_is_the_observed_403(start):
    api = await start(auth=Auth(tokens={"t": Token(scopes=["https://www.googleapis.com/auth/drive"])}))
    reply = await api.call("GET", LIST, **bearer("t"))
    expected = observed("scope_insufficient")["error"]
    error = reply.json()["error"]
    assert error["message"] == expected["message"]
    details = expected["details"][0]
    method = "google.ai.generativelanguage.v1beta.ModelService.ListTunedModels"
    assert error["details"] == [details | {"metadata": details["metadata"] | {"method": method}}]
    assert reply.headers["www-authenticate"] == ERRORS["scope_insufficient"]["headers"]["www-authenticate"]


async def test_reading_needs_any_of_five_scopes_and_writing_the_tuning_one(start):
    tokens = {"r": Token(scopes=[TUNING + ".readonly"]), "w": Token(scopes=[TUNING])}
    api = await start(auth=Auth(tokens=tokens))
    for token in "rw":
        await api.get(LIST, **bearer(token))
    await api.refused(403, "POST", LIST, model_body(), **bearer("r"))
    await api.create(**bearer("w"))


async def test_a_quota_project_can_be_required_and_checked(start):
    api = await start(auth=Auth(require_quota_project=True, projects={"mine"}))
    assert (await api.call("GET", LIST, **bearer("t"))).json() == observed("quota_project_missing")
    denied = await api.call("GET", LIST, **bearer("t", **{"x-goog-user-project": "my-project"}))
    assert denied.json() == observed("quota_project_denied")
    await api.get(LIST, **bearer("t", **{"x-goog-user-project": "mine"}))
    await api.get(LIST, headers={"x-goog-api-key": "K"})


async def test_who_the_caller_is_follows_from_the_credential(start):
    api = await start(callers={"a": "a@example.com"})
    await api.create(id="one", **bearer("a"))
    await api.create(id="two")
    for options in (bearer("a"), {"params": {"key": "a"}}, {"headers": {"x-goog-api-key": "a"}}):
        assert [model["name"] for model in (await api.get(LIST, **options))["tunedModels"]] == ["tunedModels/one"]
    assert [model["name"] for model in (await api.get(LIST))["tunedModels"]] == ["tunedModels/two"]


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="unknown auth 'none'"):
        create_app(auth="none")


def test_no_secret_is_shown():
    app = create_app(callers={"secret-token": "a@example.com"})
    assert "secret" not in repr(app) + repr(app.auth)
