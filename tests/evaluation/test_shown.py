"""What a person sees of an evaluation: a table, sentences that claim no more than they may, and what changed."""

import re
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from drawn import same
from evaluation import scenes
from gemtune.evaluation import EvaluationPicture, EvaluationProgress, LiveProgress
from gemtune.evaluation.html import evaluation_html, progress_html
from gemtune.evaluation.shown import ShownEvaluation, view_of_progress
from gemtune.evaluation.text import evaluation_text, progress_text, wrapped
from gemtune.evaluation.words import UNKNOWN, compared, money, score_cell, score_cells, score_places
from gemtune.metrics import Score
from gemtune.show.terminal import cells

SVG = "{http://www.w3.org/2000/svg}"
ALL = {"usual": scenes.usual(), "hostile": scenes.hostile(), "many": scenes.many(), "empty": EvaluationPicture()}
check = partial(same, folder=Path(__file__).parent / "screens")
EVERY = pytest.mark.parametrize("picture", ALL.values(), ids=ALL)


class Shown(ShownEvaluation):
    def picture(self):
        return scenes.usual()


def parsed(html):
    """The HTML as XML, which it is: no tag is left open, nothing is unquoted."""
    return ET.fromstring(html.replace("&#x27;", "'"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "tuned is better than base: exact_match 0.91 against 0.78, ±0.05, p = 0.002 on 120 rows"),
        (
            {"p": 0.31, "rows": 12},
            "no difference between tuned and base can be told from chance on so few rows: …, p = 0.31 on 12 rows",
        ),
        (
            {"p": 0.0499996, "low": 0.001, "high": 0.002},
            "tuned is better than base: exact_match 0.9083 against 0.7750, ±0.0005, p = 0.0499 on 120 rows",
        ),
        (
            {"p": 0.0501, "low": 0.0},
            "no difference between tuned and base can be told from chance: …, ±0.09, p = 0.050 on 120 rows",
        ),
        (
            {"direction": "lower", "p": 0.00001},
            "tuned is worse than base: exact_match 0.91 against 0.78, ±0.05, p < 0.001 on 120 rows",
        ),
        (
            {"value": 0.8, "other_value": 0.8, "difference": 0.0, "low": 0.0, "high": 0.0, "better": 0, "worse": 0},
            "tuned and base do equally well on all 120 rows: exact_match 0.80",
        ),
        ({"rows": 0}, "tuned and base cannot be compared by exact_match: no row has a score of both"),
    ],
)
def test_a_comparison_is_a_sentence_that_claims_no_more_than_the_test_allows(more, said):
    assert compared(scenes.comparison(**more)) == said.replace("…", "exact_match 0.91 against 0.78")


def test_figures_of_a_column_have_the_same_decimals_and_what_is_unknown_is_a_dash():
    narrow = [Score(value=0.9134, low=0.908, high=0.919, rows=10_000), Score(value=0.9, low=0.8, high=0.95, rows=60)]
    places = score_places(narrow)
    cells = [score_cell(each, places)[0] for each in [*narrow, None, Score(value=None)]]
    assert cells == [
        "0.913",
        "0.900",
        UNKNOWN,
        UNKNOWN,
    ]
    assert score_cell(Score(value=-0.5, low=-1.25, high=0.25), 2) == ("-0.50", "-1.25 to 0.25")
    assert [money(cost, "USD") for cost in (12.345, 0.012, 0.000_012, 0.0, None)] == [
        "12.35 USD",
        "0.012 USD",
        "0.000012 USD",
        "0.00 USD",
        UNKNOWN,
    ]


def test_by_a_judge_the_baseline_wins_half_against_itself_and_has_no_interval():
    judged = {"judge": scenes.score(0.5)}
    models = [scenes.model("base", None, scores=judged), scenes.model("tuned", None, scores=judged)]
    picture = EvaluationPicture(models=models, metrics=[scenes.metric("judge", "wins")], rows=120, baseline="base")
    assert score_cells(picture.metrics[0], picture) == [("0.50", ""), ("0.50", f"0.44{UNKNOWN}0.56")]
    assert evaluation_html(picture).count("<circle") == 1


def test_intervals_of_large_data_do_not_look_large():
    _, line = parsed(evaluation_html(scenes.many(models=1, metrics=1))).iter("line")
    assert float(line.get("x2")) - float(line.get("x1")) < 12


@pytest.mark.parametrize("width", [110, 40, 20])
def test_the_text_has_the_table_the_sentence_the_labels_and_the_answers_side_by_side(width):
    check(f"usual-{width}", evaluation_text(scenes.usual(), width))


def test_pairs_of_models_of_which_no_row_changed_take_no_room_from_the_others():
    pairs = [scenes.changed(0, 0, f"model-{n}") for n in range(9)]
    text = evaluation_text(scenes.usual(changed=[*pairs, scenes.changed(1, 0)]))
    assert "1 row that tuned does better than base (exact_match):" in text
    assert "every other pair" not in text


