"""What a user may do to a watcher in the middle: close it, discard a job, wait, pass the wrong thing."""

import base64
import itertools
import json
import zlib

import anyio
import pytest

import gemtune
from gemtune import errors, events
from gemtune.config import WatchPolicy
from gemtune.watch import Watcher
from watch.service import Job, Service, named
from world import BASE, EXAMPLES, collect, make_app, make_client

pytestmark = pytest.mark.usefixtures("virtual_time")
NAME = named("job0")
POLICY = WatchPolicy(max_rps=50)


def make_service(count=1, gap=10.0, total=20):
    service = Service()
    service.add(*(Job(named(f"job{number}"), gap=gap, total=total) for number in range(count)))
    return service


def watch(service, resume=None, **options):
    return Watcher(service, list(service.jobs), policy=POLICY, resume=resume, **options)


def steps(seen):
    return [event.step for event in seen if isinstance(event, events.Snapshot)]


async def read_some(reader, count):
    seen = []
    while len(steps(seen)) < count:
        seen.append(await anext(reader))
    return seen


@pytest.mark.both_backends
async def test_closing_inside_the_block_ends_the_watch_and_nothing_else():
    service, reached = make_service(), []
    async with watch(service) as watcher:
        await anext(aiter(watcher))
        await watcher.aclose()
        requests = len(service.calls)
        await anyio.sleep(60)
        reached.append(await collect(watcher))
        await watcher.aclose()
    await anyio.sleep(1)
    assert reached == [[]]
    assert len(service.calls) == requests


async def test_a_discarded_job_is_not_discovered_again_until_it_is_added():
    async with make_client(make_app()) as client, client.watch(filter="owner:me") as watcher:
        job = await client.tune(BASE, EXAMPLES, display_name="a")
        other = await client.tune(BASE, EXAMPLES, display_name="b")
        await anyio.sleep(15)
        assert watcher.discard(job)
        await anyio.sleep(25)
        assert set(watcher.jobs) == {other.name}
        watcher.add(job)
        assert set(watcher.jobs) == {job.name, other.name}


@pytest.mark.parametrize("how", ["wait", "as_completed", "kinds"])
@pytest.mark.parametrize("restart", [False, True])
async def test_who_waits_for_the_end_only_does_not_take_snapshots_from_a_reader(how, restart):
    service, resume = make_service(), None
    async with watch(service) as watcher:
        reader = watcher.subscribe()
        first = await read_some(reader, 5)
        reader.close()
        resume = watcher.resume_token()
        if not restart:
            left = await finish(watcher, how)
            resume = watcher.resume_token()
            assert len(left) == 1
    if restart:
        async with watch(service, resume) as watcher:
            await finish(watcher, how)
            resume = watcher.resume_token()
    async with watch(service, resume) as watcher:
        assert watcher.jobs.keys() == {NAME}
        with anyio.fail_after(600):
            second = await collect(watcher)
    assert set(steps(first) + steps(second)) == set(range(1, 21))


async def finish(watcher, how):
    if how == "wait":
        return list((await watcher.wait()).done.values())
    if how == "as_completed":
        return await collect(watcher.as_completed())
    return await collect(watcher.subscribe(kinds={"succeeded"}))


async def test_a_second_reader_who_leaves_early_does_not_undo_that_the_end_was_read():
    service = make_service()
    async with watch(service) as watcher:
        with watcher.subscribe() as first:
            await collect(first)
        with watcher.subscribe() as second:
            await anext(second)
        token = watcher.resume_token()
    assert watch(service, token).jobs == {}


async def test_asking_again_for_an_ended_job_leaves_it_ended_in_the_resume_token():
    service = make_service()
    async with watch(service) as watcher:
        await collect(watcher)
        token = watcher.resume_token()
    async with watch(service, token) as watcher:
        await watcher.wait(NAME)
        token = watcher.resume_token()
    assert watch(service, token).jobs == {}


async def test_where_nobody_reads_snapshots_the_ends_alone_make_the_resume_token():
    service = make_service()
    async with watch(service) as watcher:
        await collect(watcher.as_completed())
        token = watcher.resume_token()
    assert watch(service, token).jobs == {}


async def test_bookmarks_come_in_time_although_there_is_news_that_nobody_wants():
    service = make_service(5, gap=4.0, total=100)
    async with watch(service) as watcher:
        everything = watcher.subscribe()
        reader, times = watcher.subscribe(kinds={"succeeded"}, bookmarks=10), [anyio.current_time()]
        async for _ in reader:
            times.append(anyio.current_time())
        assert max(later - earlier for earlier, later in itertools.pairwise(times)) <= 10.1
        assert everything.backlog > 0


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), "5", True])
def test_the_time_between_bookmarks_is_checked(wrong):
    with pytest.raises(errors.InvalidInput, match="bookmarks"):
        watch(make_service()).subscribe(bookmarks=wrong)


