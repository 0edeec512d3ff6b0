"""Which method answers which URL: the bindings of v1 and v1beta1, as far as they are offered here."""

from __future__ import annotations

from functools import partial

from gemtune.emulator.vertex import inference, jobs
from gemtune.emulator.world.route import Route

_VERSIONS = ("v1", "v1beta1")
_CLOUD = "https://www.googleapis.com/auth/cloud-platform"
_SCOPES = (_CLOUD, "https://www.googleapis.com/auth/aiplatform")
_READ_SCOPES = (*_SCOPES, _CLOUD + ".read-only")
_PAGE = ("pageSize", "pageToken")
_LIST = ("filter", *_PAGE)
_PARENT = "projects/*/locations/*"


def _tuning_jobs() -> list[Route]:
    one = f"{{name={_PARENT}/tuningJobs/*}}"
    route = partial(Route, versions=_VERSIONS, scopes=_SCOPES)
    return [
        route("tuningJobs.create", "POST", f"{{parent={_PARENT}}}/tuningJobs", handler=jobs.create_job,
              request="TuningJob", response="TuningJob", rpc="GenAiTuningService.CreateTuningJob"),
        route("tuningJobs.list", "GET", f"{{parent={_PARENT}}}/tuningJobs", handler=jobs.list_jobs,
              response="ListTuningJobsResponse", query=_LIST, rpc="GenAiTuningService.ListTuningJobs"),
        route("tuningJobs.get", "GET", one, handler=jobs.get_job, response="TuningJob",
              rpc="GenAiTuningService.GetTuningJob"),
        route("tuningJobs.cancel", "POST", one + ":cancel", handler=jobs.cancel_job, request="Empty",
              rpc="GenAiTuningService.CancelTuningJob"),
    ]  # fmt: skip


def _inference() -> list[Route]:
    kinds = (
        ("endpoints", f"{_PARENT}/endpoints/*"),
        ("publishers.models", f"{_PARENT}/publishers/*/models/*"),
        ("publishers.models", "publishers/*/models/*"),  # of callers with a key alone, without a project
    )
    verbs = (
        ("generateContent", inference.generate, "VertexGenerateRequest", "VertexGenerateResponse"),
        ("streamGenerateContent", inference.stream, "VertexGenerateRequest", "VertexGenerateResponse*"),
        ("countTokens", inference.count, "VertexCountRequest", "VertexCountResponse"),
    )
    return [
        Route(f"{kind}.{verb}", "POST", f"{{model={name}}}:{verb}", _VERSIONS, handler, request=request,
              response=response, scopes=_SCOPES, rpc=f"PredictionService.{verb[0].upper()}{verb[1:]}", changes=False,
              cost=None if verb == "countTokens" else inference.cost)
        for kind, name in kinds
        for verb, handler, request, response in verbs
    ] + [
        Route("publishers.models.get", "GET", "{name=publishers/*/models/*}", _VERSIONS,
              inference.get_publisher_model, response="PublisherModel", query=("view", "languageCode"),
              scopes=_READ_SCOPES, rpc="ModelGardenService.GetPublisherModel"),
        Route("publishers.models.list", "GET", "{parent=publishers/*}/models", _VERSIONS,
              inference.list_publisher_models, response="ListPublisherModelsResponse", query=(*_LIST, "view"),
              scopes=_READ_SCOPES, rpc="ModelGardenService.ListPublisherModels"),
    ]  # fmt: skip


ROUTES = (*_tuning_jobs(), *_inference())
