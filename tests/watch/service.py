"""A service that is nothing but a function of time, with every disorder that a look may meet.

It answers the four methods by which the Gemini API is looked at, through the same names as the client, and a thousand
times as fast as a request: whole lives of many jobs are played through in milliseconds.
"""

import random
from datetime import UTC, datetime, timedelta

import anyio
import attrs

from gemtune import errors
from gemtune.looks.gemini import GeminiTuning
from gemtune.pager import Pager
from gemtune.protocol.gemini import Page
from gemtune.types import CreateTunedModelMetadata, Operation, Status, TunedModel, TuningSnapshot, TuningTask
from gemtune.types.timestamp import Timestamp

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def stamp(seconds):
    return Timestamp.of(EPOCH + timedelta(seconds=seconds))


@attrs.define(eq=False)
class Job:
    """The truth about one job; times in seconds of the event loop's clock."""

    name: str
    created: float = 0.0
    queue: float = 1.0
    gap: float = 2.0
    total: int = 10
    restart_after: int = 0
    """Steps of a first run that breaks off."""
    ending: str = "ACTIVE"
    """ACTIVE, FAILED or CANCELLED."""

    @property
    def operation(self):
        return f"{self.name}/operations/op{self.created:.0f}"

    @property
    def second_run(self):
        return self.created + self.queue + (self.restart_after + 0.5) * self.gap if self.restart_after else None

    @property
    def ends(self):
        begin = self.second_run or self.created + self.queue
        return begin + self.total * self.gap

    def snapshots(self, at):
        """The cumulative list as of a time."""
        begin, most = self.created + self.queue, self.total
        if self.second_run is not None:
            if at >= self.second_run + self.gap:
                begin = self.second_run
            else:
                most = self.restart_after
        done = max(min(int((at - begin) / self.gap), most), 0)
        return [TuningSnapshot(step, 0, 1 / step, stamp(begin + step * self.gap)) for step in range(1, done + 1)]

    def model(self, at, shown=None):
        state = "CREATING" if at < self.ends else "ACTIVE" if self.ending == "ACTIVE" else "FAILED"
        task = TuningTask(snapshots=self.snapshots(at) if shown is None else shown)
        return TunedModel(name=self.name, state=state, create_time=stamp(self.created), tuning_task=task)

    def light(self, at):
        model = self.model(at, ())
        return TunedModel(name=model.name, state=model.state, create_time=model.create_time)

    def show_operation(self, at, shown=None):
        shown = self.snapshots(at) if shown is None else shown
        done = at >= self.ends
        metadata = CreateTunedModelMetadata(
            total_steps=self.total,
            completed_steps=max((each.step for each in shown), default=0),
            snapshots=shown,
            tuned_model=self.name,
        )
        error = {"FAILED": Status(code=13, message="bad data"), "CANCELLED": Status(code=1, message="cancelled")}.get(
            self.ending
        )
        return Operation(
            name=self.operation,
            metadata=metadata,
            done=done,
            error=error if done else None,
            response=self.model(at) if done and error is None else None,
        )


@attrs.define(eq=False, slots=False)
class Service:
    """The jobs, and what may happen to a look at them; each ``p_`` is a probability."""

    jobs: dict = attrs.field(factory=dict)
    dice: random.Random = attrs.field(factory=random.Random)
    latency: float = 0.05
    lag: float = 0.0
    p_stale: float = 0.0
    p_holes: float = 0.0
    p_disorder: float = 0.0
    p_error: float = 0.0
    p_missing: float = 0.0
    p_unlisted: float = 0.0
    masks: bool = True
    page_size: int = 1000
    expires_after: float = float("inf")
    outage: tuple = (float("inf"), float("inf"))
    calls: list = attrs.field(factory=list)
    in_flight: int = 0
    peak: int = 0

    @property
    def face(self):
        """The service as a watcher sees it."""
        return GeminiTuning(self.tuned_models, self.operations, None)

    def job_names(self, given):
        return self.face.job_names(given)

    async def look(self, *args):
        return await self.face.look(*args)

    def list_jobs(self, *args, **options):
        return self.face.list_jobs(*args, **options)

    def add(self, *jobs):
        for job in jobs:
            self.jobs[job.name] = job
        return [job.name for job in jobs]

    @property
    def tuned_models(self):
        return _Methods(get=self._get_model, list=self._list_models)

    @property
    def operations(self):
        return _Methods(get=self._get_operation, list=self._list_operations)

    async def _request(self, method, name=None):
        """Wait as a request does, perhaps fail as one does, and return the time that the answer is of."""
        self.calls.append((anyio.current_time(), method, name))
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await anyio.sleep(self.latency * (0.5 + self.dice.random()))
        finally:
            self.in_flight -= 1
        now = anyio.current_time()
        if self.outage[0] <= now < self.outage[1]:
            raise errors.Unavailable("the service is out", status=503)
        if self.dice.random() < self.p_error:
            raise self.dice.choice(
                [
                    errors.Unavailable("busy", status=503),
                    errors.QuotaExhausted("slower", status=429, retry_after=self.dice.choice([None, 3.0])),
                    errors.ConnectionLost("gone"),
                    errors.DeadlineExceeded("late"),
                    errors.MalformedResponse("half a reply"),
                ]
            )
        back = self.dice.uniform(0, 30) if self.dice.random() < self.p_stale else 0.0
        return now - self.lag - back

    def _job(self, name, at):
        job = self.jobs.get(name)
        if job is None or at < job.created - 120 or self.dice.random() < self.p_missing:
            raise errors.NotFound(f"{name} does not exist", status=404)
        return job

    def _view(self, job, at):
        """The snapshots as a look may show them: with holes, twice, in disorder or not at all."""
        shown = job.snapshots(at)
        if self.dice.random() < self.p_holes:
            shown = [each for each in shown if self.dice.random() < 0.7]
        if self.dice.random() < self.p_disorder:
            shown += self.dice.sample(shown, len(shown) // 3)
            self.dice.shuffle(shown)
        return shown

    async def _get_model(self, name, **_):
        at = await self._request("tuned_models.get", name)
        job = self._job(name, at)
        # Once a model is in its final state, its list is complete.
        return job.model(at, None if at >= job.ends else self._view(job, at))

    async def _get_operation(self, name, **_):
        at = await self._request("operations.get", name)
        job = self._job(name.partition("/operations/")[0], at)
        if job.operation != name or at > job.ends + self.expires_after:
            raise errors.NotFound(f"{name} does not exist", status=404)
        return job.show_operation(at, self._view(job, at))

    def _list_operations(self, parent, **_):
        async def fetch(token):
            at = await self._request("operations.list", parent)
            job = self._job(parent, at)
            return Page(() if at > job.ends + self.expires_after else (job.show_operation(at, self._view(job, at)),))

        return Pager(fetch)

    def _list_models(self, *, page_size=None, filter=None, fields=None, **_):
        async def fetch(token):
            at = await self._request("tuned_models.list")
            if fields is not None and not self.masks:
                raise errors.BadRequest("Invalid field selection", status=400)
            first = int(token or 0)
            jobs = list(self.jobs.values())
            size = min(page_size or 10, self.page_size)
            shown = [job.light(at) for job in jobs[first : first + size] if self.dice.random() >= self.p_unlisted]
            return Page(tuple(shown), str(first + size) if first + size < len(jobs) else None)

        return Pager(fetch)


@attrs.frozen
class _Methods:
    get: object
    list: object
