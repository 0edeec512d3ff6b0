"""What a person sees of a batch: a picture that agrees with its statistics, and stands still once it is over."""

import json

import anyio
import pytest

from batch.service import MODEL, Service, envelope

pytestmark = pytest.mark.usefixtures("virtual_time")


@pytest.mark.both_backends
async def test_a_batch_has_a_picture_before_during_and_after_its_run():
    service = Service()
    service.steps["p3"].append(envelope(400, "INVALID_ARGUMENT", "too hot"))
    async with service.client() as client:
        batch = client.batch(MODEL, [f"p{n}" for n in range(10)], concurrency=2)
        before = batch.picture()
        assert (before.done, before.total, before.share, before.ended) == (0, 10, 0.0, False)
        assert before.title == MODEL.rpartition("/")[2]
        async with batch as results:
            await anext(results)
            during = batch.picture()
            assert 0 < during.done < 10
            assert during.held_back == batch.statistics().limit
            assert "answered" in batch._repr_mimebundle_()["text/plain"]
            async for _ in results:
                pass
            after = batch.picture()
        await anyio.sleep(100)
        assert batch.picture() == after, "what is over takes no more time"
    assert (after.done, after.failed, after.share, after.ended, after.held_back) == (9, 1, 1.0, True, "")
    assert after.tokens == 9 * 8
    assert json.loads(json.dumps(after.to_dict()))["share"] == 1.0


async def test_the_picture_of_a_batch_that_was_left_says_that_it_is_over():
    service = Service()
    async with service.client() as client:
        async with client.batch(MODEL, [f"p{n}" for n in range(10)], concurrency=1) as results:
            await anext(results)
        assert results.picture().ended
        assert "ended" in results._repr_mimebundle_(include={"text/html"})["text/html"]
