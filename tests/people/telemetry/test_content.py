"""Prompts, answers and secrets: never exported unless somebody asked for content, and secrets not even then."""

import json
import logging
from collections.abc import Iterator, Mapping

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from gemtune import errors
from gemtune.emulator import Fault
from gemtune.telemetry import Telemetry
from gemtune.testing import GeminiEmulator

KEY, PROMPT, ANSWER, FRAME = (
    "AIzaSy-the-key-of-this-test",
    "a confidential question",
    "a confidential answer",
    "be terse",
)
MODEL = "gemini-3.7-flash"


def emulator_of() -> GeminiEmulator:
    emulator = GeminiEmulator.make(answers=lambda prompt: ANSWER)
    emulator.faults.add(Fault(method="models.generateContent", status=503, message=f"cannot answer {PROMPT!r}"))
    return emulator


async def test_nothing_of_a_prompt_an_answer_or_the_key_is_exported_or_logged(collected, caplog):
    caplog.set_level(logging.DEBUG, logger="gemtune")
    emulator = emulator_of()
    refusal = Fault(method="models.generateContent", status=400, message=f"bad prompt: {PROMPT} {KEY}")
    async with emulator.client(api_key=KEY, telemetry=collected.telemetry()) as client:
        emulator.faults.add(Fault(method="models.countTokens", status=400, message=f"bad prompt: {PROMPT}"))
        with pytest.raises(errors.BadRequest):
            await client.count_tokens(MODEL, PROMPT)
        await client.generate_content(MODEL, PROMPT, system_instruction=FRAME)
        stream = client.stream_generate_content(MODEL, PROMPT)
        _ = [chunk async for chunk in stream]
        job = await client.tune("models/gemini-1.0-pro-001", [(PROMPT, ANSWER)] * 20)
        await job
        await client.generate_many(MODEL, {PROMPT: PROMPT, "second": PROMPT})
        emulator.faults.add(refusal)
        with pytest.raises(errors.BadRequest):
            await client.generate_content(MODEL, PROMPT)
    records = "".join(repr(vars(record)) for record in caplog.records)
    exported = collected.everything()
    assert len(collected.spans) >= 10
    assert "gemini-3.7-flash" in records
    for secret in (KEY, "confidential", FRAME):
        assert secret not in exported
        assert secret not in records


@pytest.mark.parametrize("how", ["argument", "variable"])
async def test_content_is_exported_to_those_who_ask_in_the_form_of_the_convention(collected, monkeypatch, how):
    if how == "variable":
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    emulator = GeminiEmulator.make(answers=lambda prompt: ANSWER)
    telemetry = collected.telemetry(**({"content": True} if how == "argument" else {}))
    async with emulator.client(api_key=KEY, telemetry=telemetry) as client:
        await client.generate_content(MODEL, PROMPT, system_instruction=FRAME)
        _ = [chunk async for chunk in client.stream_generate_content(MODEL, PROMPT)]
    for span in collected.spans:
        said = {name: json.loads(span.attributes[f"gen_ai.{name}"]) for name in ("input.messages", "output.messages")}
        assert said == {
            "input.messages": [{"role": "user", "parts": [{"type": "text", "content": PROMPT}]}],
            "output.messages": [
                {"role": "assistant", "parts": [{"type": "text", "content": ANSWER}], "finish_reason": "stop"}
            ],
        }
    assert json.loads(collected.spans[0].attributes["gen_ai.system_instructions"]) == [
        {"type": "text", "content": FRAME}
    ]
    assert KEY not in collected.everything()


async def test_the_argument_outweighs_the_variable(collected, monkeypatch):
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    emulator = GeminiEmulator.make()
    async with emulator.client(telemetry=collected.telemetry(content=False)) as client:
        await client.generate_content(MODEL, PROMPT)
    assert "confidential" not in collected.everything()


