"""Advice about a credential fits the credential in use, where it came from, and where the program runs."""

import itertools

import pytest

from gemtune import errors
from gemtune.protocol import advice, status
from gemtune.protocol.advice import Addressee, place

KINDS = ("API key", "token", "token callable", "google-auth", "Application Default Credentials")
PLACES = ("laptop", "colab", "google-cloud", "ci")
REFUSED = {"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "Request had invalid credentials."}}
NARROW = {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "Too few scopes.", "details": [
    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}}  # fmt: skip


def said(http, body, **facts):
    return str(status.error_from_reply(http, {}, body, addressee=Addressee(**facts))).partition("; ")[2]


@pytest.mark.parametrize(("kind", "where", "file"), [*itertools.product(KINDS, PLACES, [False, True])])
def test_gcloud_is_advice_only_at_a_laptop_that_uses_its_login(kind, where, file):
    for http, body in ((401, REFUSED), (403, NARROW)):
        text = said(http, body, kind=kind, place=where, file=file)
        login = (kind == KINDS[-1] or (kind, http) == ("API key", 403)) and where == "laptop" and not file
        assert ("gcloud" in text) == login
        if login:
            assert "--client-id-file=client_secret.json" in text
            assert all(scope in text for scope in advice.SCOPES)


def test_a_refused_key_is_named_with_the_place_it_was_taken_from():
    text = said(401, REFUSED, kind="API key", source="GEMINI_API_KEY")
    assert "API key (from GEMINI_API_KEY) that was refused" in text
    assert "gcloud" not in text


def test_where_a_key_is_not_enough_logging_in_alone_is_no_advice():
    message = "API keys are not supported by this API. Expected OAuth2 access token"
    text = said(401, {"error": {"message": message}}, kind="API key", source="GOOGLE_API_KEY")
    assert "take it away and run: gcloud" in text


def test_a_function_and_a_string_are_told_apart():
    assert "or a function that returns one" in said(401, REFUSED, kind="token")
    assert "your function returned" in said(401, REFUSED, kind="token callable")
    assert "credentials object" in said(401, REFUSED, kind="google-auth")


def test_a_file_of_credentials_is_what_is_to_be_checked():
    assert "GOOGLE_APPLICATION_CREDENTIALS" in said(401, REFUSED, file=True)


@pytest.mark.parametrize(
    ("environ", "modules", "where"),
    [
        ({}, (), "laptop"),
        ({"CI": "false"}, (), "laptop"),
        ({"CI": "true"}, (), "ci"),
        ({"GITHUB_ACTIONS": "true"}, (), "ci"),
        ({"K_SERVICE": "api"}, (), "google-cloud"),
        ({"CLOUD_RUN_JOB": "nightly"}, (), "google-cloud"),
        ({}, ("google.colab",), "colab"),
        ({"COLAB_RELEASE_TAG": "release-colab-1"}, (), "colab"),
    ],
)
def test_where_a_program_runs_is_read_from_its_surroundings(environ, modules, where):
    assert place(environ, modules) == where


@pytest.mark.parametrize("where", PLACES)
def test_without_any_credential_the_advice_can_be_followed_where_it_is_read(where):
    text = advice.missing(Addressee(place=where))
    assert ("gcloud" in text) == (where == "laptop")
    assert "GOOGLE_API_KEY" in text


def test_other_errors_keep_their_own_remedies():
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    error = status.error_from_reply(400, {}, {"error": {"details": [detail]}}, addressee=Addressee())
    assert type(error) is errors.Unauthenticated
    assert "put a valid key into GOOGLE_API_KEY" in str(error)


@pytest.mark.parametrize("file", [False, True])
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("kind", KINDS[1:])
def test_on_vertex_ai_no_key_and_no_scope_of_the_other_service_is_advised(kind, where, file):
    facts = {"kind": kind, "place": where, "file": file, "access": advice.CLOUD}
    addressee = Addressee(**facts)
    texts = [
        said(401, REFUSED, **facts),
        said(403, NARROW, **facts),
        advice.missing(addressee),
        advice.not_renewed(addressee),
    ]
    for text in texts:
        assert "GOOGLE_API_KEY" not in text
        assert "generative-language" not in text
        assert "client_secret" not in text
    assert ("gcloud auth application-default login" in advice.missing(addressee)) == (where == "laptop")
    if kind == "google-auth":
        assert "with the scope https://www.googleapis.com/auth/cloud-platform" in texts[1]
