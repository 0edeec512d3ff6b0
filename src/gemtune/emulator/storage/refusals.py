"""The errors of Cloud Storage: ``{"error": {"code", "message", "errors": [{"message", "domain", "reason"}]}}``.

An ``RpcError`` that was made in here carries the entries of ``errors`` as its details. Others, such as those of
credentials and faults, get the reason that goes with their status.
"""

from __future__ import annotations

from gemtune.emulator.messages.errors import HTTP_STATUS, RpcError

_STATUS = {412: "FAILED_PRECONDITION", 410: "NOT_FOUND", 507: "RESOURCE_EXHAUSTED", 413: "INVALID_ARGUMENT",
           416: "OUT_OF_RANGE"} | {code: status for status, code in reversed(HTTP_STATUS.items())}  # fmt: skip
_REASONS = {
    400: "invalid", 401: "authError", 403: "forbidden", 404: "notFound", 408: "requestTimeout", 409: "conflict",
    410: "gone", 412: "conditionNotMet", 413: "uploadTooLarge", 416: "requestedRangeNotSatisfiable",
    429: "rateLimitExceeded", 500: "backendError", 502: "backendError", 503: "backendError", 504: "backendError",
}  # fmt: skip
_WORDS = {
    429: "The rate of change requests to the object exceeds the rate limit. Please reduce the rate of create, update, "
         "and delete requests.",
    500: "We encountered an internal error. Please try again.",
    503: "We encountered an internal error. Please try again.",
}  # fmt: skip


def refused(code: int, message: str, reason: str = "", **where: str) -> RpcError:
    """Return an error.

    Args:
        code: HTTP status.
        message: for people.
        reason: for programs; empty for the usual one of the status.
        where: ``location_type`` and ``location`` of what is wrong.
    """
    camel = {"location_type": "locationType", "location": "location"}
    entry: dict[str, object] = {"message": message, "domain": "global", "reason": reason or _REASONS[code]}
    entry |= {camel[name]: value for name, value in where.items()}
    return RpcError(_STATUS[code], message, [entry], code=code)


def usual(code: int) -> RpcError | None:
    """Return the error that the service gives with a status, if it is known."""
    return refused(code, _WORDS[code]) if code in _WORDS else None


def nobody() -> RpcError:
    """Return the error of a request without a credential."""
    text = "Anonymous caller does not have access to the Google Cloud Storage bucket or object."
    return refused(401, text, "required", location_type="header", location="Authorization")


def error_value(error: RpcError) -> dict[str, object]:
    """Return the JSON of an error."""
    entries = [detail for detail in error.details if "reason" in detail and "@type" not in detail]
    if not entries:
        reason = _REASONS.get(error.code, "backendError" if error.code >= 500 else "invalid")
        entries = [{"message": error.message, "domain": "global", "reason": reason}]
    return {"error": {"code": error.code, "message": error.message, "errors": entries}}


def no_bucket() -> RpcError:
    return refused(404, "The specified bucket does not exist.")


def no_object(bucket: str, name: str) -> RpcError:
    return refused(404, f"No such object: {bucket}/{name}")


def condition_not_met() -> RpcError:
    text = "At least one of the pre-conditions you specified did not hold."
    return refused(412, text, location_type="header", location="If-Match")


def bad_parameter(name: str, value: str) -> RpcError:
    text = f"Invalid value for: {value[:100]!r} is not a valid value of {name}"
    return refused(400, text, "invalidParameter", location_type="parameter", location=name)
