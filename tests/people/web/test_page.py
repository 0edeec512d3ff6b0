"""The dashboard's page in a real browser, told by a stage what happens: what a person sees, and can do."""

from __future__ import annotations

import re

import pytest

from gemtune.show.picture import JobPicture, Tone
from gemtune.types.batches import BatchCounts
from people.web import scenes
from people.web.eyes import FRAMES, becomes, ink, metrics, row
from people.web.stage import Stage

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

pytestmark = [pytest.mark.socket, pytest.mark.slow]

EVIL = "<img src=x onerror=\"violations.push('run')\"><script>violations.push('run')</script>"


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
        expect(page).to_have_title("46 % · 1 running · gemtune")
        becomes(page, lambda: ink(page), lambda seen: seen != before)
        stage.change(scenes.later(first, 47))
        expect(row(page, "rate 0.002")).to_contain_text("succeeded")
        expect(row(page, "rate 0.002")).to_contain_text("took 1 min 05 s")
        expect(page.locator("#announcer")).to_have_text("rate 0.002 succeeded")
        expect(page).to_have_title("1 succeeded · gemtune")


def test_words_and_numbers_are_those_of_the_terminal(visit):
    with Stage(scenes.sweep(), {"b": scenes.batch(3150)}).served() as url:
        page = visit(url)
        expect(page.locator("#summary")).to_have_text("2 running · 1 waiting · 1 failed · 1 succeeded")
        expect(row(page, "rate 0.0005")).to_contain_text("5 epochs · batch 8 · rate 0.0005")
        expect(row(page, "rate 0.02")).to_contain_text("INTERNAL: loss diverged at step 10")
        expect(row(page, "rate 0.004")).to_contain_text("waiting for quota")
        expect(page.locator("#batch-list")).to_have_text(
            re.compile(r"3,150 of 5,000 answered · 2 failed · 118/s · \d+ s left$")
        )
        expect(page.locator("#problems")).to_contain_text("1 problem")


def test_batches_of_the_service_take_no_curve_from_the_jobs_that_have_one(visit):
    counts = BatchCounts(total=40, successful=17, failed=3, pending=20)
    batches = [
        JobPicture(
            name=f"batches/b{number}", title=f"batch {number}", word="running", tone=Tone.RUNNING, completed=20,
            total=40, share=0.5, counts=counts,
        )
        for number in range(30)
    ]  # fmt: skip
    with Stage([*batches, *scenes.sweep()]).served() as url:
        page = visit(url)
        expect(page.locator("h1")).to_have_text("Jobs")
        expect(row(page, "batch 3")).to_contain_text("20/403 failed")
        expect(row(page, "batch 3").locator(".curve")).to_be_hidden()
        curve = row(page, "rate 0.001").locator(".curve")
        expect(curve).to_be_checked()
        every = page.locator("#choose-all")
        every.check()
        expect(every).to_be_checked()
        expect(page.locator("#table .curve:checked")).to_have_count(len(scenes.sweep()))
        every.uncheck()
        expect(curve).not_to_be_checked()


def test_the_page_says_when_its_server_is_gone_and_comes_back_by_itself(visit):
    stage = Stage(scenes.sweep())
    with stage.served() as url:
        page = visit(url)
        expect(row(page, "rate 0.001")).to_contain_text("31/50")
        port = int(url.rstrip("/").rpartition(":")[2])
    expect(page.locator("#connection")).to_contain_text("reconnecting")
    expect(page.locator("#outage")).to_contain_text("Jobs keep running")
    expect(row(page, "rate 0.001")).to_contain_text("31/50")
    del stage.jobs["tunedModels/rate-0-004"]  # deleted meanwhile
    stage.jobs["tunedModels/rate-0-001"] = scenes.later(scenes.sweep()[1], 9)
    with stage.served(port):
        expect(page.locator("#connection")).to_contain_text("live")
        expect(page.locator("#outage")).to_be_hidden()
        expect(row(page, "rate 0.001")).to_contain_text("40/50")
        expect(row(page, "rate 0.004")).to_have_count(0)


def test_a_problem_gets_its_reason_when_that_is_found_out(visit):
    stage = Stage([scenes.job("bad", 3)])
    with stage.served() as url:
        page = visit(url)
        expect(row(page, "bad")).to_contain_text("3/50")
        stage.change(scenes.job("bad", 3, tone=Tone.BAD))
        expect(page.locator("#problem-list")).to_have_text("bad failedno reason was given")
        stage.change(scenes.job("bad", 3, tone=Tone.BAD, reason="no space left"))
        expect(page.locator("#problem-list")).to_have_text("bad failedno space left")


def test_a_server_that_lets_the_page_in_no_more_is_quoted(visit):
    stage = Stage(scenes.sweep())
    with stage.served() as url:
        page = visit(url, refused=True)
        port = int(url.rstrip("/").rpartition(":")[2])
    stage.refuses = "This page opens with the link that the program has printed."
    with stage.served(port):
        expect(page.locator("#outage")).to_have_text(stage.refuses)
        stage.refuses = ""
        expect(page.locator("#connection")).to_contain_text("live")
        expect(page.locator("#outage")).to_be_hidden()


def test_an_outage_of_the_service_is_said_and_stays_among_the_problems(visit):
    stage = Stage(scenes.sweep())
    with stage.served() as url:
        page = visit(url)
        stage.fail("HTTP 503")
        expect(page.get_by_role("alert").first).to_contain_text("The service does not answer (HTTP 503)")
        stage.fail("")
        expect(page.locator("#outage")).to_be_hidden()
        expect(page.locator("#problems")).to_contain_text("Outage, over")


def test_what_comes_from_outside_is_text_and_nothing_else(visit):
    hostile = scenes.job(
        EVIL,
        5,
        tone=Tone.BAD,
        reason=EVIL,
        base_model=EVIL,
        hyperparameters=EVIL,
        parameters=((EVIL, EVIL),),
        word=EVIL,
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
        assert stage.asked == [{"name": "tunedModels/rate-0-002", "prompt": "How are you?"}]


def test_two_hundred_jobs_stay_smooth(visit, record_testsuite_property):
    crowd = scenes.crowd()
    stage = Stage(crowd)
    with stage.served() as url:
        page = visit(url)
        expect(page.locator("#table tbody")).to_have_count(200)
        page.wait_for_timeout(300)
        page.evaluate("longest = 0")
        running = [picture for picture in crowd if picture.tone is Tone.RUNNING]
        frames = page.evaluate_handle(FRAMES)
        client = page.context.new_cdp_session(page)
        client.send("Performance.enable", {"timeDomain": "threadTicks"})  # of the browser, not of whoever else computes
        before = metrics(client)
        for round_ in range(1, 21):
            stage.change(*(scenes.later(picture, round_) for picture in running))
            page.wait_for_timeout(100)
        last = running[-1]
        expect(row(page, last.title)).to_contain_text(f"{last.completed + 20}/400")
        spent = {name: value - before[name] for name, value in metrics(client).items()}
        gaps = sorted(frames.evaluate("seen => (seen.on = false, seen.gaps)"))
        record_testsuite_property("longest task in ms", page.evaluate("longest"))
        record_testsuite_property("95th percentile between frames in ms", round(gaps[len(gaps) * 95 // 100], 1))
        record_testsuite_property("seconds spent", spent)
        # A thousand changes of rows, ten times as fast as the server tells them, and a chart that grows all the time.
        assert spent["TaskDuration"] < 1.5
        assert spent["ScriptDuration"] < 0.5
        assert spent["LayoutDuration"] < 0.4
