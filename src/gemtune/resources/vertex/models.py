"""``client.tuned_models`` on Vertex AI: models of the model registry, with versions and checkpoints."""

from __future__ import annotations

from typing import Any, cast

import attrs

from gemtune import checks
from gemtune.config import UNSET, RetryPolicy, Unset
from gemtune.errors import InvalidInput, NotSupported
from gemtune.http.caller import Caller
from gemtune.pager import Pager
from gemtune.protocol import vertex, vertex_names
from gemtune.protocol.gemini import Page
from gemtune.protocol.vertex_names import Place
from gemtune.remedy import Argument, Remedy
from gemtune.resources.given import ModelLike
from gemtune.resources.lacking import without_permissions
from gemtune.resources.permissions import Permissions
from gemtune.resources.tuned_models import TunedModels
from gemtune.resources.vertex.waiting import taken
from gemtune.types.training import Checkpoint
from gemtune.types.tuning import ServedModel, TunedModel, TunedModelState
from gemtune.types.vertex import ModelVersionCheckpoint, VertexModel

_MOST_DISPLAY_NAME = 128


@attrs.frozen(eq=False)
class VertexTunedModels(TunedModels):
    """Reads, renames and deletes tuned models; each has versions, and each version has checkpoints."""

    _place: Place

    @property
    def permissions(self) -> Permissions:
        """Who may use a model is for IAM to say, and not for the model: whatever is asked of this says so."""
        return cast(Permissions, without_permissions())

    async def get(
        self, name: ModelLike, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> ServedModel:
        """Return a tuned model, with the endpoint and the checkpoints that the registry knows.

        Args:
            name: ``projects/P/locations/L/models/ID``, with ``@version`` or an alias if it is not the default version;
                the bare id; a tuned model, or the job that made it, which is then asked first.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.
        """
        call = vertex.get_model(await self._model(name))
        return served(await self._caller.call(call, timeout=timeout, retry=retry))

    def list(
        self,
        *,
        page_size: int | None = None,
        filter: str | None = None,
        fields: str | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Pager[TunedModel]:
        """Return the models of the client's project and location as a pager, each in its default version.

        Args:
            page_size: Models on a page.
            filter: Such as ``labels.team="a"`` or ``displayName="my-model"``.
            fields: The parts of the reply that you want, such as ``models(name,labels),nextPageToken``.
            timeout: Seconds for each page.
            retry: Another retry policy for each page.
        """
        vertex.list_models(self._place.name, page_size=page_size, filter=filter)

        async def fetch(token: str | None) -> Page[TunedModel]:
            call = vertex.list_models(
                self._place.name, page_size=page_size, page_token=token, filter=filter, fields=fields
            )
            return _served_page(await self._caller.call(call, timeout=timeout, retry=retry))

        return Pager(fetch)

    def versions(
        self,
        name: ModelLike,
        *,
        page_size: int | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Pager[TunedModel]:
        """Return the versions of a model as a pager; continuous tuning makes a new one each time."""
        model = self._checked(name)
        vertex.list_versions(self._place.name, page_size=page_size)

        async def fetch(token: str | None) -> Page[TunedModel]:
            nonlocal model
            model = model or await self._model(name)  # a job is asked once, and not for each page
            call = vertex.list_versions(vertex_names.without_version(model), page_size=page_size, page_token=token)
            return _served_page(await self._caller.call(call, timeout=timeout, retry=retry))

        return Pager(fetch)

    def checkpoints(
        self,
        name: ModelLike,
        *,
        page_size: int | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Pager[Checkpoint]:
        """Return the checkpoints of one version as a pager; who serves them, only their job knows."""
        model = self._checked(name)
        vertex.list_checkpoints(self._place.name, page_size=page_size)

        async def fetch(token: str | None) -> Page[Checkpoint]:
            nonlocal model
            model = model or await self._model(name)  # a job is asked once, and not for each page
            call = vertex.list_checkpoints(model, page_size=page_size, page_token=token)
            page = await self._caller.call(call, timeout=timeout, retry=retry)
            return Page(tuple(_checkpoint(each, {}) for each in page), page.next_page_token)

        return Pager(fetch)

    async def set_default_checkpoint(
        self,
        name: ModelLike,
        checkpoint: object,
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> ServedModel:
        """Choose the checkpoint that the model's endpoint serves; the job's endpoint follows.

        Args:
            name: The model, as for ``get``.
            checkpoint: A checkpoint, or its id.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.
        """
        number = getattr(checkpoint, "checkpoint_id", checkpoint)
        number = str(number) if checks.is_whole(number) else number
        if not isinstance(number, str) or not number.isalnum():
            checks.refuse("checkpoint", "a checkpoint or its id, such as '2'", checkpoint)
        call = vertex.update_model(await self._model(name), {"defaultCheckpointId": number})
        return served(await self._caller.call(call, timeout=timeout, retry=retry))

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
    ) -> ServedModel:
        """Change a model's display name or description.

        Args:
            name: The model, as for ``get``.
            display_name: At most 128 characters.
            description: What the model is for.
            temperature: A model of Vertex AI has none of its own, nor ``top_p`` or ``top_k``.
            top_p: See there.
            top_k: See there.
            reader_project_numbers: Who may read a model is for IAM to say.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.

        Raises:
            NotSupported: The service has no such field; the message says what to do instead.
            InvalidInput: No field was given, or a value is invalid; nothing was sent.
        """
        for field, value in (("temperature", temperature), ("top_p", top_p), ("top_k", top_k)):
            if value is not UNSET:
                raise NotSupported(
                    f"a model of Vertex AI has no {field} of its own",
                    Remedy("give it with each request: ", Argument("generation_config")),
                )
        if reader_project_numbers is not UNSET:
            raise NotSupported(f"reader_project_numbers: {ACCESS}")
        given = {"displayName": display_name, "description": description}
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not UNSET}
        if not changes:
            raise InvalidInput("nothing to update: give at least one field", field="name")
        check_titles(changes.get("displayName"), changes.get("description"))
        call = vertex.update_model(vertex_names.without_version(await self._model(name)), changes)
        return served(await self._caller.call(call, timeout=timeout, retry=retry))

    async def delete(self, name: ModelLike, *, timeout: float | None = None, retry: RetryPolicy | None = None) -> None:
        """Delete a model for good, with all of its versions; one that is deployed has to be undeployed before."""
        model = vertex_names.without_version(await self._model(name))
        await self._caller.call(vertex.delete_model(model), timeout=timeout, retry=retry)

    async def transfer_ownership(self, *_: object, **__: object) -> None:
        """Models of Vertex AI belong to their project.

        Raises:
            NotSupported: Always.
        """
        raise NotSupported(f"models of Vertex AI belong to their project, and not to a person: {ACCESS}")

    def _checked(self, given: object) -> str | None:
        """Return the name of a model; None if a job stands for it, which knows the name."""
        return None if self._place.is_job(given) else self._place.model(given)

    async def _model(self, given: object) -> str:
        return self._checked(given) or await model_of_job(self._caller, self._place.tuning_job(given), field="name")


ACCESS = "who may use a model is decided by IAM, with roles such as roles/aiplatform.user on the project"


async def model_of_job(caller: Caller, job: str, *, field: str) -> str:
    """Return the name of the model that a job has made.

    Raises:
        InvalidInput: It has made none yet.
        CallError: The job could not be read.
    """
    found = await caller.call(vertex.get_tuning_job(await taken(caller, job)))
    if found.tuned_model is None or not found.tuned_model.model:
        raise InvalidInput(f"{field}: {job} has no model yet ({found.state})", field=field)
    return found.tuned_model.model


def check_titles(display_name: object, description: object) -> None:
    """Refuse a display name longer than the 128 characters of the API, and a description that is no string."""
    if display_name is not None and (not isinstance(display_name, str) or len(display_name) > _MOST_DISPLAY_NAME):
        checks.refuse("display_name", f"a string of at most {_MOST_DISPLAY_NAME} characters", display_name)
    if description is not None:
        checks.string("description", description)


def served(model: VertexModel) -> ServedModel:
    """Return a model of the registry as handles know it, named with its version."""
    by_checkpoint = {each.checkpoint_id: each.endpoint for each in model.deployed_models if each.checkpoint_id}
    endpoint = by_checkpoint.get(model.default_checkpoint_id, "")
    if not endpoint and model.deployed_models:
        endpoint = model.deployed_models[-1].endpoint
    version = "" if "@" in model.name or not model.version_id else f"@{model.version_id}"
    return ServedModel(
        name=f"{model.name}{version}",
        display_name=model.display_name,
        description=model.description,
        state=TunedModelState.ACTIVE if endpoint else TunedModelState.STATE_UNSPECIFIED,
        create_time=model.version_create_time or model.create_time,
        update_time=model.version_update_time or model.update_time,
        endpoint=endpoint,
        checkpoints=[_checkpoint(each, by_checkpoint) for each in model.checkpoints],
        extra=model.extra,
    )


def _served_page(page: Page[VertexModel]) -> Page[TunedModel]:
    return Page(tuple(map(served, page)), page.next_page_token)


def _checkpoint(given: ModelVersionCheckpoint, endpoints: dict[str, str]) -> Checkpoint:
    endpoint = endpoints.get(given.checkpoint_id, "")
    return Checkpoint(checkpoint_id=given.checkpoint_id, epoch=given.epoch, step=given.step, endpoint=endpoint)
