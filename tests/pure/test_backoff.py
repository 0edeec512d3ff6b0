"""The retry decision as a rule: failure classes by method classes, and waits within their bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune import errors
from gemtune.config import RetryPolicy
from gemtune.errors import CallError, Failure, MalformedResponse, QuotaExhausted
from gemtune.protocol import backoff
from gemtune.protocol.call import Effect

POLICY = RetryPolicy()


def failed(failure, cls=CallError, **facts):
    return cls("failed", failure=failure, **facts)


@pytest.mark.parametrize("effect", list(Effect))
@pytest.mark.parametrize(
    ("failure", "extra"),
    [
        (Failure.NOT_SENT, dict.fromkeys(Effect, 4)),
        (Failure.REJECTED, dict.fromkeys(Effect, 4)),
        (Failure.FATAL, dict.fromkeys(Effect, 0)),
        (Failure.AMBIGUOUS, {Effect.READ: 4, Effect.CREATE: 4, Effect.BILLED: 2, Effect.WRITE: 0}),
    ],
)
def test_the_table_of_failures_and_effects(failure, extra, effect):
    assert backoff.extra_attempts(failed(failure), effect, POLICY) == extra[effect]


def test_an_internal_error_is_repeated_twice_and_an_unreadable_reply_once():
    assert backoff.extra_attempts(failed(Failure.AMBIGUOUS, status=500), Effect.READ, POLICY) == 2
    assert backoff.extra_attempts(failed(None, MalformedResponse), Effect.READ, POLICY) == 1
    assert backoff.extra_attempts(failed(None, MalformedResponse), Effect.BILLED, POLICY) == 1


@given(st.sampled_from(Failure), st.sampled_from(Effect), st.integers(1, 9))
def test_one_attempt_in_the_policy_means_no_retry_at_all(failure, effect, attempts):
    assert backoff.extra_attempts(failed(failure), effect, RetryPolicy(attempts=1)) == 0
    assert backoff.extra_attempts(failed(failure), effect, RetryPolicy(attempts=attempts)) < attempts


@given(
    st.sampled_from([Failure.NOT_SENT, Failure.REJECTED, Failure.AMBIGUOUS]),
    st.integers(1, 10**6),
    st.floats(0, 1, exclude_max=True),
    st.one_of(st.none(), st.floats(0, 60)),
    st.floats(0.01, 10),
    st.floats(10, 100),
)
def test_a_wait_is_never_before_the_hint_and_never_far_beyond_it(failure, failures, dice, hint, initial, maximum):
    policy = RetryPolicy(initial=initial, maximum=maximum)
    wait = backoff.delay(failed(failure, retry_after=hint), failures, policy, dice)
    assert 0 <= wait <= max(maximum, hint or 0) + 5
    if hint is not None:
        assert wait >= hint


def test_full_jitter_spreads_over_the_whole_range_also_at_the_cap():
    waits = {backoff.delay(failed(Failure.REJECTED), 50, POLICY, dice / 100) for dice in range(100)}
    assert len(waits) == 100
    assert min(waits) == 0.0
    assert max(waits) == pytest.approx(9.9)


def test_a_quota_per_minute_without_a_hint_waits_half_a_window():
    error = QuotaExhausted("slow down")
    error.scope = "minute"
    assert backoff.delay(error, 1, POLICY, 0.0) == 30.0


def test_a_hint_beyond_the_policy_is_too_long():
    assert backoff.too_long(failed(Failure.REJECTED, retry_after=61.0), POLICY)
    assert not backoff.too_long(failed(Failure.REJECTED, retry_after=60.0), POLICY)
    assert not backoff.too_long(failed(Failure.REJECTED), POLICY)


def test_only_an_ambiguous_write_is_left_to_the_caller():
    ambiguous = errors.ConnectionLost("lost")
    assert backoff.is_ambiguous_write(ambiguous, Effect.WRITE)
    assert not backoff.is_ambiguous_write(ambiguous, Effect.READ)
    assert not backoff.is_ambiguous_write(errors.ConnectFailed("refused"), Effect.WRITE)
