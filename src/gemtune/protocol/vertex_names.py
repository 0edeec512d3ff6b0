"""Resource names of Vertex AI: parse, check and complete, so that a name is always data and never a path or a host.

Every name begins with ``projects/P/locations/L``, and the location decides the host that a request goes to. So it is
narrowed to what regions are called (``us-central1``, ``global``, ``us``), and ids to the characters that ids have.
Names that replies bring pass the same patterns before anything is asked of them.

A project has two spellings, its id and its number. The service answers with the number whatever was asked, so that one
job can be met under two names; ``Spellings`` brings them together.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import attrs

from gemtune.errors import InvalidInput
from gemtune.remedy import Remedy
from gemtune.settings.addresses import LOCATION, PROJECT

_PROJECT: Final = rf"(?:{PROJECT.pattern})"
_LOCATION: Final = rf"(?:{LOCATION.pattern})"
_ID: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,126}[A-Za-z0-9_])?"
_VERSION: Final = r"(?:@[A-Za-z0-9](?:[A-Za-z0-9-]{0,126}[A-Za-z0-9])?)?"
_MODEL_ID: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?"
_PLACE: Final = rf"projects/{_PROJECT}/locations/{_LOCATION}"

_WHOLE_PROJECT: Final = re.compile(_PROJECT)
_WHOLE_LOCATION: Final = re.compile(_LOCATION)
_JOB: Final = re.compile(rf"{_PLACE}/tuningJobs/{_ID}")
_BATCH: Final = re.compile(rf"{_PLACE}/batchPredictionJobs/{_ID}")
_MODEL: Final = re.compile(rf"{_PLACE}/models/{_ID}{_VERSION}")
_ENDPOINT: Final = re.compile(rf"{_PLACE}/endpoints/{_ID}")
_PUBLISHED: Final = re.compile(rf"{_PLACE}/publishers/[a-z][a-z0-9-]{{0,62}}/models/{_MODEL_ID}{_VERSION}")
_CONTEXT: Final = re.compile(rf"{_PLACE}/metadataStores/{_ID}/contexts/{_ID}")
_TENSORBOARD: Final = re.compile(rf"{_PLACE}/tensorboards/{_ID}")
_RUN: Final = re.compile(rf"{_TENSORBOARD.pattern}/experiments/{_ID}/runs/{_ID}")
_SERIES: Final = re.compile(rf"{_RUN.pattern}/timeSeries/{_ID}")
_BASE: Final = re.compile(_MODEL_ID + _VERSION)
_OWN_ID: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
_LABEL_LENGTH: Final = 20
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_LABEL: Final = re.compile(r"[a-z0-9_-]{0,63}")
_MOST_NAMES: Final = 10_000


@attrs.frozen
class Place:
    """A project and a location, which complete short names.

    Args:
        project: The project's id or number.
        location: A region, ``global``, ``us`` or ``eu``.
    """

    project: str
    location: str

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.project, str) or not _WHOLE_PROJECT.fullmatch(self.project):
            raise InvalidInput(f"project must be a project's id or number, not {_shown(self.project)}", field="project")
        if not isinstance(self.location, str) or not _WHOLE_LOCATION.fullmatch(self.location):
            raise InvalidInput(
                f"location must be a region such as 'us-central1', or 'global', not {_shown(self.location)}",
                field="location",
            )

    @property
    def name(self) -> str:
        """``projects/P/locations/L``."""
        return f"projects/{self.project}/locations/{self.location}"

    def tuning_job(self, value: object, *, field: str = "name") -> str:
        """Return ``projects/P/locations/L/tuningJobs/ID`` for a name, a bare id, or an object that has a name.

        The service's own ids are numbers; any other was chosen by a caller of ``tune``, and is a label there.
        """
        if isinstance(value, str) and _OWN_ID.fullmatch(value) and not value.startswith("waiting-"):
            return waiting_name(self.name, label_of(value))
        return self._matched(value, field, _JOB, "tuningJobs", "the bare id")

    def batch(self, value: object, *, field: str = "name") -> str:
        """Return ``projects/P/locations/L/batchPredictionJobs/ID`` for a name, a bare id, or what has a name."""
        return self._matched(value, field, _BATCH, "batchPredictionJobs", "the bare id")

    def model(self, value: object, *, field: str = "name") -> str:
        """Return ``projects/P/locations/L/models/ID``, with ``@version`` if that was given.

        A job, or what it leaves behind, stands for its model.
        """
        # A tuned model, a job's handle and the API's own job each know a model; the model itself has only its name.
        for source in (value, getattr(value, "tuned_model", None)):
            known = getattr(source, "model", None)
            if isinstance(known, str) and known:
                value = known
        return self._matched(value, field, _MODEL, "models", "the bare id")

    def is_job(self, value: object) -> bool:
        """Return whether something stands for a model only because it is the job that made it."""
        if isinstance(getattr(getattr(value, "tuned_model", None), "model", None), str):
            return False
        name = value if isinstance(value, str) else getattr(value, "name", None)
        return isinstance(name, str) and any(_JOB.fullmatch(full) for full in (name, f"{self.name}/{name}"))

    def endpoint(self, value: object, *, field: str = "name") -> str:
        """Return ``projects/P/locations/L/endpoints/ID`` for a name, a bare id, or what an endpoint serves."""
        return self._matched(endpoint_of(value) or value, field, _ENDPOINT, "endpoints", "the bare id")

    def asked(self, value: object, *, field: str = "model") -> str:
        """Return the name under which a model is asked: an endpoint's, or a publisher's model's.

        Raises:
            InvalidInput: It names neither; the message says what to give for a model of the registry, which cannot be
                asked under its own name.
        """
        served = endpoint_of(value)
        name = served or (value if isinstance(value, str) else getattr(value, "name", None))
        if not isinstance(name, str):
            raise InvalidInput(f"{field} must be a name or an object that has one, not {_shown(value)}", field=field)
        full = name if name.startswith("projects/") else f"{self.name}/{name}"
        if _ENDPOINT.fullmatch(full):
            return full
        if _JOB.fullmatch(full) or (_MODEL.fullmatch(full) and name.startswith("projects/")):
            what = f"{field}: {full} is asked through its endpoint, which is not known here"
            raise InvalidInput(what, Remedy("give the job once it is done, or the model's endpoint"), field=field)
        published = self.published(name)
        if published is None:
            form = "'gemini-2.5-flash', 'projects/P/locations/L/endpoints/123', a tuned model or a job that is done"
            raise InvalidInput(f"{field} must be {form}, not {_shown(name)}", field=field)
        return published

    def published(self, value: str) -> str | None:
        """Return the full name of a publisher's model, or None if it is the name of none."""
        short = value.removeprefix("publishers/google/").removeprefix("models/")
        name = value if value.startswith("projects/") else f"{self.name}/publishers/google/models/{short}"
        return name if _PUBLISHED.fullmatch(name) else None

    def _matched(self, value: object, field: str, pattern: re.Pattern[str], collection: str, bare: str) -> str:
        name = value if isinstance(value, str) else getattr(value, "name", None)
        if not isinstance(name, str):
            raise InvalidInput(f"{field} must be a name or an object that has one, not {_shown(value)}", field=field)
        for full in (name, f"{self.name}/{name}", f"{self.name}/{collection}/{name}"):
            if pattern.fullmatch(full):
                return full
        raise InvalidInput(
            f"{field} must look like '{self.name}/{collection}/123' or be {bare}, not {_shown(name)}", field=field
        )


