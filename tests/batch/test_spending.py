"""A limit on what is spent in ten minutes: the run pauses as long as that can be the reason, and then says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.service import MODEL, Service, envelope, into, run
from gemtune import errors
from gemtune.batch import read_journal
from gemtune.limiter.pauses import SPENDING_WINDOW, Spending

SPENT = "You have reached the spend-based rate limit of your usage tier."


def spent():
    return envelope(429, "RESOURCE_EXHAUSTED", SPENT)


@pytest.mark.both_backends
async def test_a_run_pauses_until_the_window_has_room_and_then_goes_on(virtual_time):
    service, refused = Service(), []

    def limited():
        if 10 <= virtual_time() < 200:
            refused.append(virtual_time())
            return spent()
        return None

    service.always = limited
    async with service.client() as client, client.batch(MODEL, map(str, range(400)), concurrency=10) as results:
        found, limits = [], set()
        async for result in results:
            found.append(result)
            limits.add(results.limiter.statistics().binding)
    assert [result.index for result in found if not result.ok] == []
    assert len(found) == 400
    assert len(refused) <= 3 * 10  # at 10 s, 70 s and 190 s
    assert 250 <= virtual_time() <= 500


async def test_what_still_refuses_after_ten_minutes_stops_the_run_and_loses_nothing(virtual_time, tmp_path):
    service, found = Service(), []
    service.always = lambda: spent() if virtual_time() >= 5 else None
    options = {"concurrency": 4, "journal": tmp_path / "j", "resume": "rest"}
    async with service.client() as client:
        async with client.batch(MODEL, map(str, range(100)), **options) as results:
            with pytest.raises(errors.BatchStopped, match="spend-based rate limit"):
                await into(found, results)
        assert SPENDING_WINDOW <= virtual_time() <= SPENDING_WINDOW + 30
        assert service.asked.total() <= len(found) + 5 * 4
        service.always = None
        again = await run(client, map(str, range(100)), **options)
    assert sorted(result.index for result in found + again) == list(range(100))
    assert len(list(read_journal(tmp_path / "j"))) == 100


async def test_a_spending_cap_stops_at_once_as_waiting_does_not_lift_it(virtual_time):
    service = Service()
    service.always = lambda: envelope(429, "RESOURCE_EXHAUSTED", "Your project has exceeded its monthly spending cap.")
    async with service.client() as client:
        with pytest.raises(errors.BatchStopped, match="monthly spending cap"):
            await run(client, map(str, range(100)), concurrency=4)
    assert virtual_time() < 5


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.none() | st.floats(0, 900))
def test_pauses_grow_and_end_with_the_window(delays, hint):
    spending, now, pauses = Spending(), 0.0, []
    for delay in delays:
        opens_at = spending.refused(now, now + 0.1, hint)
        if opens_at is None:
            assert now + 0.1 >= SPENDING_WINDOW
            return
        assert opens_at >= now + 0.1 + min(hint or 0, 60)
        assert spending.refused(now, now + 0.2, hint) == opens_at
        pauses.append(opens_at - now)
        now = opens_at + delay
    assert len(pauses) <= 5
    spending.answered(now)
    assert spending.refused(now + 1, now + 2, None) == pytest.approx(now + 2 + 60)
