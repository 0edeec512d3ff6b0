"""A model that is deleted and made anew under its name: two stories, and a resume token knows who read what of each."""

import anyio
import pytest

from gemtune import events
from gemtune.config import WatchPolicy
from gemtune.watch import Watcher
from gemtune.watch.resume_token import ResumeToken
from watch.service import Job, Service, named
from world import collect

pytestmark = pytest.mark.usefixtures("virtual_time")
NAME = named("job0")
POLICY = WatchPolicy(max_rps=50, coalesce="always")
READERS = ["wait", "as_completed", "kinds", "snapshots", "nobody"]


def make_service():
    """Two jobs, of which one goes on, so that lists are asked for."""
    service = Service()
    service.add(Job(NAME, gap=5.0, total=4), Job(named("other"), gap=20.0, total=30))
    return service


def make_anew(service, total=6):
    service.add(Job(NAME, created=anyio.current_time(), gap=5.0, total=total))


def watch(service, resume=None, jobs=None):
    return Watcher(service, list(service.jobs) if jobs is None else jobs, policy=POLICY, resume=resume)


async def read(watcher, how):
    """Take in the first story in one of the ways there are."""
    if how == "wait":
        return list((await watcher.wait(NAME)).done.values())
    if how == "as_completed":
        return await collect(watcher.as_completed(NAME))
    if how == "kinds":
        return await collect(watcher.subscribe([NAME], kinds=["succeeded", "deleted"]))
    if how == "snapshots":
        return await collect(watcher.subscribe([NAME]))
    await anyio.sleep(60)
    return []


def steps(seen):
    return [event.step for event in seen if isinstance(event, events.Snapshot) and event.job == NAME]


def stories(seen):
    """The steps and the end of each incarnation."""
    told = [[]]
    for event in seen:
        if event.job == NAME and isinstance(event, events.Snapshot):
            told[-1].append(event.step)
        elif event.job == NAME and events.is_terminal(event):
            told[-1].append(event.kind)
            told.append([])
    return [story for story in told if story]


async def test_the_operation_of_the_second_model_is_looked_for_too(virtual_time):
    service = make_service()
    async with watch(service) as watcher:
        await watcher.wait(NAME)
        make_anew(service, total=6)
        with watcher.subscribe(kinds=["added", "progress"]) as seen:
            while str(getattr(await anext(seen), "origin", "")) != "recreated":
                pass
            while (event := await anext(seen)).job != NAME or event.total_steps != 6:
                assert virtual_time() < 100, "only the operation knows how many steps there are"


@pytest.mark.parametrize("operation", [True, False])
async def test_a_model_made_anew_while_nobody_watched_is_no_restart(operation):
    service = make_service()
    async with watch(service) as watcher:
        with watcher.subscribe([NAME]) as seen:
            while (event := await anext(seen)).kind != "snapshot" or event.step < 3:
                pass
        token = watcher.resume_token()
    assert ResumeToken.parse(token).jobs[NAME].created, "only a look at the model tells when it was made"
    await anyio.sleep(60)
    make_anew(service)
    await anyio.sleep(12)
    again = [service.handle(service.jobs[NAME])] if operation else []
    async with watch(service, token, jobs=again) as watcher:
        with anyio.fail_after(1000):
            told = await collect(watcher.subscribe([NAME]))
    kinds = [event.kind for event in told]
    assert "restarted" not in kinds
    assert kinds.index("deleted") < kinds.index("snapshot")


@pytest.mark.parametrize("how", READERS)
@pytest.mark.parametrize("when", ["at-once", "running", "ended"])
async def test_the_second_story_is_whole_after_a_resume_whoever_followed_the_first(how, when):
    service = make_service()
    async with watch(service) as watcher:
        first = await read(watcher, how)
        assert all(event.kind != "deleted" for event in first)
        with watcher.subscribe(kinds=["added"]) as beginnings:
            make_anew(service)
            while str((await anext(beginnings)).origin) != "recreated":
                pass
        await anyio.sleep({"at-once": 0, "running": 16, "ended": 90}[when])
        token = watcher.resume_token()
    assert not ResumeToken.parse(token).jobs[NAME].ended
    async with watch(service, token, jobs=[]) as watcher:
        with anyio.fail_after(1000):
            second = await collect(watcher.subscribe([NAME]))
    assert stories(second)[-1] == [1, 2, 3, 4, 5, 6, "succeeded"]
    if how in {"snapshots", "as_completed", "kinds"}:
        assert len(stories(second)) == 1, "the end of the first was told"
    assert len(stories(second)) <= 2


@pytest.mark.parametrize("how", READERS)
async def test_what_is_read_of_the_second_story_is_not_told_again(how):
    service = make_service()
    async with watch(service) as watcher:
        await read(watcher, how)
        make_anew(service)
        await anyio.sleep(12)
        with watcher.subscribe([NAME]) as reader:
            seen = []
            while steps(seen)[-3:] != [1, 2, 3] or len(steps(seen)) < 7:
                seen.append(await anext(reader))
        token = watcher.resume_token()
    async with watch(service, token, jobs=[]) as watcher:
        rest = await collect(watcher.subscribe([NAME]))
    assert stories(rest) == [[4, 5, 6, "succeeded"]]


async def test_a_reader_between_two_stories_is_told_of_neither_twice():
    service = make_service()
    async with watch(service) as watcher:
        reader, seen = watcher.subscribe([NAME]), []
        while not (seen and events.is_terminal(seen[-1])):
            seen.append(await anext(reader))
        before = watcher.resume_token()
        make_anew(service)
        await anyio.sleep(60)
        between = watcher.resume_token()
        seen.append(await anext(reader))
        assert (seen[-1].kind, str(seen[-1].origin)) == ("added", "recreated")
        after = watcher.resume_token()
    assert ResumeToken.parse(before).jobs[NAME].ended, "nobody could know more"
    for token in (between, after):
        async with watch(service, token, jobs=[]) as watcher:
            assert stories(await collect(watcher.subscribe([NAME]))) == [[1, 2, 3, 4, 5, 6, "succeeded"]]


async def test_whoever_has_yet_to_read_the_first_end_is_told_of_another_beginning_after_a_resume():
    service = make_service()
    async with watch(service) as watcher:
        reader, seen = watcher.subscribe([NAME]), []
        while len(steps(seen)) < 4:
            seen.append(await anext(reader))
        await anyio.sleep(30)
        make_anew(service)
        await anyio.sleep(60)
        token = watcher.resume_token()
    async with watch(service, token, jobs=[]) as watcher:
        rest = await collect(watcher.subscribe([NAME]))
    assert stories(seen) == [[1, 2, 3, 4]]
    assert stories(rest)[-1] == [1, 2, 3, 4, 5, 6, "succeeded"]
    assert any(event.kind in {"deleted", "restarted"} for event in rest), "how the first one ended nobody can know"


async def test_a_subscription_to_an_ended_job_hears_of_it_when_it_is_made_anew():
    service = make_service()
    async with watch(service) as watcher:
        await read(watcher, "snapshots")
        token = watcher.resume_token()
    async with watch(service, token, jobs=[]) as watcher:
        watcher.add(NAME)
        everything = watcher.subscribe()
        await anyio.sleep(30)
        make_anew(service)
        seen = await collect(everything)
    assert stories(seen) == [[1, 2, 3, 4, 5, 6, "succeeded"]]
