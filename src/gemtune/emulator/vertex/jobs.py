"""``tuningJobs``: create, get, list, cancel; and how a job is shown."""

from __future__ import annotations

from typing import cast

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.vertex.creation import create
from gemtune.emulator.vertex.filters import Subject, read_filter
from gemtune.emulator.vertex.job import VertexJob
from gemtune.emulator.vertex.names import canonical, experiment_id, parent_of
from gemtune.emulator.vertex.refusals import no_such, not_cancellable
from gemtune.emulator.vertex.shelf import VertexShelf, shelf_of
from gemtune.emulator.world.pages import take_page
from gemtune.emulator.world.store import MethodCall, Store


def create_job(store: Store, call: MethodCall) -> Value:
    """Create a tuning job; the reply shows it as it is asked for, PENDING and without late fields."""
    job = create(store, call)
    return {
        **{key: value for key, value in job.given.items() if key != "service_account"},
        "name": job.name, "state": "JOB_STATE_PENDING", "create_time": job.plan.created,
        "update_time": job.plan.created,
    }  # fmt: skip


def get_job(store: Store, call: MethodCall) -> Value:
    """Return one tuning job."""
    shelf = shelf_of(store)
    return show(shelf, find_job(shelf, call), call.now)


def list_jobs(store: Store, call: MethodCall) -> Value:
    """List the jobs of a location, the one that changed last first."""
    shelf, parent = shelf_of(store), canonical(call.params["parent"])
    text = call.query.get("filter", "")
    wanted = read_filter(text, _FILTERED)
    jobs = [job for job in list(shelf.jobs.values()) if parent_of(job.name) == parent]
    jobs.sort(key=lambda job: (job.life.updated(call.now), job.number), reverse=True)
    chosen = [job for job in jobs if wanted(_subject(job, call.now))] if text else jobs
    # A token says how many were shown. As on the service, a job that changes moves to the front meanwhile, so that
    # whoever turns pages may see a job twice, or miss one that was on a page to come.
    page, token = take_page(call, enumerate(chosen, start=1), default=100, maximum=1000)
    return {"tuning_jobs": [show(shelf, job, call.now) for job in page], "next_page_token": token}


def cancel_job(store: Store, call: MethodCall) -> Value:
    """Cancel a job; one that has ended is a 400."""
    shelf = shelf_of(store)
    job = find_job(shelf, call)
    state = job.life.state(call.now)
    if state == "CANCELLING":
        return {}
    if state not in ("PENDING", "RUNNING"):
        raise not_cancellable(job.name, state)
    shelf.cancel(job, call.now // 1000 * 1000)
    return {}


def find_job(shelf: VertexShelf, call: MethodCall) -> VertexJob:
    """Return the job that a request names; 404 if there is none."""
    name = canonical(call.params["name"])
    job = shelf.jobs.get(name)
    if job is None:
        raise no_such("TuningJob", name)
    return job


def experiment_of(job: VertexJob, now: int) -> str | None:
    """Return the name of a job's experiment; None while it has none."""
    training = job.life.training
    if training is None or not job.life.has(training, now):
        return None
    return f"{parent_of(job.name)}/metadataStores/default/contexts/{experiment_id(training, job.number)}"


def show(shelf: VertexShelf, job: VertexJob, now: int) -> Value:
    """Return the TuningJob message."""
    life, given = job.life, dict(job.given)
    account = given.pop("service_account", None)
    state = life.state(now)
    shown: Value = {
        **given,
        "name": job.name,
        "state": f"JOB_STATE_{state}",
        "create_time": life.created,
        "start_time": life.started if life.has(life.started, now) else None,
        "update_time": life.updated(now),
        "experiment": experiment_of(job, now),
        "tuned_model": _show_model(shelf, job, now),
    }
    if account and life.has(life.account, now):
        shown["service_account"] = account
    if life.has(life.ended, now):
        shown["end_time"] = life.ended
        shown["error"] = dict(zip(("code", "message"), life.error, strict=True)) if life.error else None
    if life.has(life.data_read, now):
        shown["tuning_data_stats"] = job.stats(shelf.data[job.data])
    if life.has(life.training, now):
        key = "preference_optimization_spec" if job.is_preference else "supervised_tuning_spec"
        shown[key] = {**job.spec, "hyper_parameters": job.resolved}
    if phase := life.phase(now):
        shown["tuning_job_state"] = f"TUNING_JOB_STATE_{phase}"
    progress = life.progress(now)
    if progress and progress.snapshots:
        shown["tuning_job_metadata"] = {"completed_epoch_count": progress.snapshots[-1].epoch}
    return shown


def _show_model(shelf: VertexShelf, job: VertexJob, now: int) -> Value | None:
    life = job.life
    if not life.has(life.model, now):
        return None
    shown: Value = {"model": job.version_name}
    ready = [each for each in life.checkpoints(now) if each.number]
    shown["checkpoints"] = [
        {
            "checkpoint_id": str(each.number), "epoch": each.epoch, "step": each.step,
            "endpoint": job.endpoint(each.number),
        }
        for each in ready
    ]  # fmt: skip
    if life.has(life.endpoint, now):
        shown["endpoint"] = job.endpoint(default_checkpoint(shelf, job))
    return shown


def default_checkpoint(shelf: VertexShelf, job: VertexJob) -> int:
    """Return the number of a version's default checkpoint: the last one, unless somebody chose another."""
    changes = shelf.changes.get(job.model)
    chosen = changes.default_checkpoints.get(str(job.version)) if changes else None
    known = [each.number for each in job.life.deployed]
    return chosen if chosen in known else known[-1]


def _subject(job: VertexJob, now: int) -> Subject:
    return {
        "name": job.name,
        "tuned_model_display_name": cast(str, job.given.get("tuned_model_display_name", "")),
        "description": cast(str, job.given.get("description", "")),
        "base_model": cast(str, job.given.get("base_model", "")),
        "state": f"JOB_STATE_{job.life.state(now)}",
        "create_time": job.life.created,
        "update_time": job.life.updated(now),
        "labels": job.labels,
    }


_FILTERED = {
    "name": "name", "tuned_model_display_name": "tuned_model_display_name", "display_name": "tuned_model_display_name",
    "description": "description", "base_model": "base_model", "state": "state", "create_time": "create_time",
    "update_time": "update_time", "labels": "labels",
}  # fmt: skip
