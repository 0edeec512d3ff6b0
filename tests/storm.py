"""A simulated service with a quota, in virtual time, and workers that never run out of prompts.

The quotas are the emulator's, the errors are read from its bodies by the SDK's own rules; only the sockets are missing.
"""

import copy
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import attrs

import virtualtime
from gemtune.emulator import ConcurrencyCap, Latency, Load, MinuteWindow, TokenBucket
from gemtune.emulator.messages.codec import encode
from gemtune.emulator.messages.errors import RpcError
from gemtune.emulator.messages.schema import COMMON
from gemtune.errors import CallError
from gemtune.limiter.limiter import Limiter, LimiterStatistics
from gemtune.protocol import status

MEAN = 4.0  # seconds of an answer
SIGMA = 0.5
REFUSAL = 0.05  # seconds of a round trip without an answer
RPM = 3000
BURST = 10.0  # seconds of quota that the bucket gives at once

RPC = "type.googleapis.com/google.rpc."


def refused(*quota_ids, hint=None, value=None, code=429, message="exhausted"):
    """The error that a body of the service stands for."""
    violations = [{"quotaId": quota_id, **({"quotaValue": value} if value else {})} for quota_id in quota_ids]
    details = [{"@type": RPC + "QuotaFailure", "violations": violations}] if violations else []
    if hint is not None:
        details.append({"@type": RPC + "RetryInfo", "retryDelay": f"{hint}s"})
    rpc = {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}[code]
    payload = {"error": {"code": code, "status": rpc, "message": message, "details": details}}
    return status.error_from_reply(code, {}, payload)


@attrs.frozen
class Scenario:
    """A quota that changes in steps.

    Args:
        name: In the table.
        quota: Makes it.
        steps: (part of the run, limit), the first at 0.
        per_second: What a limit allows per second.
        mean: Seconds of an answer.
    """

    name: str
    quota: Callable[[], Any]
    steps: tuple[tuple[float, float], ...]
    per_second: Callable[[float], float] = lambda limit: limit / 60
    mean: float = MEAN

    def ideal(self, seconds: float) -> float:
        """The requests that nobody could surpass."""
        return sum(self.per_second(limit) * seconds * part for limit, part in self._parts())

    def _parts(self) -> Iterator[tuple[float, float]]:
        ends = [at for at, _ in self.steps[1:]] + [1.0]
        return ((limit, end - at) for (at, limit), end in zip(self.steps, ends, strict=True))


def scenarios(rpm: float = RPM) -> list[Scenario]:
    """The four quota models."""
    steps = ((0.0, rpm), (1 / 3, rpm / 2), (2 / 3, rpm * 1.5))
    most = round(rpm / 60 * MEAN)
    caps = ((0.0, most), (1 / 3, most // 2), (2 / 3, most * 3 // 2))
    return [
        Scenario("minute window", lambda: MinuteWindow(limit=rpm), steps[:1]),
        Scenario("window, in steps", lambda: MinuteWindow(limit=rpm), steps),
        Scenario("bucket, in steps", lambda: TokenBucket(limit=rpm, burst=BURST), steps),
        Scenario("cap without hints", lambda: ConcurrencyCap(limit=most), caps, lambda limit: limit / MEAN),
    ]


def capped(cap: int, mean: float, steps: tuple[tuple[float, float], ...] = ()) -> Scenario:
    """A cap on concurrency that gives no hints, with answers of so many seconds."""
    steps = steps or ((0.0, cap),)
    return Scenario("cap", lambda: ConcurrencyCap(limit=cap), steps, lambda limit: limit / mean, mean)


@attrs.define
class Service:
    """Answers or refuses one request after another."""

    load: Load
    refusal: float = REFUSAL
    _known: dict[str, CallError] = attrs.field(factory=dict)

    async def generate(self) -> None:
        try:
            seconds = self.load.enter(anyio.current_time())
        except RpcError as refused:
            await anyio.sleep(self.refusal)
            raise self._error(refused) from None
        try:
            await anyio.sleep(seconds)
        finally:
            self.load.leave()

    def _error(self, refused: RpcError) -> CallError:
        """What the SDK makes of it; the same words are read once, because some policies are refused very often."""
        known = self._known.get(refused.message)
        if known is None:
            payload = encode(COMMON, "ErrorBody", refused.body)
            known = status.error_from_reply(refused.code, {}, payload, resource="models/m")
            self._known = {refused.message: known}
        return copy.copy(known)


@attrs.define
class Tally:
    """What a policy achieved. ``lost`` are prompts it gave up."""

    goodput: float = 0.0
    rejects: float = 0.0
    lost: int = 0
    done: int = 0
    statistics: LimiterStatistics | None = None


Worker = Callable[[Service, Tally, Callable[[], bool]], Awaitable[None]]


async def simulate(scenario: Scenario, worker: Worker, seconds: float, workers: int, seed: int = 1) -> Tally:
    """Let workers work for so many seconds of virtual time."""
    quota = scenario.quota()
    load = Load([quota], Latency(median=scenario.mean / _SPREAD, sigma=SIGMA), seed)
    refusal = min(REFUSAL, scenario.mean / 4)
    tally, end = Tally(), anyio.current_time() + seconds
    started = anyio.current_time()

    async def change() -> None:
        for at, limit in scenario.steps[1:]:
            await anyio.sleep(started + at * seconds - anyio.current_time())
            quota.limit = limit

    async with anyio.create_task_group() as group:
        group.start_soon(change)
        for _ in range(workers):
            group.start_soon(worker, Service(load, refusal), tally, lambda: anyio.current_time() < end)
        await anyio.sleep(seconds)
        tally.goodput = load.admitted / scenario.ideal(seconds)
        tally.rejects = load.refused / max(1, load.admitted)
        group.cancel_scope.cancel()
    return tally


_SPREAD = Latency(median=1.0, sigma=SIGMA).mean


def limited(limiter: Limiter) -> Worker:
    """A worker of ours: a permit for each attempt, and what the verdict says."""

    async def work(service: Service, tally: Tally, more: Callable[[], bool]) -> None:
        while more():
            counted = 0
            while True:
                permit = await limiter.acquire()
                try:
                    await service.generate()
                except CallError as error:
                    verdict = permit.failed(error, counted)
                    counted += verdict.counted
                    if verdict.action != "retry":
                        tally.lost += 1
                        break
                    await anyio.sleep(verdict.delay)
                else:
                    permit.success(None)
                    tally.done += 1
                    break
            tally.statistics = limiter.statistics()

    return work


def run(scenario: Scenario, worker: Worker, seconds: float, workers: int, seed: int = 1) -> Tally:
    """The same from outside of an event loop."""
    random.seed(seed)
    backend, options = virtualtime.asyncio_backend()
    return anyio.run(simulate, scenario, worker, seconds, workers, seed, backend=backend, backend_options=options)
