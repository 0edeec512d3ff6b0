"""``batchPredictionJobs.create``: what it refuses at once, and what it plans.

What is wrong with the input fails the running job, as on the service.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import cast

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import RpcError, bad_request
from gemtune.emulator.vertex.batches.job import PredictionJob, object_of
from gemtune.emulator.vertex.batches.lines import count_requests
from gemtune.emulator.vertex.batches.shelf import predictions_of
from gemtune.emulator.vertex.inference import check_served
from gemtune.emulator.vertex.job import VertexJob
from gemtune.emulator.vertex.names import canonical, location_of, made_id, parent_of
from gemtune.emulator.vertex.refusals import bad_fields, bad_labels, no_such
from gemtune.emulator.vertex.shelf import VertexShelf, shelf_of
from gemtune.emulator.world.batches.plan import BatchCourse
from gemtune.emulator.world.clock import SECOND, nanoseconds
from gemtune.emulator.world.store import MethodCall, Store

HOURS = (72.0, 24.0)  # in the queue, and from the beginning on
_CANCELLING = 2.0
_ROOT = "batch_prediction_job"
_OUTPUT_ONLY = frozenset({
    "name", "output_info", "state", "error", "partial_failures", "resources_consumed", "completion_stats",
    "create_time", "start_time", "end_time", "update_time", "model_version_id",
})  # fmt: skip
_REQUIRED = "Required field is not set."
_NO_BIGQUERY = "The emulator has no BigQuery: give files of JSON lines in Cloud Storage (gcsSource, gcsDestination)."


def create(store: Store, call: MethodCall) -> PredictionJob:
    """Return a new job."""
    shelf, parent = predictions_of(store), canonical(call.params["parent"])
    given = {key: value for key, value in call.body.items() if key not in _OUTPUT_ONLY}
    found = list(_violations(given))
    if found:
        raise bad_fields(found)
    model = given["model"] = canonical(cast(str, given["model"]))
    tuned = _asked(store, shelf_of(store), model, parent, call.now)
    source = _uris(given)[0]
    count, error = count_requests(store, source)
    cancelling = store.settings.cancelling_seconds
    with shelf.lock:  # long input is counted in a thread
        number = store.next_number()
        name = f"{parent}/batchPredictionJobs/{made_id(store.settings.seed, 'batchPredictionJobs', number)}"
        plan = BatchCourse.of(
            store.settings, cancelling=_CANCELLING if cancelling is None else cancelling, hours=HOURS, name=name,
            requests=count, created=call.now // 1000 * 1000, fate=call.fate, error=error,
        )  # fmt: skip
        job = PredictionJob(
            number=number, plan=plan, given=given, source=source, target=_target(given, call.now, number),
            tuned=tuned.name if tuned else None, version=str(tuned.version) if tuned else "",
            email=call.caller.email, lag=nanoseconds(store.settings.batch_output_seconds),
            partial=store.settings.batch_partial,
        )  # fmt: skip
        shelf.add(job)
    return job


def _violations(given: Value) -> Iterator[tuple[str, str]]:
    source, target = (cast(Value, given.get(key) or {}) for key in ("input_config", "output_config"))
    name = cast(str, given.get("display_name", ""))
    if not name or len(name) > 128:
        yield f"{_ROOT}.display_name", _REQUIRED if not name else "must be at most 128 characters long."
    if not given.get("model"):
        yield f"{_ROOT}.model", _REQUIRED
    if "bigquery_source" in source or "bigquery_destination" in target:
        yield _ROOT, _NO_BIGQUERY
        return
    for side, key in ((source, "instances_format"), (target, "predictions_format")):
        where = f"{_ROOT}.{'input_config' if side is source else 'output_config'}"
        if not side:
            yield where, _REQUIRED
        elif side.get(key) != "jsonl":
            yield f"{where}.{key}", f"must be jsonl, not {side.get(key, '')!r}."
    uris = _uris(given)
    if source and (len(uris) != 1 or not object_of(uris[0])):
        yield f"{_ROOT}.input_config.gcs_source.uris", "must be one GCS object, such as gs://bucket/requests.jsonl."
    if target and not object_of(_prefix(given) + "x"):
        text = "must be a GCS directory, such as gs://bucket/results."
        yield f"{_ROOT}.output_config.gcs_destination.output_uri_prefix", text
    yield from bad_labels(_ROOT, cast("dict[str, str]", given.get("labels") or {}))


def _uris(given: Value) -> list[str]:
    source = cast(Value, given.get("input_config") or {}).get("gcs_source")
    return cast("list[str]", cast(Value, source or {}).get("uris") or [])


def _prefix(given: Value) -> str:
    target = cast(Value, given.get("output_config") or {}).get("gcs_destination")
    prefix = cast(str, cast(Value, target or {}).get("output_uri_prefix", ""))
    return prefix if prefix.endswith("/") else f"{prefix}/"


def _target(given: Value, now: int, number: int) -> str:
    # The job's number is added to the time, or two jobs of the same instant would share a directory.
    seconds, fraction = divmod(now // 1000 + number, SECOND // 1000)
    stamp = f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%S}.{fraction:06d}Z"
    return f"{_prefix(given)}prediction-model-{stamp}/predictions.jsonl"


def _asked(store: Store, shelf: VertexShelf, model: str, parent: str, now: int) -> VertexJob | None:
    """Return the tuning job behind the model or endpoint that is asked; None for a base model."""
    if "/publishers/" in f"/{model}":
        check_served(store, model)
        return None
    if "/models/" not in model and "/endpoints/" not in model:
        raise bad_request(f"The model {model!r} is neither publishers/google/models/ID nor a tuned model's name.")
    if location_of(parent) == "global":
        raise RpcError("FAILED_PRECONDITION", "Batch prediction of tuned models is not supported in global.")
    if "/endpoints/" in model:
        deployed = shelf.deployed(model, now)
        if deployed is None:
            raise no_such("Endpoint", model)
        return deployed[0]
    name, _, version = model.partition("@")
    if parent_of(name) != parent:
        raise bad_request(f"The model {model} must be in the location of the batch, {parent}.")
    jobs = shelf.versions(name, now)
    chosen = jobs[:1] if version == "default" else [job for job in jobs if not version or version == str(job.version)]
    if not chosen:
        raise no_such("Model", model)
    return chosen[-1]
