"""The weather: some requests fail whatever the load. How fast is a batch, how fresh a watcher? In virtual time.

The service takes any number of requests; a share of them, or a single one, fails by chance after a twentieth of a
second. What of the throughput is lost beyond that share is lost to a limiter that takes chance for a quota.
"""

import random
from collections.abc import Callable
from statistics import mean, quantiles
from typing import Any

import anyio
import attrs

import virtualtime
from gemtune import errors
from gemtune.batch import make_batch
from gemtune.config import WatchPolicy
from gemtune.events import Snapshot
from gemtune.types import Candidate, Content, GenerateContentResponse, Part
from gemtune.watch import Watcher
from storm import refused
from watch.service import Job, Service, named

ROWS = 12_000
QUICK = 0.05  # seconds until a failure is known
JOBS, GAP = 200, 15.0
WARM, MEASURED = 120.0, 600.0
LONGEST = 1800.0

BUSY = "Resource has been exhausted (e.g. check quota)."
KINDS: dict[str, Callable[[], errors.CallError]] = {
    "429 with RetryInfo": lambda: refused(hint=1, message=BUSY),
    "429 without": lambda: refused(message=BUSY),
    "503": lambda: refused(code=503, message="The model is overloaded. Please try again later."),
    "500": lambda: refused(code=500, message="An internal error has occurred."),
    "reset": lambda: errors.ConnectionLost("the connection was reset"),
}
ONE = -1.0
"""A single failure, the hundredth request, as a share."""
SHARES = {"one": ONE, "0.1 %": 0.001, "1 %": 0.01, "5 %": 0.05}


@attrs.define(eq=False)
class Weather:
    """Lets a share of all requests fail, or the hundredth alone."""

    kind: str
    share: float
    seed: int = 1
    sent: int = 0
    met: int = 0
    _dice: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def strikes(self) -> bool:
        self.sent += 1
        struck = self.sent == 100 if self.share == ONE else self._dice.random() < self.share
        self.met += struck
        return struck

    def latency(self) -> float:
        return 0.5 + self._dice.random()

    def error(self) -> errors.CallError:
        return KINDS[self.kind]()


_REPLY = GenerateContentResponse(candidates=(Candidate(content=Content(parts=(Part(text="yes"),))),))


@attrs.define(eq=False)
class _Client:
    """What a batch asks, without sockets."""

    weather: Weather
    reply: GenerateContentResponse = _REPLY

    async def generate_content(self, *_: object, **__: object) -> GenerateContentResponse:
        if self.weather.strikes():
            await anyio.sleep(QUICK)
            raise self.weather.error()
        await anyio.sleep(self.weather.latency())
        return self.reply


@attrs.frozen
class Batch:
    """What a batch achieved: rows per second to the last one answered, rows given up, and rows still to come."""

    speed: float
    lost: int
    left: int
    met: int
    statistics: Any


async def _batch(weather: Weather, rows: int) -> Batch:
    done, lost, last, begun = 0, 0, 0.0, anyio.current_time()
    inputs = (f"p{number}" for number in range(rows))
    async with make_batch(_Client(weather), str, "m", inputs) as results:
        with anyio.move_on_after(LONGEST):
            async for result in results:
                done, lost, last = done + result.ok, lost + (not result.ok), anyio.current_time()
        statistics = results.limiter.statistics()
    return Batch(done / (last - begun), lost, rows - done - lost, weather.met, statistics)


class _Stormy(Service):
    """The watcher's service in such weather."""

    weather: Weather

    async def _request(self, method: str, name: str | None = None) -> float:
        if self.weather.strikes():
            self.calls.append((anyio.current_time(), method, name))
            await anyio.sleep(QUICK)
            raise self.weather.error()
        return await super()._request(method, name)


@attrs.frozen
class Watch:
    """How old snapshots were at their delivery, in seconds, and requests a second."""

    age: float
    p95: float
    rps: float
    throttled: int


async def _watch(weather: Weather, jobs: int) -> Watch:
    service = _Stormy(dice=random.Random(weather.seed))
    service.weather = weather
    total = int((WARM + MEASURED) / GAP) + 50
    service.add(*(Job(named(f"j{n}"), queue=GAP * n / jobs, gap=GAP, total=total) for n in range(jobs)))
    began, ages = anyio.current_time(), []
    async with Watcher(service, list(service.jobs), policy=WatchPolicy()) as watcher:
        with anyio.move_on_after(WARM + MEASURED):
            async for event in watcher:
                now = anyio.current_time()
                if isinstance(event, Snapshot) and now > began + WARM:
                    ages.append(now - service.jobs[event.job].queue - event.step * GAP)
        throttled = watcher.statistics().throttled
    calls = [at for at, _, _ in service.calls if at > began + WARM]
    return Watch(mean(ages), quantiles(ages, n=20)[-1], len(calls) / MEASURED, throttled)


def _run(function: Callable[..., Any], *arguments: object, seed: int) -> Any:
    random.seed(seed)  # the dice of the limiter and of the watcher
    backend, options = virtualtime.asyncio_backend()
    return anyio.run(function, *arguments, backend=backend, backend_options=options)


def batch(kind: str, share: float, seed: int = 1, rows: int = ROWS) -> Batch:
    """Run a batch of so many rows."""
    result: Batch = _run(_batch, Weather(kind, share, seed), rows, seed=seed)
    return result


def watch(kind: str, share: float, seed: int = 1, jobs: int = JOBS) -> Watch:
    """Watch so many jobs for ten minutes."""
    result: Watch = _run(_watch, Weather(kind, share, seed), jobs, seed=seed)
    return result
