"""Jobs that wait for a place: by default a project tunes one model at a time.

The service lets most jobs queue by itself, and says so as the reason of their state. A creation that it refuses for its
quota instead waits here, if its caller wants that. Until it is taken it has a name of ours, made of its label. Whoever
looks at it sends it again, but never more often than every ``SHORTEST`` seconds, and ever less often; nobody who looks,
no request. Once it is taken the name stands for the job, for others as well: the label leads there from every process.

A creation that waits for ``PATIENCE`` seconds in vain has failed, with the service's words. Cancelling it only means
that it is not sent any more.
"""

from __future__ import annotations

import random
import re
from typing import Final

import anyio
import attrs

from gemtune.config import ONCE, RetryPolicy
from gemtune.errors import AmbiguousOutcome, CallError, Failure, NotFound, QuotaExhausted
from gemtune.http.caller import Caller, Tally
from gemtune.remedy import Argument, Remedy
from gemtune.resources.vertex.creation import VertexCreation, jobs_with_label
from gemtune.resources.vertex.labels import LABEL
from gemtune.types.operations import Status
from gemtune.types.vertex import TuningJobPhase, VertexJobState, VertexTuningJob

SHORTEST: Final = 15.0
_LONGEST: Final = 300.0
PATIENCE: Final = 72 * 3600.0
_MOST_NAMES: Final = 10_000
_NAME: Final = re.compile(r"(projects/[^/]+/locations/[^/]+)/tuningJobs/waiting-([a-z0-9]{20})")
_CANCELLED, _EXHAUSTED, _INVALID = 1, 8, 3


def is_waiting(name: str) -> bool:
    """Return whether a name is that of a job that waits, or has waited, for a place."""
    return _NAME.fullmatch(name) is not None


@attrs.define(eq=False)
class _Creation:
    """A creation that waits.

    Args:
        made: How it is sent.
        shown: What it looks like to whoever looks at it.
        since: When it was refused for the first time.
        due: When it may be sent again.
        pause: Seconds between the last two attempts.
    """

    made: VertexCreation
    shown: VertexTuningJob
    since: float
    due: float
    pause: float = SHORTEST
    lock: anyio.Lock = attrs.field(factory=anyio.Lock, init=False)


