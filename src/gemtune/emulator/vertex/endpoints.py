"""``endpoints``: get, list, undeploy and delete the endpoints to which the checkpoints of tuned models are deployed."""

from __future__ import annotations

from typing import cast

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import RpcError, bad_request
from gemtune.emulator.vertex.filters import read_filter
from gemtune.emulator.vertex.job import VertexJob
from gemtune.emulator.vertex.models import labels_of, operation
from gemtune.emulator.vertex.names import canonical, last, made_id, parent_of
from gemtune.emulator.vertex.refusals import no_such
from gemtune.emulator.vertex.shelf import VertexShelf, shelf_of
from gemtune.emulator.world.pages import take_page
from gemtune.emulator.world.store import MethodCall, Store

_FILTERED = {
    "endpoint": "endpoint", "display_name": "display_name", "labels": "labels", "base_model_name": "base_model_name",
}  # fmt: skip


def get_endpoint(store: Store, call: MethodCall) -> Value:
    """Return one endpoint."""
    shelf, name = shelf_of(store), canonical(call.params["name"])
    job, number = _find(shelf, name, call.now)
    return _show(shelf, name, job, number)


def list_endpoints(store: Store, call: MethodCall) -> Value:
    """List the endpoints of a location, those of the newest job first."""
    shelf, parent = shelf_of(store), canonical(call.params["parent"])
    wanted = read_filter(call.query.get("filter", ""), _FILTERED)
    found: list[Value] = []
    for name, job, number in reversed(list(shelf.endpoints(call.now))):
        shown = _show(shelf, name, job, number)
        if parent_of(name) == parent and wanted({**shown, "endpoint": last(name), "base_model_name": job.base_model}):
            found.append(shown)
    page, token = take_page(call, enumerate(found, 1), default=100, maximum=1000)
    return {"endpoints": page, "next_page_token": token}


def undeploy(store: Store, call: MethodCall) -> Value:
    """Take the model off an endpoint, which answers no more; a job that lists the endpoint goes on listing it."""
    shelf, name = shelf_of(store), canonical(call.params["endpoint"])
    _find(shelf, name, call.now)
    if name in shelf.undeployed or call.body.get("deployed_model_id") != made_id("deployed", name):
        raise bad_request(f"The Endpoint {name} has no deployed model {call.body.get('deployed_model_id')!r}.")
    shelf.undeployed.add(name)
    return operation(call, name, "UndeployModelOperationMetadata")


def delete_endpoint(store: Store, call: MethodCall) -> Value:
    """Delete an endpoint that has no model any more."""
    shelf, name = shelf_of(store), canonical(call.params["name"])
    _find(shelf, name, call.now)
    if name not in shelf.undeployed:
        text = f"The Endpoint {name!r} has deployed or being-deployed DeployedModel(s) and cannot be deleted."
        raise RpcError("FAILED_PRECONDITION", text)
    shelf.gone.add(name)
    return operation(call, name, "DeleteOperationMetadata")


def _find(shelf: VertexShelf, name: str, now: int) -> tuple[VertexJob, int]:
    found = shelf.deployed(name, now)
    if found is None:
        raise no_such("Endpoint", name)
    return found


def _show(shelf: VertexShelf, name: str, job: VertexJob, number: int) -> Value:
    at = next(each.at for each in job.life.deployed if each.number == number)
    title = cast(str, job.given["tuned_model_display_name"])
    model: Value = {
        "id": made_id("deployed", name), "model": job.model, "display_name": title, "create_time": at,
        "model_version_id": str(job.version), "checkpoint_id": str(number) if number else "",
    }  # fmt: skip
    return {
        "name": name, "display_name": title, "deployed_models": [] if name in shelf.undeployed else [model],
        "labels": labels_of(job), "create_time": at, "update_time": at,
        "encryption_spec": job.given.get("encryption_spec"),
    }  # fmt: skip
