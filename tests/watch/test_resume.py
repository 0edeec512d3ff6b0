"""Ending and going on: cursors and resume tokens lose nothing, and say what may have been told before."""

import json

import anyio
import pytest

import gemtune
from gemtune import errors, events
from gemtune.config import WatchPolicy
from gemtune.watch import Watcher
from gemtune.watch.resume_token import ResumeToken
from watch.service import Job, Service, named
from world import BASE, EXAMPLES, collect, make_app, make_client, sent

pytestmark = pytest.mark.usefixtures("virtual_time")
NAME = named("job0")
POLICY = WatchPolicy(max_rps=50)


def make_service(count=2, **options):
    service = Service(**options)
    service.add(*(Job(named(f"job{number}"), gap=10.0, total=20) for number in range(count)))
    return service


def watch(service, resume=None, jobs=None):
    return Watcher(service, list(service.jobs) if jobs is None else jobs, policy=POLICY, resume=resume)


def steps(seen, name=None):
    return [event.step for event in seen if isinstance(event, events.Snapshot) and event.job == (name or NAME)]


async def read_some(reader, count, name=None):
    seen = []
    while len(steps(seen, name)) < count:
        seen.append(await anext(reader))
    return seen


@pytest.mark.both_backends
async def test_a_resume_token_goes_on_where_every_reader_was():
    service = make_service()
    async with watch(service) as watcher:
        fast, slow = watcher.subscribe(), watcher.subscribe([NAME])
        first = await read_some(fast, 15)
        await read_some(slow, 6)
        token = watcher.resume_token()
    async with watch(service, token, jobs=[]) as watcher:
        assert set(watcher.jobs) == set(service.jobs), "the resume token names the jobs"
        second = await collect(watcher)
    assert steps(second) == list(range(7, 21))
    assert steps(first, named("job1")) + steps(second, named("job1")) == list(range(1, 21))
    assert all(event.replayed for event in second if isinstance(event, events.Snapshot) and event.step < 15)
    assert {event.origin for event in second if isinstance(event, events.Added)} == {"resumed"}


async def test_jobs_that_had_ended_are_not_asked_for_again():
    service = make_service()
    service.jobs[named("job1")].total = 2
    async with watch(service) as watcher:
        reader = aiter(watcher)
        while not events.is_terminal(await anext(reader)):
            pass
        token = watcher.resume_token()
    service.calls.clear()
    async with watch(service, token) as watcher:
        seen = await collect(watcher)
        again = watcher.resume_token()
    assert {event.job for event in seen} == {NAME}
    assert not any("job1" in (name or "") for _, _, name in service.calls)
    async with watch(service, again) as watcher:
        assert watcher.jobs == {}
        result = await watcher.wait(named("job1"))
        assert [event.kind for event in result.done.values()] == ["succeeded"], "but one may ask"


async def test_the_cursor_of_an_event_serves_a_subscription_of_any_process():
    service = make_service()
    async with watch(service) as watcher:
        cursor = (await read_some(watcher.subscribe([NAME]), 9))[-1].cursor
        assert len(cursor) < 256
        here = await collect(watcher.subscribe([NAME], since=cursor))
    assert steps(here) == list(range(10, 21))
    async with watch(service, jobs=[]) as other:
        there = await collect(other.subscribe([NAME], since=cursor))
        assert steps(there) == list(range(10, 21))
        assert all(event.replayed for event in there if isinstance(event, events.Snapshot))
        assert await collect(other.subscribe([NAME], since=there[-1].cursor)) == []
    async with watch(service, jobs=[]) as third:
        requests = len(service.calls)
        assert await collect(third.subscribe([NAME], since=there[-1].cursor)) == []
        assert len(service.calls) == requests, "the cursor says that there is nothing left to tell"


async def test_a_step_that_was_skipped_comes_after_a_resume():
    service = Service()
    job = Holed(NAME, gap=10.0, total=20)
    service.add(job)
    async with watch(service) as watcher:
        first = await read_some(watcher.subscribe(), 10)
        token = watcher.resume_token()
    job.hidden = frozenset()
    async with watch(service, token) as watcher:
        second = await collect(watcher)
    assert sorted(steps(first) + steps(second)) == list(range(1, 21))
    assert 4 in steps(second)


class Holed(Job):
    hidden: frozenset[int] = frozenset({4})

    def snapshots(self, at):
        return [each for each in super().snapshots(at) if each.step not in self.hidden]


