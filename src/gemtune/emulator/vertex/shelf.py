"""What Vertex AI keeps: tuning jobs, the models and endpoints that come of them, and the data they were given.

Everything hangs on the jobs. A model's version exists as soon as its job is so far, and so does an endpoint: only what
somebody changed afterwards (a name, the default checkpoint, a deletion) is kept beside them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any, cast

import attrs

from gemtune.emulator.messages.codec import FrozenMessage, Value
from gemtune.emulator.vertex.data import TuningData
from gemtune.emulator.vertex.life import Durations, Life, TuningPlan, live
from gemtune.emulator.vertex.names import made_id, parent_of, served_in
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import Store
from gemtune.emulator.world.tuning import JobFate
from gemtune.emulator.world.typed import check

SHELF = "vertex"
_NEVER = 1 << 62


@attrs.define(kw_only=True, eq=False)
class VertexJob:
    """One tuning job.

    Args:
        number: orders the jobs by their creation.
        plan: of its life.
        given: the request's message, under proto names.
        base_model: that it goes back to.
        resolved: the hyperparameters that the service chose.
        data: the key of its training data.
        model: the name of the model that comes of it, without a version.
        version: of that model.
        cancelled: when a cancellation was asked for.
        slot: when the quota admits it.
    """

    number: int
    plan: TuningPlan
    given: Value
    base_model: str
    resolved: Value
    data: str
    model: str
    version: int
    cancelled: int | None = None
    slot: int | None = None
    _lived: tuple[object, Life] | None = attrs.field(default=None, init=False, repr=False)
    _stats: FrozenMessage | None = attrs.field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        check(self, "number", "base_model", "data", "model", "version", "cancelled", "slot")

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def life(self) -> Life:
        """Its life, as far as it can be foreseen now."""
        key = (self.slot, self.cancelled)
        if self._lived is None or self._lived[0] != key:
            self._lived = (key, live(self.plan, *key))
        return self._lived[1]

    @property
    def is_preference(self) -> bool:
        return "preference_optimization_spec" in self.given

    @property
    def spec(self) -> Value:
        """The tuning spec of the request."""
        key = "preference_optimization_spec" if self.is_preference else "supervised_tuning_spec"
        return cast(Value, self.given[key])

    @property
    def labels(self) -> dict[str, str]:
        return cast("dict[str, str]", self.given.get("labels") or {})

    @property
    def version_name(self) -> str:
        return f"{self.model}@{self.version}"

    def endpoint(self, checkpoint: int) -> str:
        """Return the name of the endpoint of one of its checkpoints."""
        parent = served_in(parent_of(self.name), self.base_model)
        return f"{parent}/endpoints/{made_id('endpoint', self.name, checkpoint)}"

    def stats(self, data: TuningData) -> FrozenMessage:
        """Return the TuningDataStats message; it never changes once it is there."""
        if self._stats is None:
            steps = self.plan.trained_from(0).total_steps
            key = "preference_optimization_data_stats" if self.is_preference else "supervised_tuning_data_stats"
            self._stats = FrozenMessage({key: data.stats | {"tuning_step_count": steps}})
        return self._stats


@attrs.define
class ModelChanges:
    """What somebody changed about a model: per model, and the default checkpoint per version."""

    display_name: str | None = None
    description: str | None = None
    labels: dict[str, str] | None = None
    patched: int | None = None
    deleted: bool = False
    default_checkpoints: dict[str, str] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check(self, *attrs.fields_dict(ModelChanges))


@attrs.define
class VertexShelf:
    """The jobs by name, and who waits for a slot."""

    settings: Settings
    jobs: dict[str, VertexJob] = attrs.field(factory=dict, init=False)
    data: dict[str, TuningData] = attrs.field(factory=dict, init=False)
    changes: dict[str, ModelChanges] = attrs.field(factory=dict, init=False)
    gone: set[str] = attrs.field(factory=set, init=False)
    _versions: dict[str, list[VertexJob]] = attrs.field(factory=dict, init=False)
    _busy: dict[str, list[int]] = attrs.field(factory=dict, init=False)
    _endpoints: dict[str, tuple[VertexJob, int]] = attrs.field(factory=dict, init=False)

    def clear(self) -> None:
        for kept in (self.jobs, self.data, self.changes, self.gone, self._versions, self._busy, self._endpoints):
            kept.clear()

    def add(self, job: VertexJob) -> None:
        """Keep a new job and let it queue."""
        self.jobs[job.name] = job
        self._versions.setdefault(job.model, []).append(job)
        for number, _, _ in job.plan.kept(1):
            self._endpoints[job.endpoint(number)] = (job, number)
        self._admit(job)

    def cancel(self, job: VertexJob, now: int) -> None:
        """Cancel a job; whoever waited for its slot moves up."""
        job.cancelled = now
        project = job.name.split("/")[1]
        self._busy.pop(project, None)
        for other in self.jobs.values():  # in the order of their creation
            if other.name.split("/")[1] == project:
                self._admit(other)

    def _admit(self, job: VertexJob) -> None:
        """Settle when a job gets a slot: the first that is free, in the order of creation."""
        limit, ready = self.settings.vertex_concurrent_jobs, job.plan.started
        if limit is None:
            job.slot = ready
            return
        # The instants at which each slot is free again: a heap, the earliest first.
        busy = self._busy.setdefault(job.name.split("/")[1], [])
        free = heapq.heappop(busy) if len(busy) >= limit else ready
        slot = max(ready, free)
        if free >= _NEVER or (job.cancelled is not None and job.cancelled <= slot):
            job.slot = None
            heapq.heappush(busy, free)
            return
        job.slot = slot
        ended = job.life.ended
        heapq.heappush(busy, _NEVER if ended is None else ended)

    def running(self, project: str, now: int) -> int:
        """Count a project's jobs that are not over."""
        return sum(
            not job.life.has(job.life.ended, now) for job in self.jobs.values() if job.name.split("/")[1] == project
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

    def models(self, now: int) -> Iterator[str]:
        """Return the names of the models that exist by now, oldest first."""
        return (model for model in self._versions if self.versions(model, now))

    def deployed(self, endpoint: str, now: int) -> tuple[VertexJob, int] | None:
        """Return the job and the checkpoint behind an endpoint; None if it does not exist (yet, or any more)."""
        found = self._endpoints.get(endpoint)
        if found is None or endpoint in self.gone:
            return None
        job, number = found
        return found if any(each.number == number for each in job.life.checkpoints(now)) else None

    def endpoints(self, now: int) -> Iterator[tuple[str, VertexJob, int]]:
        """Return the endpoints that exist by now, oldest job first."""
        for name, (job, number) in self._endpoints.items():
            if self.deployed(name, now):
                yield name, job, number

    def dump(self) -> object:
        return {
            "jobs": [_dump_job(job) for job in self.jobs.values()],
            "data": {key: attrs.asdict(data, filter=_is_argument) for key, data in self.data.items()},
            "changes": {name: attrs.asdict(changes) for name, changes in self.changes.items()},
            "gone": sorted(self.gone),
        }

    def restore(self, kept: Any) -> None:
        self.clear()
        self.data.update({key: TuningData(**values) for key, values in kept["data"].items()})
        self.changes.update({name: ModelChanges(**values) for name, values in kept["changes"].items()})
        self.gone.update(kept["gone"])
        for values in kept["jobs"]:
            self.add(_restore_job(values))


def shelf_of(store: Store) -> VertexShelf:
    """Return what a store keeps for Vertex AI."""
    return cast(VertexShelf, store.shelves[SHELF])


def _is_argument(attribute: attrs.Attribute[object], _value: object) -> bool:
    return attribute.init


def _dump_job(job: VertexJob) -> dict[str, object]:
    plain = {f.name: getattr(job, f.name) for f in attrs.fields(VertexJob) if f.init and f.name != "plan"}
    return plain | {"plan": attrs.asdict(job.plan)}


def _restore_job(values: dict[str, Any]) -> VertexJob:
    plan = dict(values["plan"])
    plan["durations"] = Durations(**plan["durations"])
    plan["fate"] = JobFate(**plan["fate"])
    error = plan["data_error"]
    plan["data_error"] = tuple(error) if error is not None else None
    given, resolved = values["given"], values["resolved"]
    # Read back as it was sent: a message that is none would fail every later look.
    if not isinstance(given, dict) or not isinstance(resolved, dict):
        raise ValueError("a job's request is no message")  # noqa: TRY004
    return VertexJob(**(values | {"plan": TuningPlan(**plan)}))
