"""Metrics of one's own: plain and async, what they may return, and what happens if they raise."""

import itertools
import pickle
import threading

import anyio
import anyio.lowlevel
import pytest

from evaluation.models import BASE, ROWS, Models, evaluate
from gemtune.errors import DeadlineExceeded, InvalidInput, MetricFailed
from gemtune.evaluation.scoring import functions
from gemtune.evaluation.scoring.functions import AT_ONCE
from gemtune.metrics import Metric

pytestmark = [pytest.mark.anyio, pytest.mark.both_backends]


def length(answer, row):
    return len(answer)


class Odd:
    def __float__(self):
        raise RuntimeError("two elements")


async def test_a_function_is_a_metric_under_its_own_name_and_sees_the_row(virtual_time):
    def agrees(answer, row):
        return answer == row.expected and row.row in ROWS

    found = await evaluate(Models(), metrics=[agrees, length])
    assert [each.name for each in found.metrics] == ["agrees", "length"]
    assert found["abc"].scores["agrees"].method == "Wilson"  # of True and False, a share
    assert [row.scores["length"]["abc"] for row in found.rows] == [6, 6, 6]


async def test_none_says_nothing_about_a_row(virtual_time):
    found = await evaluate(Models(), metrics=lambda answer, row: None if row.key == 2 else 1.5)
    assert found["abc"].scores["function"].rows == 2


async def test_async_functions_run_several_at_a_time_and_never_more(virtual_time):
    running = peak = 0

    async def slow(answer, row):
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await anyio.sleep(10)
        running -= 1
        return 1

    rows = [(f"q{n}", "x") for n in range(40)]
    found = await evaluate(Models(seconds=0), data=rows, metrics=slow)
    assert peak == AT_ONCE
    assert found["abc"].scores["slow"].rows == 40
    assert virtual_time() == pytest.approx(10 * 80 / AT_ONCE, abs=1)


async def test_what_a_function_raises_names_the_metric_and_the_row_and_the_answers_are_kept(virtual_time, tmp_path):
    def broken(answer, row):
        if row.question == "ho":
            raise LookupError("no such thing")
        return 1

    service = Models()
    with pytest.raises(MetricFailed) as failed:
        await evaluate(service, metrics=[length, broken], journal=tmp_path)
    error = failed.value
    assert str(error) == (
        "the metric broken raised LookupError: no such thing; met at row 2, with the answer of gemini-3.7-flash"
    )
    assert (error.metric, error.key, error.label) == ("broken", 2, "gemini-3.7-flash")
    assert isinstance(error.__cause__, LookupError)
    assert [each.name for each in error.evaluation.metrics] == ["length"]
    assert [row.answers["abc"].text for row in error.evaluation.rows] == ["re: hi", "re: ho", "re: ha"]
    again = await error.evaluation.score([length, "exact_match"])
    assert again["abc"].scores["exact_match"].rows == 3
    await evaluate(service, metrics=length, journal=tmp_path)
    assert len(service.requests) == 6


async def test_one_that_raises_while_others_wait_ends_them_and_leaves_no_group_of_errors(virtual_time):
    ended = []

    async def broken(answer, row):
        try:
            await anyio.sleep(row.key)
            if row.key == 2:
                raise LookupError("no such thing")
            await anyio.sleep(100)
        finally:
            ended.append(row.key)
        return 1

    with pytest.raises(MetricFailed, match="broken raised LookupError: no such thing; met at row 2"):
        await evaluate(Models(seconds=0), BASE, metrics=broken)
    assert sorted(ended) == [1, 2, 3]
    assert virtual_time() < 3


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("0.5", "returned no score: a score must be a finite number"),
        (float("inf"), "finite number"),
        ([1], "finite number"),
        ("long " * 900, r"not '(long ){11}lo\.\.\.'"),
        (bytearray(b"1"), "finite number"),
        (memoryview(b"1"), "finite number"),
        (Odd(), "as a number it raised RuntimeError: two elements"),
    ],
)
async def test_what_is_no_number_is_no_score(virtual_time, value, said):
    with pytest.raises(MetricFailed, match=f"the metric odd .*{said}.*; met at row 1, with the answer of abc"):
        await evaluate(Models(), ["tunedModels/abc"], metrics={"odd": lambda answer, row: value})


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("even that fails")


async def test_an_error_that_cannot_say_what_it_is_loses_no_answer(virtual_time):
    def mute(answer, row):
        raise Mute

    with pytest.raises(MetricFailed, match="the metric mute raised Mute; met at row 1") as failed:
        await evaluate(Models(), metrics=mute)
    assert failed.value.evaluation["abc"].answered == 3


@pytest.mark.parametrize("waits", [False, True])
async def test_a_function_whose_own_work_was_cancelled_has_failed_and_leaves_no_answer_without_a_word(
    virtual_time, waits, anyio_backend_name
):
    if anyio_backend_name == "trio" and waits:
        pytest.skip("a task of trio hears of no cancellation but its own")

    class Gone(anyio.get_cancelled_exc_class() if anyio_backend_name == "asyncio" else Exception):
        pass

    def at_once(answer, row):
        raise Gone

    async def later(answer, row):
        await anyio.sleep(1)
        raise Gone

    with pytest.raises(MetricFailed, match="raised Gone; met at row 1") as failed:
        await evaluate(Models(), BASE, metrics=later if waits else at_once)
    assert failed.value.evaluation.models[0].answered == 3


