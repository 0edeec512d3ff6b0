"""Reads as a distributed service answers them: late, from a replica that lags, in part, or not at all for a moment.

=========================  ======================================================================================
``publish_lag_seconds``    every read is this far behind
``stale_reads``            this part of the reads is further behind, by up to ``stale_seconds``: what was seen before
                           is gone again, a finished job is running again
``hole_reads``             this part of the reads of a running job lacks three snapshots in ten
``list_gaps``              this part of the entries is missing from a page
``hidden_reads``           this part of the reads is a 404 or 403 for what is there
=========================  ======================================================================================

A client must be right under all of them. Nothing is remembered here: what a read shows follows from the settings and
from its number, so that a run can be repeated. What is over is shown in full by every replica that knows that it is
over: the final state and its snapshots are written together.
"""

from __future__ import annotations

import random

import attrs

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.world.clock import Clock, nanoseconds
from gemtune.emulator.world.face import Replication
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import MethodCall


@attrs.define
class SkewedClock:
    """A clock that is wrong by a number of seconds, as a server's can be."""

    clock: Clock
    skew: float

    def now(self) -> int:
        return self.clock.now() + nanoseconds(self.skew)

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)


@attrs.define
class Replicas:
    """Who answers a read: a replica that is up to date, or one that is not."""

    settings: Settings
    reads: int = attrs.field(default=0, init=False)
    disturbed: int = attrs.field(default=0, init=False)

    def ask(self, call: MethodCall, rules: Replication | None) -> tuple[MethodCall, Thinning | None]:
        """Return the call as the replica sees it that gets it, and what that one leaves out of its reply.

        Raises:
            RpcError: 404 or 403, from a replica that does not know what is asked for.
        """
        settings = self.settings
        if rules is None or call.method not in rules.reads or not settings.replicated:
            return call, None
        self.reads += 1
        # One die per read, thrown from the seed and the number: the same requests meet the same replicas in every run.
        dice = random.Random(f"{settings.seed}/{self.reads}")  # noqa: S311 - an emulator's
        if call.method not in rules.collections and dice.random() < settings.hidden_reads:
            self.disturbed += 1
            raise rules.hidden(call, settings.hidden_status)
        behind = settings.publish_lag_seconds
        if dice.random() < settings.stale_reads:
            self.disturbed += 1
            behind += dice.uniform(0, settings.stale_seconds)
        # A job is a function of time, so that to lag is to be asked at an earlier time.
        return attrs.evolve(call, now=call.now - nanoseconds(behind)), Thinning(self, rules, dice)


@attrs.frozen
class Thinning:
    """What one replica lacks of one reply."""

    replicas: Replicas
    rules: Replication
    dice: random.Random

    def show(self, value: Value | list[Value]) -> Value | list[Value]:
        """Return the reply without what the replica lacks; a stream lacks nothing."""
        if isinstance(value, list):
            return value
        gaps = self.replicas.settings.list_gaps
        for name in self.rules.lists:
            if name in value:
                listed = _items(value[name])
                for item in listed:
                    self._leave_holes(item)
                value[name] = [item for item in listed if self.dice.random() >= gaps]
        self._leave_holes(value)
        return value

    def _leave_holes(self, entry: Value) -> None:
        for holder in self.rules.running(entry):
            if self.dice.random() < self.replicas.settings.hole_reads:
                self.replicas.disturbed += 1
                holder["snapshots"] = [each for each in _items(holder.get("snapshots")) if self.dice.random() < 0.7]


def _items(value: object) -> list[Value]:
    return list(value) if isinstance(value, list | tuple) else []
