"""Long-running operations (AIP-151) as the tuning service uses them."""

from __future__ import annotations

from typing import Annotated

import attrs

from gemtune.types.message import AnyOf, Json, Message
from gemtune.types.tuning import CreateTunedModelMetadata, TunedModel


@attrs.frozen(kw_only=True)
class Status(Message):
    """Why an operation failed (google.rpc.Status).

    Args:
        code: The google.rpc code, not an HTTP status; 1 means cancelled.
        message: The server's words.
        details: google.rpc details as plain JSON.
    """

    code: int = 0
    message: str = ""
    details: tuple[Json, ...] = attrs.field(default=(), hash=False)


@attrs.frozen(kw_only=True)
class Operation(Message):
    """Work that the service does meanwhile.

    Args:
        name: ``tunedModels/{id}/operations/{id}`` or ``batches/{id}``.
        metadata: Its progress; plain JSON if it is not a tuning.
        done: Whether it has ended; then one of ``error`` and ``response`` is set.
        error: Why it failed.
        response: What came of it; plain JSON if it is not a tuned model.
    """

    name: str = ""
    metadata: Annotated[CreateTunedModelMetadata | Json | None, AnyOf((CreateTunedModelMetadata,))] = attrs.field(
        default=None, hash=False
    )
    done: bool = False
    error: Status | None = None
    response: Annotated[TunedModel | Json | None, AnyOf((TunedModel,))] = attrs.field(default=None, hash=False)


@attrs.frozen(kw_only=True)
class ListOperationsResponse(Message):
    """One page of operations; without a next page token it is the last."""

    operations: tuple[Operation, ...] = ()
    next_page_token: str = ""
    unreachable: tuple[str, ...] = ()
