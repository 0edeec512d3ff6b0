"""The errors of Vertex AI, in its own words where they were observed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from gemtune.emulator.messages.errors import RpcError, bad_request, not_found, violations

_LABEL = re.compile(r"[\w-]{0,64}")


def bad_labels(message: str, labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Return (field path, message) of the labels that cannot be."""
    for key, value in labels.items():
        if not key or any(not _LABEL.fullmatch(text) or text != text.lower() for text in (key, value)):
            text = "keys and values are at most 64 lower-case letters, digits, underscores and dashes."
            yield f"{message}.labels[{key}]", text


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


def not_cancellable(name: str, state: str, kind: str = "TuningJob") -> RpcError:
    """Return 400: the job has ended."""
    text = f'The {kind} "{name}" is in state JOB_STATE_{state} and cannot be canceled.'
    return RpcError("FAILED_PRECONDITION", text)


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
