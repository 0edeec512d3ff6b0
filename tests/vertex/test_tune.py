"""``client.tune`` and what follows it on Vertex AI, over the emulator; every request follows the documents."""

import anyio
import httpx
import pytest

import gemtune
from gemtune import errors, events
from gemtune.looks.service import Ask
from gemtune.types.training import Checkpoint
from gemtune.types.vertex import PreTunedModel, VertexTuningJob
from vertex.service import BASE, TRAIN, VALIDATION, make_vertex, put
from world import collect, make_app

pytestmark = pytest.mark.usefixtures("virtual_time")


async def test_a_job_is_there_at_once_and_awaiting_it_gives_a_model_that_can_be_asked():
    _, client = make_vertex()
    async with client:
        job = await client.tune(BASE, TRAIN, validation_data=VALIDATION, display_name="my job")
        assert job.name.rpartition("/")[0].endswith("/locations/us-central1/tuningJobs")
        assert (job.state, job.service_state) == ("CREATING", "JOB_STATE_PENDING")
        assert (job.display_name, job.base_model) == ("my job", BASE)
        model = await job
        assert (job.state, job.service_state, job.endpoint) == ("ACTIVE", "JOB_STATE_SUCCEEDED", model.endpoint)
        assert model.name.rpartition("@")[0].startswith(job.name.partition("/tuningJobs")[0] + "/models/")
        assert [each.epoch for each in model.checkpoints] == [1, 2, 3, 4, 5]
        for asked in (model, job, model.endpoint, model.checkpoints[0], model.endpoint.partition("us-central1/")[2]):
            assert (await client.generate_content(asked, "seven")).text.startswith("eight")
        assert (await client.count_tokens(job, "seven")).total_tokens > 0
        assert job.data_stats.examples == 9


async def test_the_story_of_a_job_says_what_it_waits_for_and_tells_its_end_once():
    _, client = make_vertex()
    async with client:
        job = await client.tune(BASE, TRAIN)
        story = [event async for event in job.events()]
    assert isinstance(story[0], events.Added)
    assert isinstance(story[-1], events.Succeeded)
    reasons = [event.reason for event in story if isinstance(event, events.StateChanged) and event.reason]
    assert reasons == [
        "TUNING_JOB_STATE_PROCESSING_DATASET", "TUNING_JOB_STATE_TUNING", "TUNING_JOB_STATE_POST_PROCESSING",
    ]  # fmt: skip


async def test_the_job_that_is_sent_is_exactly_what_was_asked_for():
    bodies = []
    _, client = make_vertex(on_request=lambda verb, target, body: bodies.append((verb, target, body)))
    async with client:
        job = await client.tune(
            BASE,
            TRAIN,
            validation_data=VALIDATION,
            display_name="my job",
            description="d",
            hyperparameters=gemtune.Hyperparameters(epoch_count=2, learning_rate_multiplier=0.5, adapter_size=4),
            labels={"team": "a"},
            service_account="tuner@my-project.iam.gserviceaccount.com",
            checkpoints="last",
        )
        sent = await client.tuning_jobs.get(job)
        model = await job
    assert [verb for verb, _, _ in bodies[:1]] == ["POST"]
    assert sent.labels["team"] == "a"
    spec = sent.supervised_tuning_spec
    assert (spec.training_dataset_uri, spec.validation_dataset_uri) == (TRAIN, VALIDATION)
    assert spec.export_last_checkpoint_only
    assert spec.hyper_parameters.adapter_size == "ADAPTER_SIZE_FOUR"
    assert job.hyperparameters == gemtune.Hyperparameters(epoch_count=2, learning_rate_multiplier=0.5, adapter_size=4)
    assert len(model.checkpoints) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"temperature": 0.5}, r"temperature is no property.*generation_config"),
        ({"top_k": 5}, r"top_k is no property.*generation_config"),
        ({"hyperparameters": gemtune.Hyperparameters(learning_rate=0.1)}, r"learning_rate .*learning_rate_multiplier"),
        ({"hyperparameters": gemtune.Hyperparameters(batch_size=4)}, r"batch_size .*leave it out"),
        ({"hyperparameters": gemtune.Hyperparameters(beta=0.1)}, r"beta .*method='preference'"),
        ({"labels": {"Team": "a"}}, r"labels: the key 'Team' is not allowed"),
        ({"labels": {"team": "A b"}}, r"labels: the value 'A b' of team is not allowed"),
        ({"labels": {"gemtune-id": "x"}}, r"labels: gemtune-id .*tuned_model_id"),
        ({"labels": ["a"]}, r"labels must be a dict"),
        ({"labels": {f"k{number}": "v" for number in range(64)}}, r"labels: at most 63"),
        ({"checkpoints": "some"}, r"checkpoints"),
        ({"method": "reinforcement"}, r"method"),
        ({"service_account": "tuner"}, r"service_account must be the address"),
        ({"kms_key": "k"}, r"kms_key must be 'projects/"),
        ({"display_name": "x" * 129}, r"display_name must be a string of at most 128 characters"),
        ({"training_data": "gs://my-bucket/train.csv"}, r"training_data: gs://my-bucket/train.csv must end in .jsonl"),
        ({"validation_data": "gs://b/x"}, r"validation_data: gs://b/x must end in .jsonl"),
        ({"base_model": "tunedModels/mine"}, r"base_model must look like 'gemini-2.5-flash'"),
        ({"base_model": 7}, r"base_model must look like"),
    ],
)
async def test_what_the_service_lacks_is_refused_by_name_with_its_counterpart_before_anything_is_sent(given, said):
    asked = []
    _, client = make_vertex(on_request=lambda *request: asked.append(request))
    async with client:
        with pytest.raises(errors.InvalidInput, match=said):
            await client.tune(given.pop("base_model", BASE), given.pop("training_data", TRAIN), **given)
    assert asked == []


