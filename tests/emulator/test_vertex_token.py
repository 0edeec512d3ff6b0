"""The token host beside Vertex AI, and who may call without a credential."""

import base64
import json

import pytest

from emulator.emulated import bearer
from emulator.vertex import JOBS

JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def jwt(**claims):
    parts = ({"alg": "RS256"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*encoded, "signature"))


async def ask(vertex, **fields):
    return await vertex.http.post("/token", data=fields)


async def test_a_service_accounts_jwt_is_exchanged_for_a_token(start_vertex):
    vertex = await start_vertex(auth="required")
    error = await vertex.refused(401, "GET", JOBS)
    assert error["status"] == "UNAUTHENTICATED"
    reply = await ask(vertex, grant_type=JWT, assertion=jwt(iss="sa@p.iam.gserviceaccount.com"))
    assert reply.status_code == 200
    assert list(reply.json()) == ["access_token", "expires_in", "token_type"]
    assert await vertex.get(JOBS, **bearer(reply.json()["access_token"])) == {}


async def test_a_refresh_token_is_exchanged_as_well(vertex):
    assert (await ask(vertex, grant_type="refresh_token", refresh_token="r")).json()["token_type"] == "Bearer"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"), ({}, "unsupported_grant_type"),
        ({"grant_type": JWT, "assertion": "a.b"}, "invalid_grant"), ({"grant_type": JWT}, "invalid_grant"),
        ({"grant_type": JWT, "assertion": jwt(sub="x")}, "invalid_grant"),
    ],
)  # fmt: skip
async def test_anything_else_is_refused_in_the_words_of_a_token_host(vertex, fields, error):
    reply = await ask(vertex, **fields)
    assert reply.status_code == 400
    assert reply.json()["error"] == error


async def test_it_is_logged_and_can_fail_like_any_method(vertex):
    vertex.app.faults.add({"method": "oauth.token", "status": 503})
    assert (await ask(vertex, grant_type=JWT, assertion=jwt(iss="x"))).status_code == 503
    assert (await ask(vertex, grant_type=JWT, assertion=jwt(iss="x"))).status_code == 200
    assert len(vertex.app.requests.of("oauth.token")) == 2
    assert (await vertex.http.get("/token")).status_code == 404
