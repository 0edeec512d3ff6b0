"""The parts of the page that compute, asked in the browser: numbers, times, axes; and what moves on it."""

from __future__ import annotations

import math
import random
import re

import attrs
import pytest

from gemtune.show.progress import duration
from people.web import scenes
from people.web.eyes import row
from people.web.stage import Stage

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

pytestmark = [pytest.mark.socket, pytest.mark.slow]

DO = """async ([file, name, cases]) => {
    const module = await import(`/static/${file}`);
    return cases.map(each => module[name](...each));
}"""


def test_numbers_and_times_are_said_as_python_says_them(visit):
    dice = random.Random(3)
    losses = [0.0, 1.0, 12346.0, 99999.4, 0.0001, 0.00001234, 1e-12, 3.14159, 1.9999999, 250.0, 0.1 + 0.2]
    losses += [10 ** dice.uniform(-9, 7) for _ in range(300)]
    seconds = [0.0, 0.2, 59.0, 59.2, 60.0, 3599.5, 3600.0, 86400.0, *(10 ** dice.uniform(0, 6) for _ in range(100))]
    with Stage().served() as url:
        page = visit(url)
        assert page.evaluate(DO, ["words.js", "digits", [[loss] for loss in losses]]) == [f"{x:.4g}" for x in losses]
        assert page.evaluate(DO, ["words.js", "duration", [[x] for x in seconds]]) == [duration(x) for x in seconds]


def test_a_logarithmic_axis_has_a_few_round_marks_whatever_it_spans(visit):
    dice = random.Random(4)
    spans = [(low := 10 ** dice.uniform(-6, 3), low * 10 ** dice.uniform(0.02, 8)) for _ in range(200)]
    with Stage().served() as url:
        page = visit(url)
        for (low, high), ticks in zip(spans, page.evaluate(DO, ["chart.js", "logTicks", spans]), strict=True):
            assert 4 <= len(ticks) <= 13, (low, high, ticks)
            assert all(low * 0.99 <= tick <= high * 1.01 for tick in ticks)
            if high > low * 3:
                assert all(math.isclose(tick, float(f"{tick:.2g}")) for tick in ticks)


def test_the_axis_of_steps_leaves_room_but_not_too_much_of_it(visit):
    cases = [[50, 50], [50, 23], [400, 70], [400, 0], [None, 9], [2, 1]]
    with Stage().served() as url:
        page = visit(url)
        found = page.evaluate(DO, ["chart.js", "lastStep", [[total or 0, furthest] for total, furthest in cases]])
        assert found == [50, 50, 100, 7, 9, 2]


def test_a_curve_that_begins_anew_takes_the_place_of_the_old_one(visit):
    stage = Stage([scenes.job("again", 20, evals=False)])
    with stage.served() as url:
        page = visit(url)
        chart = page.locator("#board-chart [role=img]")
        chart.locator("canvas").wait_for()
        chart.focus()
        page.keyboard.press("End")
        expect(page.locator("#legend .at")).to_have_text("at step 20")
        old = stage.jobs["tunedModels/again"]
        fresh = attrs.evolve(old, completed=4, losses=(*old.losses[:2], (3, 9.5), (4, 8.5)))
        said = {**fresh.to_dict(), "losses": {"kept": 2, "steps": [3, 4], "values": [9.5, 8.5]}}
        said["eval_losses"] = {"kept": 0, "steps": [], "values": []}
        stage.tell("job", said)
        expect(row(page, "again")).to_contain_text("4/50")
        page.keyboard.press("End")
        expect(page.locator("#legend .at")).to_have_text("at step 4")
        expect(page.locator("#legend")).to_contain_text("8.5")
        expect(chart).to_have_attribute("aria-label", re.compile("again: 8.5"))


def test_a_row_that_moves_keeps_the_focus(visit):
    jobs = scenes.sweep()
    stage = Stage(jobs)
    with stage.served() as url:
        page = visit(f"{url}#sort=loss")
        titles = page.locator("#table .job a")
        expect(titles).to_have_text(["rate 0.002", "rate 0.001", "rate 0.0005", "rate 0.02", "rate 0.004"])
        page.get_by_role("link", name="rate 0.0005").focus()
        stage.change(attrs.evolve(jobs[0], losses=(*jobs[0].losses, (24, 0.01))))
        expect(titles).to_have_text(["rate 0.0005", "rate 0.002", "rate 0.001", "rate 0.02", "rate 0.004"])
        expect(page.get_by_role("link", name="rate 0.0005")).to_be_focused()
