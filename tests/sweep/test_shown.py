"""What a person sees of a sweep: its header, the leaderboard, what a log says, and all curves in one plot."""

import re
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from drawn import same
from gemtune.notebook.places import PlainLines
from gemtune.show.palette import TONES
from gemtune.show.picture import Tone
from gemtune.sweep.html import MOST_ROWS, sweep_html
from gemtune.sweep.point import PointState
from gemtune.sweep.text import reason, sweep_reports, sweep_text
from sweep import sweeps
from sweep.played import Shown

SVG = "{http://www.w3.org/2000/svg}"
SCENES = ("begins", "running", "ended", "nothing", "single", "short", "hostile", "many")
EVERY = pytest.mark.parametrize("name", SCENES)
check = partial(same, folder=Path(__file__).parent / "screens")


def scene(name):
    return getattr(sweeps, name)()


def parsed(html):
    """The HTML as XML, which it is: no tag is left open, nothing is unquoted."""
    return ET.fromstring(html.replace("&#x27;", "'"))


@pytest.mark.parametrize("name", ["begins", "running", "ended", "nothing", "single", "short"])
@pytest.mark.parametrize("width", [110, 40])
def test_the_text_has_the_header_and_the_leaderboard(name, width):
    check(f"{name}-{width}", sweep_text(scene(name), width))


def test_html_says_what_the_figures_are_and_what_the_money_did_not_allow():
    html = sweep_html(sweeps.short())
    assert "at most 40,000 tokens" in html
    assert "at most 12.31 of 12.50 USD (0.31 for evaluations)" in html
    assert f"point 2: trained, but not evaluated: {sweeps.SHORT}" in html
    assert f"the base model was not evaluated: {sweeps.SHORT}" in html


@EVERY
@pytest.mark.parametrize("width", [110, 40])
def test_text_controls_no_terminal_and_fits_into_the_room(name, width):
    lines = sweep_text(scene(name), width).splitlines()
    assert [line for line in lines if not line.isprintable()] == []
    assert [line for line in lines if len(line) > width] == []
    assert len(lines) < 100


def test_a_log_says_only_what_changed():
    said = []
    stream = type("Stream", (), {"write": lambda _, text: said.append(text), "flush": lambda _: None})()
    place, sweep = PlainLines(stream), Shown(sweeps.begins())
    seen = []
    for picture in (sweeps.begins(), sweeps.running(), sweeps.running(elapsed=300.0), sweeps.ended()):
        sweep.scenes = [picture]
        place.show(sweep._view())
        seen.append("".join(said))
        said.clear()
    assert seen[0] == "0 of 24 points done · 24 left\n"
    assert seen[2] == ""
    check("log", "".join(seen))


@EVERY
def test_html_is_sound_escaped_and_without_script_or_colours_of_text(name):
    html = sweep_html(scene(name), sweeps.HOSTILE)
    tree = parsed(html)
    assert {each.tag.removeprefix(SVG) for each in tree.iter()}.isdisjoint({"script", "img", "link", "iframe", "a"})
    assert not re.search(r"[\x1b\x9b\u202e]", html)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|on\w+=|javascript:", html)
    assert set(re.findall(r"(?<![-\w])color:([^;}\"]+)", html)) <= {"inherit"}
    assert "nan" not in html


@pytest.mark.parametrize(("count", "most"), [(0, 3_000), (1, 7_000), (24, 32_000), (200, 100_000), (2_000, 130_000)])
def test_html_of_any_number_of_points_stays_small(count, most):
    html = sweep_html(sweeps.many(count))
    assert len(html) < most
    assert html.count("<tr>") <= MOST_ROWS + 1


def test_the_best_curve_stands_out_on_top_and_what_was_stopped_is_faint_and_ends_in_a_cross():
    tree = parsed(sweep_html(sweeps.running()))
    plot = next(tree.iter(f"{SVG}svg"))
    lines = plot.findall(f"{SVG}polyline")
    *others, best = lines
    assert best.get("stroke") == TONES[Tone.GOOD].color
    assert best.findtext(f"{SVG}title") == "point 13 (epochs 4 · rate × 2 · adapter 8): loss"
    assert float(best.get("stroke-width")) > max(float(each.get("stroke-width")) for each in others)
    crossed = [each.findtext(f"{SVG}title").partition(" (")[0] for each in plot.findall(f"{SVG}path")]
    assert crossed == ["point 6", "point 7"]
    faint = [each.findtext(f"{SVG}title").partition(" (")[0] for each in lines if each.get("stroke-opacity") == "0.45"]
    assert faint == ["point 6", "point 7"]
    assert plot.get("aria-label").startswith("loss on the validation data by step")


def test_without_losses_on_validation_data_the_curves_are_of_training():
    plot = next(parsed(sweep_html(sweeps.running(evals=False))).iter(f"{SVG}svg"))
    assert plot.get("aria-label").startswith("mean loss by step")


def test_as_long_as_no_point_has_two_losses_on_validation_data_the_curves_are_of_training():
    early = sweeps.ranked([sweeps.point(n, sweeps.GRID[n], PointState.RUNNING, 0.35) for n in range(2)])
    assert [len(each.picture.eval_losses) for each in early] == [1, 1]
    plot = next(parsed(sweep_html(sweeps.running(points=early))).iter(f"{SVG}svg"))
    assert plot.get("aria-label").startswith("mean loss by step")
    assert len(plot.findall(f"{SVG}polyline")) == 2


def test_of_a_point_that_ended_while_a_rule_gave_it_up_both_are_said():
    late = sweeps.point(0, sweeps.GRID[0], PointState.TRAINED, reason=sweeps.GIVEN_UP)
    assert reason(late) == f"trained before it could be stopped: {sweeps.GIVEN_UP}"


async def test_show_runs_to_the_end_and_returns_the_last_picture(capsys):
    last = sweeps.ended()
    assert await Shown(sweeps.begins(), sweeps.running(), last).show() is last
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "0 of 24 points done · 24 left"
    assert said[-1].startswith("point 13 is better than gemini-1.0-pro-001: exact_match 0.91 against 0.78")


def test_printed_and_in_places_without_html_it_is_the_same_text():
    shown = Shown(sweeps.running())
    assert str(shown) == shown._repr_mimebundle_()["text/plain"] == sweep_text(sweeps.running())


@EVERY
def test_no_line_of_a_log_controls_a_terminal(name):
    assert all(line.isprintable() for _, _, line in sweep_reports(scene(name)))
