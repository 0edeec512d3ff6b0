"""One remote call: retry( permit -> token -> send -> decode ).

Retry is outermost, so that no permit is held while backing off and every attempt gets a fresh token. An id chosen by
the client is made before, once, and so is the same on every attempt.
"""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

import anyio
import anyio.to_thread
import attrs

from gemtune import checks, errors
from gemtune.config import RetryPolicy, Timeouts
from gemtune.errors import CallError, Failure
from gemtune.http.auth.credentials import Credentials
from gemtune.http.engines.body import Reply
from gemtune.http.permits import Permits, permitted, permitted_stream
from gemtune.http.retry import Retrier, RetryBudget
from gemtune.http.wire import StreamReply, Wire
from gemtune.loops import current_time
from gemtune.protocol import backoff, status
from gemtune.protocol.call import Call, Effect
from gemtune.protocol.codec import loads
from gemtune.remedy import Argument, ClientCall, Remedy
from gemtune.settings import Secret

T = TypeVar("T")

_LARGE = 256 * 1024
"""Bytes of a body above which it is decoded in a worker thread, so that the event loop goes on turning."""
Recover = Callable[[float], Awaitable[T | None]]
"""Looks up, within so many seconds, whether a creation happened: the result it would have had, or None."""


def user_agent(version: str, suffix: str | None) -> str:
    """Return the value of the ``user-agent`` and ``x-goog-api-client`` headers.

    Raises:
        SettingsError: The suffix cannot stand in a header.
    """
    if suffix is not None and not (isinstance(suffix, str) and suffix.isascii() and suffix.isprintable()):
        checks.refuse("user_agent_suffix", "a string of printable ASCII", suffix, error=errors.SettingsError)
    agent = f"gemtune/{version} gl-python/{platform.python_version()}"
    return f"{agent} {suffix}" if suffix else agent


@attrs.frozen(kw_only=True)
class Statistics:
    """What a client has done so far.

    Args:
        calls: Calls begun.
        requests: Requests sent, repeats included.
        failed: Calls that ended with an error.
        retry_budget: Tokens left for retries.
        connections: Connections open at present, in use and idle.
    """

    calls: int
    requests: int
    failed: int
    retry_budget: int
    connections: int


