"""Cancellation at every moment of every operation, and what is left behind: nothing.

Two ways to choose the moment. *Awaits*: the operation is driven step by step and cancelled at its n-th suspension,
early (as it suspends) or late (when what it waited for is there and it has not yet been resumed, the moment at which
results get lost). *Ticks*: it runs as a task and is cancelled after n passes of the event loop, which also finds it
while tasks of its own are under way. Both go on until the operation ends before its cancellation.

``PYTHONPATH=tests python -m proofs.sweep`` makes every step of the sweep over TCP and TLS and prints the counts.
"""

import asyncio
import contextlib
import gc
import itertools
import logging
import ssl
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import coroutine
from typing import Any

import anyio
import attrs
import trustme

import gemtune
from gemtune import errors
from gemtune.emulator import RunningEmulator, running_emulator
from gemtune.http.engines.httpx_engine import ForeignEngine
from gemtune.types.batches import GenerateContentBatch
from world import BASE, EXAMPLES, TOKEN

__all__ = ["OPERATIONS", "STYLES", "Arena", "Moment", "Tally", "arena", "contended", "moments", "sweep"]

MODEL = "gemini-3.7-flash"
LINE = b'{"key": "k", "request": {"contents": [{"parts": [{"text": "count"}]}]}}\n'
EAGER = gemtune.WatchPolicy(freshness=0.002, terminal_freshness=0.002, queued_interval=0.002, min_interval=0.001)


@attrs.define(eq=False)
class Scene:
    """One operation's client, its job, what it began, and a batch with results in a file."""

    client: gemtune.Client
    job: gemtune.TuningJob | None = None
    batch: GenerateContentBatch | None = None


async def _tune(scene: Scene) -> None:
    scene.job = await scene.client.tune(BASE, EXAMPLES, tuned_model_id="mine", if_exists="adopt")


async def _generate(scene: Scene) -> None:
    assert (await scene.client.generate_content(MODEL, "count")).text


async def _stream(scene: Scene) -> None:
    async for _piece in scene.client.stream_generate_content(MODEL, "count"):
        pass


async def _stream_left_early(scene: Scene) -> None:
    async with scene.client.stream_generate_content(MODEL, "count") as stream:
        await anext(stream)
        await asyncio.sleep(0)


async def _pager(scene: Scene) -> None:
    async for _model in scene.client.models.list(page_size=2):
        pass


async def _await_job(scene: Scene) -> None:
    scene.job = scene.client.job("ready")
    await scene.job


async def _job_events(scene: Scene) -> None:
    scene.job = scene.client.job("ready")
    async for _event in scene.job.events():
        pass


async def _upload(scene: Scene) -> None:
    await scene.client.files.upload(b"count\n" * 20, name="mine", mime_type="text/plain")


async def _create_batch(scene: Scene) -> None:
    await scene.client.batches.create(MODEL, ["count"])


async def _results(scene: Scene) -> None:
    assert scene.batch is not None
    async with scene.client.batches.results(scene.batch) as replies:
        assert [reply.key async for reply in replies] == ["k"]


def whole_files(folder: str) -> bool:
    return all(each.read_bytes().endswith(b"}\n") for each in Path(folder).iterdir())


async def _download(scene: Scene) -> None:
    # A task that is cancelled natively leaves its thread behind, which may put a file there while it is emptied.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "results.jsonl"
        try:
            assert scene.batch is not None
            await scene.client.files.download(scene.batch.output, path)
        finally:
            assert whole_files(folder), "whole or not at all"


OPERATIONS: dict[str, Callable[[Scene], Awaitable[None]]] = {
    "tune": _tune,
    "generate_content": _generate,
    "stream": _stream,
    "stream left early": _stream_left_early,
    "pager": _pager,
    "await job": _await_job,
    "job.events()": _job_events,
    "files.upload": _upload,
    "batches.create": _create_batch,
    "batches.results": _results,
    "files.download": _download,
}
STYLES = tuple(itertools.product(("task.cancel", "cancel scope"), ("once", "twice")))


@attrs.frozen
class Moment:
    """When and how an operation is cancelled.

    Args:
        kind: ``early`` or ``late`` at an await, or ``tick``.
        number: Which one, from 1 (0 for ticks: before it has begun).
        by: ``task.cancel`` or ``cancel scope``.
        times: ``once`` or ``twice``.
    """

    kind: str
    number: int
    by: str
    times: str


