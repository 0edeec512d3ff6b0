"""Resource names: parse, check and format, so that a name is always data and never a piece of a URL.

One rule for bare ids, in all methods and commands. Where only one collection can be meant, an id is of that one. Where
a model of either kind may stand, ``gemini-3.7-flash`` is a base model and ``my-model`` a tuned one. A base model's id
begins with the name of a family, or could not be a tuned model's. But one that ends with the 11 or 12 characters that
the service and ``id_from_display_name`` append is always a tuned model's. The names in full are always right.

The patterns are those of the API's discovery document (``^tunedModels/[^/]+$`` ...), narrowed to the characters that
ids really have, so that ``..``, ``?``, ``#``, ``%`` and ``@`` can neither leave the path nor the host.
"""

from __future__ import annotations

import re
from typing import Final

from gemtune import checks
from gemtune.errors import InvalidInput

_ID: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._~-]{0,254}[A-Za-z0-9_~-])?"
_TUNED: Final = re.compile(rf"tunedModels/{_ID}")
_MODEL: Final = re.compile(rf"(?:models|tunedModels|dynamic)/{_ID}")
_OPERATION: Final = re.compile(rf"(?:tunedModels|models)/{_ID}/operations/{_ID}")
_PERMISSION: Final = re.compile(rf"tunedModels/{_ID}/permissions/{_ID}")
_BATCH: Final = re.compile(rf"batches/{_ID}")
_ANY_BATCH: Final = re.compile(rf"{_BATCH.pattern}|projects/[^/]+/locations/[^/]+/batchPredictionJobs/[^/]+")
_FILE: Final = re.compile(rf"files/{_ID}")
_FILE_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
# A bare id is taken where only one collection can be meant.
_BARE: Final = re.compile(_ID)
_TUNED_ID: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
_MADE: Final = re.compile(r"[a-z0-9-]*-(?=[a-z0-9]*[0-9])(?=[a-z0-9]*[a-z])[a-z0-9]{11,12}")
_IN_PROJECT: Final = re.compile(r"projects/([^/]+)/(locations/.+)")
_FAMILY: Final = re.compile(
    r"(?:gemini|[a-z]*gemma|learnlm|imagen|veo|lyria|aqa|nano-banana|deep-research|embedding|"
    r"(?:text|chat)-(?:bison|unicorn|embedding))(?:-|$)"
)
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"


def _text(value: object, field: str) -> str:
    """Return the name that a string or a named object (model, job, operation) stands for."""
    # Models, jobs, operations and permissions all have a name, so that each may stand for its own.
    name = value if isinstance(value, str) else getattr(value, "name", None)
    if not isinstance(name, str):
        raise InvalidInput(f"{field} must be a name or an object that has one, not {_shown(value)}", field=field)
    return name


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _matched(value: object, field: str, pattern: re.Pattern[str], form: str, collection: str | None) -> str:
    name = _text(value, field)
    if pattern.fullmatch(name):
        return name
    if collection is not None and _BARE.fullmatch(name):
        return f"{collection}/{name}"
    raise InvalidInput(f"{field} must look like {form}, not {_shown(name)}", field=field)


def tuned_model_name(value: object, *, field: str = "name") -> str:
    """Return ``tunedModels/{id}`` for a name, a bare id, a TunedModel or a TuningJob."""
    return _matched(value, field, _TUNED, "'tunedModels/my-model'", "tunedModels")


def model_name(value: object, *, field: str = "model") -> str:
    """Return ``models/{id}`` or ``tunedModels/{id}`` for a name, a bare id, or an object that has a name."""
    collection = "tunedModels" if isinstance(value, str) and _is_tuned(value) else "models"
    return _matched(value, field, _MODEL, "'models/gemini-3.7-flash' or 'tunedModels/my-model'", collection)


def _is_tuned(bare: str) -> bool:
    if _TUNED_ID.fullmatch(bare) is None:
        return False
    return _MADE.fullmatch(bare) is not None or _FAMILY.match(bare) is None


def same_model(one: str, other: str) -> bool:
    """Return whether two names are of one model; those of Vertex AI spell a project by its id or by its number."""
    if one == other:
        return True
    ours, theirs = _IN_PROJECT.fullmatch(one), _IN_PROJECT.fullmatch(other)
    if ours is None or theirs is None or ours[2] != theirs[2]:
        return False
    return ours[1].isdigit() is not theirs[1].isdigit()


def base_model_name(value: object, *, field: str = "name") -> str:
    """Return ``models/{id}`` for a name, a bare id or a Model; a tuned model's full name stays as it is."""
    return _matched(value, field, _MODEL, "'models/gemini-3.7-flash'", "models")


