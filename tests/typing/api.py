"""Never run, only type-checked: what a user's editor knows of the public names."""

from typing import assert_type

import gemtune
from gemtune import batch, errors, evaluation, events, metrics, sweep, types
from gemtune.sweep.events import PointStopped


async def tune(client: gemtune.Client) -> None:
    job = await client.tune("models/gemini-1.0-pro-001", [("1", "2")], if_exists="error")
    assert_type(job, gemtune.TuningJob)
    assert_type(await job, gemtune.TunedModel)
    assert_type(await job.wait(timeout=5), gemtune.TunedModel)
    assert_type(job.state, events.JobState)
    assert_type(job.progress, gemtune.TuningProgress)
    assert_type(await job.show(), gemtune.TunedModel)
    assert_type(await client.watch(job).show(every=1), gemtune.WaitResult)
    assert_type(await client.batch(job, ["1"]).show(), batch.BatchResults)
    assert_type(await client.generate_many(job, ["1"]), batch.BatchResults)
    assert_type((await client.generate_many(job, ["1"]))[0], gemtune.BatchResult)
    assert_type(await job.refresh(), events.JobState)
    assert_type(await job.cancel(), None)
    assert_type(client.job(job), gemtune.TuningJob)
    async for event in job.events():
        assert_type(event, events.Event)
        match event:
            case events.Snapshot(step=step, mean_loss=loss):
                assert_type(step, int)
                assert_type(loss, float)
            case events.Succeeded(model=model):
                assert_type(model, gemtune.TunedModel)
            case _:
                pass


async def tell_events_apart_by_their_kind(client: gemtune.Client, job: gemtune.TuningJob) -> None:
    async for event in job.events():
        if event.kind == "snapshot":
            assert_type(event, events.Snapshot)
        elif event.kind in {"succeeded", "failed"}:
            assert_type(event.job, str)
    async with client.sweep(job, "rows.csv", space={"epoch_count": [1, 2]}) as run:
        async for told in run:
            if told.kind == "point_stopped":
                assert_type(told, PointStopped)
            elif told.kind == "point_progress" and told.event.kind == "snapshot":
                assert_type(told.event.mean_loss, float)


async def sweep_over(client: gemtune.Client) -> None:
    run = client.sweep("gemini-2.5-flash", "rows.csv", space={"epoch_count": (1, 8)}, max_jobs=4, stop=["forecast"])
    client.sweep("x", "y", space={"epoch_count": [1]}, metrics={"right": "labels"}, method="preference")
    assert_type(run, sweep.Sweep)
    assert_type(await run.plan(), sweep.SweepPlan)
    assert_type(await run.run(), sweep.SweepPicture)
    assert_type(run.statistics(), sweep.SweepStatistics)
    assert_type(run.best, sweep.PointPicture | None)
    assert_type(run.best_model, gemtune.TuningJob | None)
    assert_type(run.evaluation, evaluation.Evaluation | None)


async def what_is_wrong_is_seen(client: gemtune.Client) -> None:
    run = client.sweep("x", "y", space={"epoch_count": [1]})
    await client.sweep("x", "y", space={"epoch_count": [1]})  # type: ignore[misc]
    client.sweep("x", "y", spaces={"epoch_count": [1]})  # type: ignore[call-arg]
    client.sweep("x", "y", space={"epoch_count": [1]}, max_jobs="3")  # type: ignore[arg-type]
    client.sweep("x", "y", space={"epoch_count": [1]}, validation_data=[])  # type: ignore[call-arg]
    client.sweep("x", "y", space=5)  # type: ignore[arg-type]
    run.best.point  # type: ignore[union-attr]  # noqa: B018
    for _ in run:  # type: ignore[attr-defined]
        pass
    client.evaluate("x", "y")  # type: ignore[unused-coroutine]
    await client.evaluate("x", "y", metric="labels")  # type: ignore[call-arg]
    await client.evaluate("x", "y", metrics=lambda answer: 1)  # type: ignore[arg-type]
    await client.evaluate("x", "y", limit="3")  # type: ignore[arg-type]


async def manage(client: gemtune.Client) -> None:
    assert_type(await client.tuned_models.get("x"), gemtune.TunedModel)
    assert_type(await client.tuned_models.update("x", temperature=None), gemtune.TunedModel)
    assert_type(await client.tuned_models.delete("x"), None)
    async for model in client.tuned_models.list(page_size=5):
        assert_type(model, gemtune.TunedModel)
    async for page in client.tuned_models.list().pages():
        assert_type(page.items, tuple[gemtune.TunedModel, ...])
    assert_type(await client.models.list().all(), list[types.Model])
    assert_type(await client.operations.wait("tunedModels/x/operations/y"), types.Operation)
    permission = await client.tuned_models.permissions.create("x", role="READER", email_address="a@b.c")
    assert_type(permission, types.Permission)


async def compare_models(client: gemtune.Client, job: gemtune.TuningJob) -> None:
    def length(answer: str, row: metrics.HeldOutRow) -> int:
        return len(answer)

    async def asked(answer: str, row: metrics.HeldOutRow) -> bool | None:
        return answer == row.expected

    found = await client.evaluate({"base": "gemini-3.7-flash", "tuned": job}, [("1", "2")], concurrency=8, budget=1.0)
    assert_type(found, evaluation.Evaluation)
    assert_type(found.compare("tuned"), metrics.Comparison)
    assert_type(found["tuned"], evaluation.EvaluatedModel)
    await client.evaluate([job, "x"], "rows.csv", metrics=["labels", length, asked, metrics.judge(job)])
    await client.evaluate(job, ["a question"], metrics=asked, on_progress=print)
    assert_type(await found.score({"long": length}), evaluation.Evaluation)


async def run_batches(client: gemtune.Client) -> None:
    job = await client.batches.create("gemini-3.7-flash", ["one", "two"])
    assert_type(job, gemtune.BatchJob)
    assert_type(await job, types.GenerateContentBatch)
    assert_type(await job.wait(timeout=5), types.GenerateContentBatch)
    assert_type(job.state, types.BatchState)
    assert_type(job.counts, types.BatchCounts)
    assert_type(client.job(job), gemtune.BatchJob)
    assert_type(client.job(await client.batches.get("x")), gemtune.BatchJob)
    assert_type(client.batches.job("x"), gemtune.BatchJob)
    assert_type(client.watch([job, "tunedModels/x"]), gemtune.Watcher)
    async for result in job.results():
        assert_type(result, gemtune.BatchResult)
    async for event in job.events():
        match event:
            case events.Completed(batch=batch):
                assert_type(batch, types.GenerateContentBatch)
            case events.Progress(counts=counts):
                assert_type(counts, types.BatchCounts | None)
            case _:
                pass


async def use(client: gemtune.Client) -> None:
    reply = await client.generate_content("gemini-3.7-flash", ["hi", gemtune.Part(text="there")])
    assert_type(reply, types.GenerateContentResponse)
    assert_type(reply.text, str)
    assert_type(reply.text_or_none, str | None)
    async for piece in client.stream_generate_content("gemini-3.7-flash", "hi"):
        assert_type(piece, types.GenerateContentResponse)
    assert_type((await client.count_tokens("gemini-3.7-flash", "hi")).total_tokens, int)


def fail(error: errors.CallError) -> None:
    assert_type(error.status, int | None)
    assert_type(error.retry_after, float | None)
    assert_type(error.attempts, int)
