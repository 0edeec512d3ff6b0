"""``generateContent``, ``streamGenerateContent``, ``countTokens`` and the listing of base models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

from gemtune.emulator.messages.codec import FrozenMessage, Value
from gemtune.emulator.messages.errors import (
    RpcError,
    bad_request,
    internal,
    invalid_fields,
    not_found,
    not_served,
    quota_exceeded,
)
from gemtune.emulator.world.answers import (
    Answer,
    Prompt,
    answer,
    asked_text,
    count_tokens,
    cut,
    input_tokens,
    split_text,
    texts,
    violations,
)
from gemtune.emulator.world.pages import take_page
from gemtune.emulator.world.recall.rows import Recall
from gemtune.emulator.world.store import MethodCall, Store, StoredModel
from gemtune.emulator.world.surface import untrained_loss
from gemtune.emulator.world.tuning import eval_loss_of

_CATEGORIES = ("SEXUALLY_EXPLICIT", "HATE_SPEECH", "HARASSMENT", "DANGEROUS_CONTENT")
_RATINGS = [FrozenMessage({"category": f"HARM_CATEGORY_{name}", "probability": "NEGLIGIBLE"}) for name in _CATEGORIES]
_NO_CONTENTS = "contents is not specified"
_NO_PARTS = "contents.parts must not be empty."


def get_model(store: Store, call: MethodCall) -> Value:
    """Return one base model."""
    model = store.base_models.get(call.params["name"])
    if model is None:
        raise not_found(f"Model {call.params['name']} is not found for API version {call.version}.")
    return model.to_message()


def list_models(store: Store, call: MethodCall) -> Value:
    """List the base models; tuned ones have a list of their own."""
    models, token = take_page(call, enumerate(store.base_models.values(), start=1), default=50, maximum=1000)
    return {"models": [model.to_message() for model in models], "next_page_token": token}


def count(store: Store, call: MethodCall) -> Value:
    """Count the input tokens of a prompt, by a rule of thumb."""
    name = call.params["model"]
    base = store.base_models.get(name)
    if base is None or "countTokens" not in base.supported_generation_methods:
        raise not_served(name, call.version, "countTokens")
    nested = cast(Value, call.body.get("generate_content_request") or {})
    if nested and call.body.get("contents"):
        raise bad_request("Only one of contents and generate_content_request may be set.")
    tokens = sum(count_tokens(text) for text in texts(nested or call.body))
    return {"total_tokens": tokens, "prompt_tokens_details": [{"modality": "TEXT", "token_count": tokens}]}


def cost(call: MethodCall) -> tuple[int, str]:
    """Return what a request counts in quotas: its input tokens and its model."""
    return input_tokens(call.body), call.params["model"].removeprefix("models/")


def generate(store: Store, call: MethodCall) -> Value:
    """Answer a prompt whole."""
    return next(_respond(store, call, whole=True))


def stream(store: Store, call: MethodCall) -> list[Value]:
    """Answer a prompt in pieces."""
    return list(_respond(store, call, whole=False))


def _respond(store: Store, call: MethodCall, *, whole: bool) -> Iterator[Value]:
    model = ready_model(store, call)
    check_request(store, call, model)
    name = call.params["model"]
    # After the checks: what is invalid does not count against the quota.
    wait = store.spend_request(name, call.now)
    if wait is not None:
        raise quota_exceeded(name.removeprefix("models/"), store.settings.requests_per_minute or 0, wait)
    yield from _reply(store, call, model, store.random_id(22), whole=whole)


def check_request(store: Store, call: MethodCall, model: StoredModel | None) -> None:
    """Raise the error of a request that the model does not take."""
    found = list(_violations(call.body))
    if found:
        raise invalid_fields("GenerateContentRequest", found)
    if model is not None:
        _check_tuned(call.body, call.params["model"], store.settings.max_input_characters)


def answer_batched(store: Store, call: MethodCall, model: StoredModel | None, response_id: str) -> Value:
    """Answer a request of a batch, which no quota of requests counts."""
    check_request(store, call, model)
    return next(_reply(store, call, model, response_id, whole=True))


def _reply(
    store: Store, call: MethodCall, model: StoredModel | None, response_id: str, *, whole: bool
) -> Iterator[Value]:
    answered = _answer(store, call, model)
    config = cast(Value, call.body.get("generation_config") or {})
    text, reason = cut(answered, config)
    pieces = [text] if whole else split_text(text, store.settings.chunk_characters)
    envelope = _envelope(store, call, model, response_id)
    sent = ""
    for number, piece in enumerate(pieces, start=1):
        sent += piece
        last = number == len(pieces)
        candidate: Value = {"content": {"parts": [{"text": piece}], "role": "model"}, "index": 0}
        if last:
            candidate["finish_reason"] = reason
        if store.settings.safety_ratings:
            candidate["safety_ratings"] = _ratings()
        reply: Value = {"candidates": [candidate], **envelope}
        feedback: Value = {"safety_ratings": _ratings()} if store.settings.safety_ratings else {}
        if answered.block_reason:
            del reply["candidates"]
            feedback["block_reason"] = answered.block_reason
        if feedback:
            reply["prompt_feedback"] = feedback
        if store.settings.usage_metadata:
            reply["usage_metadata"] = _usage(call.body, "" if answered.block_reason else sent)
        yield reply


def ready_model(store: Store, call: MethodCall) -> StoredModel | None:
    """Return the tuned model asked for, or None for a base model; raises an error if it cannot answer."""
    name, settings = call.params["model"], store.settings
    model = store.tuned_model(name, call.caller, "READER") if name.startswith("tunedModels/") else None
    base_name = model.base_model if model else name
    if model and model.state(call.now, settings) != "ACTIVE":
        status, message = settings.creating_error
        raise RpcError(status, message.format(name=name))
    base = store.base_models.get(base_name)
    if base is None or "generateContent" not in base.supported_generation_methods:
        raise not_served(base_name, call.version, "generateContent")
    # Such models were ACTIVE, listed and readable; only asking them showed that they had no weights.
    if model and model.job.fate.hollow:
        raise internal()
    return model


def _violations(body: Value) -> Iterator[tuple[str, str]]:
    yield from violations(body, _NO_CONTENTS, _NO_PARTS)
    config = cast(Value, body.get("generation_config") or {})
    if cast(int, config.get("candidate_count", 1)) != 1:
        yield "generation_config.candidate_count", "Only one candidate can be specified in the current model"
    if len(cast("list[str]", config.get("stop_sequences", []))) > 5:
        yield "generation_config.stop_sequences", "must hold at most 5 sequences"


def _check_tuned(body: Value, name: str, limit: int) -> None:
    """Refuse what tuned models did not support (documentation of 2025-04-16)."""
    config = cast(Value, body.get("generation_config") or {})
    if body.get("system_instruction"):
        raise bad_request(f"Developer instruction is not enabled for {name}")
    json_mode = config.get("response_mime_type", "text/plain") not in ("", "text/plain")
    if json_mode or config.get("response_schema") or config.get("response_json_schema"):
        raise bad_request(f"Json mode is not enabled for {name}")
    parts = [
        part for content in cast("list[Value]", body["contents"]) for part in cast("list[Value]", content["parts"])
    ]
    if any("text" not in part for part in parts):
        raise bad_request(f"Only text input is supported by {name}")
    size = sum(len(cast(str, part["text"])) for part in parts)
    if size > limit:
        raise bad_request(f"The prompt is {size} characters long; {name} takes at most {limit}.")


def _answer(store: Store, call: MethodCall, model: StoredModel | None) -> Answer:
    prompt = Prompt(text=asked_text(call.body), model=call.params["model"], request=call.body, email=call.caller.email)
    recall = _recall(store, call, model) if store.known else None
    return answer(store.answers, prompt, model.examples if model else None, store.settings.answer_label, recall)


def _recall(store: Store, call: MethodCall, model: StoredModel | None) -> Callable[[str], str | None]:
    seed, name = store.settings.seed, call.params["model"]
    loss = untrained_loss(seed, model.base_model if model else name)
    if model is not None:
        # A model whose tuning was cancelled answers if the settings say so.
        steps = model.job.total_steps if model.cancelled is None else len(model.progress(call.now).snapshots)
        loss = eval_loss_of(model.job, steps) if steps else loss
    return Recall(seed=seed, model=name, loss=loss, sources=(store.known,)).answer


def _envelope(store: Store, call: MethodCall, model: StoredModel | None, response_id: str) -> Value:
    if not store.settings.usage_metadata:
        return {}
    version = model.name if model else call.params["model"].removeprefix("models/")
    return {"model_version": version, "response_id": response_id}


def _usage(body: Value, text: str) -> Value:
    asked, answered = input_tokens(body), count_tokens(text)
    return {
        "prompt_token_count": asked,
        "candidates_token_count": answered,
        "total_token_count": asked + answered,
        "prompt_tokens_details": [{"modality": "TEXT", "token_count": asked}],
        "candidates_tokens_details": [{"modality": "TEXT", "token_count": answered}] if answered else [],
    }


def _ratings() -> list[FrozenMessage]:
    return list(_RATINGS)
