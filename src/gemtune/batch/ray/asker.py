"""The class that Ray Data makes an actor of: it asks for every row of a block, and returns the block with answers."""

from __future__ import annotations

import asyncio
import pkgutil
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias, cast
from uuid import uuid4

import anyio
import anyio.to_thread
import pyarrow as pa
from ray.exceptions import RayError

import ray
from gemtune.batch.inferencer import Batch
from gemtune.batch.inputs import config_digests, make_item
from gemtune.batch.journal.lines import Header
from gemtune.batch.options import make_spec
from gemtune.batch.ray.block import as_table, checked_columns, digest_of, folder_of, journal_path, rows_of, with_results
from gemtune.batch.ray.quota import Quota
from gemtune.batch.ray.shelf import AnswerShelf, identity
from gemtune.batch.result import BatchResult
from gemtune.config import BatchPolicy
from gemtune.errors import GemtuneError, InvalidInput, JournalBusy
from gemtune.limiter.leased import LeasedLimiter
from gemtune.limiter.leases import Lease, LeaseReport
from gemtune.limiter.limiter import CONNECTIONS, Limiter
from gemtune.resources.given import BatchOptions, Framing

ClientLike: TypeAlias = Mapping[str, Any] | Callable[[], Any] | None
"""How an actor comes by its client: the arguments of ``gemtune.Client``, or a function without any that returns one."""

_QUOTA: Final = "it belongs to the quota that all actors share"
_NOT_OF_A_BLOCK: Final[Mapping[str, str]] = {
    **dict.fromkeys(("concurrency", "rpm", "tpm", "rpd", "limiter"), _QUOTA),
    "journal": "name a folder for the journals of all blocks",
    "order": "a block keeps its own order",
    "on_error": "a failure is a row",
    "max_failures": "nobody counts the failures of all blocks; look at the rows",
    "timeout": "give each row its time with item_timeout",
}
_OF_A_BLOCK: Final = frozenset(
    {"policy", "accept", "item_timeout", "retry_failed", "durability", *Framing.__annotations__}
)
_BUSY: Final = 60
"""Seconds for which the journal of a block may be held by an actor that is being replaced."""


