"""Cancelled while one of its threads works, an operation leaves no file open, whoever cancels it and whichever thread.

A task of asyncio does not wait for its thread once it is cancelled: ``asyncio.timeout`` cancels the task itself, and
``asyncio.run`` at its end every task there is. So each thread of each operation is held in turn, before its work or
after it, the tasks are cancelled, and the thread goes on only once they have done what they can without it. Of the
threads that do the same work only the first is held, with GEMTUNE_DEEP=1 all of them.
"""

import asyncio
import contextlib
import gc
import itertools
import os
import threading
import warnings
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import attrs
import pytest

from batch.server_service import ServerService
from batch.service import Service, collect
from evaluation import models
from gemtune.batch.files import FileRows
from gemtune.metrics import judge
from gemtune.resources.batches import collection
from sweep.emulated import ROWS, Gemini, Vertex
from world import make_app, make_client

pytestmark = pytest.mark.usefixtures("virtual_time")
in_a_thread = anyio.to_thread.run_sync
DEEP = bool(os.environ.get("GEMTUNE_DEEP"))
TURNS = 300
"""Of the event loop, until a task that does not end is taken for one that waits for the thread."""


@attrs.define(eq=False)
class HeldThread:
    """Takes the place of ``anyio.to_thread.run_sync``, and holds the first thread that was not held before.

    Args:
        before: What was held before, to which it adds.
        after: Whether to hold it after its work instead of before.
    """

    before: set[object]
    after: bool
    what: str = attrs.field(default="", init=False)
    reached: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    free: threading.Event = attrs.field(factory=threading.Event, init=False)
    _calls: int = attrs.field(default=0, init=False)
    _at_work: list[threading.Event] = attrs.field(factory=list, init=False)

    async def run_sync(self, function, *args, **options):
        self._calls += 1
        loop, name = asyncio.get_running_loop(), name_of(function)
        which = self._calls if DEEP else name
        is_held = not self.what and which not in self.before
        if is_held:
            self.before.add(which)
            self.what = name

        def hold(is_now):
            if is_held and is_now:
                loop.call_soon_threadsafe(self.reached.set)
                assert self.free.wait(60)

        works = [partial(function, *args)]  # a worker that is idle remembers ``work``, and must not keep this alive

        def work():
            over = threading.Event()
            self._at_work.append(over)
            try:
                hold(not self.after)
                try:
                    return works.pop()()
                finally:
                    hold(self.after)
            finally:
                over.set()

        return await in_a_thread(work, **options)

    def wait(self):
        """Wait for the threads that nobody waits for any more."""
        while self._at_work:
            assert self._at_work.pop().wait(60)


def name_of(function):
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__qualname__", type(function).__name__)


