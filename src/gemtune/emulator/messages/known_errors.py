"""The service's observed errors, each by its name: what conditions raise, and what a fault can ask for.

Source: bodies captured from the service, error pages and public fixtures; where a capture was elided, the usual text of
Google's frontends stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gemtune.emulator.messages.errors import (
    SERVICE,
    RpcError,
    bad_request,
    error_info,
    internal,
    not_found,
    not_served,
    permission_denied,
    quota_exceeded,
    violations,
)

_RPC = "type.googleapis.com/google.rpc."
_REALM = 'Bearer realm="https://accounts.google.com/"'


def _help(description: str, url: str) -> dict[str, object]:
    return {"@type": _RPC + "Help", "links": [{"description": description, "url": url}]}


def localized(text: str) -> dict[str, object]:
    """Return a ``LocalizedMessage`` detail."""
    return {"@type": _RPC + "LocalizedMessage", "locale": "en-US", "message": text}


# ── who calls ──────────────────────────────────────────────────────────────────────────────────────────────────────


def api_key_refused(service: str = SERVICE, *, expired: bool = False) -> RpcError:
    """Return 400: the API key is unknown or has expired."""
    text = (
        "API key expired. Please renew the API key." if expired else "API key not valid. Please pass a valid API key."
    )
    return RpcError("INVALID_ARGUMENT", text, [error_info("API_KEY_INVALID", service=service), localized(text)])


def api_key_blocked(method: str, service: str = SERVICE) -> RpcError:
    """Return 403: the API key is restricted to other methods; ``method`` is the full RPC name."""
    text = f"Requests to this API {service} method {method} are blocked."
    info = error_info("API_KEY_SERVICE_BLOCKED", service=service, consumer="projects/318182098261")
    return RpcError("PERMISSION_DENIED", text, [info, localized(text)])


def no_credential() -> RpcError:
    """Return 403 without details: the request has no credential."""
    return permission_denied(
        "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or "
        "other form of API consumer identity to call this API."
    )


def unauthenticated(reason: str, method: str, service: str = SERVICE) -> RpcError:
    """Return 401: the token, or a key of the newer kind, is not valid."""
    text = (
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    info = error_info(reason, domain="", service=service, method=method)
    return RpcError("UNAUTHENTICATED", text, [info], {"www-authenticate": f'{_REALM}, error="invalid_token"'})


def insufficient_scope(scopes: Iterable[str], method: str, service: str = SERVICE) -> RpcError:
    """Return 403: the token is valid, but for something else."""
    info = error_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", service=service, method=method)
    challenge = f'{_REALM}, error="insufficient_scope", scope="{" ".join(scopes)}"'
    text = "Request had insufficient authentication scopes."
    return RpcError("PERMISSION_DENIED", text, [info], {"www-authenticate": challenge})


def quota_project_missing(service: str = SERVICE) -> RpcError:
    """Return 403: a user's credentials without ``x-goog-user-project``."""
    text = (
        f"Your application is authenticating by using local Application Default Credentials. The {service} API "
        "requires a quota project, which is not set by default. To learn how to set your quota project, see "
        "https://cloud.google.com/docs/authentication/adc-troubleshooting/user-creds ."
    )
    return RpcError(
        "PERMISSION_DENIED", text, [error_info("SERVICE_DISABLED", service=service, consumer="projects/764086051850")]
    )


def project_denied(project: str, service: str = SERVICE) -> RpcError:
    """Return 403: ``x-goog-user-project`` names a project of somebody else."""
    text = (
        f"Caller does not have required permission to use project {project}. Grant the caller the "
        "roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission, "
        f"by visiting https://console.developers.google.com/iam-admin/iam/project?project={project} and then retry. "
        "Propagation of the new permission may take a few minutes."
    )
    return RpcError(
        "PERMISSION_DENIED", text, [error_info("USER_PROJECT_DENIED", service=service, consumer=f"projects/{project}")]
    )


