"""Which method answers which URL: the bindings of the v1beta and v1 service definitions, and nothing else.

A binding is one line of a table; adding a method means adding a line and a handler.
"""

from __future__ import annotations

from functools import partial

from gemtune.emulator.gemini import generation, operations, permissions, tuned_models
from gemtune.emulator.gemini.batches import creation
from gemtune.emulator.gemini.batches import methods as batches
from gemtune.emulator.gemini.files import methods as files
from gemtune.emulator.gemini.files import uploads
from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import unimplemented
from gemtune.emulator.world.route import Route
from gemtune.emulator.world.store import MethodCall, Store

_V1BETA, _BOTH, _V1 = ("v1beta",), ("v1beta", "v1"), ("v1",)
_PAGE = ("pageSize", "pageToken")
_LIST_OPERATIONS = ("filter", *_PAGE, "returnPartialSuccess")

SCOPE = "https://www.googleapis.com/auth/generative-language"
READ_SCOPES = tuple(SCOPE + tail for tail in ("", ".tuning", ".tuning.readonly", ".retriever", ".retriever.readonly"))
TUNING_SCOPES = (SCOPE + ".tuning",)


def later(store: Store, call: MethodCall) -> Value:  # noqa: ARG001 - a handler
    """Refuse a method of the API that the emulator does not offer."""
    raise unimplemented()


def _tuned_models() -> list[Route]:
    owner = "{name=tunedModels/*}"
    route = partial(Route, versions=_V1BETA)
    return [
        route("tunedModels.create", "POST", "tunedModels", handler=operations.create_tuned_model,
              request="TunedModel", response="Operation", query=("tunedModelId",), scopes=TUNING_SCOPES,
              rpc="ModelService.CreateTunedModel", limit="max_create_bytes"),
        route("tunedModels.list", "GET", "tunedModels", handler=tuned_models.list_,
              response="ListTunedModelsResponse", query=(*_PAGE, "filter"), scopes=READ_SCOPES,
              rpc="ModelService.ListTunedModels"),
        route("tunedModels.get", "GET", owner, handler=tuned_models.get, response="TunedModel", scopes=READ_SCOPES,
              rpc="ModelService.GetTunedModel"),
        route("tunedModels.patch", "PATCH", "{tuned_model.name=tunedModels/*}", handler=tuned_models.patch,
              request="TunedModel", response="TunedModel", query=("updateMask",), scopes=TUNING_SCOPES,
              rpc="ModelService.UpdateTunedModel"),
        route("tunedModels.delete", "DELETE", owner, handler=tuned_models.delete, scopes=TUNING_SCOPES,
              rpc="ModelService.DeleteTunedModel"),
        route("tunedModels.transferOwnership", "POST", owner + ":transferOwnership",
              handler=tuned_models.transfer_ownership, request="TransferOwnershipRequest",
              rpc="PermissionService.TransferOwnership"),
        route("tunedModels.generateText", "POST", "{model=tunedModels/*}:generateText", handler=later,
              rpc="TextService.GenerateText"),
    ]  # fmt: skip


def _operations() -> list[Route]:
    route = partial(Route, response="Operation")
    return [
        route("tunedModels.operations.get", "GET", "{name=tunedModels/*/operations/*}", _BOTH, operations.get,
              rpc="Operations.GetOperation"),
        route("tunedModels.operations.list", "GET", "{name=tunedModels/*}/operations", _BOTH, operations.list_,
              response="ListOperationsResponse", query=_LIST_OPERATIONS, rpc="Operations.ListOperations"),
        route("tunedModels.operations.cancel", "POST", "{name=tunedModels/*/operations/*}:cancel", _V1,
              operations.cancel, request="Empty", response="Empty", rpc="Operations.CancelOperation"),
        route("models.operations.get", "GET", "{name=models/*/operations/*}", _BOTH, operations.missing,
              rpc="Operations.GetOperation"),
        route("models.operations.list", "GET", "{name=models/*}/operations", _BOTH, operations.list_none,
              response="ListOperationsResponse", query=_LIST_OPERATIONS, rpc="Operations.ListOperations"),
        route("operations.list", "GET", "operations", _V1, later, query=_LIST_OPERATIONS,
              rpc="Operations.ListOperations"),
        route("operations.delete", "DELETE", "{name=operations/**}", _V1, later, rpc="Operations.DeleteOperation"),
    ]  # fmt: skip


def _permissions() -> list[Route]:
    one = "tunedModels/*/permissions/*"
    route = partial(Route, versions=_V1BETA, response="Permission", scopes=READ_SCOPES)
    return [
        route("tunedModels.permissions.create", "POST", "{parent=tunedModels/*}/permissions",
              handler=permissions.create, request="Permission", rpc="PermissionService.CreatePermission"),
        route("tunedModels.permissions.list", "GET", "{parent=tunedModels/*}/permissions", handler=permissions.list_,
              response="ListPermissionsResponse", query=_PAGE, rpc="PermissionService.ListPermissions"),
        route("tunedModels.permissions.get", "GET", f"{{name={one}}}", handler=permissions.get,
              rpc="PermissionService.GetPermission"),
        route("tunedModels.permissions.patch", "PATCH", f"{{permission.name={one}}}", handler=permissions.patch,
              request="Permission", query=("updateMask",), rpc="PermissionService.UpdatePermission"),
        route("tunedModels.permissions.delete", "DELETE", f"{{name={one}}}", handler=permissions.delete,
              response="Empty", rpc="PermissionService.DeletePermission"),
    ]  # fmt: skip


