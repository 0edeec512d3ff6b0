"""Jobs and batches in OpenTelemetry: short spans with links between them, and metrics of what is under way."""

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from gemtune.emulator import Fault
from gemtune.errors import TuningFailed
from gemtune.testing import GeminiEmulator

MODEL = "gemini-3.7-flash"
BASE = "models/gemini-1.0-pro-001"
ROWS = [(str(number), str(number + 1)) for number in range(20)]
ITEMS = 1000


@pytest.mark.both_backends
async def test_the_end_of_a_job_is_a_span_linked_to_the_one_that_created_it(collected):
    emulator = GeminiEmulator.make()
    async with emulator.client(telemetry=collected.telemetry()) as client:
        job = await client.tune(BASE, ROWS, tuned_model_id="lxiv")
        await job
    created, finished = collected.spans
    assert (created.name, created.kind) == ("create_tuning_job", SpanKind.CLIENT)
    assert dict(created.attributes) == {
        "gen_ai.operation.name": "create_tuning_job",
        "gen_ai.provider.name": "gcp.gemini",
        "gcp.gemini.tuning.job.name": "tunedModels/lxiv",
        "server.address": "127.0.0.1",
        "server.port": 80,
    }
    assert (finished.name, finished.kind) == ("finish_tuning_job", SpanKind.INTERNAL)
    assert [link.context for link in finished.links] == [created.context]
    assert finished.context.trace_id != created.context.trace_id
    said = dict(finished.attributes)
    assert said.pop("gcp.gemini.tuning.loss") == pytest.approx(job.snapshots[-1].mean_loss)
    assert said == {
        "gen_ai.operation.name": "finish_tuning_job",
        "gen_ai.provider.name": "gcp.gemini",
        "gcp.gemini.tuning.job.name": "tunedModels/lxiv",
        "gcp.gemini.tuning.job.state": "ACTIVE",
        "gcp.gemini.tuning.job.duration": 0.0,
        "gcp.gemini.tuning.base_model": BASE,
        "gcp.gemini.tuning.completed_steps": len(job.snapshots),
    }


async def test_the_metrics_of_jobs_say_state_step_loss_and_once_how_long_each_took(collected):
    emulator = GeminiEmulator.make(step_seconds=10.0)
    async with emulator.client(telemetry=collected.telemetry()) as client:
        job = await client.tune(BASE, ROWS, tuned_model_id="lxiv")
        emulator.advance(35)
        await job.refresh()
        about = {"gen_ai.provider.name": "gcp.gemini", "gcp.gemini.tuning.job.name": "tunedModels/lxiv"}
        about["gcp.gemini.tuning.base_model"] = BASE
        found = collected.metrics()
        assert found["gcp.gemini.tuning.job.state"] == [({**about, "gcp.gemini.tuning.job.state": "CREATING"}, 1)]
        assert found["gcp.gemini.tuning.step"] == [(about, 3)]
        ((attributes, loss),) = found["gcp.gemini.tuning.loss"]
        assert attributes == {**about, "gcp.gemini.tuning.dataset": "train"}
        assert loss == pytest.approx(job.snapshots[-1].mean_loss)
        assert "gcp.gemini.tuning.job.duration" not in found
        emulator.advance(3600)
        async with client.watch([job]) as watcher:  # a watcher and a handle see the same end
            await watcher.wait()
        assert [event.kind async for event in job.events()][-1] == "succeeded"
    found = collected.metrics()
    ((attributes, (count, seconds)),) = found["gcp.gemini.tuning.job.duration"]
    assert (attributes["gcp.gemini.tuning.job.state"], count) == ("ACTIVE", 1)
    assert seconds == pytest.approx(job.elapsed, abs=1)
    assert len(collected.named("finish_tuning_job")) == 1


