"""google-genai, in sync and async use; what that version cannot do here fails as it does on the real service."""

import json
import logging
import warnings

import httpx2
import pytest
from google import genai
from google.genai import errors, types

from emulator.emulated import BASE, PAIRS, examples
from gemtune.emulator import Fault

pytestmark = [pytest.mark.socket, pytest.mark.filterwarnings("ignore")]  # of Google's code

CONFIG = {"tuned_model_display_name": "My Model", "epoch_count": 5, "batch_size": 4, "learning_rate": 0.001}
DATASET = types.TuningDataset(examples=[types.TuningExample(text_input=text, output=out) for text, out in PAIRS])
# what a user must add by hand, because the client leaves the examples out
EXAMPLES = types.HttpOptions(extra_body={"tuningTask": {"trainingData": examples(PAIRS)}})


def connect(url, *, version="v1beta", **options):
    return genai.Client(api_key="K", http_options=types.HttpOptions(base_url=url, api_version=version, **options))


@pytest.fixture
def emulator(serve):
    return serve(answers={"LXIII": "LXIV"})


@pytest.fixture
def client(emulator):
    with connect(emulator.url) as client:
        yield client


@pytest.fixture(params=["httpx2", "aiohttp"])
async def engine(request):
    """Options that choose the engine of the async client; with aiohttp installed that is the default."""
    if request.param == "aiohttp":
        yield {}
    else:
        async with httpx2.AsyncClient() as http:
            yield {"httpx_async_client": http}


def tune(client):
    job = client.tunings.tune(
        base_model=BASE, training_dataset=DATASET, config=types.CreateTuningJobConfig(**CONFIG, http_options=EXAMPLES)
    )
    return job.name


def test_a_job_is_created_and_followed_to_its_end(emulator, client):
    job = client.tunings.tune(
        base_model=BASE, training_dataset=DATASET, config=types.CreateTuningJobConfig(**CONFIG, http_options=EXAMPLES)
    )
    assert job.state == "JOB_STATE_QUEUED"
    assert client.tunings.get(name=job.name).state == "JOB_STATE_RUNNING"
    emulator.app.advance(1000)
    job = client.tunings.get(name=job.name)
    assert (job.state, job.base_model, job.tuned_model.model) == ("JOB_STATE_SUCCEEDED", BASE, job.name)
    assert job.create_time < job.start_time < job.end_time


def test_a_failed_job_is_seen_as_failed(emulator, client):
    emulator.app.faults.add(Fault(method="tunedModels.create", job={"fail_at_step": 3}))
    name = tune(client)
    emulator.app.advance(1000)
    assert client.tunings.get(name=name).state == "JOB_STATE_FAILED"


def test_the_operation_is_read_with_its_snapshots(emulator, client):
    name = tune(client)
    operation = types.GenerateVideosOperation(name=emulator.app.store.tuned_models[name].operation_name)
    emulator.app.advance(0.3 + 10 * 1.2)
    running = client.operations.get(operation)
    assert running.done is None
    assert running.metadata["completedSteps"] == 10 == len(running.metadata["snapshots"])
    emulator.app.advance(1000)
    over = client.operations.get(operation)
    assert (over.done, over.metadata["completedPercent"], over.metadata["totalSteps"]) == (True, 100, 19)


def test_without_help_the_client_sends_no_examples_and_is_refused(emulator, client):
    with pytest.raises(errors.ClientError) as raised:
        client.tunings.tune(
            base_model=BASE, training_dataset=DATASET, config=types.CreateTuningJobConfig(**CONFIG)
        )  # fmt: skip
    assert (raised.value.code, raised.value.status) == (400, "INVALID_ARGUMENT")
    assert "training data must not be empty" in raised.value.message
    assert "trainingData" not in json.loads(emulator.app.requests[-1].body)["tuningTask"]


def test_the_version_it_uses_by_default_has_no_tuned_models(emulator):
    with genai.Client(api_key="K", http_options=types.HttpOptions(base_url=emulator.url)) as client:
        for call in (
            lambda: client.tunings.tune(base_model=BASE, training_dataset=DATASET),
            lambda: client.tunings.get(name="tunedModels/x"),
        ):
            with pytest.raises(errors.ClientError) as raised:
                call()
            assert (raised.value.code, raised.value.status) == (404, "Not Found")
            assert "Error 404 (Not Found)!!1" in raised.value.message
    assert [entry.path for entry in emulator.app.requests] == ["/v1/tunedModels", "/v1/tunedModels/x"]


def test_its_default_version_does_serve_inference(emulator, client):
    name = tune(client)
    emulator.app.advance(1000)
    with genai.Client(api_key="K", http_options=types.HttpOptions(base_url=emulator.url)) as default:
        assert default.models.generate_content(model=name, contents="LXIII").text == "LXIV"
    assert emulator.app.requests[-1].path == f"/v1/{name}:generateContent"


def test_what_no_service_binds_is_a_404_page(client, emulator):
    name = tune(client)
    for call in (client.tunings.cancel, lambda name: client.models.count_tokens(model=name, contents="x")):
        with pytest.raises(errors.ClientError) as raised:
            call(name=name)
        assert (raised.value.code, raised.value.status) == (404, "Not Found")
    with pytest.raises(ValueError, match="only supported in"):
        client.tunings.list()


