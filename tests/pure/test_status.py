"""From replies to errors: the observed bodies, the triage of 429, and texts that cannot be trusted."""

import json
import math
import pickle
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune import errors, events
from gemtune.errors import Failure
from gemtune.jobs.outcomes import failure
from gemtune.protocol import status

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "errors.json").read_text(encoding="utf-8"))
BODIES = {item["id"]: item for item in GOLDEN["items"]}

EXPECTED = {
    "api_key_invalid": (errors.Unauthenticated, "API_KEY_INVALID", Failure.FATAL),
    "no_credentials": (errors.PermissionDenied, "PERMISSION_DENIED", Failure.FATAL),
    "scope_insufficient": (errors.PermissionDenied, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", Failure.FATAL),
    "bad_bearer_or_AQ_key": (errors.Unauthenticated, "ACCESS_TOKEN_TYPE_UNSUPPORTED", Failure.FATAL),
    "api_key_service_blocked": (errors.PermissionDenied, "API_KEY_SERVICE_BLOCKED", Failure.FATAL),
    "service_disabled": (errors.PermissionDenied, "SERVICE_DISABLED", Failure.FATAL),
    "quota_project_missing": (errors.PermissionDenied, "SERVICE_DISABLED", Failure.FATAL),
    "quota_project_denied": (errors.PermissionDenied, "USER_PROJECT_DENIED", Failure.FATAL),
    "tuned_model_forbidden": (errors.PermissionDenied, "PERMISSION_DENIED", Failure.FATAL),
    "tuned_model_not_found": (errors.NotFound, "NOT_FOUND", Failure.FATAL),
    "base_model_retired": (errors.NotFound, "NOT_FOUND", Failure.FATAL),
    "unknown_field": (errors.BadRequest, "INVALID_ARGUMENT", Failure.FATAL),
    "region_precondition": (errors.BadRequest, "FAILED_PRECONDITION", Failure.FATAL),
    "payload_too_large": (errors.BadRequest, "INVALID_ARGUMENT", Failure.FATAL),
    "rate_limit_free_tier": (errors.QuotaExhausted, "RESOURCE_EXHAUSTED", Failure.FATAL),
    "rate_limit_legacy_service_control": (errors.QuotaExhausted, "RATE_LIMIT_EXCEEDED", Failure.REJECTED),
    "batch_429_bare": (errors.QuotaExhausted, "RESOURCE_EXHAUSTED", Failure.REJECTED),
    "internal": (errors.Unavailable, "INTERNAL", Failure.AMBIGUOUS),
    "overloaded_old": (errors.Unavailable, "UNAVAILABLE", Failure.REJECTED),
    "overloaded_new": (errors.Unavailable, "UNAVAILABLE", Failure.REJECTED),
    "deadline": (errors.Unavailable, "DEADLINE_EXCEEDED", Failure.AMBIGUOUS),
    "vertex_dataset_bad": (errors.BadRequest, "INVALID_ARGUMENT", Failure.FATAL),
    "vertex_adapter_bad": (errors.BadRequest, "INVALID_ARGUMENT", Failure.FATAL),
}


def error_of(http, payload, headers=None, **facts):
    return status.error_from_reply(http, headers or {}, payload, **facts)


@pytest.mark.parametrize("name", sorted(BODIES))
def test_every_observed_error_body_has_its_class_reason_and_failure(name):
    item = BODIES[name]
    error = error_of(item["http"], item["body"], resource="tunedModels/x", method="tunedModels.get")
    assert (type(error), error.reason, error.failure) == EXPECTED[name]
    assert error.status == item["http"]
    assert error.resource == "tunedModels/x"
    said = item["body"]["error"]["message"]
    assert said.splitlines()[0].strip()[:60].rstrip(".") in str(error)


def test_an_error_wrapped_in_a_list_is_the_same_error():
    body = BODIES["tuned_model_not_found"]["body"]
    assert type(error_of(404, [body])) is errors.NotFound


def test_a_daily_quota_fails_at_once_and_keeps_the_time_of_the_hint():
    error = error_of(429, BODIES["rate_limit_free_tier"]["body"])
    assert error.scope == "day"
    assert error.retry_after == 40.8


@pytest.mark.parametrize(
    ("violation", "scope"),
    [
        ({"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "quotaValue": "10"}, "minute"),
        ({"quotaId": "GenerateRequestsPerDayPerProjectPerModel", "quotaValue": "50"}, "day"),
        ({"quotaId": "GenerateContentInputTokensPerModelPerMinute-FreeTier", "quotaValue": "0"}, "none"),
        ({}, "unknown"),
    ],
)
def test_the_scope_of_a_429_is_read_from_the_quota_id(violation, scope):
    detail = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}
    error = error_of(429, {"error": {"status": "RESOURCE_EXHAUSTED", "message": "m", "details": [detail]}})
    assert error.scope == scope
    assert (error.failure is Failure.FATAL) == (scope in {"day", "none"})


def test_limit_zero_in_the_message_means_no_quota_at_all():
    error = error_of(429, {"error": {"status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded, limit: 0, model: x"}})
    assert error.scope == "none"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("38s", 38.0),
        ("34.07s", 34.07),
        ("900ms", 0.9),
        ("3.957525076s", 3.957525076),
        ({"seconds": 38}, 38.0),
        ({"seconds": "38", "nanos": 500_000_000}, 38.5),
        ("nan", None),
        ("-1s", None),
        ("infs", None),
        ("9" * 400 + "s", None),
        ({"seconds": "x"}, None),
        (None, None),
        (7, None),
    ],
)
def test_retry_info_is_read_in_all_its_forms(value, seconds):
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": value}
    assert status.retry_after({}, [detail], "") == seconds