def _models() -> list[Route]:
    routes = [
        Route("models.list", "GET", "models", _BOTH, generation.list_models, response="ListModelsResponse",
              query=_PAGE, rpc="ModelService.ListModels"),
        Route("models.get", "GET", "{name=models/*}", _BOTH, generation.get_model, response="Model",
              rpc="ModelService.GetModel"),
        Route("models.countTokens", "POST", "{model=models/*}:countTokens", _BOTH, generation.count,
              request="CountTokensRequest", response="CountTokensResponse", rpc="GenerativeService.CountTokens",
              changes=False),
        Route("models.embedContent", "POST", "{model=models/*}:embedContent", _BOTH, later,
              rpc="GenerativeService.EmbedContent"),
        Route("models.batchEmbedContents", "POST", "{model=models/*}:batchEmbedContents", _BOTH, later,
              rpc="GenerativeService.BatchEmbedContents"),
    ]  # fmt: skip
    return routes + [
        Route(f"{kind}.{verb}", "POST", f"{{model={kind}/*}}:{verb}", _BOTH, handler, request=request,
              response=response, rpc="GenerativeService." + verb[0].upper() + verb[1:], changes=handler is later,
              cost=None if handler is later else generation.cost)
        for kind in ("tunedModels", "models")
        for verb, handler, request, response in (
            ("generateContent", generation.generate, "GenerateContentRequest", "GenerateContentResponse"),
            ("streamGenerateContent", generation.stream, "GenerateContentRequest", "GenerateContentResponse*"),
            ("asyncBatchEmbedContent", later, None, "Operation"),
        )
    ]  # fmt: skip


def _batches() -> list[Route]:
    one, scope = "{name=batches/*}", "GenerativeService."
    route = partial(Route, versions=_BOTH)
    created = [
        route(f"{kind}.batchGenerateContent", "POST", f"{{model={kind}/*}}:batchGenerateContent",
              handler=batches.create, request="BatchGenerateContentRequest", response="Operation",
              rpc=scope + "BatchGenerateContent", blocks=creation.is_long)
        for kind in ("tunedModels", "models")
    ]  # fmt: skip
    return [
        *created,
        route("batches.get", "GET", one, handler=batches.get, response="Operation", rpc="Operations.GetOperation",
              blocks=batches.is_long),
        route("batches.list", "GET", "{name=batches}", handler=batches.list_, response="ListOperationsResponse",
              query=_LIST_OPERATIONS, rpc="Operations.ListOperations"),
        route("batches.cancel", "POST", one + ":cancel", handler=batches.cancel, request="Empty",
              rpc="Operations.CancelOperation"),
        route("batches.delete", "DELETE", one, handler=batches.delete, rpc="Operations.DeleteOperation"),
        route("batches.updateGenerateContentBatch", "PATCH",
              "{generate_content_batch.name=batches/*}:updateGenerateContentBatch", handler=later,
              query=("updateMask",), rpc=scope + "UpdateGenerateContentBatch"),
        route("batches.updateEmbedContentBatch", "PATCH",
              "{embed_content_batch.name=batches/*}:updateEmbedContentBatch", handler=later, query=("updateMask",),
              rpc=scope + "UpdateEmbedContentBatch"),
    ]  # fmt: skip


def _files() -> list[Route]:
    # The definition that is published has files in v1beta only; google-genai 3, whose version is v1, finds them there.
    one = "{name=files/*}"
    route = partial(Route, versions=_BOTH)
    return [
        route("media.upload", "POST", "files", handler=later, rpc="FileService.CreateFile"),
        route("files.get", "GET", one, handler=files.get, response="File", rpc="FileService.GetFile"),
        route("files.list", "GET", "files", handler=files.list_, response="ListFilesResponse", query=_PAGE,
              rpc="FileService.ListFiles"),
        route("files.delete", "DELETE", one, handler=files.delete, rpc="FileService.DeleteFile"),
        download(),
        route("files.register", "POST", "files:register", handler=later, rpc="FileService.RegisterFiles"),
    ]  # fmt: skip


def download() -> Route:
    """Return the route of a download, which has two addresses."""
    return Route("files.download", "GET", "{name=files/*}:download", _BOTH, files.download,
                 rpc="FileService.DownloadFile", blocks=files.is_in_file)  # fmt: skip


def _uploads() -> dict[bool, Route]:
    # The service has one method for all of it; a fault must be able to tell the parts of an upload from its beginning.
    route = partial(Route, verb="POST", template="files", versions=_BOTH, spools=True, limit="max_file_bytes",
                    rpc="FileService.CreateFile")  # fmt: skip
    return {
        False: route("media.upload", handler=uploads.start, changes=False),
        True: route("media.part", handler=uploads.part, blocks=uploads.is_long, public=True,
                    query=("uploadId",)),
    }  # fmt: skip


ROUTES = (*_tuned_models(), *_operations(), *_permissions(), *_models(), *_batches(), *_files())
UPLOADS = _uploads()  # by whether the query names an upload
DOWNLOAD = download()
