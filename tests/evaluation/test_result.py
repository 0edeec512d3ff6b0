"""What an evaluation says of models and rows: comparisons, changed rows, frames, JSON, costs and seconds."""

import json
import math
import tracemalloc

import anyio
import httpx
import pytest

from evaluation.models import BASE, TUNED, Models, evaluate, says
from gemtune.errors import InvalidInput
from gemtune.metrics import Metric, labels

pytestmark = pytest.mark.anyio

ROWS = [(f"q{n}", "yes" if n % 2 else "no") for n in range(10)]


@pytest.fixture
def service():
    """The tuned model is right in 8 of 10 rows, the base in 5, and each in some that the other is not."""
    made = Models()
    made.of_models[BASE] = lambda text: says("yes")
    made.of_models[TUNED] = lambda text: says("no" if text in {"q0", "q2", "q4", "q6", "q1", "q3"} else "yes")
    made.seconds["q9"] = 5.0
    return made


@pytest.fixture
async def found(service, virtual_time):
    return await evaluate(service, {"base": BASE, "tuned": TUNED}, ROWS, metrics=["exact_match", _length])


def _length(answer, row):
    return len(answer)


async def test_a_model_is_compared_with_the_baseline_on_rows_that_both_have_answered(found):
    compared = found.compare("tuned")
    assert (compared.metric, compared.model, compared.other, compared.rows) == ("exact_match", "tuned", "base", 10)
    assert (compared.value, compared.other_value, compared.better, compared.worse) == (0.7, 0.5, 4, 2)
    assert compared.low < compared.difference < compared.high
    assert compared.p > 0.05
    assert found.compare("base", "tuned").difference == pytest.approx(-0.2)
    assert found.compare("tuned", metric="_length").other_value == 3


async def test_the_rows_that_changed_stand_side_by_side_the_greatest_changes_first(found):
    changed = found.changed("tuned")
    assert [row.row.question for row in changed.better] == ["q0", "q2", "q4", "q6"]
    assert [row.row.question for row in changed.worse] == ["q1", "q3"]
    assert changed.better[0].answers["base"].text == "yes"
    assert changed.better[0].answers["tuned"].text == "no"


async def test_better_is_lower_if_a_metric_says_so(service, virtual_time):
    from gemtune.metrics import Metric

    shorter = Metric(name="length", score=_length, better="lower")
    found = await evaluate(service, {"base": BASE, "tuned": TUNED}, ROWS, metrics=shorter)
    assert len(found.changed("tuned").better) == 6  # "no" is shorter than "yes"
    assert (found.compare("tuned").better, found.compare("tuned").worse) == (6, 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody",), "model must be one of 'base', 'tuned', not 'nobody'"),
        (("tuned", "nobody"), "other must be one of"),
        (("tuned", "tuned"), "model is the label of 'tuned', with which it would be compared"),
        (("base",), "model is the label of the baseline"),
        (("tuned", "base", "nonsense"), "metric must be one of 'exact_match', '_length', not 'nonsense'"),
    ],
)
async def test_what_is_not_there_cannot_be_compared(found, arguments, said):
    with pytest.raises(InvalidInput, match=said):
        found.compare(*arguments)
    with pytest.raises(InvalidInput, match=said):
        found.changed(*arguments)


async def test_a_label_that_is_not_there_is_a_key_error_that_lists_them(found):
    assert found["tuned"].model == TUNED
    with pytest.raises(KeyError, match="'base', 'tuned'"):
        found["nobody"]


async def test_a_frame_has_a_row_for_each_answer_and_a_column_for_each_metric(found):
    pytest.importorskip("pandas")
    frame = found.to_frame()
    assert len(frame) == 20
    assert frame.groupby("model")["exact_match"].mean().to_dict() == {"base": 0.5, "tuned": 0.7}
    assert list(frame.columns[:6]) == ["key", "number", "question", "expected", "model", "answer"]


async def test_a_frame_may_be_one_of_polars(found):
    pl = pytest.importorskip("polars")
    assert found.to_frame(engine="polars").filter(pl.col("model") == "tuned")["_length"].sum() == 24


async def test_a_metric_that_is_called_like_a_column_has_a_column_of_its_own(service, virtual_time):
    pytest.importorskip("pandas")
    found = await evaluate(service, BASE, ROWS, metrics={"answer": _length})
    assert found.to_frame()["answer (metric)"].tolist() == [3.0] * 10


