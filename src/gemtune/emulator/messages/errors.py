"""The errors the emulated service answers with, in Google's own words where they were observed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

SERVICE = "generativelanguage.googleapis.com"
_RPC = "type.googleapis.com/google.rpc."

# google/rpc/code.proto: the HTTP status each code maps to
HTTP_STATUS = {
    "CANCELLED": 499, "UNKNOWN": 500, "INVALID_ARGUMENT": 400, "DEADLINE_EXCEEDED": 504, "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409, "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429, "FAILED_PRECONDITION": 400,
    "ABORTED": 409, "OUT_OF_RANGE": 400, "UNIMPLEMENTED": 501, "INTERNAL": 500, "UNAVAILABLE": 503, "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}  # fmt: skip

# google/rpc/code.proto: the numbers that an operation, or a line of a batch, says instead of an HTTP status
RPC_NUMBER = {
    "CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5, "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10, "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14, "DATA_LOSS": 15, "UNAUTHENTICATED": 16,
}  # fmt: skip


class RpcError(Exception):
    """An answer of the service that is an error: a ``google.rpc`` status, its message and its details."""

    def __init__(
        self,
        status: str,
        message: str,
        details: Iterable[dict[str, object]] = (),
        headers: Mapping[str, str] | None = None,
        code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = list(details)
        self.headers = dict(headers or {})
        self.code = HTTP_STATUS[status] if code is None else code

    @property
    def body(self) -> dict[str, object]:
        """The value of the ``ErrorBody`` message."""
        error = {"code": self.code, "message": self.message, "status": self.status, "details": self.details}
        return {"error": error}


def error_info(
    reason: str, domain: str = "googleapis.com", service: str = SERVICE, **metadata: str
) -> dict[str, object]:
    """Return an ``ErrorInfo`` detail about a service."""
    return {
        "@type": _RPC + "ErrorInfo",
        "reason": reason,
        "domain": domain,
        "metadata": {"service": service, **metadata},
    }


def violations(found: Iterable[tuple[str, str]]) -> RpcError:
    """Return 400 for all the (field path, description) pairs found wrong in a request."""
    pairs = list(found)
    detail: dict[str, object] = {
        "@type": _RPC + "BadRequest",
        "field_violations": [{"field": path, "description": text} for path, text in pairs],
    }
    return RpcError("INVALID_ARGUMENT", "\n".join(text for _, text in pairs), [detail])


def invalid_fields(request: str, found: Iterable[tuple[str, str]]) -> RpcError:
    """Return 400 for fields whose values the service does not take, each on a line of its own."""
    pairs = list(found)
    error = violations(pairs)
    error.message = "".join(f"* {request}.{path}: {text}\n" for path, text in pairs)
    return error


def bad_request(message: str) -> RpcError:
    """Return 400 without details."""
    return RpcError("INVALID_ARGUMENT", message)


def not_found(message: str) -> RpcError:
    return RpcError("NOT_FOUND", message)


def already_exists(message: str) -> RpcError:
    return RpcError("ALREADY_EXISTS", message)


def permission_denied(message: str) -> RpcError:
    return RpcError("PERMISSION_DENIED", message)


def internal() -> RpcError:
    """Return the 500 seen when a tuned model was called that never got its weights."""
    text = "An internal error has occurred. Please retry or report in "
    return RpcError("INTERNAL", text + "https://developers.generativeai.google/guide/troubleshooting")


def unimplemented() -> RpcError:
    """Return the 501 of a method that exists in the API but not here."""
    return RpcError("UNIMPLEMENTED", "Operation is not implemented, or supported, or enabled.")


def not_served(model: str, version: str, method: str) -> RpcError:
    """Return 404 for a base model that is unknown, retired or cannot do what is asked."""
    return not_found(
        f"{model} is not found for API version {version}, or is not supported for {method}. Call ListModels to see "
        "the list of available models and their supported methods."
    )


def quota_exceeded(
    model: str,
    limit: int,
    wait: float,
    *,
    metric: str = f"{SERVICE}/generate_content_free_tier_requests",
    quota_id: str = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
) -> RpcError:
    """Return the 429 of a quota, per minute unless named otherwise, with the seconds to wait."""
    text = (
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. To monitor your current usage, head to: "
        f"https://ai.dev/rate-limit. \n* Quota exceeded for metric: {metric}, limit: {limit}, model: {model}\n"
        f"Please retry in {wait:.9g}s."
    )
    link = {
        "description": "Learn more about Gemini API quotas",
        "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
    }
    violation = {
        "quota_metric": metric,
        "quota_id": quota_id,
        "quota_dimensions": {"location": "global", "model": model},
        "quota_value": limit,
    }
    details: list[dict[str, object]] = [
        {"@type": _RPC + "Help", "links": [link]},
        {"@type": _RPC + "QuotaFailure", "violations": [violation]},
        {"@type": _RPC + "RetryInfo", "retry_delay": f"{int(wait)}s"},
    ]
    return RpcError("RESOURCE_EXHAUSTED", text, details)


_PAGE = """<!DOCTYPE html>
<html lang=en>
  <meta charset=utf-8>
  <meta name=viewport content="initial-scale=1, minimum-scale=1, width=device-width">
  <title>Error {code} ({title})!!1</title>
  <style>
    *{{margin:0;padding:0}}html,code{{font:15px/22px arial,sans-serif}}html{{background:#fff;color:#222;padding:15px}}
    body{{margin:7% auto 0;max-width:390px;min-height:180px;padding:30px 0 15px}}p{{margin:11px 0 22px}}
    ins{{color:#777;text-decoration:none}}
  </style>
  <p><b>{code}.</b> <ins>That&rsquo;s an error.</ins>
  <p>{text}  <ins>That&rsquo;s all we know.</ins>
"""

NOT_FOUND_PAGE = _PAGE.format(
    code=404, title="Not Found", text="The requested URL <code>{path}</code> was not found on this server."
)


def bad_gateway_page(code: int = 502) -> str:
    """Return the page that a frontend shows when the service behind it does not answer."""
    text = (
        "The server encountered a temporary error and could not complete your request."
        "<p>Please try again in 30 seconds."
    )
    return _PAGE.format(code=code, title="Server Error", text=text)
