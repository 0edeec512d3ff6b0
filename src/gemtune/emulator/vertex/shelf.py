"""What Vertex AI keeps: tuning jobs, the models and endpoints that come of them, and the data they were given.

Everything hangs on the jobs. A model's version exists as soon as its job is so far, and so does an endpoint: only what
somebody changed afterwards (a name, the default checkpoint, a deletion) is kept beside them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import attrs

from gemtune.emulator.vertex.data.held_out import HeldOutData
from gemtune.emulator.vertex.data.reading import TuningData
from gemtune.emulator.vertex.job import SlotQueue, VertexJob, check_message, dump_job, restore_job
from gemtune.emulator.vertex.names import experiment_id, parent_of
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import Store
from gemtune.emulator.world.typed import check, is_argument

SHELF = "vertex"


@attrs.define
class ModelChanges:
    """What somebody changed about a model: per model, and the default checkpoint per version."""

    display_name: str | None = None
    description: str | None = None
    labels: dict[str, str] | None = None
    patched: int | None = None
    deleted: bool = False
    default_checkpoints: dict[str, int] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check(self, *attrs.fields_dict(ModelChanges))


@attrs.define
class VertexShelf:
    """The jobs by name, and who waits for a slot."""

    settings: Settings
    jobs: dict[str, VertexJob] = attrs.field(factory=dict, init=False)
    data: dict[str, TuningData] = attrs.field(factory=dict, init=False)
    held_out: HeldOutData = attrs.field(factory=HeldOutData, init=False)
    changes: dict[str, ModelChanges] = attrs.field(factory=dict, init=False)
    undeployed: set[str] = attrs.field(factory=set, init=False)
    gone: set[str] = attrs.field(factory=set, init=False)
    lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _versions: dict[str, list[VertexJob]] = attrs.field(factory=dict, init=False)
    _queues: dict[str, SlotQueue] = attrs.field(factory=dict, init=False)
    _endpoints: dict[str, tuple[VertexJob, int]] = attrs.field(factory=dict, init=False)
    _experiments: dict[tuple[str, str], VertexJob] = attrs.field(factory=dict, init=False)

    def clear(self) -> None:
        self.held_out.clear()
        kept = (self.jobs, self.data, self.changes, self.undeployed, self.gone)
        for each in (*kept, self._versions, self._queues, self._endpoints, self._experiments):
            each.clear()

    def add(self, job: VertexJob) -> None:
        """Keep a new job and let it queue."""
        self.jobs[job.name] = job
        self._versions.setdefault(job.model, []).append(job)
        for number, _, _ in job.plan.kept(1):
            self._endpoints[job.endpoint(number)] = (job, number)
        self._admit(job)

    def _admit(self, job: VertexJob) -> None:
        project = job.name.split("/")[1]
        if project not in self._queues:
            self._queues[project] = SlotQueue(self.settings.vertex_concurrent_jobs)
        self._queues[project].admit(job)
        if job.life.training is not None:
            self._experiments[parent_of(job.name), experiment_id(job.life.training, job.number)] = job

    def cancel(self, job: VertexJob, now: int) -> None:
        """Cancel a job; whoever waited for its slot moves up."""
        job.cancelled = now
        if self.settings.vertex_concurrent_jobs is None:
            return
        project = job.name.split("/")[1]
        self._queues.pop(project, None)
        for other in list(self.jobs.values()):  # in the order of their creation
            if other.name.split("/")[1] == project:
                self._admit(other)

    def of_experiment(self, parent: str, experiment: str) -> VertexJob | None:
        """Return the job that has an experiment now or will have it; what is foreseen may still be cancelled."""
        job = self._experiments.get((parent, experiment))
        training = job.life.training if job else None
        return job if training is not None and job and experiment_id(training, job.number) == experiment else None

    def trained(self, parent: str) -> Iterator[VertexJob]:
        """Return the jobs of a location that train at some time, oldest first."""
        return (
            job for job in list(self.jobs.values()) if job.life.training is not None and parent_of(job.name) == parent
        )

    def running(self, project: str, now: int) -> int:
        """Count a project's jobs that are not over."""
        return sum(
            not job.life.has(job.life.ended, now)
            for job in list(self.jobs.values())
            if job.name.split("/")[1] == project
        )

    def versions(self, model: str, now: int) -> list[VertexJob]:
        """Return the jobs behind the versions of a model that exist by now; none if it was deleted."""
        changes = self.changes.get(model)
        if changes and changes.deleted:
            return []
        return [job for job in self._versions.get(model, ()) if job.life.has(job.life.model, now)]

    def display_name(self, model: str) -> str:
        """Return the display name of a model that has been made or is to be."""
        changes = self.changes.get(model)
        if changes and changes.display_name is not None:
            return changes.display_name
        return cast(str, self._versions[model][0].given["tuned_model_display_name"])

    def next_version(self, model: str) -> int:
        return max((job.version for job in self._versions.get(model, ())), default=0) + 1

    def deployed(self, endpoint: str, now: int) -> tuple[VertexJob, int] | None:
        """Return the job and the checkpoint behind an endpoint; None if it does not exist (yet, or any more)."""
        found = self._endpoints.get(endpoint)
        if found is None or endpoint in self.gone:
            return None
        job, number = found
        return found if any(each.number == number for each in job.life.checkpoints(now)) else None

    def endpoints(self, now: int) -> Iterator[tuple[str, VertexJob, int]]:
        """Return the endpoints that exist by now, oldest job first."""
        for name, (job, number) in list(self._endpoints.items()):
            if self.deployed(name, now):
                yield name, job, number

    def statistics(self, now: int) -> dict[str, object]:
        states = Counter(job.life.state(now) for job in self.jobs.values())
        return {"tuning_jobs": len(self.jobs), "tuning_job_states": dict(states)}

    def dump(self) -> object:
        return {
            "jobs": [dump_job(job) for job in list(self.jobs.values())],
            "data": {key: attrs.asdict(data, filter=is_argument) for key, data in self.data.items()},
            "held_out": self.held_out.dump(),
            "changes": {name: attrs.asdict(changes) for name, changes in self.changes.items()},
            "undeployed": sorted(self.undeployed),
            "gone": sorted(self.gone),
        }

    def restore(self, kept: Any) -> None:
        self.clear()
        self.data.update({key: TuningData(**values) for key, values in kept["data"].items()})
        self.held_out.restore(kept.get("held_out", {}))  # which older files lack
        self.changes.update({name: ModelChanges(**values) for name, values in kept["changes"].items()})
        self.undeployed.update(kept["undeployed"])
        self.gone.update(kept["gone"])
        for values in kept["jobs"]:
            job = restore_job(values)
            if job.data not in self.data:
                raise LookupError(f"the data of {job.name} is not there")
            check_message("TuningDataStats", {job.stats_key: self.data[job.data].stats})
            self.add(job)


def shelf_of(store: Store) -> VertexShelf:
    """Return what a store keeps for Vertex AI."""
    return cast(VertexShelf, store.shelves[SHELF])
