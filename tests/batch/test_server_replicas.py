"""The server engine and a service whose servers do not all know yet what one of them has done."""

import pytest

from gemtune.testing import GeminiEmulator

PROMPTS = [(f"k{number}", f"text {number}") for number in range(20)]


@pytest.mark.parametrize(
    "lag", [{"publish_lag_seconds": 0.3}, {"hidden_reads": 0.5, "seed": 7}], ids=["late", "sometimes hidden"]
)
async def test_a_batch_that_is_not_known_everywhere_yet_is_not_given_up(lag):
    emulator = GeminiEmulator.make(clock="real", **lag)
    async with emulator.client() as client:
        results = await client.batch("gemini-3.7-flash", PROMPTS, engine="server").collect()
    assert {result.key: result.ok for result in results} == dict.fromkeys(dict(PROMPTS), True)
    assert len(emulator.requests.of("models.batchGenerateContent")) == 1
    assert 404 in [request.status for request in emulator.requests.of("batches.get")]