def open_files():
    """The files that are open: neither sockets nor pipes, which belong to the event loop."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(each.readlink())
            if target.startswith("/") and not target.startswith(("/dev/", "/proc/")):
                found.append(target)
    return sorted(found)


async def cancelled(operation, held, *, everything):
    """Run an operation, cancel it while its thread is held, and return what it leaves; None if it ended before."""
    others, files = asyncio.all_tasks(), open_files()
    task = asyncio.create_task(operation())
    reached = asyncio.create_task(held.reached.wait())
    await asyncio.wait([task, reached], return_when=asyncio.FIRST_COMPLETED)
    if not held.reached.is_set():
        reached.cancel()
        await task
        return None
    victims = asyncio.all_tasks() - others if everything else {task}
    for victim in victims:
        victim.cancel()
    for _ in range(TURNS):
        if all(each.done() for each in victims):
            break
        await asyncio.sleep(0)
    held.free.set()
    await asyncio.wait(victims)
    if rest := asyncio.all_tasks() - others:
        await asyncio.wait(rest)
    await in_a_thread(held.wait)
    del task, victims, rest
    gc.collect()
    return [name for name in open_files() if name not in files]


async def leaks_of(operation, monkeypatch, tmp_path):
    """Hold every thread of an operation in turn; return what was left behind, and how often it was cancelled."""
    found, met = [], 0
    for everything, after in itertools.product((False, True), repeat=2):
        before, left = set(), []
        while left is not None:
            held, met = HeldThread(before, after), met + 1
            monkeypatch.setattr(anyio.to_thread, "run_sync", held.run_sync)
            folder = tmp_path / str(met)
            await in_a_thread(folder.mkdir)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                left = await cancelled(partial(operation, folder), held, everything=everything)
            where = f"{held.what} {'after' if after else 'before'} its work, {everything=}"
            found += [f"{where}: {each.message}" for each in caught if each.category is ResourceWarning]
            found += [f"{where}: {each}" for each in left or ()]
    return found, met - 4  # which came to their ends


async def batch(folder):
    async with Service(0.0).client() as client:
        options = {"journal": folder / "a.journal", "order": "input"}
        async with client.batch("gemini-x", [f"p{n}" for n in range(3)], **options) as results:
            await collect(results)


async def server_batch(folder):
    async with Service(0.0).client() as client:
        server = ServerService(queue=3)
        rows = [f"p{n}" for n in range(5)]
        async with server.batch(client, rows, journal=folder / "a.journal", order="input", finish="local") as results:
            await collect(results)


async def evaluation(folder):
    service = models.Models(seconds=0.0)
    service.of_models[models.JUDGE] = models.judging(lambda a, b: "A")
    metrics = ["exact_match", judge(models.JUDGE)]
    await models.evaluate(service, data=models.ROWS[:1], metrics=metrics, journal=folder / "evaluation")


async def sweep(folder):
    app = Gemini.app()
    async with Gemini.client(app) as client:
        space = {"epoch_count": [1]}
        await client.sweep(Gemini.base, ROWS[:4], space=space, validation=0.5, journal=folder / "a.sweep").run()


async def sweep_without_a_journal(folder):
    app = Gemini.app()
    async with Gemini.client(app) as client:
        await client.sweep(Gemini.base, ROWS[:4], space={"epoch_count": [1]}, validation=0.5).run()


async def sweep_of_a_file(folder):
    app, data = Vertex.app(), folder / "data.jsonl"
    lines = "".join(f'{{"input": "{given}", "output": "{wanted}"}}\n' for given, wanted in ROWS[:4])
    await in_a_thread(data.write_text, lines)
    async with Vertex.client(app) as client:
        await client.sweep(Vertex.base, data, space={"epoch_count": [1]}, validation=0.5).run()


async def upload(folder):
    path = folder / "a.jsonl"
    await in_a_thread(path.write_bytes, b"{}\n")
    async with make_client(make_app()) as client:
        await client.files.upload(path)


async def service_batch(folder):
    app = make_app(batch_queue_seconds=1.0, batch_seconds=1.0)
    async with make_client(app) as client:
        job = await client.batches.create("gemini-3.7-flash", [f"p{n}" for n in range(3)])
        await anyio.sleep(5)
        async with client.batches.results(job) as replies:
            await collect(replies)


async def batch_of_a_file(folder):
    path = folder / "prompts.csv"
    await in_a_thread(path.write_text, "key,prompt\n" + "".join(f"k{n},p{n}\n" for n in range(3)))
    async with Service(0.0).client() as client:
        options = {
            "journal": folder / "a.journal",
            "engine": "auto",
            "deadline": 86_400.0,
            "budget": 1.0,
            "prices": (1, 1),
        }
        async with client.batch("gemini-x", FileRows(path), **options) as results:
            await collect(results)
            await results.export(folder / "out.jsonl")


async def tuning_of_a_file(folder):
    app, data = Vertex.app(), folder / "data.jsonl"
    lines = "".join(f'{{"input": "{given}", "output": "{wanted}"}}\n' for given, wanted in ROWS[:4])
    await in_a_thread(data.write_text, lines)
    async with Vertex.client(app) as client:
        await (await client.tune(Vertex.base, data, validation_data=data))


async def evaluation_of_a_file(folder):
    data = folder / "data.jsonl"
    await in_a_thread(data.write_text, '{"input": "hi", "output": "ho"}\n')
    found = await models.evaluate(models.Models(seconds=0.0), data=data)
    await in_a_thread(found.write, folder / "found.json")


OPERATIONS = [
    batch, batch_of_a_file, server_batch, service_batch, evaluation, evaluation_of_a_file, sweep,
    sweep_without_a_journal, sweep_of_a_file, tuning_of_a_file, upload,
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_cancelled_while_any_of_its_threads_works_an_operation_leaves_no_file(operation, monkeypatch, tmp_path):
    monkeypatch.setattr(collection, "_INLINE_COUNT", 1)
    found, met = await leaks_of(operation, monkeypatch, tmp_path)
    assert not found, "\n".join(sorted(set(found)))
    assert met > 4
