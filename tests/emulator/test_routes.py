"""What is bound where, and what is not."""

import pytest

from emulator.emulated import METHODS, model_body, prompt
from gemtune.emulator.gemini.face import GEMINI
from gemtune.emulator.gemini.routes import ROUTES

# The published definition has files in v1beta only; google-genai 3, whose version is v1, uploads to /upload/v1/files.
FILES = {"media.upload", "files.get", "files.list", "files.delete", "files.download", "files.register"}
MATRIX = [(method["method"], version) for method in METHODS for version in ("v1beta", "v1")]


def test_the_methods_are_those_of_the_service_definition_and_no_more():
    assert {route.method for route in ROUTES} == {method["method"] for method in METHODS}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method["method"])
def test_a_method_is_bound_with_its_verb_in_its_versions_and_knows_its_query(method):
    bound = [route for route in ROUTES if route.method == method["method"]]
    assert {route.verb for route in bound} == {method["verb"]}
    also = {"v1"} if method["method"] in FILES else set()
    assert {version for route in bound for version in route.versions} == set(method["versions"]) | also
    assert all(route.query_name(name) or name == "alt" for route in bound for name in method["query"])
    template = method["path"].partition(" ")[0].partition("?")[0]
    path = template.replace("**", "a/b").replace("*", "a.b-c").replace("{v}", method["versions"][0])
    path = path[: path.find("{")] + path[path.find("=") + 1 :].replace("}", "") if "{" in path else path
    found = GEMINI.find(method["verb"], path)
    assert found is not None
    assert found.route.method == method["method"]


UNBOUND = [
    ("POST", "/v1/tunedModels"), ("GET", "/v1/tunedModels"), ("GET", "/v1/tunedModels/x"),
    ("DELETE", "/v1/tunedModels/x"),
    ("POST", "/v1beta/tunedModels/x:cancel"), ("POST", "/v1/tunedModels/x:cancel"),
    ("POST", "/v1beta/tunedModels/x/operations/y:cancel"), ("POST", "/v1beta/tunedModels/x:countTokens"),
    ("GET", "/v1/tunedModels/x/permissions"), ("PUT", "/v1beta/tunedModels/x"), ("GET", "/v1beta/tunedModels/x/y"),
    ("GET", "/v1beta/tunedModels/"), ("GET", "/v1alpha/tunedModels"), ("GET", "/"), ("GET", "/v1beta"),
    ("GET", "/v1beta/tunedModels/x%2Foperations/y"), ("HEAD", "/v1beta/models"), ("GET", "/v1beta/operations"),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "path"), UNBOUND)
async def test_anything_else_is_the_frontends_html_page(api, verb, path):
    reply = await api.call(verb, path)
    assert reply.status_code == 404
    assert reply.headers["content-type"] == "text/html; charset=UTF-8"
    if verb != "HEAD":
        assert "<title>Error 404 (Not Found)!!1</title>" in reply.text
        assert path in reply.text


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("PATCH", "/v1beta/batches/x:updateGenerateContentBatch"),
        ("POST", "/v1beta/models/gemini-3.7-flash:asyncBatchEmbedContent"), ("POST", "/v1beta/files:register"),
        ("POST", "/v1beta/files"), ("GET", "/v1/operations"), ("POST", "/v1beta/models/gemini-3.7-flash:embedContent"),
    ],
)  # fmt: skip
async def test_a_method_that_is_not_offered_is_a_501(api, verb, path):
    error = await api.refused(501, verb, path)
    assert error["status"] == "UNIMPLEMENTED"


async def test_a_stranger_in_the_query_is_refused_and_googles_own_names_are_not(api):
    error = await api.refused(400, "GET", "/v1beta/tunedModels", params={"page_siez": "3"})
    assert 'Unknown name "page_siez": Cannot bind query parameter.' in error["message"]
    own = {"key": "K", "alt": "json", "prettyPrint": "true", "quotaUser": "u", "$.xgafv": "2", "uploadType": ""}
    await api.get("/v1beta/tunedModels", params=own)


async def test_enums_are_numbers_when_the_query_says_so(api):
    await api.tuned()
    numbers = {"$alt": "json;enum-encoding=int"}
    assert (await api.get("/v1beta/tunedModels/tuned", params=numbers))["state"] == 2
    reply = await api.call("POST", "/v1beta/tunedModels/tuned:generateContent", prompt("1"), params=numbers)
    candidate = reply.json()["candidates"][0]
    assert candidate["finishReason"] == 1
    assert [rating["category"] for rating in candidate["safetyRatings"]] == [9, 8, 7, 10]
    stream = "/v1beta/tunedModels/tuned:streamGenerateContent"
    assert isinstance((await api.call("POST", stream, prompt("1"), params=numbers)).json(), list)


async def test_a_body_is_one_line_when_the_query_says_so(api):
    await api.tuned()
    reply = await api.call("GET", "/v1beta/tunedModels/tuned", params={"prettyPrint": "false"})
    assert "\n" not in reply.text
    assert '"state":"ACTIVE"' in reply.text


async def test_the_headers_are_those_of_the_frontend(api):
    reply = await api.call("POST", "/v1beta/tunedModels", model_body())
    assert reply.headers["content-type"] == "application/json; charset=UTF-8"
    assert reply.headers["content-encoding"] == "gzip"
    assert reply.headers["vary"] == "Origin, X-Origin, Referer"
    assert reply.headers["server"] == "scaffolding on HTTPServer2"
    assert reply.headers["date"] == "Thu, 14 Mar 2024 15:11:02 GMT"
    plain = await api.call("GET", "/v1beta/models", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("identity", False), ("gzip;q=0", False),
     ("gzip; q=0.000, *", False), ("x-gzips", False)],
)  # fmt: skip
async def test_a_reply_is_compressed_for_those_who_accept_it(api, accepted, compressed):
    reply = await api.call("GET", "/v1beta/models", headers={"accept-encoding": accepted})
    assert (reply.headers.get("content-encoding") == "gzip") is compressed
    assert reply.json()["models"]
