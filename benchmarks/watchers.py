"""Ways to follow many tuning jobs; ``watch.py`` measures them.

All of them tell a ``Seen`` of every step and every end that they learn of, look at each job every ten seconds, spread
the first looks over ten seconds, and go on until they are cancelled.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Protocol

INTERVAL = 10.0
PLACE = "projects/123/locations/us-central1"
ENDS = ["succeeded", "failed", "cancelled", "deleted", "lost"]


class Seen(Protocol):
    """Takes in when the service began to show something that a client has just learned."""

    def step(self, computed: float) -> None: ...
    def end(self, computed: float) -> None: ...


Run = Callable[[str, int, Seen], Awaitable[None]]


async def _watcher(
    url: str, jobs: int, seen: Seen, kinds: list[str] | None, policy: dict[str, Any], *, vertex: bool = False
) -> None:
    import gemtune
    from gemtune import events

    names = [f"{PLACE}/tuningJobs/{number}" if vertex else f"tunedModels/job-{number}" for number in range(jobs)]
    place = {"vertexai": True, "project": "123", "location": "us-central1"} if vertex else {}
    client = gemtune.Client(base_url=url, token="benchmark", **place)
    async with client, client.watch(names, policy=gemtune.WatchPolicy(**policy)) as watcher:
        async for event in watcher.subscribe(kinds=kinds):
            match event:
                case events.Snapshot(compute_time=computed) if computed is not None:
                    seen.step(computed.timestamp())
                case events.Succeeded(model=model):
                    seen.end(model.tuning_task.snapshots[-1].compute_time.timestamp())
        await asyncio.sleep(3600)


async def states(url: str, jobs: int, seen: Seen) -> None:
    """The watcher as it is, for somebody who wants to know how jobs end."""
    await _watcher(url, jobs, seen, ENDS, {})


async def steps(url: str, jobs: int, seen: Seen) -> None:
    """The watcher, for somebody who wants every step and has a quota for it."""
    policy = {"freshness": INTERVAL, "max_rps": 2000.0, "max_in_flight": 100}
    await _watcher(url, jobs, seen, None, policy)


async def _both(url: str, jobs: int, seen: Seen, kinds: list[str] | None, policy: dict[str, Any]) -> None:
    """A watcher for the Gemini API and one for Vertex AI, with as many jobs each."""
    await asyncio.gather(*(_watcher(url, jobs, seen, kinds, policy, vertex=vertex) for vertex in (False, True)))


async def both_states(url: str, jobs: int, seen: Seen) -> None:
    """The same as ``states`` for as many jobs of each of the two services."""
    await _both(url, jobs, seen, ENDS, {})


async def both_steps(url: str, jobs: int, seen: Seen) -> None:
    """The same as ``steps`` for as many jobs of each of the two services."""
    await _both(url, jobs, seen, None, {"freshness": INTERVAL, "max_rps": 2000.0, "max_in_flight": 100})


async def tasks(url: str, jobs: int, seen: Seen) -> None:
    """One task per job, each with its own loop and its own notion of what is new."""
    import aiohttp

    async def poll(session: aiohttp.ClientSession, number: int) -> None:
        await asyncio.sleep(INTERVAL * number / jobs)  # kinder than the tutorial: not all at once
        told = 0
        while True:
            async with session.get(f"{url}/v1beta/tunedModels/job-{number}") as reply:
                model = await reply.json()
            snapshots = model.get("tuningTask", {}).get("snapshots", [])
            for snapshot in snapshots[told:]:
                seen.step(_seconds(snapshot["computeTime"]))
            told = len(snapshots)
            if model["state"] != "CREATING":
                seen.end(_seconds(snapshots[-1]["computeTime"]))
                return
            await asyncio.sleep(INTERVAL)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as session:
        await asyncio.gather(*(poll(session, number) for number in range(jobs)))
        await asyncio.sleep(3600)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def threads(url: str, jobs: int, seen: Seen) -> None:
    """google-generativeai blocks: a thread per job, with the sleep in ``wait_bar`` that every example adds by hand."""
    import google.generativeai as genai

    genai.configure(api_key="benchmark", transport="rest", client_options={"api_endpoint": url})
    errors: list[BaseException] = []

    def follow(number: int) -> None:
        time.sleep(INTERVAL * number / jobs)
        told = 0
        try:
            operation = genai.get_operation(f"tunedModels/job-{number}/operations/op")
            for status in operation.wait_bar(disable=True):
                for snapshot in status.snapshots[told:]:
                    seen.step(snapshot.compute_time.ToNanoseconds() / 1e9)
                told = len(status.snapshots)
                time.sleep(INTERVAL)
            seen.end(operation.result().tuning_task.snapshots[-1]["compute_time"].timestamp())
        except Exception as error:
            errors.append(error)

    for number in range(jobs):
        threading.Thread(target=follow, args=(number,), daemon=True).start()
    while not errors:  # noqa: ASYNC110 - a thread cannot set an event of the loop's
        await asyncio.sleep(0.5)
    raise errors[0]


RUNNERS: dict[str, tuple[str, Run]] = {
    "gemtune, ends only": ("gemtune.watch", states),
    "gemtune, every step": ("gemtune.watch", steps),
    "gemtune, both services, ends only": ("gemtune.watch", both_states),
    "gemtune, both services, every step": ("gemtune.watch", both_steps),
    "a task per job": ("aiohttp", tasks),
    "wait_bar, a thread per job": ("google.generativeai", threads),
}
"""What each loads, and how it follows jobs."""