@given(st.text(max_size=40))
def test_any_retry_after_header_gives_a_sane_wait_or_none(text):
    wait = status.retry_after({"retry-after": text, "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, [], "")
    assert wait is None or (math.isfinite(wait) and 0 <= wait <= 7 * 86400)


def test_a_retry_after_date_counts_from_the_servers_own_clock():
    headers = {"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert status.retry_after(headers, [], "") == 30.0
    headers["retry-after"] = "Wed, 21 Oct 2015 07:00:00 GMT"
    assert status.retry_after(headers, [], "") == 0.0


def test_the_longest_hint_wins():
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "38s"}
    assert status.retry_after({"retry-after": "7"}, [detail], "Please retry in 40.8s.") == 40.8


def test_an_html_page_is_told_as_text_without_its_tags():
    page = "<html><head><style>p{}</style></head><body><p>Error 404 (Not Found)!!1</p></body></html>"
    error = error_of(404, None, text=page, method="tunedModels.get")
    assert type(error) is errors.NotFound
    assert "Error 404 (Not Found)!!1" in str(error)
    assert "<" not in str(error)
    assert error.reason is None


def said_by(payload):
    text = json.dumps(payload)
    return str(error_of(502, payload, text=text, method="m", secrets=["AIzaSECRET"])).removeprefix(
        "m failed with HTTP 502: "
    )


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"error": "no route"}, "no route"),
        ({"error": "invalid_grant", "error_description": "Bad Request"}, "Bad Request"),
        ({"message": "no route"}, "no route"),
        ({"detail": "Not authenticated"}, "Not authenticated"),
        ({"detail": [{"loc": ["body"], "msg": "field required"}, {"msg": "too long"}]}, "field required; too long"),
        ({"errors": [{"code": 7, "message": "blocked"}]}, "blocked"),
        ({"errors": ["a", "b", "c", "d"]}, "a; b; c"),
        ({"fault": {"faultstring": "Rate limit", "detail": {"errorcode": "policies"}}}, "Rate limit"),
        ({"type": "about:blank", "title": "Forbidden", "status": 403}, "Forbidden"),
        ({"error": {"type": "overloaded", "message": "try later"}}, "try later"),
        ({"error": {"code": 7, "errors": [{"reason": "quota"}]}}, "quota"),
        ("upstream connect error", "upstream connect error"),
        (["first", "second"], "first; second"),
        ({"message": "the key AIzaSECRET is\x1b[31m bad"}, "the key **** is bad"),
        ({"code": 7, "ok": False}, 'the reply reads: {"code": 7, "ok": false}'),
        ({"key": "AIzaSECRET"}, 'the reply reads: {"key": "****"}'),
        ({"k" * 5000: 1}, 'the reply reads: {"' + "k" * 195 + "..."),
        ([[[[[["deep"]]]]]], 'the reply reads: [[[[[["deep"]]]]]]'),
        ({"error": {"message": ["a", {"text": "b"}]}}, "a"),
        ({}, "no message was given"),
        ({"error": {}}, 'the reply reads: {"error": {}}'),
        (None, "no message was given"),
    ],
)
def test_an_error_in_json_that_is_not_googles_keeps_its_words(payload, said):
    assert said_by(payload) == said


