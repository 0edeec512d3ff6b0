"""Rows as requests, for who sends them all at once: the same rows, and the same errors, as the local engine has."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

import anyio.lowlevel

from gemtune.batch.inputs import END, Inputs, ModelName, make_item
from gemtune.errors import InvalidInput
from gemtune.resources.batches.collection import Asked
from gemtune.resources.given import Framing
from gemtune.resources.inference import request_of

_UNPAUSED: Final = 200
"""Rows after which the event loop gets its turn: to read and write down that many takes some milliseconds."""


async def read_requests(
    model_name: ModelName, inputs: object, model: str, framing: Mapping[str, Any]
) -> AsyncGenerator[Asked, None]:
    """Yield what the rows of an input ask, each with the key that comes back with its reply.

    Args:
        model_name: Returns the name under which the service knows a model that a row names.
        inputs: The rows, as ``client.batch`` takes them.
        model: The model's name.
        framing: What frames all requests that bring none of their own.

    Raises:
        InvalidInput: An argument is wrong, or a row cannot be asked; the error names the row.
    """
    shared = {name: value for name, value in framing.items() if value is not None and value != ()}
    unknown = [name for name in shared if name not in Framing.__annotations__]
    if unknown:
        raise InvalidInput(f"{unknown[0]} is no argument of a batch that the service runs", field=unknown[0])
    request_of("-", **shared)  # refuses what cannot be sent, before a row is read
    rows, index = Inputs(inputs), 0
    try:
        while (row := await rows.next()) is not END:
            item = make_item(row, index, model, model_name)
            if item.error is not None:
                raise item.error
            try:
                contents, options = item.asked(shared)
                request = request_of(contents, **options)  # type: ignore[arg-type]
            except InvalidInput as error:
                raise item.refused(error) from None
            yield Asked(index + 1, str(item.name), request, isinstance(item.name, int))
            index += 1
            if index % _UNPAUSED == 0:
                await anyio.lowlevel.checkpoint()
    finally:
        await rows.aclose()
