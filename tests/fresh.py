"""How old snapshots are at their delivery, and how many requests that takes, by the number of jobs; in virtual time.

Jobs make a step every ``gap`` seconds, each at a time of its own, for longer than is measured. A look takes 50 ms.
"""

import random
from collections.abc import AsyncIterator
from statistics import median, quantiles
from typing import Any

import anyio
import attrs

import virtualtime
from gemtune.config import WatchPolicy
from gemtune.events import Event, Snapshot
from gemtune.jobs import TuningJob
from gemtune.looks.followers import Followers
from gemtune.watch import Watcher
from watch.service import Job, Service, named

MEASURED = 600.0


@attrs.frozen(kw_only=True)
class Found:
    """What was seen of some jobs.

    Args:
        age, p95: Seconds from a step to the delivery of its snapshot: the median, and 95 of 100.
        rps: Requests a second.
        most: The most requests in any two seconds.
        first: Seconds until the first look.
    """

    age: float
    p95: float
    rps: float
    most: int
    first: float


async def _take(service: Service, events: AsyncIterator[Event], ages: list[float], warm: float) -> None:
    async for event in events:
        now = anyio.current_time()
        if isinstance(event, Snapshot) and now > warm:
            ages.append(now - service.jobs[event.job].queue - event.step * service.jobs[event.job].gap)


async def _follow(jobs: int, gap: float, *, handles: bool) -> Found:
    warm = 60.0 + jobs / 2
    service = Service(dice=random.Random(1))
    total = int((warm + MEASURED) / gap) + 50
    service.add(*(Job(named(f"job{n}"), queue=gap * n / jobs, gap=gap, total=total) for n in range(jobs)))
    policy, ages = WatchPolicy(), []
    with anyio.move_on_after(warm + MEASURED):
        if handles:
            followers = Followers(service, policy)
            async with anyio.create_task_group() as tasks:
                for name in service.jobs:
                    tasks.start_soon(_take, service, TuningJob(followers.find(name)).events(), ages, warm)
        else:
            async with Watcher(service, list(service.jobs), policy=policy) as watcher:
                await _take(service, aiter(watcher), ages, warm)
    calls = [at for at, _, _ in service.calls if at > warm]
    return Found(
        age=median(ages),
        p95=quantiles(ages, n=20)[-1],
        rps=len(calls) / MEASURED,
        most=max(sum(at <= other < at + 2 for other in calls[n : n + 200]) for n, at in enumerate(calls)),
        first=service.calls[0][0],
    )


def follow(jobs: int, *, gap: float = 4.0, handles: bool = False) -> Found:
    """Follow so many jobs for ten minutes, with one watcher or with a handle for each."""
    random.seed(1)
    backend, options = virtualtime.asyncio_backend()

    async def run() -> Any:
        return await _follow(jobs, gap, handles=handles)

    found: Found = anyio.run(run, backend=backend, backend_options=options)
    return found
