"""Jobs of every kind under one interface: a name says which kind its job is of.

Whoever follows jobs hands names in and gets observations back, so that a watcher may follow tuning jobs and batches
mixed. Who has no batch loads nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gemtune.looks.batches import BatchLooks
from gemtune.looks.service import Ask, JobService
from gemtune.pager import Pages
from gemtune.protocol.names import is_batch_name
from gemtune.resources.batches.service import BatchService
from gemtune.story.observation import Listed, Observation, Source


@attrs.define(eq=False)
class JobsOfAllKinds:
    """Tuning jobs and batches of one service.

    Args:
        tuning: Its tuning jobs.
        open_batches: Returns its batches; called once, when the first one is named.
    """

    tuning: JobService
    open_batches: Callable[[], BatchService]
    _looks: BatchLooks | None = attrs.field(default=None, init=False)

    @property
    def batches(self) -> BatchService:
        """The batches of the service."""
        return self._batch_looks.batches

    def job_names(self, given: object) -> tuple[str, str | None]:
        """Return the name of a job of either kind, and that of its work if that was given."""
        return self._of(given).job_names(given)

    async def look(self, job: str, work: str | None, source: Source, ask: Ask) -> Observation:
        """Look at a job."""
        return await self._of(job).look(job, work, source, ask)

    def list_jobs(self, filter: str | None, ask: Ask, *, light: bool) -> Pages[Listed]:
        """Return the pages of the list of tuning jobs: batches are looked at one by one."""
        return self.tuning.list_jobs(filter, ask, light=light)

    async def cancel(self, job: str, work: str | None) -> None:
        """Cancel a job."""
        await self._of(job).cancel(job, work)

    @property
    def _batch_looks(self) -> BatchLooks:
        if self._looks is None:
            self._looks = BatchLooks(self.open_batches())
        return self._looks

    def _of(self, job: object) -> JobService:
        return self._batch_looks if is_batch_name(job) else self.tuning
