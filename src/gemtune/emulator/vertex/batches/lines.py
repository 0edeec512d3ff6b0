"""The files of a batch: lines of requests are read, and one by one a line of the results is written for each.

A result echoes its request as the service does, under proto names and with nulls for what was not given. A line that
cannot be read, or whose request is refused or drawn to fail, has a status and no response, as documented: the status
is the HTTP reason with the error's JSON behind it.
"""

from __future__ import annotations

import datetime as dt
import json
from array import array
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

import attrs

from gemtune.emulator.messages.codec import Value, decode, encode
from gemtune.emulator.messages.contents import BLOCK, DepotFull, Scratch
from gemtune.emulator.messages.errors import RpcError, bad_request, invalid_fields
from gemtune.emulator.messages.json_text import loads
from gemtune.emulator.messages.known_errors import KNOWN_ERRORS
from gemtune.emulator.vertex.batches.job import MOST_PARTIAL, PredictionJob, PredictionOutcome, object_of
from gemtune.emulator.vertex.inference import Answerer, replies, wrong_in
from gemtune.emulator.vertex.job import VertexJob
from gemtune.emulator.vertex.jobs import default_checkpoint
from gemtune.emulator.vertex.messages.schema import SCHEMAS
from gemtune.emulator.vertex.shelf import shelf_of
from gemtune.emulator.world.batches.lines import BatchFate, LineFates
from gemtune.emulator.world.objects import StoredObject
from gemtune.emulator.world.store import Store

MOST_REQUESTS = 200_000
MOST_BYTES = 1 << 30
_SCHEMA = SCHEMAS["v1"]
_REQUEST = "VertexGenerateRequest"
_NULLED = frozenset({_REQUEST, "VertexContent", "VertexPart"})
_REASONS = {400: "Bad Request", 500: "Internal Server Error"}
_INVALID_ARGUMENT, _NOT_FOUND, _EXHAUSTED = 3, 5, 8


def offsets(file: BinaryIO) -> array[int]:
    """Return where the lines of a file begin, but for empty ones."""
    found, at = array("Q"), 0
    for line in file:
        if line.strip():
            found.append(at)
        at += len(line)
    return found


def count_requests(store: Store, uri: str) -> tuple[int, tuple[int, str] | None]:
    """Return how many requests an input file has, and (google.rpc code, message) if a batch cannot use it."""
    place = object_of(uri)
    file = store.objects.open(*place) if place else None
    if file is None:
        why = "the object does not exist, or the service agent may not read it"
        return 0, (_NOT_FOUND, f"The input {uri} cannot be read: {why}.")
    with file:
        count, size = len(offsets(file)), file.tell()
    if not count:
        return 0, (_INVALID_ARGUMENT, f"The input {uri} holds no request.")
    if count > MOST_REQUESTS or size > MOST_BYTES:
        text = f"The input {uri} has {count} requests and {size} bytes"
        return count, (_INVALID_ARGUMENT, f"{text}; at most {MOST_REQUESTS} and {MOST_BYTES} are supported.")
    return count, None


