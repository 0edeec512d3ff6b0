"""The command line repeats the names of metrics and rules, to start without loading them: they must be the same."""

from gemtune.cli.evaluate.metrics import NAMES
from gemtune.cli.sweep.command import _RULES
from gemtune.metrics.named import NAMED
from gemtune.sweep.rules import RULES


def test_every_metric_that_has_a_name_can_be_asked_for():
    assert sorted(NAMES) == sorted(NAMED)


def test_every_rule_that_has_a_name_can_be_asked_for():
    assert sorted(_RULES) == sorted(RULES)
