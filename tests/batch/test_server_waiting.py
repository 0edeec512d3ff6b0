"""When the server engine asks again, as pure functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune import errors
from gemtune.batch.engines.server.filling import parsed_key, wire_key
from gemtune.batch.engines.server.waiting import next_look, passes, pause


@given(st.floats(0, 1e6), st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
def test_a_batch_is_looked_at_soon_if_it_is_young_and_never_too_often_for_all(age, jobs, dice):
    after = next_look(age, jobs, dice)
    assert 1.8 <= after <= max(60.0, jobs / 2)
    assert jobs / after <= 2 / 0.9 + 1e-9, "more looks a second than all batches together may cost"
    assert next_look(age, jobs, dice) <= next_look(age + 100, jobs, dice)


def quota(scope="minute", retry_after=None):
    error = errors.QuotaExhausted("no", status=429, retry_after=retry_after)
    error.scope = scope
    return error


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (quota(), True), (quota("unknown"), True), (quota("day"), False), (quota("none"), False),
        (errors.Unavailable("x", status=503), True), (errors.ConnectFailed("x"), True),
        (errors.DeadlineExceeded("x"), True), (errors.AmbiguousOutcome("x"), True),
        (errors.MalformedResponse("x"), True),
        (errors.BadRequest("x", status=400), False), (errors.NotFound("x", status=404), False),
        (errors.PermissionDenied("x", status=403), False), (errors.Unauthenticated("x", status=401), False),
    ],
)  # fmt: skip
def test_what_time_heals_is_waited_for_and_nothing_else(error, passing):
    assert passes(error) is passing


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_and_have_an_end_and_what_the_service_asks_for_is_kept(failures, dice):
    assert 22.5 <= pause(quota(), failures, dice) <= 600
    assert 3.75 <= pause(errors.ConnectFailed("x"), failures, dice) <= 300
    assert pause(quota(), failures, dice) <= pause(quota(), failures + 1, dice)
    assert pause(quota(retry_after=1000), failures, dice) == 1000


@given(st.integers(0, 10**15 - 1), st.integers(0, 2**64 - 1))
def test_a_key_that_was_sent_is_read_back(n, digest):
    assert parsed_key(wire_key(n, digest)) == (n, digest)


@pytest.mark.parametrize("key", [None, "", "a", "1", "1-", "1-abc", "-0123456789abcdef", "x-0123456789abcdef",
                                 "1-0123456789abcdeg", "²-0123456789abcdef", "1-0123456789abcdef0"])  # fmt: skip
def test_a_key_that_was_never_sent_is_none(key):
    assert parsed_key(key) is None