def test_tuned_models_are_listed_read_changed_and_deleted(emulator, client):
    names = [tune(client) for _ in range(3)]
    listed = list(client.models.list(config={"query_base": False, "page_size": 2}))
    assert [model.name for model in listed] == names
    assert len(emulator.app.requests.of("tunedModels.list")) == 2
    assert listed[0].tuned_model_info.base_model == BASE
    changed = client.models.update(model=names[0], config={"display_name": "New", "description": "D"})
    assert (changed.display_name, changed.description) == ("New", "D")
    assert client.models.get(model=names[0]).display_name == "New"
    client.models.delete(model=names[0])
    with pytest.raises(errors.ClientError, match=f"404 NOT_FOUND.*Tuned model {names[0]} does not exist"):
        client.models.get(model=names[0])


def test_base_models_are_listed_and_read(client):
    assert {model.name for model in client.models.list()} >= {BASE, "models/gemini-1.5-flash-001-tuning"}
    model = client.models.get(model=BASE)
    assert (model.input_token_limit, "createTunedModel" in model.supported_actions) == (30720, True)
    assert client.models.count_tokens(model=BASE, contents="one two three").total_tokens > 0


def test_a_tuned_model_answers_at_once_and_piece_by_piece(emulator, client):
    name = tune(client)
    emulator.app.advance(1000)
    reply = client.models.generate_content(model=name, contents="LXIII")
    assert (reply.text, reply.candidates[0].finish_reason, reply.model_version) == ("LXIV", "STOP", name)
    assert len(reply.candidates[0].safety_ratings) == 4
    chunks = list(client.models.generate_content_stream(model=name, contents="1"))
    assert len(chunks) > 1
    assert "".join(chunk.text for chunk in chunks) == "2 (emulator: nearest training example)"


def test_an_error_in_the_middle_of_a_stream_reaches_the_caller(emulator, client):
    name = tune(client)
    emulator.app.advance(1000)
    for raw in (False, True):
        emulator.app.faults.add(Fault(method="tunedModels.streamGenerateContent", after=1, status=503, raw=raw))
        received = []
        with pytest.raises(errors.ServerError, match="503 UNAVAILABLE"):
            received.extend(client.models.generate_content_stream(model=name, contents="1"))


def test_its_own_retry_gets_through_a_passing_overload(emulator):
    retry = types.HttpRetryOptions(attempts=3, initial_delay=0.01, max_delay=0.01, jitter=0.01)
    emulator.app.faults.add(Fault(method="models.get", status=503, times=2))
    with connect(emulator.url, retry_options=retry) as client:
        assert client.models.get(model=BASE).name == BASE
    assert [entry.status for entry in emulator.app.requests] == [503, 503, 200]


def test_the_environment_alone_connects_it(emulator, monkeypatch, caplog):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", emulator.url)
    monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "beta")
    monkeypatch.setenv("GOOGLE_API_KEY", "K")
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    with caplog.at_level(logging.WARNING), warnings.catch_warnings(), genai.Client() as client:
        warnings.simplefilter("ignore")
        assert client.models.get(model=tune(client)).display_name == "My Model"


async def test_the_async_client_does_the_same(emulator, engine):
    app = emulator.app
    async with connect(emulator.url, **engine).aio as client:
        job = await client.tunings.tune(
            base_model=BASE,
            training_dataset=DATASET,
            config=types.CreateTuningJobConfig(**CONFIG, http_options=EXAMPLES),
        )
        assert (await client.tunings.get(name=job.name)).state == "JOB_STATE_RUNNING"
        operation = types.GenerateVideosOperation(name=app.store.tuned_models[job.name].operation_name)
        app.advance(1000)
        assert (await client.operations.get(operation)).done is True
        assert (await client.tunings.get(name=job.name)).state == "JOB_STATE_SUCCEEDED"
        assert (await client.models.generate_content(model=job.name, contents="LXIII")).text == "LXIV"
        chunks = [chunk async for chunk in await client.models.generate_content_stream(model=job.name, contents="1")]
        assert "".join(chunk.text for chunk in chunks) == "2 (emulator: nearest training example)"
        assert (await client.models.count_tokens(model=BASE, contents="x")).total_tokens == 1
        listed = [model.name async for model in await client.models.list(config={"query_base": False})]
        assert listed == [job.name]
        assert (await client.models.update(model=job.name, config={"description": "D"})).description == "D"
        await client.models.delete(model=job.name)
        with pytest.raises(errors.ClientError, match="404 NOT_FOUND"):
            await client.models.get(model=job.name)
    agents = {entry.headers["user-agent"].partition(" ")[0] for entry in app.requests}
    assert agents == {"google-genai-sdk/3.6.1"}
    # httpx2 names the connection's fate in every request, aiohttp does not: so that was the engine asked for
    assert {"connection" in entry.headers for entry in app.requests} == {"httpx_async_client" in engine}


async def test_the_async_client_reports_the_missing_examples_too(emulator, engine):
    async with connect(emulator.url, **engine).aio as client:
        with pytest.raises(errors.ClientError, match="400 INVALID_ARGUMENT"):
            await client.tunings.tune(base_model=BASE, training_dataset=DATASET)
