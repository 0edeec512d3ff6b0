"""The same 10,000 prompts through every engine and both services: the same answers under the same keys.

The emulator gives each prompt an answer that no other has, and returns results out of order: what an engine delivered
twice, lost, or put under another's key would show. Ray's part is tests/ray.
"""

import pytest

from vertex.service import make_vertex
from world import make_app, make_client

COUNT = 10_000
PROMPTS = [(f"k{n * 7919 % 1_000_003}", f"question {n}") for n in range(COUNT)]
ANSWERS = {key: f"answer to {prompt}" for key, prompt in PROMPTS}
MODEL = "models/gemini-3.7-flash"

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("virtual_time")]


def emulator(**options):
    return make_app(answers=lambda prompt: f"answer to {prompt.text}", **options)


def on_gemini(**options):
    return make_client(emulator(**options))


def on_vertex(**options):
    return make_vertex(emulator(buckets=("my-bucket",), **options), bucket="my-bucket", on_request=None)[1]


async def asked(client, model, **options):
    """Return the answers by their keys; each key comes once."""
    found = {}
    async with client, client.batch(model, PROMPTS, **options) as results:
        async for result in results:
            assert result.key not in found, f"{result.key} came twice"
            found[result.key] = result.text
        assert (results.progress.done, results.progress.failed) == (COUNT, 0)
    return found


async def test_the_engines_of_both_services_give_the_same_answers_under_the_same_keys(tmp_path):
    assert len(ANSWERS) == COUNT
    assert await asked(on_gemini(), MODEL, concurrency=64) == ANSWERS
    server = {"engine": "server", "journal": tmp_path / "gemini.journal"}
    assert await asked(on_gemini(), MODEL, **server) == ANSWERS
    server["journal"] = tmp_path / "vertex.journal"
    assert await asked(on_vertex(), "gemini-2.5-flash", **server) == ANSWERS
    assert await asked(on_gemini(), MODEL, engine="auto", deadline=48 * 3600) == ANSWERS


async def test_what_the_service_fails_repeats_or_forgets_is_finished_from_here_to_the_same_answers(tmp_path):
    trouble = {"batch_failed": 0.01, "batch_missing": 0.01, "batch_repeated": 0.01}
    options = {"engine": "server", "finish": "local", "journal": tmp_path / "run.journal"}
    assert await asked(on_gemini(**trouble), MODEL, **options) == ANSWERS
    del trouble["batch_repeated"]
    options["journal"] = tmp_path / "vertex.journal"
    assert await asked(on_vertex(**trouble), "gemini-2.5-flash", **options) == ANSWERS
