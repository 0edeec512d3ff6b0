"""``tuningJobs.create``: what it refuses at once, what it plans, and where the model will be."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any, cast

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import bad_request
from gemtune.emulator.messages.known_errors import vertex_quota_full
from gemtune.emulator.vertex.catalogue import TUNABLE, TunableModel, adapter_size, short_name
from gemtune.emulator.vertex.data.reading import TuningData, data_key, read_data
from gemtune.emulator.vertex.job import VertexJob
from gemtune.emulator.vertex.life import Durations, TuningPlan
from gemtune.emulator.vertex.names import canonical, location_of, made_id
from gemtune.emulator.vertex.refusals import (
    bad_adapter,
    bad_fields,
    bad_labels,
    base_model_refused,
    global_refused,
    no_such,
)
from gemtune.emulator.vertex.shelf import VertexShelf, shelf_of
from gemtune.emulator.world.settings import MIB
from gemtune.emulator.world.store import MethodCall, Store
from gemtune.emulator.world.surface import bounded, multiplier
from gemtune.emulator.world.tuning import MOST_STEPS

_OBJECT = re.compile(r"gs://([^/]+)/(.+\.jsonl)")
_OUTPUT_ONLY = (
    "name", "state", "create_time", "start_time", "end_time", "update_time", "error", "experiment", "tuned_model",
    "tuning_data_stats", "pipeline_job", "evaluate_dataset_runs", "gcs_metrics_uri", "tuning_job_state",
    "tuning_job_metadata",
)  # fmt: skip
_DEFAULTS = {"epoch_count": 5, "learning_rate_multiplier": 1.0, "adapter_size": "ADAPTER_SIZE_FOUR"}
_BATCH_SIZE = 4
_MOST_EPOCHS = 1_000
_URIS = ("training_dataset_uri", "validation_dataset_uri")
_SPECS = ("supervised_tuning_spec", "preference_optimization_spec")


def create(store: Store, call: MethodCall) -> VertexJob:
    """Return a new tuning job."""
    shelf, parent = shelf_of(store), canonical(call.params["parent"])
    given = {key: value for key, value in call.body.items() if key not in _OUTPUT_ONLY}
    kind = next((each for each in _SPECS if each in given), None)
    if kind is None:
        raise bad_request("One of supervised_tuning_spec and preference_optimization_spec is required here.")
    if location_of(parent) == "global":
        raise global_refused()
    found = list(_violations(given, kind))
    if found:
        raise bad_fields(found)
    source = _source(shelf, given, call.now)
    base = TUNABLE.get(short_name(source.base_model if source else cast(str, given.get("base_model", ""))))
    if base is None or (kind == _SPECS[1] and not base.preference):
        raise base_model_refused(cast(str, given.get("base_model") or (source.base_model if source else "")))
    _check_hyperparameters(cast(Value, given[kind]), base)
    read = _data(store, shelf, call, given, kind)
    (key, data), *held_out = read
    error = next((each.error for _, each in read if each.error), None)
    # Long data is read in a thread (see ``reads_files``), and jobs are made one after the other all the same.
    with shelf.lock:
        _check_quota(store, shelf, parent, call.now)
        number = store.next_number()
        name = f"{parent}/tuningJobs/{made_id(store.settings.seed, 'tuningJobs', number)}"
        if source:
            given["pre_tuned_model"] = {**cast(Value, given["pre_tuned_model"]), "base_model": source.base_model}
        model, version = _model(shelf, given, source, parent, name)
        if not given.get("tuned_model_display_name"):
            given["tuned_model_display_name"] = _display_name(shelf, source, base, name)
        resolved = _resolve(cast(Value, given[kind]))
        job = VertexJob(
            number=number, plan=_plan(store, call, name, base, given, kind, data, error, resolved), given=given,
            base_model=base.name, resolved=resolved, data=key, model=model, version=version,
        )  # fmt: skip
        shelf.data.setdefault(key, data)
        shelf.add(job)
        for check_key, check in held_out:
            if not check.error:
                shelf.held_out.learn(parent.split("/")[1], check_key, check)
    return job


def reads_files(store: Store, call: MethodCall) -> bool:
    """Return whether the data of a new job is long, or in files."""
    specs = (cast(Value, call.body.get(kind) or {}) for kind in _SPECS)
    found = (_OBJECT.fullmatch(str(spec.get(field, ""))) for spec in specs for field in _URIS)
    objects = [store.objects.find(match[1], match[2]) for match in found if match]
    return any(each and (each.content.size > MIB or not isinstance(each.content.data, bytes)) for each in objects)


def _check_quota(store: Store, shelf: VertexShelf, parent: str, now: int) -> None:
    limit, refuses = store.settings.vertex_concurrent_jobs, store.settings.vertex_quota == "refuse"
    if refuses and limit is not None and shelf.running(parent.split("/")[1], now) >= limit:
        raise vertex_quota_full()


def _violations(given: Value, kind: str) -> Iterator[tuple[str, str]]:
    spec = cast(Value, given[kind])
    for field in _URIS:
        uri = cast(str, spec.get(field, ""))
        if (uri or field.startswith("training")) and not _OBJECT.fullmatch(uri):
            yield f"tuning_job.{kind}.{field}", f"{field} should be a GCS object of type JSONL."
    if len(cast(str, given.get("tuned_model_display_name", ""))) > 128:
        yield "tuning_job.tuned_model_display_name", "must be at most 128 characters long."
    yield from bad_labels("tuning_job", cast("dict[str, str]", given.get("labels") or {}))
    hyperparameters = cast(Value, spec.get("hyper_parameters") or {})
    for key, number in hyperparameters.items():
        if isinstance(number, int | float) and not number > 0:
            yield f"tuning_job.{kind}.hyper_parameters.{key}", f"must be greater than 0, not {number:g}."
    if cast(int, hyperparameters.get("epoch_count", 1)) > _MOST_EPOCHS:
        yield f"tuning_job.{kind}.hyper_parameters.epoch_count", f"must be at most {_MOST_EPOCHS}."


def _source(shelf: VertexShelf, given: Value, now: int) -> VertexJob | None:
    """Return the job behind the tuned model that is tuned further; None for a base model."""
    source = cast(Value, given.get("pre_tuned_model") or {})
    if not source:
        return None
    name = canonical(cast(str, source.get("tuned_model_name", "")))
    model, _, version = name.partition("@")
    jobs = shelf.versions(model, now)
    if not version:  # the latest one
        job = jobs[-1] if jobs else None
    else:
        job = next((each for each in jobs if version in ("default", str(each.version))), None)
    if job is None:
        raise no_such("Model", name)
    checkpoint = source.get("checkpoint_id")
    if checkpoint and not any(str(each.number) == checkpoint for each in job.life.checkpoints(now)):
        raise bad_request(f"The model {name} has no checkpoint {checkpoint!r}.")
    return job


def _check_hyperparameters(spec: Value, base: TunableModel) -> None:
    size = cast(str, cast(Value, spec.get("hyper_parameters") or {}).get("adapter_size", ""))
    if size and size.removeprefix("ADAPTER_SIZE_") not in (*base.adapters, "UNSPECIFIED"):
        raise bad_adapter()


def _model(shelf: VertexShelf, given: Value, source: VertexJob | None, parent: str, job: str) -> tuple[str, int]:
    """Return the model that comes of a job, and its version: tuned further under the same name, it is the next one."""
    wanted = given.get("tuned_model_display_name")
    if source and wanted in (None, "", shelf.display_name(source.model)):
        return source.model, shelf.next_version(source.model)
    return f"{parent}/models/{made_id('model', job)}", 1


def _display_name(shelf: VertexShelf, source: VertexJob | None, base: TunableModel, job: str) -> str:
    if source:
        return shelf.display_name(source.model)
    return f"{base.name}-{uuid.uuid5(uuid.NAMESPACE_URL, job)}"


def _data(store: Store, shelf: VertexShelf, call: MethodCall, given: Value, kind: str) -> list[tuple[str, TuningData]]:
    """Return the training data and, if there is any, the validation data, each with the key under which it is kept."""
    spec, preference, dropped = cast(Value, given[kind]), kind == _SPECS[1], call.fate.dropped_examples
    found: list[tuple[str, TuningData]] = []
    for field in _URIS:
        uri = cast(str, spec.get(field, ""))
        match = _OBJECT.fullmatch(uri)
        if match:
            raw, validation = store.objects.read(match[1], match[2]), field.startswith("validation")
            key = data_key(raw, uri if raw is None else "", preference, dropped, validation)
            data = (
                shelf.data.get(key)
                or shelf.held_out.find(key)
                or read_data(
                    raw, uri, preference=preference, validation=validation, dropped=() if validation else dropped
                )
            )
            found.append((key, data))
    return found


def _resolve(spec: Value) -> Value:
    """Return the hyperparameters that the job uses: what was given, and for the rest what the service chooses."""
    given = cast(Value, spec.get("hyper_parameters") or {})
    return _DEFAULTS | {key: value for key, value in given.items() if value not in (None, "ADAPTER_SIZE_UNSPECIFIED")}


def _plan(
    store: Store, call: MethodCall, name: str, base: TunableModel, given: Value, kind: str, data: TuningData,
    error: tuple[int, str] | None, resolved: dict[str, Any],
) -> TuningPlan:  # fmt: skip
    epochs = int(resolved["epoch_count"])
    # A batch grows with the data, so that no job has more steps than are possible here.
    least = -(-data.count * epochs // MOST_STEPS)
    batch = max(int(resolved.get("batch_size", _BATCH_SIZE)), least)
    last = cast(Value, given[kind]).get("export_last_checkpoint_only")
    return TuningPlan(
        name=name, examples=data.count, epochs=epochs, batch_size=batch, created=call.now // 1000 * 1000,
        seed=store.settings.seed, durations=Durations.of(store.settings), fate=call.fate,
        checkpoints="none" if not base.checkpoints else "last" if last else "all", data_error=error,
        rate=_rate(resolved, data.count), adapter=adapter_size(str(resolved["adapter_size"])),
    )  # fmt: skip


def _rate(resolved: dict[str, Any], examples: int) -> float:
    if resolved.get("learning_rate"):
        return multiplier(float(resolved["learning_rate"]), examples)
    return bounded(float(resolved["learning_rate_multiplier"]))
