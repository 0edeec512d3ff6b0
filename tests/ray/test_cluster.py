"""Many machines: right answers, one quota, nothing lost and nothing paid twice, on a cluster of two nodes."""

import os
import random
import signal
import threading
from collections import Counter

import psutil
import pytest
import ray.data

import ray
from gemtune.batch.ray import COLUMNS, Asker, Quota, ask
from gemtune.emulator import Fault
from gemtune.emulator.trouble.quotas import ConcurrencyCap
from gemtune.errors import InvalidInput

MODEL = "models/gemini-3.7-flash"
# Ray's own warnings, about itself.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.socket, pytest.mark.slow]


def rows(count, order=None):
    found = [{"id": f"k{n}", "prompt": f"What is {n}?"} for n in range(count)]
    if order is not None:
        order.shuffle(found)
    return ray.data.from_items(found, override_num_blocks=4)


def asked(dataset, seen, **options):
    """The answers by their keys."""
    given = {"key": "id", "client": {"base_url": seen.url, "api_key": "x"}, "batch_size": 500}
    return {row["id"]: row for row in ask(dataset, MODEL, **(given | options)).take_all()}


def answer(prompt):
    return f"the answer to {prompt.text}"


def is_right(row):
    return row["text"] == f"the answer to {row['prompt']}" and row["error"] is None


def test_ten_thousand_rows_get_their_own_answers_from_both_nodes_under_one_quota(serve):
    seen, quota = serve(answers=answer, seconds=0.02), Quota(concurrency=40)
    found = asked(rows(10_000), seen, quota=quota, columns=COLUMNS | {"seconds": "took"})
    assert len(found) == 10_000
    assert all(map(is_right, found.values()))
    assert len(seen.times) == 10_000
    assert seen.peak <= 40
    said = quota.statistics()
    assert (said.accepted, said.rejected, said.held, said.in_flight) == (10_000, 0, 0, 0)
    assert said.renewals < 500  # of the actors, and not of the requests
    assert min(row["took"] for row in found.values()) >= 0.02


def test_the_quota_for_requests_in_flight_is_used_and_kept(serve):
    cap = ConcurrencyCap(limit=16)
    seen = serve(cap, seconds=0.1)
    found = asked(rows(1500), seen, concurrency=16, batch_size=250)
    assert len(found) == 1500
    assert seen.peak <= 16
    assert len(seen.times) == 1500  # no one was refused, as 16 is what the service takes
    assert max(seen.times) - min(seen.times) <= 1.6 * 1500 * 0.1 / 16


def test_the_quota_of_requests_a_minute_is_used_and_kept_in_any_minute(serve):
    seen = serve()
    found = asked(rows(1600), seen, rpm=1400, batch_size=100)
    assert len(found) == 1600
    assert seen.most_within(60.0) <= 1400 * 1.01
    assert max(seen.times) - min(seen.times) <= 1.1 * 1600 / 1400 * 60


def test_actors_find_out_together_how_many_requests_are_taken(serve):
    cap = ConcurrencyCap(limit=12)
    seen, quota = serve(cap, answers=answer, seconds=0.05), Quota()
    found = asked(rows(3000), seen, quota=quota)
    assert all(map(is_right, found.values()))
    said = quota.statistics()
    assert said.limit <= 30  # it began with 50
    assert 1 <= said.rejected <= 0.1 * 3000


def test_a_killed_actor_loses_nothing_and_repays_nothing_that_is_in_the_journal(serve, tmp_path):
    seen, killed = serve(answers=answer, seconds=0.02), []

    def kill():
        while len(seen.times) < 700:
            threading.Event().wait(0.01)
        workers = [one for one in psutil.process_iter(["cmdline"]) if is_an_asker(one)]
        killed.append(workers[0].pid)
        os.kill(workers[0].pid, signal.SIGKILL)

    murderer = threading.Thread(target=kill)
    murderer.start()
    try:
        found = asked(rows(3000), seen, journal=tmp_path, concurrency=20)
    finally:
        murderer.join()
    assert killed
    assert len(found) == 3000
    assert all(map(is_right, found.values()))
    # What was under way when it was killed, or not yet in the file: a fiftieth of a second at 20 in flight.
    assert len(seen.times) <= 3000 + 2 * 20


