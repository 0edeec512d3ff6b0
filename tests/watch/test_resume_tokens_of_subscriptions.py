"""A subscription's own resume token covers all its jobs, so that a stream over many continues after every break."""

import json
import re
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest

from gemtune import errors, events
from gemtune.config import WatchPolicy
from gemtune.watch import Watcher
from watch.service import Job, Service, named
from world import collect

pytestmark = pytest.mark.usefixtures("virtual_time")
PAGE = (Path(__file__).parents[2] / "docs" / "web.md").read_text(encoding="utf-8")
POLICY = WatchPolicy(max_rps=50)
LONGEST = 4096
"""Most characters of a header that nobody on the way refuses (nginx and others: 4 to 8 KiB for one)."""


def make_service(count=2, total=20):
    service = Service()
    service.add(*(Job(named(f"job{number}"), gap=10.0, total=total) for number in range(count)))
    return service


def watch(service, jobs=None, resume=None):
    return Watcher(service, list(service.jobs) if jobs is None else jobs, policy=POLICY, resume=resume)


async def breaking(watcher, every, jobs=None):
    """What a client gets that loses its connection after so many events and goes on from the last event's id."""
    seen, last = [], ""
    while True:
        count = len(seen)
        with watcher.subscribe(jobs, since=last or None) as stream:
            async for event in stream:
                last = stream.resume_token()
                assert len(last) < LONGEST
                seen.append(event)
                if len(seen) - count == every:
                    break
            else:
                return seen, last
        await anyio.sleep(1)


def steps(seen):
    return [(event.job, event.step) for event in seen if isinstance(event, events.Snapshot)]


@pytest.mark.both_backends
@pytest.mark.parametrize(("count", "every"), [(2, 7), (10, 7), (3, 4)])
async def test_a_stream_of_many_jobs_that_breaks_again_and_again_gives_each_snapshot_once_and_ends(count, every):
    service = make_service(count)
    async with watch(service) as watcher:
        seen, last = await breaking(watcher, every)
        assert sorted(steps(seen)) == sorted((job, step) for job in service.jobs for step in range(1, 21))
        assert [event async for event in watcher.subscribe(since=last)] == []
    ends = [event.job for event in seen if events.is_terminal(event)]
    assert sorted(ends) == sorted(service.jobs)


async def test_it_tells_what_was_given_here_and_not_what_others_have_read():
    service = make_service()
    async with watch(service) as watcher:
        with watcher.subscribe() as slow:
            first = [await anext(slow) for _ in range(9)]
            await collect(watcher)
            token = slow.resume_token()
    async with watch(service, jobs=[]) as other:
        second = await collect(other.subscribe(since=token))
    assert sorted(steps(first) + steps(second)) == sorted((job, s) for job in service.jobs for s in range(1, 21))
    async with watch(service, jobs=[], resume=token) as resumed:
        assert sorted(steps(first) + steps(await collect(resumed))) == sorted(steps(first) + steps(second))


async def test_a_job_that_was_discarded_is_not_watched_again_for_a_resume_token():
    service = make_service()
    async with watch(service) as watcher:
        stream = watcher.subscribe()
        await anext(stream)
        watcher.discard("job1")
        token = stream.resume_token()
        await collect(watcher.subscribe(since=token))
        assert list(watcher.jobs) == [named("job0")]


async def test_it_is_of_its_own_jobs_only_and_is_taken_before_the_end():
    service = make_service(3)
    async with watch(service) as watcher:
        stream = watcher.subscribe(["job1"])
        await collect(stream)
        token = stream.resume_token()
        assert {event.job for event in await collect(watcher.subscribe(since=token))} == {
            named("job0"),
            named("job2"),
        }
        stream.close()
        with pytest.raises(errors.MisuseError, match="before"):
            stream.resume_token()


@pytest.mark.parametrize("text", ["c2.x", "c1.x", "c", "x", 3])
async def test_what_is_no_resume_token_is_refused(text):
    async with watch(make_service()) as watcher:
        with pytest.raises(errors.InvalidInput):
            watcher.subscribe(since=text)


async def test_the_stream_of_the_documentation_continues_where_a_client_was_cut_off():
    names = {"json": json}
    exec(re.search(r"^async def stream\(.*?^(?=\S|```)", PAGE, re.DOTALL | re.MULTILINE)[0], names)
    service, told, last = make_service(), [], None
    async with watch(service) as watcher:
        while not told or told[-1] is not None:
            async with aclosing(names["stream"](watcher.subscribe(list(service.jobs), since=last))) as stream:
                for _ in range(7):
                    text = await anext(stream, None)
                    told.append(text and json.loads(text.partition("data: ")[2]))
                    if text is None:
                        break
                    last = text.splitlines()[0].removeprefix("id: ")
            await anyio.sleep(1)
        assert watcher.statistics().subscribers == 0
    steps = [(event["job"], event["step"]) for event in told[:-1] if event["kind"] == "snapshot"]
    assert sorted(steps) == sorted((job, step) for job in service.jobs for step in range(1, 21))