@attrs.define
class ResultsWriter:
    """Writes the results of one job.

    Args:
        store: with the scripted answers.
        job: that is over.
        asked: the model that answers.
        lines: the file, once it is whole.
    """

    store: Store
    job: PredictionJob
    asked: Answerer
    lines: Scratch = attrs.field(init=False)
    successful: int = attrs.field(default=0, init=False)
    failures: list[tuple[int, str]] = attrs.field(factory=list, init=False)
    failed: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.lines = self.store.objects.depot.scratch()

    def write(self, file: BinaryIO) -> None:
        """Write a line for each request that is finished, in the order in which they were."""
        places, pending, size = offsets(file), list[bytes](), 0
        fates = LineFates.of(self.job.plan, BatchFate(), self.store.settings)
        for number, at in self._finished():
            if number >= len(places):
                continue  # the file was replaced by a shorter one
            file.seek(places[number])
            line = self._line(number, file.readline(), at) * fates.copies(number)
            pending.append(line)
            size += len(line)
            if size >= BLOCK:
                self.lines.append(b"".join(pending))
                pending, size = [], 0
        self.lines.append(b"".join(pending))

    def _finished(self) -> Iterator[tuple[int, int]]:
        """Return the number of each request that is finished, and when it was."""
        plan, life = self.job.plan, self.job.life
        count, began = life.finished(life.ended or 0), life.started or 0
        for place, number in enumerate(plan.order()[:count], start=1):
            yield number, began + plan.run * place // plan.requests

    def _line(self, number: int, line: bytes, at: int) -> bytes:
        request, response, status = self._answer(number, line, at)
        if status is not None:
            self.failed += 1
            if len(self.failures) < MOST_PARTIAL:
                self.failures.append((_rpc_code(status), status.message))
        else:
            self.successful += 1
        time = dt.datetime.fromtimestamp(at // 1_000_000 / 1000, dt.UTC).isoformat(timespec="milliseconds")
        shown = {"status": _said(status), "processed_time": time, "request": request}
        if status is None:
            shown["response"] = response
        text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace") + b"\n"

    def _answer(self, number: int, line: bytes, at: int) -> tuple[object, object, RpcError | None]:
        raw: object = None
        try:
            value = loads(line)
            raw = value.get("request") if isinstance(value, dict) else None
            if not isinstance(raw, dict):
                raise bad_request("A line must be a JSON object with a request.")
            body = decode(_SCHEMA, _REQUEST, raw)
            raw = _echo(_REQUEST, body)
            if found := wrong_in(body):
                raise invalid_fields("GenerateContentRequest", found)
            if self.job.plan.fails(number):
                return raw, None, KNOWN_ERRORS["vertex_internal"]()
        except ValueError as error:  # no JSON
            return raw, None, bad_request(str(error))
        except RpcError as error:
            return raw, None, error
        reply = next(replies(self.store, self.asked, body, self.job.email, at))
        return raw, encode(_SCHEMA, "VertexGenerateResponse", reply), None


def _said(error: RpcError | None) -> str:
    if error is None:
        return ""
    body = {"error": {"code": error.code, "message": error.message, "status": error.status}}
    return f"{_REASONS.get(error.code, 'Error')}: {json.dumps(body, ensure_ascii=False)}"


def _rpc_code(error: RpcError) -> int:
    return _INVALID_ARGUMENT if error.code == 400 else 13


def _echo(message: str, value: Value) -> Value:
    """Return a request as the results show it: under proto names, and with nulls for what was not given."""
    shown: Value = {}
    for spec in _SCHEMA.messages[message].fields:
        item = value.get(spec.name)
        if item is None:
            if message in _NULLED and spec.name != "model":
                shown[spec.name] = None
        elif not spec.is_message:
            shown[spec.name] = item
        elif spec.repeated:
            shown[spec.name] = [_echo(spec.type, cast(Value, each)) for each in cast("list[object]", item)]
        else:
            shown[spec.name] = _echo(spec.type, cast(Value, item))
    return shown


def write_results(store: Store, job: PredictionJob, tuned: Callable[[str], VertexJob | None]) -> PredictionOutcome:
    """Write what a job that is over has finished, and return what came of it.

    Args:
        store: with its requests and room for the results.
        job: it.
        tuned: finds a tuning job.
    """
    life = job.life
    if life.end_state == "FAILED" or life.ended is None or not life.finished(life.ended):
        return PredictionOutcome()
    source, target = object_of(job.source), object_of(job.target)
    behind = tuned(job.tuned) if job.tuned else None
    if job.tuned and behind is None:
        return PredictionOutcome(error=(_NOT_FOUND, f"The model {job.model} does not exist any more."))
    file = store.objects.open(*source) if source else None
    if file is None:
        return PredictionOutcome(error=(_NOT_FOUND, f"The input {job.source} does not exist any more."))
    writer = ResultsWriter(store, job, _asked(store, job, behind))
    with file:
        try:
            writer.write(file)
            put = _put(store, target or ("", ""), writer.lines, life.ended + job.lag)
        except DepotFull as full:
            return PredictionOutcome(error=(_EXHAUSTED, f"There is no room left: {full}"))
    if not put:
        return PredictionOutcome(error=(_NOT_FOUND, f"The bucket of {job.target} does not exist."))
    directory = job.target.rpartition("/")[0]
    return PredictionOutcome(
        directory=directory, successful=writer.successful, failed=writer.failed, failures=writer.failures
    )


def _asked(store: Store, job: PredictionJob, tuned: VertexJob | None) -> Answerer:
    project = job.name.split("/")[1]
    if tuned is None:
        return Answerer(name=job.model, project=project)
    every = [each.number for each in tuned.life.deployed]
    named = next((number for number in every if tuned.endpoint(number) == job.model), None)
    if named is None and every:
        named = default_checkpoint(shelf_of(store), tuned)
    return Answerer(name=job.model, project=project, job=tuned, checkpoint=named or 0)


def _put(store: Store, target: tuple[str, str], lines: Scratch, now: int) -> bool:
    """Make an object of the lines; False if there is no bucket for it."""
    bucket, name = target
    generation, content = store.objects.settle(lines, now)
    found = StoredObject(
        bucket=bucket, name=name, generation=generation, created=now, content=content, content_type="application/jsonl"
    )
    try:
        store.objects.put(found)
    except KeyError:
        store.objects.depot.retire(content)
        return False
    return True
