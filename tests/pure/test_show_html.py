"""What a notebook shows of jobs and batches: HTML and SVG that are sound, escaped, and fit paper of any colour."""

import math
import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.show.html import batch_html, job_html, jobs_html, results_html
from gemtune.show.palette import STROKES
from gemtune.show.picture import BatchPicture, JobPicture, Tone
from gemtune.show.svg import Curve, chart, sparkline
from gemtune.show.words import batch_text, job_line, job_text, jobs_text

HOSTILE = "<script>alert('1')</script>&\"\x1b[31m"
SEEN = datetime(2026, 11, 28, 10, 31, 5, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def picture(title="rate 0.001", steps=20, **more):
    falling = tuple((step, 5 * math.exp(-step / 10)) for step in range(1, steps + 1))
    facts = {"word": "running", "tone": Tone.RUNNING, "losses": falling, "completed": steps, "total": 50}
    facts |= {"share": steps / 50, "eta": 32.0, "elapsed": 28.0, "looked_at": SEEN}
    return JobPicture(name=f"tunedModels/{title}", title=title, **(facts | more))


def parsed(html):
    """The HTML as XML, which it is: no tag is left open, nothing is unquoted."""
    return ET.fromstring(html.replace("&#x27;", "'"))


def words(html):
    return " ".join("".join(each.itertext()) for each in parsed(html) if each.tag != "style")


def every():
    batch = BatchPicture(title=HOSTILE, done=3, failed=1, total=8, rate=2.0, eta=2.0, elapsed=2.0, held_back=HOSTILE)
    bad = {"word": HOSTILE, "tone": Tone.BAD, "reason": HOSTILE, "trouble": HOSTILE, "base_model": HOSTILE}
    hostile = picture(HOSTILE, hyperparameters=HOSTILE, eval_losses=((5, 3.0), (10, 2.0)), **bad)
    yield job_html(hostile, HOSTILE)
    yield jobs_html([hostile, picture(), picture(steps=0)], HOSTILE)
    yield batch_html(batch, HOSTILE)
    yield results_html(HOSTILE, [(HOSTILE, HOSTILE, HOSTILE)], {HOSTILE: 3}, 7)


@pytest.mark.parametrize("html", [*every()], ids=["job", "jobs", "batch", "results"])
def test_it_is_sound_escaped_without_script_and_asks_nothing_of_the_network(html):
    tree = parsed(html)
    assert {each.tag.removeprefix(SVG) for each in tree.iter()}.isdisjoint({"script", "img", "link", "iframe", "a"})
    assert "alert" in "".join(tree.itertext())
    assert "\x1b" not in html
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|on\w+=|javascript:", html)


@pytest.mark.parametrize("html", [*every()], ids=["job", "jobs", "batch", "results"])
def test_no_colour_of_text_or_paper_is_set_so_that_it_can_be_read_on_any(html):
    set_colors = re.findall(r"(?<![-\w])color:([^;}\"]+)", html)
    assert set(set_colors) <= {"inherit"}
    assert not re.search(r"#fff|#000|\b(white|black)\b(?!-)", html)
    for each in parsed(html).iter(f"{SVG}text"):
        assert each.get("fill") == "currentColor"


def test_a_curve_is_solid_in_training_dashed_on_validation_data_and_has_a_dot_at_its_lowest_loss():
    evals = ((5, 3.0), (10, 2.0), (15, 2.5))
    tree = ET.fromstring(chart([Curve(label="mine", color="#123456", train=picture().losses, evals=evals, total=50)]))
    train, dashed = tree.findall(f"{SVG}polyline")
    assert train.get("stroke-dasharray") is None
    assert dashed.get("stroke-dasharray")
    (dot,) = tree.findall(f"{SVG}circle")
    assert dot.findtext(f"{SVG}title") == "mine: lowest loss on validation data 2, at step 10"
    assert tree.get("role") == "img"
    assert "mine, lowest 2 at step 10" in tree.get("aria-label")
    labels = [each.text for each in tree.findall(f"{SVG}text")]
    assert "step 1" in labels
    assert "50" in labels, "the whole way, of which 20 steps are done"


def test_the_scale_is_logarithmic_if_most_of_a_curve_would_lie_at_the_bottom():
    steep = chart([Curve(label="x", color="#123456", train=[(n, 5 * 0.7**n) for n in range(1, 30)])])
    flat = chart([Curve(label="x", color="#123456", train=[(n, 5 - n / 10) for n in range(1, 30)])])
    assert "logarithmic" in ET.fromstring(steep).get("aria-label")
    assert "logarithmic" not in ET.fromstring(flat).get("aria-label")
    assert "logarithmic" not in chart([Curve(label="x", color="#123456", train=[(1, 5.0), (2, 0.0), (3, -1.0)])])


losses = st.floats(allow_nan=False, allow_infinity=False) | st.floats(1e-9, 1e3)


@given(st.lists(losses, min_size=1, max_size=40), st.integers(0, 10**6), st.sampled_from([None, 1, 50, 10**9]))
def test_any_curve_stays_inside_its_picture(values, first, total):
    points = [(first + n, value) for n, value in enumerate(values)]
    tree = ET.fromstring(chart([Curve(label="x", color="#123456", train=points, total=total, letter="a")], 400, 200))
    places = [(float(each.get("cx")), float(each.get("cy"))) for each in tree.iter(f"{SVG}circle")]
    for line in tree.iter(f"{SVG}polyline"):
        places += [tuple(map(float, place.split(","))) for place in line.get("points").split()]
    places += [(float(each.get("x")), float(each.get("y"))) for each in tree.iter(f"{SVG}text")]
    assert all(0 <= x <= 400 and 0 <= y <= 200 for x, y in places)
    assert ET.fromstring(sparkline(points, "#123456") or "<svg/>") is not None


def test_jobs_are_compared_in_one_picture_each_with_its_colour_and_letter():
    shown = jobs_html([picture("one"), picture("two", 30), picture("three", 0, losses=())])
    lines = parsed(shown).findall(f".//{SVG}polyline")
    assert [line.get("stroke") for line in lines] == [stroke.color for stroke in STROKES[:2]]
    assert "3 tuning jobs" in words(shown)
    rows = [["".join(cell.itertext()) for cell in row] for row in parsed(shown).findall("table/tbody/tr")]
    assert [row[:2] for row in rows] == [["a", "one"], ["b", "two"], ["", "three"]]


def test_of_many_jobs_those_that_run_have_a_row_and_the_rest_is_counted():
    ended = [picture(f"done-{n}", 2, word="succeeded", tone=Tone.GOOD) for n in range(150)]
    shown = jobs_html([*ended, picture("running still")])
    assert "running still" in words(shown)
    assert "and 101 more" in words(shown)
    assert len(shown) < 60_000


def test_a_failed_job_says_why_and_one_that_was_left_says_how_to_continue():
    failed = job_html(picture(word="failed", tone=Tone.BAD, reason="bad data"))
    assert "bad data" in words(failed)
    assert "left; the job continues: await job" in words(job_html(picture(), "left; the job continues: await job"))
    assert "as of 10:31:05 UTC" in words(job_html(picture()))


def test_places_without_html_get_lines_that_say_the_same():
    said = job_text(picture(reason="bad\x1b data"))
    assert said.startswith("rate 0.001 · running · 20 of 50 steps · loss 0.6767 · 32 s left · running for 28 s\n")
    assert "\x1b" not in said
    table = jobs_text([picture("one"), picture("two", 30)]).splitlines()
    assert table[0] == "2 tuning jobs: 2 running"
    assert [line.split()[:3] for line in table[2:]] == [["one", "running", "20/50"], ["two", "running", "30/50"]]
    batch = BatchPicture(title="m", done=3, failed=1, total=8, rate=2.0, eta=2.0, elapsed=2.0, tokens=9, held_back="x")
    assert batch_text(batch) == "m · 3 of 8 answered · 1 failed · 2/s · 2 s left · 9 tokens · x"


def test_no_line_of_text_controls_a_terminal_whatever_the_service_says():
    wild = picture("a\x1b[2J", word="wild\x9b", reason="\x1b]0;x\x07", trouble="\x1b[31m")
    lines = [job_text(wild), job_line(wild), jobs_text([wild]), jobs_text([wild, picture()])]
    lines.append(batch_text(BatchPicture(title="\x1b[2J", held_back="\x9b")))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", "\n".join(lines))


def test_of_a_job_that_nobody_has_looked_at_nothing_is_claimed():
    shown = words(job_html(picture(steps=0, losses=(), word="not seen yet", tone=Tone.UNSEEN, total=None, share=None)))
    assert "nobody has looked at it yet" in shown
    assert "first loss" not in shown
    waiting = words(job_html(picture(steps=0, losses=(), word="starting", tone=Tone.WAITING)))
    assert "the first loss comes with the first step" in waiting
