"""A service that is nothing but a function of time, with every disorder that a look may meet.

It has three faces. One is the Gemini API: it answers the four methods by which that is looked at, through the same
names as the client. Another is a made-up *workshop* with names of another shape, words of its own for a state, one
request a look, and no operations; it proves that nothing above ``gemtune.looks`` knows a service. A third, the
*foundry*, says more than the first two: metrics that come late, checkpoints, reasons; and its steps are to be had apart
from the job.
All are a thousand times as fast as requests: whole lives of many jobs are played through in milliseconds.
"""

import random
import re
from datetime import UTC, datetime, timedelta

import anyio
import attrs

from gemtune import errors
from gemtune.events import JobState
from gemtune.looks.gemini import GeminiTuning
from gemtune.looks.service import moment
from gemtune.pager import Pager
from gemtune.protocol.gemini import Page
from gemtune.story.observation import Listed, Observation, Source, nanoseconds
from gemtune.types import CreateTunedModelMetadata, Operation, Status, TunedModel, TuningSnapshot, TuningTask
from gemtune.types.timestamp import Timestamp
from gemtune.types.training import Checkpoint, DataStats, SnapshotMetrics
from gemtune.types.tuning import MeasuredSnapshot

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
    evals: int = 0
    """Every so many steps the validation data is gone through as well."""
    eval_lag: float = 0.0
    """Seconds from a step until what was measured beside its loss can be seen."""
    checkpoints: int = 0
    """Every so many steps there is a checkpoint."""
    deploys: float = 1.0
    """Seconds from a checkpoint to its endpoint."""

    @property
    def operation(self):
        """What makes it, on the service that shows that apart."""
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

    def measured(self, at):
        """The same, with what else is measured, as far as it can be seen by then."""
        at = min(at, self.ends + 1e-6)  # one step less would be a rounding error
        return [self._measured(each, at - (each.compute_time - EPOCH).total_seconds()) for each in self.snapshots(at)]

    def _measured(self, snapshot, age):
        step, late = snapshot.step, age >= self.eval_lag
        metrics = SnapshotMetrics(
            accuracy=1 - 1 / step if late or step % 2 else None,
            eval_loss=2 / step if self.evals and step % self.evals == 0 and late else None,
            eval_accuracy=0.5 if self.evals and step % self.evals == 0 and age >= 1.5 * self.eval_lag else None,
        )
        return MeasuredSnapshot(step, 0, snapshot.mean_loss, snapshot.compute_time, metrics=metrics)

    def deployed(self, at):
        """The checkpoints of the last run, deployed or not."""
        begin, at = self.second_run or self.created + self.queue, min(at, self.ends)
        found = []
        for number, step in enumerate(range(self.checkpoints, self.total + 1, self.checkpoints or 1), 1):
            made = begin + step * self.gap
            if self.checkpoints and at >= made:
                endpoint = f"endpoints/{number}" if at >= made + self.deploys else ""
                found.append(Checkpoint(checkpoint_id=str(number), epoch=number, step=step, endpoint=endpoint))
        return found

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
    # Jobs of which a look at the job itself has shown the end.
    over: set = attrs.field(factory=set)

    @property
    def face(self):
        """The service as a watcher sees it."""
        return Face.chosen(self)

    def job_names(self, given):
        return self.face.job_names(given)

    def handle(self, job):
        """The most that somebody can name a job by."""
        return self.face.handle(job)

    async def look(self, *args):
        return await self.face.look(*args)

    def list_jobs(self, *args, **options):
        return self.face.list_jobs(*args, **options)

    def add(self, *jobs):
        for job in jobs:
            self.jobs[job.name] = job
        return [job.name for job in jobs]

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

    async def _see_job(self, name):
        """Return a job, the time of the answer, and the snapshots that it shows."""
        at = await self._request("job", name)
        job = self._job(name, at)
        # Once a job is in its final state, its list is complete.
        return job, at, None if at >= job.ends else self._view(job, at)

    def _list(self, *, size, light):
        """Return the pages of all jobs, each with the time that the page is of."""

        async def fetch(token):
            at = await self._request("list")
            if light and not self.masks:
                raise errors.BadRequest("Invalid field selection", status=400)
            first = int(token or 0)
            jobs = list(self.jobs.values())
            many = min(size or 10, self.page_size)
            shown = [(job, at) for job in jobs[first : first + many] if self.dice.random() >= self.p_unlisted]
            return Page(tuple(shown), str(first + many) if first + many < len(jobs) else None)

        return Pager(fetch)


def mapped(pager, entry):
    async def fetch(token):
        page = await anext(pager.pages(token))
        return Page(tuple(entry(job, at) for job, at in page), page.next_page_token)

    return Pager(fetch)


@attrs.frozen
class _Methods:
    get: object
    list: object


class Gemini:
    """The methods of the client through which the Gemini API is looked at."""

    form = "tunedModels/{}"
    listing = "tuned_models.list"

    def __init__(self, service):
        self.service = service

    @property
    def tuning(self):
        tuned_models = _Methods(get=self.get_model, list=self.list_models)
        return GeminiTuning(tuned_models, _Methods(get=self.get_operation, list=self.list_operations), None)

    def __getattr__(self, name):
        return getattr(self.tuning, name)

    def handle(self, job):
        return job.operation

    async def get_model(self, name, **_):
        job, at, shown = await self.service._see_job(name)
        return job.model(at, shown)

    async def get_operation(self, name, **_):
        at = await self.service._request("work", name)
        job = self.service._job(name.partition("/operations/")[0], at)
        if job.operation != name or at > job.ends + self.service.expires_after:
            raise errors.NotFound(f"{name} does not exist", status=404)
        return job.show_operation(at, self.service._view(job, at))

    def list_operations(self, parent, **_):
        async def fetch(token):
            at = await self.service._request("seek", parent)
            job = self.service._job(parent, at)
            expired = at > job.ends + self.service.expires_after
            return Page(() if expired else (job.show_operation(at, self.service._view(job, at)),))

        return Pager(fetch)

    def list_models(self, *, page_size=None, fields=None, **_):
        return mapped(self.service._list(size=page_size, light=fields is not None), lambda job, at: job.light(at))


