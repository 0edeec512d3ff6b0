"""``models``: get, list, patch, delete, versions and checkpoints of what tuning made; a job is a version of a model."""

from __future__ import annotations

from typing import cast

from gemtune.emulator.messages.codec import Value, format_timestamp
from gemtune.emulator.messages.errors import RpcError, bad_request
from gemtune.emulator.messages.schema import snake_case
from gemtune.emulator.vertex.filters import read_filter
from gemtune.emulator.vertex.job import VertexJob
from gemtune.emulator.vertex.jobs import default_checkpoint
from gemtune.emulator.vertex.names import canonical, last, made_id, parent_of
from gemtune.emulator.vertex.refusals import no_such
from gemtune.emulator.vertex.shelf import ModelChanges, VertexShelf, shelf_of
from gemtune.emulator.world.pages import take_page
from gemtune.emulator.world.store import MethodCall, Store

_TYPES = "type.googleapis.com/google.cloud.aiplatform"
_FILTERED = {
    "model": "model", "display_name": "display_name", "labels": "labels", "base_model_name": "base_model_name",
}  # fmt: skip
_MUTABLE = frozenset({"display_name", "description", "labels", "default_checkpoint_id"})


def get_model(store: Store, call: MethodCall) -> Value:
    """Return a model: the version that is named, otherwise the default one."""
    shelf = shelf_of(store)
    return _show(shelf, find_version(shelf, call.params["name"], call.now), call.now)


def list_models(store: Store, call: MethodCall) -> Value:
    """List the models of a location, each by its default version, the newest first."""
    shelf, parent = shelf_of(store), canonical(call.params["parent"])
    models = dict.fromkeys(job.model for job in list(shelf.jobs.values()) if parent_of(job.model) == parent)
    jobs = [versions[0] for model in models if (versions := shelf.versions(model, call.now))]
    return _list(shelf, call, jobs)


def list_versions(store: Store, call: MethodCall) -> Value:
    """List the versions of a model, the newest first."""
    shelf = shelf_of(store)
    model = canonical(call.params["name"]).partition("@")[0]
    jobs = shelf.versions(model, call.now)
    if not jobs:
        raise no_such("Model", model)
    return _list(shelf, call, jobs)


def _list(shelf: VertexShelf, call: MethodCall, jobs: list[VertexJob]) -> Value:
    # Google's client sends a filter for each thing that it wants.
    wanted = [read_filter(text, _FILTERED) for text in call.query.get("filter", "").split("\n")]
    shown = [_show(shelf, job, call.now) for job in reversed(jobs)]
    subjects = [
        {**model, "model": last(cast(str, model["name"])), "base_model_name": job.base_model}
        for model, job in zip(shown, reversed(jobs), strict=True)
    ]
    chosen = [model for model, each in zip(shown, subjects, strict=True) if all(choose(each) for choose in wanted)]
    page, token = take_page(call, enumerate(chosen, 1), default=100, maximum=1000)
    return {"models": page, "next_page_token": token}


def list_checkpoints(store: Store, call: MethodCall) -> Value:
    """List the checkpoints of a version; of the latest one if none is named."""
    shelf = shelf_of(store)
    name = canonical(call.params["name"])
    jobs = shelf.versions(name.partition("@")[0], call.now)
    job = find_version(shelf, name, call.now) if "@" in name or not jobs else jobs[-1]
    page, token = take_page(call, enumerate(_checkpoints(job, call.now), 1), default=50, maximum=1000)
    return {"checkpoints": page, "next_page_token": token}


def patch_model(store: Store, call: MethodCall) -> Value:
    """Change a model's name, description or labels, or a version's default checkpoint; its job's endpoint follows."""
    shelf = shelf_of(store)
    job = find_version(shelf, call.params["model.name"], call.now)
    mask = call.query.get("update_mask")
    paths = {snake_case(path.strip()) for path in mask.split(",")} if mask else set(call.body) - {"name"}
    if fixed := sorted(paths - _MUTABLE):
        raise bad_request(f"The field {fixed[0]!r} of a model cannot be changed.")
    changes = shelf.changes.setdefault(job.model, ModelChanges())
    for path in sorted(paths):  # the checkpoint first, because it alone can be refused
        value = call.body.get(path)
        if path == "default_checkpoint_id":
            known = [str(each["checkpoint_id"]) for each in _checkpoints(job, call.now)]
            if value not in known:
                raise bad_request(
                    f"The model {job.version_name} has no checkpoint {value!r}; it has {', '.join(known)}."
                )
            changes.default_checkpoints[str(job.version)] = int(value)
        else:
            setattr(changes, path, value if value is not None else {} if path == "labels" else "")
    changes.patched = call.now // 1000 * 1000
    return _show(shelf, job, call.now)


