"""Never run, only type-checked: right calls pass, and a wrong one is an error.

Every ``type: ignore`` here is an assertion, since mypy complains about one that it does not need.
"""

import csv
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal, assert_type

import gemtune
from gemtune import JobLike, ModelLike, Prompts, TrainingDataLike, datasets, events, telemetry, types
from gemtune.types import vertex


async def right(client: gemtune.Client, model: gemtune.TunedModel, base: types.Model, job: gemtune.TuningJob) -> None:
    models: list[ModelLike] = ["tunedModels/x", model, base, job]
    for each in models:
        await client.generate_content(each, "hi")
        client.stream_generate_content(each, ["hi", gemtune.Part(text="there")])
        client.batch(each, ["hi"])
    operation = await client.operations.get("tunedModels/x/operations/y")
    jobs: list[JobLike] = ["x", model, job, operation]
    watcher = client.watch(jobs)
    client.watch(job)
    watcher.add(*jobs)
    watcher.add([job, "x"])
    client.job(operation)
    await client.tuned_models.get(job)
    await client.permissions.create(model, role="READER", email_address="a@b.c")


async def right_on_vertex(
    client: gemtune.Client, made: vertex.VertexTuningJob, endpoint: vertex.VertexEndpoint
) -> None:
    client.job(made)
    client.watch([made, made.name])
    assert made.tuned_model
    models: list[ModelLike] = [endpoint, made.tuned_model, made.tuned_model.checkpoints[0]]
    for each in models:
        await client.generate_content(each, "hi")
    await client.tune(vertex.PreTunedModel(tuned_model_name="1", checkpoint_id="2"), "gs://bucket/train.jsonl")
    await client.tune(
        "gemini-2.5-flash", "gs://bucket/train.jsonl", validation_data=Path("validation.jsonl"), method="preference",
        labels={"team": "a"}, checkpoints="all", service_account="me@my.example", kms_key="k", bucket="b-1",
        queue=True, hyperparameters=gemtune.Hyperparameters(epoch_count=2, adapter_size=4, beta=0.1),
    )  # fmt: skip
    gemtune.Client(vertexai=True, project="my-project", location="europe-west4", bucket="my-bucket")
    assert_type(client.settings.service, Literal["gemini", "vertex"])
    await client.tuning_jobs.get(made)
    await client.endpoints.get(endpoint)
    await client.tuned_models.set_default_checkpoint(made.tuned_model, "2")


async def right_data(client: gemtune.Client, frame: Any, rows: list[dict[str, str]]) -> None:
    pairs = [("1", "2"), ("3", "4")]
    given: list[TrainingDataLike] = ["train.csv", Path("train.csv"), frame]
    given.append(io.StringIO("a,b"))
    given.append(io.BytesIO(b"a,b"))
    given.append(pairs)
    given.append(pair for pair in pairs)
    given.append(zip(["1"], ["2"], strict=True))
    given.append(rows)
    given.append({"input": ["1"], "output": ["2"]})
    given.append([["1", "2"], ["3", "4"]])
    given.append([gemtune.TuningExample(text_input="1", output="2")])
    given.append(types.TuningExamples(examples=[gemtune.TuningExample(text_input="1", output="2")]))
    given.append(types.TrainingData())
    given.append(csv.reader(io.StringIO()))
    given.append(csv.DictReader(io.StringIO()))
    given.append(datasets.read(pairs))
    for data in given:
        await client.tune("models/x", data)
        datasets.read(data)


async def right_prompts(client: gemtune.Client, frame: Any, rows: list[dict[str, object]]) -> None:
    async def endless() -> AsyncIterator[tuple[int, str]]:
        yield 1, "hi"

    def some() -> Iterator[str]:
        yield "hi"

    request = types.GenerateContentRequest(contents=types.to_contents("hi"))
    prompts: list[Prompts] = [frame["prompt"]]
    prompts.append(["hi", gemtune.Part(text="hi"), ["hi", gemtune.Part(text="there")]])
    prompts.append([request])
    prompts.append(rows)
    prompts.append([("a", "hi"), (1, request)])
    prompts.append({"a": "hi"})
    prompts.append({1: "hi"})
    prompts.append(zip([1], ["hi"], strict=True))
    prompts.append(some())
    prompts.append(endless())
    for each in prompts:
        client.batch("models/x", each, concurrency=8, system_instruction="short", accept={"STOP"})
        await client.generate_many("models/x", each, journal=Path("a.jsonl"))