def test_a_gateways_503_in_json_is_not_the_services_word_that_nothing_was_done():
    assert error_of(503, {"message": "no upstream"}).failure is Failure.AMBIGUOUS
    assert error_of(503, {"error": {"status": "UNAVAILABLE"}}).failure is Failure.REJECTED


@pytest.mark.parametrize(
    ("page", "read"),
    [
        ("<title>502</title>\n<h1>Bad  Gateway</h1>", "502 Bad Gateway"),
        ("<SCRIPT>var a = '<b>';</SCRIPT >after", "after"),
        ("<style>p{}</style><script>", ""),
        ("before<script>never ended", "before"),
        ("1 < 2, and no tag", "1 < 2, and no tag"),
        ("plain text", "plain text"),
        ("<p>" + "x" * 500, "x" * 197 + "..."),
        ("<i>" * 100_000 + "too far down", ""),
        (" " * 8190 + "AIzaSECRET", "****"),
        ("\x1b[31m<p>a AIzaSECRET", "a ****"),
    ],
)
def test_a_page_is_read_as_a_reader_sees_it(page, read):
    error = error_of(502, None, text=page, method="m", secrets=["AIzaSECRET"])
    expected = f"not a JSON error; the text reads: {read}" if read else "no message was given"
    assert str(error) == f"m failed with HTTP 502: {expected}"


def test_a_503_without_json_comes_from_a_proxy_and_is_ambiguous():
    assert error_of(503, None, text="<html>bad</html>").failure is Failure.AMBIGUOUS
    assert error_of(502, None).failure is Failure.AMBIGUOUS
    assert error_of(501, {"error": {"status": "UNIMPLEMENTED"}}).failure is Failure.FATAL


def test_a_redirect_names_the_host_only():
    error = error_of(302, None, {"location": "https://u:p@evil.example/path?key=SECRET"})
    assert type(error) is errors.UnexpectedRedirect
    assert "evil.example" in str(error)
    assert "SECRET" not in str(error)
    assert "u:p" not in str(error)


def test_messages_from_the_server_lose_control_characters_and_secrets():
    body = {"error": {"status": "INVALID_ARGUMENT", "message": "bad \x1b[31mkey\x1b[0m AIzaSECRET\x00 \u202e!"}}
    body["error"]["details"] = [{"@type": "x", "echo": {"AIzaSECRET": ["AIzaSECRET"]}}]
    error = error_of(400, body, secrets=["AIzaSECRET"])
    assert "SECRET" not in repr(error.__dict__) + str(error)
    assert str(error).isprintable()


def test_a_message_of_a_megabyte_is_cut():
    error = error_of(400, {"error": {"status": "INVALID_ARGUMENT", "message": "x" * 1_000_000}})
    assert len(str(error)) < 4096


@given(
    st.integers(min_value=300, max_value=599),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["error", "message", "status", "details", "@type", "violations"]), inner)
        ),
        max_leaves=12,
    ),
)
def test_no_body_whatsoever_can_break_the_reading_of_an_error(http, payload):
    error = error_of(http, payload)
    assert isinstance(error, errors.CallError)
    assert isinstance(pickle.loads(pickle.dumps(error)), type(error))


def _all_errors():
    todo, seen = [errors.GemtuneError], []
    while todo:
        cls = todo.pop()
        if cls not in seen:
            seen.append(cls)
        todo += cls.__subclasses__()
    return seen


@pytest.mark.parametrize("cls", _all_errors(), ids=lambda cls: cls.__name__)
def test_every_error_survives_pickling_with_its_facts(cls):
    error = cls("what happened")
    for fact in ("status", "reason", "retry_after", "attempts", "resource", "request_id", "partial", "scope", "row"):
        if hasattr(error, fact):
            setattr(error, fact, 7)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert again.__dict__ == error.__dict__
    assert str(again) == str(error)


def test_the_tree_drawn_in_the_docstring_is_the_tree():
    drawn = errors.__doc__
    for cls in _all_errors():
        assert cls.__name__ in drawn
        assert cls.__name__ in errors.__all__