def delete_model(store: Store, call: MethodCall) -> Value:
    """Delete a model with all its versions; one that is deployed cannot be deleted."""
    shelf = shelf_of(store)
    job = find_version(shelf, call.params["name"], call.now)
    used = [endpoint for each in shelf.versions(job.model, call.now) for endpoint in _endpoints(shelf, each, call.now)]
    if used:
        text = f"The Model {job.model!r} is deployed or being deployed at the following Endpoint(s): {', '.join(used)}."
        raise RpcError("FAILED_PRECONDITION", text)
    shelf.changes.setdefault(job.model, ModelChanges()).deleted = True
    return operation(call, job.model, "DeleteOperationMetadata")


def operation(call: MethodCall, name: str, metadata: str) -> Value:
    """Return the operation of what is done at once."""
    stamp = format_timestamp(call.now // 1000 * 1000)
    kind = f"{_TYPES}.{call.version}.{metadata}"
    return {
        "name": f"{parent_of(name)}/operations/{made_id('operation', call.method, name, call.now)}",
        "metadata": {"@type": kind, "genericMetadata": {"createTime": stamp, "updateTime": stamp}},
        "done": True,
        "response": {"@type": "type.googleapis.com/google.protobuf.Empty"},
    }


def find_version(shelf: VertexShelf, given: str, now: int) -> VertexJob:
    """Return the job behind a version of a model; 404 if there is none."""
    name = canonical(given)
    model, _, version = name.partition("@")
    jobs = shelf.versions(model, now)
    if jobs and version in ("", "default"):  # the first version is the default one
        return jobs[0]
    job = next((each for each in jobs if str(each.version) == version), None)
    if job is None:
        raise no_such("Model", name)
    return job


def _endpoints(shelf: VertexShelf, job: VertexJob, now: int) -> list[str]:
    every = (job.endpoint(each.number) for each in job.life.checkpoints(now))
    return [endpoint for endpoint in every if endpoint not in shelf.undeployed and endpoint not in shelf.gone]


def _checkpoints(job: VertexJob, now: int) -> list[Value]:
    return [
        {"checkpoint_id": str(each.number), "epoch": each.epoch, "step": each.step}
        for each in job.life.checkpoints(now)
        if each.number
    ]


def labels_of(job: VertexJob) -> dict[str, str]:
    """Return the labels of a model or an endpoint: its job's, and the service's own."""
    own = {
        "google-vertex-llm-tuning-base-model-id": job.base_model.replace(".", "-"),
        "google-vertex-llm-tuning-job-id": last(job.name),
        "tune-type": "dpo" if job.is_preference else "sft",
    }
    return {**job.labels, **own}


def _show(shelf: VertexShelf, job: VertexJob, now: int) -> Value:
    changes = shelf.changes.get(job.model) or ModelChanges()
    first = shelf.versions(job.model, now)[0]
    made, first_made = cast(int, job.life.model), cast(int, first.life.model)
    checkpoints = _checkpoints(job, now)
    deployed: list[Value] = [
        {"endpoint": endpoint, "deployed_model_id": made_id("deployed", endpoint)}
        for endpoint in _endpoints(shelf, job, now)
    ]
    return {
        "name": job.model,
        "display_name": shelf.display_name(job.model),
        "description": changes.description if changes.description is not None else job.given.get("description", ""),
        "create_time": first_made,
        "update_time": max(made, changes.patched or 0),
        "deployed_models": deployed,
        "labels": labels_of(job) if changes.labels is None else changes.labels or None,
        "encryption_spec": job.given.get("encryption_spec"),
        "version_id": str(job.version),
        "version_aliases": ["default"] if job is first else [],
        "version_create_time": made,
        "version_update_time": max(made, changes.patched or 0),
        "default_checkpoint_id": str(default_checkpoint(shelf, job)) if checkpoints else "",
        "checkpoints": checkpoints,
    }
