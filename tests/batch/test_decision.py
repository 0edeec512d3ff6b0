"""Which engine a plan takes: the whole table, and nothing else."""

import itertools

import pytest

from gemtune.batch.planning.decision import SOON, WHILE_YOU_WAIT, EngineOutlook, decide
from gemtune.datasets.review.tokens import Interval
from gemtune.errors import InvalidInput

DAY = 86_400.0


def exactly(number):
    return Interval(number, number, number)


def local(seconds=1200.0, cost=10.0, **options):
    seconds = seconds if isinstance(seconds, Interval) else exactly(seconds)
    return EngineOutlook(engine="local", seconds=seconds, cost=exactly(cost), **options)


def server(low=300.0, cost=5.0, **options):
    cost = cost if isinstance(cost, Interval) else exactly(cost)
    return EngineOutlook(engine="server", seconds=Interval(low, DAY, DAY), cost=cost, **options)


TABLE = [
    # what local takes, the deadline, the budget: the engine, and a word of the reason
    (SOON, None, None, "local", "no gain"),
    (SOON, 2 * DAY, None, "local", "no gain"),
    (SOON, 2 * DAY, 6, "server", "local may cost 10"),
    (SOON + 1, None, None, "local", "may take 24 h"),
    (WHILE_YOU_WAIT, None, None, "local", "may take 24 h"),
    (WHILE_YOU_WAIT + 1, None, None, "server", "cost half"),
    (1200, DAY, None, "server", "fit into 24 h"),
    (1200, DAY - 1, None, "local", "server may take 5 min"),
    (1200, 1200, None, "local", "server may take"),
    (1200, None, 20, "server", "no deadline"),
    (1200, None, 9, "server", "local may cost 10"),
    (1200, DAY, 9, "server", "local may cost 10"),
    # neither is sure: the one that may keep the deadline
    (1200, 600, None, "server", "server may take 5 min 00 s to 24 h 00 min; local takes 20 min 00 s"),
    (1200, 1200, 6, "server", "server may take"),
    (Interval(500, 1200, 9000), 600, None, "local", "local may take 8 min 20 s to 2 h 30 min"),
]


@pytest.mark.parametrize(("seconds", "deadline", "budget", "engine", "why"), TABLE)
def test_the_table(seconds, deadline, budget, engine, why):
    found = decide(local(seconds), server(), deadline=deadline, budget=budget, currency="USD")
    assert (found.engine, why in found.why) == (engine, True), found


@pytest.mark.parametrize(
    ("deadline", "budget", "said"),
    [
        (
            200,
            None,
            "a deadline of 3 min 20 s cannot be kept: local takes 20 min 00 s; server takes 5 min 00 s to 24 h",
        ),
        (None, 1, "a budget of 1 USD cannot be kept: local costs 10 to 10 USD; server costs 5 to 5 USD"),
        (
            200,
            7,
            "a deadline of 3 min 20 s and a budget of 7 USD cannot be kept: local takes 20 min 00 s and local costs 10",
        ),
    ],
)
def test_what_no_engine_keeps_is_refused_with_what_each_would_take(deadline, budget, said):
    with pytest.raises(InvalidInput) as caught:
        decide(local(), server(), deadline=deadline, budget=budget, currency="USD")
    assert caught.value.message.startswith(said)
    assert caught.value.field == ("deadline" if deadline else "budget")
    assert "give more with" in str(caught.value)


def test_a_deadline_and_a_budget_that_each_engine_breaks_one_of_are_refused_together():
    with pytest.raises(InvalidInput, match="a deadline of 4 min 00 s and a budget of 7 USD cannot be kept"):
        decide(local(200), server(), deadline=240, budget=7, currency="USD")


@pytest.mark.parametrize("asked_for", ["local", "server"])
def test_an_engine_that_was_asked_for_is_taken_or_refused_and_never_exchanged(asked_for):
    assert decide(local(), server(), asked_for=asked_for).engine == asked_for
    assert decide(local(), server(), asked_for=asked_for).why == "it was asked for"
    with pytest.raises(InvalidInput, match=f"cannot be kept: {asked_for} takes"):
        decide(local(), server(), asked_for=asked_for, deadline=60)
    with pytest.raises(InvalidInput, match=f"no engine can be used: {asked_for}: it is away"):
        decide(local(impossible="it is away"), server(impossible="it is away"), asked_for=asked_for)


def test_an_engine_that_cannot_be_used_leaves_the_other_and_both_are_an_error():
    assert decide(local(), server(impossible="there are none")).why == "server cannot be used: there are none"
    assert decide(local(impossible="no"), server()).engine == "server"
    with pytest.raises(InvalidInput, match="no engine can be used: local: a; server: b"):
        decide(local(impossible="a"), server(impossible="b"))


def test_without_prices_money_binds_nothing_and_whatever_is_given_something_is_decided_or_refused():
    times, bounds = [1.0, 61.0, 3601.0, DAY * 3], [None, 1.0, 300.0, DAY, DAY * 9]
    for seconds, deadline, budget, cost in itertools.product(times, bounds, [None, 1.0, 7.0, 70.0], [None, 10.0]):
        here = EngineOutlook(engine="local", seconds=exactly(seconds), cost=None if cost is None else exactly(cost))
        there = EngineOutlook(
            engine="server", seconds=Interval(300, DAY, DAY), cost=None if cost is None else exactly(cost / 2)
        )
        try:
            engine = decide(here, there, deadline=deadline, budget=budget).engine
        except InvalidInput:
            late = deadline is not None and deadline < seconds
            dear = budget is not None and cost is not None and budget < cost
            assert late or dear
            continue
        one = here if engine == "local" else there
        assert deadline is None or one.seconds.low <= deadline
        assert budget is None or one.cost is None or one.cost.low <= budget