async def test_a_resume_token_is_versioned_small_and_without_secrets():
    service = make_service(1000)
    async with watch(service) as watcher:
        await anyio.sleep(30)
        text = watcher.resume_token()
    assert text.startswith("c1.")
    assert len(text) < 60_000
    assert set(ResumeToken.parse(text).jobs) == set(service.jobs)
    async with make_client(make_app()) as client:
        job = await client.tune(BASE, EXAMPLES)
        async with client.watch([job]) as watcher:
            await anyio.sleep(20)
            assert "ya29" not in json.dumps(str(ResumeToken.parse(watcher.resume_token())))


async def test_a_subscription_that_was_left_counts_as_far_as_it_came():
    service = make_service()
    async with watch(service) as watcher:
        first = await read_some(watcher.subscribe(), 5)
        await anyio.sleep(40)
        token = watcher.resume_token()
    async with watch(service, token) as watcher:
        second = await collect(watcher)
        done = watcher.resume_token()
    assert steps(first) + steps(second) == list(range(1, 21))
    async with watch(service, done) as watcher:
        assert watcher.jobs == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("c2.abc", "version 'c2', this gemtune reads version 'c1'"),
        ("c1.abc", "damaged"),
        ("c1.", "damaged"),
        ("c1.!!!", "damaged"),
        ("nonsense", "not a cursor"),
        ("j9.abc.0.1..0", "version"),
        ("", "not a cursor"),
    ],
)
async def test_what_is_no_resume_token_is_refused_with_the_reason(text, why):
    with pytest.raises(errors.InvalidInput, match=why):
        Watcher(Service(), [], policy=POLICY, resume=text)


async def test_every_cut_of_a_resume_token_is_refused():
    service = make_service()
    text = watch(service).resume_token()
    for end in range(len(text)):
        with pytest.raises(errors.InvalidInput):
            ResumeToken.parse(text[:end])


async def test_replicas_that_lag_lack_and_forget_lose_no_snapshot_of_a_real_client():
    app = make_app(
        seed=7,
        publish_lag_seconds=3,
        stale_reads=0.3,
        stale_seconds=40,
        hole_reads=0.4,
        list_gaps=0.3,
        step_seconds=3,
    )
    async with make_client(app) as client:
        settings = gemtune.Hyperparameters(epoch_count=5, batch_size=2)
        jobs = [await client.tune(BASE, EXAMPLES, hyperparameters=settings) for _ in range(12)]
        async with client.watch(jobs, policy=POLICY) as watcher:
            seen = await collect(watcher)
        ends = [event for event in seen if events.is_terminal(event)]
        assert [event.kind for event in ends] == ["succeeded"] * 12
        for job in jobs:
            assert sorted(steps(seen, job.name)) == list(range(1, 39))
    assert app.replicas.disturbed > 20
    assert sent(app, "tunedModels.list")


async def test_a_cursor_never_says_more_than_its_owner_was_told_also_where_the_watcher_itself_was_resumed():
    service = make_service(1)
    async with watch(service) as watcher:
        client = (await read_some(watcher.subscribe(), 3))[-1].cursor
        main = watcher.subscribe()
        await read_some(main, 12)
        token = watcher.resume_token()
    async with watch(service, token) as watcher:
        await anyio.sleep(20)
        for position in range(12):
            with watcher.subscribe([NAME], since=client) as reader:
                seen = [await anext(reader) for _ in range(position + 1)]
            had = steps(seen)
            left = await watcher.subscribe([NAME], since=seen[-1].cursor).next_batch(100)
            assert (had + steps(left))[:10] == list(range(4, 14)), seen[-1]
        assert {"added", "snapshot", "state_changed"} <= {event.kind for event in seen}


async def test_a_token_taken_after_a_resume_before_any_reader_has_come_keeps_what_the_predecessor_held():
    service = make_service()
    async with watch(service) as watcher:
        reader = watcher.subscribe()
        seen = []
        while len(steps(seen)) < 9:
            seen.append(await anext(reader))
        token = watcher.resume_token()
    for pause in (0, 0, 7):  # before the first look, and after some
        async with watch(service, token) as watcher:
            await anyio.sleep(pause)
            held, token = ResumeToken.parse(token), watcher.resume_token()
            for name, cursor in ResumeToken.parse(token).jobs.items():
                assert cursor.claims == held.jobs[name].claims
    async with watch(service, token) as watcher:
        seen += await collect(watcher)
    for job in service.jobs:
        assert steps(seen, job) == list(range(1, 21))
