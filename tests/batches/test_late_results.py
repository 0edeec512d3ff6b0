"""Results that appear a while after their batch has ended are waited for, by all who read them: they are paid for."""

import anyio
import pytest

from gemtune import errors
from gemtune.resources.batches import collection
from world import make_app, make_client

pytestmark = pytest.mark.usefixtures("virtual_time")
MODEL = "models/gemini-3.7-flash"
PROMPTS = [(f"k{n}", f"prompt {n}") for n in range(25)]


@pytest.fixture(params=["inline", "file"])
def form(request, monkeypatch):
    if request.param == "file":
        monkeypatch.setattr(collection, "_INLINE_COUNT", 10)
    return request.param


def client(seconds):
    return make_client(make_app(batch_queue_seconds=1.0, batch_seconds=10.0, batch_output_seconds=seconds))


async def test_a_handle_waits_for_results_that_are_late(form):
    async with client(120.0) as own:
        job = await own.batches.create(MODEL, PROMPTS)
        await job
        assert {result.key async for result in job.results()} == {key for key, _ in PROMPTS}


async def test_the_server_engine_waits_for_results_that_are_late():
    async with client(120.0) as own, own.batch(MODEL, PROMPTS, engine="server") as results:
        assert {result.key async for result in results if result.ok} == {key for key, _ in PROMPTS}


async def test_results_that_never_appear_are_an_error_that_may_pass(form):
    async with client(10_000.0) as own:
        job = await own.batches.create(MODEL, PROMPTS)
        await job
        with pytest.raises(errors.Unavailable, match="with 25 answers, have not appeared within 10 minutes"):
            await anext(job.results())


async def test_a_run_that_is_continued_after_its_results_are_gone_says_so_and_its_rows_are_asked_again(tmp_path):
    def batch(own):
        return own.batch(MODEL, PROMPTS, engine="server", journal=tmp_path / "j")

    async with make_client(make_app(batch_queue_seconds=1.0, batch_seconds=10.0, file_seconds=3600.0)) as own:
        with anyio.move_on_after(5.0):
            async with batch(own) as results:
                await anext(results)
        await anyio.sleep(7200.0)
        async with batch(own) as results:
            failed = [result async for result in results]
        assert len(failed) == 25
        assert all("has no answer" in str(result.error) for result in failed)
        async with batch(own) as results:
            assert {result.key async for result in results if result.ok} == {key for key, _ in PROMPTS}
