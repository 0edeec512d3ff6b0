"""The Gemini API: one function per remote method, from arguments to a Call.

Methods, paths and versions are those of the discovery document. Tuned models live on v1beta only, and the cancelling of
an operation on v1 only. What several methods have in common is said below them: ``_get``, ``_list``, ``_write`` and
``_delete``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar, overload

import attrs

from gemtune import checks
from gemtune.errors import MalformedResponse, NotSupported
from gemtune.protocol import names
from gemtune.protocol.call import Call, Effect
from gemtune.protocol.codec import decode, dumps, encode
from gemtune.types import (
    CountTokensResponse,
    GenerateContentRequest,
    GenerateContentResponse,
    Model,
    Operation,
    Permission,
    TunedModel,
)
from gemtune.types.message import Message

T = TypeVar("T")
M = TypeVar("M", bound=Message)

_Query = tuple[tuple[str, object], ...]

_MAX_PAGE: Final = 1000


@attrs.frozen
class Page(Sequence[T]):
    """One page of a list: a sequence of items, and the token of the next page or None."""

    items: tuple[T, ...]
    next_page_token: str | None = None

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self.items[index]


def _page(cls: type[M], key: str, value: object) -> Page[M]:
    if not isinstance(value, dict):
        raise MalformedResponse("the list is not a JSON object")
    # The service leaves out an empty list, and a gateway may write null for it.
    found = value.get(key) or []
    token = value.get("nextPageToken") or None
    if not isinstance(found, list) or not (token is None or isinstance(token, str)):
        raise MalformedResponse(f"the list's {key} or nextPageToken has the wrong type")
    return Page(tuple(decode(cls, item) for item in found), token)


def _filter(value: object) -> object:
    if not isinstance(value, str | None) or any("\ud800" <= letter <= "\udfff" for letter in value or ""):
        checks.refuse("filter", "a string", value)
    return value


def _body(value: object) -> bytes:
    return dumps(value, strict=True)  # half of a character cannot be sent as UTF-8, and NaN not at all


def _nothing(value: object) -> None:
    """Read the empty message ``{}``."""
    if not isinstance(value, dict):
        raise MalformedResponse("the empty message is not a JSON object")


def paging(page_size: int | None, page_token: str | None) -> _Query:
    """Return the query of one page of a list, checked."""
    if page_size is not None:
        checks.whole("page_size", page_size, note=f"the service caps it at {_MAX_PAGE}")
    return (("pageSize", page_size), ("pageToken", page_token))


_TUNED_MODEL: Final = partial(decode, TunedModel)
_PERMISSION: Final = partial(decode, Permission)
_REPLY: Final = partial(decode, GenerateContentResponse)


def create_tuned_model(model: TunedModel, tuned_model_id: str) -> Call[Operation]:
    """``tunedModels.create``: start a tuning job under an id of ours."""
    return Call(
        method="tunedModels.create",
        verb="POST",
        path="/v1beta/tunedModels",
        query=(("tunedModelId", tuned_model_id),),
        body=_body(encode(model)),
        effect=Effect.CREATE,
        decode=partial(decode, Operation),
        resource=f"tunedModels/{tuned_model_id}",
    )


def get_tuned_model(name: str) -> Call[TunedModel]:
    """``tunedModels.get``."""
    return _get("tunedModels.get", name, _TUNED_MODEL)


def list_tuned_models(
    *,
    page_size: int | None = None,
    page_token: str | None = None,
    filter: str | None = None,
    fields: str | None = None,
) -> Call[Page[TunedModel]]:
    """``tunedModels.list``: by default 10 a page and without the models that are shared with everyone."""
    query = (*paging(page_size, page_token), ("filter", _filter(filter)), ("fields", fields))
    return _list("tunedModels.list", "tunedModels", TunedModel, query)


def update_tuned_model(model: TunedModel, fields: Sequence[str]) -> Call[TunedModel]:
    """``tunedModels.patch``: write exactly the given fields (camelCase JSON names)."""
    query = (("updateMask", ",".join(fields)),)
    return _write("tunedModels.patch", "PATCH", model.name, encode(model), _TUNED_MODEL, query=query)


def delete_tuned_model(name: str) -> Call[None]:
    """``tunedModels.delete``."""
    return _delete("tunedModels.delete", name)


def transfer_ownership(name: str, email_address: str) -> Call[None]:
    """``tunedModels.transferOwnership``: the old owner becomes a writer."""
    body = {"emailAddress": email_address}
    return _write("tunedModels.transferOwnership", "POST", name, body, _nothing, suffix=":transferOwnership")


def get_operation(name: str) -> Call[Operation]:
    """``tunedModels.operations.get``."""
    return _get("tunedModels.operations.get", name, partial(decode, Operation))


def list_operations(
    parent: str, *, page_size: int | None = None, page_token: str | None = None, filter: str | None = None
) -> Call[Page[Operation]]:
    """``tunedModels.operations.list``: the operations of one tuned model."""
    query = (*paging(page_size, page_token), ("filter", _filter(filter)))
    return _list("tunedModels.operations.list", "operations", Operation, query, parent)


def cancel_operation(name: str) -> Call[None]:
    """``tunedModels.operations.cancel``: best effort (AIP-151), bound in v1 only."""
    return _write("tunedModels.operations.cancel", "POST", name, {}, _nothing, version="v1", suffix=":cancel")


def create_permission(parent: str, permission: Permission) -> Call[Permission]:
    """``tunedModels.permissions.create``."""
    body = encode(permission)
    return _write("tunedModels.permissions.create", "POST", parent, body, _PERMISSION, suffix="/permissions")


def get_permission(name: str) -> Call[Permission]:
    """``tunedModels.permissions.get``."""
    return _get("tunedModels.permissions.get", name, _PERMISSION)


def list_permissions(
    parent: str, *, page_size: int | None = None, page_token: str | None = None
) -> Call[Page[Permission]]:
    """``tunedModels.permissions.list``."""
    return _list("tunedModels.permissions.list", "permissions", Permission, paging(page_size, page_token), parent)


def update_permission(permission: Permission) -> Call[Permission]:
    """``tunedModels.permissions.patch``: only the role can change."""
    query = (("updateMask", "role"),)
    body = encode(permission)
    return _write("tunedModels.permissions.patch", "PATCH", permission.name, body, _PERMISSION, query=query)


def delete_permission(name: str) -> Call[None]:
    """``tunedModels.permissions.delete``."""
    return _delete("tunedModels.permissions.delete", name)


def get_model(name: str) -> Call[Model]:
    """``models.get``."""
    return _get("models.get", name, partial(decode, Model))


def list_models(*, page_size: int | None = None, page_token: str | None = None) -> Call[Page[Model]]:
    """``models.list``: by default 50 a page."""
    return _list("models.list", "models", Model, paging(page_size, page_token))


def generate_content(model: str, request: GenerateContentRequest) -> Call[GenerateContentResponse]:
    """``generateContent`` of a base or tuned model."""
    return Call(
        method="generateContent",
        verb="POST",
        path=f"/v1beta/{model}:generateContent",
        body=_body(encode(request)),
        effect=Effect.BILLED,
        decode=_REPLY,
        resource=model,
        generates=True,
    )


def stream_generate_content(model: str, request: GenerateContentRequest) -> Call[GenerateContentResponse]:
    """``streamGenerateContent`` as server-sent events."""
    return Call(
        method="streamGenerateContent",
        verb="POST",
        path=f"/v1beta/{model}:streamGenerateContent",
        query=(("alt", "sse"),),
        body=_body(encode(request)),
        effect=Effect.BILLED,
        decode=_REPLY,
        resource=model,
        generates=True,
    )


def count_tokens(model: str, request: GenerateContentRequest) -> Call[CountTokensResponse]:
    """``models.countTokens``: bound to base models only."""
    if not model.startswith("models/"):
        raise NotSupported(
            f"countTokens has no binding for {model}: count on its base model instead, "
            "client.count_tokens(tuned_model.base_model, contents)"
        )
    return Call(
        method="models.countTokens",
        verb="POST",
        path=f"/v1beta/{model}:countTokens",
        # The long form, because the short one counts contents only, without instructions and tools.
        body=_body({"generateContentRequest": {"model": model, **encode(request)}}),
        effect=Effect.READ,
        decode=partial(decode, CountTokensResponse),
        resource=model,
    )


def _get(method: str, name: str, read: partial[T]) -> Call[T]:
    return Call(method=method, verb="GET", path=f"/v1beta/{name}", effect=Effect.READ, decode=read, resource=name)


def _list(method: str, key: str, cls: type[M], query: _Query, parent: str | None = None) -> Call[Page[M]]:
    """List what a parent has, or the whole collection; the collection, and the key in the reply, have one name."""
    return Call(
        method=method,
        verb="GET",
        path=f"/v1beta/{parent}/{key}" if parent else f"/v1beta/{key}",
        query=query,
        effect=Effect.READ,
        decode=partial(_page, cls, key),
        resource=parent,
    )


def _write(
    method: str,
    verb: str,
    name: str,
    body: object,
    read: Callable[[object], T],
    *,
    version: str = "v1beta",
    suffix: str = "",
    query: _Query = (),
) -> Call[T]:
    return Call(
        method=method,
        verb=verb,
        path=f"/{version}/{name}{suffix}",
        query=query,
        body=_body(body),
        effect=Effect.WRITE,
        decode=read,
        resource=name,
    )


def _delete(method: str, name: str) -> Call[None]:
    return Call(
        method=method,
        verb="DELETE",
        path=f"/v1beta/{name}",
        effect=Effect.WRITE,
        decode=_nothing,
        resource=names.parent_of(name) if "/permissions/" in name else name,
    )
