"""Which method answers which URL: the bindings of v1 and v1beta1, as far as they are offered here."""

from __future__ import annotations

from functools import partial

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import unimplemented
from gemtune.emulator.messages.known_errors import vertex_out_of_capacity
from gemtune.emulator.vertex import creation, endpoints, inference, jobs, models
from gemtune.emulator.vertex.batches import calls
from gemtune.emulator.vertex.metrics import contexts, curves
from gemtune.emulator.world.route import Route
from gemtune.emulator.world.store import MethodCall, Store

_VERSIONS = ("v1", "v1beta1")
_CLOUD = "https://www.googleapis.com/auth/cloud-platform"
_SCOPES = (_CLOUD, "https://www.googleapis.com/auth/aiplatform")
_READ_SCOPES = (*_SCOPES, _CLOUD + ".read-only")
_PAGE = ("pageSize", "pageToken")
_LIST = ("filter", *_PAGE)
_ORDERED = (*_LIST, "orderBy")
_PARENT = "projects/*/locations/*"


def _tuning_jobs() -> list[Route]:
    one = f"{{name={_PARENT}/tuningJobs/*}}"
    route = partial(Route, versions=_VERSIONS, scopes=_SCOPES)
    return [
        route("tuningJobs.create", "POST", f"{{parent={_PARENT}}}/tuningJobs", handler=jobs.create_job,
              request="TuningJob", response="TuningJob", rpc="GenAiTuningService.CreateTuningJob",
              blocks=creation.reads_files),
        route("tuningJobs.list", "GET", f"{{parent={_PARENT}}}/tuningJobs", handler=jobs.list_jobs,
              response="ListTuningJobsResponse", query=_LIST, rpc="GenAiTuningService.ListTuningJobs"),
        route("tuningJobs.get", "GET", one, handler=jobs.get_job, response="TuningJob",
              rpc="GenAiTuningService.GetTuningJob"),
        route("tuningJobs.cancel", "POST", one + ":cancel", handler=jobs.cancel_job, request="Empty",
              rpc="GenAiTuningService.CancelTuningJob"),
    ]  # fmt: skip


def _models() -> list[Route]:
    one = f"{{name={_PARENT}/models/*}}"
    listed = ("filter*", *_PAGE, "orderBy", "readMask")
    route = partial(Route, versions=_VERSIONS, scopes=_READ_SCOPES)
    return [
        route("projects.models.get", "GET", one, handler=models.get_model, response="VertexModel",
              rpc="ModelService.GetModel"),
        route("projects.models.list", "GET", f"{{parent={_PARENT}}}/models", handler=models.list_models,
              response="ListModelsResponse", query=listed, rpc="ModelService.ListModels"),
        route("projects.models.listVersions", "GET", one + ":listVersions", handler=models.list_versions,
              response="ListModelVersionsResponse", query=listed, rpc="ModelService.ListModelVersions"),
        route("projects.models.listCheckpoints", "GET", one + ":listCheckpoints", handler=models.list_checkpoints,
              response="ListModelVersionCheckpointsResponse", query=_PAGE,
              rpc="ModelService.ListModelVersionCheckpoints"),
        route("projects.models.patch", "PATCH", f"{{model.name={_PARENT}/models/*}}", handler=models.patch_model,
              request="VertexModel", response="VertexModel", query=("updateMask",), scopes=(_CLOUD,),
              rpc="ModelService.UpdateModel"),
        route("projects.models.delete", "DELETE", one, handler=models.delete_model, response="Operation",
              scopes=(_CLOUD,), rpc="ModelService.DeleteModel"),
    ]  # fmt: skip


