"""Vertex AI: a job is a resource of its own, and its work is the run in which the metrics of its training are kept.

The job says where it stands, what it waits for, which checkpoints there are and what became of it. The run holds the
curves, and never tells an end. It appears some time after the job has begun to train, and may never: then the job is
all there is to look at. A job that has ended is looked at together with its curves, so that this one look shows
everything, as the end of a story must.

What a look at the run alone cannot know (how many steps there are, how many epochs, which curves will come) is kept
from the latest look at the job. Whoever resumes in another process starts with a look at both.
"""

from __future__ import annotations

import random
from typing import Any, Final, Literal

import anyio
import attrs

from gemtune.config import RetryPolicy
from gemtune.errors import ApiError, CredentialsError, QuotaExhausted, Unavailable
from gemtune.http.caller import Caller
from gemtune.looks import vertex_words
from gemtune.looks.service import Ask, Started, moment
from gemtune.pager import Pages
from gemtune.protocol import names, vertex, vertex_inference, vertex_names
from gemtune.protocol.call import Call
from gemtune.protocol.gemini import Page
from gemtune.protocol.vertex_names import Place, Spellings
from gemtune.resources.drafts import TuningDraft
from gemtune.resources.storage import Storage
from gemtune.resources.vertex.cancelling import cancel
from gemtune.resources.vertex.creation import VertexCreation
from gemtune.resources.vertex.curves import Curves
from gemtune.resources.vertex.drafts import base_of, check_draft, data_of, job_to_create
from gemtune.resources.vertex.queue import CreationQueue
from gemtune.settings import Settings
from gemtune.story.observation import Listed, Observation, Source
from gemtune.types.vertex import VertexTuningJob

_PAGE: Final = 100
_MOST_JOBS: Final = 10_000