def test_what_follows_the_services_sentence_does_not_double_its_full_stop():
    body = {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "You do not have access to it."}}
    error = status.error_from_reply(403, {}, body)
    assert "access to it; check that" in str(error)
    missing = {"error": {"code": 404, "status": "NOT_FOUND", "message": "It does not exist."}}
    assert str(status.error_from_reply(404, {}, missing)).endswith("It does not exist.")
    assert [status.unended(said) for said in ("", ".", "a.", "a...", "a")] == ["", "", "a", "a...", "a"]


def test_a_job_that_is_lost_says_why_in_one_sentence():
    lost = events.Lost(
        job="tunedModels/a", cursor="", observed_at=datetime.now(UTC), reason="not_found", message="It does not exist."
    )
    assert str(failure("tunedModels/a", lost)).endswith(
        "(not_found): It does not exist; this says nothing about the job itself"
    )


_METRIC = "aiplatform.googleapis.com/"


@pytest.mark.parametrize(
    ("message", "scope"),
    [
        ("Resource exhausted, please try again later.", "shared"),
        ("Resource has been exhausted (e.g. check quota).", "unknown"),
        ("Too many requests. Exceeded the Provisioned Throughput.", "provisioned"),
        (f"The following quota metrics exceed quota limits: {_METRIC}global_concurrent_tuning_jobs", "tuning"),
        (f"Quota exceeded for {_METRIC}generate_content_requests_per_minute_per_project_per_base_model.", "minute"),
        (f"Quota exceeded for {_METRIC}custom_requests_per_day_per_project.", "day"),
    ],
)
def test_what_a_429_of_vertex_ai_is_about_is_read_from_its_words(message, scope):
    error = error_of(429, {"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED"}})
    assert error.scope == scope
    assert (error.failure is Failure.FATAL) == (scope in {"day", "tuning"})


@pytest.mark.parametrize(
    "detail",
    [
        {"violations": [{"quotaMetric": f"{_METRIC}global_concurrent_tuning_jobs", "quotaId": "ConcurrentTuningJobs"}]},
        {"metadata": {"quota_limit": "ConcurrentTuningJobsPerProject", "quota_metric": "tuning"}},
    ],
)
def test_a_full_quota_of_tuning_jobs_is_known_by_its_details(detail):
    body = {"error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED", "details": [detail]}}
    assert error_of(429, body).scope == "tuning"


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        ("tunedModels/x", "; list yours with client.tuned_models.list()"),
        ("models/my-model", "; if it is a tuned model, name it in full: tunedModels/my-model"),
        ("projects/p/locations/l/tuningJobs/mine", "; list yours with client.tuning_jobs.list()"),
        (
            "projects/p/locations/l/publishers/google/models/mine",
            "; if it is a tuned model, give the full name of its job, which you find with client.tuning_jobs.list()",
        ),
        (None, "no such thing."),
    ],
)
def test_what_was_not_found_is_told_with_where_to_look(resource, words):
    error = error_of(404, {"error": {"message": "no such thing.", "status": "NOT_FOUND"}}, resource=resource)
    assert str(error).endswith(words)


def test_a_base_model_that_cannot_be_tuned_on_vertex_ai_is_told_with_one_that_can():
    body = {"error": {"message": "Base model gemini-9-flash is not supported.", "status": "INVALID_ARGUMENT"}}
    error = error_of(400, body, method="tuningJobs.create")
    assert str(error).endswith("is not supported; choose another base_model, such as gemini-2.5-flash")


@pytest.mark.parametrize("is_json", [True, False])
@pytest.mark.parametrize("status", [500, 502, 504, 506, 507, 509, *range(520, 531), 555, 561, 598, 599, 999])
def test_every_5xx_of_a_gateway_may_pass_as_502_does(status, is_json):
    error = error_of(status, {"error": {"message": "overloaded"}} if is_json else None)
    assert type(error) is errors.Unavailable
    assert error.failure is Failure.AMBIGUOUS


@pytest.mark.parametrize("status", [501, 505])
def test_what_is_never_understood_is_not_asked_again(status):
    assert error_of(status, None).failure is Failure.FATAL


def test_a_date_in_retry_after_without_a_date_header_is_read_by_our_clock():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < status.retry_after({"retry-after": soon}, (), "") <= 30
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    assert status.retry_after({"retry-after": past}, (), "") == 0
