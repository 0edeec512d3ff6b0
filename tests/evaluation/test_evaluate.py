"""Models beside each other on held-out rows: who is asked what, and what is made of the answers."""

import pytest

from batch.service import Service

pytestmark = pytest.mark.anyio

ROWS = [("hi", "re: hi"), ("ho", "re: he"), ("ha", "re: ha")]


async def test_every_model_answers_every_row_and_is_compared_with_the_first(virtual_time):
    service = Service()
    async with service.client() as client:
        found = await client.evaluate(["gemini-3.7-flash", "tunedModels/abc"], ROWS)
    assert [each.label for each in found.models] == ["gemini-3.7-flash", "abc"]
    assert found.baseline == "gemini-3.7-flash"
    assert found["abc"].scores["exact_match"].value == pytest.approx(2 / 3)
    assert [row.answers["abc"].text for row in found.rows] == ["re: hi", "re: ho", "re: ha"]
    assert service.asked == {"hi": 2, "ho": 2, "ha": 2}
