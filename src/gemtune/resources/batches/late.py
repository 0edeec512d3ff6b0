"""Results that appear a while after their batch has ended: they are paid for, so that they are waited for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from gemtune.errors import Unavailable
from gemtune.types.batches import BatchState, GenerateContentBatch

_ANSWERED: Final = frozenset({BatchState.SUCCEEDED, BatchState.PARTIALLY_SUCCEEDED})
_LATE: Final = (1.0, 2.0, 4.0, 8.0, 15.0, *[30.0] * 19)
"""Seconds between looks for results that are late: ten minutes in all."""


async def when_there(
    batch: GenerateContentBatch,
    fetch: Callable[[GenerateContentBatch], Awaitable[int]],
    look: Callable[[str], Awaitable[GenerateContentBatch]],
) -> int:
    """Return the bytes of a batch's results; none at all is what only a batch without answers has.

    Args:
        batch: The batch, which has ended.
        fetch: Downloads what there is, and returns its bytes.
        look: Looks at the batch.

    Raises:
        Unavailable: There are answers, and they have not appeared.
    """
    for pause in _LATE:
        size = await fetch(batch)
        if size or not batch.counts.successful or batch.state not in _ANSWERED:
            return size
        await anyio.sleep(pause)
        batch = await look(batch.name)
    answers = f"the results of {batch.name}, with {batch.counts.successful:,} answers,"
    raise Unavailable(f"{answers} have not appeared within {sum(_LATE) / 60:.0f} minutes", resource=batch.name)