async def test_all_of_it_is_json_and_a_file_of_json(found, tmp_path):
    told = found.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert told["baseline"] == "base"
    assert told["models"][1]["scores"]["exact_match"]["value"] == 0.7
    assert told["comparisons"][0]["p"] == found.compare("tuned").p
    assert told["rows"][0]["answers"]["tuned"]["text"] == "no"
    assert told["rows"][0]["scores"] == {
        "exact_match": {"base": 0.0, "tuned": 1.0}, "_length": {"base": 3.0, "tuned": 2.0}
    }  # fmt: skip
    path = tmp_path / "found.json"
    await anyio.to_thread.run_sync(found.write, path)
    assert json.loads(await anyio.Path(path).read_bytes()) == told
    with pytest.raises(InvalidInput, match="path must be"):
        found.write("")


async def test_the_table_of_labels_is_a_report_of_each_model(service, virtual_time):
    found = await evaluate(service, {"base": BASE, "tuned": TUNED}, ROWS, metrics=labels())
    assert found["tuned"].reports["labels"].to_dict() == found.to_dict()["models"][1]["reports"]["labels"]
    assert found.compare("tuned").value == 0.7


async def test_what_the_rows_cost_is_counted_by_the_prices_that_were_given(service, virtual_time):
    prices = {"base": (1_000_000, 0), "abc": (0, 2_000_000)}  # of a label, and of a model's name
    found = await evaluate(service, {"base": BASE, "tuned": TUNED}, ROWS, prices=prices)
    assert (found["base"].prompt_tokens, found["base"].output_tokens) == (30, 50)
    assert (found["base"].cost, found["tuned"].cost) == (30, 100)
    assert found.currency == "USD"


async def test_seconds_are_those_of_half_and_of_95_of_100_requests(found):
    assert (found["base"].latency, found["base"].slowest) == (1.0, 5.0)


async def test_without_prices_nothing_has_a_cost(found):
    assert found["base"].cost is None


async def test_the_repr_says_what_each_model_has_reached(found):
    assert repr(found) == "<Evaluation of 10 rows: base exact_match 0.5, _length 3; tuned exact_match 0.7, _length 2.4>"


async def test_a_model_that_failed_everywhere_has_no_score_and_still_a_place(virtual_time):
    service = Models()
    service.of_models[TUNED] = httpx.Response(400, json={"error": {"code": 400, "message": "no"}})
    found = await evaluate(service, {"base": BASE, "tuned": TUNED}, ROWS)
    assert (found["tuned"].answered, found["tuned"].failed) == (0, 10)
    assert found["tuned"].scores["exact_match"].value is None
    assert found.compare("tuned").rows == 0
    assert "10 failed" in repr(found)
    assert found.to_dict()["models"][1]["scores"]["exact_match"]["value"] is None
    assert str(found)
    assert found._repr_html_()


class Odd:
    def __str__(self):
        return "as text"

    def to_dict(self):
        return {"mean": math.nan}


class Keyed(Odd):
    def to_dict(self):
        return {(1, 2): 3}


@pytest.mark.parametrize("report", [Odd(), Keyed(), "as text"])
async def test_a_report_that_is_no_json_is_written_as_text(service, virtual_time, report):
    found = await evaluate(service, BASE, ROWS, metrics=Metric(name="m", score=_length, report=lambda pairs: report))
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["models"][0]["reports"] == {"m": "as text"}


async def test_its_repr_bears_any_label(service, virtual_time):
    hostile = "\x1b[31m\n\u202e" + "long " * 100
    found = await evaluate(service, {hostile: BASE}, ROWS, metrics={hostile: "exact_match"})
    assert repr(found).isprintable()
    assert len(repr(found)) < 200


async def test_what_is_written_can_be_read_back_whatever_the_texts_and_is_never_held_as_a_whole(virtual_time, tmp_path):
    service, odd = Models(), "\u2028 half \ud83d \x00 \U0001f600 " + "long " * 20_000
    half = says("yes HALF").content.replace(b"HALF", rb"\ud83d")  # of a pair of surrogates, as JSON can say it
    service.of_models[TUNED] = lambda text: httpx.Response(200, content=half)
    models = {"base": BASE, "<b>\x1b[31m\n": TUNED}
    rows = [{"id": f"k{n}", "input": f"{n} {odd}".replace("\ud83d", ""), "output": "yes"} for n in range(40)]
    found = await evaluate(service, models, rows, metrics={"a": "contains", "b": lambda answer, row: float("nan")})
    peak, size, back = await anyio.to_thread.run_sync(_written, found, tmp_path / "out.json")
    assert peak < size / 4
    told = json.dumps(found.to_dict()).replace('\\ud83d"', '?"')
    assert back == json.loads(told, parse_constant=pytest.fail)
    assert [row["key"] for row in back["rows"]] == [f"k{n}" for n in range(40)]
    assert back["rows"][0]["scores"]["b"] == dict.fromkeys(models)


def _written(found, path):
    tracemalloc.start()
    try:
        found.write(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak, path.stat().st_size, json.loads(path.read_bytes(), parse_constant=pytest.fail)
