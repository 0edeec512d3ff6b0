"""The only retry of the package: tenacity, driven by RetryPolicy and the pure rules of protocol.backoff.

The first attempt is the caller's own: nearly all succeed, and then tenacity costs nothing. Only after a failure does a
fresh AsyncRetrying take over, one for each call, because shared ones mix up their callers (jd/tenacity#93). All its
hooks are plain functions, and it only ever sees CallError, so that a cancellation is never retried (jd/tenacity#529).

Whether there is another attempt takes four answers: the rules for this failure and effect (``backoff``), the service's
own hint, the call's deadline, and the budget, which is shared by all calls of a client. Retries multiply the load on a
service that is already down; a budget bounds that to a few per cent, whatever the policies of single calls say.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import attrs
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from gemtune.config import RetryPolicy
from gemtune.errors import CallError
from gemtune.http.observer import CallWatch
from gemtune.loops import current_time
from gemtune.protocol import backoff
from gemtune.protocol.call import Effect
from gemtune.protocol.said import unended

T = TypeVar("T")

_log = logging.getLogger("gemtune.http")


@attrs.define(eq=False)
class RetryBudget:
    """Tokens for retries, shared by all calls of a client: a service that is down is not hammered.

    A retry takes 14 tokens, a throttled one 5, a success returns 1: while everything fails, a budget of 500 allows 35
    retries and then none, until calls succeed again (the figures of the AWS standard mode).

    A call's first retry is paid only once it has failed. Two hundred calls that meet one bad second together are no
    outage, and all of them are tried again; in an outage the first retries empty the budget as fast as any others.
    """

    size: int
    left: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.left = self.size

    def take(self, tokens: int) -> bool:
        """Take tokens for one retry, or return False if there are not enough."""
        if self.left < tokens:
            return False
        self.left -= tokens
        return True

    def covers(self, tokens: int) -> bool:
        """Return whether there are so many tokens; none are taken."""
        return self.left >= tokens

    def charge(self, tokens: int) -> None:
        """Take tokens for a retry that has failed, as many of them as there are."""
        self.left = max(0, self.left - tokens)

    def give(self, tokens: int = 1) -> None:
        """Return tokens after a success."""
        self.left = min(self.size, self.left + tokens)


@attrs.define(eq=False)
class Retrier:
    """The retrying of one call.

    Args:
        effect: What repeating the call could do.
        policy: How often and how patiently.
        budget: The client's tokens.
        deadline: The time of ``anyio.current_time`` at which the call must be done.
        what: The method and resource, for the log.
        watch: Is told of each attempt that is followed by another.
        dice: Returns a random number in [0, 1).
    """

    effect: Effect
    policy: RetryPolicy
    budget: RetryBudget
    deadline: float
    what: str
    watch: CallWatch | None = None
    dice: Callable[[], float] = random.random

    async def after(self, first: CallError, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return the result of further attempts, as many as the rules allow.

        Args:
            first: The failure of the first attempt.
            attempt: Makes another one.

        Raises:
            CallError: The last failure, with ``attempts`` counted.
        """
        if not backoff.extra_attempts(first, self.effect, self.policy):
            raise first
        made = 0
        first_cost = backoff.cost(first)

        # tenacity counts the first attempt as well: the failure that is already known stands for it, so that its
        # numbers of attempts and its waits are those of the call.
        async def next_attempt() -> T:
            nonlocal made
            made += 1
            if made == 1:
                raise first
            try:
                return await attempt()
            except CallError:
                if made == 2:
                    self.budget.charge(first_cost)
                raise

        retrying = AsyncRetrying(
            sleep=anyio.sleep,
            retry=retry_if_exception(lambda error: isinstance(error, CallError)),
            wait=self._wait,
            stop=self._stop,
            before_sleep=self._told,
            reraise=True,
        )
        try:
            result: T = await retrying(next_attempt)
        except CallError as error:
            error.attempts = made
            raise
        self.budget.give()
        return result

    def _wait(self, state: RetryCallState) -> float:
        return backoff.delay(_error(state), state.attempt_number, self.policy, self.dice())

    def _stop(self, state: RetryCallState) -> bool:
        error = _error(state)
        if state.attempt_number > backoff.extra_attempts(error, self.effect, self.policy):
            return True
        if backoff.too_long(error, self.policy):
            return self._say(error, f"the service asks for a wait of {error.retry_after:g} s", "max_hint")
        if current_time() + state.upcoming_sleep >= self.deadline:
            return True
        cost = backoff.cost(error)
        if self.budget.covers(cost) if state.attempt_number == 1 else self.budget.take(cost):
            return False
        return self._say(error, "this client's retry budget is used up", "budget")

    def _say(self, error: CallError, why: str, setting: str) -> bool:
        """Add to an error what kept it from being retried, and which setting of the policy that is."""
        limit = f"RetryPolicy.{setting} is {getattr(self.policy, setting):g}"
        fields = self._fields(error) | {"limit": limit}
        _log.warning("%s: not tried again: %s (%s)", self.what, why, limit, extra=fields)
        error.message = f"{unended(error.message)}; it was not tried again: {why} ({limit})"
        return True

    def _told(self, state: RetryCallState) -> None:
        error, attempt, delay = _error(state), state.attempt_number, state.upcoming_sleep
        reason = error.reason or type(error).__name__
        said = "%s: attempt %d failed (%s); trying again in %.1f s"
        fields = self._fields(error) | {"attempt": attempt, "delay": round(delay, 3)}
        _log.warning(said, self.what, attempt, reason, delay, extra=fields)
        if self.watch is not None:
            self.watch.repeated(error, attempt, delay)

    def _fields(self, error: CallError) -> dict[str, object]:
        """Return what the records of a failed attempt say as fields."""
        method, _, resource = self.what.partition(" ")
        return {
            "method": method,
            "resource": resource or None,
            "status": error.status,
            "reason": error.reason or type(error).__name__,
            "request_id": error.request_id,
        }


def _error(state: RetryCallState) -> CallError:
    outcome = state.outcome
    error = outcome.exception() if outcome is not None else None
    if not isinstance(error, CallError):
        raise TypeError("only CallError is retried")
    return error