@attrs.define(eq=False)
class WaitingRoom:
    """The creations of one client that wait, and the jobs that came of them.

    Args:
        caller: Finds jobs by their label.
    """

    caller: Caller
    _waiting: dict[str, _Creation] = attrs.field(factory=dict, init=False)
    _names: dict[str, str] = attrs.field(factory=dict, init=False)

    def enter(self, creation: VertexCreation, name: str, error: QuotaExhausted) -> VertexTuningJob:
        """Let a creation wait that was refused for a quota, and return the job as it looks meanwhile.

        Args:
            creation: The creation.
            name: The name that it has meanwhile.
            error: How it was refused.
        """
        now, before = anyio.current_time(), self._waiting.get(name)
        if before is not None and not before.shown.state.ended:
            return before.shown  # the same id waits already, and the same label is never sent by two
        shown = attrs.evolve(
            creation.job,
            name=name,
            state=VertexJobState.JOB_STATE_QUEUED,
            tuning_job_state=TuningJobPhase.TUNING_JOB_STATE_WAITING_FOR_QUOTA,
        )
        again = attrs.evolve(creation, adopt=True)  # another process may have sent it meanwhile, under the same id
        self._waiting[name] = _Creation(again, shown, now, now + _pause(SHORTEST, error))
        self._tally.queued += 1
        return shown

    async def look(self, name: str) -> VertexTuningJob | str:
        """Send a creation again if it is due; return what it looks like, or the name of the job that has come of it.

        Raises:
            CallError: Nothing could be found out.
        """
        if name in self._names:
            return self._names[name]
        waiting = self._waiting.get(name)
        if waiting is None:
            return await self._find(name)
        async with waiting.lock:  # of several who look, one sends
            if name not in self._names and not waiting.shown.state.ended and anyio.current_time() >= waiting.due:
                await self._send(name, waiting)
        return self._names.get(name, waiting.shown)

    async def leave(self, name: str) -> str | None:
        """Stop sending a creation; return the name of the job if there is one already, which is to be cancelled.

        Raises:
            CallError: Nothing could be found out.
        """
        waiting = self._waiting.get(name)
        if name in self._names or waiting is None:
            seen = await self.look(name)
            return seen if isinstance(seen, str) else None
        async with waiting.lock:
            if name not in self._names and not waiting.shown.state.ended:
                # An attempt that somebody left, or whose answer was lost, may have made a job that runs and costs.
                found = await waiting.made.find(None, None) if waiting.made.doubted else None
                if found is None:
                    self._end(waiting, VertexJobState.JOB_STATE_CANCELLED, Status(code=_CANCELLED, message="CANCELED"))
                else:
                    self._take(name, found)
        return self._names.get(name)

    @property
    def _tally(self) -> Tally:
        return self.caller.tally

    async def _send(self, name: str, waiting: _Creation) -> None:
        try:
            made = await waiting.made.run(timeout=None, retry=ONCE)
        except QuotaExhausted as error:
            now = anyio.current_time()
            if now - waiting.since >= PATIENCE or not may_wait(error):
                self._end(waiting, VertexJobState.JOB_STATE_FAILED, Status(code=_EXHAUSTED, message=error.message))
            waiting.pause = min(waiting.pause * 2, _LONGEST)
            waiting.due = now + _pause(waiting.pause, error)
        except AmbiguousOutcome:
            raise  # the next attempt begins with a search
        except CallError as error:
            waiting.due = anyio.current_time() + _pause(waiting.pause)
            if error.failure is not Failure.FATAL:
                raise
            # It will be refused the same way for ever; but for the quota, that would have been said at once.
            self._end(waiting, VertexJobState.JOB_STATE_FAILED, Status(code=_INVALID, message=error.message))
        else:
            self._take(name, made)

    def _take(self, name: str, made: VertexTuningJob) -> None:
        self._learn(name, made.name)
        self._tally.queued -= 1
        del self._waiting[name]

    def _end(self, waiting: _Creation, state: VertexJobState, error: Status) -> None:
        phase = TuningJobPhase.TUNING_JOB_STATE_UNSPECIFIED
        waiting.shown = attrs.evolve(waiting.shown, state=state, error=error, tuning_job_state=phase)
        self._tally.queued -= 1

    async def _find(self, name: str) -> str:
        return self._learn(name, await taken(self.caller, name))

    def _learn(self, name: str, job: str) -> str:
        """Remember which job has come of a creation; what is forgotten is found by its label again."""
        if len(self._names) >= _MOST_NAMES:
            self._names.pop(next(iter(self._names)))
        self._names[name] = job
        return job


async def taken(caller: Caller, name: str, *, retry: RetryPolicy | None = None) -> str:
    """Return the name of the job that has come of a creation that waited, whoever made it wait.

    Args:
        caller: Looks for its label.
        name: The name that it had meanwhile; that of any other job is returned as it is.
        retry: Another retry policy.

    Raises:
        NotFound: There is no such job (yet).
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return name
    found = await jobs_with_label(caller, match[1], match[2], retry)
    if not found:
        raise NotFound(
            f"{name} has no job: none in {match[1]} has the label {LABEL}={match[2]}, which stands for your own id. "
            "It may wait for a place in another process, or that has gone before there was one",
            Remedy("tune again with the same ", Argument("tuned_model_id"), " and ", Argument("if_exists", "adopt")),
            status=404,
            resource=name,
        )
    return found[0].name


def may_wait(error: QuotaExhausted) -> bool:
    """Return whether there may be a place later: not for a quota of zero, nor before somebody pays."""
    return error.scope not in {"none", "billing"}


def _pause(seconds: float, error: QuotaExhausted | None = None) -> float:
    # Somewhat more by chance, so that those who wait do not all come back at once.
    hint = error.retry_after or 0.0 if error is not None else 0.0
    return max(seconds, hint) * (1.0 + 0.2 * random.random())  # noqa: S311
