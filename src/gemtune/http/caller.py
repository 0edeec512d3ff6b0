"""One remote call: retry( permit -> token -> send -> decode ).

The order is the design. Retry is outermost, so that no permit is held while backing off and every attempt gets a fresh
token. The permit comes before the token, because a call may wait for it longer than a token lives. What is the same on
every attempt, an id chosen by the client above all, is made before, once.

Nothing here knows what a call is for. Who must do something between two attempts (a creation looks whether the first
one created the thing after all) wraps ``attempt`` and hands the wrapper to ``repeat``.

Nearly all calls succeed at the first attempt. That one is made plainly, and tenacity's machinery, which costs about as
much as everything else here together, is set up only once an attempt has failed.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

import anyio
import anyio.to_thread
import attrs

from gemtune import checks, errors
from gemtune.config import RetryPolicy, Timeouts
from gemtune.errors import CallError, Failure
from gemtune.http.auth.credentials import Credentials
from gemtune.http.engines.body import Reply
from gemtune.http.observer import CallObserver, CallWatch
from gemtune.http.observing import observed
from gemtune.http.permits import permitted
from gemtune.http.reading import LONGEST_ERROR, Headers, error_of, error_within, value_of
from gemtune.http.retry import Retrier, RetryBudget
from gemtune.http.seen import logged
from gemtune.http.stream import Begin, StreamReply
from gemtune.http.wire import Wire
from gemtune.http.wires import Wires
from gemtune.limiter.limiter import Limiter
from gemtune.loops import current_time
from gemtune.protocol import backoff
from gemtune.protocol.call import Call, Effect
from gemtune.remedy import Remedy

T = TypeVar("T")

LARGE = 64 * 1024
"""Bytes of a body above which a worker thread decodes it, as the event loop would serve nobody else meanwhile: a
megabyte takes 10 ms as one long text, and 200 ms in a hundred thousand small parts."""
_REPEATABLE = frozenset({Effect.READ, Effect.BILLED})
"""What may be sent again at once if a kept-alive connection turns out to be dead."""
_LONGEST = 100 * 366 * 86400
"""A hundred years in seconds: more than that is a mistake, and beyond what some timers can hold."""


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
        queued: Creations of jobs that wait for a place at present (``queue=True`` on Vertex AI).
    """

    calls: int
    requests: int
    failed: int
    retry_budget: int
    connections: int
    queued: int = 0


@attrs.define
class Tally:
    """What was done so far; a caller and its variants count together."""

    calls: int = 0
    requests: int = 0
    failed: int = 0
    queued: int = 0


@attrs.define(eq=False)
class TimeLimit:
    """The time that a call has, and how often it was attempted in it.

    Args:
        attempt: Seconds for one attempt.
        deadline: The time of ``anyio.current_time`` at which the call must be done, with all attempts and waits.
        method: The call's method, for the message once there is no time.
        resource: What it is about.
        attempts: Attempts begun.
    """

    attempt: float
    deadline: float
    method: str
    resource: str | None
    attempts: int = attrs.field(default=0, init=False)

    def left(self) -> float:
        """Return the seconds for the next attempt.

        Raises:
            DeadlineExceeded: There are none; nothing was sent.
        """
        left = self.deadline - current_time()
        if left <= 0:
            raise self.late("no time was left", Failure.NOT_SENT)
        return min(self.attempt, left)

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return current_time() >= self.deadline

    def late(self, why: str, failure: Failure) -> errors.DeadlineExceeded:
        """Return the error of a call whose time has run out."""
        return errors.DeadlineExceeded(f"{self.method}: {why}", resource=self.resource, failure=failure)


Attempt: TypeAlias = Callable[[Call[Any], TimeLimit], Awaitable[T]]
"""Makes one attempt of a call."""


