"""A batch of any length has a bounded number of things alive, and leaves nothing behind wherever it is cancelled."""

import asyncio
import fcntl
import gc
import sys

import anyio
import pytest

from batch.service import MODEL, Service, collect
from gemtune.batch import BatchResult, Limiter, read_journal
from gemtune.batch.inputs import Item

LIMIT = 32


def alive(kind):
    return sum(type(thing) is kind for thing in gc.get_objects())


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
async def test_20_000_items_have_as_many_tasks_and_objects_as_100():
    service = Service(0.01)
    service.keep_bodies = False
    tasks, items, seen = 0, 0, 0
    prompts = (f"p{n}" for n in range(20_000))
    gc.collect()
    before = alive(Item) + alive(BatchResult)  # what earlier tests of this process have left or hold
    async with service.client() as client, client.batch(MODEL, prompts, concurrency=LIMIT) as results:
        async for result in results:
            if result.index % 1000 == 0:
                tasks = max(tasks, len(asyncio.all_tasks()))
                items = max(items, alive(Item) + alive(BatchResult) - before)
            seen += 1
    assert seen == 20_000
    assert tasks <= LIMIT + 5
    assert items <= 2 * 4 * LIMIT + 5


@pytest.mark.usefixtures("virtual_time")
async def test_the_workers_grow_with_the_limit_and_not_with_the_input():
    service, limiter = Service(1.0), Limiter(concurrency=4)
    async with service.client() as client, client.batch(MODEL, map(str, range(10_000)), limiter=limiter) as results:
        for limit in (4, 40, 10):
            limiter.limit = limit
            for _ in range(400):
                await anext(results)
            assert service.peak <= 40
            assert len(asyncio.all_tasks()) <= 40 + 5
    assert service.peak == 40


@pytest.mark.parametrize("how", ["scope", "native", "twice"])
@pytest.mark.parametrize("source", ["sync", "async"])
@pytest.mark.parametrize("resume", ["rest", "all"])
async def test_cancelled_after_any_number_of_steps_nothing_is_left_and_nothing_is_lost(tmp_path, how, source, resume):
    """Every step from the opening of the journal to the end is tried, in one journal that goes on and on."""
    prompts = [f"p{n}" for n in range(40)]
    journal = tmp_path / "journal"
    service = Service(0.0)
    published: set[int] = set()

    async def rows():
        for prompt in prompts:
            yield prompt

    async with service.client() as client:

        async def one(limiter):
            inputs = prompts if source == "sync" else rows()
            held = {result.index for result in read(journal)}
            options = {"limiter": limiter, "journal": journal, "durability": "none", "resume": resume}
            if resume == "all":  # a run gives each row once, whatever the runs before it have given
                published.clear()
            async with client.batch(MODEL, inputs, **options) as results:
                async for result in results:
                    assert result.index not in published, "published twice"
                    assert result.replayed is (result.index in held)
                    published.add(result.index)

        for ticks in range(0, 120, 3):
            limiter = Limiter(concurrency=3)
            before = asyncio.all_tasks()
            await CANCELLATIONS[how](lambda limiter=limiter: one(limiter), ticks)
            await released(journal)
            assert asyncio.all_tasks() == before
            assert limiter.statistics().in_flight == limiter.statistics().waiting == 0
            assert service.in_flight == 0
            assert published <= {result.index for result in read(journal)}
        await one(Limiter())
    kept = [result.index for result in read(journal)]
    assert sorted(kept) == list(range(40))
    assert published == set(kept) if resume == "all" else published <= set(kept)


def read(journal):
    return list(read_journal(journal)) if journal.exists() else []


async def released(journal):
    """Wait for a thread that was still at work when nobody waited for it any more."""
    for _ in range(2000):
        await asyncio.sleep(0.001)
        if any(map(at_the_journal, sys._current_frames().values())):
            continue
        if not journal.exists():
            return
        with journal.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            return
    raise AssertionError("the journal was not released")


def at_the_journal(frame):
    while frame is not None:
        if frame.f_code.co_filename.endswith("batch/journal/file.py"):
            return True
        frame = frame.f_back
    return False


async def by_scope(work, ticks):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await passing(ticks)
        tasks.cancel_scope.cancel()


async def natively(work, ticks, times=1):
    task = asyncio.ensure_future(work())
    await passing(ticks)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([task])
    assert task.cancelled() or task.exception() is None


async def natively_twice(work, ticks):
    await natively(work, ticks, times=2)


async def passing(ticks):
    for _ in range(ticks):
        await asyncio.sleep(0.0002 if ticks % 2 else 0)


CANCELLATIONS = {"scope": by_scope, "native": natively, "twice": natively_twice}


async def test_collecting_all_of_a_short_list_needs_no_journal(tmp_path):
    async with Service(0.0).client() as client, client.batch(MODEL, []) as results:
        assert await collect(results) == []
    assert list(tmp_path.iterdir()) == []
