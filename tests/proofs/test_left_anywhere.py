"""No scope is held across the user's code: whatever we let iterate over may be left in any way and by any task.

Every iterator and block of the client goes through every way of living and ending that frameworks, notebooks and the
garbage collector have. Afterwards the consumer's own task goes on, no task is left, and the loop has nothing to report.
"""

import asyncio
import contextlib
import gc

import anyio
import pytest

import gemtune
from gemtune.errors import GemtuneError, JournalBusy, MisuseError
from world import BASE, EXAMPLES, make_app, make_client

pytestmark = pytest.mark.usefixtures("virtual_time")
MODEL = "gemini-3.7-flash"
PROMPTS = [str(n) for n in range(12)]


@contextlib.asynccontextmanager
async def batch(client, job):
    async with client.batch(MODEL, PROMPTS, concurrency=2) as results:
        yield results


@contextlib.asynccontextmanager
async def ordered_batch(client, job):
    async with client.batch(MODEL, PROMPTS, concurrency=2, order="input") as results:
        yield results


@contextlib.asynccontextmanager
async def batch_of_a_generator(client, job):
    async def rows():
        for prompt in PROMPTS:
            await asyncio.sleep(0.1)
            yield prompt

    async with client.batch(MODEL, rows()) as results:
        yield results


@contextlib.asynccontextmanager
async def watcher(client, job):
    async with client.watch([job]) as watched:
        yield aiter(watched)


@contextlib.asynccontextmanager
async def subscription(client, job):
    async with client.watch([job]) as watched:
        with watched.subscribe(kinds=["snapshot", "succeeded"]) as events:
            yield events


@contextlib.asynccontextmanager
async def events_of_a_job(client, job):
    yield aiter(job.events())


@contextlib.asynccontextmanager
async def stream(client, job):
    async with client.stream_generate_content(MODEL, "count") as pieces:
        yield pieces


@contextlib.asynccontextmanager
async def pager(client, job):
    yield aiter(client.models.list(page_size=1))


@contextlib.asynccontextmanager
async def sweep(client, job):
    async with client.sweep(BASE, EXAMPLES, space={"epoch_count": [3, 4]}, validation=None) as events:
        yield events


FAMILY = [sweep, batch, ordered_batch, batch_of_a_generator, watcher, subscription, events_of_a_job, stream, pager]


async def each(entered):
    """An async generator around a block, as in a web handler."""
    async with entered as items:
        async for item in items:
            yield item


async def breaks(entered):
    async for _ in each(entered()):
        break


async def raises(entered):
    with contextlib.suppress(ValueError):
        async for _ in each(entered()):
            raise ValueError


async def forgets(entered):
    items = each(entered())
    await anext(items)
    del items
    gc.collect()


async def closes_in_another_task(entered):
    items = each(entered())
    await anext(items)
    await asyncio.create_task(items.aclose())


async def takes_each_step_in_a_task(entered):
    items = each(entered())
    for _ in range(3):
        await asyncio.create_task(anext(items))  # as asyncio.wait_for does on Python 3.11
    await items.aclose()


async def waits_with_a_heartbeat(entered):
    async with entered() as items:
        found = 0
        for _ in range(1000):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(anext(items), 0.07)
                found += 1
            if found == 3:
                return
            await asyncio.sleep(0.05)
    raise AssertionError("nothing comes through")


async def enters_and_leaves_in_two_tasks(entered):
    block = entered()
    items = await asyncio.create_task(block.__aenter__())
    await anext(items)
    await asyncio.create_task(block.__aexit__(None, None, None))


async def is_cancelled(entered):
    task = asyncio.create_task(breaks_late(entered))
    await asyncio.sleep(0.3)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def breaks_late(entered):
    async with entered() as items:
        async for _ in items:
            await asyncio.sleep(0.2)


async def is_under_a_timeout(entered):
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            await breaks_late(entered)


SHAPES = [
    breaks,
    raises,
    forgets,
    closes_in_another_task,
    takes_each_step_in_a_task,
    waits_with_a_heartbeat,
    enters_and_leaves_in_two_tasks,
    is_cancelled,
    is_under_a_timeout,
]


@contextlib.asynccontextmanager
async def nothing_left():
    """Fail if the block leaves a task behind, or has the event loop report something."""
    loop, reported = asyncio.get_running_loop(), []
    before = asyncio.all_tasks()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    try:
        yield
        gc.collect()
        await asyncio.sleep(1)  # the consumer's own task goes on
        assert asyncio.all_tasks() - before == set()
        assert reported == []
    finally:
        loop.set_exception_handler(None)


@pytest.mark.parametrize("member", FAMILY)
@pytest.mark.parametrize("shape", SHAPES)
async def test_what_is_iterated_over_survives_every_way_of_being_left(shape, member):
    app = make_app(answers={"count": "one two three four five six seven eight"}, chunk_characters=6)
    async with make_client(app) as client:
        job = await client.tune(BASE, EXAMPLES)
        await client.generate_content(MODEL, "warm")
        async with nothing_left():
            await shape(lambda: member(client, job))
        assert (await client.generate_content(MODEL, "again")).text


