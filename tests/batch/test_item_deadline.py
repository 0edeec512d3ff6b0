"""An item's own deadline: it costs no request too many, and says nothing about the service."""

import pytest

from batch.service import Service, run
from gemtune import errors


@pytest.mark.both_backends
async def test_items_slower_than_their_deadline_are_asked_once_each_and_make_no_outage(virtual_time):
    service = Service(0.6)
    async with service.client() as client:
        found = await run(client, [f"p{n}" for n in range(40)], item_timeout=0.4, concurrency=20)
    assert len(found) == 40
    assert all(isinstance(one.error, errors.DeadlineExceeded) for one in found)
    assert {one.attempts for one in found} == {1}
    assert set(service.asked.values()) == {1}
    assert virtual_time() == pytest.approx(0.8, abs=0.1)


async def test_a_deadline_says_what_was_met_last_and_how_long_it_was(virtual_time):
    service = Service(5.0)
    async with service.client() as client:
        (late,) = await run(client, ["slow"], item_timeout=2.0)
    assert str(late.error).startswith("the item was not answered within 2 s; the last attempt met: ")
    assert late.seconds == pytest.approx(2.0, abs=0.1)