@coroutine
def _stepped(steps: Any, moment: Moment, cancel: Callable[[], object]) -> Iterator[Any]:
    """Drive a coroutine and cancel it at the moment's await; return whether it came that far."""
    count, sent, thrown = 0, None, None
    while True:
        try:
            waiting = steps.throw(thrown) if thrown is not None else steps.send(sent)
        except StopIteration:
            return count >= moment.number
        sent = thrown = None
        count += 1
        if count == moment.number:
            if moment.kind == "late" and waiting is not None:
                waiting.add_done_callback(lambda _: cancel())  # before the task's own: it is not yet resumed then
            else:
                cancel()
        elif moment.times == "twice" and count == moment.number + 1:
            cancel()
        try:
            sent = yield waiting
        except BaseException as error:  # noqa: BLE001 - handed on
            thrown = error


async def _at_await(operation: Awaitable[None], moment: Moment) -> bool:
    task = asyncio.current_task()
    assert task is not None
    reached = False
    steps = operation.__await__()
    with anyio.CancelScope() as scope:
        try:
            reached = await _stepped(steps, moment, scope.cancel if moment.by == "cancel scope" else task.cancel)
        except asyncio.CancelledError:
            if moment.by == "cancel scope":
                raise
            return True
    return reached or scope.cancelled_caught


async def _after_ticks(operation: Callable[[], Awaitable[None]], moment: Moment) -> bool:
    scope = anyio.CancelScope()

    async def run() -> None:
        with scope:
            await operation()

    task = asyncio.ensure_future(run())
    for _ in range(moment.number):
        await asyncio.sleep(0)
    reached = not task.done()
    for _ in range(2 if moment.times == "twice" else 1):
        if moment.by == "cancel scope":
            scope.cancel()
        else:
            task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([task])
    if not task.cancelled() and task.exception() is not None:
        raise task.exception()  # type: ignore[misc]
    return reached


async def cancelled(operation: Callable[[], Awaitable[None]], moment: Moment) -> bool:
    """Run an operation, cancel it at a moment, and return whether it was still running then."""
    if moment.kind == "tick":
        return await _after_ticks(operation, moment)
    return await asyncio.ensure_future(_at_await(operation(), moment))


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@attrs.define(eq=False)
class Tally:
    """What a sweep has found.

    Args:
        scenarios: Cancellations that met a running operation, by operation and kind.
        leaks: What was left behind, and after which scenario.
    """

    scenarios: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    leaks: list[str] = attrs.field(factory=list)

    def __str__(self) -> str:
        """Return one line for each operation, and the sum."""
        names = dict.fromkeys(name for name, _ in self.scenarios)
        rows = [
            f"| {name} | " + " | ".join(str(self.scenarios[name, kind]) for kind in ("early", "late", "tick")) + " |"
            for name in names
        ]
        sums = f"{self.scenarios.total()} scenarios, {len(self.leaks)} leaks"
        return "\n".join(["| operation | early | late | tick |", "|---|---|---|---|", *rows, "", sums])


@attrs.define(eq=False)
class Arena:
    """An emulator and the clients that are cancelled against it.

    Args:
        server: The emulator on a socket.
        context: What https is spoken with, or None.
        connections: The most connections of a client: 1, so that a lost one stops everything.
        patience: Seconds for the next call.
    """

    server: RunningEmulator
    context: ssl.SSLContext | None = None
    connections: int = 1
    patience: float = 5.0
    batch: GenerateContentBatch | None = attrs.field(default=None, init=False)

    def client(self) -> gemtune.Client:
        client = gemtune.Client(base_url=self.server.url, token=TOKEN, ssl_context=self.context, watch=EAGER)
        client._caller.wire.max_connections = self.connections
        return client

    @contextlib.asynccontextmanager
    async def scene(self, *, warm: bool) -> AsyncIterator[Scene]:
        async with self.client() as client:
            if warm:
                await client.models.get(BASE)
            yield Scene(client, batch=self.batch)

    async def left(self, scene: Scene, tasks: int, files: int) -> str | None:
        """Return what an operation left behind, or None; the next call is made on the way."""
        wire = scene.client._caller.wire
        try:
            with anyio.fail_after(self.patience):
                await scene.client.models.get(BASE)
        except (TimeoutError, errors.GemtuneError) as error:
            return f"the next call failed: {error!r}"
        if wire._opening.locked():
            return "the lock of opening is held"
        if scene.job is not None and scene.job._follower.looking.locked():
            return "the job's lock is held"
        found = None
        for look in range(20 + round(self.patience / 0.005)):
            found = self._things(wire, tasks, files)
            if found is None:
                break
            await asyncio.sleep(0 if look < 20 else 0.005)
        return found

    def _things(self, wire: Any, tasks: int, files: int) -> str | None:
        counts = wire.statistics()
        if counts.in_flight:
            return f"{counts.in_flight} requests under way"
        if isinstance(wire._engine, ForeignEngine):
            places = wire._engine.transport._places
            return None if places.value == places.max_value else f"{places.value} of {places.max_value} places"
        if wire._engine._connector._acquired:
            return f"{len(wire._engine._connector._acquired)} connections in use"
        if counts.connections > self.connections:
            return f"{counts.connections} connections"
        if (now := len(asyncio.all_tasks())) > tasks:
            return f"{now - tasks} tasks"
        # Both ends of each kept connection are in this process.
        if (now := open_files()) > files + 2 * self.connections:
            return f"{now - files} files"
        return None