def _endpoints() -> list[Route]:
    one = f"{_PARENT}/endpoints/*"
    route = partial(Route, versions=_VERSIONS, scopes=_READ_SCOPES)
    return [
        route("endpoints.get", "GET", f"{{name={one}}}", handler=endpoints.get_endpoint, response="VertexEndpoint",
              rpc="EndpointService.GetEndpoint"),
        route("endpoints.list", "GET", f"{{parent={_PARENT}}}/endpoints", handler=endpoints.list_endpoints,
              response="ListEndpointsResponse", query=(*_ORDERED, "readMask"), rpc="EndpointService.ListEndpoints"),
        route("endpoints.undeployModel", "POST", f"{{endpoint={one}}}:undeployModel", handler=endpoints.undeploy,
              request="UndeployModelRequest", response="Operation", scopes=(_CLOUD,),
              rpc="EndpointService.UndeployModel"),
        route("endpoints.delete", "DELETE", f"{{name={one}}}", handler=endpoints.delete_endpoint,
              response="Operation", scopes=(_CLOUD,), rpc="EndpointService.DeleteEndpoint"),
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
              cost=None if verb == "countTokens" else inference.cost, throttled=vertex_out_of_capacity)
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


def later(store: Store, call: MethodCall) -> Value:  # noqa: ARG001 - a handler
    """Refuse a method of the API that the emulator does not offer."""
    raise unimplemented()


def _not_offered() -> list[Route]:
    """Return methods that answer 501: they exist, but not here."""
    job = f"{_PARENT}/tuningJobs/*"
    bound = [
        ("tuningJobs.rebaseTunedModel", "POST", f"{{parent={_PARENT}}}/tuningJobs:rebaseTunedModel"),
        ("tuningJobs.operations.get", "GET", f"{{name={job}/operations/*}}"),
        ("tuningJobs.operations.list", "GET", f"{{name={job}}}/operations"),
        ("publishers.models.computeTokens", "POST", f"{{model={_PARENT}/publishers/*/models/*}}:computeTokens"),
        ("publishers.models.embedContent", "POST", f"{{model={_PARENT}/publishers/*/models/*}}:embedContent"),
    ]
    return [
        Route(method, verb, template, _VERSIONS, later, query=_ORDERED, scopes=_SCOPES, changes=False)
        for method, verb, template in bound
    ]


def _batches() -> tuple[Route, ...]:
    one = f"{{name={_PARENT}/batchPredictionJobs/*}}"
    route = partial(Route, versions=_VERSIONS, scopes=(_CLOUD,))
    return (
        route("batchPredictionJobs.create", "POST", f"{{parent={_PARENT}}}/batchPredictionJobs",
              handler=calls.create_job, request="BatchPredictionJob", response="BatchPredictionJob",
              rpc="JobService.CreateBatchPredictionJob", blocks=calls.reads_file),
        route("batchPredictionJobs.list", "GET", f"{{parent={_PARENT}}}/batchPredictionJobs", handler=calls.list_jobs,
              response="ListBatchPredictionJobsResponse", query=(*_LIST, "readMask"),
              rpc="JobService.ListBatchPredictionJobs"),
        route("batchPredictionJobs.get", "GET", one, handler=calls.get_job, response="BatchPredictionJob",
              rpc="JobService.GetBatchPredictionJob"),
        route("batchPredictionJobs.cancel", "POST", one + ":cancel", handler=calls.cancel_job, request="Empty",
              rpc="JobService.CancelBatchPredictionJob"),
        route("batchPredictionJobs.delete", "DELETE", one, handler=calls.delete_job, response="Operation",
              rpc="JobService.DeleteBatchPredictionJob"),
    )  # fmt: skip


def _metadata() -> list[Route]:
    store = f"{_PARENT}/metadataStores/*"
    route = partial(Route, versions=_VERSIONS, scopes=(_CLOUD,))
    return [
        route("metadataStores.contexts.get", "GET", f"{{name={store}/contexts/*}}", handler=contexts.get_context,
              response="MetadataContext", rpc="MetadataService.GetContext"),
        route("metadataStores.contexts.list", "GET", f"{{parent={store}}}/contexts", handler=contexts.list_contexts,
              response="ListContextsResponse", query=_ORDERED, rpc="MetadataService.ListContexts"),
        route("metadataStores.artifacts.get", "GET", f"{{name={store}/artifacts/*}}", handler=contexts.get_artifact,
              response="MetadataArtifact", rpc="MetadataService.GetArtifact"),
        route("metadataStores.executions.list", "GET", f"{{parent={store}}}/executions",
              handler=contexts.list_executions, response="ListExecutionsResponse", query=_ORDERED,
              rpc="MetadataService.ListExecutions"),
    ]  # fmt: skip


