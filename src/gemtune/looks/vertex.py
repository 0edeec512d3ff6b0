"""Vertex AI: a job is a resource of its own, and its work is the experiment in which its training is recorded.

The job says where it stands, what it waits for, which checkpoints there are and what became of it; the experiment holds
the curves, and never tells an end. So the two are looked at in turn, with one request each. The experiment appears some
time after the job has begun to train, and may never: then the job is all there is to look at.

What a look at the curves alone cannot know (how many steps there are, how many epochs, which curves will come) is kept
from the latest look at the job.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable
from functools import partial
from typing import Any, Final, Literal

import anyio
import attrs

from gemtune.config import RetryPolicy
from gemtune.datasets.vertex import check_validation
from gemtune.errors import MalformedResponse, PermissionDenied, QuotaExhausted
from gemtune.http.caller import Caller
from gemtune.looks import vertex_words
from gemtune.looks.service import Ask, Started, moment
from gemtune.looks.vertex_words import TrainingFacts
from gemtune.pager import Pages
from gemtune.protocol import names, vertex, vertex_inference, vertex_names
from gemtune.protocol.call import Call
from gemtune.protocol.gemini import Page
from gemtune.protocol.said import unended
from gemtune.protocol.vertex_names import Place, Spellings
from gemtune.remedy import Argument, Remedy
from gemtune.resources.attempts import time_left
from gemtune.resources.drafts import MANY, TuningDraft, off_loop
from gemtune.resources.storage import Storage
from gemtune.resources.vertex.cancelling import cancel
from gemtune.resources.vertex.creation import VertexCreation
from gemtune.resources.vertex.curves import Curves, Send
from gemtune.resources.vertex.drafts import base_of, check_draft, data_of, job_to_create
from gemtune.resources.vertex.waiting import WaitingRoom, is_waiting, may_wait
from gemtune.settings import Settings
from gemtune.story.observation import Listed, Observation, Source
from gemtune.types.vertex import VertexTuningJob

_log = logging.getLogger("gemtune.datasets")
_jobs_log = logging.getLogger("gemtune.jobs")

_PAGE: Final = 100
_MOST_JOBS: Final = 10_000
_ROLE: Final = "The role Vertex AI User (roles/aiplatform.user) may read the curves"


@attrs.frozen(eq=False)
class VertexTuning:
    """Tuning jobs of Vertex AI, in one project.

    Args:
        caller: Carries out the calls.
        place: The project and location of what is created and listed; what has a full name may be elsewhere.
        storage: Brings training data to where the service reads it.
        room: Where creations wait for which there is no place yet.
    """

    caller: Caller
    place: Place
    storage: Storage
    room: WaitingRoom
    _curves: Curves = attrs.field(factory=Curves, init=False)
    _spellings: Spellings = attrs.field(factory=Spellings, init=False)
    _seen: dict[str, TrainingFacts] = attrs.field(factory=dict, init=False)
    """What the latest looks at jobs brought that looks at their curves need."""
    _dark: set[str] = attrs.field(factory=set, init=False)
    """The projects whose curves may not be read, as was said."""

    @classmethod
    def through(cls, caller: Caller, settings: Settings) -> VertexTuning:
        """Return the service as one client reaches it."""
        place = Place(settings.project or "", settings.location or "")
        return cls(caller, place, Storage(caller, settings.bucket), WaitingRoom(caller))

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
        """Look at the job, or at its curves; until an experiment is known, at the job in any case."""
        if source is Source.WORK and work is not None:
            return await self._look_at_curves(job, work, ask)
        found = await self._job(job, ask)
        return attrs.evolve(vertex_words.observe_job(found, moment()), work=found.experiment or None)

    async def _look_at_curves(self, job: str, experiment: str, ask: Ask) -> Observation:
        if job not in self._seen:
            await self._job(job, ask)
        known = self._seen[job]
        try:
            steps = await self._curves.of(experiment, known.expected, self._send(ask), ended=known.ended)
        except PermissionDenied as error:
            self._warn(job, error)
            raise
        snapshots = await off_loop(len(steps) > MANY, partial(vertex_words.snapshots, steps, known))
        return Observation(
            source=Source.WORK,
            at=moment(),
            state=None,
            job=job,
            work=experiment,
            snapshots=snapshots,
            completed_steps=max((each.step for each in snapshots), default=0) or None,
            total_steps=known.steps,
        )

    def _warn(self, job: str, error: PermissionDenied) -> None:
        """Say once for a project that its curves may not be read: its jobs are followed all the same."""
        project = job.split("/")[1]
        if project not in self._dark:
            self._dark.add(project)
            _jobs_log.warning(
                "no losses of %s, nor of others in its project: %s. %s", job, unended(error.message), _ROLE
            )

    async def _job(self, job: str, ask: Ask) -> VertexTuningJob:
        name = await self.room.look(job) if is_waiting(job) else job
        if isinstance(name, VertexTuningJob):
            return name
        found: VertexTuningJob = await self._send(ask)(vertex.get_tuning_job(name))
        self._spellings.learn(name, found.name)
        if len(self._seen) >= _MOST_JOBS and job not in self._seen:
            self._seen.pop(next(iter(self._seen)))
        self._seen[job] = TrainingFacts.of(found)
        return found

    def _send(self, ask: Ask) -> Send:
        def send(call: Call[Any]) -> Awaitable[Any]:
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
            page = await self._send(ask)(call)
            for job in page:
                self._spellings.learn(self.place.name, job.name)
            items = tuple(
                vertex_words.listed(job, self._spellings.of(job.name)) for job in page if vertex_names.is_job(job.name)
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
        left = time_left(timeout, begun)
        training = await data_of(draft, "training_data", draft.training_data, self.storage, left)
        validation = None
        if draft.validation_data is not None:
            left = time_left(timeout, begun)
            validation = await data_of(draft, "validation_data", draft.validation_data, self.storage, left)
            note = check_validation(training.data, validation.data)
            if note is not None:
                _log.warning("validation data: %s", note)
        job = job_to_create(draft, base, training.uri, validation.uri if validation is not None else None)
        taken = job_id is not None and not draft.fresh  # whether it may be
        creation = VertexCreation(
            self.caller, self.place.name, job, chosen, chosen=taken, adopt=if_exists == "adopt", wanted=draft.wanted
        )
        try:
            made = await creation.run(timeout=time_left(timeout, begun), retry=retry)
        except QuotaExhausted as error:
            if not may_wait(error):
                raise
            if not draft.queue:
                error.remedies = (*error.remedies, Remedy("let it wait for a place: ", Argument("queue", True)))
                raise
            made = self.room.enter(
                creation, self._spellings.of(vertex_names.waiting_name(creation.parent, creation.label)), error
            )
        if not vertex_names.is_job(made.name):
            raise MalformedResponse(
                f"the reply to a creation names no job: {made.name!r:.80}", resource=self.place.name
            )
        self._spellings.learn(self.place.name, made.name)
        seen = vertex_words.observe_job(made, moment())
        return Started(attrs.evolve(seen, job=self._spellings.of(made.name)), training.data, creation.adopted)

    async def cancel(self, job: str, work: str | None) -> None:  # noqa: ARG002 - of the interface
        """Cancel the job; one that has ended already is left as it is."""
        name = await self.room.leave(job) if is_waiting(job) else job
        if name is not None:
            await cancel(self.caller, name)
