"""``client.tuned_models``: the tuned models themselves; ``client.tune`` makes new ones."""

from __future__ import annotations

from typing import Any

import attrs

from gemtune import checks
from gemtune.config import UNSET, RetryPolicy, Unset
from gemtune.errors import InvalidInput, NotSupported
from gemtune.http.caller import Caller
from gemtune.pager import Pager
from gemtune.protocol import gemini, names
from gemtune.protocol.codec.shape import json_name
from gemtune.protocol.gemini import Page
from gemtune.remedy import Argument, Remedy
from gemtune.resources.given import ModelLike
from gemtune.resources.permissions import Permissions
from gemtune.types import Checkpoint, TunedModel

_MOST_DISPLAY_NAME = 40


@attrs.frozen(eq=False)
class TunedModels:
    """Reads, changes, shares and deletes tuned models."""

    _caller: Caller

    @property
    def permissions(self) -> Permissions:
        """Who may use, change and delete a tuned model."""
        return Permissions(self._caller)

    async def get(
        self, name: ModelLike, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> TunedModel:
        """Return a tuned model.

        Args:
            name: ``tunedModels/{id}``, the bare id, a TunedModel or a TuningJob.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.
        """
        return await self._caller.call(
            gemini.get_tuned_model(names.tuned_model_name(name)), timeout=timeout, retry=retry
        )

    def list(
        self,
        *,
        page_size: int | None = None,
        filter: str | None = None,
        fields: str | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Pager[TunedModel]:
        """Return the tuned models that this credential may read, as a pager.

        Args:
            page_size: Models on a page; the service's default is 10, its maximum 1000.
            filter: Words to find in display name and description, and ``owner:me``, ``writers:me``, ``readers:me`` or
                ``readers:everyone``. Models shared with everyone are left out unless you ask for them.
            fields: The parts of the reply that you want, in JSON names, such as
                ``tunedModels(name,state),nextPageToken`` (Google's system parameter). Without the token you get the
                first page only.
            timeout: Seconds for each page.
            retry: Another retry policy for each page.
        """
        gemini.list_tuned_models(page_size=page_size, filter=filter)

        async def fetch(token: str | None) -> Page[TunedModel]:
            call = gemini.list_tuned_models(page_size=page_size, page_token=token, filter=filter, fields=fields)
            return await self._caller.call(call, timeout=timeout, retry=retry)

        return Pager(fetch)

    async def update(
        self,
        name: ModelLike,
        *,
        display_name: str | Unset = UNSET,
        description: str | Unset = UNSET,
        temperature: float | Unset | None = UNSET,
        top_p: float | Unset | None = UNSET,
        top_k: int | Unset | None = UNSET,
        reader_project_numbers: tuple[int, ...] | Unset = UNSET,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> TunedModel:
        """Change exactly the fields that you give; the update mask is made of them.

        Args:
            name: The tuned model.
            display_name: At most 40 characters.
            description: What the model is for.
            temperature: 0 to 1, or None for the base model's.
            top_p: 0 to 1, or None for the base model's.
            top_k: A positive number, or None for the base model's.
            reader_project_numbers: Numbers of the projects that may read the model.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.

        Raises:
            InvalidInput: No field was given, or a value is invalid; nothing was sent.
        """
        given = {
            "display_name": display_name,
            "description": description,
            "temperature": temperature,
            "top_p": top_p,
            "top_k": top_k,
            "reader_project_numbers": reader_project_numbers,
        }
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not UNSET}
        if not changes:
            raise InvalidInput("nothing to update: give at least one field", field="name")
        check_display_name(changes.get("display_name"))
        check_description(changes.get("description"))
        check_fraction("temperature", changes.get("temperature"))
        check_fraction("top_p", changes.get("top_p"))
        check_top_k(changes.get("top_k"))
        model = TunedModel(name=names.tuned_model_name(name), **changes)
        mask = [json_name(key) for key in changes]
        return await self._caller.call(gemini.update_tuned_model(model, mask), timeout=timeout, retry=retry)

    async def delete(self, name: ModelLike, *, timeout: float | None = None, retry: RetryPolicy | None = None) -> None:
        """Delete a tuned model for good, even while it is being tuned; only its owner may."""
        await self._caller.call(gemini.delete_tuned_model(names.tuned_model_name(name)), timeout=timeout, retry=retry)

    async def transfer_ownership(
        self,
        name: ModelLike,
        email_address: str,
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        """Make somebody else the owner; the present owner becomes a writer.

        Args:
            name: The tuned model.
            email_address: The new owner's address.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.
        """
        if not isinstance(email_address, str) or "@" not in email_address:
            raise InvalidInput(f"email_address must be an address, not {email_address!r}", field="email_address")
        call = gemini.transfer_ownership(names.tuned_model_name(name), email_address)
        await self._caller.call(call, timeout=timeout, retry=retry)

    def versions(
        self,
        name: ModelLike,
        *,
        page_size: int | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Pager[TunedModel]:
        """Return the versions of a model (Vertex AI).

        Raises:
            NotSupported: The service is the Gemini API.
        """
        raise _without("versions", name, page_size, timeout, retry)

    def checkpoints(
        self,
        name: ModelLike,
        *,
        page_size: int | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Pager[Checkpoint]:
        """Return the checkpoints of a model (Vertex AI).

        Raises:
            NotSupported: The service is the Gemini API.
        """
        raise _without("checkpoints", name, page_size, timeout, retry)

    async def set_default_checkpoint(
        self,
        name: ModelLike,
        checkpoint: object,
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> TunedModel:
        """Choose the checkpoint that a model's endpoint serves (Vertex AI).

        Raises:
            NotSupported: The service is the Gemini API.
        """
        raise _without("checkpoints", name, checkpoint, timeout, retry)


def _without(what: str, *_: object) -> NotSupported:
    return NotSupported(
        f"tuned models of the Gemini API have no {what}",
        Remedy("tune on from the model that you have: give it as ", Argument("base_model")),
        Remedy("use Vertex AI, which has them, with ", Argument("vertexai", True)),
    )


def check_display_name(value: object) -> None:
    """Refuse a display name longer than the 40 characters of the API."""
    if value is not None and (not isinstance(value, str) or len(value) > _MOST_DISPLAY_NAME):
        size = f"it has {len(value)}" if isinstance(value, str) else f"not {type(value).__name__}"
        raise InvalidInput(
            f"display_name must be a string of at most {_MOST_DISPLAY_NAME} characters, {size}",
            field="display_name",
        )


def check_description(value: object) -> None:
    """Refuse a description that is not a string."""
    if value is not None:
        checks.string("description", value)


def check_fraction(field: str, value: object) -> None:
    """Refuse a temperature or top_p of a tuned model that is outside [0, 1]."""
    if value is not None:
        checks.fraction(field, value, note="as the default of a tuned model")


def check_top_k(value: object) -> None:
    """Refuse a top_k that is not a positive whole number."""
    if value is not None:
        checks.whole("top_k", value)