def label_of(job_id: str) -> str:
    """Return the value of the label for an id: 20 characters a-z and 0-9, the same in every process."""
    number = int.from_bytes(hashlib.sha256(job_id.encode()).digest())
    letters = []
    for _ in range(_LABEL_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        letters.append(_DIGITS[digit])
    return "".join(letters)


def waiting_name(parent: str, label: str) -> str:
    """Return the name of ours that stands for the job with a label, also as long as there is none."""
    return f"{parent}/tuningJobs/waiting-{label}"


def endpoint_of(value: object) -> str | None:
    """Return the endpoint of a tuned model, a checkpoint, a job or its handle; None if none of these is given."""
    for source in (value, getattr(value, "tuned_model", None)):
        endpoint = getattr(source, "endpoint", None)
        if isinstance(endpoint, str) and endpoint:
            return endpoint
    return None


def base_model(value: object) -> str:
    """Return the short name of a base model: ``gemini-2.5-flash`` for it, for ``models/...`` and for a Model.

    Raises:
        InvalidInput: It is the name of none.
    """
    name = value if isinstance(value, str) else getattr(value, "name", None)
    short = name.rpartition("/")[2] if isinstance(name, str) and is_published(name) else name
    if isinstance(short, str) and _BASE.fullmatch(short):
        return short
    raise InvalidInput(
        f"base_model must look like 'gemini-2.5-flash', or be a tuned model, not {_shown(name or value)}",
        field="base_model",
    )


def is_published(name: str) -> bool:
    """Return whether a name is that of a publisher's model, in any of its long forms."""
    short = name.removeprefix("publishers/google/").removeprefix("models/")
    return _PUBLISHED.fullmatch(name) is not None or (short != name and _BASE.fullmatch(short) is not None)


def is_job(name: str) -> bool:
    """Return whether a name is that of a tuning job."""
    return _JOB.fullmatch(name) is not None


def is_batch(name: str) -> bool:
    """Return whether a name is that of a batch prediction job."""
    return _BATCH.fullmatch(name) is not None


def is_endpoint(name: str) -> bool:
    """Return whether a name is that of an endpoint."""
    return _ENDPOINT.fullmatch(name) is not None


def is_model(name: str) -> bool:
    """Return whether a name is that of a model of the model registry."""
    return _MODEL.fullmatch(name) is not None


def without_version(model: str) -> str:
    """Return a model's name without ``@version``."""
    return model.partition("@")[0]


def context(name: object) -> str | None:
    """Return an experiment's name as a reply gave it, or None if it is none."""
    return name if isinstance(name, str) and _CONTEXT.fullmatch(name) else None


def tensorboard(name: object) -> str | None:
    """Return a TensorBoard's name as a reply gave it, or None if it is none."""
    return name if isinstance(name, str) and _TENSORBOARD.fullmatch(name) else None


def run(tensorboard: str, experiment: str, context: str) -> str | None:
    """Return the name of a run, from its experiment's name and its own context; None if they do not fit together."""
    own, whole = experiment.rpartition("/")[2], context.rpartition("/")[2]
    name = f"{tensorboard}/experiments/{own}/runs/{whole.removeprefix(f'{own}-')}"
    return name if whole.startswith(f"{own}-") and _RUN.fullmatch(name) else None


def time_series(name: str) -> str | None:
    """Return a curve's name as a reply gave it, or None if it is none."""
    return name if _SERIES.fullmatch(name) else None


def tensorboard_of(name: str) -> str:
    """Return the TensorBoard of a run or of a curve."""
    return name.partition("/experiments/")[0]


def is_label(value: object) -> bool:
    """Return whether something can stand as a label's value, and as its key if it is not empty."""
    return isinstance(value, str) and _LABEL.fullmatch(value) is not None


@attrs.define(eq=False)
class Spellings:
    """Brings the two spellings of a project together, so that a job has one name.

    The service's own, with the number, is the job's name as soon as a reply has shown it. A name that was handed out
    before, in either spelling, stays what it is for the jobs that have it already.
    """

    _numbers: dict[str, str] = attrs.field(factory=dict, init=False)
    _handed_out: dict[tuple[str, str], str] = attrs.field(factory=dict, init=False)

    def learn(self, asked: str, answered: str) -> None:
        """Take in that a reply about one name, or about a list of one place, bears another."""
        ours, theirs = _project(asked), _project(answered)
        if ours and theirs and not _is_number(ours) and _is_number(theirs):
            self._numbers[ours] = theirs

    def of(self, job: str) -> str:
        """Return the one name of a job."""
        _, project, _, location, _, number = job.split("/")
        known = self._handed_out.get((location, number))
        if known is not None and self._alike(_project(known), project):
            return known
        if project in self._numbers:
            return f"projects/{self._numbers[project]}/locations/{location}/tuningJobs/{number}"
        # A number that is known for an id needs no memory: the id is turned into it.
        full = len(self._handed_out) >= _MOST_NAMES
        if not (_is_number(project) and (full or project in self._numbers.values())):
            self._handed_out[location, number] = job
        return job

    def _alike(self, one: str, other: str) -> bool:
        """Return whether two spellings may be of one project; an id whose number is unknown may be any number's."""
        if _is_number(one) is _is_number(other):
            return one == other
        name, number = (other, one) if _is_number(one) else (one, other)
        return self._numbers.get(name, number) == number


def _project(name: str) -> str:
    return name.split("/")[1] if name.startswith("projects/") else ""


def _is_number(project: str) -> bool:
    return project.isdigit()


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
