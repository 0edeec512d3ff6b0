"""One quota for all actors of a cluster: a Ray actor with the book of leases, and the handle to it."""

from __future__ import annotations

import random
import time
from typing import Any, Final, Literal

import attrs
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import ray
from gemtune import checks, errors
from gemtune.config import BatchPolicy
from gemtune.limiter.leases import Lease, LeaseBook, LeaseReport

_NAMESPACE: Final = "gemtune"


@attrs.frozen(kw_only=True)
class QuotaStatistics:
    """How a shared quota is doing.

    Args:
        limit: Requests that may be in flight on all machines together.
        held: Permits that the actors hold of them.
        in_flight: Requests in flight, as of the latest reports.
        holders: Actors that hold a lease.
        renewals: Reports so far: the traffic of the quota.
        accepted: Requests that were answered.
        rejected: Requests refused as too many (429, 503).
        cuts: How often the concurrency was cut for all.
    """

    limit: int
    held: int
    in_flight: int
    holders: int
    renewals: int
    accepted: int
    rejected: int
    cuts: int


class QuotaKeeper:
    """The actor: it owns the book, and its clock."""

    def __init__(
        self, concurrency: int | Literal["auto"], rpm: float | None, tpm: float | None, policy: BatchPolicy
    ) -> None:
        self._book = LeaseBook.over(concurrency, policy, random.random)
        self._renewals = 0
        for name, most_per_minute in (("rpm", rpm), ("tpm", tpm)):
            if most_per_minute is not None:
                self._book.set_ceiling(name, most_per_minute)

    def renew(self, name: str, report: LeaseReport) -> Lease:
        """Take in a report, and return the next lease."""
        self._renewals += 1
        return self._book.renew(name, report, time.monotonic(), time.time())

    def leave(self, name: str, report: LeaseReport) -> None:
        """Take in the last report of a block."""
        self._renewals += 1
        self._book.leave(name, report, time.monotonic(), time.time())

    def statistics(self) -> QuotaStatistics:
        """Return how it is doing."""
        control = self._book.control
        return QuotaStatistics(
            limit=control.allowed,
            held=self._book.held,
            in_flight=control.in_flight,
            holders=len(self._book.holders),
            renewals=self._renewals,
            accepted=control.counts.accepted,
            rejected=control.counts.rejected,
            cuts=control.adaptive.cuts,
        )


class Quota:
    """One quota that all actors of a cluster share: give it to every ``ask`` and ``Asker`` that the quota is for.

    It is an actor that needs no CPU, on the node where you make it. It lives as long as something refers to it; with a
    ``name`` until ``close()``, and every program on the cluster that makes a ``Quota`` of that name shares it, with
    the numbers that it was first made with.

    Args:
        concurrency: Requests in flight on all machines together: a number, or ``auto`` to find out how many the service
            takes.
        rpm: Most requests in any 60 s, all machines together; None for no limit of your own.
        tpm: Most input tokens in any 60 s.
        policy: How patiently a busy service is treated.
        name: A name to share it under.

    Raises:
        SettingsError: A value is not positive.

    Example:
        >>> quota = Quota(rpm=4_000, tpm=4_000_000)
        >>> answers = ask(dataset, "gemini-2.5-flash", quota=quota)
    """

    def __init__(
        self,
        *,
        concurrency: int | Literal["auto"] = "auto",
        rpm: float | None = None,
        tpm: float | None = None,
        policy: BatchPolicy | None = None,
        name: str | None = None,
    ) -> None:
        if concurrency != "auto":
            checks.whole("concurrency", concurrency, error=errors.SettingsError)
        for meter, most in (("rpm", rpm), ("tpm", tpm)):
            if most is not None:
                checks.number(meter, most, error=errors.SettingsError)
        options: dict[str, Any] = {"num_cpus": 0, "max_restarts": 0}
        if name is not None:
            options |= {"name": name, "namespace": _NAMESPACE, "get_if_exists": True, "lifetime": "detached"}
        if not ray.is_initialized():
            ray.init()
        # On the driver's node: a run whose driver is gone needs no quota any more.
        here = ray.get_runtime_context().get_node_id()
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(here, soft=True)
        keeper: Any = ray.remote(QuotaKeeper).options(**options)
        self._actor = keeper.remote(concurrency, rpm, tpm, policy or BatchPolicy())

    async def renew(self, name: str, report: LeaseReport) -> Lease:
        """Hand a report in, and return the next lease; an ``Asker`` does."""
        lease: Lease = await self._actor.renew.remote(name, report)
        return lease

    def leave(self, name: str, report: LeaseReport) -> None:
        """Hand the last report in, without waiting; an ``Asker`` does."""
        self._actor.leave.remote(name, report)

    def statistics(self) -> QuotaStatistics:
        """Return how it is doing; asks the actor, so call it outside of an event loop."""
        found: QuotaStatistics = ray.get(self._actor.statistics.remote())
        return found

    def close(self) -> None:
        """End the actor. What still uses it stops with an error."""
        ray.kill(self._actor)
