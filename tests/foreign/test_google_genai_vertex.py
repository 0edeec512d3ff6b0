"""google-genai in Vertex mode: what its users do to tune, with the data put there by google-cloud-storage."""

import json
import re
import warnings
from contextlib import closing

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about the end of Python 3.11, on import
    from google import genai
    from google.auth import crypt
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage
    from google.genai import errors, types
    from google.oauth2.credentials import Credentials

from emulator.emulated import PAIRS
from emulator.vertex import preferences, supervised
from gemtune.emulator import Fault

pytestmark = [pytest.mark.socket, pytest.mark.filterwarnings("ignore")]  # of Google's code

PROJECT = {"project": "my-project", "location": "us-central1"}
PARENT = r"projects/\d{12}/locations/us-central1"  # with the project's number, whatever it was called by
BASE = "gemini-2.5-flash"
TRAIN, CHECK, PREFER = (f"gs://b/{name}.jsonl" for name in ("train", "check", "prefer"))
DATA = types.TuningDataset(gcs_uri=TRAIN)


@pytest.fixture
def emulator(serve):
    """An emulator with three datasets, put there as its users put them."""
    emulator = serve(buckets=["b"], answers={"LXIII": "LXIV"})
    options = {"api_endpoint": emulator.url}
    data = (("train", supervised()), ("check", supervised(PAIRS[:3])), ("prefer", preferences()))
    with closing(storage.Client("p", credentials=AnonymousCredentials(), client_options=options)) as put:
        for name, lines in data:
            put.bucket("b").blob(f"{name}.jsonl").upload_from_string("\n".join(map(json.dumps, lines)))
    return emulator


@pytest.fixture
def client(emulator):
    http = types.HttpOptions(base_url=emulator.url)
    with genai.Client(vertexai=True, **PROJECT, credentials=Credentials("tok"), http_options=http) as client:
        yield client


def test_a_job_is_created_and_followed_to_its_end(emulator, client):
    config = types.CreateTuningJobConfig(
        epoch_count=2, learning_rate_multiplier=1.5, adapter_size="ADAPTER_SIZE_FOUR", labels={"team": "a"},
        tuned_model_display_name="numbers", description="adds one",
        validation_dataset=types.TuningValidationDataset(gcs_uri=CHECK),
    )  # fmt: skip
    job = client.tunings.tune(base_model=BASE, training_dataset=DATA, config=config)
    assert (job.state, job.tuned_model_display_name) == ("JOB_STATE_PENDING", "numbers")
    assert re.fullmatch(PARENT + r"/tuningJobs/\d{18,19}", job.name)
    assert job.supervised_tuning_spec.validation_dataset_uri == CHECK
    assert job.labels == {"team": "a"}
    emulator.app.advance(1)
    assert client.tunings.get(name=job.name).state == "JOB_STATE_RUNNING"
    assert client.tunings.get(name="/".join(job.name.split("/")[-2:])).state == "JOB_STATE_RUNNING"
    emulator.app.advance(100_000)
    job = client.tunings.get(name=job.name)
    assert job.has_succeeded
    assert re.fullmatch(PARENT + r"/models/\d+@1", job.tuned_model.model)
    assert re.fullmatch(PARENT + r"/endpoints/\d+", job.tuned_model.endpoint)
    assert job.tuning_data_stats.supervised_tuning_data_stats.tuning_dataset_example_count == len(PAIRS)
    assert [checkpoint.epoch for checkpoint in job.tuned_model.checkpoints] == [1, 2]


def test_preferences_are_tuned(emulator, client):
    config = types.CreateTuningJobConfig(method="PREFERENCE_TUNING", epoch_count=1, beta=0.2)
    job = client.tunings.tune(base_model=BASE, training_dataset=types.TuningDataset(gcs_uri=PREFER), config=config)
    assert job.preference_optimization_spec.hyper_parameters.beta == 0.2
    emulator.app.advance(100_000)
    assert client.tunings.get(name=job.name).has_succeeded


def test_a_missing_dataset_fails_the_job_and_not_its_creation(emulator, client):
    job = client.tunings.tune(base_model=BASE, training_dataset=types.TuningDataset(gcs_uri="gs://b/nope.jsonl"))
    emulator.app.advance(100_000)
    job = client.tunings.get(name=job.name)
    assert job.state == "JOB_STATE_FAILED"
    assert "gs://b/nope.jsonl" in job.error.message


def test_jobs_are_listed_in_pages_the_newest_first(emulator, client):
    names = []
    for _ in range(5):
        emulator.app.advance(10)
        names.append(client.tunings.tune(base_model=BASE, training_dataset=DATA).name)
    emulator.app.advance(100_000)
    listed = client.tunings.list(config={"page_size": 2})
    assert sorted(job.name for job in listed) == sorted(names)
    done = client.tunings.list(config={"filter": 'state="JOB_STATE_SUCCEEDED"'})
    assert len(list(done)) == 5


