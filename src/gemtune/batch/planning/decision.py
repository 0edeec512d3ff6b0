"""Which engine: a pure function of what each would take and of what the user wants.

An engine *keeps* a bound if its best guess does, *may keep* it if only its low end does, and otherwise *breaks* it.
The server's best guess of its time is the service's own promise of 24 h, because nobody is told more.

===================================  =====================================================================
what is known                        what is chosen
===================================  =====================================================================
neither engine can be used           an error with both reasons
one engine was asked for             it, or an error if it cannot be used or breaks a bound
only one keeps all bounds            that one
both keep all bounds                 ``local`` if it is done within a minute (half of little is not worth a
                                     wait); else with a deadline or a budget ``server``, which costs half;
                                     else ``local`` if it is done within an hour, and ``server`` if not
none keeps all bounds, but one may   that one, ``local`` first as its spending can be stopped, and ``why``
                                     says what may be missed
each breaks a bound                  an error that names the bounds and what each engine would take
===================================  =====================================================================
"""

from __future__ import annotations

from typing import Final, Literal

import attrs

from gemtune.datasets.review.tokens import Interval
from gemtune.errors import InvalidInput
from gemtune.money import amount
from gemtune.remedy import Argument, Remedy
from gemtune.resources.given import EngineName
from gemtune.show.progress import duration

Chosen = Literal["local", "server"]

SOON: Final = 60.0
"""Seconds within which the local engine is taken, although the other costs half."""
WHILE_YOU_WAIT: Final = 3600.0
"""Seconds up to which somebody who has named no deadline is taken to wait."""
_KEEPS, _MAY, _BREAKS = 2, 1, 0


@attrs.frozen(kw_only=True)
class EngineOutlook:
    """What one engine would take.

    Args:
        engine: Which.
        seconds: How long it takes.
        cost: What it costs, or None if there is no price.
        jobs: Batches of the service that it makes; 0 for ``local``.
        limits: The limits that bind, in words.
        assumptions: What was assumed because nobody knows it.
        impossible: Why it cannot be used at all; empty if it can.
    """

    engine: Chosen
    seconds: Interval
    cost: Interval | None = None
    jobs: int = 0
    limits: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    impossible: str = ""


@attrs.frozen
class Decision:
    """Which engine, and why.

    Args:
        engine: Which.
        why: In words.
    """

    engine: Chosen
    why: str


def decide(
    local: EngineOutlook,
    server: EngineOutlook,
    *,
    asked_for: EngineName = "auto",
    deadline: float | None = None,
    budget: float | None = None,
    currency: str = "",
) -> Decision:
    """Choose an engine.

    Args:
        local: What the local engine would take.
        server: What the server engine would take.
        asked_for: The engine that the user named, or ``auto``.
        deadline: Seconds until everything has to be there, or None.
        budget: What may be spent, or None.
        currency: Of the budget.

    Raises:
        InvalidInput: No engine can be used, or none keeps deadline and budget.
    """
    offered = [one for one in (local, server) if asked_for in {"auto", one.engine}]
    usable = [one for one in offered if not one.impossible]
    if not usable:
        raise InvalidInput(f"no engine can be used: {_reasons(offered)}", field="engine")
    kept = {one.engine: min(_time(one, deadline), _money(one, budget)) for one in usable}
    best = [one for one in usable if kept[one.engine] == _KEEPS]
    if len(best) == 2:
        return _both(local, deadline, budget)
    if len(best) == 1:
        return Decision(best[0].engine, _alone(best[0], offered, asked_for, deadline, budget, currency))
    maybe = [one for one in usable if kept[one.engine] == _MAY]
    if maybe:
        one = maybe[0]
        missed = [_missed(one, deadline, budget, currency, _MAY)]
        other = [_missed(each, deadline, budget, currency, _BREAKS) for each in offered if each not in maybe]
        return Decision(one.engine, "; ".join(filter(None, (*missed, *other))))
    bounds = [
        f"a deadline of {duration(deadline)}" if deadline is not None else "",
        f"a budget of {amount(budget)} {currency}".rstrip() if budget is not None else "",
    ]
    tries = "; ".join(_missed(one, deadline, budget, currency, _BREAKS) for one in offered)
    named = [name for name, given in (("deadline", deadline), ("budget", budget)) if given is not None]
    raise InvalidInput(
        f"{' and '.join(filter(None, bounds))} cannot be kept: {tries}",
        *(Remedy("give more with ", Argument(name)) for name in named),
        field=named[0],
    )


def _both(local: EngineOutlook, deadline: float | None, budget: float | None) -> Decision:
    takes = duration(local.seconds.value)
    if local.seconds.value <= SOON:
        return Decision("local", f"it takes about {takes} from here, and half the price of so little is no gain")
    if deadline is not None:
        return Decision("server", f"the service's batches cost half, and their 24 h fit into {duration(deadline)}")
    if budget is not None:
        return Decision("server", "the service's batches cost half, and no deadline was given")
    if local.seconds.value <= WHILE_YOU_WAIT:
        return Decision("local", f"it takes about {takes} from here, and the service's batches may take 24 h")
    return Decision("server", f"it takes about {takes} from here, and the service's batches cost half")


def _alone(
    one: EngineOutlook,
    offered: list[EngineOutlook],
    asked_for: EngineName,
    deadline: float | None,
    budget: float | None,
    currency: str,
) -> str:
    if asked_for != "auto":
        return "it was asked for"
    return "; ".join(_missed(each, deadline, budget, currency, _MAY) for each in offered if each is not one)


def _missed(one: EngineOutlook, deadline: float | None, budget: float | None, currency: str, most: int) -> str:
    """Return in words what an engine misses, or may miss."""
    if one.impossible:
        return f"{one.engine} cannot be used: {one.impossible}"
    said = []
    may = "may take" if most == _MAY else "takes"
    if deadline is not None and _time(one, deadline) <= most:
        low, high = duration(one.seconds.low), duration(one.seconds.high)
        said.append(f"{one.engine} {may} {low} to {high}" if low != high else f"{one.engine} takes {low}")
    if budget is not None and one.cost is not None and _money(one, budget) <= most:
        cost = "may cost" if most == _MAY else "costs"
        said.append(f"{one.engine} {cost} {amount(one.cost.low)} to {amount(one.cost.high)} {currency}".rstrip())
    return " and ".join(said)


def _reasons(offered: list[EngineOutlook]) -> str:
    return "; ".join(f"{one.engine}: {one.impossible}" for one in offered)


def _time(one: EngineOutlook, deadline: float | None) -> int:
    return _kept(one.seconds, deadline)


def _money(one: EngineOutlook, budget: float | None) -> int:
    return _KEEPS if one.cost is None else _kept(one.cost, budget)


def _kept(taken: Interval, bound: float | None) -> int:
    if bound is None or taken.value <= bound:
        return _KEEPS
    return _MAY if taken.low <= bound else _BREAKS
