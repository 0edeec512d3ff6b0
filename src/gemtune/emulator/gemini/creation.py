"""``tunedModels.create``: what it refuses, the ids it makes, the job it plans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from gemtune.emulator.gemini.tuned_models import check_mutable
from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import RpcError, already_exists, bad_request, invalid_fields, not_served
from gemtune.emulator.world.answers import ExampleIndex
from gemtune.emulator.world.base_models import BaseModel
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import MethodCall, Store, StoredModel, StoredPermission
from gemtune.emulator.world.surface import bounded, default_rate, multiplier
from gemtune.emulator.world.tuning import MOST_STEPS, Job, total_steps

_ID = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
# The service echoes them in its reply, and clients show them from there.
_DEFAULTS = {"epoch_count": 5, "batch_size": 4}
_MAX_VIOLATIONS = 20


def slug(display_name: str) -> str:
    """Return the readable part of a generated id: lower-case words joined by dashes, only letters and digits kept."""
    words = (re.sub(r"[^a-z0-9]", "", word) for word in display_name.lower().split())
    return "-".join(word for word in words if word)


def create(store: Store, call: MethodCall) -> StoredModel:
    """Return a new tuned model whose job has just been queued."""
    settings, body = store.settings, call.body
    task = cast(Value, body.get("tuning_task") or {})
    given = cast(Value, task.get("hyperparameters") or {})
    examples = _examples(task)
    found = list(islice(_violations(call, settings, given, examples), _MAX_VIOLATIONS))
    if found:
        raise invalid_fields("CreateTunedModelRequest", found)
    hyperparameters = _effective(given, len(examples))
    _check_steps(len(examples), hyperparameters)
    base, source = _base_model(store, call)
    limit = settings.max_concurrent_jobs
    if limit is not None and store.running(call.now) >= limit:
        text = f"Quota exceeded for concurrent tuning jobs: {limit} are running. Please retry when one is done."
        raise RpcError("RESOURCE_EXHAUSTED", text)
    model_id = _new_id(store, call)
    owner = StoredPermission(store.random_id(12), "USER", call.caller.email, "OWNER", store.next_number())
    inherited = {key: getattr(base, key) for key in ("temperature", "top_p", "top_k")}
    parameters = inherited | {key: body[key] for key in inherited if body.get(key) is not None}
    model = StoredModel(
        number=store.next_number(),
        id=model_id,
        operation_id=store.random_id(12),
        base_model=base.name,
        source=source,
        display_name=cast(str, body.get("display_name", "")),
        description=cast(str, body.get("description", "")),
        reader_project_numbers=cast("list[int]", body.get("reader_project_numbers", [])),
        hyperparameters=hyperparameters,
        examples=ExampleIndex.build(examples),
        job=_plan(settings, call, model_id, len(examples), hyperparameters),
        permissions={owner.id: owner},
        **parameters,
    )
    store.add(model)
    return model


def _check_steps(examples: int, hyperparameters: dict[str, Any]) -> None:
    steps = total_steps(examples, hyperparameters["epoch_count"], hyperparameters["batch_size"])
    if steps > MOST_STEPS:
        text = f"the tuning would take {steps} steps; at most {MOST_STEPS} are possible here"
        raise invalid_fields("CreateTunedModelRequest", [("tuned_model.tuning_task.hyperparameters.epoch_count", text)])


def _plan(settings: Settings, call: MethodCall, model_id: str, examples: int, hyperparameters: dict[str, Any]) -> Job:
    return Job.plan(
        queue_seconds=settings.queue_seconds,
        step_seconds=settings.step_seconds,
        refresh_seconds=settings.refresh_seconds,
        name=f"tunedModels/{model_id}",
        examples=examples,
        epochs=hyperparameters["epoch_count"],
        batch_size=hyperparameters["batch_size"],
        # whole microseconds, as the service's own times are
        created=call.now // 1000 * 1000,
        seed=settings.seed,
        fate=call.fate,
        rate=_rate(hyperparameters, examples),
    )


def _examples(task: Value) -> list[tuple[str, str]]:
    data = cast(Value, task.get("training_data") or {})
    rows = cast("list[Value]", cast(Value, data.get("examples") or {}).get("examples") or [])
    return [(cast(str, row.get("text_input", "")), cast(str, row.get("output", ""))) for row in rows]


def _violations(
    call: MethodCall, settings: Settings, given: Value, examples: list[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    # The limit of 40 characters is documented.
    wanted = call.query.get("tuned_model_id")
    if wanted is not None and not _ID.fullmatch(wanted):
        text = "must be 1 to 40 lower-case letters, digits and dashes, begin with a letter and not end with a dash"
        yield "tuned_model_id", f"{text}; not {wanted!r}"
    for path, text in check_mutable(call.body):
        yield f"tuned_model.{path}", text
    for key, value in given.items():
        if value is not None and not (0 < cast(float, value) < float("inf")):
            yield f"tuned_model.tuning_task.hyperparameters.{key}", f"must be greater than 0, not {value}"
    for path, text in _example_violations(settings, examples):
        yield f"tuned_model.tuning_task.training_data.examples.examples{path}", text


def _example_violations(settings: Settings, examples: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    if not examples:
        yield "", "is required: training data must not be empty"
    elif settings.max_examples is not None and len(examples) > settings.max_examples:
        yield "", f"must hold at most {settings.max_examples} examples, not {len(examples)}"
    limits = (("text_input", settings.max_input_characters), ("output", settings.max_output_characters))
    for number, example in enumerate(examples):
        for (name, limit), text in zip(limits, example, strict=True):
            if not text:
                yield f"[{number}].{name}", "is required and must not be empty"
            elif len(text) > limit:
                yield f"[{number}].{name}", f"must be at most {limit} characters long, not {len(text)}"


def _base_model(store: Store, call: MethodCall) -> tuple[BaseModel, str | None]:
    source = cast(Value, call.body.get("tuned_model_source") or {}).get("tuned_model")
    name = cast(str, call.body.get("base_model", ""))
    if source:
        parent = store.tuned_model(cast(str, source), call.caller, "READER")
        if parent.state(call.now, store.settings) != "ACTIVE":
            raise bad_request(f"The source {parent.name} is not ACTIVE: only a completed tuned model can be tuned.")
        name = parent.base_model
    # A tuned model as source: its base model counts, and it has to be readable and complete.
    if not name:
        raise invalid_fields("CreateTunedModelRequest", [("tuned_model.source_model", "base_model is required")])
    base = store.base_models.get(name)
    if base is None or not base.is_tunable:
        raise not_served(name, call.version, "createTunedModel")
    return base, cast("str | None", source or None)


def _new_id(store: Store, call: MethodCall) -> str:
    wanted = call.query.get("tuned_model_id")
    if wanted is not None:
        if f"tunedModels/{wanted}" in store.tuned_models:
            raise already_exists(store.settings.exists_message.format(name=f"tunedModels/{wanted}"))
        return wanted
    words = slug(cast(str, call.body.get("display_name", "")))
    # A generated id never collides, even if all words and the seed are the same.
    while True:
        suffix = store.random_id(store.settings.suffix_length)
        made = f"{words}-{suffix}" if words else suffix
        if f"tunedModels/{made}" not in store.tuned_models:
            return made


def _effective(given: Value, examples: int) -> dict[str, Any]:
    """Return the hyperparameters as they are echoed: with defaults, and a given multiplier instead of a rate."""
    effective: dict[str, Any] = _DEFAULTS | {"learning_rate": default_rate(examples)}
    effective |= {key: value for key, value in given.items() if value is not None}
    if "learning_rate_multiplier" in given:
        del effective["learning_rate"]
    return effective


def _rate(hyperparameters: dict[str, Any], examples: int) -> float:
    if "learning_rate" in hyperparameters:
        return multiplier(hyperparameters["learning_rate"], examples)
    return bounded(float(hyperparameters["learning_rate_multiplier"]))
