"""One tuning job, and the queue in which jobs wait for the quota."""

from __future__ import annotations

import heapq
import re
from typing import Any, cast

import attrs

from gemtune.emulator.messages.codec import FrozenMessage, Value, decode, encode
from gemtune.emulator.messages.errors import RpcError
from gemtune.emulator.vertex.data.reading import TuningData
from gemtune.emulator.vertex.life import Durations, Life, TuningPlan, live
from gemtune.emulator.vertex.messages.schema import SCHEMAS
from gemtune.emulator.vertex.names import made_id, parent_of, served_in
from gemtune.emulator.world.tuning import JobFate
from gemtune.emulator.world.typed import check, fits

_NEVER = 1 << 62
_NAME = re.compile(r"projects/\d+/locations/[^/]+/(tuningJobs|models)/\d+")
_SUPERVISED = "supervised_tuning_spec"
_RESOLVED = {"epoch_count", "learning_rate_multiplier", "adapter_size"}


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
    points: dict[tuple[str, int, int], FrozenMessage] = attrs.field(factory=dict, init=False, repr=False)
    contexts: dict[int | None, tuple[Value, Value]] = attrs.field(factory=dict, init=False, repr=False)
    _lived: tuple[object, Life] | None = attrs.field(default=None, init=False, repr=False)
    _stats: FrozenMessage | None = attrs.field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        check(self, "number", "base_model", "data", "model", "version", "cancelled", "slot")
        if not _NAME.fullmatch(self.name) or not _NAME.fullmatch(self.model):
            raise ValueError(f"{self.name!r:.100} or {self.model!r:.100} is no name")
        if not fits(self.labels, dict[str, str]):
            raise ValueError("a label is no string")

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
    def stats_key(self) -> str:
        return "preference_optimization_data_stats" if self.is_preference else "supervised_tuning_data_stats"

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

    def trained_steps(self, checkpoint: int, now: int) -> int:
        """Return the steps behind one of its checkpoints; those of the whole training if it has no such checkpoint."""
        found = next((each.step for each in self.life.deployed if each.number == checkpoint), None)
        if found is not None:
            return found
        progress = self.life.progress(now)
        return len(progress.snapshots) if progress else 0

    def stats(self, data: TuningData) -> FrozenMessage:
        """Return the TuningDataStats message; it never changes once it is there."""
        if self._stats is None:
            steps = self.plan.trained_from(0).total_steps
            self._stats = FrozenMessage({self.stats_key: data.stats | {"tuning_step_count": steps}})
        return self._stats


@attrs.define
class SlotQueue:
    """The slots of one project's quota, had by its jobs in the order of their creation.

    Args:
        limit: how many there are; None for as many as are wanted.
    """

    limit: int | None
    _free: list[int] = attrs.field(factory=list, init=False)  # when each used slot is free again: a heap

    def admit(self, job: VertexJob) -> None:
        """Settle when a job gets a slot: the first that is free. The jobs before it have been settled."""
        ready = job.plan.started
        if self.limit is None:
            job.slot = ready
            return
        free = heapq.heappop(self._free) if len(self._free) >= self.limit else ready
        slot = max(ready, free)
        if free >= _NEVER or (job.cancelled is not None and job.cancelled <= slot):
            job.slot = None
            heapq.heappush(self._free, free)
            return
        job.slot = slot
        ended = job.life.ended
        heapq.heappush(self._free, _NEVER if ended is None else ended)


def dump_job(job: VertexJob) -> dict[str, object]:
    """Return a job as JSON."""
    plain = {f.name: getattr(job, f.name) for f in attrs.fields(VertexJob) if f.init and f.name != "plan"}
    return plain | {"plan": attrs.asdict(job.plan)}


def check_message(message: str, value: Any) -> None:
    """Check that a message that was read back can be shown; raises ValueError if not."""
    schema = SCHEMAS["v1beta1"]
    try:
        decode(schema, message, encode(schema, message, value))
    except (RpcError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"it holds no {message}: {error}") from None


def restore_job(values: dict[str, Any]) -> VertexJob:
    """Return a job from JSON; raises ValueError, TypeError or LookupError if it is damaged."""
    plan = dict(values["plan"])
    plan["durations"] = Durations(**plan["durations"])
    plan["fate"] = JobFate(**plan["fate"])
    error = plan["data_error"]
    plan["data_error"] = tuple(error) if error is not None else None
    key = "preference_optimization_spec" if "preference_optimization_spec" in values["given"] else _SUPERVISED
    check_message("TuningJob", values["given"])
    check_message("TuningJob", {key: {"hyper_parameters": values["resolved"]}})
    if not isinstance(values["given"].get(key), dict) or set(values["resolved"]) < _RESOLVED:
        raise ValueError("a job has no tuning spec, or not all of its hyperparameters")
    return VertexJob(**(values | {"plan": TuningPlan(**plan)}))