def _tensorboards() -> list[Route]:
    board = f"{_PARENT}/tensorboards/*"
    experiment, run = f"{board}/experiments/*", f"{board}/experiments/*/runs/*"
    series = f"{{tensorboard_time_series={run}/timeSeries/*}}"
    route = partial(Route, versions=_VERSIONS, scopes=_READ_SCOPES)
    listed = (*_ORDERED, "readMask")
    return [
        route("tensorboards.get", "GET", f"{{name={board}}}", handler=contexts.get_tensorboard,
              response="Tensorboard", rpc="TensorboardService.GetTensorboard"),
        route("tensorboards.list", "GET", f"{{parent={_PARENT}}}/tensorboards", handler=contexts.list_tensorboards,
              response="ListTensorboardsResponse", query=listed, rpc="TensorboardService.ListTensorboards"),
        route("tensorboards.experiments.get", "GET", f"{{name={experiment}}}", handler=contexts.get_experiment,
              response="TensorboardExperiment", rpc="TensorboardService.GetTensorboardExperiment"),
        route("tensorboards.experiments.list", "GET", f"{{parent={board}}}/experiments",
              handler=contexts.list_experiments, response="ListTensorboardExperimentsResponse", query=listed,
              rpc="TensorboardService.ListTensorboardExperiments"),
        route("tensorboards.experiments.runs.get", "GET", f"{{name={run}}}", handler=contexts.get_run,
              response="TensorboardRun", rpc="TensorboardService.GetTensorboardRun"),
        route("tensorboards.experiments.runs.list", "GET", f"{{parent={experiment}}}/runs", handler=contexts.list_runs,
              response="ListTensorboardRunsResponse", query=listed, rpc="TensorboardService.ListTensorboardRuns"),
        route("tensorboards.experiments.runs.timeSeries.get", "GET", f"{{name={run}/timeSeries/*}}",
              handler=curves.get_series, response="TensorboardTimeSeries",
              rpc="TensorboardService.GetTensorboardTimeSeries"),
        route("tensorboards.experiments.runs.timeSeries.list", "GET", f"{{parent={run}}}/timeSeries",
              handler=curves.list_series, response="ListTensorboardTimeSeriesResponse", query=listed,
              rpc="TensorboardService.ListTensorboardTimeSeries"),
        route("tensorboards.batchRead", "GET", f"{{tensorboard={board}}}:batchRead", handler=curves.batch_read,
              response="BatchReadTensorboardTimeSeriesDataResponse", query=("timeSeries*",), scopes=(_CLOUD,),
              rpc="TensorboardService.BatchReadTensorboardTimeSeriesData"),
        route("tensorboards.experiments.runs.timeSeries.read", "GET", series + ":read", handler=curves.read,
              response="ReadTensorboardTimeSeriesDataResponse", query=("maxDataPoints", "filter"),
              rpc="TensorboardService.ReadTensorboardTimeSeriesData"),
        route("tensorboards.experiments.runs.timeSeries.exportTensorboardTimeSeries", "POST",
              series + ":exportTensorboardTimeSeries", handler=curves.export, changes=False,
              request="ExportTensorboardTimeSeriesDataRequest", response="ExportTensorboardTimeSeriesDataResponse",
              rpc="TensorboardService.ExportTensorboardTimeSeriesData"),
    ]  # fmt: skip


BATCHES = _batches()
ROUTES = (*_tuning_jobs(), *_inference(), *_metadata(), *_tensorboards(), *_models(), *_endpoints(), *_not_offered())