def test_a_cancelled_job_cannot_be_cancelled_again(emulator, client):
    job = client.tunings.tune(base_model=BASE, training_dataset=DATA)
    emulator.app.advance(1)
    client.tunings.cancel(name=job.name)
    emulator.app.advance(100)
    assert client.tunings.get(name=job.name).state == "JOB_STATE_CANCELLED"
    with pytest.raises(errors.ClientError, match="FAILED_PRECONDITION"):
        client.tunings.cancel(name=job.name)
    with pytest.raises(errors.ClientError, match="NOT_FOUND"):
        client.tunings.get(name="tuningJobs/1")


@pytest.fixture
def tuned(emulator, client):
    """A job that is over."""
    config = types.CreateTuningJobConfig(epoch_count=2)
    job = client.tunings.tune(base_model=BASE, training_dataset=DATA, config=config)
    emulator.app.advance(100_000)
    return client.tunings.get(name=job.name)


def test_endpoints_answer_count_and_stream(client, tuned):
    endpoints = [tuned.tuned_model.endpoint, *(each.endpoint for each in tuned.tuned_model.checkpoints)]
    assert len(set(endpoints)) == 2  # the default is one of the checkpoints
    for model in (*endpoints, BASE):
        reply = client.models.generate_content(model=model, contents="LXIII", config={"temperature": 0.1})
        assert reply.text == "LXIV"
        assert reply.usage_metadata.total_token_count > 0
        pieces = list(client.models.generate_content_stream(model=model, contents="LXIII"))
        assert "".join(piece.text for piece in pieces) == "LXIV"
        assert client.models.count_tokens(model=model, contents="one two").total_tokens > 0
    assert client.models.generate_content(model=endpoints[0], contents="seven").text.startswith("eight")


async def test_the_async_client_does_the_same(emulator, client, tuned):
    model = tuned.tuned_model.endpoint
    assert (await client.aio.models.generate_content(model=model, contents="LXIII")).text == "LXIV"
    stream = await client.aio.models.generate_content_stream(model=model, contents="LXIII")
    assert "".join([piece.text async for piece in stream]) == "LXIV"
    job = await client.aio.tunings.tune(base_model=BASE, training_dataset=DATA)
    assert (await client.aio.tunings.get(name=job.name)).name == job.name
    emulator.app.advance(1)
    await client.aio.tunings.cancel(name=job.name)
    assert {each.name async for each in await client.aio.tunings.list()} == {job.name, tuned.name}


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_both_versions_answer(emulator, version):
    http = types.HttpOptions(base_url=emulator.url, api_version=version)
    with genai.Client(vertexai=True, **PROJECT, credentials=Credentials("tok"), http_options=http) as client:
        job = client.tunings.tune(base_model=BASE, training_dataset=DATA)
        assert client.tunings.get(name=job.name).name == job.name
    assert {entry.path.split("/")[1] for entry in emulator.app.requests.of("tuningJobs.get")} == {version}


# ── batches ────────────────────────────────────────────────────────────────────────────────────────────────────────


ASKED = "gs://b/asked.jsonl"


@pytest.fixture
def asked(emulator):
    """Requests for a batch, in the bucket."""
    options = {"api_endpoint": emulator.url}
    lines = [{"request": {"contents": [{"role": "user", "parts": [{"text": each}]}]}} for each in ("LXIII", "seven")]
    with closing(storage.Client("p", credentials=AnonymousCredentials(), client_options=options)) as put:
        put.bucket("b").blob("asked.jsonl").upload_from_string("\n".join(map(json.dumps, lines)))
        yield put


def written(bucket, job):
    """The results of a batch, found as its users find them."""
    place = job.output_info.gcs_output_directory.removeprefix("gs://b/")
    (found,) = bucket.list_blobs("b", prefix=place)
    return [json.loads(line) for line in found.download_as_text().splitlines()]