async def test_a_failed_job_is_an_error_with_its_code_and_one_of_yesterday_is_not_counted(collected):
    emulator = GeminiEmulator.make()
    emulator.faults.add(Fault(method="tunedModels.create", job={"fail_at_step": 1}))
    async with emulator.client() as unseen, emulator.client(telemetry=collected.telemetry()) as client:
        old = await unseen.tune(BASE, ROWS)
        with pytest.raises(TuningFailed):
            await client.job(old.name)
        assert collected.spans == []
        emulator.faults.add(Fault(method="tunedModels.create", job={"fail_at_step": 1}))
        with pytest.raises(TuningFailed) as failed:
            await (await client.tune(BASE, ROWS))
    span = collected.named("finish_tuning_job")[0]
    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, f"rpc.{failed.value.code}")
    assert sum(count for _, (count, _) in collected.metrics()["gcp.gemini.tuning.job.duration"]) == 1


async def test_on_vertex_a_job_gets_its_name_from_the_service_and_measures_both_losses(collected):
    emulator = GeminiEmulator.make(step_seconds=0.0)
    options = {"vertexai": True, "project": "my-project", "location": "us-central1", "bucket": "test-bucket"}
    async with emulator.client(telemetry=collected.telemetry(), **options) as client:
        job = await client.tune("gemini-2.5-flash", ROWS, validation_data=ROWS[:5])
        await job
    (created,), (finished,) = collected.named("create_tuning_job"), collected.named("finish_tuning_job")
    assert created.attributes["gen_ai.provider.name"] == "gcp.vertex_ai"
    assert created.attributes["gcp.gemini.tuning.job.name"] == job.name
    assert [link.context for link in finished.links] == [created.context]
    losses = {row["gcp.gemini.tuning.dataset"] for row, _ in collected.metrics()["gcp.gemini.tuning.loss"]}
    assert losses == {"train", "eval"}


async def test_a_job_that_a_watcher_has_discarded_has_no_state_until_it_is_added_again(collected):
    state = "gcp.gemini.tuning.job.state"
    emulator = GeminiEmulator.make(step_seconds=10.0)
    async with emulator.client() as other:
        name = (await other.tune(BASE, ROWS, tuned_model_id="lxiv")).name
    async with emulator.client(telemetry=collected.telemetry()) as client, client.watch(name) as watcher:
        events = watcher.subscribe()
        while state not in collected.metrics():
            await anext(events)
        watcher.discard(name)
        assert state not in collected.metrics()
        watcher.add(name)
        emulator.advance(15)
        while state not in collected.metrics():
            await anext(events)


async def test_a_batch_of_the_service_is_not_reported_as_tuning(collected):
    emulator = GeminiEmulator.make(batch_seconds=100.0)
    async with emulator.client(telemetry=collected.telemetry()) as client:
        job = await client.batches.create(MODEL, ["one", "two"])
        await job.refresh()
        assert [name for name in collected.metrics() if "tuning" in name] == []
        emulator.advance(3600)
        async with client.watch(job) as watcher:
            await watcher.wait()
        await job
    assert [span for span in collected.spans if "tuning" in span.name] == []


async def test_a_job_that_is_created_again_under_its_name_is_another_job(collected):
    emulator = GeminiEmulator.make()
    async with emulator.client(telemetry=collected.telemetry()) as client:
        job = await client.tune(BASE, ROWS, tuned_model_id="lxiv")
        await job
        await client.tuned_models.delete(job.name)
        await (await client.tune(BASE, ROWS, tuned_model_id="lxiv"))
    created, finished = collected.named("create_tuning_job"), collected.named("finish_tuning_job")
    assert len(created) == 2
    assert [[link.context for link in span.links] for span in finished] == [[span.context] for span in created]
    ((_, (count, _)),) = collected.metrics()["gcp.gemini.tuning.job.duration"]
    assert count == 2


