"""Security rule: whatever names a reply or an argument brings, the bearer goes to Google's hosts and nowhere else.

A client of Vertex AI talks to several hosts, and which one follows from a resource's name. So names are the one way by
which somebody could lead a credential away: a forged reply, a job of somebody else's, a line pasted from a forum.
"""

import contextlib
import re

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import gemtune
from gemtune import errors
from proofs.leaks import found_in

TOKEN = "ya29.CANARY-of-an-access-token-0123456789"
HOSTS = re.compile(
    r"https://(?:[a-z]+(?:-[a-z]+)+[0-9]{1,3}-aiplatform|aiplatform|aiplatform\.(?:us|eu)\.rep|storage)\.googleapis\.com"
)
LOCATIONS = st.one_of(
    st.sampled_from(["us-central1", "europe-west4", "us", "eu", "global"]),
    st.sampled_from([
        "evil.example", "evil.example/", "us-central1.evil.example", "evil.example#", "evil.example?", "@evil.example",
        "us-central1@evil.example", "evil.example\\", "evil.example:443", "us-central1%2eevil.example", "localhost",
        "evil.example%2f", "us-central1-aiplatform.googleapis.com.evil.example", "us-central1\n", "us\r\nhost: evil",
        "..", "127.0.0.1", "[::1]", "us-central1 ", "\u2024us-central1", "us\uff0ecentral1", "evil.example/us-central1",
    ]),
    st.text("abceu-1./@:#?%\\ \n", max_size=25),
)  # fmt: skip
KINDS = st.sampled_from([
    "tuningJobs/1", "endpoints/2", "models/3@1", "publishers/google/models/gemini-2.5-flash", "tensorboards/4",
    "metadataStores/default/contexts/tuning-experiment-1", "tensorboards/4/experiments/e/runs/r/timeSeries/5", "",
])  # fmt: skip
NAMES = st.one_of(
    st.builds(
        "projects/{}/locations/{}/{}".format, st.sampled_from(["my-project", "123", "evil.example"]), LOCATIONS, KINDS
    ),
    st.builds("https://{}/v1/projects/my-project/locations/us-central1/{}".format, LOCATIONS, KINDS),
    st.builds("//{}/{}".format, LOCATIONS, KINDS),
    st.text(max_size=30),
)


class Forged:
    """A service whose replies bring the names that it was given, in turn."""

    def __init__(self, names):
        self.names = names
        self.asked = []
        self.at = 0

    def name(self):
        self.at += 1
        return self.names[self.at % len(self.names)]

    def __call__(self, request):
        where = f"{request.url.scheme}://{request.url.netloc.decode()}"
        self.asked.append((where, request.headers.get("authorization")))
        path = request.url.path
        if "Content" in path:
            return httpx.Response(307, headers={"location": "https://evil.example/"})
        if path.endswith("/tuningJobs") and request.method == "GET":
            token = self.name() if self.at < 9 else ""
            return self.says({"tuningJobs": [self.job(), self.job()], "nextPageToken": token})
        if "/tuningJobs" in path:
            return self.says(self.job())
        if path.endswith("/contexts"):
            return self.says({"contexts": [{"name": self.name()}]})
        if "/contexts/" in path:
            return self.says({"name": self.name(), "metadata": {"backing_tensorboard_resource": self.name()}})
        if path.endswith("/timeSeries"):
            series = {"name": self.name(), "displayName": "/train_total_loss", "valueType": "SCALAR"}
            return self.says({"tensorboardTimeSeries": [series]})
        if "/models/" in path or "/endpoints/" in path:
            deployed = [{"endpoint": self.name(), "checkpointId": "1"}]
            checkpoints = [{"checkpointId": "1", "step": "5"}]
            return self.says({"name": self.name(), "deployedModels": deployed, "checkpoints": checkpoints})
        if path.startswith("/upload/"):
            return httpx.Response(200, headers={"location": self.session()})
        return httpx.Response(307, headers={"location": "https://evil.example/"})

    def says(self, value):
        return httpx.Response(200, json=value)

    def session(self):
        host = self.name().encode("ascii", "ignore").decode().replace("\r", "").replace("\n", "")
        return f"https://{host}/upload/storage/v1/b/b/o?upload_id=1"

    def job(self):
        return {
            "name": self.name(),
            "baseModel": "gemini-2.5-flash",
            "state": ["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"][self.at % 2],
            "experiment": self.name(),
            "tunedModel": {
                "model": self.name(),
                "endpoint": self.name(),
                "checkpoints": [{"checkpointId": "1", "endpoint": self.name()}],
            },
        }