async def test_a_discarded_job_is_in_no_resume_token_also_after_a_resume():
    service = make_service(2)
    async with watch(service) as watcher:
        await anyio.sleep(30)
        resume = watcher.resume_token()
    async with Watcher(service, policy=POLICY, resume=resume) as watcher:
        watcher.discard(NAME)
        resume = watcher.resume_token()
    assert set(Watcher(service, policy=POLICY, resume=resume).jobs) == {named("job1")}


def crafted(value):
    plain = value if isinstance(value, bytes) else json.dumps(value).encode()
    return "c1." + base64.urlsafe_b64encode(zlib.compress(plain)).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "value",
    [
        *({"jobs": [], "since": since} for since in (float("inf"), float("nan"), 1e300, -1.0, 10**400)),
        b"[" * 200_000,
        {"jobs": {}},
    ],
    ids=["inf", "nan", "huge", "negative", "long", "deep", "mapping"],
)
def test_a_crafted_resume_token_is_refused(value):
    with pytest.raises(errors.InvalidInput):
        watch(make_service(), crafted(value))


async def test_jobs_are_one_or_several_and_anything_else_is_refused():
    async with make_client(make_app()) as client:
        job = await client.tune(BASE, EXAMPLES)
        model = await client.tuned_models.get(job)
        for one in (job, model, job.name, job.operation, [model]):
            assert client.watch(one).jobs.keys() == {job.name}
        for wrong in (5, None, [None], [[job]], b"x"):
            with pytest.raises(errors.InvalidInput):
                client.watch(wrong)
        watcher = client.watch()
        with pytest.raises(errors.InvalidInput):
            watcher.subscribe(5)
        watcher.subscribe(model)
        assert watcher.jobs.keys() == {job.name}


async def test_of_an_empty_list_nothing_completes():
    async with watch(make_service()) as watcher:
        assert await collect(watcher.as_completed([])) == []
        assert (await watcher.wait([])).done == {}
        assert [event.job for event in await collect(watcher.as_completed([NAME]))] == [NAME]


async def test_waiting_that_a_closed_watcher_cuts_short_is_an_error_and_no_time_out():
    service = make_service(2)
    service.jobs[NAME].total = 2
    watcher, raised = await watch(service).start(), []

    async def wait():
        with pytest.raises(errors.MisuseError, match="closed before 1 of 2 jobs had ended") as caught:
            await watcher.wait()
        raised.append(caught.value)

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.sleep(60)
        await watcher.aclose()
    assert len(raised) == 1
    for arguments in ({}, {"timeout": 5}, {"until": "first_failure"}):
        with pytest.raises(errors.MisuseError, match="closed"):
            await watcher.wait(**arguments)
    with pytest.raises(errors.MisuseError, match="closed"):
        await watcher.wait(named("new"))
    assert set((await watcher.wait(NAME)).done) == {NAME}, "of what it knows it can still tell"
    assert set((await watcher.wait(until="any")).done) == {NAME}


async def test_an_end_that_is_known_is_told_also_after_the_client_was_closed():
    client = make_client(make_app())
    settings = gemtune.Hyperparameters(epoch_count=1, batch_size=4)
    ended = await client.tune(BASE, EXAMPLES, hyperparameters=settings)
    watcher = await client.watch([ended]).start()
    await watcher.wait()
    other = await client.tune(BASE, EXAMPLES)
    watcher.add(other)
    await client.aclose()
    await anyio.sleep(60)
    assert [event.kind for event in (await watcher.wait(ended)).done.values()] == ["succeeded"]
    assert [event.kind for event in await collect(watcher.as_completed(ended))] == ["succeeded"]
    for jobs in ([other], []):
        with pytest.raises(errors.MisuseError, match="closed"):
            await watcher.wait(*jobs)
    await watcher.aclose()


async def test_a_watcher_that_was_closed_before_it_began_does_not_begin():
    watcher = watch(make_service())
    await watcher.aclose()
    with pytest.raises(errors.MisuseError, match="watches once"):
        await watcher.start()
    with pytest.raises(errors.MisuseError, match="watches once"):
        async with watcher:
            pass
    with pytest.raises(errors.MisuseError, match=f"closed and cannot watch {named('new')}"):
        watcher.subscribe([named("new")])


@pytest.mark.parametrize("kept", [0, 3, 4096])
async def test_a_reader_who_is_overtaken_while_it_reads_what_is_made_again_from_the_log_misses_nothing(
    kept, monkeypatch
):
    monkeypatch.setattr("gemtune.watch.position._KEPT", kept)
    service, seen = make_service(), []
    async with watch(service) as watcher:
        reader = watcher.subscribe(kinds=["snapshot"])
        await anyio.sleep(60)
        async for event in reader:
            seen.append(event)
            await anyio.sleep(7)
    assert steps(seen) == list(range(1, 21))