async def right_telemetry(job: gemtune.TuningJob, watcher: gemtune.Watcher) -> None:
    gemtune.Client(telemetry=False)
    gemtune.Client(telemetry=telemetry.Telemetry(content=True))

    async def later(event: events.Event) -> None:
        assert_type(telemetry.measured(event), dict[str, float])

    with telemetry.TensorBoard("runs") as board:
        board.write(job)
        await telemetry.forward(watcher, board, print, later)
        await telemetry.forward(watcher.subscribe(), board)
        await telemetry.forward(job, board)
        await telemetry.forward(job.events(), board)
    await telemetry.forward("tunedModels/x", print)  # type: ignore[arg-type]
    gemtune.Client(telemetry="yes")  # type: ignore[arg-type]


async def wrong(client: gemtune.Client, path: Path, prompt: str) -> None:
    await client.generate_content(None, "hi")  # type: ignore[arg-type]
    await client.generate_content(path, "hi")  # type: ignore[arg-type]
    await client.generate_content("models/x", 5)  # type: ignore[arg-type]
    await client.generate_content("models/x", "hi", temperature=0)  # type: ignore[call-arg]
    client.stream_generate_content(5, "hi")  # type: ignore[arg-type]
    await client.count_tokens(5, "hi")  # type: ignore[arg-type]
    await client.models.get(5)  # type: ignore[arg-type]
    await client.tuned_models.get(path)  # type: ignore[arg-type]
    await client.operations.get(5)  # type: ignore[arg-type]
    await client.permissions.get(5)  # type: ignore[arg-type]
    await client.tuning_jobs.get(5)  # type: ignore[arg-type]
    await client.endpoints.get(5)  # type: ignore[arg-type]


async def wrong_jobs(client: gemtune.Client, watcher: gemtune.Watcher, path: Path) -> None:
    client.job(5)  # type: ignore[call-overload]
    client.job(types.TuningSnapshot())  # type: ignore[call-overload]
    client.job(path)  # type: ignore[call-overload]
    client.watch([5])  # type: ignore[list-item]
    client.watch(5)  # type: ignore[arg-type]
    watcher.add(5)  # type: ignore[arg-type]
    watcher.discard(["x"])  # type: ignore[arg-type]
    watcher.as_completed(None)  # type: ignore[arg-type]
    await watcher.wait(5)  # type: ignore[arg-type]


async def wrong_data(client: gemtune.Client) -> None:
    await client.tune(None, [("1", "2")])  # type: ignore[arg-type]
    await client.tune("models/x", 5)  # type: ignore[arg-type]
    await client.tune("models/x", None)  # type: ignore[arg-type]
    await client.tune("models/x", b"a,b")  # type: ignore[arg-type]
    await client.tune("models/x", ["1", "2"])  # type: ignore[list-item]
    await client.tune("models/x", [1, 2])  # type: ignore[list-item]
    await client.tune("models/x", [("1", "2")], if_exists="keep")  # type: ignore[arg-type]
    await client.tune("models/x", [("1", "2")], epochs=3)  # type: ignore[call-arg]
    datasets.read(5)  # type: ignore[arg-type]


async def wrong_on_vertex(client: gemtune.Client) -> None:
    gemtune.Client(vertexai="yes")  # type: ignore[arg-type]
    gemtune.Client(location=5)  # type: ignore[arg-type]
    await client.tune("x", "gs://b/x.jsonl", method="reinforcement")  # type: ignore[arg-type]
    await client.tune("x", "gs://b/x.jsonl", checkpoints="some")  # type: ignore[arg-type]
    await client.tune("x", "gs://b/x.jsonl", validation_data=5)  # type: ignore[arg-type]
    await client.tune("x", "gs://b/x.jsonl", labels=["a"])  # type: ignore[arg-type]


async def wrong_prompts(client: gemtune.Client, path: Path) -> None:
    client.batch("models/x", 5)  # type: ignore[arg-type]
    client.batch("models/x", path)  # type: ignore[arg-type]
    client.batch("models/x", [1, 2])  # type: ignore[list-item]
    client.batch("models/x", [(1.5, "hi")])  # type: ignore[list-item]
    client.batch(path, ["hi"])  # type: ignore[arg-type]
    client.batch("models/x", ["hi"], concurency=8)  # type: ignore[call-arg]
    client.batch("models/x", ["hi"], order="random")  # type: ignore[arg-type]
    client.batch("models/x", ["hi"], rpm="many")  # type: ignore[arg-type]
    await client.generate_many("models/x", 5)  # type: ignore[arg-type]
    await client.generate_many("models/x", ["hi"], journal=5)  # type: ignore[arg-type]