def _service_disabled() -> RpcError:
    page = f"https://console.developers.google.com/apis/api/{SERVICE}/overview?project=123456789012"
    text = (
        "Generative Language API has not been used in project 123456789012 before or it is disabled. Enable it by "
        f"visiting {page} then retry. If you enabled this API recently, wait a few minutes for the action to propagate "
        "to our systems and retry."
    )
    info = error_info("SERVICE_DISABLED", consumer="projects/123456789012")
    return RpcError("PERMISSION_DENIED", text, [_help("Google developers console API activation", page), info])


# ── what is asked for ──────────────────────────────────────────────────────────────────────────────────────────────


def forbidden(tuned_model: str) -> RpcError:
    """Return 403: the tuned model belongs to somebody else."""
    return permission_denied(f"You do not have permission to access tuned model {tuned_model}")


def missing(tuned_model: str) -> RpcError:
    """Return 404: there is no such tuned model."""
    return not_found(f"Tuned model {tuned_model} does not exist.")


def payload_too_large(limit: int) -> RpcError:
    """Return 400: the body has more than ``limit`` bytes."""
    return bad_request(f"Request payload size exceeds the limit: {limit} bytes.")


def _unknown_field() -> RpcError:
    text = "Invalid JSON payload received. Unknown name \"foo\" at 'generation_config': Cannot find field."
    return violations([("generation_config", text)])


def _vertex_dataset_bad() -> RpcError:
    field = "tuning_job.supervised_tuning_spec.training_dataset_uri"
    text = "training_dataset_uri should be a GCS object of type JSONL."
    error = violations([(field, text)])
    error.message = f"List of found errors:\t1.Field: {field}; Message: {text}\t"
    return error


# ── how much is asked for ──────────────────────────────────────────────────────────────────────────────────────────


def _rate_limit_of_2024() -> RpcError:
    consumer = "712835604272"
    text = (
        "Quota exceeded for quota metric 'Generate Content API requests per minute' and limit 'GenerateContent request "
        f"limit per minute for a region' of service '{SERVICE}' for consumer 'project_number:{consumer}'."
    )
    info = error_info(
        "RATE_LIMIT_EXCEEDED",
        consumer=f"projects/{consumer}",
        quota_limit_value="1500",
        quota_location="us-east7",
        quota_limit="GenerateContentRequestsPerMinutePerProjectPerRegion",
        quota_metric=f"{SERVICE}/generate_content_requests",
    )
    more = _help(
        "Request a higher quota limit.", "https://cloud.google.com/docs/quotas/help/request_increase"
    )  # fmt: skip
    return RpcError("RESOURCE_EXHAUSTED", text, [info, more])


def batch_quota_exceeded(*, details: bool) -> RpcError:
    """Return 429: too much waits in batches. It never says how long to wait."""
    page = "https://ai.google.dev/gemini-api/docs/rate-limits"
    text = (
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        f"error, head to: {page}."
    )
    if not details:
        return RpcError("RESOURCE_EXHAUSTED", text)
    text += " To monitor your current usage, head to: https://ai.dev/rate-limit. "
    return RpcError("RESOURCE_EXHAUSTED", text, [_help("Learn more about Gemini API quotas", page)])


# ── Vertex AI ──────────────────────────────────────────────────────────────────────────────────────────────────────


