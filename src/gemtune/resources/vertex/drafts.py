"""What Vertex AI makes of a draft: the checks, the base that is tuned, and the job that describes it all.

What the Gemini API has and this service lacks is refused by an error that names its counterpart.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from gemtune import checks
from gemtune.errors import InvalidInput
from gemtune.http.caller import Caller
from gemtune.protocol import vertex, vertex_names
from gemtune.protocol.vertex_names import Place
from gemtune.remedy import Argument, Remedy
from gemtune.resources.drafts import TuningDraft
from gemtune.resources.storage import Placed, Storage
from gemtune.resources.vertex.labels import check_labels
from gemtune.resources.vertex.models import check_titles, model_of_job
from gemtune.types import Hyperparameters
from gemtune.types.message import EMPTY
from gemtune.types.vertex import (
    AdapterSize,
    EncryptionSpec,
    PreferenceOptimizationHyperParameters,
    PreferenceOptimizationSpec,
    PreTunedModel,
    SupervisedHyperParameters,
    SupervisedTuningSpec,
    VertexTuningJob,
)

_SERVICE_ACCOUNT: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_KEY: Final = re.compile(r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+")
_DATASET: Final = re.compile(r"projects/[^/\s]+/locations/[^/\s]+/datasets/[^/\s]+")


def check_draft(draft: TuningDraft) -> None:
    """Refuse what is wrong in a draft, apart from its data, before anything is read or sent.

    Raises:
        InvalidInput: An argument is wrong, or Vertex AI has nothing like it.
    """
    checks.one_of("method", draft.method, "supervised", "preference")
    check_titles(draft.display_name, draft.description)
    for name in ("temperature", "top_p", "top_k"):
        if getattr(draft, name) is not None:
            instead = Remedy("leave it out, and give it with each request: ", Argument("generation_config"))
            raise InvalidInput(f"{name} is no property of a tuned model on Vertex AI", instead, field=name)
    _check_hyperparameters(draft)
    check_labels(draft.labels, Remedy("to choose what it is made of, give ", Argument("tuned_model_id")))
    if draft.checkpoints is not None:
        checks.one_of("checkpoints", draft.checkpoints, "all", "last")
    account = draft.service_account
    if account is not None and not (isinstance(account, str) and _SERVICE_ACCOUNT.fullmatch(account)):
        checks.refuse("service_account", "the address of a service account", account)
    key = draft.kms_key
    if key is not None and not (isinstance(key, str) and _KEY.fullmatch(key)):
        checks.refuse("kms_key", "'projects/P/locations/L/keyRings/R/cryptoKeys/K'", key)


async def data_of(
    draft: TuningDraft, field: str, data: object, storage: Storage, timeout: float | None = None
) -> Placed:
    """Return where some data of a draft lie, after checking, converting and uploading them if they are given.

    Args:
        draft: The draft.
        field: The argument that they are.
        data: The data, or the name of an object of Cloud Storage or of a dataset of Vertex AI.
        storage: Uploads them.
        timeout: Seconds to do so.

    Raises:
        InvalidInput: They cannot be read, a row is wrong, or no bucket is known.
        CallError: They could not be uploaded.
    """
    if isinstance(data, str) and _DATASET.fullmatch(data):
        if draft.method != "supervised":
            what = f"{field}: tuning by preference reads files and no datasets"
            raise InvalidInput(what, Remedy("give the gs:// URI of a JSONL file, or the rows"), field=field)
        return Placed(data)
    choice = attrs.evolve(draft.choice, shared=draft.validation_data is not None)
    return await storage.place(data, choice, draft.method, field=field, bucket=draft.bucket, timeout=timeout)


async def base_of(draft: TuningDraft, caller: Caller, place: Place) -> str | PreTunedModel:
    """Return the base model's short name, or the tuned model to continue from.

    A job stands for its model, a checkpoint and an endpoint for what they serve: these are asked.

    Raises:
        InvalidInput: It is neither.
        CallError: It could not be found out which model is meant.
    """
    given = draft.base_model
    if isinstance(given, PreTunedModel):
        return PreTunedModel(
            tuned_model_name=place.model(given.tuned_model_name, field="base_model"), checkpoint_id=given.checkpoint_id
        )
    name = given if isinstance(given, str) else getattr(given, "name", None)
    if not isinstance(name, str):
        name = vertex_names.endpoint_of(given) or ""
    full = name if name.startswith("projects/") else f"{place.name}/{name}"
    if vertex_names.is_model(full):
        return PreTunedModel(tuned_model_name=full)
    if vertex_names.is_job(full):
        return PreTunedModel(tuned_model_name=await model_of_job(caller, full, field="base_model"))
    if vertex_names.is_endpoint(full):
        return await _served_by(full, getattr(given, "checkpoint_id", ""), caller)
    return vertex_names.base_model(given)


async def _served_by(endpoint: str, checkpoint_id: str, caller: Caller) -> PreTunedModel:
    served = (await caller.call(vertex.get_endpoint(endpoint))).deployed_models
    if not served or not vertex_names.is_model(served[0].model):
        raise InvalidInput(f"base_model: {endpoint} serves no tuned model", field="base_model")
    model, version = vertex_names.without_version(served[0].model), served[0].model_version_id
    return PreTunedModel(
        tuned_model_name=f"{model}@{version}" if version else served[0].model,
        checkpoint_id=checkpoint_id or served[0].checkpoint_id,
    )


def job_to_create(
    draft: TuningDraft, base: str | PreTunedModel, training: str, validation: str | None
) -> VertexTuningJob:
    """Return the job that a draft describes, without the label that makes it ours.

    Args:
        draft: The draft, checked.
        base: What is tuned.
        training: Where the training data lie.
        validation: Where the validation data lie, if there are any.
    """
    supervised = draft.method == "supervised"
    return VertexTuningJob(
        tuned_model_display_name=draft.display_name or "",
        description=draft.description or "",
        base_model=base if isinstance(base, str) else "",
        pre_tuned_model=base if isinstance(base, PreTunedModel) else None,
        supervised_tuning_spec=_supervised(draft, training, validation) if supervised else None,
        preference_optimization_spec=None if supervised else _preference(draft, training, validation),
        labels=dict(draft.labels) if draft.labels else EMPTY,
        encryption_spec=EncryptionSpec(kms_key_name=draft.kms_key) if draft.kms_key else None,
        service_account=draft.service_account or "",
    )


def _supervised(draft: TuningDraft, training: str, validation: str | None) -> SupervisedTuningSpec:
    given = draft.hyperparameters
    return SupervisedTuningSpec(
        training_dataset_uri=training,
        validation_dataset_uri=validation or "",
        hyper_parameters=None
        if given is None
        else SupervisedHyperParameters(
            epoch_count=given.epoch_count,
            learning_rate_multiplier=given.learning_rate_multiplier,
            adapter_size=_adapter(given.adapter_size),
        ),
        export_last_checkpoint_only=draft.checkpoints == "last",
    )


def _preference(draft: TuningDraft, training: str, validation: str | None) -> PreferenceOptimizationSpec:
    given = draft.hyperparameters
    return PreferenceOptimizationSpec(
        training_dataset_uri=training,
        validation_dataset_uri=validation or "",
        hyper_parameters=None
        if given is None
        else PreferenceOptimizationHyperParameters(
            epoch_count=given.epoch_count,
            learning_rate_multiplier=given.learning_rate_multiplier,
            adapter_size=_adapter(given.adapter_size),
            beta=given.beta,
        ),
        export_last_checkpoint_only=draft.checkpoints == "last",
    )


def _adapter(size: int | None) -> AdapterSize:
    return AdapterSize.ADAPTER_SIZE_UNSPECIFIED if size is None else AdapterSize.of(size)


def _check_hyperparameters(draft: TuningDraft) -> None:
    given = draft.hyperparameters
    if given is None:
        return
    checks.instance("hyperparameters", given, Hyperparameters, "gemtune.Hyperparameters(...)")
    if given.learning_rate is not None:
        instead = Remedy("give ", Argument("learning_rate_multiplier"), ", a factor on the recommended rate")
        raise InvalidInput("learning_rate is a hyperparameter of the Gemini API", instead, field="learning_rate")
    if given.batch_size is not None:
        what = "batch_size is a hyperparameter of the Gemini API; Vertex AI chooses it itself"
        raise InvalidInput(what, Remedy("leave it out"), field="batch_size")
    if given.beta is not None and draft.method != "preference":
        what = "beta is a hyperparameter of tuning by preference"
        raise InvalidInput(
            what, Remedy("leave it out"), Remedy("give ", Argument("method", "preference")), field="beta"
        )
