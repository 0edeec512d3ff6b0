"""The fixtures ``gemini_emulator`` and ``gemini_emulator_url``, used as a user's tests use them."""

import os
from urllib.request import urlopen

import pytest

import gemtune
from gemtune.emulator import Fault
from gemtune.testing import GeminiEmulator

BASE = "models/gemini-1.0-pro-001"
EXAMPLES = [("1", "2"), ("3", "4")]


@pytest.mark.both_backends
async def test_a_job_is_tuned_and_the_model_answers_without_a_wait(gemini_emulator):
    gemini_emulator.answers = {"LXIII": "LXIV"}
    async with gemini_emulator.client() as client:
        job = await client.tune(BASE, EXAMPLES)
        model = await job
        assert (await client.generate_content(model, "LXIII")).text == "LXIV"
    assert gemini_emulator.requests[0].method == "tunedModels.create"


@pytest.mark.both_backends
@pytest.mark.gemini_emulator(step_seconds=60)
async def test_a_marked_job_stands_still_until_the_clock_is_advanced(gemini_emulator):
    async with gemini_emulator.client() as client:
        job = await client.tune(BASE, EXAMPLES)
        assert (await client.tuned_models.get(job.name)).tuning_task.snapshots == ()
        gemini_emulator.advance(2 * 60)
        steps = [snapshot.step for snapshot in (await client.tuned_models.get(job.name)).tuning_task.snapshots]
        assert steps == [1, 2]


async def test_faults_are_followed_without_long_waits(gemini_emulator):
    program = gemini_emulator.faults.add(Fault(error="overloaded_new", times=2))
    async with gemini_emulator.client() as client:
        assert [model async for model in client.tuned_models.list()] == []
    assert program.completed
    assert [entry.status for entry in gemini_emulator.requests.of("tunedModels.list")] == [503, 503, 200]


@pytest.mark.gemini_emulator(auth="strict", callers={"good": "ada@example.com"}, answer_label="a")
class TestMarkers:
    """Markers of a class and of its tests add up."""

    @pytest.mark.gemini_emulator(answer_label="b")
    async def test_the_nearest_marker_wins(self, gemini_emulator):
        assert gemini_emulator.app.settings.answer_label == "b"
        async with gemini_emulator.client(api_key="good") as client:
            assert [model async for model in client.tuned_models.list()] == []
        async with gemini_emulator.client() as client:
            with pytest.raises(gemtune.errors.CredentialsError):
                await client.models.get(BASE)

    def test_each_test_has_an_emulator_of_its_own(self, gemini_emulator):
        assert gemini_emulator.app.settings.answer_label == "a"
        assert len(gemini_emulator.requests) == 0


@pytest.mark.socket
async def test_an_application_finds_the_emulator_through_its_environment(gemini_emulator, gemini_emulator_url):
    async with gemtune.Client() as client:
        assert client.settings.base_url == gemini_emulator_url
        model = await (await client.tune(BASE, EXAMPLES))
    assert gemini_emulator.requests.of("tunedModels.create")[0].headers["x-goog-api-key"] == "emulator"
    assert model.name in gemini_emulator.app.store.tuned_models


@pytest.mark.socket
async def test_policies_are_short_unless_the_application_says_otherwise(gemini_emulator_url):
    assert gemtune.RetryPolicy().initial < 0.1
    assert gemtune.RetryPolicy(initial=7.0).initial == 7.0
    assert gemtune.WatchPolicy(freshness=9.0).freshness == 9.0
    assert gemtune.WatchPolicy().min_interval < 0.1


def test_policies_are_as_ever_in_other_tests():
    assert (gemtune.RetryPolicy().initial, gemtune.WatchPolicy().min_interval) == (1.0, 2.0)


@pytest.mark.socket
def test_the_environment_leads_to_the_emulator_only(monkeypatch, request):
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("NO_PROXY", "example.com")
    monkeypatch.setenv("GEMINI_API_KEY", "a real key")
    url = request.getfixturevalue("gemini_emulator_url")
    assert os.environ["GOOGLE_GEMINI_BASE_URL"] == url
    assert os.environ["GOOGLE_GENAI_API_VERSION"] == "beta"
    assert os.environ["GOOGLE_API_KEY"] == os.environ["GEMINI_API_KEY"] == "emulator"
    assert os.environ["NO_PROXY"] == "example.com,127.0.0.1"
    assert "GOOGLE_GENAI_USE_VERTEXAI" not in os.environ
    with urlopen(url + "/v1beta/tunedModels") as reply:
        assert reply.read() == b"{}\n"


def test_an_unknown_option_is_named():
    with pytest.raises(TypeError, match="step_secnods"):
        GeminiEmulator.make(step_secnods=1)


@pytest.mark.gemini_emulator(buckets=["my-bucket"], answers={"1": "one"})
async def test_the_fixture_is_vertex_ai_and_cloud_storage_as_well(gemini_emulator):
    place = {"vertexai": True, "project": "my-project", "location": "us-central1", "bucket": "my-bucket"}
    async with gemini_emulator.client(**place) as client:
        job = await client.tune("gemini-2.5-flash", [("1", "2"), ("3", "4")])
        assert (await client.generate_content(await job, "1")).text == "one"
    assert len(gemini_emulator.requests.of("objects.insert")) == 1


@pytest.mark.socket
@pytest.mark.gemini_emulator(buckets=["my-bucket"], answers={"1": "one"})
async def test_an_application_on_vertex_ai_is_led_to_the_emulator(gemini_emulator_url):
    place = {"project": "my-project", "location": "us-central1", "bucket": "my-bucket"}
    async with gemtune.Client(vertexai=True, token="anything", **place) as client:
        job = await client.tune("gemini-2.5-flash", [("1", "2"), ("3", "4")])
        assert (await client.generate_content(await job, "1")).text == "one"


async def test_the_environment_leads_to_vertex_ai_with_an_account_a_project_and_a_bucket(vertex_emulator_url):
    async with gemtune.Client() as client:
        assert client.settings.service == "vertex"
        job = await client.tune("gemini-2.5-flash", EXAMPLES)
        assert job.name.startswith("projects/")
        model = await job
        assert (await client.generate_content(model, "1")).text.startswith("2")
    assert os.environ["GOOGLE_VERTEX_BASE_URL"] == vertex_emulator_url


async def test_an_assigned_row_is_known_from_then_on(gemini_emulator):
    rows = {f"what is {number}?": str(number) for number in range(60)}
    async with gemini_emulator.client() as client:
        said = [(await client.generate_content("gemini-3.7-flash", asked)).text for asked in rows]
        assert all("(emulator" in text for text in said)
        gemini_emulator.knows = rows
        said = [(await client.generate_content("gemini-3.7-flash", asked)).text for asked in rows]
    assert len(gemini_emulator.knows) == 60
    assert 5 < sum(text == answer for text, answer in zip(said, rows.values(), strict=True)) < 35