async def test_functions_that_wait_for_ever_end_with_the_time_and_the_answers_are_kept(virtual_time):
    async def hangs(answer, row):
        await anyio.sleep_forever()

    with pytest.raises(DeadlineExceeded, match="not done within 30 s: it was scoring the answers") as late:
        await evaluate(Models(), metrics=hangs, timeout=30)
    assert virtual_time() == pytest.approx(30, abs=0.1)
    again = await late.value.evaluation.score("exact_match")
    assert again["abc"].scores["exact_match"].rows == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": 5}, "name must be a string, not 5"),
        ({"score": 0.5}, "m: score must be a function"),
        ({"kind": "median"}, "m: kind must be share, mean or wins, not 'median'"),
        ({"better": "more"}, "m: better must be higher or lower, not 'more'"),
        ({"bounds": (1, 0)}, "m: bounds must be two finite numbers"),
        ({"bounds": (0, float("inf"))}, "m: bounds must be two finite numbers"),
        ({"bounds": (0, float("nan"))}, "m: bounds must be two finite numbers"),
        ({"bounds": 5}, "m: bounds must be two finite numbers"),
    ],
)
def test_a_metric_that_cannot_be_is_refused_before_anything_is_asked(wrong, said):
    with pytest.raises(InvalidInput, match=said):
        Metric(**{"name": "m", "score": length, **wrong})


async def test_a_score_that_its_kind_cannot_have_is_refused_with_its_row(virtual_time):
    share = Metric(name="half", score=lambda answer, row: 0.5, kind="share")
    with pytest.raises(
        MetricFailed, match="half returned 0.5, and a score of the kind 'share' is 0 or 1; met at row 1"
    ):
        await evaluate(Models(), metrics=share)


async def test_a_score_beyond_its_bounds_is_refused_and_not_given_an_interval_elsewhere(virtual_time):
    stars = Metric(name="stars", score=lambda answer, row: 7, bounds=(1, 5))
    with pytest.raises(MetricFailed, match="stars returned 7, and its bounds are 1 and 5; met at row 1"):
        await evaluate(Models(), metrics=stars)
    tenths = Metric(name="tenths", score=lambda answer, row: 1.0000000000000002, bounds=(0, 1))
    assert (await evaluate(Models(), metrics=tenths))["abc"].scores["tenths"].rows == 3


async def test_a_row_with_a_key_is_named_by_it(virtual_time):
    def broken(answer, row):
        raise ValueError

    data = [{"id": "first", "prompt": "hi", "output": "x"}]
    with pytest.raises(MetricFailed, match=r"raised ValueError; met at row 1, key 'first', with the answer of"):
        await evaluate(Models(), data=data, metrics=broken)


def plain(answer, row):
    return 1


async def never_waits(answer, row):
    return 1


@pytest.mark.parametrize("metric", [plain, never_waits])
async def test_functions_that_compute_leave_the_loop_to_others_now_and_then(virtual_time, monkeypatch, metric):
    found = await evaluate(Models(seconds=0), BASE, [(f"q{n}", "x") for n in range(100)], metrics=length)
    monkeypatch.setattr(functions, "current_time", itertools.count(0.0, 0.02).__next__)  # each answer takes 20 ms
    turns, seen = 0, []

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    def watched(answer, row):
        seen.append(turns)
        return metric(answer, row)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(others)
        await found.score(watched)
        tasks.cancel_scope.cancel()
    assert len(seen) == 100
    assert len(set(seen)) > 100 / AT_ONCE - 1


async def test_what_a_metric_reports_of_all_answers_does_not_hold_the_loop(virtual_time):
    turned = threading.Event()

    async def others():
        turned.set()

    found = await evaluate(Models(seconds=0), BASE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(others)
        again = await found.score(Metric(name="m", score=plain, report=lambda pairs: turned.wait(10)))
    assert again["gemini-3.7-flash"].reports == {"m": True}


async def test_a_report_that_raises_loses_no_answer(virtual_time):
    broken = Metric(name="m", score=length, report=lambda pairs: pairs[7])
    with pytest.raises(MetricFailed) as failed:
        await evaluate(Models(), ["tunedModels/abc"], metrics=broken)
    error = failed.value
    assert str(error) == "the report of m on the answers of abc raised IndexError: list index out of range"
    assert (error.metric, error.label, error.key) == ("m", "abc", None)
    assert (await error.evaluation.score(length))["abc"].scores["length"].rows == 3


async def test_other_metrics_can_be_asked_for_later_without_a_request(virtual_time):
    service = Models()
    found = await evaluate(service)
    again = await found.score(["contains", length])
    assert [each.name for each in again.metrics] == ["contains", "length"]
    assert [each.name for each in found.metrics] == ["exact_match"]
    assert len(service.requests) == 6
    unanswered = await evaluate(Models(), data=["a", "b"], metrics=length)
    with pytest.raises(InvalidInput, match="no row has an expected answer"):
        await unanswered.score("exact_match")


def test_the_error_of_a_metric_survives_pickling_without_the_evaluation():
    error = MetricFailed("the metric m raised")
    error.metric, error.key, error.evaluation = "m", 3, lambda: None
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.metric, again.key, again.evaluation) == ("the metric m raised", "m", 3, None)
