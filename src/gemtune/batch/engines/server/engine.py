"""The server engine: an input goes to the service in parts, and what comes back is led to its items.

::

    intake ──item──> Packing ──part──> Post ──batch──> Post ──results──> Delivery ──> Run.finish
                        │ spool, journal   │ place, create  │ poll, fetch     └─> Finishing (``finish="local"``)
                        └─────────── SentParts: what is where, by number and digest ────────────┘

A batch is paid for once it is created, and its creation is not idempotent. So each step of a part is in the journal
before the next one is taken, and after a kill anywhere the journal says what may exist:

==========================  ==================  ===============================================================
the journal's last word     the service has     the next run
==========================  ==================  ===============================================================
items, and no part          nothing             asks for the items anew
``intended`` (on the disk)  at most the input   looks for the mark, finds nothing: ``void``, items are new ones
``placed`` (on the disk)    perhaps a batch     looks for the mark: adopts the batch, or ``void``
``created``                 a batch             looks at it, waits for it, collects it
some outcomes               a batch             collects it again; what has an outcome is passed over
``ended``                   nothing to collect  nothing
==========================  ==================  ===============================================================

The mark is in the batch's display name or label, and nobody else uses it. The precedent is a two-phase commit whose
coordinator keeps a write-ahead log: intent, prepare, commit, and a question to the participant if the log ends between.

Leaving, an error, or Ctrl-C never ends a batch at the service: it was paid for, it runs on, and the same call with the
same journal collects it. ``drain`` hands on what is here, and waits for nothing that is not.

The input is read only as parts are filled, one at a time, and one part is on its way to the service at a time. So at
most one spool is on the disk, and memory holds lots of items and lines only, at any size of the input. A part that is
larger than the service's queue is ``void``, and sent in halves; while they are made, its spool is there twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import anyio.to_thread
import attrs
from anyio.abc import TaskGroup

from gemtune.batch.engines.answering import Answering
from gemtune.batch.engines.run import Run
from gemtune.batch.engines.server.delivery import Delivery
from gemtune.batch.engines.server.filling import Packing, Spool
from gemtune.batch.engines.server.finishing import Finishing
from gemtune.batch.engines.server.job import PartJob, PartJobs
from gemtune.batch.engines.server.post import Post
from gemtune.batch.engines.server.results import Results
from gemtune.batch.engines.server.sending import PartSending, note
from gemtune.batch.intake import Intake
from gemtune.batch.journal.parts import InputOrder, SentPart, SentParts
from gemtune.batch.report import held_back
from gemtune.limiter.limiter import Limiter
from gemtune.resources.batches.service import BatchService
from gemtune.types.batches import GenerateContentBatch

_log = logging.getLogger("gemtune.batch")


@attrs.define(eq=False, kw_only=True)
class ServerEngine:
    """Has the service answer the items of a run.

    Args:
        intake: The items.
        answering: Asks from here for what the service has left, and knows model and acceptance.
        limiter: Says when that may be asked.
        service: Runs batches.
        parts: What was sent, by this run and by earlier ones.
        finish: Whether what the service has left is asked from here.
        post: Talks to the service.
    """

    intake: Intake
    answering: Answering
    limiter: Limiter
    service: BatchService
    parts: SentParts
    finish: bool = False
    post: Post = attrs.field(init=False)
    _run: Run = attrs.field(init=False)
    _delivery: Delivery = attrs.field(init=False)
    _sending: PartSending | None = attrs.field(default=None, init=False)
    _tasks: TaskGroup = attrs.field(factory=anyio.create_task_group, init=False)
    _jobs: PartJobs = attrs.field(factory=PartJobs, init=False)
    _turns: InputOrder | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.post = Post(self.service, self.answering.model, self.answering.tally)

    async def work(self, run: Run) -> None:
        """Bring an outcome for every item; cancelled by the run once it is to stop."""
        if run.writer is None:
            _log.warning(
                "the batches of this run are in no journal: if this process is killed or left before they end, "
                "their results are paid for and not collected; a journal would keep them"
            )
        self._run = run
        self._turns = await anyio.to_thread.run_sync(InputOrder().open) if run.outbox.ordered else None
        try:
            async with self._tasks as tasks:
                self._sending = sending = self._made(run, anyio.Event())
                tasks.start_soon(self._guarded, self._everything, sending)
        finally:
            self._jobs.close()

    @property
    def busy(self) -> bool:
        """Whether something is here that is to be handed on, although the run stops."""
        if self._sending is None:
            return False
        delivery, finishing = self._delivery, self._delivery.finishing
        asking = finishing is not None and finishing.asking > 0
        return asking or (delivery.active > 0 and not delivery.stopped)

    def held_back(self, run: Run) -> str:
        """Return what holds the run back."""
        sending = self._sending
        if sending is None or run.tally.over is not None:
            return "waiting for the consumer" if run.outbox.waiting else ""
        if self.post.waits:
            return self.post.waits
        if self._delivery.full:
            return "waiting for the consumer"
        finishing = self._delivery.finishing
        if finishing is not None and (finishing.asking or run.tally.parked):
            return held_back("limiter", run.tally, self.limiter, run.outbox)
        if sending.holds == "input":
            return "waiting for the input"
        jobs = run.tally.jobs
        if jobs:
            return f"waiting for {'a batch' if jobs == 1 else f'{jobs} batches'} at the service"
        if self._delivery.active > 0:
            return "reading results"
        return "creating a batch" if run.tally.jobs_waiting else "uploading"

    def _made(self, run: Run, input_over: anyio.Event) -> PartSending:
        answering, parts, finishing = self.answering, self.parts, None
        if self.finish:
            finishing = Finishing(run, answering, self.limiter, parts, self._tasks, input_over)
        self._delivery = Delivery(run, parts, answering.acceptance, answering.shared, finishing)
        spools = {number: job.spool for number, job in self._jobs.items()}
        packing = Packing(self.service, answering.model, answering.shared, parts, spools, run.writer is not None)
        return PartSending(
            run=run,
            intake=self.intake,
            packing=packing,
            post=self.post,
            parts=parts,
            turns=self._turns,
            delivery=self._delivery,
            jobs=self._jobs,
            begin=self._begin,
            input_over=input_over,
            own=self.finish,
        )

    async def _guarded(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        try:
            await work(*arguments)
        except Exception as error:  # noqa: BLE001 - it ends the run, and is raised where results are read
            self._run.stop.begin(error)
        self._run.settle()

    async def _everything(self, sending: PartSending) -> None:
        """Settle what earlier runs have left, and send the rest."""
        for part in [*self.parts.known.values()]:
            await self._adopt(part, sending)
        if self._turns is not None:
            in_order = partial(self._delivery.in_order, self._turns, self._jobs, sending.input_over)
            self._tasks.start_soon(self._guarded, in_order)
        await sending.everything()

    async def _adopt(self, part: SentPart, sending: PartSending) -> None:
        """Find out what became of a part that an earlier run has left open, before the input is read."""
        written = max(0.0, time.time() - self.parts.written_at)
        if part.batch or await self.post.find(part, written):
            if part.state != "created":
                await note(self._run, part, "created")
            job = self._jobs[part.number] = PartJob(
                part, Spool.open(wire=False, own=self.finish), Results(self.service)
            )
            sending.packing.spools[part.number] = job.spool
            self._begin(job)
        else:
            await note(self._run, part, "void", on_disk=False)
            await anyio.to_thread.run_sync(partial(self.parts.end, part, void=True))
            await self.post.discard(part)

    def _begin(self, job: PartJob) -> None:
        self._run.tally.jobs += 1
        self._run.tally.in_flight += job.part.left
        self._tasks.start_soon(self._guarded, self._lead, job)

    async def _lead(self, job: PartJob) -> None:
        """Lead a part whose batch exists to its end."""
        part = job.part
        try:
            await self._collect(job)
        finally:
            self._run.tally.jobs -= 1
            self.post.freed()
        if self._sending is not None:
            self._sending.changed()
        if self._turns is None:
            await self._delivery.whole(job)
        if part.left > 0:
            await job.over.wait()
        await note(self._run, part, "ended", on_disk=False)
        await anyio.to_thread.run_sync(self.parts.end, part)
        job.close()
        if self._sending is not None:
            self._sending.changed()
        await self.post.discard(part)

    async def _collect(self, job: PartJob) -> None:
        """Wait for the end of a part's batch, download its results, and check them."""
        part, results = job.part, job.results
        batch = await self.post.ended(part) if part.batch else None
        if batch is not None:
            results.ending, results.seconds = str(batch.state), _seconds(batch)
            results.said = batch.error.message if batch.error is not None else ""
            await self.post.fetch(batch, await anyio.to_thread.run_sync(results.open))
        matched = await anyio.to_thread.run_sync(results.check, part, self.parts)
        if matched.unknown or matched.repeated:
            _log.warning(
                "%s has returned %d lines that belong to none of its items, and %d of items that had one already: "
                "they are not used",
                part.batch,
                matched.unknown,
                matched.repeated,
            )
        self._run.tally.unmatched += matched.unknown + matched.repeated
        job.ready.set()


def _seconds(batch: GenerateContentBatch) -> float:
    if batch.create_time is None or batch.end_time is None:
        return 0.0
    return max(0.0, (batch.end_time.nanoseconds - batch.create_time.nanoseconds) / 1e9)
