"""A resume token may come from anybody, and costs no more to read than its characters."""

import base64
import json
import random
import tracemalloc
import zlib

import pytest

from costs import operations
from gemtune import errors
from gemtune.config import WatchPolicy
from gemtune.story.cursor import Cursor
from gemtune.watch import Watcher
from gemtune.watch.resume_token import ResumeToken
from watch.service import Service, named

pytestmark = pytest.mark.usefixtures("virtual_time")


def subscribe(text):
    return Watcher(Service(), [], policy=WatchPolicy()).subscribe(["job0"], since=text)


def packed(value):
    plain = json.dumps(value).encode()
    return "c1." + base64.urlsafe_b64encode(zlib.compress(plain, 9)).rstrip(b"=").decode()


BOMBS = {
    "spaces": lambda: packed(" " * 50_000_000),
    "one cursor again and again": lambda: packed({"jobs": [str(Cursor(job="a/b"))] * 300_000}),
    "lists in lists": lambda: packed({"jobs": json.loads("[" * 400 + "]" * 400) * 5000}),
    "cursors of many claims": lambda: packed({"jobs": [f"j1.YS9i.0.1{'.1.0' * 64}"] * 60_000}),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_token_that_inflates_to_more_than_a_watcher_writes_is_refused_before_it_is_read(bomb):
    text = BOMBS[bomb]()
    tracemalloc.start()
    try:
        for take in (ResumeToken.parse, subscribe):
            with pytest.raises(errors.InvalidInput, match="resume token"):
                take(text)
        assert tracemalloc.get_traced_memory()[1] < 3 * (64 * len(text) + 2**16)
    finally:
        tracemalloc.stop()


NAMES = {
    "short": "job{}",
    "long": "tunedModels/a-very-long-name-of-an-experiment-for-team-x-{:05d}",
    "vertex": "projects/123456789012/locations/us-central1/tuningJobs/{:019d}",
    "endless": "projects/" + "p" * 200 + "/locations/us-central1/tuningJobs/{}",
}


@pytest.mark.parametrize("form", NAMES)
@pytest.mark.parametrize("count", [1, 30, 10_000])
def test_what_a_watcher_writes_of_many_jobs_that_are_much_alike_is_no_bomb(count, form):
    cursors = [
        str(
            Cursor(
                job=NAMES[form].format(n) if "/" in NAMES[form] else named(NAMES[form].format(n)),
                created=10**18,
                ended=True,
            )
        )
        for n in range(count)
    ]
    text = ResumeToken.text(cursors, 0.0)
    assert len(ResumeToken.parse(text).jobs) == count
    if count <= 30:
        assert len(ResumeToken.parse(text, outside=True).jobs) == count
        assert len(text) < 4096


def test_a_subscription_takes_no_token_that_is_too_long_for_any_request():
    dice = random.Random(1)
    names = [named(f"job-{dice.getrandbits(60):x}") for _ in range(3000)]
    text = ResumeToken.text([str(Cursor(job=name, created=dice.getrandbits(60))) for name in names], 0.0)
    assert len(text) > 65_536
    assert len(ResumeToken.parse(text).jobs) == 3000, "client.watch(resume=...) is given it by its own program"
    with pytest.raises(errors.InvalidInput, match="65,536 characters"):
        subscribe(text)


@pytest.mark.parametrize("shape", ["same", "random"])
def test_reading_a_token_costs_no_more_than_its_characters(shape):
    dice, costs = random.Random(1), {}
    for count in (30, 120, 480):
        created = [10**18 if shape == "same" else dice.getrandbits(60) for _ in range(count)]
        cursors = [str(Cursor(job=named(f"job{number}"), created=at)) for number, at in enumerate(created)]
        text = ResumeToken.text(cursors, 0.0)
        costs[count] = operations(ResumeToken.parse, text) / len(text)
    assert max(costs.values()) < 20
    assert costs[480] < 3 * costs[30]
