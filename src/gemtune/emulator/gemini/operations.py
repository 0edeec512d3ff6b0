"""The long-running operations of tuning jobs."""

from __future__ import annotations

from gemtune.emulator.gemini.creation import create
from gemtune.emulator.gemini.tuned_models import show
from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import not_found, unimplemented
from gemtune.emulator.world.pages import take_page
from gemtune.emulator.world.store import MethodCall, Store, StoredModel

_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1beta."


def create_tuned_model(store: Store, call: MethodCall) -> Value:
    """Create a tuned model; return the operation of its job."""
    return _show(create(store, call), store, call, fresh=True)


def get(store: Store, call: MethodCall) -> Value:
    """Return the operation of a job; it is forgotten once its fate says so."""
    return _show(_find(store, call, "READER"), store, call)


def list_(store: Store, call: MethodCall) -> Value:
    """List the operations of a tuned model: the one that created it."""
    model = store.tuned_model(call.params["name"], call.caller, "READER")
    known = [] if _is_expired(model, call.now) else [(model.number, model)]
    models, token = take_page(call, known, default=10, maximum=1000)
    return {"operations": [_show(model, store, call) for model in models], "next_page_token": token}


def list_none(store: Store, call: MethodCall) -> Value:
    """List the operations of a base model: it has none."""
    if call.params["name"] not in store.base_models:
        raise not_found(f"Model {call.params['name']} does not exist.")
    return {}


def cancel(store: Store, call: MethodCall) -> Value:
    """Cancel a job. Cancelling one that is over changes nothing, and is no error."""
    if not store.settings.cancel_supported:
        raise unimplemented()
    model = _find(store, call, "WRITER")
    if not model.progress(call.now).done:
        model.cancelled = call.now // 1000 * 1000
    return {}


def _find(store: Store, call: MethodCall, role: str) -> StoredModel:
    name = call.params["name"]
    model = store.tuned_model(name.partition("/operations/")[0], call.caller, role)
    if model.operation_name != name or _is_expired(model, call.now):
        raise not_found(f"Operation {name} does not exist.")
    return model


def _is_expired(model: StoredModel, now: int) -> bool:
    expires = model.job.expires
    return expires is not None and expires <= now


def missing(store: Store, call: MethodCall) -> Value:  # noqa: ARG001 - a handler
    """Refuse the operation of a base model: it has none."""
    raise not_found(f"Operation {call.params['name']} does not exist.")


def _show(model: StoredModel, store: Store, call: MethodCall, *, fresh: bool = False) -> Value:
    total = model.job.total_steps
    metadata: Value = {
        "@type": _TYPE + "CreateTunedModelMetadata",
        "total_steps": total,
        "tuned_model": model.name,
    }
    operation: Value = {"name": model.operation_name, "metadata": metadata}
    # The reply to create was seen without any progress, not with a progress of zero.
    if fresh:
        return operation
    progress = model.progress(call.now)
    # A hollow model has no snapshots and is complete all the same.
    completed = total if progress.state == "ACTIVE" else len(progress.snapshots)
    metadata["completed_steps"] = completed
    metadata["completed_percent"] = 100 * completed / total
    metadata["snapshots"] = [snapshot.message for snapshot in progress.snapshots]
    if progress.error is not None:
        code, message = progress.error
        operation |= {"done": True, "error": {"code": code, "message": message}}
    elif progress.done:
        response = {"@type": _TYPE + "TunedModel", **show(model, call.now, store.settings)}
        operation |= {"done": True, "response": response}
    return operation