@attrs.define(eq=False)
class Caller:
    """Carries out calls over a client's wires with one credential.

    Args:
        wires: The I/O seam: a wire for each address.
        credentials: Where the authorization headers come from.
        timeouts: How long to wait, unless a call says otherwise.
        retry: How often to try, unless a call says otherwise.
        agent: The user-agent text.
        limiter: Gives a permit for each attempt of a generate call; None sends without.
        extra: Headers of the user's own.
        observer: Is told how calls go; None for nobody, which costs nothing.
        budget: The tokens for retries.
        tally: The counts of calls and requests.
    """

    wires: Wires
    credentials: Credentials
    timeouts: Timeouts
    retry: RetryPolicy
    agent: str
    limiter: Limiter | None = None
    extra: Headers = attrs.field(default=(), repr=False)
    observer: CallObserver | None = attrs.field(default=None, repr=False)
    budget: RetryBudget = attrs.field(
        default=attrs.Factory(lambda self: RetryBudget(self.retry.budget), takes_self=True), kw_only=True
    )
    tally: Tally = attrs.field(factory=Tally, kw_only=True)
    wire: Wire = attrs.field(init=False)
    """The wire to the base URL, at hand for the calls that name no other address."""
    _plain: Headers = attrs.field(init=False, repr=False)
    _json: Headers = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.wire = self.wires.main
        self._plain = (("user-agent", self.agent), ("x-goog-api-client", self.agent), *self.extra)
        self._json = (*self._plain, ("content-type", "application/json"))

    def without_limiter(self) -> Caller:
        """Return the same caller for somebody who holds a permit already when it calls."""
        return attrs.evolve(self, limiter=None)

    def call(self, call: Call[T], *, timeout: float | None = None, retry: RetryPolicy | None = None) -> Awaitable[T]:
        """Carry out one call.

        Args:
            call: What to send and how to read the reply.
            timeout: Seconds for the whole call with all attempts and waits.
            retry: Another policy for this call alone.

        Raises:
            CallError: What went wrong, with the attempts counted.
        """
        return self.repeat(call, None, timeout=timeout, retry=retry)

    def open(
        self, call: Call[Any], begin: Begin, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> Awaitable[StreamReply]:
        """Open a streamed reply and read its beginning; failures until then are retried like those of a call.

        Args:
            call: What to send.
            begin: Reads what must have arrived for the attempt to have succeeded.
            timeout: Seconds for the whole stream; by default ``Timeouts.total``, or no end but that of a silence.
            retry: Another policy for this call alone.
        """
        whole = self.timeouts.total if timeout is None else timeout
        return self.repeat(call, partial(self._open, begin, whole is not None), timeout=timeout, retry=retry)

    def repeat(
        self, call: Call[Any], attempt: Attempt[T] | None, *, timeout: float | None, retry: RetryPolicy | None
    ) -> Awaitable[T]:
        """Carry out one call by as many attempts as the rules allow.

        Args:
            call: What to send.
            attempt: Makes one attempt; None for the plain one, which is then no object that every call keeps.
            timeout: As for ``call``.
            retry: As for ``call``.

        Raises:
            CallError: The last attempt's failure.
        """
        watch = None if self.observer is None else self.observer.begun(call)
        repeated: Awaitable[T] = self._repeat(call, attempt, timeout, retry, watch)
        return repeated if watch is None else observed(watch, repeated)

    async def _repeat(
        self,
        call: Call[Any],
        attempt: Attempt[T] | None,
        timeout: float | None,
        retry: RetryPolicy | None,
        watch: CallWatch | None,
    ) -> T:
        self.tally.calls += 1
        # Wrong arguments raise before anything is sent, and are not counted as failures of the service.
        policy = self.retry if retry is None else checks.instance("retry", retry, RetryPolicy, "a RetryPolicy")
        time = self._time_limit(call, timeout)
        try:
            result: T = await (attempt or self.attempt)(call, time)
        except CallError as error:
            first = error
        else:
            self.budget.give()
            return result
        # Out here the first failure is not the context of everything that follows.
        what = f"{call.method} {call.resource}" if call.resource else call.method
        retrier = Retrier(call.effect, policy, self.budget, time.deadline, what, watch)
        try:
            return await retrier.after(first, partial(attempt or self.attempt, call, time))
        except CallError as error:
            self.tally.failed += 1
            # What the attempts before it met is in the log; a chain of them would show the same frames many times.
            raise _final(error, call, time) from None

    def _time_limit(self, call: Call[Any], timeout: float | None) -> TimeLimit:
        slow = call.generates or call.bulky
        limit = self.timeouts.generate if slow else self.timeouts.call
        if timeout is None:
            # Room for one attempt that hangs until its limit and one more, or two more if attempts are short.
            timeout = self.timeouts.total or limit * (2 if slow else 3)
        else:
            checks.seconds("timeout", timeout, below=_LONGEST)
        return TimeLimit(min(limit, timeout), current_time() + timeout, call.method, call.resource)

    def attempt(self, call: Call[T], time: TimeLimit) -> Awaitable[T]:
        """Make one attempt, with a permit if there is a limiter and the call generates."""
        if self.limiter is None or not call.generates:
            return self._exchange(call, time, streamed=False)
        exchange = partial(self._exchange, call, time, streamed=False)
        return permitted(self.limiter, len(call.body or b""), time.deadline, exchange)

    def head(self, call: Call[Any], time: TimeLimit) -> Awaitable[StreamReply]:
        """Make one attempt without a permit, and return the reply unread; whoever reads it closes it."""
        return self._exchange(call, time, streamed=True)

    def _open(self, begin: Begin, limited: bool, call: Call[Any], time: TimeLimit) -> Awaitable[StreamReply]:
        async def opened() -> StreamReply:
            reply = await self.head(call, time)
            # A head is no answer yet: a service that is overloaded may say so in the first event.
            await reply.begin(begin, time.deadline)
            reply.deadline = time.deadline if limited else math.inf
            return reply

        if self.limiter is None:
            return opened()
        return permitted(self.limiter, len(call.body or b""), time.deadline, opened)

    async def _exchange(self, call: Call[Any], time: TimeLimit, *, streamed: bool) -> Any:
        """Make one attempt: return what the reply holds, or the open reply of a stream.

        If the service refuses the bearer token, the attempt is made again with a new one, once; that is no retry. All
        of an attempt is one coroutine, as a thousand calls in flight would keep a thousand of each.
        """
        generation, headers = await self._headers(call, time)
        time.attempts += 1
        reply: Reply | StreamReply | None
        try:
            reply = await self._sent(call, headers, time, streamed=streamed)
        except errors.ConnectionLost as lost:
            # A kept-alive connection had died: no attempt of the call's, if it may be repeated. The wire has let go of
            # all that were idle beside it, so that this one is new.
            if lost.reason != "stale" or call.effect not in _REPEATABLE:
                raise
            reply = None
        if reply is None:
            reply = await self._sent(call, headers, time, streamed=streamed)
        # A token can be refused before its time: a clock is wrong, a key was rotated. ``renew`` knows which generation
        # was refused, so that a thousand calls that are refused at once fetch one new token.
        if reply.status == 401 and await self.credentials.renew(generation):
            _, headers = await self._headers(call, time)
            reply = await self._sent(call, headers, time, streamed=streamed)
        if not 200 <= reply.status < 300 and reply.status not in call.accepts:
            refusal = cast("Reply", reply)
            if len(refusal.body) > LARGE:
                raise await anyio.to_thread.run_sync(error_of, call, refusal, headers, self.credentials)
            raise error_of(call, refusal, headers, self.credentials)
        if isinstance(reply, StreamReply):
            reply.error_within = partial(error_within, call, reply.headers, headers, self.credentials)
            return reply
        if len(reply.body) > LARGE:
            return await anyio.to_thread.run_sync(value_of, call, reply, headers, self.credentials)
        return value_of(call, reply, headers, self.credentials)

    def _sent(
        self, call: Call[Any], headers: Headers, time: TimeLimit, *, streamed: bool
    ) -> Awaitable[Reply | StreamReply]:
        wire = self.wire if call.origin is None else self.wires.at(call.origin)
        self.tally.requests += 1
        exchange: Awaitable[Reply | StreamReply]
        if streamed:
            exchange = self._head(wire, call, headers, time)
        else:
            exchange = wire.send(call.verb, call.target, headers, call.body, timeout=time.left())
        return logged(call, time.attempts, exchange)

    async def _head(self, wire: Wire, call: Call[Any], headers: Headers, time: TimeLimit) -> StreamReply | Reply:
        """Send and return the head of a reply; a refusal is read whole."""
        idle = self.timeouts.generate
        reply = await wire.open(call.verb, call.target, headers, call.body, timeout=time.left(), idle=idle)
        if 200 <= reply.status < 300:
            return reply
        try:
            return Reply(reply.status, reply.headers, await reply.read_start(LONGEST_ERROR))
        finally:
            await reply.aclose()

    async def _headers(self, call: Call[Any], time: TimeLimit) -> tuple[int, Headers]:
        plain = self._plain if call.body is None else self._json
        if call.headers:
            plain = (*self._plain, *call.headers)
        # A token that is still good is had without awaiting, which is nearly always.
        ready = self.credentials.ready()
        if ready is None:
            try:
                with anyio.fail_after(time.deadline - current_time()):
                    ready = await self.credentials.obtain()
            except TimeoutError:
                raise time.late("no access token was obtained in time", Failure.NOT_SENT) from None
        return ready.generation, (*plain, *ready.headers)

    def statistics(self) -> Statistics:
        """Return what was done so far."""
        return Statistics(
            calls=self.tally.calls,
            requests=self.tally.requests,
            failed=self.tally.failed,
            retry_budget=self.budget.left,
            connections=self.wires.statistics().connections,
            queued=self.tally.queued,
        )


def _final(error: CallError, call: Call[Any], time: TimeLimit) -> CallError:
    """Add what the call knows to the last failure; what a creation may have done is for its maker to say."""
    if error.resource is None:
        error.resource = call.resource  # the wire does not know what a request is about
    if isinstance(error, errors.ConnectFailed) and error.reason == "timeout" and time.over:
        # It was the caller's own time that ended, not the ten seconds that a connection may take.
        late = time.late(f"the time allowed was over before a connection was made ({error.message})", error.failure)
        late.attempts, late.remedies = error.attempts, error.remedies
        return late
    if call.effect is Effect.CREATE or not backoff.is_ambiguous_write(error, call.effect):
        return error
    return errors.AmbiguousOutcome.after(
        error,
        f"{named(error, call)}; it may have been carried out",
        Remedy("read the resource before you repeat it"),
    )


def named(error: CallError, call: Call[Any]) -> str:
    """Return an error's message with the name of the call and of what it was about."""
    if error.message.startswith(call.method):
        return error.message
    return f"{call.method} for {call.resource or call.method}: {error.message}"
