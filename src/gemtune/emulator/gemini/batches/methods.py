"""Batches: their creation as an operation, get, list, cancel and delete."""

from __future__ import annotations

import json

from gemtune.emulator.gemini.batches import creation
from gemtune.emulator.gemini.batches.shelf import StoredBatch
from gemtune.emulator.gemini.shelf import shelf_of
from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import not_found
from gemtune.emulator.messages.json_text import FrozenJson
from gemtune.emulator.world.pages import take_page
from gemtune.emulator.world.store import MethodCall, Store

_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch"  # v1main: observed
_NEWEST_FIRST = 1 << 62
_SHORT = 1 << 16
_EARLIER = 130  # nanoseconds by which an ended batch was last updated before its end: observed
_GIVEN_UP = (4, "The batch was not finished in time and has expired.")
_CANCELLED = (1, "The operation was cancelled.")


def create(store: Store, call: MethodCall) -> Value:
    """Create a batch; return its operation."""
    return _show(store, call, creation.create(store, call), whole=True)


def is_long(store: Store, call: MethodCall) -> bool:
    """Return whether what a call shows is more than a moment's work."""
    batch = shelf_of(store).batches.batches.get(call.params["name"])
    output = batch.end.output if batch is not None and batch.end is not None else None
    return output is not None and (output.size > _SHORT or not isinstance(output.data, bytes))


def get(store: Store, call: MethodCall) -> Value:
    """Return a batch, with its results if its requests came with its creation."""
    return _show(store, call, _find(store, call), whole=True)


def list_(store: Store, call: MethodCall) -> Value:
    """List the caller's batches, newest first, without any results."""
    every = reversed(shelf_of(store).batches.of(call.caller, call.now))
    page, token = take_page(call, ((_NEWEST_FIRST - each.number, each) for each in every), default=10, maximum=1000)
    return {"operations": [_show(store, call, each, whole=False) for each in page], "next_page_token": token}


def cancel(store: Store, call: MethodCall) -> Value:
    """Cancel a batch: what is finished is kept. Cancelling one that is over changes nothing, and is no error."""
    batch = _find(store, call)
    ended = batch.life().ended
    if batch.cancelled is None and (ended is None or call.now < ended):
        batch.cancelled = call.now
    return {}


def delete(store: Store, call: MethodCall) -> Value:
    """Remove a batch, and end it if it is not over."""
    shelf_of(store).remove_batch(store, _find(store, call))
    return {}


def _find(store: Store, call: MethodCall) -> StoredBatch:
    batch = shelf_of(store).batches.batches.get(call.params["name"])
    if batch is None or batch.owner.email != call.caller.email or call.now < batch.plan.created:
        raise not_found("Requested entity was not found.")
    return batch


def _show(store: Store, call: MethodCall, batch: StoredBatch, *, whole: bool) -> Value:
    now, life = call.now, batch.life()
    done = life.ended is not None and life.ended <= now
    state = life.state(now)
    successful, failed = batch.counts(now, store.settings)
    metadata: Value = {
        "@type": _TYPE,
        "model": batch.model,
        "display_name": batch.display_name,
        "create_time": batch.plan.created,
        "update_time": life.updated(now) - (_EARLIER if done else 0),
        "batch_stats": {
            "request_count": batch.plan.requests,
            "successful_request_count": successful,
            "failed_request_count": failed,
            "pending_request_count": 0 if done else batch.plan.requests - successful - failed,
        },
        "state": f"BATCH_STATE_{state}",
        "name": batch.name,
    }
    operation: Value = {"name": batch.name, "metadata": metadata}
    if batch.input_name:
        metadata["input_config"] = {"file_name": batch.input_name}
    if not done:
        return operation
    metadata["end_time"] = life.ended
    output = _output(batch, whole=whole) if batch.shows_output(now, store.settings) else {}
    if output:
        metadata["output"] = output
    error = {"EXPIRED": _GIVEN_UP, "CANCELLED": _CANCELLED}.get(state, life.error)
    if error is None:
        return operation | {"done": True, "response": {"@type": f"{_TYPE}Output", **output}}
    return operation | {"done": True, "error": {"code": error[0], "message": error[1]}}


def _output(batch: StoredBatch, *, whole: bool) -> Value:
    """Return where the results are, or the results themselves."""
    if batch.input_name:
        return {"responsesFile": batch.output_name}
    if not whole or batch.end is None or batch.end.output is None:
        return {}
    with batch.end.output.open() as file:
        # It stands twice in the reply, and may be long.
        return {"inlinedResponses": FrozenJson({"inlinedResponses": [json.loads(line) for line in file]})}
