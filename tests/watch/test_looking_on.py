"""Whoever only looks on, as a page does: costs the resume token nothing, adds nothing, and sees jobs that have left."""

import pytest

import gemtune
from gemtune import events
from gemtune.config import WatchPolicy
from gemtune.watch import Watcher
from watch.service import Job, Service, named
from world import BASE, EXAMPLES, collect, make_app, make_client, sent

pytestmark = pytest.mark.usefixtures("virtual_time")
POLICY = WatchPolicy(max_rps=50)


def make_service(count=2):
    service = Service()
    service.add(*(Job(named(f"job{number}"), gap=5.0, total=4) for number in range(count)))
    return service


def steps(seen):
    return sorted((event.job, event.step) for event in seen if isinstance(event, events.Snapshot))


@pytest.mark.both_backends
async def test_a_passive_subscriber_sees_everything_and_holds_no_resume_token_back():
    service = make_service()
    async with Watcher(service, list(service.jobs), policy=POLICY) as watcher:
        seen = await collect(watcher.subscribe(passive=True))
        assert steps(seen) == sorted((job, step) for job in service.jobs for step in range(1, 5))
        assert len(steps(await collect(watcher))) == 8
        after = watcher.resume_token()
        with watcher.subscribe(passive=True) as late:
            await anext(late)
            assert watcher.resume_token() == after
    async with Watcher(service, list(service.jobs), policy=POLICY, resume=after) as resumed:
        assert await collect(resumed) == []


async def test_a_watch_that_was_only_looked_on_delivers_all_of_it_after_a_resume():
    service = make_service()
    async with Watcher(service, list(service.jobs), policy=POLICY) as watcher:
        await collect(watcher.subscribe(passive=True))
        token = watcher.resume_token()
    async with Watcher(service, policy=POLICY, resume=token) as resumed:
        assert len(steps(await collect(resumed))) == 8


async def test_a_passive_subscriber_of_a_resumed_watch_sees_it_from_the_beginning_unless_its_own_token_says_otherwise():
    service = make_service()
    async with Watcher(service, list(service.jobs), policy=POLICY) as watcher:
        async for event in watcher:
            if isinstance(event, events.Snapshot):
                break
        token = watcher.resume_token()
    async with Watcher(service, list(service.jobs), policy=POLICY, resume=token) as resumed:
        page = resumed.subscribe(passive=True)
        assert len(steps(await collect(page))) == 8
        again = resumed.subscribe(list(service.jobs), since=page.resume_token(), passive=True)
        assert steps(await collect(again)) == []
        assert len(steps(await collect(resumed))) == 7


async def test_a_token_of_a_passive_subscriber_adds_no_job():
    service = make_service()
    async with Watcher(service, list(service.jobs), policy=POLICY) as watcher:
        token = watcher.resume_token()
    async with Watcher(service, policy=POLICY) as other:
        other.subscribe(since=token, passive=True).close()
        assert other.jobs == {}
        other.subscribe(since=token).close()
        assert len(other.jobs) == 2


async def test_pictures_are_of_the_jobs_that_are_wanted_and_watched():
    service = make_service(3)
    async with Watcher(service, list(service.jobs)[:2], policy=POLICY) as watcher:
        one, two = [picture.name for picture in watcher.pictures()]
        assert [picture.name for picture in watcher.pictures([two])] == [two]
        assert [picture.name for picture in watcher.pictures(one)] == [one]
        assert watcher.pictures([named("job2"), named("none")]) == watcher.pictures([]) == []


async def test_a_job_that_was_found_and_has_left_is_still_shown_as_it_was():
    service = make_service(2)
    async with Watcher(service, policy=POLICY, filter="owner:me") as watcher:
        ended = 0
        async for event in watcher:
            ended += events.is_terminal(event)
            if ended == 2:
                break
        next_nowait = aiter(watcher).next_nowait
        assert next_nowait() is None
        assert watcher.jobs == {}
        shown = watcher.pictures()
        assert sorted((picture.name, picture.word, len(picture.losses)) for picture in shown) == sorted(
            (name, "succeeded", 4) for name in service.jobs
        )
        assert watcher.pictures(shown[1].name) == [shown[1]]


@pytest.mark.gemini
async def test_a_watched_job_keeps_the_title_that_its_handle_knew_though_nobody_holds_the_handle_any_more():
    async with make_client(make_app()) as client:
        hyper = gemtune.Hyperparameters(epoch_count=3)
        job = await client.tune(BASE, EXAMPLES, display_name="numbers", hyperparameters=hyper)
        watcher = client.watch(job)
        del job
        (picture,) = watcher.pictures()
        assert (picture.title, picture.base_model, picture.hyperparameters) == ("numbers", BASE, "3 epochs")


@pytest.mark.gemini
async def test_a_job_that_was_found_has_its_title_while_it_runs_though_its_operation_does_not_say_it():
    app = make_app(step_seconds=10)
    async with make_client(app) as client:
        await client.tune(BASE, EXAMPLES, display_name="numbers")
    async with make_client(app) as other, other.watch(filter="owner:me") as watcher:
        async for event in watcher:
            if isinstance(event, events.Snapshot):
                break
        (picture,) = watcher.pictures()
        assert (picture.title, picture.base_model, picture.word) == ("numbers", BASE, "running")
        assert picture.hyperparameters.startswith("5 epochs")
        assert not sent(app, "tunedModels.get")


async def test_the_statistics_say_whether_it_runs():
    watcher = Watcher(make_service(), policy=POLICY)
    assert not watcher.statistics().running
    async with watcher:
        assert watcher.statistics().running
    assert not watcher.statistics().running
