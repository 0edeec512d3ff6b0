"""A call in OpenTelemetry: one span, its attempts as events, what it took as attributes and metrics."""

import contextlib
import sys
import threading

import anyio
import anyio.lowlevel
import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

import gemtune
from gemtune import errors
from gemtune.config import ONCE, RetryPolicy
from gemtune.emulator import Fault
from gemtune.telemetry import content
from gemtune.telemetry.calls import CallSpan
from gemtune.telemetry.instruments import instruments_of
from gemtune.telemetry.jobs import JobLedger
from gemtune.testing import GeminiEmulator
from gemtune.types import GenerationConfig

MODEL = "gemini-3.7-flash"
SERVER = {"server.address": "127.0.0.1", "server.port": 80}
WHO = {"gen_ai.operation.name": "generate_content", "gen_ai.provider.name": "gcp.gemini", "gen_ai.request.model": MODEL}


@pytest.mark.both_backends
async def test_a_call_is_one_client_span_with_every_attribute_of_the_convention(collected):
    emulator = GeminiEmulator.make(answers={"LXIII": "LXIV"})
    config = GenerationConfig(
        temperature=0.5, top_p=0.9, top_k=5, max_output_tokens=64, seed=7, stop_sequences=["!"], candidate_count=1
    )
    async with emulator.client(telemetry=collected.telemetry()) as client:
        reply = await client.generate_content(MODEL, "LXIII", generation_config=config)
    (span,) = collected.spans
    usage = reply.usage_metadata
    assert (span.name, span.kind, span.status.status_code) == (
        f"generate_content {MODEL}",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert dict(span.attributes) == {
        **WHO,
        **SERVER,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.top_k": 5,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ("!",),
        "gen_ai.request.choice.count": 1,
        "gen_ai.response.model": reply.model_version,
        "gen_ai.response.id": reply.response_id,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": usage.prompt_token_count,
        "gen_ai.usage.output_tokens": usage.candidates_token_count,
    }
    assert (span.events, span.links, span.parent) == ((), (), None)
    assert (span.instrumentation_scope.name, span.instrumentation_scope.version) == ("gemtune", gemtune.__version__)


async def test_the_metrics_of_a_call_have_the_older_names_by_default(collected):
    emulator = GeminiEmulator.make()
    async with emulator.client(telemetry=collected.telemetry()) as client:
        reply = await client.generate_content(MODEL, "one two")
    usage, base = reply.usage_metadata, {**WHO, **SERVER, "gen_ai.response.model": MODEL}
    found = collected.metrics()
    ((attributes, (count, seconds)),) = found["gen_ai.client.operation.duration"]
    assert (attributes, count, 0 < seconds < 60) == (base, 1, True)
    assert found["gen_ai.client.token.usage"] == [
        ({**base, "gen_ai.token.type": "input"}, (1, usage.prompt_token_count)),
        ({**base, "gen_ai.token.type": "output"}, (1, usage.candidates_token_count)),
    ]
    assert not [name for name in found if "inference" in name]


async def test_the_newer_names_are_chosen_as_for_every_other_library(collected, monkeypatch):
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http, gen_ai_latest_experimental")
    emulator = GeminiEmulator.make()
    async with emulator.client(telemetry=collected.telemetry()) as client:
        reply = await client.generate_content(MODEL, "one two")
        await client.tune("models/gemini-1.0-pro-001", [("1", "2")] * 20)
    usage, base = reply.usage_metadata, {**WHO, **SERVER, "gen_ai.response.model": MODEL}
    found = collected.metrics()
    ((attributes, (count, _)),) = found["gen_ai.client.inference.duration"]
    assert (attributes, count) == (base, 1)
    for name, tokens in (("input", usage.prompt_token_count), ("output", usage.candidates_token_count)):
        points = found[f"gen_ai.client.inference.usage.{name}_tokens"]
        assert sum(value for _, value in points) == tokens
        assert {key: points[0][0][key] for key in base} == base
        assert points[0][0]["gen_ai.token.modality"] in {"text", "unknown"}
    ((attributes, (count, _)),) = found["gcp.gemini.client.operation.duration"]
    assert (attributes["gen_ai.operation.name"], count) == ("create_tuning_job", 1)
    assert not {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"} & set(found)


async def test_each_repetition_is_an_event_with_status_reason_and_delay(collected):
    emulator = GeminiEmulator.make()
    emulator.faults.add(Fault(method="models.generateContent", status=503))
    emulator.faults.add(Fault(method="models.generateContent", status=429))
    async with emulator.client(telemetry=collected.telemetry()) as client:
        await client.generate_content(MODEL, "x")
    (span,) = collected.spans
    assert [event.name for event in span.events] == ["gcp.gemini.retry"] * 2
    first, second = ({**event.attributes} for event in span.events)
    delay = first.pop("gcp.gemini.retry.delay")
    assert 0 <= delay <= 0.05
    assert first == {
        "gcp.gemini.retry.attempt": 1,
        "gcp.gemini.retry.reason": "UNAVAILABLE",
        "http.response.status_code": 503,
        "error.type": "Unavailable",
    }
    assert (second["gcp.gemini.retry.attempt"], second["http.response.status_code"]) == (2, 429)
    assert (second["error.type"], span.attributes["gcp.gemini.attempts"]) == ("QuotaExhausted", 3)
    assert span.status.status_code is StatusCode.UNSET
    found = collected.metrics()
    assert sorted((row["error.type"], value) for row, value in found["gcp.gemini.client.retries"]) == [
        ("QuotaExhausted", 1),
        ("Unavailable", 1),
    ]
    assert [value for _, value in found["gcp.gemini.client.throttles"]] == [1]


async def test_a_call_that_is_throttled_and_not_repeated_is_counted_once(collected):
    emulator = GeminiEmulator.make()
    emulator.faults.add(Fault(method="models.generateContent", status=429))
    async with emulator.client(telemetry=collected.telemetry()) as client:
        with pytest.raises(errors.QuotaExhausted):
            await client.generate_content(MODEL, "x", retry=ONCE)
    assert collected.metrics()["gcp.gemini.client.throttles"] == [({**WHO, **SERVER}, 1)]
    assert collected.spans[0].events == ()


async def test_a_failed_call_says_its_class_and_status_and_not_the_services_words(collected):
    emulator = GeminiEmulator.make()
    emulator.faults.add(Fault(method="models.generateContent", status=400))
    async with emulator.client(telemetry=collected.telemetry()) as client:
        with pytest.raises(errors.BadRequest):
            await client.generate_content(MODEL, "x")
    (span,) = collected.spans
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert (span.attributes["error.type"], span.attributes["http.response.status_code"]) == ("BadRequest", 400)
    ((attributes, _),) = collected.metrics()["gen_ai.client.operation.duration"]
    assert attributes["error.type"] == "BadRequest"


@pytest.mark.both_backends
async def test_a_cancelled_call_ends_its_span(collected, virtual_time):
    emulator = GeminiEmulator.make()
    emulator.faults.add(Fault(method="models.generateContent", status=503))
    retry = RetryPolicy(initial=600, maximum=600)
    async with emulator.client(telemetry=collected.telemetry(), retry=retry) as client:
        with anyio.move_on_after(0.05):
            await client.generate_content(MODEL, "x", timeout=3000)
    (span,) = collected.spans
    assert (span.attributes["error.type"], span.status.status_code) == ("cancelled", StatusCode.ERROR)
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.both_backends
async def test_a_span_is_a_child_of_the_current_one_and_current_while_its_request_is_sent(collected):
    emulator, current = GeminiEmulator.make(), []

    def request(method, target, body):
        current.append(trace.get_current_span().get_span_context().span_id)

    tracer = collected.traces.get_tracer("the user's")
    async with emulator.client(telemetry=collected.telemetry(), on_request=request) as client:
        with tracer.start_as_current_span("handler") as outer:
            await client.generate_content(MODEL, "x")
            assert trace.get_current_span() is outer
    call, _ = collected.spans
    assert call.parent.span_id == outer.get_span_context().span_id
    assert current == [call.context.span_id]


@pytest.mark.both_backends
async def test_the_span_of_a_stream_ends_with_the_stream(collected):
    emulator = GeminiEmulator.make(answers={"x": "a long answer in more than one piece " * 9})
    async with emulator.client(telemetry=collected.telemetry()) as client:
        stream = client.stream_generate_content(MODEL, "x")
        chunks = [await anext(stream)]
        assert collected.spans == []
        chunks += [chunk async for chunk in stream]
    (span,) = collected.spans
    assert len(chunks) > 1
    usage = chunks[-1].usage_metadata
    assert span.attributes["gen_ai.request.stream"] is True
    assert span.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert span.attributes["gen_ai.usage.output_tokens"] == usage.candidates_token_count
    first, whole = span.attributes["gen_ai.response.time_to_first_chunk"], (span.end_time - span.start_time) / 1e9
    assert 0 < first <= whole
    assert "error.type" not in span.attributes


async def test_a_stream_that_breaks_off_or_is_left_ends_its_span(collected):
    emulator = GeminiEmulator.make(answers={"x": "a long answer in more than one piece " * 9})
    emulator.faults.add(Fault(method="models.streamGenerateContent", status=503, after=1))
    async with emulator.client(telemetry=collected.telemetry()) as client:
        with pytest.raises(errors.StreamInterrupted):
            _ = [chunk async for chunk in client.stream_generate_content(MODEL, "x")]
        async with client.stream_generate_content(MODEL, "x") as left:
            await anext(left)
    broken, left_early = collected.spans
    assert (broken.attributes["error.type"], broken.status.status_code) == ("StreamInterrupted", StatusCode.ERROR)
    assert "error.type" not in left_early.attributes
    assert "gen_ai.response.finish_reasons" not in left_early.attributes


@pytest.mark.parametrize("service", ["gemini", "vertex"])
async def test_what_is_done_to_jobs_and_models_names_them(collected, service):
    emulator = GeminiEmulator.make(step_seconds=60.0)
    options = {"vertexai": True, "project": "my-project", "location": "us-central1", "bucket": "test-bucket"}
    base = "gemini-2.5-flash" if service == "vertex" else "models/gemini-1.0-pro-001"
    async with emulator.client(**(options if service == "vertex" else {})) as unseen:
        rows = [(str(n), str(n + 1)) for n in range(20)]
        done, running = [await unseen.tune(base, rows) for _ in range(2)]
        emulator.advance(30)
        await running.refresh()
    async with emulator.client(telemetry=collected.telemetry(), **(options if service == "vertex" else {})) as client:
        job = client.job(running.name)
        await job.refresh()
        await job.cancel()
        emulator.advance(36000)
        model = (await client.job(done.name)).name.partition("@")[0]  # all of its versions are deleted
        with contextlib.suppress(errors.BadRequest):  # Vertex AI deletes no model that is deployed
            await client.tuned_models.delete(model)
    cancelled, deleted = (collected.named(name)[0] for name in ("cancel_tuning_job", "delete_tuned_model"))
    assert cancelled.attributes["gcp.gemini.tuning.job.name"] == running.name
    assert deleted.attributes["gen_ai.request.model"] == model
    assert deleted.name == f"delete_tuned_model {model}"


async def test_a_stream_that_is_forgotten_ends_its_span_when_it_is_collected(collected):
    emulator = GeminiEmulator.make(answers={"x": "a long answer in more than one piece " * 9})
    async with emulator.client(telemetry=collected.telemetry()) as client:
        stream = client.stream_generate_content(MODEL, "x")
        await anext(stream)
        with pytest.warns(ResourceWarning, match="unclosed <StreamReply"):
            del stream
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
    assert len(collected.spans) == 1


async def test_looks_and_lists_have_no_span(collected):
    emulator = GeminiEmulator.make()
    async with emulator.client(telemetry=collected.telemetry()) as client:
        job = await client.tune("models/gemini-1.0-pro-001", [("1", "2"), ("3", "4")])
        await job.refresh()
        _ = [model async for model in client.tuned_models.list()]
        await client.count_tokens(MODEL, "x")
    assert [span.name for span in collected.spans if span.name != "finish_tuning_job"] == [
        "create_tuning_job",
        f"count_tokens {MODEL}",
    ]


class Broken(SpanProcessor):
    """A processor of the user's that fails wherever it is asked."""

    def __init__(self, when):
        self.when = when

    def on_start(self, span, parent_context=None):
        if self.when == "start":
            raise OSError("the disk is full")

    def on_end(self, span):
        if self.when == "end":
            raise OSError("the disk is full")


@pytest.mark.parametrize("when", ["start", "end"])
async def test_a_processor_that_fails_changes_nothing_but_the_log(collected, when, caplog):
    collected.traces.add_span_processor(Broken(when))
    emulator = GeminiEmulator.make(answers=lambda prompt: "yes")
    emulator.faults.add(Fault(method="models.generateContent", status=503))
    async with emulator.client(telemetry=collected.telemetry()) as client:
        assert (await client.generate_content(MODEL, "x")).text == "yes"
        assert "".join([chunk.text async for chunk in client.stream_generate_content(MODEL, "x")]) == "yes"
        await (await client.tune("models/gemini-1.0-pro-001", [("1", "2")] * 20))
        assert [result.text for result in await client.generate_many(MODEL, ["1", "2"])] == ["yes", "yes"]
    assert "telemetry stumbled in" in caplog.text


@pytest.mark.parametrize("what", ["asked", "answered"])
async def test_a_description_that_fails_leaves_no_span_open_and_no_call_uncounted(collected, monkeypatch, what, caplog):
    def fail(*_):
        raise RecursionError("nested too deep")

    monkeypatch.setattr(content, what, fail)
    emulator = GeminiEmulator.make(answers=lambda prompt: "yes")
    async with emulator.client(telemetry=collected.telemetry(content=True)) as client:
        assert (await client.generate_content(MODEL, "x")).text == "yes"
    assert [span.name for span in collected.spans] == [f"generate_content {MODEL}"]
    ((_, (count, _)),) = collected.metrics()["gen_ai.client.operation.duration"]
    assert count == 1
    assert "telemetry stumbled in" in caplog.text


async def test_what_cannot_be_read_of_a_reply_leaves_no_span_open(collected, monkeypatch):
    def fail(self, reply):
        raise RecursionError("nested too deep")

    monkeypatch.setattr(CallSpan, "_take", fail)
    async with GeminiEmulator.make(answers=lambda prompt: "yes").client(telemetry=collected.telemetry()) as client:
        assert (await client.generate_content(MODEL, "x")).text == "yes"
    assert [span.name for span in collected.spans] == [f"generate_content {MODEL}"]


def test_clients_and_batches_come_and_go_while_metrics_are_collected(collected, caplog):
    instruments, tracer = instruments_of(collected.meters, latest=False), collected.traces.get_tracer("x")
    over, interval = threading.Event(), sys.getswitchinterval()

    def come_and_go():
        while not over.is_set():
            _ = [JobLedger(tracer, instruments, "gcp.gemini") for _ in range(100)]

    thread = threading.Thread(target=come_and_go)
    sys.setswitchinterval(1e-6)
    try:
        thread.start()
        for _ in range(100):
            collected.metrics()
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert caplog.text == ""


async def test_on_vertex_a_base_model_has_its_bare_id_and_a_tuned_one_the_name_of_its_endpoint(collected):
    emulator = GeminiEmulator.make()
    options = {"vertexai": True, "project": "my-project", "location": "us-central1", "bucket": "test-bucket"}
    async with emulator.client(telemetry=collected.telemetry(), **options) as client:
        await client.generate_content("gemini-2.5-flash", "x")
        job = await client.tune("gemini-2.5-flash", [(str(n), str(n + 1)) for n in range(20)])
        await job
        await client.generate_content(job, "1")
    base, tuned = collected.named("generate_content")
    assert base.attributes["gen_ai.provider.name"] == "gcp.vertex_ai"
    assert base.attributes["gen_ai.request.model"] == "gemini-2.5-flash"
    assert tuned.attributes["gen_ai.request.model"] == job.endpoint
    assert tuned.name == f"generate_content {job.endpoint}"


async def test_the_address_is_that_of_the_host_to_which_the_call_goes(collected):
    answer = httpx.MockTransport(lambda request: httpx.Response(200, json={"candidates": []}))
    options = {"token": "t", "project": "my-project", "vertexai": True, "location": "europe-west4"}
    async with gemtune.Client(transport=answer, telemetry=collected.telemetry(), **options) as client:
        await client.generate_content("gemini-2.5-flash", "x")
    (span,) = collected.spans
    where = (span.attributes["server.address"], span.attributes["server.port"])
    assert where == ("europe-west4-aiplatform.googleapis.com", 443)


async def test_an_sdk_that_stops_halfway_does_not_stop_a_call(collected):
    emulator = GeminiEmulator.make()
    collected.traces.shutdown()
    collected.meters.shutdown()
    async with emulator.client(telemetry=collected.telemetry()) as client:
        assert (await client.generate_content(MODEL, "x", retry=ONCE)).text