async def test_preference_tuning_has_a_spec_of_its_own():
    _, client = make_vertex()
    async with client:
        job = await client.tune(
            BASE, TRAIN, method="preference", hyperparameters=gemtune.Hyperparameters(epoch_count=1, beta=0.2)
        )
        sent = await client.tuning_jobs.get(job)
        assert sent.preference_optimization_spec.hyper_parameters.beta == 0.2
        assert sent.supervised_tuning_spec is None
        with pytest.raises(errors.InvalidInput, match="reads files and no datasets"):
            await client.tune(BASE, "projects/p/locations/l/datasets/1", method="preference")


async def test_a_tuned_model_can_be_tuned_on_however_it_is_given():
    _, client = make_vertex()
    async with client:
        first = await client.tune(BASE, TRAIN)
        model = await first
        pre = {model.name: "", PreTunedModel(tuned_model_name=model.name, checkpoint_id="2"): "2", model: "", first: ""}
        for base, checkpoint in pre.items():
            job = await client.tune(base, TRAIN)
            source = (await client.tuning_jobs.get(job)).pre_tuned_model
            assert (source.tuned_model_name, source.checkpoint_id) == (model.name, checkpoint)
            assert job.base_model in {model.name, BASE}


async def test_a_job_that_cannot_be_tuned_on_yet_says_so():
    _, client = make_vertex()
    async with client:
        job = await client.tune(BASE, TRAIN)
        with pytest.raises(errors.InvalidInput, match="has no model yet"):
            await client.tune(job, TRAIN)


async def test_cancelling_is_success_however_often_it_is_done_and_the_story_ends_with_it():
    _, client = make_vertex()
    async with client:
        job = await client.tune(BASE, TRAIN)
        await job.cancel()
        await job.cancel()
        with pytest.raises(errors.TuningCancelled):
            await job
        await job.cancel()
        assert job.service_state == "JOB_STATE_CANCELLED"


async def test_cancelling_does_not_wait_for_the_next_look_of_somebody_who_follows_the_job(virtual_time):
    _, client = make_vertex(make_app(step_seconds=1.0, queue_seconds=100_000))
    async with client, anyio.create_task_group() as tasks:
        job = await client.tune(BASE, TRAIN)
        tasks.start_soon(collect, job.events())
        await anyio.sleep(5_001)
        before = virtual_time()
        await job.cancel()
        assert virtual_time() - before < 0.1


@pytest.mark.parametrize("followers", [1, 3])
async def test_a_refresh_does_not_wait_for_the_next_look_of_those_who_follow_the_job(virtual_time, followers):
    _, client = make_vertex(make_app(step_seconds=1.0, queue_seconds=100_000))
    async with client, anyio.create_task_group() as tasks:
        job = await client.tune(BASE, TRAIN)
        for _ in range(followers):
            tasks.start_soon(collect, job.events())
        await anyio.sleep(5_001)
        before, asked = virtual_time(), client.statistics().requests
        async with anyio.create_task_group() as both:
            both.start_soon(job.refresh)
            both.start_soon(job.refresh)
        assert virtual_time() - before < 0.1
        assert client.statistics().requests == asked + 2
        await job.cancel()


async def test_the_seconds_of_a_call_are_those_of_the_upload_as_well(virtual_time):
    app = make_app()
    inner = httpx.ASGITransport(app)

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if "/upload/" in request.url.path:
                await anyio.sleep(50)
            return await inner.handle_async_request(request)

    _, client = make_vertex(app, Slow(), bucket="my-bucket", on_request=None)
    async with client:
        began = virtual_time()
        with pytest.raises(errors.DeadlineExceeded, match=r"the upload did not end within 5\.?\d* s"):
            await client.tune(BASE, [("a", "x")] * 20, timeout=5)
        assert virtual_time() - began < 5.1
        assert await client.tuning_jobs.list().all() == []


