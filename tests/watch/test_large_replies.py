"""A large reply is decoded beside the event loop, which goes on turning."""

import threading

import httpx
import pytest

import gemtune
from gemtune.protocol import codec

pytestmark = pytest.mark.slow


@pytest.mark.both_backends
@pytest.mark.parametrize(("models", "beside"), [(10, False), (3000, True)])
async def test_only_a_large_body_is_decoded_in_a_thread(models, beside, monkeypatch):
    listed = [{"name": f"tunedModels/job-{number}", "description": "x" * 100} for number in range(models)]
    threads = []
    whole = codec.loads

    def loads(text):
        threads.append(threading.current_thread())
        return whole(text)

    monkeypatch.setattr("gemtune.http.reading.loads", loads)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"tunedModels": listed}))
    async with gemtune.Client(token="t", base_url="http://127.0.0.1", transport=transport) as client:
        assert len(await client.tuned_models.list().all()) == models
    assert (threads[0] is not threading.main_thread()) == beside
