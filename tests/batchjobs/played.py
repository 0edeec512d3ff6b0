"""Batches of a made-up service, each a function of time: enough for whoever follows them and reads their results."""

import json
from collections.abc import Sequence
from typing import Any

import anyio
import anyio.to_thread
import attrs

from gemtune import errors
from gemtune.pager import Pages
from gemtune.protocol.gemini import Page
from gemtune.protocol.names import is_batch_name
from gemtune.types import Candidate, Content, GenerateContentResponse, Part
from gemtune.types.batches import BatchCounts, BatchReply, BatchState, GenerateContentBatch
from gemtune.types.operations import Status
from gemtune.types.timestamp import Timestamp

BEGAN = 1_770_000_000


@attrs.define
class PlayedBatch:
    """A batch: it waits for ``queue`` seconds, then answers a request every ``gap`` seconds.

    Args:
        name: Its name.
        keys: The keys of its requests; those that begin with ``bad`` fail.
        queue: Seconds before the first request.
        gap: Seconds for each.
        fate: The state it ends in.
        stops: After how many requests it ends; None after all.
        silent: Whether its counts stay away before the end.
        always: The state that it is in all the time.
    """

    name: str
    keys: Sequence[str] = tuple(f"k{n}" for n in range(10))
    queue: float = 60.0
    gap: float = 10.0
    fate: BatchState = BatchState.SUCCEEDED
    stops: int | None = None
    silent: bool = False
    error: Status | None = None
    cancelled_at: float | None = None
    gone: bool = False
    always: BatchState | None = None

    @property
    def last(self) -> int:
        return len(self.keys) if self.stops is None else self.stops

    def done_at(self, now: float) -> int:
        until = now if self.cancelled_at is None else min(now, self.cancelled_at)
        return min(max(int((until - self.queue) / self.gap), 0), self.last)

    def state_at(self, now: float) -> BatchState:
        if self.always is not None:
            return self.always
        if self.cancelled_at is not None and now >= self.cancelled_at:
            return BatchState.CANCELLED
        if now < self.queue:
            return BatchState.PENDING
        return self.fate if self.done_at(now) == self.last else BatchState.RUNNING

    def seen_at(self, now: float) -> GenerateContentBatch:
        state, done = self.state_at(now), self.done_at(now)
        finished = self.keys[:done] if state.terminal or not self.silent else ()
        failed = sum(key.startswith("bad") for key in finished)
        total = len(self.keys)
        counts = BatchCounts(
            total=total, successful=len(finished) - failed, failed=failed, pending=total - len(finished)
        )
        return GenerateContentBatch(
            name=self.name,
            display_name=f"the batch {self.name.rpartition('/')[2]}",
            model="models/gemini-3.7-flash",
            state=state,
            service_state=f"BATCH_STATE_{state}",
            counts=counts,
            create_time=Timestamp(BEGAN * 10**9),
            end_time=Timestamp(int((BEGAN + now) * 1e9)) if state.terminal else None,
            output="files/results" if state.terminal and finished else "",
            error=self.error if state == BatchState.FAILED else None,
        )

    def lines_at(self, now: float) -> bytes:
        """The results, in another order than the requests."""
        rows: list[dict[str, Any]] = []
        for key in reversed(self.keys[: self.done_at(now)]):
            rows.append(
                {"key": key, "error": "too long"} if key.startswith("bad") else {"key": key, "text": f"<{key}>"}
            )
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@attrs.define(eq=False)
class PlayedBatches:
    """A ``BatchService``, as far as handles, watchers and their readers need one."""

    batches: dict[str, PlayedBatch] = attrs.field(factory=dict)
    calls: list[tuple[float, str, str]] = attrs.field(factory=list)
    outage: tuple[float, float] = (float("inf"), float("inf"))
    broken_downloads: int = 0

    @classmethod
    def of(cls, *batches: PlayedBatch) -> "PlayedBatches":
        return cls({batch.name: batch for batch in batches})

    def batch_name(self, given: object) -> str:
        name = given if isinstance(given, str) else getattr(given, "name", None)
        if not is_batch_name(name):
            raise errors.InvalidInput(f"name must look like 'batches/abc', not {name!r}", field="name")
        return str(name)

    def is_batch(self, name: str) -> bool:
        return is_batch_name(name)

    async def get(self, name: str, *, timeout: float | None = None, retry: object = None) -> GenerateContentBatch:
        batch = await self._asked("get", name)
        return batch.seen_at(anyio.current_time())

    def list(self, *, page_size: int | None = None, timeout: object = None, retry: object = None) -> Pages[Any]:
        async def fetch(_: str | None) -> Page[GenerateContentBatch]:
            now = anyio.current_time()
            self.calls.append((now, "list", ""))
            return Page(tuple(batch.seen_at(now) for batch in self.batches.values()), None)

        return Pages(fetch)

    async def cancel(self, name: str) -> None:
        batch = await self._asked("cancel", name)
        if batch.cancelled_at is None and not batch.state_at(anyio.current_time()).terminal:
            batch.cancelled_at = anyio.current_time()

    async def delete(self, name: str) -> None:
        (await self._asked("delete", name)).gone = True

    async def fetch(self, batch: GenerateContentBatch, into: Any, *, retry: object = None) -> int:
        played = await self._asked("fetch", batch.name)
        if self.broken_downloads:
            self.broken_downloads -= 1
            raise errors.ConnectionLost("the connection broke")
        lines = played.lines_at(anyio.current_time())
        await anyio.to_thread.run_sync(into.write, lines)
        return len(lines)

    def read_line(self, line: bytes) -> BatchReply:
        row = json.loads(line)
        if "error" in row:
            return BatchReply(key=row["key"], error=Status(code=3, message=row["error"]))
        content = Content(role="model", parts=(Part(text=row["text"]),))
        return BatchReply(key=row["key"], response=GenerateContentResponse(candidates=(Candidate(content=content),)))

    async def _asked(self, method: str, name: str) -> PlayedBatch:
        self.calls.append((anyio.current_time(), method, name))
        await anyio.sleep(0.05)
        now = anyio.current_time()
        if self.outage[0] <= now < self.outage[1]:
            raise errors.Unavailable("the service is out", status=503)
        batch = self.batches.get(name)
        if batch is None or batch.gone:
            raise errors.NotFound(f"{name} was not found", status=404)
        return batch