def operation_name(value: object, *, field: str = "name") -> str:
    """Return ``tunedModels/{id}/operations/{id}`` for a name or an Operation."""
    return _matched(value, field, _OPERATION, "'tunedModels/my-model/operations/abc123'", None)


def job_names(value: object) -> tuple[str, str | None]:
    """Return a tuning job's name, which is its model's, and its operation's name if that is what was given."""
    if "/operations/" in (text := _text(value, "name")):
        operation = operation_name(text)
        return parent_of(operation), operation
    return tuned_model_name(text), None


def is_batch_name(name: object) -> bool:
    """Return whether something is the full name of a batch on either service, or an object that has such a name."""
    text = name if isinstance(name, str) else getattr(name, "name", None)
    return isinstance(text, str) and _ANY_BATCH.fullmatch(text) is not None


def operation_of(model: str, name: str | None) -> str | None:
    """Return an operation's name as a reply gave it, or None if it is not one of this tuned model's."""
    return name if name and _OPERATION.fullmatch(name) and parent_of(name) == model else None


def permission_name(value: object, *, field: str = "name") -> str:
    """Return ``tunedModels/{id}/permissions/{id}`` for a name or a Permission."""
    return _matched(value, field, _PERMISSION, "'tunedModels/my-model/permissions/abc123'", None)


def batch_name(value: object, *, field: str = "name") -> str:
    """Return ``batches/{id}`` for a name, a bare id or a batch."""
    return _matched(value, field, _BATCH, "'batches/abc123'", "batches")


def is_batch(name: str) -> bool:
    """Return whether this is the name of a batch."""
    return _BATCH.fullmatch(name) is not None


def file_name(value: object, *, field: str = "name") -> str:
    """Return ``files/{id}`` for a name, a bare id or a File."""
    return _matched(value, field, _FILE, "'files/abc123'", "files")


def is_file(name: str) -> bool:
    """Return whether this is the name of a file."""
    return _FILE.fullmatch(name) is not None


def new_file_name(value: object) -> str:
    """Check a name chosen for a new file, ``files/{id}`` or the bare id (file.proto: at most 40 characters)."""
    bare = value.removeprefix("files/") if isinstance(value, str) else ""
    if _FILE_ID.fullmatch(bare):
        return f"files/{bare}"
    raise InvalidInput(
        f"name {_shown(value)} is not allowed for a file: 1 to 40 characters a-z, 0-9 and '-', "
        "neither starting nor ending with '-'",
        field="name",
    )


def parent_of(name: str) -> str:
    """Return the first two segments of a name: the tuned model of an operation or permission."""
    return "/".join(name.split("/", 2)[:2])


def checked_id(value: str) -> str:
    """Check an id chosen for a new tuned model (model_service.proto: at most 40 characters)."""
    if isinstance(value, str) and _TUNED_ID.fullmatch(value):
        return value
    raise InvalidInput(
        f"tuned_model_id {_shown(value)} is not allowed: 1 to 40 characters a-z, 0-9 and '-', "
        "starting with a letter and not ending with '-'",
        field="tuned_model_id",
    )


def chosen_id(tuned_model_id: str | None, if_exists: str, display_name: str | None, dice: int) -> str:
    """Return the id under which a model is created: the caller's own, checked, or a fresh one."""
    checks.one_of("if_exists", if_exists, "error", "adopt")
    if tuned_model_id is not None:
        return checked_id(tuned_model_id)
    if if_exists == "adopt":
        raise InvalidInput("tuned_model_id is missing: to adopt a model, name it", field="tuned_model_id")
    return id_from_display_name(display_name, dice)


def id_from_display_name(display_name: str | None, dice: int) -> str:
    """Return a fresh id: a readable slug of at most 27 characters and 12 base-36 digits taken from ``dice``.

    Args:
        display_name: What the model is called. Words are joined by ``-``, other characters dropped.
        dice: A random number of at least 62 bits; the same number gives the same id.
    """
    # The name is readable in lists; what makes it unique are the digits, and 40 characters are the API's limit.
    words = re.findall(r"[a-z0-9]+", re.sub(r"[^a-z0-9\s-]", "", (display_name or "").lower()))
    slug = "-".join(words)[:27].strip("-")
    if not slug or not slug[0].isalpha():  # the API wants a letter first
        slug = f"tuned-{slug}"[:27].strip("-")
    suffix = ""
    for _ in range(12):
        dice, digit = divmod(dice, 36)
        suffix += _ALPHABET[digit]
    return f"{slug}-{suffix}"