@attrs.frozen(eq=False)
class VertexTuning:
    """Tuning jobs of Vertex AI, in one project.

    Args:
        caller: Carries out the calls.
        place: The project and location of what is created and listed; what has a full name may be elsewhere.
        storage: Brings training data to where the service reads it.
        queue: Carries out creations, and waits with those for which there is no place yet.
    """

    caller: Caller
    place: Place
    storage: Storage
    queue: CreationQueue
    _curves: Curves = attrs.field(factory=Curves, init=False)
    _spellings: Spellings = attrs.field(factory=Spellings, init=False)
    _seen: dict[str, VertexTuningJob] = attrs.field(factory=dict, init=False)
    """What the latest looks at jobs brought that looks at their runs need, without the statistics' examples."""

    @classmethod
    def through(cls, caller: Caller, settings: Settings) -> VertexTuning:
        """Return the service as one client reaches it."""
        place = Place(settings.project or "", settings.location or "")
        return cls(caller, place, Storage(caller, settings.bucket), CreationQueue(caller.tally))

    def job_names(self, given: object) -> tuple[str, str | None]:
        """Return ``projects/P/locations/L/tuningJobs/ID``."""
        return self._spellings.of(self.place.tuning_job(given)), None

    def model_name(self, given: object, *, field: str = "model") -> str:
        """Return the name of an endpoint, or of a publisher's model."""
        return self.place.asked(given, field=field)

    generate_content = staticmethod(vertex_inference.generate_content)
    stream_generate_content = staticmethod(vertex_inference.stream_generate_content)
    count_tokens = staticmethod(vertex_inference.count_tokens)

    async def look(self, job: str, work: str | None, source: Source, ask: Ask) -> Observation:
        """Look at the job, at its curves, or at both."""
        if source is Source.WORK and work is not None:
            known = self._seen.get(job) or await self._job(job, ask)
            return await self._look_at_curves(job, known, work, ask)
        return await self._look_at_job(job, work, ask, seeks=source is Source.WORK)

    async def _look_at_job(self, job: str, work: str | None, ask: Ask, *, seeks: bool) -> Observation:
        """Look at the job; with its curves if it has ended, or if they are there for the first time."""
        found = await self._job(job, ask)
        seen = vertex_words.observe_job(found, moment())
        ended = found.state.ended
        if not found.experiment or not (seeks or ended):
            return seen
        try:
            run = work or await self._curves.find(found.experiment, self._send(ask))
            if run is None:
                return attrs.evolve(seen, sought=ended)
            steps = await self._curves.read(run, vertex_words.expected_curves(found), self._send(ask))
        except ApiError as error:
            if isinstance(error, QuotaExhausted | Unavailable | CredentialsError):
                raise
            # The job itself can be seen, and its curves cannot: that they were not shared, or are gone, ends nothing.
            return attrs.evolve(seen, sought=True)
        snapshots = vertex_words.snapshots(steps, found)
        if ended:
            self._curves.forget(run)
            self._seen.pop(job, None)
        model = vertex_words.served_model(found, snapshots) if seen.model is not None else None
        done = max((each.step for each in snapshots), default=0) or seen.completed_steps
        return attrs.evolve(seen, work=run, sought=True, snapshots=snapshots, model=model, completed_steps=done)

    async def _look_at_curves(self, job: str, known: VertexTuningJob, run: str, ask: Ask) -> Observation:
        steps = await self._curves.read(run, vertex_words.expected_curves(known), self._send(ask))
        snapshots = vertex_words.snapshots(steps, known)
        return Observation(
            source=Source.WORK,
            at=moment(),
            state=None,
            job=job,
            work=run,
            snapshots=snapshots,
            completed_steps=max((each.step for each in snapshots), default=0) or None,
            total_steps=vertex_words.total_steps(known),
        )

    async def _job(self, job: str, ask: Ask) -> VertexTuningJob:
        found: VertexTuningJob = await self._send(ask)(vertex.get_tuning_job(job))
        self._spellings.learn(job, found.name)
        if len(self._seen) >= _MOST_JOBS and job not in self._seen:
            self._seen.pop(next(iter(self._seen)))
        self._seen[job] = vertex_words.without_examples(found)
        return found

    def _send(self, ask: Ask) -> Any:
        def send(call: Call[Any]) -> Any:
            # Counted before it is sent: a request that fails has cost its share of the quota.
            ask.requests[call.method] += 1
            return self.caller.call(call, timeout=ask.timeout, retry=ask.retry)

        return send

    def list_jobs(self, filter: str | None, ask: Ask, *, light: bool) -> Pages[Listed]:
        """Return the pages of the list of tuning jobs, the one updated last first; ``*`` stands for all of them."""
        wanted = None if filter == "*" else filter
        size = _PAGE if ask.page_size is None else ask.page_size
        fields = vertex.LIGHT if light else None
        vertex.list_tuning_jobs(self.place.name, page_size=size, filter=wanted)  # a wrong filter fails here, not later

        async def fetch(token: str | None) -> Page[Listed]:
            call = vertex.list_tuning_jobs(
                self.place.name, page_size=size, page_token=token, filter=wanted, fields=fields
            )
            page, now = await self._send(ask)(call), moment()
            for job in page:
                self._spellings.learn(self.place.name, job.name)
            items = tuple(
                vertex_words.listed(job, self._spellings.of(job.name), now)
                for job in page
                if vertex_names.is_job(job.name)
            )
            return Page(items, page.next_page_token)

        return Pages(fetch)

    async def create(
        self,
        draft: TuningDraft,
        job_id: str | None,
        if_exists: Literal["error", "adopt"],
        *,
        timeout: float | None,
        retry: RetryPolicy | None,
    ) -> Started:
        """Create a job exactly once, by a label that every attempt carries and every list shows."""
        check_draft(draft)
        chosen = names.chosen_id(job_id, if_exists, draft.display_name, random.getrandbits(64))
        begun = anyio.current_time()
        base = await base_of(draft, self.caller, self.place)
        training = await data_of(draft, "training_data", draft.training_data, self.storage)
        validation = None
        if draft.validation_data is not None:
            validation = (await data_of(draft, "validation_data", draft.validation_data, self.storage)).uri
        job = job_to_create(draft, base, training.uri, validation)
        creation = VertexCreation(
            self.caller, self.place.name, job, chosen, chosen=job_id is not None, adopt=if_exists == "adopt"
        )
        left = None if timeout is None else max(timeout - (anyio.current_time() - begun), 0.001)
        made = await self.queue.through(creation, timeout=left, retry=retry, patient=draft.queue)
        self._spellings.learn(self.place.name, made.name)
        seen = vertex_words.observe_job(made, moment())
        return Started(attrs.evolve(seen, job=self._spellings.of(made.name)), training.data)

    async def cancel(self, job: str, work: str | None) -> None:  # noqa: ARG002 - of the interface
        """Cancel the job; one that has ended already is left as it is."""
        await cancel(self.caller, job)
