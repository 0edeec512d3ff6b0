"""The errors of Vertex AI, in its own words where they were observed."""

from __future__ import annotations

from collections.abc import Iterable

from gemtune.emulator.messages.errors import RpcError, bad_request, error_info, not_found, violations
from gemtune.emulator.messages.known_errors import localized

_RPC = "type.googleapis.com/google.rpc."


def bad_fields(found: Iterable[tuple[str, str]]) -> RpcError:
    """Return 400 for (field path, message) pairs, numbered in one line."""
    pairs = list(found)
    error = violations(pairs)
    listed = "".join(f"{number}.Field: {path}; Message: {text}\t" for number, (path, text) in enumerate(pairs, 1))
    error.message = f"List of found errors:\t{listed}"
    return error


def bad_adapter() -> RpcError:
    return bad_request("The adapter size is not supported for this base model.")


def base_model_refused(name: str) -> RpcError:
    return bad_request(f"Base model {name} is not supported.")


def not_cancellable(name: str, state: str) -> RpcError:
    """Return 400: the job has ended."""
    text = f'The TuningJob "{name}" is in state JOB_STATE_{state} and cannot be canceled.'
    return RpcError("FAILED_PRECONDITION", text)


def quota_full() -> RpcError:
    """Return 429: as many jobs are running as the quota allows (the body is that of a sister resource)."""
    metric = "aiplatform.googleapis.com/global_concurrent_tuning_jobs"
    return RpcError("RESOURCE_EXHAUSTED", f"The following quota metrics exceed quota limits: {metric}")


def global_refused() -> RpcError:
    text = "Tuning of Gemini models is not supported in the location global; use a region such as us-central1."
    return RpcError("FAILED_PRECONDITION", text)


def no_such(kind: str, name: str) -> RpcError:
    """Return 404 for a resource."""
    return not_found(f'The {kind} "{name}" does not exist.')


def no_publisher_model(name: str) -> RpcError:
    """Return 404 for a base model that is not served."""
    return not_found(
        f"Publisher Model `{name}` was not found or your project does not have access to it. Please ensure you are "
        "using a valid model version. For more information, see: "
        "https://cloud.google.com/vertex-ai/generative-ai/docs/learn/model-versions"
    )


def location_denied(project: str, location: str) -> RpcError:
    """Return 403: the project may not use a region."""
    text = f"Permission denied on 'locations/{location}' (or it may not exist)."
    info = error_info("LOCATION_POLICY_VIOLATED", service="", consumer=f"projects/{project}", location=location)
    link = (
        "Access to the region is unavailable. Please contact our sales team at https://cloud.google.com/contact for "
        "further assistance."
    )
    help_: dict[str, object] = {"@type": _RPC + "Help", "links": [{"description": link}]}
    return RpcError("PERMISSION_DENIED", text, [info, localized(text), help_])


def out_of_capacity() -> RpcError:
    """Return 429 of pay-as-you-go inference."""
    return RpcError("RESOURCE_EXHAUSTED", "Resource exhausted, please try again later.")