async def test_a_refused_cancellation_of_a_job_that_runs_is_an_error():
    app, client = make_vertex()
    inner = httpx.ASGITransport(app)

    class Stubborn(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if request.url.path.endswith(":cancel"):
                error = {"code": 400, "message": "not now", "status": "FAILED_PRECONDITION"}
                return httpx.Response(400, json={"error": error})
            return await inner.handle_async_request(request)

    _, client = make_vertex(app, Stubborn())
    async with client:
        job = await client.tune(BASE, TRAIN)
        with pytest.raises(errors.BadRequest, match="not now"):
            await job.cancel()


async def test_a_handle_from_another_process_is_had_by_any_spelling_of_its_name():
    app, client = make_vertex()
    async with client:
        job = await client.tune(BASE, TRAIN)
        number = job.name.rpartition("/")[2]
    _, other = make_vertex(app)
    async with other:
        mine = other.job(f"projects/my-project/locations/us-central1/tuningJobs/{number}")
        assert (await mine).endpoint
        assert other.job(number).name == other.job(job.name).name == mine.name
        (listed,) = await other.tuning_jobs.list().all()
        assert other.job(listed).name == mine.name


async def test_a_job_that_fails_says_why_in_the_service_s_words():
    app, client = make_vertex()
    put(app, "gs://my-bucket/bad.jsonl", 0)
    async with client:
        job = await client.tune(BASE, "gs://my-bucket/bad.jsonl")
        with pytest.raises(errors.TuningFailed) as caught:
            await job
        assert caught.value.reason == job.error.message


async def test_a_watcher_discovers_jobs_by_the_list_and_follows_them_to_their_end():
    _, client = make_vertex()
    async with client:
        jobs = [await client.tune(BASE, TRAIN) for _ in range(3)]
        async with client.watch(filter="*") as watcher:
            ends = {}
            async for event in watcher:
                if events.is_terminal(event):
                    ends[event.job] = event
                if len(ends) == 3:
                    break
    assert ends.keys() == {job.name for job in jobs}
    assert {type(end) for end in ends.values()} == {events.Succeeded}


@pytest.mark.parametrize("light", [True, False])
async def test_a_list_says_the_same_of_a_state_as_a_look_at_the_job(light):
    _, client = make_vertex()
    async with client:
        job = await client.tune(BASE, TRAIN)
        for wait in (0, 5, 10, 100):
            await anyio.sleep(wait)
            await job.refresh()
            (listed,) = await anext(client._service.list_jobs(None, Ask(), light=light))
            assert (listed.job, listed.state) == (job.name, job.state)
            assert (listed.service_state, listed.reason) == (job.service_state, job.reason)
        assert job.state == "ACTIVE"


async def test_what_one_service_lacks_names_the_alternative_on_the_other():
    _, client = make_vertex()
    async with client:
        for use, said in (
            (lambda: client.permissions.list("x"), r"no permissions of single models.*IAM"),
            (lambda: client.operations.get("x"), r"no operations for tuning.*client.tuning_jobs.get"),
            (lambda: client.tuned_models.permissions.list("x"), r"no permissions of single models"),
        ):
            with pytest.raises(errors.NotSupported, match=said):
                use()
        for use, said in (
            (client.tuned_models.transfer_ownership("1", "a@b.c"), "belong to their project.*IAM"),
            (client.tuned_models.update("1", temperature=0.1), "generation_config"),
            (client.tuned_models.update("1", reader_project_numbers=(1,)), "IAM"),
        ):
            with pytest.raises(errors.NotSupported, match=said):
                await use


async def test_what_the_gemini_api_lacks_names_the_alternative_there():
    async with gemtune.Client(
        token="t", base_url="http://127.0.0.1", transport=httpx.ASGITransport(make_app())
    ) as client:
        for use, said in (
            (
                lambda: client.tuning_jobs.list(filter="x"),
                r"no tuning jobs: .*client.job.*client.tuned_models.list.*vertexai=True",
            ),
            (lambda: client.endpoints.get("1"), r"no endpoints: .*under its own name.*vertexai=True"),
            (lambda: client.tuned_models.versions("mine"), r"no versions.*base_model.*vertexai=True"),
            (lambda: client.tuned_models.checkpoints("mine"), r"no checkpoints"),
        ):
            with pytest.raises(errors.NotSupported, match=said):
                use()
        with pytest.raises(errors.NotSupported, match="no checkpoints"):
            await client.tuned_models.set_default_checkpoint("mine", "1")
        assert not hasattr(client.tuning_jobs, "__len__"), "tools may look at it"


async def test_models_that_cannot_be_asked_say_what_to_give_instead():
    _, client = make_vertex()
    async with client:
        job = await client.tune(BASE, TRAIN)
        for given, said in (
            (job, "is asked through its endpoint, which is not known here; give the job once it is done"),
            ("projects/1/locations/us-central1/models/5@1", "is asked through its endpoint"),
            (Checkpoint(checkpoint_id="1"), "model must be a name"),
            ("a b", "model must be 'gemini-2.5-flash'"),
            (VertexTuningJob(name="projects/1/locations/us-central1/tuningJobs/5"), "asked through its endpoint"),
        ):
            with pytest.raises(errors.InvalidInput, match=said):
                await client.generate_content(given, "hi")
        assert (await client.generate_content("gemini-2.5-flash", "hi")).text
