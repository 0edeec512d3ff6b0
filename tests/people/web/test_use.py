"""Who can use the dashboard's page: by keyboard, on a phone, in the dark, with weak eyes, without motion."""

from __future__ import annotations

import re

import pytest

from gemtune.show.picture import Tone
from people.web import scenes
from people.web.eyes import CONTRAST, COUNTED, FOCUS, MOVING, SMALL, becomes
from people.web.stage import Stage

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

pytestmark = [pytest.mark.socket, pytest.mark.slow]


def test_the_whole_page_is_reached_and_left_by_keyboard(visit):
    with Stage(scenes.sweep()).served() as url:
        page = visit(url)
        expect(page.locator("#table tbody")).to_have_count(5)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the jobs")).to_be_focused()
        page.keyboard.press("Enter")
        seen = []
        for _ in range(40):
            page.keyboard.press("Tab")
            focus = page.evaluate(FOCUS)
            if focus[0] == "rate 0.001":
                break
            seen.append(focus)
        names = [name for name, _, _ in seen]
        assert [name for name, style, width in seen if style == "none" or width < 2] == []
        assert "Draw the curve of rate 0.0005" in names
        assert "Compare 4" in names
        assert "1 failed" in names
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog", name="rate 0.001")).to_be_visible()
        expect(page.get_by_role("button", name="Close the details")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("link", name="rate 0.001", exact=True)).to_be_focused()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Space")
        expect(page.get_by_role("checkbox", name="Draw the curve of rate 0.001")).not_to_be_checked()


def test_the_arrow_keys_move_the_cursor_of_a_chart(visit):
    with Stage(scenes.sweep()).served() as url:
        page = visit(url)
        chart = page.locator("#board-chart [role=img]")
        chart.locator("canvas").wait_for()
        chart.focus()
        page.keyboard.press("Home")
        expect(page.locator("#legend .at")).to_have_text("at step 1")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#legend .at")).to_have_text("at step 2")
        expect(chart).to_have_attribute(
            "aria-label", re.compile("Mean loss by step, logarithmic scale. Latest: rate 0.0005: 2.698")
        )


@pytest.mark.parametrize("place", ["", "#job=tunedModels/rate-0-002", "#compare=side", "#compare=over"])
def test_a_phone_shows_everything_without_scrolling_sideways(visit, place):
    long = scenes.job("a name without any place to break it " + "x" * 90, 7, tone=Tone.BAD, reason="y" * 200)
    with Stage([*scenes.sweep(), long], {"b": scenes.batch(3150, title="z" * 80)}).served() as url:
        page = visit(url + place, width=360, height=740, has_touch=True, is_mobile=True)
        expect(page.locator("#table tbody")).to_have_count(6)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.evaluate(
            "[...document.querySelectorAll('dialog[open]')].every(e => e.scrollWidth <= e.clientWidth)"
        )
        small = page.evaluate(SMALL)
        assert small == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", ["", "#job=tunedModels/rate-0-002", "#compare=over", "#find=nothing"])
def test_every_text_can_be_read_on_its_ground(visit, scheme, place):
    stage = Stage(scenes.sweep() + scenes.crowd(8), {"b": scenes.batch(3150)})
    stage.service = {"outage": True, "trouble": "HTTP 503"}
    with stage.served() as url:
        page = visit(url + place, color_scheme=scheme, reduced_motion="reduce")
        expect(page.locator("#outage")).to_be_visible()
        found = page.evaluate(CONTRAST)
        assert len(found) > 40
        assert [entry for entry in found if entry[0] < 4.5] == []


def test_nothing_moves_for_those_who_do_not_want_it(visit):
    stage = Stage(scenes.sweep())
    with stage.served() as url:
        still, moving = visit(url, reduced_motion="reduce"), visit(url, reduced_motion="no-preference")
        for page in (still, moving):
            page.evaluate(COUNTED)
        stage.change(scenes.later(scenes.sweep()[0], 1))
        becomes(moving, lambda: moving.evaluate("moved"), lambda seen: seen == 1)  # the dot beside "live"
        assert still.evaluate("moved") == 0
        assert moving.evaluate(MOVING) == still.evaluate(MOVING) == 0


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("place", ["", "#job=tunedModels/rate-0-002", "#compare=side"])
def test_whoever_hears_the_page_is_told_what_everything_is(visit, width, place):
    with Stage(scenes.sweep(), {"b": scenes.batch(3150)}).served() as url:
        page = visit(url + place, width=width)
        expect(page.locator("#table tbody")).to_have_count(5)
        page.locator("canvas").last.wait_for()
        nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
        heard = [
            (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored")
        ]
        controls = {"button", "checkbox", "combobox", "image", "link", "progressbar", "searchbox", "textbox", "dialog"}
        assert [role for role, name in heard if role in controls and not name] == []
        assert {name for role, name in heard if role == "heading"} >= ({"Loss", "5 jobs"} if not place else set())
        if not place:  # a phone lays the rows out as blocks, and they stay a table
            roles = [role for role, _ in heard]
            assert roles.count("columnheader") == (7 if width > 1000 else 6)  # the lowest loss has no room there
            assert roles.count("row") == 7  # with the head, and the reason why one failed
            assert ("checkbox", "Draw the curve of rate 0.001") in heard
            assert ("progressbar", "Progress of rate 0.001") in heard
