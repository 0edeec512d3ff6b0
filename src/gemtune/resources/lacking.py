"""What a service does not have: a name that says so on use, and names what to do instead."""

from __future__ import annotations

from typing import Never

from gemtune.errors import NotSupported
from gemtune.remedy import Argument, ClientCall, Remedy

VERTEX_ONLY = "the Gemini API has no {}: that is a resource of Vertex AI"
GEMINI_ONLY = "Vertex AI has no {}: that is a resource of the Gemini API"


class Lacking:
    """Stands for a collection that the client's service does not have; whatever is asked of it raises.

    Args:
        what: What is lacking, as a sentence.
        instead: Calls that do on this service what is wanted.
    """

    def __init__(self, what: str, *instead: Remedy) -> None:
        self._what = what
        self._instead = instead

    def __getattr__(self, name: str) -> Never:
        if name.startswith("_"):  # what Python itself and its tools ask of every object
            raise AttributeError(name)
        raise NotSupported(self._what, *self._instead)


def without_tuning_jobs() -> Lacking:
    """Return what stands for the tuning jobs on the Gemini API."""
    return Lacking(
        VERTEX_ONLY.format("tuning jobs"),
        Remedy("follow a job with ", ClientCall("job")),
        Remedy("list what was tuned with ", ClientCall("tuned_models.list")),
        Remedy("use Vertex AI, with ", Argument("vertexai", True)),
    )


def without_endpoints() -> Lacking:
    """Return what stands for the endpoints on the Gemini API."""
    return Lacking(
        VERTEX_ONLY.format("endpoints"),
        Remedy("ask the tuned model under its own name"),
        Remedy("use Vertex AI, with ", Argument("vertexai", True)),
    )


def without_storage() -> Lacking:
    """Return what stands for Cloud Storage on the Gemini API."""
    return Lacking(
        "the Gemini API takes training data with the request, and needs no Cloud Storage",
        Remedy("give the data as ", Argument("training_data")),
    )


def without_files() -> Lacking:
    """Return what stands for the files on Vertex AI, which reads from Cloud Storage."""
    return Lacking(
        "Vertex AI has no files of its own: it reads from Cloud Storage and writes there",
        Remedy("pass gs:// addresses"),
        Remedy("put training data there with ", ClientCall("storage.upload")),
        Remedy("let the requests of a batch be put there by ", ClientCall("batches.create")),
    )


def without_permissions() -> Lacking:
    """Return what stands for the permissions on Vertex AI."""
    return Lacking(
        GEMINI_ONLY.format("permissions of single models"),
        Remedy("grant roles such as roles/aiplatform.user on the project with IAM"),
    )


def without_operations() -> Lacking:
    """Return what stands for the operations on Vertex AI, where a job is a resource of its own."""
    return Lacking(
        GEMINI_ONLY.format("operations for tuning"),
        Remedy("read the job itself with ", ClientCall("tuning_jobs.get")),
        Remedy("wait for it: await ", ClientCall("job")),
        Remedy("stop it with ", ClientCall("tuning_jobs.cancel")),
    )
