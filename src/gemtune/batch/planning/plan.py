"""The plan of a batch: what it will take, which engine does it, and why."""

from __future__ import annotations

from typing import Any

import attrs

from gemtune.batch.planning.decision import Chosen, EngineOutlook
from gemtune.batch.planning.prices import TokenPrices
from gemtune.datasets.review.tokens import Interval
from gemtune.markup import Displayed, box, escape, facts, line, table
from gemtune.money import estimated
from gemtune.show.progress import duration


@attrs.frozen(kw_only=True, repr=False)
class BatchPlan(Displayed):
    """What a batch will take, before anything is spent; printing it says so, and how it is known.

    Args:
        model: The model.
        engine: Which engine does it: ``local`` or ``server``.
        why: Why that one.
        requests: How many requests there are.
        unaskable: Rows that cannot be asked; each will be a result with its error.
        input_tokens: The tokens of all prompts.
        output_tokens: The tokens of all answers.
        counted: How many prompts the service counted; 0 if all tokens are guessed from characters.
        held: Rows that the journal holds: they are in neither number, and cost nothing.
        outlooks: What each engine would take: local, server.
        assumptions: What was assumed of the input, because nobody knows it.
        prices: The prices.
        deadline: Seconds until everything has to be there, as you gave it.
        budget: What may be spent, as you gave it.
    """

    model: str
    engine: Chosen
    why: str
    requests: int
    unaskable: int
    input_tokens: Interval
    output_tokens: Interval
    counted: int
    outlooks: tuple[EngineOutlook, EngineOutlook]
    assumptions: tuple[str, ...] = ()
    prices: TokenPrices | None = None
    deadline: float | None = None
    budget: float | None = None
    held: int = 0

    @property
    def _chosen(self) -> EngineOutlook:
        return next(one for one in self.outlooks if one.engine == self.engine)

    @property
    def jobs(self) -> int:
        """Batches that the service is given."""
        return self._chosen.jobs

    @property
    def seconds(self) -> Interval:
        """How long it takes."""
        return self._chosen.seconds

    @property
    def cost(self) -> Interval | None:
        """What it costs; None without prices."""
        return self._chosen.cost

    @property
    def no_cost(self) -> str:
        """Why there is no cost; empty if there is one."""
        return "" if self.cost is not None else "no price is built in, and none was given"

    @property
    def currency(self) -> str:
        """Of the cost."""
        return "" if self.prices is None else self.prices.currency

    @property
    def limits(self) -> tuple[str, ...]:
        """The limits that bind."""
        return self._chosen.limits

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        own = attrs.asdict(self)
        names = ("jobs", "cost", "no_cost", "currency")
        found = {name: getattr(self, name) for name in names} | {"seconds": attrs.asdict(self.seconds)}
        found["cost"] = None if self.cost is None else attrs.asdict(self.cost)
        return {**own, **found, "limits": [*self.limits]}

    def __repr__(self) -> str:
        return f"<BatchPlan {self.engine}, {self.requests:,} requests, {_span(self.seconds)}>"

    def __str__(self) -> str:
        lines = [f"{name}: {said}" for name, said in self._facts()]
        lines += [f"{one.engine}: {', '.join(filter(None, self._of(one)))}" for one in self.outlooks]
        return "\n".join([*lines, *(f"assumed: {each}" for each in self._chosen.assumptions + self.assumptions)])

    def _as_text(self) -> str:
        return str(self)

    def _as_html(self) -> str:
        rows = [(escape(one.engine), *map(escape, self._of(one))) for one in self.outlooks]
        return box(
            facts(self._facts()),
            table(("engine", "time", "cost", "jobs", "limits"), rows),
            *(line(escape(f"assumed: {each}"), dim=True) for each in self._chosen.assumptions + self.assumptions),
            label="plan of a batch",
        )

    def _facts(self) -> list[tuple[str, str]]:
        how = "as the service counted" if self.counted == self.requests else f"from {self.counted:,} that were counted"
        how = how if self.counted else "by a rule of thumb, four characters to a token"
        rows = f", and {self.unaskable:,} that cannot be asked" if self.unaskable else ""
        if self.held:
            total = self.requests + self.unaskable + self.held
            rows += f"; of {total:,} rows, {self.held:,} {'is' if self.held == 1 else 'are'} in the journal"
        dated = f" ({self.prices.dated})" if self.prices is not None and self.prices.dated else ""
        cost = "" if self.cost is None else f"{_money(self.cost)} {self.currency}, by the prices you gave{dated}"
        return [
            ("engine", f"{self.engine}: {self.why}"),
            ("requests", f"{self.requests:,} to {self.model}{rows}"),
            ("input", f"{self.input_tokens} tokens, {how}"),
            ("output", f"{self.output_tokens} tokens"),
            ("time", _span(self.seconds)),
            ("cost", cost or self.no_cost),
        ]

    def _of(self, one: EngineOutlook) -> tuple[str, str, str, str]:
        if one.impossible:
            return one.impossible, "", "", ""
        cost = "" if one.cost is None else f"{_money(one.cost)} {self.currency}"
        jobs = f"{one.jobs:,} {'job' if one.jobs == 1 else 'jobs'}" if one.jobs else ""
        bound = f"bound by {' and '.join(one.limits)}" if one.limits else ""
        return _span(one.seconds), cost, jobs, bound


def _span(seconds: Interval) -> str:
    low, high = duration(seconds.low), duration(seconds.high)
    if low == high:
        return low
    # The best guess of a batch of the service is its longest time, which need not be said twice.
    about = "" if seconds.value == seconds.high else f"about {duration(seconds.value)}, "
    return f"{about}{low} to {high}"


def _money(cost: Interval) -> str:
    return estimated(cost.low, cost.value, cost.high)
