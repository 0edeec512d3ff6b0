"""``client.tuning_jobs``: the tuning jobs of Vertex AI as the API has them; ``client.tune`` is the short way."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import attrs

from gemtune import checks
from gemtune.config import RetryPolicy
from gemtune.http.caller import Caller
from gemtune.pager import Pager
from gemtune.protocol import names, vertex
from gemtune.protocol.codec import decode_lenient, encode
from gemtune.protocol.gemini import Page
from gemtune.protocol.vertex_names import Place
from gemtune.resources.given import JobLike
from gemtune.resources.vertex.cancelling import cancel
from gemtune.resources.vertex.creation import VertexCreation
from gemtune.resources.vertex.waiting import taken
from gemtune.types.vertex import VertexTuningJob


@attrs.frozen(eq=False)
class TuningJobs:
    """Creates, reads, lists and cancels tuning jobs; to follow one with its snapshots, use ``client.job(name)``."""

    _caller: Caller
    _place: Place

    async def create(
        self,
        job: VertexTuningJob | Mapping[str, Any],
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> VertexTuningJob:
        """Start a tuning job exactly as it is described here, and exactly once.

        A label ``gemtune-id`` is added, by which a job is found again whose creation got no answer.

        Args:
            job: The job, or its JSON in either spelling; its data must lie in Cloud Storage.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.

        Raises:
            InvalidInput: It is no job.
            AmbiguousOutcome: It could not be found out whether the job was created.
        """
        if isinstance(job, Mapping):
            job = decode_lenient(VertexTuningJob, dict(job))
        checks.instance("job", job, VertexTuningJob, "a gemtune.types.vertex.VertexTuningJob or a dict")
        encode(job)  # what does not fit fails here, before anything is asked
        fresh = names.id_from_display_name(job.tuned_model_display_name, random.getrandbits(64))
        creation = VertexCreation(self._caller, self._place.name, job, fresh, chosen=False, adopt=False)
        return await creation.run(timeout=timeout, retry=retry)

    async def get(
        self, name: JobLike, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> VertexTuningJob:
        """Return a tuning job as it is now.

        Args:
            name: ``projects/P/locations/L/tuningJobs/ID``, the bare id, or a job.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.
        """
        job = await taken(self._caller, self._place.tuning_job(name), retry=retry)
        return await self._caller.call(vertex.get_tuning_job(job), timeout=timeout, retry=retry)

    def list(
        self,
        *,
        filter: str | None = None,
        page_size: int | None = None,
        fields: str | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Pager[VertexTuningJob]:
        """Return the tuning jobs of the client's project and location as a pager, the one updated last first.

        Jobs that change while you read move to the front, so that you may meet one twice and miss another.

        Args:
            filter: Such as ``state="JOB_STATE_RUNNING"`` or ``labels.team="a"``.
            page_size: Jobs on a page.
            fields: The parts of the reply that you want, such as ``tuningJobs(name,state),nextPageToken``. Without the
                token you get the first page only.
            timeout: Seconds for each page.
            retry: Another retry policy for each page.
        """
        vertex.list_tuning_jobs(self._place.name, page_size=page_size, filter=filter)  # bad arguments fail here

        async def fetch(token: str | None) -> Page[VertexTuningJob]:
            call = vertex.list_tuning_jobs(
                self._place.name, page_size=page_size, page_token=token, filter=filter, fields=fields
            )
            return await self._caller.call(call, timeout=timeout, retry=retry)

        return Pager(fetch)

    async def cancel(self, name: JobLike, *, timeout: float | None = None, retry: RetryPolicy | None = None) -> None:
        """Ask the service to cancel a job; one that has ended already stays as it is, and that is no error.

        Args:
            name: ``projects/P/locations/L/tuningJobs/ID``, the bare id, or a job.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.
        """
        job = await taken(self._caller, self._place.tuning_job(name), retry=retry)
        await cancel(self._caller, job, timeout=timeout, retry=retry)