def vertex_no_credential() -> RpcError:
    """Return 401: the request has no credential."""
    text = (
        "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other "
        "valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    info = error_info("CREDENTIALS_MISSING", service="aiplatform.googleapis.com")
    return RpcError("UNAUTHENTICATED", text, [info], {"www-authenticate": _REALM})


def vertex_quota_full() -> RpcError:
    """Return 429: as many jobs are running as the quota allows (the body is that of a sister resource)."""
    metric = "aiplatform.googleapis.com/global_concurrent_tuning_jobs"
    return RpcError("RESOURCE_EXHAUSTED", f"The following quota metrics exceed quota limits: {metric}")


def vertex_out_of_capacity() -> RpcError:
    """Return 429 of pay-as-you-go inference."""
    return RpcError("RESOURCE_EXHAUSTED", "Resource exhausted, please try again later.")


def vertex_location_denied(project: str, location: str) -> RpcError:
    """Return 403: the project may not use a region."""
    text = f"Permission denied on 'locations/{location}' (or it may not exist)."
    metadata = {"consumer": f"projects/{project}", "service": "", "location": location}
    info: dict[str, object] = {
        "@type": _RPC + "ErrorInfo", "reason": "LOCATION_POLICY_VIOLATED", "domain": "googleapis.com",
        "metadata": metadata,
    }  # fmt: skip
    link = (
        "Access to the region is unavailable. Please contact our sales team at https://cloud.google.com/contact for "
        "further assistance."
    )
    more: dict[str, object] = {"@type": _RPC + "Help", "links": [{"description": link}]}
    return RpcError("PERMISSION_DENIED", text, [info, localized(text), more])


_LIST_MODELS = "google.ai.generativelanguage.v1beta.ModelService.ListModels"
_GENERATE = "google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent"
_SCOPE = "https://www.googleapis.com/auth/generative-language"
_SCOPES = [_SCOPE + tail for tail in ("", ".tuning", ".tuning.readonly", ".retriever", ".retriever.readonly")]
_PER_DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"

KNOWN_ERRORS: dict[str, Callable[[], RpcError]] = {
    "api_key_expired": lambda: api_key_refused(expired=True),
    "api_key_invalid": api_key_refused,
    "api_key_service_blocked": lambda: api_key_blocked(_GENERATE),
    "bad_bearer_or_AQ_key": lambda: unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED", _LIST_MODELS),
    "base_model_retired": lambda: not_served("models/gemini-1.5-flash-001-tuning", "v1beta", "generateContent"),
    "batch_429_bare": lambda: batch_quota_exceeded(details=False),
    "deadline": lambda: RpcError("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
    "internal": internal,
    "no_credentials": no_credential,
    "overloaded_new": lambda: RpcError(
        "UNAVAILABLE",
        "This model is currently experiencing high demand. Spikes in demand are usually temporary. Please try again "
        "later.",
    ),
    "overloaded_old": lambda: RpcError("UNAVAILABLE", "The model is overloaded. Please try again later."),
    "payload_too_large": lambda: payload_too_large(20 << 20),
    "quota_project_denied": lambda: project_denied("my-project"),
    "quota_project_missing": quota_project_missing,
    "rate_limit_free_tier": lambda: quota_exceeded("gemini-3.6-flash", 20, 40.8, quota_id=_PER_DAY),
    "rate_limit_legacy_service_control": _rate_limit_of_2024,
    "region_precondition": lambda: RpcError("FAILED_PRECONDITION", "User location is not supported for the API use."),
    "scope_insufficient": lambda: insufficient_scope(_SCOPES, _LIST_MODELS),
    "service_disabled": _service_disabled,
    "tuned_model_forbidden": lambda: forbidden("tunedModels/mymodel"),
    "tuned_model_not_found": lambda: missing("tunedModels/generate-num-8122"),
    "unknown_field": _unknown_field,
    "vertex_adapter_bad": lambda: bad_request("The adapter size is not supported for this base model."),
    "vertex_concurrent_jobs": vertex_quota_full,
    "vertex_dataset_bad": _vertex_dataset_bad,
    "vertex_internal": lambda: RpcError("INTERNAL", "Internal error encountered."),
    "vertex_location_denied": lambda: vertex_location_denied("my-project", "me-central2"),
    "vertex_pay_as_you_go": vertex_out_of_capacity,
    "vertex_provisioned": lambda: RpcError(
        "RESOURCE_EXHAUSTED", "Too many requests. Exceeded the Provisioned Throughput."
    ),
    "vertex_unavailable": lambda: RpcError("UNAVAILABLE", "The service is currently unavailable."),
}
