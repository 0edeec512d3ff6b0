"""The dashboard's page in a real browser, told by a stage what happens: what a person sees of it, and can do with it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from people.web import scenes
from gemtune.show.picture import Tone
from people.web.stage import Stage

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

pytestmark = [pytest.mark.socket, pytest.mark.slow]

EVIL = "<img src=x onerror=\"violations.push('run')\"><script>violations.push('run')</script>"


def row(page: Any, title: str) -> Any:
    return page.locator("#table tbody").filter(has=page.get_by_role("link", name=title, exact=True))


def ink(page: Any, selector: str = "#board-chart canvas") -> int:
    """How many coloured points a chart has: what is drawn, seen from outside."""
    return page.locator(selector).first.evaluate(
        """canvas => {
            const copy = Object.assign(document.createElement("canvas"), {width: canvas.width, height: canvas.height});
            const context = copy.getContext("2d", {willReadFrequently: true});
            context.drawImage(canvas, 0, 0);
            const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
            let count = 0;
            for (let i = 0; i < data.length; i += 4)
                if (data[i + 3] > 200 && Math.max(data[i], data[i+1], data[i+2]) - Math.min(data[i], data[i+1], data[i+2]) > 90) count++;
            return count;
        }"""
    )


def becomes(page: Any, look: Any, wanted: Any) -> Any:
    """Look until what is seen is as wanted; return it."""
    for _ in range(60):
        seen = look()
        if wanted(seen):
            return seen
        page.wait_for_timeout(50)
    pytest.fail(f"it stayed {seen!r}")


def test_a_job_appears_its_curve_moves_and_it_ends(visit):
    stage = Stage()
    with stage.served() as url:
        page = visit(url)
        expect(page.locator("#empty")).to_contain_text("gemtune tune data.csv")
        first = scenes.job("rate 0.002", 3, seed=3)
        stage.change(first)
        expect(row(page, "rate 0.002")).to_contain_text("3/50")
        expect(page.locator("#empty")).to_be_hidden()
        expect(page.locator("#connection")).to_have_text(re.compile(r"live · event \d s ago"))
        before = becomes(page, lambda: ink(page), lambda seen: seen > 0)
        stage.change(scenes.later(first, 20))
        expect(row(page, "rate 0.002")).to_contain_text("23/50")
        expect(page).to_have_title("46 % · 1 running – gemtune")
        becomes(page, lambda: ink(page), lambda seen: seen != before)
        stage.change(scenes.later(first, 47))
        expect(row(page, "rate 0.002")).to_contain_text("succeeded")
        expect(row(page, "rate 0.002")).to_contain_text("took 1 min 05 s")
        expect(page.locator("#announcer")).to_have_text("rate 0.002 succeeded")
        expect(page).to_have_title("1 succeeded – gemtune")


def test_words_and_numbers_are_those_of_the_terminal(visit):
    with Stage(scenes.sweep(), {"b": scenes.batch(3150)}).served() as url:
        page = visit(url)
        expect(page.locator("#summary")).to_have_text("2 running · 1 waiting · 1 failed · 1 succeeded")
        expect(row(page, "rate 0.0005")).to_contain_text("5 epochs · batch 8 · rate 0.0005")
        expect(row(page, "rate 0.02")).to_contain_text("INTERNAL: loss diverged at step 10")
        expect(row(page, "rate 0.004")).to_contain_text("waiting for quota")
        expect(page.locator("#batch-list")).to_have_text(
            re.compile(r"3,150 of 5,000 · 2 failed · 118/s · \d+ s left$")
        )
        expect(page.locator("#problems")).to_contain_text("1 problem")


def test_the_page_says_when_its_server_is_gone_and_comes_back_by_itself(visit, complaints):
    stage = Stage(scenes.sweep())
    with stage.served() as url:
        page = visit(url)
        expect(row(page, "rate 0.001")).to_contain_text("31/50")
        port = int(url.rstrip("/").rpartition(":")[2])
    expect(page.locator("#connection")).to_contain_text("reconnecting")
    expect(page.locator("#outage")).to_contain_text("Jobs keep running")
    expect(row(page, "rate 0.001")).to_contain_text("31/50")
    del stage.jobs["tunedModels/rate-0-004"]  # deleted meanwhile
    stage.jobs["tunedModels/rate-0-001"] = scenes.later(scenes.sweep()[1], 9).to_dict()
    with stage.served(port):
        expect(page.locator("#connection")).to_contain_text("live")
        expect(page.locator("#outage")).to_be_hidden()
        expect(row(page, "rate 0.001")).to_contain_text("40/50")
        expect(row(page, "rate 0.004")).to_have_count(0)
        assert all("ERR_" in found for found in complaints.found), complaints.found
        complaints.found.clear()  # the connection was refused, and the browser says so


def test_an_outage_of_the_service_is_said_and_stays_among_the_problems(visit):
    stage = Stage(scenes.sweep())
    with stage.served() as url:
        page = visit(url)
        since = "2026-11-28T09:00:00Z"
        stage.outage({"message": "HTTP 503", "since": since, "until": None})
        expect(page.get_by_role("alert").first).to_contain_text("The service does not answer (HTTP 503)")
        stage.outage({"message": "HTTP 503", "since": since, "until": "2026-11-28T09:01:00Z"})
        expect(page.locator("#outage")).to_be_hidden()
        expect(page.locator("#problems")).to_contain_text("Outage, over")


def test_what_comes_from_outside_is_text_and_nothing_else(visit):
    hostile = scenes.job(
        EVIL, 5, tone=Tone.BAD, reason=EVIL, base_model=EVIL, hyperparameters=EVIL, parameters=((EVIL, EVIL),), word=EVIL
    )
    stage = Stage([hostile, scenes.sweep()[0]], {"b": scenes.batch(5, title=EVIL, held_back=EVIL)})
    with stage.served() as url:
        page = visit(url)
        expect(row(page, EVIL)).to_contain_text(EVIL)
        row(page, EVIL).get_by_role("link").click()
        expect(page.locator("#detail-title")).to_have_text(EVIL)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Compare 2").click()
        expect(page.locator("#compare table")).to_contain_text(EVIL)
        assert page.locator("img, main script, dialog script").count() == 0


def test_a_box_shows_and_hides_a_curve_and_the_address_keeps_what_was_chosen(visit):
    with Stage(scenes.sweep()).served() as url:
        page = visit(url)
        expect(page.locator("#legend li .title")).to_have_text(["rate 0.0005", "rate 0.001", "rate 0.002", "rate 0.02"])
        page.get_by_role("checkbox", name="Draw the curve of rate 0.001").uncheck()
        expect(page.locator("#legend li .title")).to_have_text(["rate 0.0005", "rate 0.002", "rate 0.02"])
        page.get_by_role("searchbox").fill("batch 8")
        page.get_by_role("button", name="running", exact=False).click()
        page.get_by_role("checkbox", name="Log scale").uncheck()
        page.get_by_role("columnheader", name="Loss").get_by_role("button").click()
        page.reload()
        expect(page.locator("#table tbody")).to_have_count(1)
        expect(page.get_by_role("searchbox")).to_have_value("batch 8")
        expect(page.get_by_role("checkbox", name="Log scale")).not_to_be_checked()
        expect(page.get_by_role("columnheader", name="Loss")).to_have_attribute("aria-sort", "ascending")
        expect(page.locator("#legend li .title")).to_have_text(["rate 0.0005", "rate 0.002", "rate 0.02"])
        expect(page.locator("#jobs-title")).to_have_text("1 of 5 jobs")


def test_jobs_are_sorted_by_what_is_asked_for_and_unknown_values_come_last(visit):
    with Stage(scenes.sweep()).served() as url:
        page = visit(url)
        titles = page.locator("#table .job a")
        expect(titles).to_have_count(5)
        page.get_by_role("combobox", name="Sort").select_option("loss")
        expect(titles).to_have_text(["rate 0.002", "rate 0.001", "rate 0.0005", "rate 0.02", "rate 0.004"])
        page.get_by_role("columnheader", name="Loss").get_by_role("button").click()
        expect(titles).to_have_text(["rate 0.02", "rate 0.0005", "rate 0.001", "rate 0.002", "rate 0.004"])


def test_compared_jobs_show_what_differs(visit):
    with Stage(scenes.sweep()).served() as url:
        page = visit(url)
        page.get_by_role("button", name="Compare 4").click()
        dialog = page.get_by_role("dialog", name="Compare 4 jobs")
        expect(dialog.locator(".differs th")).to_have_text(["batch (differs)", "rate (differs)"])
        expect(dialog.get_by_role("row", name="epochs")).to_contain_text("5 in all")
        expect(dialog.locator(".best")).to_have_text(["0.2394", "0.3621", "0.3621 @ 50"])
        dialog.get_by_role("button", name="Side by side").click()
        expect(dialog.locator("canvas")).to_have_count(4)
        page.go_back()
        expect(dialog).to_be_hidden()


def test_a_job_has_a_page_of_its_own_and_its_model_can_be_asked(visit):
    stage = Stage(scenes.sweep())
    with stage.served() as url:
        page = visit(f"{url}#job=tunedModels/rate-0-002")
        dialog = page.get_by_role("dialog", name="rate 0.002")
        expect(dialog).to_contain_text("tunedModels/rate-0-002")
        expect(dialog).to_contain_text("gemtune jobs watch tunedModels/rate-0-002")
        expect(dialog).to_contain_text('job = client.job("tunedModels/rate-0-002")')
        expect(dialog.locator("table tbody tr")).to_have_count(3)
        assert ink(page, "#detail canvas") > 0
        dialog.get_by_role("textbox").fill("How are you?")
        dialog.get_by_role("button", name="Ask").click()
        expect(dialog.locator(".answers li")).to_have_text(["How are you?An answer to: How are you?"])
        assert stage.asked == [{"job": "tunedModels/rate-0-002", "prompt": "How are you?"}]


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
            focus = page.evaluate(
                """() => {
                    const e = document.activeElement;
                    const style = getComputedStyle(e);
                    return [e.getAttribute("aria-label") ?? (e.labels?.[0] ?? e).textContent.trim(), style.outlineStyle, parseFloat(style.outlineWidth)];
                }"""
            )
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
        expect(chart).to_have_attribute("aria-label", re.compile("Mean loss by step, logarithmic scale. Latest: rate 0.0005: 2.698"))


@pytest.mark.parametrize("place", ["", "#job=tunedModels/rate-0-002", "#compare=side", "#compare=over"])
def test_a_phone_shows_everything_without_scrolling_sideways(visit, place):
    long = scenes.job("a name without any place to break it " + "x" * 90, 7, tone=Tone.BAD, reason="y" * 200)
    with Stage([*scenes.sweep(), long], {"b": scenes.batch(3150, title="z" * 80)}).served() as url:
        page = visit(url + place, width=360, height=740, has_touch=True, is_mobile=True)
        expect(page.locator("#table tbody")).to_have_count(6)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.evaluate("[...document.querySelectorAll('dialog[open]')].every(e => e.scrollWidth <= e.clientWidth)")
        small = page.evaluate(
            """() => [...document.querySelectorAll("body *")].filter(e => e.childElementCount === 0 && e.textContent.trim()
                && e.checkVisibility() && parseFloat(getComputedStyle(e).fontSize) < 11).map(e => e.textContent)"""
        )
        assert small == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", ["", "#job=tunedModels/rate-0-002", "#compare=over", "#find=nothing"])
def test_every_text_can_be_read_on_its_ground(visit, scheme, place):
    stage = Stage(scenes.sweep() + scenes.crowd(8), {"b": scenes.batch(3150)})
    stage.outages = [{"message": "HTTP 503", "since": "2026-11-28T09:00:00Z", "until": None}]
    with stage.served() as url:
        page = visit(url + place, color_scheme=scheme, reduced_motion="reduce")
        expect(page.locator("#outage")).to_be_visible()
        found = page.evaluate(CONTRAST)
        assert len(found) > 40
        assert [entry for entry in found if entry[0] < 4.5] == []


CONTRAST = """() => {
    const context = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d", {willReadFrequently: true});
    const over = (...layers) => {
        context.clearRect(0, 0, 1, 1);
        for (const layer of layers) { context.fillStyle = layer; context.fillRect(0, 0, 1, 1); }
        return context.getImageData(0, 0, 1, 1).data;
    };
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * x + .7152 * y + .0722 * z;
    };
    const found = [];
    const dialog = document.querySelector("dialog[open]");
    for (const element of (dialog ?? document.body).querySelectorAll("*")) {
        const text = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.textContent.trim()).join("") || element.placeholder;
        if (!text || !element.checkVisibility() || element.matches(".unseen, option, script, noscript")) continue;
        if (element.disabled) continue;
        const grounds = [];
        for (let e = element; e; e = e.parentElement) grounds.unshift(getComputedStyle(e).backgroundColor);
        const ground = over("#fff", ...grounds);
        const ink = over(`rgb(${ground[0]} ${ground[1]} ${ground[2]})`, getComputedStyle(element).color);
        const [a, b] = [light(ground), light(ink)].sort((x, y) => y - x);
        found.push([Math.round((a + .05) / (b + .05) * 100) / 100, text.slice(0, 40)]);
    }
    return found;
}"""


def test_nothing_moves_for_those_who_do_not_want_it(visit):
    with Stage(scenes.sweep()).served() as url:
        still = visit(url, reduced_motion="reduce")
        moving = visit(url, reduced_motion="no-preference")
        count = "document.getAnimations({subtree: true}).length"
        assert moving.evaluate(count) == 1  # the dot beside "live"
        assert still.evaluate(count) == 0


def test_two_hundred_jobs_stay_smooth(visit, record_property):
    crowd = scenes.crowd()
    stage = Stage(crowd)
    with stage.served() as url:
        page = visit(url)
        expect(page.locator("#table tbody")).to_have_count(200)
        page.wait_for_timeout(300)
        page.evaluate("longest = 0")
        running = [picture for picture in crowd if picture.tone is Tone.RUNNING]
        frames = page.evaluate_handle(
            """() => {
                const seen = {gaps: [], last: performance.now(), on: true};
                const frame = (now) => { seen.gaps.push(now - seen.last); seen.last = now; seen.on && requestAnimationFrame(frame); };
                requestAnimationFrame(frame);
                return seen;
            }"""
        )
        client = page.context.new_cdp_session(page)
        client.send("Performance.enable")
        before = metrics(client)
        for round_ in range(1, 21):
            stage.change(*(scenes.later(picture, round_) for picture in running))
            page.wait_for_timeout(100)
        last = running[-1]
        expect(row(page, last.title)).to_contain_text(f"{last.completed + 20}/400")
        spent = {name: value - before[name] for name, value in metrics(client).items()}
        gaps = sorted(frames.evaluate("seen => (seen.on = false, seen.gaps)"))
        longest = page.evaluate("longest")
        print(spent, gaps[len(gaps)//2], longest)
        busy = spent["TaskDuration"] / spent["Timestamp"]
        record_property("longest task in ms", longest)
        record_property("main thread busy", round(busy, 3))
        record_property("95th percentile between frames in ms", round(gaps[len(gaps) * 95 // 100], 1))
        assert busy < 0.6
        assert longest < 400


def metrics(client: Any) -> dict[str, float]:
    told = client.send("Performance.getMetrics")["metrics"]
    return {entry["name"]: entry["value"] for entry in told if entry["name"] in {"TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration", "Timestamp"}}
