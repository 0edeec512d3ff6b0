"""The results of a batch: a line for each request, written when it has ended, in constant memory.

Input and output are contents, in memory or in files; between them is one line at a time and, of every line, where it
begins. The answers are those that generateContent gives at that moment.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

import attrs

from gemtune.emulator.gemini.batches.shelf import BatchEnd, StoredBatch
from gemtune.emulator.gemini.files.shelf import StoredFile
from gemtune.emulator.gemini.generation import answer_batched, ready_model
from gemtune.emulator.gemini.messages import SCHEMA
from gemtune.emulator.messages.codec import Value, decode, encode
from gemtune.emulator.messages.contents import BLOCK
from gemtune.emulator.messages.errors import RPC_NUMBER, RpcError, violations
from gemtune.emulator.messages.json_text import loads
from gemtune.emulator.messages.known_errors import KNOWN_ERRORS
from gemtune.emulator.world.batches.lines import LineFates
from gemtune.emulator.world.clock import nanoseconds
from gemtune.emulator.world.store import MethodCall, Store
from gemtune.emulator.world.tuning import JobFate

_JSONL = "application/jsonl"
_WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def lines_of(file: BinaryIO) -> array[int]:
    """Return where the lines of a file begin that are not blank."""
    starts, at = array("Q"), 0
    for line in file:
        if not line.isspace():
            starts.append(at)
        at += len(line)
    return starts


def settle(store: Store, batch: StoredBatch) -> StoredFile | None:
    """Say what a batch that has ended has come to, and return the file of its results if it has one; blocks."""
    life = batch.life()
    ended, finished = life.ended or 0, life.finished(life.ended or 0)
    if batch.input is None or life.end_state not in ("SUCCEEDED", "CANCELLED") or not finished:
        batch.end = BatchEnd(*batch.counts(ended, store.settings))
        return None
    scratch, digest, held = store.objects.depot.scratch(), hashlib.sha256(), bytearray()
    work = _Work(store, batch)
    with batch.input.open() as file:
        for line in work.lines(file, finished):
            held += line
            if len(held) >= BLOCK:
                digest.update(held)
                scratch.append(bytes(held))
                held.clear()
    digest.update(held)
    scratch.append(bytes(held))
    _, content = store.objects.settle(scratch, ended)
    failed = work.failed
    if not batch.input_name:
        batch.end = BatchEnd(finished - failed, failed, content)
        return None
    batch.end = BatchEnd(finished - failed, failed)
    return StoredFile(
        number=batch.number, name=batch.output_name, owner=batch.owner.email, created=ended, content=content,
        expires=ended + nanoseconds(store.settings.file_seconds), sha256=digest.hexdigest(), source="GENERATED",
        mime_type=_JSONL,
    )  # fmt: skip


@attrs.define
class _Work:
    """The answering of a batch."""

    store: Store
    batch: StoredBatch
    failed: int = 0

    def lines(self, file: BinaryIO, finished: int) -> Iterator[bytes]:
        """Return the lines of the results."""
        batch, starts = self.batch, lines_of(file)
        fates = LineFates.of(batch.plan, batch.fate, self.store.settings)
        answer = self._answerer()

        def read(number: int) -> Value | RpcError:
            file.seek(starts[number])
            return _parsed(file.readline())

        for number in fates.order()[:finished]:
            given = read(number)
            if fates.fails(number):
                outcome = _error(KNOWN_ERRORS["overloaded_new"]())
            else:
                outcome = answer(given, fates.response_id(number))
            self.failed += "error" in outcome
            other = fates.key_of(number)
            owner = given if other == number else read(other)
            line = _WRITER.encode(outcome | _mark(owner)) + "\n"
            for _ in range(fates.copies(number)):
                yield line.encode("utf-8", "backslashreplace")

    def _answerer(self) -> Callable[[Value | RpcError, str], Value]:
        batch, store = self.batch, self.store
        asking = partial(
            MethodCall, method="models.generateContent", version=batch.version, params={"model": batch.model},
            query={}, caller=batch.owner, now=batch.life().ended or 0, fate=JobFate(),
        )  # fmt: skip
        model, refusal = None, None
        try:
            model = ready_model(store, asking(body={}))
        except RpcError as error:  # it was deleted or retired since
            refusal = error

        def answer(given: Value | RpcError, response_id: str) -> Value:
            try:
                if isinstance(given, RpcError):
                    raise given
                if refusal is not None:
                    raise refusal
                body = decode(SCHEMA, "GenerateContentRequest", given.get("request"))
                said = answer_batched(store, asking(body=body), model, response_id)
            except RpcError as error:
                return _error(error)
            return {"response": encode(SCHEMA, "GenerateContentResponse", said)}

        return answer


def _parsed(line: bytes) -> Value | RpcError:
    try:
        value = loads(line)
    except ValueError as error:
        return violations([("", f"Invalid JSON payload received. {error}")])
    if not isinstance(value, dict):
        return violations([("", "Invalid JSON payload received. A line must be an object.")])
    return value


def _mark(given: Value | RpcError) -> Value:
    """Return what a line is known by: its key in a file, its metadata otherwise."""
    if isinstance(given, RpcError):
        return {}
    return {name: given[name] for name in ("metadata", "key") if name in given}


def _error(error: RpcError) -> Value:
    return {"error": {"code": RPC_NUMBER.get(error.status, 2), "message": error.message}}
