"""Several batches at once with one limiter: the models of an evaluation, and after them its judges.

Each is a ``client.batch`` like any other, with a journal of its own. What they share is the limiter, the time, the
money and the end: if one of them cannot continue, the others finish what is in flight, so that nothing that was paid
for is lost, and the evaluation ends with the error of the one.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import anyio
import attrs

from gemtune.batch import Batch
from gemtune.batch.acceptance import ending_of
from gemtune.batch.progress import BatchStatistics, RunTally
from gemtune.batch.result import BatchResult
from gemtune.errors import BatchStopped, DeadlineExceeded, GemtuneError, NotAccepted
from gemtune.evaluation.values import EvaluationProgress, ModelAnswer, unique
from gemtune.limiter.limiter import Limiter
from gemtune.loops import current_time
from gemtune.money import MILLION, amount
from gemtune.remedy import Argument, Remedy
from gemtune.show.picture import short
from gemtune.types import GenerateContentResponse, UsageMetadata

EVERY: Final = 0.25
"""Seconds between two reports of the progress."""

T = TypeVar("T")
OnProgress = Callable[[EvaluationProgress], object]
OnPaid = Callable[[str, float], object]


class RunsBatches(Protocol):
    """The part of a client that asks."""

    def batch(self, model: Any, inputs: Any, **options: Any) -> Batch: ...


@attrs.define(eq=False, kw_only=True)
class Inquiry:
    """One model that is asked one list of questions.

    Args:
        label: What messages and the progress call it.
        model: Its name.
        inputs: The questions, each (key, request).
        journal: Where its answers are kept, or None.
        framing: What frames the questions.
        price: What a million input and output tokens cost; None if nobody has said.
        answers: The answers so far, in the order of the questions; None for what is to come.
    """

    label: str
    model: str
    inputs: Sequence[tuple[str | int, object]]
    journal: Path | None = None
    framing: Mapping[str, Any] = attrs.field(factory=dict)
    price: tuple[float, float] | None = None
    answers: list[ModelAnswer | None] = attrs.field(init=False)
    done: int = attrs.field(default=0, init=False)
    failed: int = attrs.field(default=0, init=False)
    spent: float = attrs.field(default=0.0, init=False)
    """What the replies of this run have cost."""
    share: float = attrs.field(default=1.0, init=False)
    """Which part of the price is paid: less than all if the service runs the batch."""
    _places: dict[str | int, int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.answers = [None] * len(self.inputs)
        self._places = {key: place for place, (key, _) in enumerate(self.inputs)}

    def take(self, result: BatchResult) -> None:
        """Take in an answer, at the place of its key."""
        answer = _answer(result)
        place = self._places[result.key]
        self.done += 1
        self.failed += answer.text is None
        self.answers[place] = answer

    def pay(self, seen: BatchStatistics | RunTally) -> None:
        """Count what its batch has cost: every reply of this run, those that were refused and asked again included."""
        if self.price is not None:
            asked, answered = self.price
            self.spent = (seen.prompt_tokens * asked + seen.output_tokens * answered) / MILLION


def usage_of(result: BatchResult) -> UsageMetadata | None:
    """Return what the reply of an item took; None if there was none, or it did not say."""
    # A reply that ``accept`` refused has no score, and was paid for like any other.
    paid = result.error.response if isinstance(result.error, NotAccepted) else result.response
    return paid.usage_metadata if isinstance(paid, GenerateContentResponse) else None


def _answer(result: BatchResult) -> ModelAnswer:
    response, error, text, said = result.response, result.error, None, ""
    if response is not None:
        # Blocked, or empty although it was asked again: the model has had its say, and it counts as an empty answer.
        text = response.text_or_none or ""
    else:
        said = str(error)
    usage = usage_of(result)
    return ModelAnswer(
        text=text,
        error=said,
        finish_reason="" if response is None else ending_of(response),
        prompt_tokens=None if usage is None else usage.prompt_token_count,
        output_tokens=None if usage is None else usage.candidates_token_count + usage.thoughts_token_count,
        latency=result.latency,
        attempts=result.attempts,
        replayed=result.replayed,
    )


@attrs.define(eq=False, kw_only=True)
class Asking:
    """Asks several models at once.

    Args:
        client: The client to ask through.
        options: How it is asked: the options of ``client.batch`` that all inquiries share.
        limiter: The limiter of all; None takes the client's own.
        budget: What may be spent in all, by the prices of the inquiries; None for no end.
        currency: Of the budget.
        batch_share: Which part of a price is paid in a batch that the service runs.
        deadline: When everything has to be over, by the clock of the loop; infinite for no end.
        on_progress: Is given the progress now and then, and at the end.
        on_paid: Is given what this run has paid for an inquiry so far, by its label, if that has a price.
        expected: How many answers there will be after those of the inquiries that are known, such as a judge's.
    """

    client: RunsBatches
    options: Mapping[str, Any]
    limiter: Limiter | None
    budget: float | None = None
    currency: str = ""
    batch_share: float = 1.0
    deadline: float | None = None
    on_progress: OnProgress | None = None
    on_paid: OnPaid | None = None
    expected: int = 0
    _began: float = attrs.field(factory=current_time, init=False)
    _inquiries: list[Inquiry] = attrs.field(factory=list, init=False)
    _batches: list[Batch] = attrs.field(factory=list, init=False)
    _running: list[Batch] = attrs.field(factory=list, init=False)
    _failure: Exception | None = attrs.field(default=None, init=False)
    _waits_for: str = attrs.field(default="", init=False)

    async def meanwhile(self, work: Callable[[], Awaitable[T]], waits_for: str) -> T:
        """Await what has to be there before anything can be asked, and report the progress meanwhile.

        Args:
            work: What is awaited.
            waits_for: What holds the evaluation back; empty if it will be there at once.

        Raises:
            DeadlineExceeded: Time is up.
            Exception: What the work, or ``on_progress``, has raised.
        """
        found: list[T] = []
        self._waits_for = waits_for
        async with anyio.create_task_group() as tasks:
            if waits_for:
                tasks.start_soon(self._report_on, tasks.cancel_scope)
            try:
                with anyio.move_on_at(math.inf if self.deadline is None else self.deadline):
                    found.append(await work())
            except Exception as error:  # noqa: BLE001 - raised below, and not as a group of one
                self._failure = error
            tasks.cancel_scope.cancel()
        self._waits_for = ""
        if self._failure is not None:
            raise self._failure
        if not found:
            raise self.late(waits_for)
        return found[0]

    def late(self, doing: str = "") -> DeadlineExceeded:
        """Return the error that time is up.

        Args:
            doing: What the evaluation was doing; empty if there is nothing to say of it.
        """
        seconds = round((self.deadline or 0.0) - self._began, 2)
        return DeadlineExceeded(f"the evaluation was not done within {seconds:g} s{doing and f': it was {doing}'}")

    async def ask(self, inquiries: Sequence[Inquiry]) -> None:
        """Ask everything in some inquiries; their answers stand in them, including if it raises.

        Raises:
            BatchStopped: For one of the models nothing more could succeed, or the budget is used up.
            JournalError: A journal cannot be used, or belongs to other questions.
            InvalidInput: An argument is wrong.
            Exception: What ``on_progress`` or ``accept`` has raised.
        """
        inquiries = [each for each in inquiries if each.inputs]
        batches = [self._batch(each) for each in inquiries]
        self._inquiries += inquiries
        self._batches += batches
        async with anyio.create_task_group() as everything:
            everything.start_soon(self._report_on)
            async with anyio.create_task_group() as tasks:
                for inquiry, batch in zip(inquiries, batches, strict=True):
                    tasks.start_soon(self._run, inquiry, batch)
            everything.cancel_scope.cancel()
        if self._failure is None:
            self._report()
        if self._failure is not None:
            raise self._failure

    def progress(self, *, ended: bool = False) -> EvaluationProgress:
        """Return how far it is."""
        seen = [batch.statistics() for batch in self._batches]
        done = sum(each.done for each in self._inquiries)
        total = sum(len(each.inputs) for each in self._inquiries) + self.expected if self._inquiries else None
        rate = sum(each.rate for each, batch in zip(seen, self._batches, strict=True) if not batch.over)
        labels = unique([each.label for each in self._inquiries])  # a judge may be called as a model is
        return EvaluationProgress(
            done=done,
            failed=sum(each.failed for each in self._inquiries),
            total=total,
            models=dict(zip(labels, [each.done for each in self._inquiries], strict=True)),
            in_flight=sum(each.in_flight for each in seen),
            parked=sum(each.parked for each in seen),
            rate=rate,
            eta=(total - done) / rate if total is not None and rate > 0 and not ended else None,
            elapsed=current_time() - self._began,
            tokens=sum(each.prompt_tokens + each.output_tokens for each in seen),
            held_back="" if ended else self._held_back(seen),
            ended=ended,
        )

    def _held_back(self, seen: Sequence[BatchStatistics]) -> str:
        if self._waits_for:
            return self._waits_for
        both = zip(seen, self._batches, strict=True)
        return next((each.limit for each, batch in both if each.limit and batch in self._running), "")

    def _batch(self, inquiry: Inquiry) -> Batch:
        shared = {} if self.limiter is None else {"limiter": self.limiter}
        left = {} if self.deadline is None else {"timeout": max(0.001, self.deadline - current_time())}
        options = {**self.options, **shared, **left, **inquiry.framing, "journal": inquiry.journal}
        batch = self.client.batch(inquiry.model, inquiry.inputs, **options)
        if self._counts:
            batch.meter = partial(self._counted, inquiry, batch)
        return batch

    async def _run(self, inquiry: Inquiry, batch: Batch) -> None:
        try:
            async with batch as results:
                self._running.append(batch)
                inquiry.share = self.batch_share if batch.spec.engine == "server" else 1.0
                try:
                    if self._failure is not None:
                        batch.drain()
                    async for result in results:
                        inquiry.take(result)
                finally:
                    self._running.remove(batch)
                    if self._counts:  # what was refused and then given up has been paid for as well
                        self._pay(inquiry, batch.statistics())
        except DeadlineExceeded as error:  # its own time is what was left of all
            over = self.deadline is not None and current_time() >= self.deadline
            self._fail(self.late() if over else _named(error, inquiry))
        except Exception as error:  # noqa: BLE001 - raised by ``ask``, once the others have finished what is in flight
            self._fail(error if error is self._failure else _named(error, inquiry))

    @property
    def _counts(self) -> bool:
        return self.budget is not None or self.on_paid is not None

    def _pay(self, inquiry: Inquiry, seen: BatchStatistics | RunTally) -> None:
        inquiry.pay(seen)
        if self.on_paid is not None:
            self.on_paid(inquiry.label, inquiry.spent)

    def _counted(self, inquiry: Inquiry, batch: Batch, tally: RunTally) -> BatchStopped | None:
        """Count what a batch has paid when a reply is there; return what ends it if nothing more may be spent.

        Not only when somebody reads its result: by then many others may be there, and paid for.
        """
        self._pay(inquiry, tally)
        spent = sum(each.spent for each in self._inquiries)
        if self.budget is None or spent < self.budget or self._failure is not None:
            return None
        money = f"{amount(spent)} of {amount(self.budget)} {self.currency}"
        what = f"the evaluation stopped: its budget is used up ({money}, counted from the usage of replies)"
        error = BatchStopped(what, Remedy("to continue, give a new ", Argument("budget")))
        self._fail(error, but=batch)
        return error

    def _fail(self, error: Exception, *, but: Batch | None = None) -> None:
        if self._failure is None:
            self._failure = error
        for batch in self._running:
            if batch is not but:
                batch.drain()

    async def _report_on(self, scope: anyio.CancelScope | None = None) -> None:
        """Report the progress again and again; if that fails, end what is awaited."""
        while self.on_progress is not None:
            self._report()
            if self._failure is not None and scope is not None:
                scope.cancel()
            await anyio.sleep(EVERY)

    def _report(self, *, ended: bool = False) -> None:
        if self.on_progress is None:
            return
        try:
            self.on_progress(self.progress(ended=ended))
        except Exception as error:  # noqa: BLE001 - raised by ``ask``
            self._fail(error)

    def finish(self) -> None:
        """Report that it is over.

        Raises:
            Exception: What ``on_progress`` has raised.
        """
        self._report(ended=True)
        if self._failure is not None:
            raise self._failure


def _named(error: Exception, inquiry: Inquiry) -> Exception:
    """Return an error that says whose it is."""
    if not isinstance(error, GemtuneError):
        return error
    if inquiry.label != short(inquiry.model) or inquiry.label not in error.message:
        error.message = f"{inquiry.label}: {error.message}"
    return error
