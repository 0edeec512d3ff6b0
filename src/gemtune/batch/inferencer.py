"""The batch inferencer, as its user holds it: a block to enter, results to iterate over, figures to look at."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Literal, Self

import anyio
import anyio.to_thread
import attrs

from gemtune.batch.engines.local import Asks, Run
from gemtune.batch.inputs import config_digests
from gemtune.batch.journal.export import export_journal, read_journal
from gemtune.batch.journal.file import Journal
from gemtune.batch.journal.writer import Commit, Durability
from gemtune.batch.outbox import Outbox
from gemtune.batch.patience import Asking
from gemtune.batch.progress import Progress
from gemtune.batch.result import BatchResult, BatchStatistics
from gemtune.batch.source import Source
from gemtune.errors import (
    BatchStopped,
    CallError,
    CredentialsError,
    DeadlineExceeded,
    GemtuneError,
    InvalidInput,
    JournalError,
    MisuseError,
)
from gemtune.limiter.limiter import Limiter
from gemtune.protocol import names

_ONCE: Final = "a batch runs once: call client.batch again, with the same journal to go on"


def _one_of(*values: str) -> Any:
    def check(_: object, field: attrs.Attribute[str], value: object) -> None:
        if value not in values:
            raise InvalidInput(f"{field.alias} is {' or '.join(map(repr, values))}, not {value!r}", field=field.alias)

    return check


def _seconds(_: object, field: attrs.Attribute[float], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise InvalidInput(f"{field.alias} is a positive number of seconds, not {value!r}", field=field.alias)


def _yes_or_no(_: object, field: attrs.Attribute[bool], value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidInput(f"{field.alias} is True or False, not {value!r}", field=field.alias)


def _path(_: object, field: attrs.Attribute[str], value: object) -> None:
    if value is not None and (not isinstance(value, str | os.PathLike) or not os.fspath(value)):
        raise InvalidInput(f"{field.alias} is the path of a file, not {value!r}", field=field.alias)


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else value


@attrs.define(eq=False, repr=False, kw_only=True)
class Batch:
    """A model asked everything in an input: enter it with ``async with``, and iterate over its results.

    Nothing starts before the block is entered. Leaving it early gives up what is in flight, ``drain()`` lets it
    finish. Either way the journal is complete, and the same call goes on from there: it does not yield again what the
    journal holds, so what has to be complete is taken from there, by ``export`` or ``read_journal``.

    Args:
        client: Whom to ask through.
        model: The model's name.
        inputs: The rows.
        limiter: Who says when.
        order: ``completed`` or ``input``.
        journal: The journal's path, or None.
        durability: When a result counts as written, see ``Commit``.
        on_error: ``keep`` yields failures, ``raise`` raises the first.
        retry_failed: Whether items that failed in an earlier run are asked again.
        item_timeout: Seconds for one item with all its attempts and waits.
        timeout: Seconds for the whole run.
        shared: Arguments of ``generate_content`` for all items.
    """

    client: Asks
    model: str = attrs.field(converter=names.model_name)
    source: Source = attrs.field(alias="inputs", converter=Source)
    limiter: Limiter
    order: Literal["completed", "input"] = attrs.field(default="completed", validator=_one_of("completed", "input"))
    journal: str | os.PathLike[str] | None = attrs.field(default=None, validator=_path)
    durability: Durability = attrs.field(default="batch", validator=_one_of("batch", "sync", "none"))
    on_error: Literal["keep", "raise"] = attrs.field(default="keep", validator=_one_of("keep", "raise"))
    retry_failed: bool = attrs.field(default=True, validator=_yes_or_no)
    item_timeout: float = attrs.field(default=math.inf, converter=_or_infinite, validator=_seconds)
    timeout: float = attrs.field(default=math.inf, converter=_or_infinite, validator=_seconds)
    shared: Mapping[str, Any] = attrs.field(factory=dict)
    _config: dict[str, str] = attrs.field(init=False)
    _asking: Asking = attrs.field(init=False)
    _total: int | None = attrs.field(init=False)
    _outbox: Outbox = attrs.field(init=False)
    _run: Run | None = attrs.field(default=None, init=False)
    _hungry: bool = attrs.field(default=False, init=False)
    _entered: bool = attrs.field(default=False, init=False)
    _left: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        """Refuse settings that cannot be sent, before anything is."""
        self.shared = {name: value for name, value in self.shared.items() if value is not None and value != ()}
        self._config = config_digests(self.shared)
        self._asking = Asking(self.client)
        self._total = self.source.total  # now, as an iterator's shrinks with every row
        self._outbox = Outbox(self.order == "input")

    def __repr__(self) -> str:
        """Return the model and how far it is."""
        if self._run is None:
            return f"<Batch on {self.model}, not begun>"
        p = self._run.progress
        return f"<Batch on {self.model}: {p.done} done, {p.failed} failed, {p.in_flight} in flight, {p.parked} parked>"

    async def __aenter__(self) -> Self:
        """Open the journal and begin."""
        if self._entered:
            raise MisuseError(_ONCE)
        self._entered = True
        run = self._run = Run(
            client=self._asking,
            model=self.model,
            shared=self.shared,
            source=self.source,
            limiter=self.limiter,
            outbox=self._outbox,
            progress=Progress(anyio.current_time()),
            item_timeout=self.item_timeout,
        )
        try:
            if self.journal is not None:
                await self._open_journal(run, self.journal)
        except BaseException:
            self._left = True  # nobody will put anything into the outbox
            self._outbox.end()
            raise
        await run.tasks.__aenter__()
        run.tasks.start_soon(run.run, self.timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up what is in flight, complete the journal, and let go of everything.

        Raises:
            JournalError: A result could not be written, and the iteration has not told so.
        """
        run = self._begun()
        self._left = True
        run.tasks.cancel_scope.cancel()
        await run.tasks.__aexit__(None, None, None)  # the block's own error is not to come out in a group
        if isinstance(run.reason, JournalError) and error is None:
            raise run.reason

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def collect(self) -> list[BatchResult]:
        """Run to the end, and return the result of every row, also of those that the journal already held.

        It enters the batch by itself; inside of its block it works as long as nothing was taken.

        Returns:
            In the order of the input, or what the journal held and then the others as they were completed.

        Raises:
            MisuseError: Results were taken already, or the batch is over.
            GemtuneError: As in iterating; its ``results`` are those that there were until then.
        """
        if self._left:
            raise MisuseError(_ONCE)
        if self._outbox.taken:
            raise MisuseError(
                f"{self._outbox.taken} results were taken already, and collect() is to return all: iterate on, or call "
                "collect() before anything else takes results"
            )
        found: list[BatchResult] = []
        try:
            async with nullcontext() if self._entered else self:
                async for result in self:
                    found.append(result)  # noqa: PERF401 - a comprehension would lose them where it breaks
        except GemtuneError as error:
            found += self._outbox.rest()
            with suppress(GemtuneError):  # what ended the run is to be told, and not that the journal is unreadable
                found = await self._with_held(found)
            error.results = tuple(found)
            raise
        return await self._with_held(found)

    async def _with_held(self, found: list[BatchResult]) -> list[BatchResult]:
        """Return results together with those of the rows that the journal held before this run."""
        run = self._run
        if run is None or run.journal is None or not run.progress.skipped:
            return found
        read = partial(read_journal, run.journal.path, order=self.order, places=self.source.places)
        outcomes = await anyio.to_thread.run_sync(lambda: [*read()])
        held = [one for one in outcomes if run.held.of(one.index, None) is not None]
        return sorted([*held, *found], key=lambda one: one.index) if self.order == "input" else [*held, *found]

    async def __anext__(self) -> BatchResult:
        """Return the next result.

        Raises:
            BatchStopped: Nothing more could succeed; the cause is chained.
            JournalError: A result could not be written.
            DeadlineExceeded: The run's time is up.
        """
        run = self._begun()
        self._hungry = True
        try:
            result = await self._outbox.get()
        finally:
            self._hungry = False
        if result is None:
            reason, run.reason = run.reason, None
            if reason is None:
                raise StopAsyncIteration
            raise self._explained(run, reason)
        if result.error is not None and self.on_error == "raise":
            result.error.add_note(f"this was item {result.index} of the batch, key {result.key!r}")
            raise result.error
        return result

    def drain(self) -> None:
        """Begin nothing more: what is in flight finishes and is yielded, then the iteration ends."""
        self._begun().stop(None)

    async def export(self, output: str | os.PathLike[str], *, order: Literal["completed", "input"] = "input") -> int:
        """Write what the journal holds of this run's input to a JSONL file, which appears whole or not at all.

        After the run these are all its items, with those that earlier runs have answered; under way, those that were
        read and have an outcome. Each line is ``{"key", "response"}`` or ``{"key", "error"}``, as ``export_journal``
        writes them.

        Args:
            output: The file to write or to replace.
            order: In the order of the input, or as they were completed.

        Returns:
            The number of lines.

        Raises:
            MisuseError: The batch has no journal, or has not begun.
            InvalidInput: The output cannot be a file, or is the journal, or the order is none.
            GemtuneError: The output could not be written, or the journal not be read.
        """
        if self.journal is None:
            raise MisuseError("there is nothing to export without a journal: client.batch(..., journal=PATH)")
        self._begun()
        write = partial(export_journal, self.journal, output, order=order, places=self.source.places)
        return await anyio.to_thread.run_sync(write)

    def statistics(self) -> BatchStatistics:
        """Return how far the batch is, how fast it goes, and what holds it back."""
        run, total = self._run, self._total
        p = run.progress if run is not None else Progress(0.0)
        now = anyio.current_time() if run is not None else 0.0
        return BatchStatistics(
            done=p.done,
            failed=p.failed,
            skipped=p.skipped,
            in_flight=p.in_flight,
            parked=p.parked,
            waiting=self._outbox.waiting + (len(run.commit) if run is not None and run.commit is not None else 0),
            requests=p.requests,
            prompt_tokens=p.prompt_tokens,
            output_tokens=p.output_tokens,
            total=total,
            elapsed=now - p.began,
            rate=p.rate(now),
            eta=p.eta(now, total),
            limit=self._limit(run),
        )

    @property
    def progress(self) -> BatchStatistics:
        """How far the batch is: the same as ``statistics()``, for a line on the screen."""
        return self.statistics()

    def _limit(self, run: Run | None) -> str:
        if run is None:
            return "the batch has not begun"
        if self._asking.away:
            return f"no credential for now: {self._asking.away}"
        p, limiter = run.progress, self.limiter.statistics()
        stands_in_line = p.parked and limiter.binding and (self._hungry or run.holds != "consumer")
        if run.holds == "limiter" or stands_in_line:
            return limiter.reason
        if run.holds == "last replies" and not p.in_flight + p.parked:
            return "waiting for the consumer" if self._outbox.waiting else ""
        # In the order of the input, what waits while the consumer waits too is held back by the item that is next.
        if run.holds == "consumer" and self.order == "input" and self._hungry:
            item = "an earlier item" if p.skipped else f"item {self._outbox.taken}"
            return f"waiting for {item}, to restore the order of the input"
        return f"waiting for the {run.holds}"

    def _begun(self) -> Run:
        if self._run is None:
            raise MisuseError("a batch runs in a block: async with client.batch(...) as results")
        return self._run

    async def _open_journal(self, run: Run, path: str | os.PathLike[str]) -> None:
        journal = Journal(path, self.model, self._config, keep_failed=not self.retry_failed)
        try:
            await anyio.to_thread.run_sync(journal.open, abandon_on_cancel=True)
        except BaseException:
            journal.close()  # a thread that still reads it learns of that at its next line
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(partial(journal.close, wait=True))
            raise
        run.journal, run.met = journal, self.source.places
        run.commit = Commit(journal, self._outbox, self.durability, run.abort)

    def _explained(self, run: Run, reason: BaseException) -> BaseException:
        """Return what ended the run, with what was reached and how to go on."""
        if not isinstance(reason, CallError | CredentialsError):
            return reason
        reached = self._reached(run.progress)
        if isinstance(reason, DeadlineExceeded) and run.verdict is None:
            reason.message = f"{reason.message}{reached}"
            return reason
        reset_after = getattr(reason, "retry_after", None) if run.verdict is None else run.verdict.reset_after
        item = run.met_by
        met = "" if item is None else f"; met at {item.row}"
        stopped = BatchStopped(
            f"the batch on {self.model} stopped: {_message(reason)}{met}{_again(reset_after)}{reached}"
        )
        stopped.key, stopped.reset_after = None if item is None else item.name, reset_after
        stopped.__cause__ = reason
        return stopped

    def _reached(self, p: Progress) -> str:
        """Return what there is to go on from, where there is anything."""
        if not p.finished + p.skipped:
            return ""
        before = f", {p.skipped} from before" if p.skipped else ""
        saved = (
            f"they are in {os.fspath(self.journal)}, and the same call goes on from there"
            if self.journal is not None
            else "with journal=PATH the same call could go on from there"
        )
        return f"; {p.done} answered, {p.failed} failed{before}; {saved}"


def _message(error: BaseException) -> str:
    return error.message if isinstance(error, GemtuneError) else str(error)


def _again(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"; it can go on in about {seconds / 3600:.1f} h" if seconds > 5400 else f"; it can go on in {seconds:.0f} s"
