"""The batch inferencer, as its user holds it: a block to enter, results to iterate over, figures to look at."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from types import TracebackType
from typing import Final, Literal, Self, Unpack

import anyio
import anyio.to_thread
import attrs

from gemtune.background import Background, check_start
from gemtune.batch.engines.answering import Answering
from gemtune.batch.engines.local import LocalEngine
from gemtune.batch.engines.run import BatchEngine, Run
from gemtune.batch.inputs import Inputs, ModelName, config_digests
from gemtune.batch.intake import Intake
from gemtune.batch.journal.export import export_journal
from gemtune.batch.journal.file import Journal
from gemtune.batch.journal.lines import Header
from gemtune.batch.journal.parts import SentParts, still_at_the_service
from gemtune.batch.journal.replay import JournalReplay
from gemtune.batch.journal.writer import JournalWriter
from gemtune.batch.keys import Keys, RecentKeys
from gemtune.batch.observer import RunObserver
from gemtune.batch.options import BatchSpec, make_spec
from gemtune.batch.outbox import Outbox
from gemtune.batch.patience import GeneratesContent, PatientClient
from gemtune.batch.planning.planned import PlannedBatch, choose_engine
from gemtune.batch.planning.prices import BudgetGuard, TokenPrices
from gemtune.batch.progress import BatchStatistics, RunTally
from gemtune.batch.report import Stop, stop_error
from gemtune.batch.result import BatchResult, BatchResults
from gemtune.errors import BatchStopped, GemtuneError, JournalError, MisuseError, NotSupported
from gemtune.limiter.limiter import Limiter
from gemtune.notebook.live import said_if_left
from gemtune.resources.batches.service import BatchService
from gemtune.resources.given import BatchOptions

_ONCE: Final = "a batch runs once: call client.batch again, with the same journal to continue"


def make_batch(
    client: GeneratesContent,
    model_name: ModelName,
    model: object,
    inputs: object,
    default: Limiter | None = None,
    permitted: GeneratesContent | None = None,
    observer: RunObserver | None = None,
    batches: Callable[[], BatchService] | None = None,
    **options: Unpack[BatchOptions],
) -> Batch:
    """Return a batch that has not begun.

    Args:
        client: The client to ask through.
        model_name: Returns the name under which the service knows a model.
        model: The model.
        inputs: The rows.
        default: The limiter to use if the options say nothing, or None.
        permitted: The client to ask through if ``default`` is used: it asks for no permit of that limiter, because the
            batch holds one for each of its requests.
        observer: Is told that the run begins, if the client is observed.
        batches: Returns what runs batches at the service, for ``engine="server"``.
        options: The arguments of ``client.batch``.

    Raises:
        InvalidInput: An argument is wrong, or a limiter is given beside the numbers to make one of.
    """
    spec, limiter, numbers = make_spec(model_name(model), options)
    if limiter is None:
        limiter = default if default is not None and not numbers else Limiter(**numbers)
    if limiter is default and permitted is not None:
        client = permitted
    prices = None if spec.prices is None else TokenPrices.of(spec.prices)
    if prices is not None:
        prices.of_model(spec.model)
    return Batch(client, model_name, spec, inputs, limiter, observer, batches, prices)


@attrs.define(eq=False, repr=False)
class Batch(PlannedBatch):
    """A model asked everything in an input: enter it with ``async with``, and iterate over its results.

    Nothing starts before the block is entered. Leaving it early gives up what is in flight; ``drain()`` lets it
    finish. Either way the journal is complete, and the same call continues from there: it yields every row once, and
    what the journal holds comes from the file, marked ``replayed``. With ``resume="rest"`` it yields only the rest.
    With the server engine, what the service works on runs on in either case, and the same call collects it.

    On asyncio you may enter it, take results and leave it in different tasks, as ``asyncio.wait_for`` and async
    generators do, or use ``start()`` and ``aclose()`` instead of a block.

    Args:
        client: The client to ask through.
        model_name: Returns the name under which the service knows a model that a row names.
        spec: What is to be done.
        inputs: The rows.
        limiter: Says when a request may be sent.
        observer: Is told that the run begins, if the client is observed.
        batches: Returns what runs batches at the service.
        prices: What tokens cost, if that was said.
        collected: What ``collect`` and ``show`` have had of this run, including after an interrupt.
        parts: What was sent to the service and is not answered, by this run and by earlier ones.
        meter: Is asked at each outcome whether the run is to end, by whoever counts for several batches.
        places: With a journal, the items of this input and their places, which its export writes.
    """

    client: PatientClient = attrs.field(converter=PatientClient)
    _model_name: ModelName
    spec: BatchSpec
    inputs: Inputs = attrs.field(converter=Inputs)
    limiter: Limiter
    observer: RunObserver | None = None
    batches: Callable[[], BatchService] | None = None
    prices: TokenPrices | None = None
    places: Keys | None = attrs.field(default=None, init=False)
    meter: Callable[[RunTally], BatchStopped | None] | None = attrs.field(default=None, init=False)
    parts: SentParts = attrs.field(factory=SentParts, init=False)
    collected: BatchResults = attrs.field(factory=BatchResults, init=False)
    _total: int | None = attrs.field(init=False)
    _outbox: Outbox = attrs.field(init=False)
    _run: Run | None = attrs.field(default=None, init=False)
    _background: Background | None = attrs.field(default=None, init=False)
    _entered: bool = attrs.field(default=False, init=False)
    _left: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        config_digests(self.spec.shared)  # refuses what cannot be sent, before anything is
        self._total = self.inputs.total  # now, as an iterator's shrinks with every row
        self._outbox = Outbox(self.spec.order == "input")

    def __repr__(self) -> str:
        if self._run is None:
            return f"<Batch on {self.model}, not begun>"
        p = self._run.tally
        return f"<Batch on {self.model}: {p.done} done, {p.failed} failed, {p.in_flight} in flight, {p.parked} parked>"

    @property
    def model(self) -> str:
        """The model's name."""
        return self.spec.model

    async def __aenter__(self) -> Self:
        """Open the journal and begin."""
        await (await _prepared(self)).enter(self)
        return self

    async def start(self) -> Self:
        """Begin without a block, until ``aclose``, for what outlives a function: ``results = await batch.start()``.

        Raises:
            MisuseError: Under trio, where every task has a parent: use ``async with``. Or it has begun before.
        """
        check_start("async with client.batch(...) as results")
        (await _prepared(self)).start(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up what is in flight, complete the journal, and let go of everything.

        Raises:
            JournalError: A result could not be written, and the iteration has not reported it.
        """
        self._left = True
        # Also after a normal end, when nothing is left to give up: one way out is easier to get right than two.
        if self._background is not None:
            await self._background.leave()
        if error is None:
            _raise_unwritten(self._begun())

    async def aclose(self) -> None:
        """End it as leaving the block does; closing twice is harmless.

        Raises:
            JournalError: A result could not be written, and the iteration has not reported it.
        """
        self._left = True
        if self._background is not None:
            await self._background.close()
            _raise_unwritten(self._begun())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BatchResult:
        """Return the next result.

        Raises:
            BatchStopped: Nothing more could succeed; the cause is chained.
            JournalError: A result could not be written.
            DeadlineExceeded: The run's time is up.
        """
        run = self._begun()
        result = await self._outbox.get()
        if result is None:
            error = stop_error(run.stop, run.tally, self.model, self.spec.journal)
            run.stop.reason = None  # it is reported once
            raise StopAsyncIteration if error is None else error
        if result.error is not None and self.spec.on_error == "raise":
            result.error.add_note(f"this was item {result.index} of the batch, key {result.key!r}")
            raise result.error
        return result

    async def collect(self) -> BatchResults:
        """Run to the end, and return the result of every row, including those that the journal already held.

        It enters the batch if you have not. Inside the block it works as long as nothing was taken.

        Returns:
            In the order of the input, or as they came; what a batch that was entered with ``resume="rest"`` has
            passed over stands first then.

        Raises:
            MisuseError: Results were taken already, or the batch is over.
            Exception: As in iterating; its ``results`` are those that there were until then.
        """
        if self._left:
            raise MisuseError(_ONCE)
        if self._outbox.taken:
            raise MisuseError(
                f"{self._outbox.taken} results were taken already, and collect() returns all of them: continue the "
                "iteration, or call collect() before anything else takes results"
            )
        if not self._entered:  # whoever wants a list wants all of it
            self.spec = attrs.evolve(self.spec, resume="all")
        found = self.collected
        try:
            async with nullcontext() if self._entered else self:
                with said_if_left(self._left_note):
                    async for result in self:
                        found.append(result)
                return BatchResults(await _with_held(self, found))
        except Exception as error:
            # Whatever it is, the input's own error or a journal that is gone: what was paid for is handed over.
            found += self._outbox.rest()
            every: list[BatchResult] = found
            with suppress(GemtuneError):  # what ended the run is to be reported, not that the journal is unreadable
                every = await _with_held(self, found)
            with suppress(AttributeError):
                error.results = tuple(every)  # type: ignore[attr-defined]
            raise

    def drain(self) -> None:
        """Begin nothing more: what is in flight finishes and is yielded, then the iteration ends."""
        self._begun().drain()

    async def export(self, output: str | os.PathLike[str], *, order: Literal["completed", "input"] = "input") -> int:
        """Write what the journal holds of this run's input to a JSONL file, which appears whole or not at all.

        After the run these are all its items, including those that earlier runs have answered. While it runs, they are
        those that were read and have an outcome. Each line is ``{"key", "response"}`` or ``{"key", "error"}``, as
        ``export_journal`` writes them.

        Args:
            output: The file to write or to replace.
            order: In the order of the input, or as they were completed.

        Returns:
            The number of lines.

        Raises:
            MisuseError: The batch has no journal, or has not begun.
            InvalidInput: The output cannot be a file, or is the journal, or ``order`` is not one of the two words.
            GemtuneError: The output could not be written, or the journal not be read.
        """
        if self.spec.journal is None:
            raise MisuseError("there is nothing to export without a journal: client.batch(..., journal=PATH)")
        self._begun()
        write = partial(export_journal, self.spec.journal, output, order=order, places=self.places)
        return await anyio.to_thread.run_sync(write)

    def statistics(self) -> BatchStatistics:
        """Return how far the batch is, how fast it is, and what holds it back."""
        run = self._run
        if run is None:
            return RunTally(0.0).statistics(0.0, waiting=0, total=self._total, limit="the batch has not begun")
        waiting = self._outbox.waiting + (0 if run.writer is None else len(run.writer))
        away = f"no credential for now: {self.client.away}" if self.client.away else ""
        limit = away or run.engine.held_back(run)
        return run.tally.statistics(run.tally.now(), waiting=waiting, total=self._total, limit=limit)

    @property
    def over(self) -> bool:
        """Whether nothing is asked any more: its input has ended, or somebody has left it."""
        return self._left or self._outbox.over

    def _begun(self) -> Run:
        if self._run is None:
            raise MisuseError("the batch has not begun: async with client.batch(...) as results")
        return self._run


async def _prepared(batch: Batch) -> Background:
    if batch._entered:
        raise MisuseError(_ONCE)
    batch._entered = True
    try:
        batch.spec, inputs = await choose_engine(batch)
        batch.inputs = inputs.iterable  # type: ignore[assignment]
    except BaseException:
        batch._left = True
        raise
    if batch.spec.journal is not None:
        batch.places = Keys(batch.spec.journal)
    run = batch._run = _made_run(batch)
    try:
        if batch.places is not None and batch.spec.journal is not None:
            await _open(batch.spec, batch.spec.journal, batch.places, batch.parts, run)
    except BaseException:
        batch._left = True  # nobody will put anything into the outbox
        batch._outbox.end()
        raise
    batch._background = Background("batch", partial(run.run, batch.spec.timeout), run.leave, run.give_up)
    return batch._background


def _raise_unwritten(run: Run) -> None:
    if isinstance(run.stop.reason, JournalError):
        reason, run.stop.reason = run.stop.reason, None
        raise reason


def _made_run(batch: Batch) -> Run:
    spec, tally, stop = batch.spec, RunTally(anyio.current_time()), Stop()
    keys = RecentKeys() if batch.places is None else batch.places
    watch = batch.observer(batch.model, tally) if batch.observer is not None else None
    intake = Intake(batch.inputs, batch.model, batch._model_name, tally, stop, keys, spec.resume == "all")
    answering = Answering(
        client=batch.client,
        model=batch.model,
        shared=spec.shared,
        limiter=batch.limiter,
        tally=tally,
        stop=stop,
        acceptance=spec.accept,
        max_failures=spec.max_failures,
        item_timeout=spec.item_timeout,
        watch=watch,
    )
    engine: BatchEngine
    if spec.engine == "server":
        engine = _server_engine(batch, intake, answering)
    else:
        engine = LocalEngine(intake=intake, answering=answering, limiter=batch.limiter)
    run = Run(engine=engine, outbox=batch._outbox, tally=tally, stop=stop, max_failures=spec.max_failures, watch=watch)
    if spec.budget is not None and batch.prices is not None:
        run.spent = BudgetGuard(spec.budget, batch.prices, spec.model).enough
    if batch.meter is not None:
        run.spent = batch.meter
    return run


def _server_engine(batch: Batch, intake: Intake, answering: Answering) -> BatchEngine:
    from gemtune.batch.engines.server import ServerEngine  # whoever asks from here loads nothing of it

    if batch.batches is None:
        raise NotSupported("this client cannot have batches run by the service")
    finish = batch.spec.finish == "local"
    service, parts = batch.batches(), batch.parts
    return ServerEngine(
        intake=intake, answering=answering, limiter=batch.limiter, service=service, parts=parts, finish=finish
    )


async def _with_held(batch: Batch, found: list[BatchResult]) -> list[BatchResult]:
    """Return results together with those that a run of the rest has passed over."""
    replay = batch._run.replay if batch._run is not None else None
    if replay is None or batch.spec.resume == "all":
        return found
    held = await anyio.to_thread.run_sync(replay.passed_over)
    return sorted([*held, *found], key=lambda one: one.index) if batch.spec.order == "input" else [*held, *found]


async def _open(spec: BatchSpec, path: str | os.PathLike[str], keys: Keys, parts: SentParts, run: Run) -> None:
    """Open the journal, and give a run its ways into it and out of it."""
    header = Header(spec.model, config_digests(spec.shared))
    journal = Journal(path, header, keys, parts, keep_failed=not spec.retry_failed, acceptance=spec.accept)
    try:
        # A journal of 10 GB takes minutes to read, and whoever gives up must not wait for it.
        await anyio.to_thread.run_sync(journal.open, abandon_on_cancel=True)
        if parts.known and spec.engine != "server":
            raise still_at_the_service(path, parts)
    except BaseException:
        journal.close()  # a thread that still reads it learns of that at its next line
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(partial(journal.close, wait=True))
        raise
    run.writer = JournalWriter(journal, run.outbox, spec.durability, run.abort)
    run.replay = JournalReplay(journal, run.outbox, run.abort)
