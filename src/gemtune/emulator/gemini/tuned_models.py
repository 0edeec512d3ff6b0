"""The methods of ``tunedModels``: get, list, patch, delete, transferOwnership; and how a tuned model is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

from gemtune.emulator.gemini.messages import SCHEMA
from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import bad_request, invalid_fields
from gemtune.emulator.messages.schema import snake_case
from gemtune.emulator.world.pages import take_page
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import ROLES, MethodCall, Store, StoredModel, StoredPermission
from gemtune.emulator.world.tuning import JobProgress

MUTABLE = frozenset({"display_name", "description", "temperature", "top_p", "top_k", "reader_project_numbers"})
_OUTPUT_ONLY = frozenset({"name", "state", "create_time", "update_time"})
_OPERATORS = {"owner:me": "OWNER", "writers:me": "WRITER", "readers:me": "READER"}


def show(model: StoredModel, now: int, settings: Settings) -> Value:
    """Return the TunedModel message; it never contains training data."""
    progress = model.progress(now)
    source: Value = {"base_model": model.base_model}
    # The service names both: the source, and the base model that it goes back to.
    if model.source:
        source = {"tuned_model_source": {"tuned_model": model.source, "base_model": model.base_model}}
    return {
        "name": model.name,
        **source,
        "display_name": model.display_name,
        "description": model.description,
        "state": model.state(now, settings),
        "create_time": model.job.created,
        # A job that ends touches its model as a PATCH does.
        "update_time": max(model.job.created, model.patched or 0, progress.complete_time or 0),
        "tuning_task": _show_task(model, progress),
        "temperature": model.temperature,
        "top_p": model.top_p,
        "top_k": model.top_k,
        "reader_project_numbers": model.reader_project_numbers,
    }


def _show_task(model: StoredModel, progress: JobProgress) -> Value:
    return {
        "start_time": progress.start_time,
        "complete_time": progress.complete_time,
        "snapshots": [snapshot.message for snapshot in progress.snapshots],
        "hyperparameters": model.hyperparameters,
    }


def get(store: Store, call: MethodCall) -> Value:
    """Return one tuned model."""
    model = store.tuned_model(call.params["name"], call.caller, "READER")
    return show(model, call.now, store.settings)


def list_(store: Store, call: MethodCall) -> Value:
    """List the caller's tuned models, or those that a filter names."""
    found = ((model.number, model) for model in _search(store, call))
    models, token = take_page(call, found, default=10, maximum=1000)
    return {
        "tuned_models": [show(model, call.now, store.settings) for model in models],
        "next_page_token": token,
    }


def _search(store: Store, call: MethodCall) -> Iterator[StoredModel]:
    words = call.query.get("filter", "").split()
    roles = [ROLES[_OPERATORS[word]] for word in words if word in _OPERATORS]
    # Documented operators; every other word is looked for in the name and the description.
    everyone = "readers:everyone" in words
    text = [word.casefold() for word in words if word not in _OPERATORS and word != "readers:everyone"]
    for model in store.visible_to(call.caller):
        # What is shared with everyone is only listed if asked for by that name.
        own = model.role(call.caller, beside_everyone=True)
        shared = any(permission.grantee_type == "EVERYONE" for permission in model.permissions.values())
        haystack = f"{model.display_name}\n{model.description}".casefold()
        if (shared if everyone else own) and all(own >= role for role in roles) and all(w in haystack for w in text):
            yield model


def split_mask(mask: str | None) -> list[str] | None:
    """Return the paths of an update mask in snake_case; None if there is no mask."""
    if not mask:
        return None
    return [snake_case(path.strip()) for path in mask.split(",") if path.strip()]


