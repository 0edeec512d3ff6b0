"""Reads as a distributed service answers them: late, from a replica that lags, in part, or not at all for a moment.

Nothing is remembered: what a read shows follows from the settings and the number of the request, so that a run can be
repeated. What is over is shown in full by every replica that knows that it is over.
"""

from __future__ import annotations

import random

from attrs import define, evolve, field

from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import not_found, permission_denied
from gemtune.emulator.world.clock import Clock, nanoseconds
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import Call

_READS = frozenset({
    "tunedModels.get", "tunedModels.list", "tunedModels.operations.get", "tunedModels.operations.list",
})  # fmt: skip


@define
class SkewedClock:
    """A clock that is wrong by a number of seconds, as a server's may be."""

    clock: Clock
    skew: float

    def now(self) -> int:
        return self.clock.now() + nanoseconds(self.skew)

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)


@define
class Replicas:
    """What becomes of reads."""

    settings: Settings
    reads: int = field(default=0, init=False)
    disturbed: int = field(default=0, init=False)

    def ask(self, call: Call) -> tuple[Call, random.Random | None]:
        """The call as the replica sees it that gets it, and its dice; 404 or 403 when that one does not know it."""
        settings = self.settings
        if call.method not in _READS or not settings.replicated:
            return call, None
        self.reads += 1
        dice = random.Random(f"{settings.seed}/{self.reads}")  # noqa: S311 - an emulator's
        if call.method != "tunedModels.list" and dice.random() < settings.hidden_reads:
            self.disturbed += 1
            name = call.params["name"]
            if settings.hidden_status == 404:
                raise not_found(f"{name} does not exist.")
            raise permission_denied(f"You do not have permission to access tuned model {name}")
        behind = settings.publish_lag_seconds
        if dice.random() < settings.stale_reads:
            self.disturbed += 1
            behind += dice.uniform(0, settings.stale_seconds)
        return evolve(call, now=call.now - nanoseconds(behind)), dice

    def show(self, value: Value | list[Value], dice: random.Random | None) -> Value | list[Value]:
        """The reply without what this replica happens to lack; a stream is nothing it could lack."""
        if dice is None or isinstance(value, list):
            return value
        for name in ("tuned_models", "operations"):
            if name in value:
                listed = _items(value[name])
                for item in listed:
                    self._thin(item, dice)
                value[name] = [item for item in listed if dice.random() >= self.settings.list_gaps]
        self._thin(value, dice)
        return value

    def _thin(self, value: Value, dice: random.Random) -> None:
        """Take snapshots out of what is not over."""
        task = value.get("tuning_task") if value.get("state") == "CREATING" else None
        running = value.get("metadata") if not value.get("done") else None
        for holder in (task, running):
            if isinstance(holder, dict) and dice.random() < self.settings.hole_reads:
                self.disturbed += 1
                holder["snapshots"] = [each for each in _items(holder.get("snapshots")) if dice.random() < 0.7]


def _items(value: object) -> list[Value]:
    return list(value) if isinstance(value, list | tuple) else []