@contextlib.contextmanager
def arena(secured: bool = False, connections: int = 1) -> Iterator[Arena]:
    """An emulator on a socket, over TLS if wished, with one finished job."""
    with contextlib.ExitStack() as stack:
        context, files = None, {}
        if secured:
            authority = trustme.CA()
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            certificate = authority.issue_cert("127.0.0.1")
            certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
            certificate.private_key_pem.write_to_path(folder / "key.pem")
            files = {"certfile": str(folder / "cert.pem"), "keyfile": str(folder / "key.pem")}
            context = ssl.create_default_context()
            authority.configure_trust(context)
        server = running_emulator(
            queue_seconds=0,
            step_seconds=0,
            batch_queue_seconds=0,
            batch_seconds=0,
            answers={"count": "one two three four five"},
            chunk_characters=6,
            **files,
        )
        yield Arena(stack.enter_context(server), context, connections)


def moments(stride: int, far: int, dense: int) -> Iterator[Iterator[Moment]]:
    """The moments to cancel at, as series; each is gone along until the operation ends first.

    Args:
        stride: Of the moments after the dense ones, every n-th.
        far: The last one.
        dense: How many at the beginning are all taken.
    """
    numbers = [*range(1, dense + 1), *range(dense + 1, far, stride)]
    for kind, (by, times) in itertools.product(("early", "late", "tick"), STYLES):
        yield (Moment(kind, number - (kind == "tick"), by, times) for number in numbers)


async def sweep(
    where: Arena,
    names: tuple[str, ...],
    tally: Tally,
    *,
    warm: bool,
    stride: int = 1,
    far: int = 10_000,
    dense: int = 1,
) -> None:
    """Cancel operations at every moment, and look after each what is left."""
    async with where.client() as client:
        await client.tune(BASE, EXAMPLES, tuned_model_id="ready", if_exists="adopt")
        file = await client.files.upload(LINE, name="ready", mime_type="application/jsonl")
        where.batch = await client.batches.get(await client.batches.create(MODEL, file))
        assert where.batch.output
    gc.collect()
    await asyncio.sleep(0.05)
    tasks, files = len(asyncio.all_tasks()), open_files()
    for name in names:
        for series in moments(stride, far, dense):
            missed = 0
            for moment in series:
                where.server.app.store.tuned_models.pop("tunedModels/mine", None)
                async with where.scene(warm=warm) as scene:
                    reached = await cancelled(partial(OPERATIONS[name], scene), moment)
                    found = await where.left(scene, tasks, files)
                tally.scenarios[name, moment.kind] += reached
                if found is not None:
                    tally.leaks.append(f"{name}, {'warm' if warm else 'cold'}, {moment}: {found}")
                missed = 0 if reached else missed + 1
                if missed == 3:  # one and two are noise: the other end answers when it likes
                    break


async def contended(where: Arena, name: str, tally: Tally, ticks: Iterable[int]) -> None:
    """Many at once on few connections: half of them are cancelled, the others and the next ones succeed."""
    tasks, files = len(asyncio.all_tasks()), open_files()
    for number in ticks:
        async with where.scene(warm=bool(number % 2)) as scene:
            running = [asyncio.ensure_future(OPERATIONS[name](Scene(scene.client))) for _ in range(12)]
            for _ in range(number):
                await asyncio.sleep(0)
            victims = [task for task in running[::2] if not task.done()]
            for task in victims:
                task.cancel()
            with anyio.fail_after(10):
                done = await asyncio.gather(*running, return_exceptions=True)
            lost = [one for one in done[1::2] if one is not None]
            found = f"others failed: {lost!r}" if lost else await where.left(scene, tasks, files)
        tally.scenarios[name, "tick"] += len(victims)
        if found is not None:
            tally.leaks.append(f"{name}, contended, after {number} ticks: {found}")


async def _whole() -> None:
    for secured, warm in itertools.product((False, True), (False, True)):
        tally = Tally()
        with arena(secured) as where:
            await sweep(where, tuple(OPERATIONS), tally, warm=warm)
        print(f"\n{'TLS' if secured else 'TCP'}, {'warm' if warm else 'cold'}\n\n{tally}")  # noqa: T201
        print(*tally.leaks[:20], sep="\n")  # noqa: T201


def main() -> None:
    """Make the whole sweep and print its counts."""
    logging.disable()
    asyncio.run(_whole())


if __name__ == "__main__":
    main()
