"""What each engine would take for a weighed input: time, jobs and money, with what binds and what was assumed."""

from __future__ import annotations

import math
from typing import Final

import attrs

from gemtune.batch.planning.decision import EngineOutlook
from gemtune.batch.planning.prices import TokenPrices
from gemtune.batch.planning.weighing import Weighed
from gemtune.datasets.review.tokens import Interval
from gemtune.resources.batches.service import BatchLimits

DAY: Final = 86_400.0
_SECONDS: Final = Interval(0.5, 3.0, 15.0)
"""Of one request, from here: assumed, as it depends on the model and on the length of the answer."""
_IN_FLIGHT: Final = Interval(8.0, 50.0, 256.0)
"""How many of them at a time, where the limiter finds that out."""
_QUEUE: Final = Interval(300.0, DAY, DAY)
"""Of a batch at the service: minutes at best, and the 24 h that the services aim at; they promise nothing (2026-11)."""


@attrs.frozen(kw_only=True)
class AskingRate:
    """How fast this process may ask, as far as anybody has said.

    Args:
        rpm: Requests a minute.
        tpm: Input tokens a minute.
        rpd: Requests a day.
        concurrency: Requests in flight; None if the limiter finds it out.
    """

    rpm: float | None = None
    tpm: float | None = None
    rpd: int | None = None
    concurrency: int | None = None


def outlook_of_local(
    weighed: Weighed, answers: Interval, pace: AskingRate, model: str, prices: TokenPrices | None
) -> EngineOutlook:
    """Return what the local engine would take.

    Args:
        weighed: The input.
        answers: The output tokens of all answers.
        pace: How fast it may ask.
        model: The model.
        prices: What tokens cost, or None.
    """
    n, tokens = weighed.requests, weighed.tokens
    flight = _IN_FLIGHT if pace.concurrency is None else _exactly(pace.concurrency)
    waits = {
        "concurrency": Interval(
            n * _SECONDS.low / flight.high, n * _SECONDS.value / flight.value, n * _SECONDS.high / flight.low
        )
    }
    # The window of a minute lets its first lot through at once.
    if pace.rpm is not None:
        waits["rpm"] = _exactly(max(n - pace.rpm, 0) / pace.rpm * 60)
    if pace.tpm is not None:
        waits["tpm"] = Interval(*(max(each - pace.tpm, 0) / pace.tpm * 60 for each in attrs.astuple(tokens)))
    binding = max(waits, key=lambda name: waits[name].value)
    given = {"rpm": pace.rpm, "tpm": pace.tpm, "concurrency": pace.concurrency}[binding]
    seconds = Interval(*(max(each) for each in zip(*map(attrs.astuple, waits.values()), strict=True)))
    limits = [f"{binding} ({given:,.0f})" if given is not None else "requests in flight"] if n else []
    assumptions = [f"a request takes about {_SECONDS.value:g} s ({_SECONDS.low:g} to {_SECONDS.high:g})"]
    if pace.concurrency is None:
        assumptions.append(f"about {_IN_FLIGHT.value:g} are in flight ({_IN_FLIGHT.low:g} to {_IN_FLIGHT.high:g})")
    if pace.rpm is None and pace.tpm is None:
        assumptions.append("no quota binds; rpm and tpm say which does")
    if pace.rpd is not None and n > pace.rpd:
        days = math.ceil(n / pace.rpd) - 1
        seconds = Interval(*(each + days * DAY for each in attrs.astuple(seconds)))
        limits.append(f"rpd ({pace.rpd:,}): {days + 1:,} runs with one journal, a day apart")
    cost = None if prices is None else prices.cost(model, tokens, answers)
    return EngineOutlook(
        engine="local", seconds=seconds, cost=cost, limits=tuple(limits), assumptions=tuple(assumptions)
    )


def outlook_of_server(
    weighed: Weighed, answers: Interval, limits: BatchLimits | None, model: str, prices: TokenPrices | None
) -> EngineOutlook:
    """Return what the server engine would take.

    Args:
        weighed: The input.
        answers: The output tokens of all answers.
        limits: How much a batch of the service may hold, or None if there are no batches.
        model: The model.
        prices: What tokens cost, or None.
    """
    if limits is None:
        return EngineOutlook(engine="server", seconds=_QUEUE, impossible="this client has no batches of the service")
    by_count, by_bytes = math.ceil(weighed.requests / limits.requests), math.ceil(weighed.bytes / limits.bytes)
    jobs = max(by_count, by_bytes, 1)
    waves = 1 if limits.jobs is None else math.ceil(jobs / limits.jobs)
    binds = []
    if jobs > 1:
        most = f"{limits.requests:,} requests" if by_count >= by_bytes else f"{limits.bytes:,} bytes"
        binds.append(f"{most} a job")
    if waves > 1:
        binds.append(f"{limits.jobs:,} jobs at a time")
    return EngineOutlook(
        engine="server",
        seconds=_QUEUE.times(waves),
        cost=None if prices is None else prices.cost(model, weighed.tokens, answers).times(prices.batch_share),
        jobs=jobs,
        limits=tuple(binds),
        assumptions=(
            f"the service takes minutes to 24 h for a batch; it promises nothing, and gives up after {limits.hours} h",
            "its cap of waiting tokens differs by model and tier; what does not fit waits here, and takes longer",
        ),
    )


def _exactly(number: float) -> Interval:
    return Interval(number, number, number)