async def test_half_a_surrogate_pair_is_exported_as_the_escape_that_it_was_read_from(collected):
    emulator = GeminiEmulator.make(answers=lambda prompt: "half \ud83d")
    async with emulator.client(telemetry=collected.telemetry(content=True)) as client:
        await client.generate_content(MODEL, "x")
        await client.generate_content(MODEL, "é")
    for span in collected.spans:
        for value in span.attributes.values():
            if isinstance(value, str):
                assert value.encode().decode() == value
        assert json.loads(span.attributes["gen_ai.output.messages"])[0]["parts"][0]["content"] == "half \ud83d"
    assert "é" in collected.spans[1].attributes["gen_ai.input.messages"]  # as it is, wherever that can be


HALF = "half \ud83d"
REPLY = {
    "candidates": [{"content": {"parts": [{"text": HALF}]}, "finishReason": HALF}],
    "promptFeedback": {"blockReason": HALF},
    "usageMetadata": {"promptTokenCount": 1, "promptTokensDetails": [{"modality": HALF, "tokenCount": 1}]},
    "modelVersion": HALF,
    "responseId": HALF,
}
REFUSAL = {
    "error": {
        "code": 503,
        "status": "UNAVAILABLE",
        "message": HALF,
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": HALF, "domain": HALF}],
    }
}
JOB = {"name": "tunedModels/x", "displayName": HALF, "baseModel": f"models/{HALF}"}


@pytest.mark.parametrize("latest", [False, True])
async def test_no_string_of_a_reply_is_exported_as_what_no_exporter_can_send(collected, monkeypatch, latest, caplog):
    caplog.set_level(logging.DEBUG, logger="gemtune")
    if latest:
        monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    emulator = GeminiEmulator.make()
    generate, get = "models.generateContent", "tunedModels.get"
    emulator.faults.add(
        Fault(method=generate, status=503, body=json.dumps(REFUSAL)),
        Fault(method=generate, status=200, body=json.dumps(REPLY)),
        Fault(method=get, status=200, body=json.dumps({**JOB, "state": "CREATING"})),
        Fault(method=get, status=200, body=json.dumps({**JOB, "state": HALF})),
        Fault(method=get, status=200, body=json.dumps({**JOB, "state": "ACTIVE"})),
    )
    async with emulator.client(telemetry=collected.telemetry(content=True)) as client:
        await client.generate_content(MODEL, "x")
        job = client.job("tunedModels/x")
        await job.refresh()
        metrics = [collected.metrics()]
        await job.refresh()
        await job.refresh()
    metrics.append(collected.metrics())
    assert len(collected.named("finish_tuning_job")) == 1
    points = [attributes for each in metrics for rows in each.values() for attributes, _ in rows]
    spans = [(span.name, span.attributes, *(event.attributes for event in span.events)) for span in collected.spans]
    said = list(strings([spans, points]))
    assert sum("\\ud83d" in each for each in said) >= 9
    assert [each for each in said if each != each.encode(errors="replace").decode()] == []
    logged = list(strings([[record.getMessage(), vars(record)] for record in caplog.records]))
    assert sum("\\ud83d" in each for each in logged) >= 6
    assert [each for each in logged if each != each.encode(errors="replace").decode()] == []


def strings(value: object) -> Iterator[str]:
    """All strings in something, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from strings([*value, *value.values()])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from strings(each)


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("content", "false", "True, False or None, not 'false'"),
        ("content", 1, "True, False or None, not 1"),
        ("tracer_provider", TracerProvider, "a tracer provider, not the class TracerProvider"),
        ("tracer_provider", MeterProvider(), "a tracer provider, not MeterProvider"),
        ("tracer_provider", "console", "a tracer provider, not 'console'"),
        ("meter_provider", MeterProvider, "a meter provider, not the class MeterProvider"),
        ("meter_provider", TracerProvider(), "a meter provider, not TracerProvider"),
    ],
)
def test_settings_of_another_type_are_refused_by_their_name(field, value, wanted):
    with pytest.raises(errors.SettingsError, match=f"^{field} must be {wanted}$") as refused:
        Telemetry(**{field: value})
    assert refused.value.field == field