async def test_a_batch_without_a_block_begins_with_start_and_ends_with_aclose(tmp_path):
    async with make_client(make_app()) as client, nothing_left():
        results = await client.batch(MODEL, PROMPTS, journal=tmp_path / "run.journal", concurrency=1).start()
        assert (await anext(results)).ok
        with pytest.raises(JournalBusy):
            await client.batch(MODEL, PROMPTS, journal=tmp_path / "run.journal").start()
        await results.aclose()
        await results.aclose()
        rest = await client.batch(MODEL, PROMPTS, journal=tmp_path / "run.journal", resume="rest").start()
        assert len([result async for result in rest]) < len(PROMPTS)
        assert await rest.export(tmp_path / "out.jsonl") == len(PROMPTS)
        await rest.aclose()


async def test_a_batch_begins_once_with_a_block_or_without():
    async with make_client(make_app()) as client:
        never = client.batch(MODEL, PROMPTS)
        await never.aclose()
        results = await client.batch(MODEL, PROMPTS).start()
        with pytest.raises(MisuseError, match="runs once"):
            await results.start()
        with pytest.raises(MisuseError, match="runs once"):
            await results.__aenter__()
        await results.aclose()


async def test_a_batch_that_is_forgotten_ends_and_lets_go_of_its_journal(tmp_path):
    async with make_client(make_app()) as client, nothing_left():
        results = await client.batch(MODEL, PROMPTS, journal=tmp_path / "run.journal", concurrency=1).start()
        await anext(results)
        del results
        gc.collect()
        await asyncio.sleep(1)
        async with client.batch(MODEL, PROMPTS, journal=tmp_path / "run.journal", resume="rest") as results:
            assert len([result async for result in results]) < len(PROMPTS)


async def test_whoever_leaves_a_batch_waits_for_its_end_even_if_cancelled_meanwhile():
    ended = []

    async def rows():
        try:
            yield "one"
            await asyncio.sleep(1e6)
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(5)
            ended.append(True)

    async with make_client(make_app()) as client:
        results = await client.batch(MODEL, rows()).start()
        await anext(results)
        await asyncio.sleep(1)
        closing = asyncio.create_task(results.aclose())
        await asyncio.sleep(1)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert ended


@pytest.mark.parametrize("what", ["batch", "sweep"])
@pytest.mark.parametrize("begun", [False, True])
async def test_a_consumer_learns_that_somebody_has_cancelled_the_task_of_what_it_reads(tmp_path, what, begun):
    journal = tmp_path / "run.journal"

    def made(client):
        if what == "batch":
            return client.batch(MODEL, PROMPTS, concurrency=1, journal=journal)
        return client.sweep(BASE, EXAMPLES, space={"epoch_count": [3, 4]}, validation=None, journal=journal)

    async with make_client(make_app()) as client, nothing_left():
        async with made(client) as results:
            for _ in range(3 if begun else 0):  # a sweep reports its plan before it begins
                await anext(results)
            (task,) = (task for task in asyncio.all_tasks() if task.get_name() == f"gemtune {what}")
            task.cancel()
            with pytest.raises(GemtuneError, match=f"was cancelled before the {what} was done"):
                [result async for result in results]
        async with made(client) as results:  # the journal is free
            await anext(results)


async def test_a_watcher_whose_task_is_cancelled_before_it_begins_is_closed():
    async with make_client(make_app()) as client:
        job = await client.tune(BASE, EXAMPLES)
        async with nothing_left(), client.watch([job]) as watched:
            (task,) = (task for task in asyncio.all_tasks() if task.get_name() == "gemtune watcher")
            task.cancel()
            assert [event.kind async for event in watched] == ["added"]


def test_a_batch_that_is_left_open_ends_with_its_loop_and_is_closed_in_any_other(tmp_path):
    journal = tmp_path / "run.journal"

    async def begin():
        client = make_client(make_app())
        results = await client.batch(MODEL, PROMPTS, journal=journal, concurrency=1).start()
        await anext(results)
        return results

    results = asyncio.run(begin())
    asyncio.run(results.aclose())
    assert len(list(gemtune.batch.read_journal(journal))) >= 1


@pytest.mark.both_backends
async def test_a_batch_in_a_block_is_the_same_on_trio(anyio_backend_name):
    async with make_client(make_app()) as client:
        async with client.batch(MODEL, PROMPTS, concurrency=2) as results:
            async for result in results:
                assert result.ok
                break
        if anyio_backend_name == "trio":
            with pytest.raises(MisuseError, match="under trio use 'async with client.batch"):
                await client.batch(MODEL, PROMPTS).start()