def is_an_asker(process):
    mine = psutil.Process().children(recursive=True)
    return process in mine and any("Asker" in word for word in process.info["cmdline"] or ())


def test_a_run_that_is_repeated_asks_nothing_whatever_its_blocks_are(serve, tmp_path):
    seen = serve(answers=answer)
    first = asked(rows(1200), seen, journal=tmp_path, batch_size=100)
    assert len(seen.times) == 1200
    columns = COLUMNS | {"replayed": "replayed"}
    second = asked(rows(1200), seen, journal=f"file://{tmp_path}", batch_size=100, columns=columns, actors=1)
    third = asked(rows(1500, order=random.Random(7)), seen, journal=tmp_path, batch_size=330, columns=columns)
    assert len(seen.times) == 1500
    assert all(map(is_right, third.values()))
    assert sum(row["replayed"] for row in third.values()) == 1200
    for key, row in first.items():
        assert second.pop(key) == row | {"replayed": True}
    assert not second


def test_failures_are_rows(serve):
    seen = serve(answers=answer, faults=[Fault(method="models.generateContent", times=3, status=400)])
    dataset = ray.data.from_items([{"id": f"k{n}", "prompt": None if n == 7 else f"What is {n}?"} for n in range(60)])
    found = asked(dataset, seen, actors=1)
    errors = [row["error"] for row in found.values() if row["error"] is not None]
    assert Counter((error["class"], error["status"]) for error in errors) == {
        ("BadRequest", 400): 3,
        ("InvalidInput", None): 1,
    }
    assert found["k7"]["error"]["message"] == "row 8, key 'k7': there is no prompt"
    assert found["k7"]["text"] is None
    assert sum(map(is_right, found.values())) == 56


def test_what_dooms_every_row_ends_the_dataset_with_the_reason(serve):
    seen = serve()
    with pytest.raises(ray.exceptions.RayTaskError, match=r"BatchStopped: .*nowhere is not found"):
        ask(rows(2000), "models/nowhere", client={"base_url": seen.url, "api_key": "x"}, actors=1).take_all()
    assert len(seen.times) < 200


def test_the_actor_class_works_in_a_map_of_ones_own_and_without_a_quota(serve):
    seen = serve(answers=answer)
    found = rows(300).map_batches(
        Asker,
        fn_constructor_kwargs={"model": MODEL, "client": {"base_url": seen.url, "api_key": "x"}},
        compute=ray.data.ActorPoolStrategy(size=1),
        batch_size=100,
        num_cpus=0.5,
    )
    assert all(map(is_right, found.take_all()))


def test_a_quota_with_a_name_is_one_for_all_who_name_it():
    first, second = Quota(concurrency=3, name="shared"), Quota(concurrency=99, name="shared")
    try:
        assert first.statistics().limit == second.statistics().limit == 3
    finally:
        first.close()


def test_nothing_is_asked_before_the_dataset_is_read_and_then_no_more_than_is_read(serve):
    seen = serve(answers=answer)
    dataset = ask(rows(1000), MODEL, client={"base_url": seen.url, "api_key": "x"}, batch_size=50, actors=1)
    assert not seen.times
    assert len(dataset.limit(100).take_all()) == 100
    assert len(seen.times) == 100


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"quota": 1, "rpm": 5}, "give a quota or rpm, not both"),
        ({"journal": "s3://bucket/run"}, "journal must be a folder that all machines see"),
        ({"order": "input"}, "order is not for the batch of one block: a block keeps its own order"),
        ({"columns": {"txt": "x"}}, "columns: there is no 'txt', only text"),
        ({"temprature": 1}, "a batch has no argument temprature"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(cluster, options, words):
    with pytest.raises(InvalidInput, match=words.replace("(", r"\(")):
        ask(rows(1), MODEL, **options)