@pytest.mark.both_backends
async def test_a_thousand_items_are_a_thousand_spans_below_the_users_span_each_linked_to_its_run(collected):
    emulator = GeminiEmulator.make(answers=lambda prompt: "yes")
    tracer = collected.traces.get_tracer("the user's")
    async with emulator.client(telemetry=collected.telemetry()) as client:
        with tracer.start_as_current_span("nightly") as nightly:
            async with client.batch(MODEL, map(str, range(ITEMS)), concurrency=50) as results:
                with tracer.start_as_current_span("consumer"):
                    keys = [result.index async for result in results]
    assert sorted(keys) == list(range(ITEMS))
    (start,), (end,) = collected.named("start_batch"), collected.named("finish_batch")
    items = collected.named("generate_content")
    assert sorted(item.attributes["gcp.gemini.batch.item.index"] for item in items) == list(range(ITEMS))
    assert {item.attributes["gcp.gemini.batch.item.attempt"] for item in items} == {1}
    assert {item.parent.span_id for item in items} == {nightly.get_span_context().span_id}
    assert {link.context.span_id for item in items for link in item.links} == {start.context.span_id}
    assert [link.context for link in end.links] == [start.context]
    said = dict(end.attributes)
    assert said.pop("gcp.gemini.batch.duration") > 0
    assert said == {
        "gen_ai.operation.name": "finish_batch",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": MODEL,
        "gcp.gemini.batch.done": ITEMS,
        "gcp.gemini.batch.failed": 0,
        "gcp.gemini.batch.skipped": 0,
    }
    found = collected.metrics()
    ((attributes, count),) = found["gcp.gemini.batch.items"]
    assert (attributes["gcp.gemini.batch.item.outcome"], count) == ("done", ITEMS)
    ((_, (count, _)),) = found["gen_ai.client.operation.duration"]
    assert count == ITEMS


async def test_what_a_batch_has_under_way_is_read_when_metrics_are_collected(collected):
    emulator, seen = GeminiEmulator.make(answers=lambda prompt: "yes"), []

    def request(method, target, body):
        seen.append(collected.metrics().get("gcp.gemini.batch.in_flight"))

    async with emulator.client(telemetry=collected.telemetry(), on_request=request) as client:
        await client.generate_many(MODEL, ["1", "2", "3"], concurrency=1)
    about = {"gen_ai.provider.name": "gcp.gemini", "gen_ai.request.model": MODEL}
    assert seen == [[(about, 1)]] * 3
    assert "gcp.gemini.batch.in_flight" not in collected.metrics()  # the run is over


async def test_an_item_that_is_pushed_back_is_asked_in_a_span_of_its_own(collected):
    emulator = GeminiEmulator.make(answers=lambda prompt: "yes")
    emulator.faults.add(Fault(method="models.generateContent", status=503))
    async with emulator.client(telemetry=collected.telemetry()) as client:
        await client.generate_many(MODEL, ["1"])
    first, second = collected.named("generate_content")
    assert (first.attributes["error.type"], first.attributes["gcp.gemini.batch.item.attempt"]) == ("Unavailable", 1)
    assert second.attributes["gcp.gemini.batch.item.attempt"] == 2
    assert first.links[0].context == second.links[0].context


async def test_items_that_fail_are_counted_by_the_class_of_their_error(collected):
    emulator = GeminiEmulator.make(answers=lambda prompt: "yes")
    async with emulator.client(telemetry=collected.telemetry()) as client:
        await client.generate_many(MODEL, ["1", 5, "3"])
    found = collected.metrics()["gcp.gemini.batch.items"]
    outcomes = {(row["gcp.gemini.batch.item.outcome"], row.get("error.type")): count for row, count in found}
    assert outcomes == {("done", None): 2, ("failed", "InvalidInput"): 1}


async def test_a_call_beside_a_batch_is_not_linked_to_it(collected):
    emulator = GeminiEmulator.make()
    observed = emulator.client(telemetry=collected.telemetry())
    async with observed as client, client.batch(MODEL, ["1"]) as results:
        async for _ in results:
            await client.generate_content("gemini-1.5-flash-001-tuning", "x")
    (call,) = [span for span in collected.spans if span.name == "generate_content gemini-1.5-flash-001-tuning"]
    assert call.links == ()
    assert "gcp.gemini.batch.item.index" not in call.attributes
    assert trace.get_current_span() is trace.INVALID_SPAN
