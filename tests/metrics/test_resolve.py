"""Which metrics are meant: by name, as values, as functions of one's own, or several."""

import doctest
import functools
import importlib
import json
import pkgutil
import subprocess
import sys

import pytest

from gemtune import metrics
from gemtune.errors import InvalidInput
from gemtune.metrics import Metric, contains, exact_match, judge, resolve


def short(answer, row):
    """Whether the answer is short.

    No more than 80 characters.
    """
    return len(answer) <= 80


def shorter(most, answer, row):
    return len(answer) < most


async def slow(answer, row):
    return 1.0


class Counts:
    def __call__(self, answer, row):
        return len(answer)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("exact_match", ["exact_match"]),
        ("Exact Match", ["exact_match"]),
        ("json-equal", ["json_equal"]),
        (exact_match(), ["exact_match"]),
        (exact_match, ["exact_match"]),
        (short, ["short"]),
        (slow, ["slow"]),
        (lambda answer, row: 1, ["function"]),
        (Counts(), ["Counts"]),
        (functools.partial(shorter, 80), ["shorter"]),
        (lambda *both: 1, ["function"]),
        (lambda answer, row, strict=False: 1, ["function"]),
        (["labels", short, contains()], ["labels", "short", "contains"]),
        (iter(["number"]), ["number"]),
        ({"mine": short, "strict": exact_match(case=True)}, ["mine", "strict"]),
    ],
)
def test_metrics_are_named_given_or_functions(given, names):
    assert [metric.name for metric in resolve(given)] == names


def test_a_function_is_a_metric_under_its_own_name():
    (metric,) = resolve(short)
    assert (metric.kind, metric.score, metric.expects) == ("mean", short, False)
    assert metric.about == "Whether the answer is short."
    assert [each.kind for each in resolve([exact_match, contains])] == ["share", "share"]
    assert isinstance(resolve(judge("m"))[0], metrics.Judge)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("exactmatch", "metrics has no 'exactmatch'; did you mean 'exact_match'?"),
        ("F1", "metrics has no 'F1'; there are contains, exact_match, json_equal, labels, number and similarity"),
        ("judge", "a judge needs a model"),
        ([], "metrics is empty"),
        (["number", "number"], "metrics has 'number' twice"),
        (7, "metrics must be names, metrics or functions of (answer, row), not int"),
        ([None], "metrics must be names, metrics or functions of (answer, row), not NoneType"),
        (Metric, "metrics must be names, metrics or functions of (answer, row), not type"),
        (lambda answer: 1, "metrics: function(answer) must take two arguments, answer and row"),
        (shorter, "metrics: shorter(most, answer, row) must take two arguments, answer and row"),
        (len, "metrics: len(obj, /) must take two arguments, answer and row"),
        ({"": short}, "metrics must have names that are strings, not ''"),
        (Metric(name=" ", score=short), "metrics has one without a name: give it one"),
    ],
)
def test_what_is_no_metric_is_refused_in_words(given, message):
    with pytest.raises(InvalidInput) as caught:
        resolve(given)
    assert str(caught.value).startswith(message)
    assert caught.value.field == "metrics"


def test_every_metric_that_has_a_name_says_how_it_counts():
    for name in ("contains", "exact_match", "json_equal", "labels", "number"):
        (metric,) = resolve(name)
        assert (metric.kind, metric.better, metric.bounds, metric.expects) == ("share", "higher", (0, 1), True)
        assert metric.about.startswith("1 if the ")


@pytest.mark.parametrize("name", [each.name for each in pkgutil.iter_modules(metrics.__path__)])
def test_the_examples_of_a_module_do_what_they_say(name):
    module = importlib.import_module(f"gemtune.metrics.{name}")
    assert doctest.testmod(module, extraglobs={"HeldOutRow": metrics.HeldOutRow}).failed == 0


def test_metrics_load_nothing_heavy():
    program = "import sys, json, gemtune.metrics; print(json.dumps([*sys.modules]))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    loaded = set(json.loads(run.stdout))
    heavy = {"rapidfuzz", "numpy", "scipy", "optuna", "httpx", "aiohttp", "anyio", "asyncio", "gemtune.client"}
    assert loaded & heavy == set()


@pytest.mark.parametrize("name", metrics.__all__)
def test_every_public_name_is_documented(name):
    assert getattr(metrics, name).__doc__ or name.endswith("Like")
