"""``batchPredictionJobs``: create, get, list, cancel, delete; and how a job is shown."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import RpcError
from gemtune.emulator.vertex.batches.creation import create
from gemtune.emulator.vertex.batches.job import PredictionJob, object_of
from gemtune.emulator.vertex.batches.shelf import PredictionShelf, predictions_of
from gemtune.emulator.vertex.filters import Subject, read_filter
from gemtune.emulator.vertex.models import operation
from gemtune.emulator.vertex.names import canonical, parent_of
from gemtune.emulator.vertex.refusals import no_such, not_cancellable
from gemtune.emulator.world.pages import take_page
from gemtune.emulator.world.settings import MIB
from gemtune.emulator.world.store import MethodCall, Store

_KIND = "BatchPredictionJob"
_FILTERED = {
    "name": "name", "display_name": "display_name", "model": "model", "state": "state", "create_time": "create_time",
    "update_time": "update_time", "labels": "labels",
}  # fmt: skip


def create_job(store: Store, call: MethodCall) -> Value:
    """Create a job; the reply shows it PENDING."""
    job = create(store, call)
    return show(job, job.plan.created)


def reads_file(store: Store, call: MethodCall) -> bool:
    """Return whether the input of a new job is long, or in a file."""
    source = cast(Value, cast(Value, call.body.get("input_config") or {}).get("gcs_source") or {})
    places = [object_of(uri) for uri in cast("list[str]", source.get("uris") or [])]
    found = [store.objects.find(*place) for place in places if place]
    return any(each and (each.content.size > MIB or isinstance(each.content.data, Path)) for each in found)


def get_job(store: Store, call: MethodCall) -> Value:
    """Return one job."""
    return show(_find(predictions_of(store), call), call.now)


def list_jobs(store: Store, call: MethodCall) -> Value:
    """List the jobs of a location, the one that changed last first."""
    shelf, parent = predictions_of(store), canonical(call.params["parent"])
    wanted = read_filter(call.query.get("filter", ""), _FILTERED)
    jobs = [job for job in list(shelf.jobs.values()) if parent_of(job.name) == parent]
    jobs.sort(key=lambda job: (job.life.updated(call.now), job.number), reverse=True)
    chosen = [job for job in jobs if wanted(_subject(job, call.now))]
    # As of tuning jobs, a token says how many were shown, while jobs that change move to the front.
    page, token = take_page(call, enumerate(chosen, start=1), default=100, maximum=1000)
    return {"batch_prediction_jobs": [show(job, call.now) for job in page], "next_page_token": token}


def cancel_job(store: Store, call: MethodCall) -> Value:
    """Cancel a job; one that has ended is a 400."""
    job = _find(predictions_of(store), call)
    state = job.life.state(call.now)
    if state not in ("PENDING", "RUNNING", "CANCELLING"):
        raise not_cancellable(job.name, state, _KIND)
    if state != "CANCELLING":
        job.cancelled = call.now // 1000 * 1000
    return {}


def delete_job(store: Store, call: MethodCall) -> Value:
    """Delete a job that has ended; what it has written stays."""
    shelf = predictions_of(store)
    job = _find(shelf, call)
    state = job.life.state(call.now)
    # Documented: it can only be called on jobs that have finished.
    if job.life.ended is None or job.life.ended > call.now:
        text = f'The {_KIND} "{job.name}" is in state JOB_STATE_{state} and cannot be deleted; cancel it first.'
        raise RpcError("FAILED_PRECONDITION", text)
    shelf.remove(job)
    return operation(call, job.name, "DeleteOperationMetadata")


def _find(shelf: PredictionShelf, call: MethodCall) -> PredictionJob:
    name = canonical(call.params["name"])
    job = shelf.jobs.get(name)
    if job is None:
        raise no_such(_KIND, name)
    return job


def show(job: PredictionJob, now: int) -> Value:
    """Return the BatchPredictionJob message."""
    life, plan = job.life, job.plan
    state = life.state(now)
    shown: Value = {
        **job.given,
        "name": job.name,
        "state": f"JOB_STATE_{state}",
        "create_time": plan.created,
        "update_time": life.updated(now),
        "model_version_id": job.version,
    }
    if life.started is not None and life.started <= now:
        shown["start_time"] = life.started
        if life.error is None or life.error is not plan.error:
            successful, failed = job.counts(now)
            left = plan.requests - successful - failed
            stats = {"successful_count": successful, "failed_count": failed, "incomplete_count": left}
            shown["completion_stats"] = stats
    if life.ended is not None and life.ended <= now:
        shown["end_time"] = life.ended
        error = life.error or ((1, "CANCELED") if state == "CANCELLED" else None)
        shown["error"] = dict(zip(("code", "message"), error, strict=True)) if error else None
        if job.outcome is not None and job.outcome.directory:
            shown["output_info"] = {"gcs_output_directory": job.outcome.directory}
            failures = job.outcome.failures
            shown["partial_failures"] = [{"code": code, "message": message} for code, message in failures]
    return shown


def _subject(job: PredictionJob, now: int) -> Subject:
    return {
        "name": job.name,
        "display_name": cast(str, job.given["display_name"]),
        "model": job.model,
        "state": f"JOB_STATE_{job.life.state(now)}",
        "create_time": job.plan.created,
        "update_time": job.life.updated(now),
        "labels": job.labels,
    }