async def look(client, name):
    job = client.job("1")
    for _ in range(4):
        with contextlib.suppress(errors.GemtuneError):
            await job.refresh()
    for each in (job, *job.checkpoints, job.endpoint):
        with contextlib.suppress(errors.GemtuneError):
            await client.generate_content(each, "hi")


async def named(client, name):
    for call in (
        client.tuning_jobs.get, client.tuning_jobs.cancel, client.endpoints.get, client.tuned_models.get,
        client.tuned_models.delete, client.models.get, lambda name: client.job(name).refresh(),
        lambda name: client.generate_content(name, "hi"), lambda name: client.count_tokens(name, "hi"),
        lambda name: anext(client.stream_generate_content(name, "hi")),
        lambda name: client.tune(name, "gs://b-1/x.jsonl"),
    ):  # fmt: skip
        with contextlib.suppress(errors.GemtuneError):
            await call(name)


async def listed(client, name):
    for pager in (client.tuning_jobs.list, client.tuned_models.list, client.endpoints.list):
        with contextlib.suppress(errors.GemtuneError):
            async for found in pager():
                await named(client, found.name)
                break


async def tuned(client, name):
    with contextlib.suppress(errors.GemtuneError):
        await client.tune("gemini-2.5-flash", [("1", "2")])
    with contextlib.suppress(errors.GemtuneError):
        await client.tune("gemini-2.5-flash", f"gs://{name}")


WAYS = {"what a look at a job brings": look, "an argument": named, "a list": listed, "a creation": tuned}


def client_of(forged, **options):
    once = gemtune.RetryPolicy(attempts=1)
    transport = httpx.MockTransport(forged)
    options = {"vertexai": True, "project": "my-project", "bucket": "b-1"} | options
    return gemtune.Client(token=TOKEN, retry=once, transport=transport, **options)


@pytest.mark.parametrize("way", WAYS)
@given(names=st.lists(NAMES, min_size=1, max_size=9))
@example(names=["projects/my-project/locations/evil.example/endpoints/1"])
@pytest.mark.usefixtures("virtual_time")
async def test_no_name_leads_the_bearer_to_another_host(way, names):
    forged = Forged(names)
    async with client_of(forged) as client:
        await WAYS[way](client, names[0])
    assert [where for where, _ in forged.asked if not HOSTS.fullmatch(where)] == []


@pytest.mark.usefixtures("virtual_time")
async def test_with_a_base_url_it_goes_there_alone():
    forged = Forged(["projects/my-project/locations/eu/endpoints/1", "projects/9/locations/europe-west4/tuningJobs/1"])
    async with client_of(forged, base_url="https://gateway.example/x") as client:
        for way in (look, named, listed):
            await way(client, "projects/my-project/locations/us/tuningJobs/1")
    assert {where for where, _ in forged.asked} == {"https://gateway.example"}


@pytest.mark.usefixtures("virtual_time")
async def test_good_names_reach_the_hosts_of_their_locations():
    """The rule holds not because nothing is ever sent."""
    names = [f"projects/my-project/locations/{place}/tuningJobs/1" for place in ("us", "europe-west4", "global")]
    forged = Forged(names)
    async with client_of(forged) as client:
        for name in names:
            await named(client, name)
    assert {where for where, _ in forged.asked} >= {
        "https://aiplatform.us.rep.googleapis.com",
        "https://europe-west4-aiplatform.googleapis.com",
        "https://aiplatform.googleapis.com",
    }
    assert {bearer for _, bearer in forged.asked} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    "name", ["projects/my-project/locations/evil.example/endpoints/1", "projects/my-project/locations/eu/endpoints/1"]
)
@pytest.mark.usefixtures("virtual_time")
async def test_no_secret_is_in_what_a_refused_or_failed_call_leaves(name, caplog):
    caplog.set_level(1)

    async def failed():
        async with client_of(Forged(["x"])) as client:
            try:
                await client.tuning_jobs.get(name.replace("endpoints", "tuningJobs"))
                await client.generate_content(name, "hi")
            except errors.GemtuneError as error:
                return error, repr(client) + repr(client._caller) + repr(client._caller.wires) + str(client.settings)
        raise AssertionError("it did not fail")

    error, shown = await failed()
    assert found_in(TOKEN, error) == []
    assert TOKEN not in shown + caplog.text
