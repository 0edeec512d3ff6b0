"""A service of the tests that runs batches: in memory, on the clock of the event loop, strict, and as unlucky as told.

It checks what it gets: names, sizes, keys, that a mark is used once. ``steps`` holds what goes wrong next, by the name
of the operation: an exception is raised instead of acting, and ``Lost(exception)`` after having acted, as when a reply
is lost. ``shape`` changes the lines of the results of a batch.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import IO, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs

from batch.service import MODEL
from gemtune.batch import Batch, make_batch
from gemtune.errors import AmbiguousOutcome, BadRequest, NotFound, QuotaExhausted
from gemtune.pager import Pages
from gemtune.protocol.codec import decode, dumps, encode, loads
from gemtune.protocol.gemini import Page
from gemtune.resources.batches.service import BatchLimits, PlacedInput
from gemtune.types import GenerateContentRequest, GenerateContentResponse
from gemtune.types.batches import BatchCounts, BatchReply, BatchState, GenerateContentBatch
from gemtune.types.operations import Status
from gemtune.types.timestamp import Timestamp

WORD = re.compile(r"[a-z0-9_-]{1,63}")
Line = dict[str, Any]


LIMITS = BatchLimits(requests=10, bytes=1_000_000, jobs=3, inline_bytes=0, hours=48)
"""Under which a short input takes several batches."""


@attrs.frozen
class Lost:
    """The operation is done, and its reply does not arrive."""

    error: Exception


@attrs.frozen
class Before:
    """Something happens before the operation is done."""

    act: Callable[[], Awaitable[None]]


@attrs.define
class Running:
    """A batch of the service."""

    batch: GenerateContentBatch
    mark: str
    requests: list[Line]
    began: float
    ends: float
    state: str = "SUCCEEDED"
    looks: int = 0


@attrs.define
class ServerService:
    """``BatchService`` in memory.

    Args:
        seconds: How long a batch takes.
        room: How many may run at a time before a creation is refused with 429.
        queue: How many requests they may have together before it is.
    """

    seconds: float = 600.0
    room: int = 1000
    queue: float = math.inf
    limits: BatchLimits = LIMITS
    steps: dict[str, deque[Any]] = attrs.field(factory=lambda: defaultdict(deque))
    shape: Callable[[list[Line]], list[Line]] = lambda lines: lines
    state: str = "SUCCEEDED"
    files: dict[str, bytes] = attrs.field(factory=dict)
    batches: dict[str, Running] = attrs.field(factory=dict)
    paid: Counter[str] = attrs.field(factory=Counter)
    calls: Counter[str] = attrs.field(factory=Counter)
    refused: int = 0
    _names: int = 0

    def batch_name(self, given: object) -> str:
        return str(given)

    def is_batch(self, name: str) -> bool:
        return name.startswith("batches/")

    def input_line(self, key: str, model: str, request: GenerateContentRequest) -> bytes:
        assert WORD.fullmatch(key)
        assert model == MODEL
        return dumps({"key": key, "request": encode(request)}) + b"\n"

    def read_line(self, line: bytes) -> BatchReply:
        try:
            found = loads(line)
        except Exception:  # noqa: BLE001 - as the protocol says
            return BatchReply(key=None, error=Status(code=13, message="the line cannot be read"))
        if "response" in found:
            return BatchReply(key=found.get("key"), response=decode(GenerateContentResponse, found["response"]))
        return BatchReply(key=found.get("key"), error=decode(Status, found["error"]))

    async def place(self, file: IO[bytes], size: int, name: str, **_: Any) -> PlacedInput:
        async with self._step("place"):
            assert WORD.fullmatch(name)
            data = await anyio.to_thread.run_sync(file.read)
            assert len(data) == size <= self.limits.bytes
            self.files[f"files/{name}"] = data
        return PlacedInput(f"files/{name}")

    async def create(self, model: str, placed: PlacedInput, mark: str, **_: Any) -> GenerateContentBatch:
        assert model == MODEL
        assert WORD.fullmatch(mark)
        async with self._step("create"):
            running = [one for one in self.batches.values() if anyio.current_time() < one.ends]
            enqueued = sum(len(one.requests) for one in running) + self.files.get(placed.address, b"").count(b"\n")
            if len(running) >= self.room or enqueued > self.queue:
                self.refused += 1
                raise QuotaExhausted("the service failed with HTTP 429: enqueued tokens", status=429)
            if placed.address not in self.files:
                raise BadRequest(f"no file {placed.address}", status=400)
            assert mark not in {one.mark for one in self.batches.values()}, "created twice"
            requests = [json.loads(line) for line in self.files[placed.address].splitlines()]
            keys = [line["key"] for line in requests]
            assert 0 < len(requests) <= self.limits.requests
            assert len(set(keys)) == len(keys)
            self.paid.update(text_of(line) for line in requests)
            now = anyio.current_time()
            self._names += 1
            name = f"batches/b{self._names}"
            batch = GenerateContentBatch(
                name=name, display_name=mark, model=model, input=placed.address, create_time=at(now)
            )
            self.batches[name] = Running(batch, mark, requests, now, now + self.seconds, self.state)
        return self._seen(self.batches[name])

    async def find(self, mark: str) -> GenerateContentBatch | None:
        async with self._step("find"):
            found = [one for one in self.batches.values() if one.mark == mark]
        return self._seen(found[0]) if found else None

    async def get(self, name: str, **_: Any) -> GenerateContentBatch:
        async with self._step("get"):
            if name not in self.batches:
                raise NotFound(f"no batch {name}", status=404)
            self.batches[name].looks += 1
        return self._seen(self.batches[name])

    def list(self, **_: Any) -> Pages[GenerateContentBatch]:
        async def fetch(_: str | None) -> Page[GenerateContentBatch]:
            async with self._step("list"):
                return Page([self._seen(one) for one in self.batches.values()], None)

        return Pages(fetch)

    async def cancel(self, name: str) -> None:
        raise AssertionError("nobody has asked to cancel anything")

    async def delete(self, name: str) -> None:
        raise AssertionError("nobody has asked to delete anything")

    async def fetch(self, batch: GenerateContentBatch, into: IO[bytes], **_: Any) -> int:
        assert await anyio.to_thread.run_sync(into.seek, 0, 2) == 0
        found = self.batches[batch.name]
        steps = self.steps["fetch"]
        data = b"".join(self.results(found))
        if steps and isinstance(steps[0], Lost):
            await anyio.to_thread.run_sync(into.write, data[: len(data) // 2])
        async with self._step("fetch"):
            await anyio.to_thread.run_sync(into.write, data)
        return len(data)

    async def discard(self, placed: PlacedInput) -> None:
        async with self._step("discard"):
            self.files.pop(placed.address, None)

    def results(self, one: Running) -> list[bytes]:
        if one.state == "FAILED":
            return []
        lines = [{"key": line["key"], "response": reply(text_of(line))} for line in one.requests]
        return [line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in self.shape(lines)]

    def batch(self, client: Any, inputs: Any, **options: Any) -> Batch:
        """A batch of a client that this service runs."""
        options = {"engine": "server"} | options
        return make_batch(client, client._service.model_name, MODEL, inputs, batches=lambda: self, **options)

    def _seen(self, one: Running) -> GenerateContentBatch:
        over = anyio.current_time() >= one.ends
        state = one.state if over else "RUNNING"
        return attrs.evolve(
            one.batch,
            state=BatchState(state),
            service_state=f"BATCH_STATE_{state}",
            counts=BatchCounts(total=len(one.requests)),
            output="files/results" if over else "",
            end_time=at(one.ends) if over else None,
        )

    def _step(self, operation: str) -> _Step:
        self.calls[operation] += 1
        steps = self.steps[operation]
        return _Step(steps.popleft() if steps else None)


@attrs.define
class _Step:
    step: Any

    async def __aenter__(self) -> None:
        await anyio.lowlevel.checkpoint()
        if isinstance(self.step, Exception):
            raise self.step
        if isinstance(self.step, Before):
            await self.step.act()

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is None:
            if callable(self.step):  # something happens after it
                await self.step()
            if isinstance(self.step, Lost):
                raise self.step.error


def at(now: float) -> Timestamp:
    return Timestamp(int(now * 1e9))


def text_of(line: Line) -> str:
    return str(line["request"]["contents"][-1]["parts"][-1]["text"])


def reply(text: str, reason: str = "STOP") -> Line:
    return {
        "candidates": [{"content": {"parts": [{"text": f"re: {text}"}], "role": "model"}, "finishReason": reason}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 5, "totalTokenCount": 8},
    }


def failed(line: Line, code: int = 13, message: str = "internal") -> Line:
    return {"key": line["key"], "error": {"code": code, "message": message}}


def shuffled(seed: int) -> Callable[[list[Line]], list[Line]]:
    return lambda lines: random.Random(seed).sample(lines, len(lines))


def ambiguous() -> AmbiguousOutcome:
    return AmbiguousOutcome("it may have been created")
