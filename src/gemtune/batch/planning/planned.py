"""The part of a batch that makes its plan, and that chooses the engine by it when the batch is entered.

Rows that can be read only once cannot be weighed before they are asked. Of those that are at hand at once, up to 1,000
are looked at and handed on; if that was all, the plan is as good as any. Otherwise their number is unknown, and what is
chosen follows a plain rule: the server engine if the deadline leaves it its 24 h and there is no budget, which nobody
could check beforehand, and else the local one, which counts what it spends.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol, cast

import anyio.to_thread
import attrs

from gemtune import checks
from gemtune.batch.inputs import Inputs, Item, ModelName
from gemtune.batch.journal.reading import has_open_parts
from gemtune.batch.options import BatchSpec
from gemtune.batch.patience import PatientClient
from gemtune.batch.planning.decision import EngineOutlook, decide
from gemtune.batch.planning.held import HeldRows
from gemtune.batch.planning.outlook import DAY, AskingRate, outlook_of_local, outlook_of_server
from gemtune.batch.planning.plan import BatchPlan
from gemtune.batch.planning.prices import TokenPrices
from gemtune.batch.planning.weighing import Scale, Weighed, answers_of, readable_again, weigh_all
from gemtune.batch.shown import ShownBatch
from gemtune.datasets.review.tokens import Interval
from gemtune.errors import InvalidInput
from gemtune.limiter.limiter import Limiter
from gemtune.loops import for_each
from gemtune.resources.batches.service import BatchService
from gemtune.resources.given import EngineName

_log = logging.getLogger("gemtune.batch")
_PEEKED: Final = 1000
_COUNTED_AT_ONCE: Final = 8


class _CountsTokens(Protocol):
    async def count_tokens(self, model: str, contents: object, /, **framing: Any) -> _Counted: ...


class _Counted(Protocol):
    @property
    def total_tokens(self) -> int | None: ...


class PlannedBatch(ShownBatch):
    """A batch, as far as it is planned."""

    __slots__ = ()

    client: PatientClient
    spec: BatchSpec
    inputs: Inputs
    limiter: Limiter
    batches: Callable[[], BatchService] | None
    prices: TokenPrices | None
    _model_name: ModelName

    @property
    def engine(self) -> EngineName:
        """Who asks: ``local`` or ``server``; ``auto`` until the batch is entered."""
        return self.spec.engine

    async def plan(self, *, count: int = 0, output_tokens: float | None = None) -> BatchPlan:
        """Return what the batch will take, before anything is spent: engine, time, jobs and money, and why.

        It reads all rows once, and sends nothing unless you ask for ``count``. What the journal holds costs nothing.

        Args:
            count: How many prompts, chosen at random, the service counts with a request each; without it, tokens are
                guessed from characters, with wide limits.
            output_tokens: How many tokens an answer has on average, if you know that; thoughts included.

        Raises:
            InvalidInput: The rows can be read only once, there are none that can be asked, or no engine keeps the
                deadline and the budget; the message says what each would take.
            JournalError: The journal cannot be read, or is not of this batch.
            CallError: The service could not count.

        Example:
            >>> batch = client.batch(model, rows, engine="auto", deadline=86_400, prices=(0.30, 2.50))
            >>> print(await batch.plan(output_tokens=100))
        """
        checks.whole("count", count, least=0)
        if output_tokens is not None:
            checks.seconds("output_tokens", output_tokens)
        if not await anyio.to_thread.run_sync(readable_again, self.inputs.iterable):
            raise InvalidInput(
                "a plan reads all rows beforehand, and these can be read only once: keep them in a list or a file",
                field="inputs",
            )
        scale = Scale(self.spec.shared, count)
        held = await _held(self.spec)
        weighed = await weigh_all(self.inputs, scale, self.model, self._model_name, is_held=held)
        if count and scale.chosen:
            weighed = await _calibrated(self.client, self.model, scale, weighed)
        return _planned(self, weighed, output_tokens, looked_up=True)


async def choose_engine(batch: PlannedBatch) -> tuple[BatchSpec, Inputs]:
    """Return what a batch is to do, with its engine, and its rows; deadline and budget are looked at beforehand.

    Raises:
        InvalidInput: No engine keeps the deadline and the budget.
    """
    spec, inputs = batch.spec, batch.inputs
    if spec.engine != "auto" and spec.deadline is None and spec.budget is None:
        return spec, inputs
    held = spec.journal if spec.engine == "auto" else None
    # What the service works on was paid for, and only its engine collects it.
    if held is not None and await anyio.to_thread.run_sync(has_open_parts, held):
        _log.info("batch on %s: the engine is server, as the journal has batches that it works on", spec.model)
        return attrs.evolve(spec, engine="server"), inputs
    again = await anyio.to_thread.run_sync(readable_again, inputs.iterable)
    if spec.engine == "local" and not again:
        return spec, inputs  # it counts what it spends, and a row is not to be read before its turn
    engine: EngineName
    if again:
        plan = await batch.plan()
        engine, why = plan.engine, plan.why
    else:
        weighed, inputs = await _peeked(batch)
        if weighed is not None and weighed.whole:
            plan = _planned(batch, weighed, None)
            engine, why = plan.engine, plan.why
        else:
            engine, why = _blindly(spec)
    if spec.engine == "auto":
        _log.info("batch on %s: the engine is %s: %s", spec.model, engine, why)
    return attrs.evolve(spec, engine=engine), inputs


def _blindly(spec: BatchSpec) -> tuple[EngineName, str]:
    """Return the engine for rows of which nobody knows how many there are."""
    if spec.engine == "server" and spec.budget is not None:
        raise InvalidInput(
            "budget: the rows can be read only once, so nobody can say beforehand what they cost, and a batch of the "
            "service cannot be stopped halfway: give a list or a file, or use the local engine",
            field="budget",
        )
    if spec.engine != "auto":
        return spec.engine, "it was asked for"
    if spec.deadline is not None and spec.deadline >= DAY and spec.budget is None:
        return "server", "the rows can be read only once, and the deadline leaves the service its 24 h"
    return "local", "the rows can be read only once, and the local engine asks as they come"


async def _held(spec: BatchSpec) -> Callable[[Item], bool]:
    """Return what says which rows the journal holds."""
    if spec.journal is None or not await anyio.Path(spec.journal).exists():
        return lambda _: False
    return await anyio.to_thread.run_sync(HeldRows.of, spec, spec.journal, abandon_on_cancel=True)


async def _peeked(batch: PlannedBatch) -> tuple[Weighed | None, Inputs]:
    """Weigh the first rows, if they need not be waited for, and return them with all rows as before."""
    rows = batch.inputs.iterable
    if not isinstance(rows, Iterator):
        return None, batch.inputs
    first = [*itertools.islice(rows, _PEEKED + 1)]
    most, scale = None if len(first) <= _PEEKED else _PEEKED, Scale(batch.spec.shared)
    weighed = await weigh_all(Inputs(first), scale, batch.model, batch._model_name, most=most)
    return weighed, Inputs(itertools.chain(first, rows))


def _planned(
    batch: PlannedBatch, weighed: Weighed, output_tokens: float | None, *, looked_up: bool = False
) -> BatchPlan:
    spec, prices = batch.spec, batch.prices
    answers, assumed = answers_of(weighed.requests, spec.shared.get("generation_config"), output_tokens)
    notes = [assumed]
    if weighed.files:
        notes.append(f"each of {weighed.files:,} files takes 258 tokens; a video or a recording takes more")
    if spec.journal is not None and not looked_up:
        notes.append("what the journal already holds is not taken off")
    outlooks = _outlooks(batch, weighed, answers)
    decision = decide(
        *outlooks,
        asked_for=spec.engine,
        deadline=spec.deadline,
        budget=spec.budget,
        currency="" if prices is None else prices.currency,
    )
    return BatchPlan(
        model=batch.model,
        engine=decision.engine,
        why=decision.why,
        requests=weighed.requests,
        unaskable=weighed.unaskable,
        input_tokens=weighed.tokens,
        output_tokens=answers,
        counted=weighed.counted,
        held=weighed.held,
        outlooks=outlooks,
        assumptions=tuple(notes),
        prices=prices,
        deadline=spec.deadline,
        budget=spec.budget,
    )


def _outlooks(batch: PlannedBatch, weighed: Weighed, answers: Interval) -> tuple[EngineOutlook, EngineOutlook]:
    limits = None if batch.batches is None else batch.batches().limits
    learned, limiter = batch.limiter.statistics(), batch.limiter
    pace = AskingRate(
        rpm=_least(limiter.rpm, learned.learned_rpm),
        tpm=_least(limiter.tpm, learned.learned_tpm),
        rpd=limiter.rpd,
        concurrency=None if limiter.concurrency == "auto" else limiter.concurrency,
    )
    return (
        outlook_of_local(weighed, answers, pace, batch.model, batch.prices),
        outlook_of_server(weighed, answers, limits, batch.model, batch.prices),
    )


def _least(*numbers: float | None) -> float | None:
    return min((number for number in numbers if number is not None), default=None)


async def _calibrated(client: PatientClient, model: str, scale: Scale, weighed: Weighed) -> Weighed:
    """Return what was weighed with tokens as the service counts them in the sample."""
    from gemtune.datasets.review.counted import extrapolated

    asks = cast("_CountsTokens", client.client)

    async def count(item: Item) -> tuple[int, int]:
        contents, options = item.asked(scale.shared)
        framing = {name: options[name] for name in ("system_instruction", "tools") if name in options}
        reply = await asks.count_tokens(model, contents, **framing)
        return scale.size(item), reply.total_tokens or 0

    pairs = await for_each(count, scale.chosen, _COUNTED_AT_ONCE)
    tokens = extrapolated(pairs, weighed.characters.count, weighed.requests)
    return attrs.evolve(weighed, tokens=tokens, counted=len(pairs))