def patch(store: Store, call: MethodCall) -> Value:
    """Change a tuned model's description, sampling parameters or readers."""
    model = store.tuned_model(call.params["tuned_model.name"], call.caller, "WRITER")
    mask = split_mask(call.query.get("update_mask"))
    body = dict(call.body)
    changes = _masked(body, mask) if mask is not None else _present(model, body, call.now, store.settings)
    found = list(check_mutable({key: value for key, value in changes.items() if value is not None}))
    if found:
        raise invalid_fields("UpdateTunedModelRequest.tuned_model", found)
    base = store.base_models.get(model.base_model)
    for key, value in changes.items():
        empty: object = {"reader_project_numbers": [], "display_name": "", "description": ""}.get(key)
        # Cleared, a sampling parameter falls back to the base model's.
        if value is None and base is not None and key in ("temperature", "top_p", "top_k"):
            empty = getattr(base, key)
        setattr(model, key, empty if value is None else value)
    model.patched = call.now // 1000 * 1000
    return show(model, call.now, store.settings)


def _masked(body: Value, mask: list[str]) -> Value:
    """Return what a mask asks to change; a field that it names and the body lacks is cleared (AIP-134)."""
    if mask == ["*"]:
        return {path: body.get(path) for path in sorted(MUTABLE)}
    changes: Value = {}
    for path in mask:
        root = path.partition(".")[0]
        if root not in SCHEMA.messages["TunedModel"].by_name:
            raise bad_request(f"Invalid update_mask: TunedModel has no field {path!r}.")
        if path in MUTABLE:
            changes[path] = body.get(path)
        elif root not in _OUTPUT_ONLY:
            raise bad_request(f"Invalid update_mask: the field {path!r} of a tuned model is immutable.")
    return changes


def _present(model: StoredModel, body: Value, now: int, settings: Settings) -> Value:
    """Return what to change without a mask: the fields given. An immutable one may be repeated but not changed."""
    current = show(model, now, settings)
    for path in ("base_model", "tuned_model_source"):
        if path in body and body[path] != current.get(path):
            raise bad_request(f"The field {path!r} of a tuned model is immutable.")
    task = cast(Value, body.get("tuning_task") or {})
    given = cast(Value, task.get("hyperparameters") or {})
    if "training_data" in task or any(model.hyperparameters.get(key) != value for key, value in given.items()):
        raise bad_request("The field 'tuning_task' of a tuned model is immutable.")
    return {path: value for path, value in body.items() if path in MUTABLE}


def check_mutable(values: Value) -> Iterator[tuple[str, str]]:
    """Check the fields that create and patch share."""
    if len(cast(str, values.get("display_name", ""))) > 40:
        yield "display_name", "must be at most 40 characters long"
    temperature, top_p, top_k = (cast("float | None", values.get(key)) for key in ("temperature", "top_p", "top_k"))
    if temperature is not None and not 0 <= temperature <= 1:
        yield "temperature", f"must be in the range [0.0, 1.0], not {temperature:g}"
    if top_p is not None and not 0 < top_p <= 1:
        yield "top_p", f"must be in the range (0.0, 1.0], not {top_p:g}"
    if top_k is not None and top_k < 1:
        yield "top_k", f"must be at least 1, not {top_k}"


def delete(store: Store, call: MethodCall) -> Value:
    """Delete a tuned model and its job."""
    model = store.tuned_model(call.params["name"], call.caller, "OWNER")
    store.remove(model)
    return {}


def transfer_ownership(store: Store, call: MethodCall) -> Value:
    """Give a tuned model away; its former owner becomes a writer."""
    model = store.tuned_model(call.params["name"], call.caller, "OWNER")
    email = cast(str, call.body.get("email_address", ""))
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise invalid_fields("TransferOwnershipRequest", [("email_address", "must be an email address")])
    new = next((p for p in model.permissions.values() if p.email and p.email.casefold() == email.casefold()), None)
    # There is exactly one owner at any time; the former one keeps what a writer may do.
    for permission in model.permissions.values():
        if permission.role == "OWNER":
            permission.role = "WRITER"
    if new is None:
        new = StoredPermission(store.random_id(12), "USER", email, "OWNER", store.next_number())
        model.permissions[new.id] = new
    new.role = "OWNER"
    return {}
