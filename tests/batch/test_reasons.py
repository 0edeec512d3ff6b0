"""What a limiter says of itself: whose limit it is that holds the next request back."""

import anyio
import pytest

from gemtune.batch import Limiter
from storm import refused

pytestmark = pytest.mark.usefixtures("virtual_time")


async def held_back(limiter, taken):
    """What is said while one more request waits than may be in flight; then all are let go."""
    permits = [await limiter.acquire() for _ in range(taken)]
    async with anyio.create_task_group() as group:
        group.start_soon(limiter.acquire)
        await anyio.sleep(0.001)
        said = limiter.statistics()
        group.cancel_scope.cancel()
    for permit in permits:
        permit.unsent()
    return said


async def test_a_number_that_was_given_is_yours_and_no_knowledge_of_the_service():
    said = await held_back(Limiter(concurrency=3), 3)
    assert (said.binding, said.reason) == ("concurrency", "3 requests are in flight, as many as you allow")
    limiter = Limiter()
    limiter.limit = 2
    assert (await held_back(limiter, 2)).reason == "2 requests are in flight, as many as you allow"


@pytest.mark.parametrize("ceiling", [2, 256, 1000])
async def test_the_most_that_auto_goes_to_is_named_as_that(ceiling):
    limiter = Limiter(ceiling=ceiling)
    while limiter.limit < ceiling:
        for permit in [await limiter.acquire() for _ in range(limiter.limit)]:
            permit.success(None)
    said = await held_back(limiter, ceiling)
    assert said.reason.startswith(f"{ceiling} requests are in flight, the most that 'auto' goes to")


async def test_what_was_found_out_is_what_the_service_is_known_to_take():
    for limiter in (Limiter(), Limiter(concurrency=40)):
        permits = [await limiter.acquire() for _ in range(limiter.limit)]
        for _ in range(16):
            permits.pop().failed(refused(code=503))
        for permit in permits:
            permit.unsent()
        await anyio.sleep(2.0)
        taken = limiter.limit
        said = await held_back(limiter, taken)
        assert said.reason == f"{taken} requests are in flight, as many as the service is known to take"


@pytest.mark.parametrize(("hint", "left"), [(None, "less than 1 s"), (0.9, "less than 1 s"), (20.0, "20 s")])
async def test_a_pause_is_told_with_its_length_and_not_as_asked_for_where_it_was_not(hint, left):
    limiter = Limiter(dice=lambda: 0.0)
    for permit in [await limiter.acquire() for _ in range(8)]:
        permit.failed(refused(hint=hint))
    said = await held_back(limiter, 0)
    assert (said.binding, said.reason) == ("gate", f"the service is pushing back: everybody pauses, {left} more")