@attrs.define(eq=False)
class Caller:
    """Carries out calls over one wire with one credential.

    Args:
        wire: The I/O seam.
        credentials: Where the authorization headers come from.
        timeouts: How long to wait, unless a call says otherwise.
        retry: How often to try, unless a call says otherwise.
        agent: The user-agent text.
        limiter: Where generate calls get a permit for each attempt, if anywhere.
    """

    wire: Wire
    credentials: Credentials
    timeouts: Timeouts
    retry: RetryPolicy
    agent: str
    limiter: Permits | None = None
    budget: RetryBudget = attrs.field(init=False)
    calls: int = attrs.field(default=0, init=False)
    requests: int = attrs.field(default=0, init=False)
    failed: int = attrs.field(default=0, init=False)
    _plain: tuple[tuple[str, str], ...] = attrs.field(init=False, repr=False)
    _json: tuple[tuple[str, str], ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Prepare what is the same in every request."""
        self.budget = RetryBudget(self.retry.budget)
        self._plain = (("user-agent", self.agent), ("x-goog-api-client", self.agent))
        self._json = (*self._plain, ("content-type", "application/json"))

    async def call(
        self,
        call: Call[T],
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        recover: Recover[T] | None = None,
    ) -> T:
        """Carry out one call.

        Args:
            call: What to send and how to read the reply.
            timeout: Seconds for the whole call with all attempts and waits.
            retry: Another policy for this call alone.
            recover: For creations: looks up whether an earlier, ambiguous attempt created the thing.

        Raises:
            CallError: What went wrong, with the attempts counted.
        """
        self.calls += 1
        policy = self._policy(retry)
        attempt_timeout, deadline = self._times(call, timeout)
        # Nearly all calls succeed at once, and pay for nothing that only a failure needs.
        try:
            result = await self.attempt(call, attempt_timeout, deadline)
        except CallError as error:
            first = error
        else:
            self.budget.give()
            return result
        attempts = _Attempts(self, call, attempt_timeout, deadline, recover)
        attempts.learn(first)
        try:
            return await self._retrier(call, policy, deadline).after(first, attempts.next)
        except CallError as error:
            found = await attempts.last_look()
            if found is not None:
                return found
            self.failed += 1
            raise _final(error, call, deadline, ambiguous=attempts.may_exist) from None

    async def open(
        self, call: Call[T], *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> StreamReply:
        """Open a streamed reply; failures before its first byte are retried like those of a call."""
        self.calls += 1
        policy = self._policy(retry)
        attempt_timeout, deadline = self._times(call, timeout)

        async def attempt() -> StreamReply:
            opened = partial(self._opened, call, attempt_timeout, deadline)
            if self.limiter is None:
                return await opened()
            return await permitted_stream(self.limiter, len(call.body or b""), deadline, opened)

        try:
            opened = await attempt()
        except CallError as error:
            first = error
        else:
            self.budget.give()
            return opened
        try:
            return await self._retrier(call, policy, deadline).after(first, attempt)
        except CallError as error:
            self.failed += 1
            raise _final(error, call, deadline, ambiguous=False) from None

    def _policy(self, retry: RetryPolicy | None) -> RetryPolicy:
        if retry is None:
            return self.retry
        return checks.instance("retry", retry, RetryPolicy, "a RetryPolicy")

    def _retrier(self, call: Call[T], policy: RetryPolicy, deadline: float) -> Retrier:
        what = f"{call.method} {call.resource}" if call.resource else call.method
        return Retrier(call.effect, policy, self.budget, deadline, what)

    def _times(self, call: Call[T], timeout: float | None) -> tuple[float, float]:
        limit = self.timeouts.generate if call.generates else self.timeouts.call
        if timeout is None:
            timeout = self.timeouts.total or limit * (2 if call.generates else 3)
        else:
            checks.seconds("timeout", timeout, below=_LONGEST)
        return min(limit, timeout), current_time() + timeout

    def attempt(self, call: Call[T], attempt_timeout: float, deadline: float) -> Awaitable[T]:
        """Make one attempt, with a permit where there is a limiter."""
        if self.limiter is None or not call.generates:
            return self._exchange(call, attempt_timeout, deadline)
        exchange = partial(self._exchange, call, attempt_timeout, deadline)
        return permitted(self.limiter, len(call.body or b""), deadline, exchange)

    async def _exchange(self, call: Call[T], attempt_timeout: float, deadline: float) -> T:
        """Make one attempt; a refused bearer token is refreshed once and the attempt replayed, uncounted."""
        generation, headers = await self._headers(call, deadline)
        reply = await self._sent(call, headers, attempt_timeout, deadline)
        if reply.status == 401 and await self.credentials.renew(generation):
            _, headers = await self._headers(call, deadline)
            reply = await self._sent(call, headers, attempt_timeout, deadline)
        if 200 <= reply.status < 300:
            if len(reply.body) > _LARGE:
                return await anyio.to_thread.run_sync(_read, call, reply)
            return _read(call, reply)
        raise self._error(call, reply, headers)

    async def _opened(self, call: Call[T], attempt_timeout: float, deadline: float) -> StreamReply:
        for again in (True, False):
            generation, headers = await self._headers(call, deadline)
            self.requests += 1
            reply = await self.wire.open(
                call.verb,
                call.target,
                headers,
                call.body,
                timeout=_left(call, attempt_timeout, deadline),
                idle=self.timeouts.generate,
            )
            if 200 <= reply.status < 300:
                return reply
            try:
                answer = Reply(reply.status, reply.headers, await reply.read_all(1 << 16))
            finally:
                await reply.aclose()
            if again and reply.status == 401 and await self.credentials.renew(generation):
                continue
            raise self._error(call, answer, headers)
        raise AssertionError("unreachable")

    async def _headers(self, call: Call[T], deadline: float) -> tuple[int, tuple[tuple[str, str], ...]]:
        plain = self._plain if call.body is None else self._json
        ready = self.credentials.ready()
        if ready is None:
            try:
                with anyio.fail_after(deadline - current_time()):
                    ready = await self.credentials.obtain()
            except TimeoutError:
                raise _late(call, "no access token was obtained in time", Failure.NOT_SENT) from None
        return ready.generation, (*plain, *ready.headers)

    def _sent(
        self, call: Call[T], headers: tuple[tuple[str, str], ...], attempt_timeout: float, deadline: float
    ) -> Awaitable[Reply]:
        self.requests += 1
        return self.wire.send(
            call.verb, call.target, headers, call.body, timeout=_left(call, attempt_timeout, deadline)
        )

    def _error(self, call: Call[T], reply: Reply, headers: tuple[tuple[str, str], ...]) -> CallError:
        try:
            payload: object = loads(reply.body)
        except errors.MalformedResponse:
            payload = None
        return status.error_from_reply(
            reply.status,
            reply.headers,
            payload,
            text="" if payload is not None else reply.body[:65536].decode("utf-8", "replace"),
            resource=call.resource,
            method=call.method,
            secrets=[Secret(value.removeprefix("Bearer ")) for key, value in headers if key in _SECRET_HEADERS],
        )

    def statistics(self) -> Statistics:
        """Return what was done so far."""
        return Statistics(
            calls=self.calls,
            requests=self.requests,
            failed=self.failed,
            retry_budget=self.budget.left,
            connections=self.wire.statistics().connections,
        )


# A hundred years: more than that is a mistake, and beyond what a float can hold.
_LONGEST = 100 * 366 * 86400
_SECRET_HEADERS = frozenset({"authorization", "x-goog-api-key"})


@attrs.define(eq=False)
class _Attempts(Generic[T]):
    """The attempts of one call, with what is known of a creation's fate between them."""

    caller: Caller
    call: Call[T]
    timeout: float
    deadline: float
    recover: Recover[T] | None
    may_exist: bool = False
    """An attempt may have created it, and no look since has told."""
    arrived: bool = False
    """An attempt came before the service, so that a thing found, or a refusal as a duplicate, is its doing."""

    async def next(self) -> T:
        """Look up what an ambiguous attempt did, and only if it did nothing, send again."""
        if self.may_exist:
            found = await self._look()
            if found is not None:
                return found
            self.may_exist = False
        try:
            return await self.caller.attempt(self.call, self.timeout, self.deadline)
        except errors.AlreadyExists:
            if self.recover is None or not self.arrived:
                raise
            self.may_exist = True
            found = await self._look()
            if found is None:
                raise
            return found
        except CallError as error:
            self.learn(error)
            raise

    def learn(self, error: CallError) -> None:
        """Take from an attempt's failure what it tells of a creation's fate."""
        if self.recover is not None and error.failure is Failure.AMBIGUOUS:
            self.may_exist = True
        # Who answers that it is unavailable says that it did not act; a look at the end costs little.
        self.arrived = self.arrived or self.may_exist or isinstance(error, errors.Unavailable)

    async def last_look(self) -> T | None:
        """Before a creation is given up: look once whether it happened after all."""
        if not self.arrived or current_time() >= self.deadline:
            return None
        try:
            return await self._look()
        except CallError:
            return None

    async def _look(self) -> T | None:
        if self.recover is None:
            return None
        return await self.recover(_left(self.call, self.timeout, self.deadline))


def _left(call: Call[T], attempt_timeout: float, deadline: float) -> float:
    left = deadline - current_time()
    if left <= 0:
        raise _late(call, "no time was left", Failure.NOT_SENT)
    return min(attempt_timeout, left)


def _late(call: Call[T], why: str, failure: Failure) -> errors.DeadlineExceeded:
    return errors.DeadlineExceeded(f"{call.method}: {why}", resource=call.resource, failure=failure)


def _read(call: Call[T], reply: Reply) -> T:
    try:
        if not reply.body:
            raise errors.MalformedResponse("the body is empty")
        return call.decode(loads(reply.body))
    except errors.MalformedResponse as error:
        kind = status.clean(reply.headers.get("content-type", "none"), limit=100)
        about = f" for {call.resource}" if call.resource else ""
        raise errors.MalformedResponse(
            f"{call.method}{about}: the reply (HTTP {reply.status}, content type {kind}) could not be read: "
            f"{error.message}",
            status=reply.status,
            resource=call.resource,
        ) from None


def _final(error: CallError, call: Call[T], deadline: float, *, ambiguous: bool) -> CallError:
    """Add what the call knows to the last failure, and say so where nobody can know what happened."""
    if error.resource is None:
        error.resource = call.resource
    if isinstance(error, errors.ConnectFailed) and error.reason == "timeout" and current_time() >= deadline:
        # It was the caller's own time that ended, not the ten seconds that a connection may take.
        late = _late(call, f"the time allowed was over before a connection was made ({error.message})", error.failure)
        late.attempts = error.attempts
        return late
    write = backoff.is_ambiguous_write(error, call.effect)
    if not write and not (call.effect is Effect.CREATE and ambiguous):
        return error
    about = call.resource or call.method
    named = error.message if error.message.startswith(call.method) else f"{call.method} for {about}: {error.message}"
    if call.effect is not Effect.CREATE:
        return errors.AmbiguousOutcome.after(
            error, f"{named}; it may have been carried out", Remedy("read the resource before you repeat it")
        )
    return errors.AmbiguousOutcome.after(
        error,
        f"{named}; it may have been created",
        Remedy("look with ", ClientCall("tuned_models.get", about)),
        Remedy("tune again with the same ", Argument("tuned_model_id"), " and ", Argument("if_exists", "adopt")),
    )