def test_printed_and_in_places_without_html_it_is_the_same_text():
    assert str(Shown()) == Shown()._repr_mimebundle_()["text/plain"] == evaluation_text(scenes.usual(), 110)


@pytest.mark.parametrize("most", [1, 3, 4])
@pytest.mark.parametrize("width", [110, 40])
def test_as_many_changed_rows_are_shown_as_were_asked_for(width, most):
    text = evaluation_text(scenes.usual(changed=[scenes.changed(6, 3)]), width, most)
    assert len(re.findall(r"^  row ", text, re.MULTILINE)) == (2 if width == 110 else most + min(most, 3))
    assert ("and 6 more" in text, f"and {6 - most} more" in text) == (False, True)


@pytest.mark.parametrize("picture", [scenes.usual(), scenes.hostile()])
@pytest.mark.parametrize("width", [19, 24, 30])
def test_figures_are_whole_however_little_room_there_is(picture, width):
    lines = evaluation_text(picture, width).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("model"))
    rows = lines[start + 1 : start + 1 + len(picture.models)]
    figures = [score_cells(picture.metrics[0], picture)[number][0] for number in range(len(rows))]
    assert all(line.endswith(figure) for line, figure in zip(rows, figures, strict=True))


@EVERY
@pytest.mark.parametrize("width", [110, 76, 40])
def test_text_controls_no_terminal_and_fits_into_the_room(picture, width):
    lines = evaluation_text(picture, width).splitlines()
    assert [line for line in lines if not line.isprintable()] == []
    assert [line for line in lines if len(line) > width] == []
    assert len(lines) < 150


@pytest.mark.parametrize("width", [8, 11, 20, 60])
@pytest.mark.parametrize(
    "said",
    [
        "12 answers are none of the labels: '質問はとても長いものですか、それとも短いですか' 1 × of 12",
        "調 and 基 do equally well",
        "a " * 40,
    ],
)
def test_a_sentence_with_wide_characters_is_broken_and_none_of_it_is_lost(said, width):
    lines = wrapped(said, width)
    assert max(map(cells, lines)) <= width
    assert "".join("".join(lines).split()) == "".join(said.split())


@EVERY
def test_no_line_is_wider_than_a_very_narrow_terminal(picture):
    assert [line for line in evaluation_text(picture, 20).splitlines() if len(line) > 20] == []


@EVERY
def test_html_is_sound_escaped_and_without_script_or_colours_of_text(picture):
    html = evaluation_html(picture, scenes.HOSTILE)
    tree = parsed(html)
    assert {each.tag.removeprefix(SVG) for each in tree.iter()}.isdisjoint({"script", "img", "link", "iframe", "a"})
    assert not re.search(r"[\x1b\x9b\u202e]", html)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|on\w+=|javascript:", html)
    assert set(re.findall(r"(?<![-\w])color:([^;}\"]+)", html)) <= {"inherit"}
    assert len(html) < 100_000


def test_in_a_notebook_what_is_long_is_folded():
    tree = parsed(Shown()._repr_html_())
    assert [each.text for each in tree.iter("summary")] == [
        "labels of tuned (labels, macro F1 0.87)",
        "rows that changed from base to tuned (exact_match): 19 better, 3 worse",
    ]
    assert [each.get("open") for each in tree.iter("details")] == [None, None]


def test_a_running_evaluation_is_one_line():
    running = EvaluationProgress(done=80, failed=1, total=240, models={"base": 60, "tuned": 20}, rate=4.0, eta=40.0)
    assert progress_text(running) == ("evaluation · 80 of 240 answers · 1 failed · base 60, tuned 20 · 4/s · 40 s left")
    assert "33 % done" in progress_html(running)
    shown = view_of_progress(running, "left")
    assert shown.text.endswith("\nleft")
    assert list(shown.lines) == ["", "note"]
    assert "took 12 s" in progress_text(EvaluationProgress(done=240, total=240, elapsed=12, ended=True))


def test_where_nothing_can_be_replaced_the_progress_is_a_line_for_every_tenth(capsys):
    report = LiveProgress()
    for done in (0, 10, 23, 24, 30, 240):
        report(EvaluationProgress(done=done, total=240, ended=done == 240, elapsed=done / 2))
    assert capsys.readouterr().out.splitlines() == [
        "evaluation · 0 of 240 answers",
        "evaluation · 24 of 240 answers",
        "evaluation · 240 of 240 answers · took 2 min 00 s",
    ]


def test_what_failed_is_counted_once_in_the_bar():
    running = EvaluationProgress(done=100, failed=100, total=200)
    assert "50 % done" in progress_html(running)
    assert view_of_progress(running).lines[""][0] == (False, 5, "")