def test_a_batch_is_created_and_followed_to_its_results(emulator, client, asked):
    config = types.CreateBatchJobConfig(display_name="numbers", dest="gs://b/results")
    job = client.batches.create(model=BASE, src=ASKED, config=config)
    assert (job.state, job.display_name) == ("JOB_STATE_PENDING", "numbers")
    assert re.fullmatch(PARENT + r"/batchPredictionJobs/\d{18,19}", job.name)
    assert job.model == f"publishers/google/models/{BASE}"
    emulator.app.advance(5)
    assert client.batches.get(name=job.name).state == "JOB_STATE_RUNNING"
    emulator.app.advance(10)
    job = client.batches.get(name=job.name)
    assert (job.done, job.state) == (True, "JOB_STATE_SUCCEEDED")
    assert job.completion_stats.successful_count == 2
    assert job.output_info.gcs_output_directory.startswith("gs://b/results/prediction-model-")
    found = {
        line["request"]["contents"][0]["parts"][0]["text"]: types.GenerateContentResponse(**line["response"]).text
        for line in written(asked, job)
    }
    assert found["LXIII"] == "LXIV"
    assert found["seven"].startswith("seven")


def test_a_batch_asks_tuned_models_and_endpoints(emulator, client, asked, tuned):
    for model in (tuned.tuned_model.model, tuned.tuned_model.endpoint):
        job = client.batches.create(model=model, src=ASKED)  # its results go where the client chooses
        emulator.app.advance(20)
        texts = [
            line["response"]["candidates"][0]["content"]["parts"][0]["text"]
            for line in written(asked, client.batches.get(name=job.name))
        ]
        assert sorted(text.split()[0] for text in texts) == ["LXIV", "eight"]


def test_batches_are_listed_cancelled_and_deleted(emulator, client, asked):
    names = [client.batches.create(model=BASE, src=ASKED, config={"display_name": str(at)}).name for at in range(3)]
    assert {job.name for job in client.batches.list(config={"page_size": 2})} == set(names)
    (found,) = client.batches.list(config={"filter": 'display_name="1"'})
    assert found.name == names[1]
    client.batches.cancel(name=names[0])
    assert client.batches.get(name=names[0]).state == "JOB_STATE_CANCELLING"
    emulator.app.advance(20)
    assert client.batches.get(name=names[0]).state == "JOB_STATE_CANCELLED"
    with pytest.raises(errors.ClientError, match="FAILED_PRECONDITION"):
        client.batches.cancel(name=names[0])
    assert client.batches.delete(name=names[0]).done
    with pytest.raises(errors.ClientError, match="NOT_FOUND"):
        client.batches.get(name=names[0])


async def test_the_async_client_runs_batches(emulator, client, asked):
    job = await client.aio.batches.create(model=BASE, src=ASKED)
    emulator.app.advance(20)
    assert (await client.aio.batches.get(name=job.name)).state == "JOB_STATE_SUCCEEDED"
    assert [each.name async for each in await client.aio.batches.list()] == [job.name]


def test_batches_of_bigquery_are_refused_with_the_reason(client):
    with pytest.raises(errors.ClientError, match="no BigQuery"):
        client.batches.create(model=BASE, src="bq://p.d.t")


def test_faults_reach_it(emulator, client):
    emulator.app.faults.add(Fault(method="tuningJobs.create", status=429))
    with pytest.raises(errors.ClientError, match="429 RESOURCE_EXHAUSTED"):
        client.tunings.tune(base_model=BASE, training_dataset=DATA)


# ── how it is pointed to the emulator ──────────────────────────────────────────────────────────────────────────────


def test_the_environment_is_enough_beside_what_has_to_stand_in_code(emulator, monkeypatch):
    monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", emulator.url)
    with genai.Client(vertexai=True, **PROJECT, credentials=Credentials("tok")) as client:
        assert client.models.generate_content(model=BASE, contents="LXIII").text == "LXIV"
    # The address is passed over if the service is chosen by the environment as well: it would ask the real host.
    for name, value in (("USE_VERTEXAI", "true"), ("CLOUD_PROJECT", "p"), ("CLOUD_LOCATION", "us-central1")):
        monkeypatch.setenv(f"GOOGLE_{'GENAI_' if name == 'USE_VERTEXAI' else ''}{name}", value)
    with genai.Client(credentials=Credentials("tok")) as client:
        assert "googleapis.com" in client._api_client._http_options.base_url


def test_a_service_account_whose_token_address_is_the_emulator_is_let_in(emulator, monkeypatch, tmp_path):
    account = {
        "type": "service_account", "client_email": "me@p.iam.gserviceaccount.com", "private_key_id": "1",
        "private_key": private_key(), "token_uri": emulator.url + "/token", "project_id": "p",
    }  # fmt: skip
    path = tmp_path / "account.json"
    path.write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    emulator.app.auth.mode = "required"
    with genai.Client(vertexai=True, **PROJECT, http_options=types.HttpOptions(base_url=emulator.url)) as client:
        assert client.models.generate_content(model=BASE, contents="LXIII").text == "LXIV"


def private_key():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    text = key.private_bytes(*form).decode()
    assert crypt.RSASigner.from_string(text)
    return text