WORDS = {"ACTIVE": "READY", "FAILED": "BROKEN", "CANCELLED": "STOPPED"}
STATES = {
    "BUSY": JobState.CREATING,
    "READY": JobState.ACTIVE,
    "BROKEN": JobState.FAILED,
    "STOPPED": JobState.CANCELLED,
}


class Workshop:
    """A made-up service, in as many lines as a second service takes: a job is all there is to look at."""

    form = "workshops/main/jobs/{}"
    listing = "workshop.list"

    def __init__(self, service):
        self.service = service

    def job_names(self, given):
        name = given if isinstance(given, str) else getattr(given, "name", None)
        if not isinstance(name, str) or not re.fullmatch(r"(workshops/main/jobs/)?[a-z0-9-]+", name):
            raise errors.InvalidInput(f"there is no job {given!r} in any workshop", field="name")
        return name if "/" in name else self.form.format(name), None

    def handle(self, job):
        return job.name

    def word(self, job, at):
        return "BUSY" if at < job.ends else WORDS[job.ending]

    async def look(self, job, work, source, ask):
        assert work is None
        ask.requests["workshop.look"] += 1
        seen, at, shown = await self.service._see_job(job)
        shown = seen.snapshots(at) if shown is None else shown
        state = STATES[self.word(seen, at)]
        return Observation(
            source=Source.JOB,
            at=moment(),
            state=state,
            sought=True,
            created=nanoseconds(stamp(seen.created)),
            snapshots=shown,
            completed_steps=max((each.step for each in shown), default=0),
            total_steps=seen.total,
            error=Status(code=13, message="bad data") if state is JobState.FAILED else None,
            model=seen.model(at) if state is JobState.ACTIVE else None,
        )

    def entry(self, job, at):
        return Listed(job.name, STATES[self.word(job, at)], nanoseconds(stamp(job.created)))

    def list_jobs(self, filter, ask, *, light):
        pager = mapped(self.service._list(size=ask.page_size or 1000, light=light), self.entry)

        async def fetch(token):
            ask.requests["workshop.list"] += 1
            return await anext(pager.pages(token))

        return Pager(fetch).pages()


class Foundry(Workshop):
    """Another made-up service, which says more: a job shows all but its steps, and these are to be had apart."""

    def word(self, job, at):
        if at < job.created + job.queue:
            return "PENDING"
        return "RUNNING" if at < job.ends else WORDS[job.ending]

    async def look(self, job, work, source, ask):
        ask.requests["foundry.look"] += 1
        if source is Source.JOB or work is None:
            at = await self.service._request("job", job)
            return self._see(self.service._job(job, at), at)
        at = await self.service._request("work", job)
        seen = self.service._job(job, at)
        # Whoever has seen that a job has ended sees all of its steps.
        over = seen in self.service.over
        shown = seen.measured(max(at, seen.ends + 1) if over else at)
        shown = shown if over else self._view(shown)
        steps = max((each.step for each in shown), default=0)
        return Observation(source=source, at=moment(), state=None, work=work, snapshots=shown, completed_steps=steps)

    def _view(self, shown):
        dice = self.service.dice
        if dice.random() < self.service.p_holes:
            shown = [each for each in shown if dice.random() < 0.7]
            blank = {"accuracy": None, "eval_loss": None}
            shown = [
                attrs.evolve(each, metrics=attrs.evolve(each.metrics, **blank)) if dice.random() < 0.3 else each
                for each in shown
            ]
        if dice.random() < self.service.p_disorder:
            dice.shuffle(shown)
        return shown

    def _see(self, job, at):
        word = self.word(job, at)
        state = STATES.get(word, JobState.CREATING)
        if state.terminal:
            self.service.over.add(job)
        started = at >= job.created + job.queue
        return Observation(
            source=Source.JOB,
            at=moment(),
            state=state,
            service_state=word,
            reason="warming up" if word == "RUNNING" and not job.snapshots(at) else None,
            work=f"curves of {job.name} of {job.created:.0f}" if started else None,
            created=nanoseconds(stamp(job.created)),
            total_steps=job.total if started else None,
            checkpoints=job.deployed(at),
            data_stats=DataStats(steps=job.total) if started else None,
            endpoint="endpoints/0" if state is JobState.ACTIVE else None,
            error=Status(code=13, message="bad data") if state is JobState.FAILED else None,
            model=job.model(at, ()) if state is JobState.ACTIVE else None,
        )

    def entry(self, job, at):
        word = self.word(job, at)
        reason = "warming up" if word == "RUNNING" and not job.snapshots(at) else None
        state = STATES.get(word, JobState.CREATING)
        return Listed(job.name, state, nanoseconds(stamp(job.created)), word, reason)


class Face:
    """Which service the tests of a watcher run on; chosen by the fixture ``tuning_service``."""

    chosen = Gemini


def named(job_id):
    """Return a job's name in the shape that the service uses."""
    return Face.chosen.form.format(job_id)