class Asker:
    """Asks a model for every row: a class for ``Dataset.map_batches``, which makes actors of it.

    One actor has one client and one event loop, which live as long as it does. A block is asked as ``client.batch``
    asks: many requests at a time, in whatever order the answers come; it is returned in its own order. A row that
    failed is a row with an ``error``. What dooms all further rows (a wrong key, a model that is gone, a quota for the
    day) raises and ends the dataset: a million rows that all say the same would help nobody.

    Args:
        model: The model to ask, as for ``client.batch``.
        column: The column with the prompts: strings, or requests as structs.
        key: A column with keys, unique within a block, by which journals know the rows; None for their places.
        client: The arguments of ``gemtune.Client``, or a function that returns a client, called in the actor. By
            default ``gemtune.Client()``, which takes everything from the environment of the worker. What stands here
            travels through the cluster and its logs, so let a key come from the environment.
        quota: What all actors share; None lets each actor find out for itself how much the service takes.
        journal: A folder that all machines see under one path, for one journal per block.
        columns: Which results are added under which names, as ``COLUMNS`` has them.
        options: Further arguments of ``client.batch``: ``system_instruction``, ``generation_config``, ``accept``,
            ``item_timeout``, ``retry_failed``, ``policy``, ``durability`` ...

    Raises:
        InvalidInput: An argument is wrong.

    Example:
        >>> dataset.map_batches(
        ...     Asker,
        ...     fn_constructor_kwargs={"model": "gemini-2.5-flash", "quota": Quota(rpm=4_000)},
        ...     compute=ray.data.ActorPoolStrategy(size=4),
        ...     batch_size=1024,
        ...     batch_format="pyarrow",
        ... )
    """

    def __init__(
        self,
        model: Any,
        *,
        column: str = "prompt",
        key: str | None = None,
        client: ClientLike = None,
        quota: Quota | None = None,
        journal: object = None,
        columns: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._model, self._column, self._key, self._quota = model, column, key, quota
        self._folder, self._columns = folder_of(journal), checked_columns(columns)
        self._options = checked_options(options or {})
        # The same after Ray has restarted the actor: a new life under this name ends the leases of the old one.
        self._name = ray.get_runtime_context().get_actor_id() or uuid4().hex
        policy = self._options.pop("policy", None) or BatchPolicy()
        self._limiter = (
            Limiter(policy=policy) if quota is None else LeasedLimiter(concurrency=CONNECTIONS, policy=policy)
        )
        self._shelf: AnswerShelf | None = None
        # A thread of our own. Ray's async actors would do without, but their processes can outlive the dataset
        # (ray-project/ray#59033), and their blocks are held in memory as a whole (#65038).
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="gemtune", daemon=True).start()
        self._client: Any = self._run(_made(client))

    def __call__(self, batch: Any) -> pa.Table:
        """Return a block with the columns of the answers, in its own order.

        Raises:
            BatchStopped: Nothing more can succeed.
            GemtuneError: The credential, the journal or the quota cannot be used.
        """
        table = as_table(batch)
        rows = rows_of(table, self._column, self._key)
        results = self._run(self._answers(rows)) if rows else []
        return with_results(table, results, self._columns)

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _answers(self, rows: list[object]) -> list[BatchResult]:
        if self._folder is None:
            return await self._collected(rows, None)
        path = await anyio.to_thread.run_sync(journal_path, self._folder, digest_of(rows))
        held = await anyio.to_thread.run_sync(self._held, rows)
        places = [place for place in range(len(rows)) if place not in held]
        # Each row under the place that it has in the block, as some may be left out.
        asked = [row if isinstance(row := rows[place], tuple) else (place, row) for place in places]
        found = dict(zip(places, await self._collected(asked, path) if asked else [], strict=True))
        return [held[place] if place in held else found[place] for place in range(len(rows))]

    def _held(self, rows: list[object]) -> dict[int, BatchResult]:
        """Return what earlier runs have answered, by the rows' places."""
        shelf = self._shelf
        if shelf is None and self._folder is not None:
            spec = self._client.batch(self._model, [], **self._options).spec
            header = Header(spec.model, config_digests(spec.shared))
            keyed, keep_failed = self._key is not None, not spec.retry_failed
            shelf = self._shelf = AnswerShelf(self._folder, header, keyed, spec.accept, keep_failed)
        if shelf is None or not shelf.paths:
            return {}
        return shelf.find([self._identity(place, row) for place, row in enumerate(rows)])

    def _identity(self, place: int, row: object) -> int | None:
        item = make_item(row, place, "", str)
        return None if item.error is not None else identity(item.content_digest(), item.key)

    async def _collected(self, rows: Sequence[object], path: Path | None) -> list[BatchResult]:
        patience = _BUSY
        while True:
            batch: Batch = self._client.batch(
                self._model, rows, journal=path, order="input", limiter=self._limiter, **self._options
            )
            try:
                return await self._run_through(batch, len(rows))
            except JournalBusy:
                # Of an actor that is taken for dead: it lets go of the file when it is.
                if patience <= 0:
                    raise
            patience -= 1
            await anyio.sleep(1)

    async def _run_through(self, batch: Batch, rows: int) -> list[BatchResult]:
        limiter = self._limiter
        if not isinstance(limiter, LeasedLimiter):
            return await batch.collect()
        limiter.wanted = lambda: rows - _finished(batch)
        results: list[BatchResult] = []
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(limiter.keep, self._renew)
                results = await batch.collect()
                tasks.cancel_scope.cancel()
        except* GemtuneError as group:
            raise _first(group) from None
        finally:
            limiter.wanted = lambda: 0
            if self._quota is not None:
                self._quota.leave(self._name, limiter.give_back())
        return results

    async def _renew(self, report: LeaseReport) -> Lease:
        try:
            return await self._quota.renew(self._name, report)  # type: ignore[union-attr]
        except RayError as error:
            raise GemtuneError(
                f"the quota that all actors share is gone ({type(error).__name__}): run it again; with a journal, what "
                "was answered is kept"
            ) from None


def checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of each block's batch.

    Raises:
        InvalidInput: One is unknown, or is not a block's to decide.
    """
    for name in options.keys() & BatchOptions.__annotations__.keys() - _OF_A_BLOCK:
        why = _NOT_OF_A_BLOCK.get(name, f"it takes {', '.join(sorted(_OF_A_BLOCK))}")
        raise InvalidInput(f"{name} is not for the batch of one block: {why}", field=name)
    make_spec("-", cast("BatchOptions", dict(options)))
    return dict(options)


def _finished(batch: Batch) -> int:
    said = batch.statistics()
    return said.done + said.failed + said.skipped


def _first(group: BaseExceptionGroup[GemtuneError]) -> GemtuneError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


async def _made(client: ClientLike) -> Any:
    """Make the client in the loop that it belongs to."""
    if callable(client):
        return client()
    # The client stands above this floor: whoever wants another one gives a function, and this is only the default.
    return pkgutil.resolve_name("gemtune.client:Client")(**(client or {}))
