"""From an HTTP error reply to one of our errors: who can do what about it, and when.

The table is that of AIP-193 and google.rpc.Code; the triage of 429 follows the quota ids that the service really sends
(``GenerateRequestsPerDayPerProjectPerModel-FreeTier``). What the server says is untrusted: ``said`` shortens it, cleans
it of control characters and masks the secrets that are known. A gateway's error in JSON of another shape keeps its
words, but none of the trust: it is not the service that spoke.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from gemtune import errors
from gemtune.errors import ApiError, CallError, Failure
from gemtune.protocol.advice import Addressee, refused, too_narrow
from gemtune.protocol.quotas import scope_of
from gemtune.protocol.said import clean, message_of, page_text, unended
from gemtune.remedy import Argument, ClientCall, Remedy
from gemtune.types.operations import Status

# Google's own parsers go no deeper (protobuf: 100); what is deeper could not even be shown.
_DEEPEST: Final = 64
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s)")
_IN_MESSAGE: Final = re.compile(r"[Pp]lease retry in (\d{1,9}(?:\.\d{1,9})?)(ms|s)")
_LONGEST_HINT: Final = 7 * 86400.0

_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    401: errors.Unauthenticated,
    403: errors.PermissionDenied,
    404: errors.NotFound,
    409: errors.Conflict,
    429: errors.QuotaExhausted,
}
_BY_RPC: Final[Mapping[str, type[ApiError]]] = {
    "ALREADY_EXISTS": errors.AlreadyExists,
    "NOT_FOUND": errors.NotFound,
    "PERMISSION_DENIED": errors.PermissionDenied,
    "RESOURCE_EXHAUSTED": errors.QuotaExhausted,
    "UNAUTHENTICATED": errors.Unauthenticated,
}
# In the order of their numbers in google.rpc.Code, from 1.
_HTTP_BY_RPC: Final[Mapping[str, int]] = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}
_CREDENTIAL_REASONS: Final = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED"})
# A 5xx without Google's JSON comes from a proxy on the way, which cannot know whether the service acted. The list is
# open: gateways have numbers of their own (520 to 530, 598, 599, 529 for "overloaded"), and all pass as 502 does. Only
# 501 and 505 say that the same request will never be understood.
_NEVER_UNDERSTOOD: Final = frozenset({501, 505})


def rpc_error_class(status: int, rpc: str) -> type[ApiError]:
    """Return the error class for an HTTP status and the google.rpc status name, ``""`` if there is none."""
    by_rpc = _BY_RPC.get(rpc)
    if by_rpc is not None:
        return by_rpc
    if status >= 500 or status in {408, 425, 499}:
        return errors.Unavailable
    return _BY_STATUS.get(status, errors.BadRequest)


def error_within(error: Status | None, what: str) -> ApiError:
    """Return the error that a google.rpc.Status within a reply stands for, such as a failed request of a batch has.

    Args:
        error: The status; None if the service says nothing.
        what: What has failed.
    """
    known = list(_HTTP_BY_RPC)
    code = error.code if error is not None else 0
    # Batches have been seen with numbers of HTTP where those of google.rpc belong.
    name = known[code - 1] if 0 < code <= len(known) else ""
    status = _HTTP_BY_RPC.get(name, code if 400 <= code < 600 else 500)
    said = clean(error.message) if error is not None and error.message else "the service gave no reason"
    return rpc_error_class(status, name)(f"{what} failed: {said}", status=status, reason=name or None)


def error_from_reply(
    status: int,
    headers: Mapping[str, str],
    payload: object,
    *,
    text: str = "",
    resource: str | None = None,
    method: str = "",
    secrets: Iterable[str] = (),
    addressee: Addressee | None = None,
) -> CallError:
    """Return the error that an HTTP reply other than 2xx stands for.

    Args:
        status: The HTTP status.
        headers: The reply's headers with lower-case names.
        payload: The decoded JSON body, or None if it was not JSON.
        text: The beginning of the body as text, shown if it holds no message that is understood.
        resource: The resource the call was about.
        method: The REST method's id, such as ``tunedModels.get``.
        secrets: Credentials to mask, should the server echo them.
        addressee: Who reads it, for the advice about a credential.
    """
    # A redirect is never followed: it would carry the credential to another host.
    if 300 <= status < 400:
        return _redirect(status, headers, resource, secrets)
    body = _error_object(payload)
    rpc = clean(word, secrets, 64) if isinstance(word := body.get("status"), str) else ""
    details = tuple(given) if isinstance(given := body.get("details"), list) else ()
    reason = _reason(details) or rpc or None
    about = f" for {resource}" if resource else ""
    said = _said(body, payload, text, secrets)
    # Google answers 400 to a wrong API key; for whoever reads the error it is a matter of credentials.
    cls = errors.Unauthenticated if reason in _CREDENTIAL_REASONS else rpc_error_class(status, rpc)
    message = f"{method or 'the call'}{about} failed with HTTP {status}{f' {rpc}' if rpc else ''}: {said}"
    following = _next_step(cls, reason, said, addressee or Addressee())
    error = cls(
        f"{unended(message)}; {following}" if following else message,
        *_remedies(cls, reason, said, resource or "", method),
        status=status,
        reason=clean(reason, secrets, 128) if reason else None,
        retry_after=retry_after(headers, details, str(body.get("message", ""))),
        resource=resource,
        request_id=_request_id(headers, details, tuple(secrets)),
        failure=_failure(cls, status, is_json=bool(body)),
    )
    error.details = tuple(_scrubbed(item, tuple(secrets)) for item in details)
    if isinstance(error, errors.QuotaExhausted):
        _find_scope(error, str(body.get("message", "")), details)
    return error


def error_of_status(status: Status, resource: str) -> ApiError:
    """Return the error for a google.rpc.Status that stands in the place of a reply, such as in a line of a batch.

    Args:
        status: The status; some services put an HTTP status into its code.
        resource: What it was part of.
    """
    names = [*_HTTP_BY_RPC]
    rpc = names[status.code - 1] if 1 <= status.code <= len(names) else ""
    code = _http_status({"code": status.code})
    cls = rpc_error_class(code, rpc)
    said = clean(status.message) or "no message was given"
    return cls(f"{resource} has an error for the item, {rpc or code}: {said}", status=code, reason=rpc or None)


def status_within(payload: object, *, generates: bool) -> int | None:
    """Return the HTTP status of the error that a reply with status 200 holds, or None if it holds none.

    Whoever has sent the head of a reply before the model failed (a stream, a gateway) can report that only in the body.

    Args:
        payload: The decoded JSON.
        generates: Whether a reply without candidates is one that says nothing beside its error. Other messages may have
            an error of their own, as that of an operation: there, only an error that is all there is counts.
    """
    body = payload[0] if isinstance(payload, list) and len(payload) == 1 else payload
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(body, dict) or error is None or error is False:
        return None
    if body.keys() != {"error"} and (not generates or body.get("candidates")):
        return None
    return _http_status(error)


def _http_status(error: object) -> int:
    """Return the HTTP status that an error stands for, by its code or its name; 500 if it has neither."""
    given = error if isinstance(error, dict) else {}
    code, name = given.get("code"), given.get("status")
    number = int(str(code)) if re.fullmatch(r"[0-9]{1,3}", str(code)) else 0
    if 400 <= number <= 599:
        return number
    names = [*_HTTP_BY_RPC]
    if name not in names and 1 <= number <= len(names):  # a number of google.rpc.Code
        name = names[number - 1]
    return _HTTP_BY_RPC.get(str(name), 500)


def _find_scope(error: errors.QuotaExhausted, message: str, details: tuple[object, ...]) -> None:
    error.scope = scope_of(message, details)
    # A place for a tuning job becomes free in minutes or hours: no repetition within a call lives to see that.
    if error.scope in {"day", "none", "billing", "tuning"}:
        error.failure = Failure.FATAL


def retry_after(headers: Mapping[str, str], details: Iterable[object], message: str) -> float | None:
    """Return the seconds that the server asks to wait: the longest of RetryInfo, ``Retry-After`` and the message's.

    Infinite, negative, absurd and unreadable values are ignored (RFC 9110 §10.2.3, google.rpc.RetryInfo).
    """
    hints = [_from_header(headers)]
    hints += [
        _from_retry_info(item.get("retryDelay"))
        for item in details
        if isinstance(item, dict) and str(item.get("@type", "")).endswith("google.rpc.RetryInfo")
    ]
    in_message = _IN_MESSAGE.search(message)
    hints.append(_duration(in_message) if in_message else None)
    # Above a week it is a date misread or a joke, and waiting for it helps nobody.
    usable = [hint for hint in hints if hint is not None and 0 <= hint <= _LONGEST_HINT]
    return max(usable) if usable else None


def _from_header(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", value):
        return float(value)
    when = _http_date(value)
    if when is None:
        return None
    # The reply's own Date is the server's clock; ours may differ by hours, and stands in if proxies dropped the Date.
    sent = _http_date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (when - sent).total_seconds())


def _http_date(value: str) -> datetime | None:
    if len(value) > 64:  # the longest of the three forms (RFC 9110 §5.6.7) has 33
        return None
    try:
        when = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return when if when.tzinfo is not None else None


def _from_retry_info(value: object) -> float | None:
    if isinstance(value, dict):
        seconds, nanos = value.get("seconds", 0), value.get("nanos", 0)
        try:
            total = float(seconds) + float(nanos) / 1e9
        except (TypeError, ValueError, OverflowError):
            return None
        return total if math.isfinite(total) else None
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return _duration(found) if found else None


def _duration(found: re.Match[str]) -> float:
    return float(found[1]) * (0.001 if found[2] == "ms" else 1.0)


def _error_object(payload: object) -> dict[str, object]:
    # A stream that was not asked for as SSE wraps its error in a list of one.
    if isinstance(payload, list) and len(payload) == 1:
        payload = payload[0]
    error = payload.get("error") if isinstance(payload, dict) else None
    return error if isinstance(error, dict) else {}


def _reason(details: tuple[object, ...]) -> str | None:
    for item in details:
        if isinstance(item, dict) and str(item.get("@type", "")).endswith("google.rpc.ErrorInfo"):
            reason = item.get("reason")
            if isinstance(reason, str):
                return reason
    return None


def _request_id(headers: Mapping[str, str], details: tuple[object, ...], secrets: tuple[str, ...]) -> str | None:
    # By this the service's own people can find the request.
    for item in details:
        if isinstance(item, dict) and str(item.get("@type", "")).endswith("google.rpc.RequestInfo"):
            return clean(item.get("requestId", ""), secrets, 200) or None
    for name in ("x-request-id", "x-goog-request-id", "x-guploader-uploadid"):
        if name in headers:
            return clean(headers[name], secrets, 200)
    return None


def _failure(cls: type[ApiError], status: int, *, is_json: bool) -> Failure:
    if cls is errors.QuotaExhausted or status == 425:
        return Failure.REJECTED
    if cls is errors.Unavailable:
        # Google's own service config allows every method to be repeated on its UNAVAILABLE.
        return Failure.REJECTED if status == 503 and is_json else _ambiguous_or_fatal(status)
    return Failure.FATAL


def _ambiguous_or_fatal(status: int) -> Failure:
    passing = status in {408, 499} or (status >= 500 and status not in _NEVER_UNDERSTOOD)
    return Failure.AMBIGUOUS if passing else Failure.FATAL


def _redirect(
    status: int, headers: Mapping[str, str], resource: str | None, secrets: Iterable[str]
) -> errors.UnexpectedRedirect:
    host = re.match(r"(?:https?:)?//([^/?#]*@)?([^/?#]+)", headers.get("location", ""))
    where = clean(host[2], secrets, 200) if host else "another path"
    return errors.UnexpectedRedirect(
        f"the server answered with a redirect (HTTP {status}) to {where}, which is not followed: "
        "the credential must not travel there; check the base URL and the proxies",
        status=status,
        resource=resource,
    )


def _said(body: Mapping[str, object], payload: object, text: str, secrets: Iterable[str]) -> str:
    """Return the error's own words, or what comes closest to words in the reply."""
    message = body.get("message")
    said = message if isinstance(message, str) else message_of(payload)
    if said.strip():
        return clean(said, secrets)
    shown = page_text(text, secrets)
    if not shown or shown in {"{}", "[]", "null", '""'}:
        return "no message was given"
    return f"{'the reply' if payload is not None else 'not a JSON error; the text'} reads: {shown}"


