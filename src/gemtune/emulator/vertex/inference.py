"""``generateContent``, ``streamGenerateContent`` and ``countTokens``, of tuned endpoints and of publisher models.

A tuned endpoint answers like a tuned model of the Gemini API: with the output of the nearest training example. What is
asked in the validation data of any job of the project has a known answer, and how well that checkpoint was trained
decides if it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import attrs

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import RpcError, invalid_fields
from gemtune.emulator.messages.known_errors import vertex_out_of_capacity
from gemtune.emulator.vertex.catalogue import SERVED
from gemtune.emulator.vertex.job import VertexJob
from gemtune.emulator.vertex.names import canonical, last
from gemtune.emulator.vertex.refusals import no_publisher_model, no_such
from gemtune.emulator.vertex.shelf import shelf_of
from gemtune.emulator.world.answers import (
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
from gemtune.emulator.world.recall.rows import Recall
from gemtune.emulator.world.store import MethodCall, Store
from gemtune.emulator.world.surface import untrained_loss
from gemtune.emulator.world.tuning import eval_loss_of

_NO_CONTENTS = "at least one contents field is required"
_NO_PARTS = "must include at least one parts field"


def generate(store: Store, call: MethodCall) -> Value:
    """Answer a prompt whole."""
    return next(_respond(store, call, whole=True))


def stream(store: Store, call: MethodCall) -> list[Value]:
    """Answer a prompt in pieces."""
    return list(_respond(store, call, whole=False))


def count(store: Store, call: MethodCall) -> Value:
    """Count the tokens and the billable characters of a prompt; white space is not billed."""
    _asked(store, call)
    tokens = input_tokens(call.body)
    return {
        "total_tokens": tokens,
        "total_billable_characters": sum(len("".join(text.split())) for text in texts(call.body)),
        "prompt_tokens_details": _details(tokens),
    }


def cost(call: MethodCall) -> tuple[int, str]:
    """Return what a request counts in quotas: its input tokens and its model."""
    return input_tokens(call.body), last(call.params["model"])


def get_publisher_model(store: Store, call: MethodCall) -> Value:
    """Return one base model."""
    name = call.params["name"]
    check_served(store, name)
    return {"name": name, "version_id": "default"}


def list_publisher_models(store: Store, call: MethodCall) -> Value:  # noqa: ARG001 - a handler
    """List the base models."""
    names = dict.fromkeys((*SERVED, *map(last, store.base_models)))
    return {"publisher_models": [{"name": f"publishers/google/models/{name}"} for name in names]}


def check_served(store: Store, name: str) -> None:
    """Raise RpcError (404) for a base model that is not served."""
    if last(name) not in SERVED and f"models/{last(name)}" not in store.base_models:
        raise no_publisher_model(name)


@attrs.frozen(kw_only=True)
class Answerer:
    """What answers.

    Args:
        name: under which it is asked.
        project: the number of the project that asks, if it is known.
        job: behind a tuned model; None for a base model.
        checkpoint: of that job.
    """

    name: str
    project: str
    job: VertexJob | None = None
    checkpoint: int = 0

    def recall(self, store: Store, now: int) -> Callable[[str], str | None] | None:
        """Return what it says to prompts whose right answer is known; None if there are none."""
        sources = (*([store.known] if store.known else ()), *shelf_of(store).held_out.known(self.project))
        if not sources:
            return None
        seed, job = store.settings.seed, self.job
        name = last(self.name) if job is None else f"{job.name}@{self.checkpoint}"
        steps = job.trained_steps(self.checkpoint, now) if job else 0
        if job is None or job.life.job is None or not steps:
            loss = untrained_loss(seed, f"models/{job.base_model if job else name}")
        else:
            loss = eval_loss_of(job.life.job, steps)
        return Recall(seed=seed, model=name, loss=loss, sources=sources).answer


def _asked(store: Store, call: MethodCall) -> Answerer:
    name = canonical(call.params["model"])
    project = name.split("/")[1] if name.startswith("projects/") else ""
    if "/endpoints/" not in name:
        check_served(store, call.params["model"])
        return Answerer(name=call.params["model"], project=project)
    shelf = shelf_of(store)
    found = shelf.deployed(name, call.now)
    if found is None:
        raise no_such("Endpoint", name)
    if name in shelf.undeployed:
        raise RpcError("FAILED_PRECONDITION", f"The Endpoint {name!r} has no deployed model.")
    return Answerer(name=call.params["model"], project=project, job=found[0], checkpoint=found[1])


def _respond(store: Store, call: MethodCall, *, whole: bool) -> Iterator[Value]:
    asked = _asked(store, call)
    found = wrong_in(call.body)
    if found:
        raise invalid_fields("GenerateContentRequest", found)
    # After the checks: what is invalid does not count against the quota.
    if store.spend_request(call.params["model"], call.now) is not None:
        raise vertex_out_of_capacity()
    return replies(store, asked, call.body, call.caller.email, call.now, whole=whole)


def wrong_in(body: Value) -> list[tuple[str, str]]:
    """Return what is wrong with a request: the fields, and what is said of them."""
    return list(violations(body, _NO_CONTENTS, _NO_PARTS))


def replies(store: Store, asked: Answerer, body: Value, email: str, now: int, *, whole: bool = True) -> Iterator[Value]:
    """Return the pieces of the reply to a request with which nothing is wrong.

    Args:
        store: with the scripted answers.
        asked: what answers.
        body: the request.
        email: who asks.
        now: the time.
        whole: whether there is one piece.
    """
    job = asked.job
    prompt = Prompt(text=asked_text(body), model=asked.name, request=body, email=email)
    examples = shelf_of(store).data[job.data].index if job else None
    answered = answer(store.answers, prompt, examples, store.settings.answer_label, asked.recall(store, now))
    text, reason = cut(answered, cast(Value, body.get("generation_config") or {}))
    pieces = [text] if whole else split_text(text, store.settings.chunk_characters)
    envelope: Value = {
        "model_version": job.base_model if job else last(asked.name),
        "create_time": now // 1000 * 1000, "response_id": store.random_id(22),
    }  # fmt: skip
    for number, piece in enumerate(pieces, start=1):
        candidate: Value = {"content": {"role": "model", "parts": [{"text": piece}]}}
        reply: Value = {"candidates": [candidate], **envelope}
        if number == len(pieces):
            candidate["finish_reason"] = reason
            # A figure that follows from the text: it is printed, compared and plotted by clients.
            candidate["avg_logprobs"] = -1 / (1 + len(text))
            reply["usage_metadata"] = _usage(body, "" if answered.block_reason else text)
        if answered.block_reason:
            del reply["candidates"]
            reply["prompt_feedback"] = {"block_reason": answered.block_reason}
        yield reply


def _usage(body: Value, text: str) -> Value:
    asked, answered = input_tokens(body), count_tokens(text)
    return {
        "prompt_token_count": asked,
        "candidates_token_count": answered,
        "total_token_count": asked + answered,
        "traffic_type": "ON_DEMAND",
        "prompt_tokens_details": _details(asked),
        "candidates_tokens_details": _details(answered),
    }


def _details(tokens: int) -> list[Value]:
    return [{"modality": "TEXT", "token_count": tokens}] if tokens else []