def _scrubbed(value: object, secrets: tuple[str, ...], depth: int = _DEEPEST) -> object:
    if isinstance(value, str):
        return clean(value, secrets)
    if isinstance(value, list | dict) and not depth:
        return "..."
    if isinstance(value, list):
        return [_scrubbed(item, secrets, depth - 1) for item in value]
    if isinstance(value, dict):
        return {clean(key, secrets): _scrubbed(item, secrets, depth - 1) for key, item in value.items()}
    return value


def _remedies(cls: type[ApiError], reason: str | None, said: str, resource: str, method: str) -> tuple[Remedy, ...]:
    collection, _, name = resource.partition("/")
    if reason in _CREDENTIAL_REASONS:
        return Remedy("put a valid key into GOOGLE_API_KEY"), Remedy("pass ", Argument("api_key"))
    if cls is errors.NotFound and collection == "tunedModels":
        # Of two names that a bare id can mean, the other one may have been meant.
        base = (Remedy(f"if it is a base model, name it in full: models/{name}"),) if "generate" in method else ()
        return Remedy("list yours with ", ClientCall("tuned_models.list")), *base
    if cls is errors.NotFound and collection == "models":
        return (Remedy(f"if it is a tuned model, name it in full: tunedModels/{name}"),)
    if cls is errors.NotFound and "/tuningJobs/" in resource:
        return (Remedy("list yours with ", ClientCall("tuning_jobs.list")),)
    if cls is errors.NotFound and (collection == "batches" or "/batchPredictionJobs/" in resource):
        return (Remedy("list yours with ", ClientCall("batches.list")),)
    if cls is errors.NotFound and "/publishers/" in resource:
        tuned = "if it is a tuned model, give the full name of its job, which you find with "
        return (Remedy(tuned, ClientCall("tuning_jobs.list")),)
    if cls is errors.BadRequest and method == "tuningJobs.create" and "base model" in said.lower():
        return (Remedy("choose another ", Argument("base_model"), ", such as gemini-2.5-flash"),)
    return ()


def _next_step(cls: type[ApiError], reason: str | None, said: str, addressee: Addressee) -> str:
    if reason == "ACCESS_TOKEN_SCOPE_INSUFFICIENT":
        return too_narrow(addressee)
    if cls is errors.Unauthenticated and reason not in _CREDENTIAL_REASONS:
        return refused(addressee, said)
    if cls is errors.PermissionDenied and reason == "PERMISSION_DENIED":
        return "check that this credential's account may read or change it"
    return ""
