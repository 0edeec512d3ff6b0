"""The real dashboard in a browser, over an emulator: create, a curve that moves, the end, a restart, trouble."""

from __future__ import annotations

import pytest

from gemtune.emulator import Fault, JobFate
from gemtune.types import Hyperparameters
from people.web.eyes import becomes, ink, row
from people.web.theatre import BASE, EXAMPLES, Theatre

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

pytestmark = [pytest.mark.socket, pytest.mark.slow]


def test_a_job_is_followed_from_its_creation_to_its_end_and_over_a_restart_of_the_server(visit):
    theatre = Theatre(step_seconds=0.15)
    with theatre.opened():
        with theatre.served() as url:
            page = visit(url)
            expect(page.locator("#empty")).to_be_visible()
            rates = Hyperparameters(epoch_count=4, batch_size=4, learning_rate=0.001)
            theatre.do(theatre.client.tune(BASE, EXAMPLES, hyperparameters=rates, tuned_model_id="rate-0001"))
            expect(row(page, "rate-0001")).to_contain_text("running")
            before = becomes(page, lambda: ink(page), lambda seen: seen > 0)
            becomes(page, lambda: ink(page), lambda seen: seen != before)
            port = int(url.rstrip("/").rpartition(":")[2])
        expect(page.locator("#connection")).to_contain_text("reconnecting")
        with theatre.served(port):
            expect(page.locator("#connection")).to_contain_text("live")
            expect(row(page, "rate-0001")).to_contain_text("succeeded")
            expect(row(page, "rate-0001")).to_contain_text("20/20")
            expect(row(page, "rate-0001")).to_contain_text("4 epochs · batch 4 · rate 0.001")


def test_a_finished_model_is_asked_and_everybody_sees_the_answer(visit):
    theatre = Theatre(step_seconds=0.01)
    theatre.emulator.answers = {"What is 41 + 1?": "42 <b>of course</b>"}
    with theatre.opened(), theatre.served() as url:
        theatre.do(theatre.client.tune(BASE, EXAMPLES, tuned_model_id="clever"))
        mine, yours = visit(url), visit(url)
        for page in (mine, yours):
            expect(row(page, "clever")).to_contain_text("succeeded")
            row(page, "clever").get_by_role("link").click()
        mine.get_by_role("textbox", name="Prompt").fill("What is 41 + 1?")
        mine.keyboard.press("Control+Enter")
        for page in (mine, yours):
            expect(page.locator(".answers")).to_contain_text("42 <b>of course</b>")
        yours.reload()
        expect(yours.locator(".answers")).to_contain_text("What is 41 + 1?")


def test_a_job_that_fails_is_a_problem_and_an_outage_is_one_too(visit):
    theatre = Theatre(step_seconds=0.02)
    theatre.emulator.faults.add(Fault(method="tunedModels.create", job=JobFate(fail_at_step=3, message="bad <data>")))
    with theatre.opened(), theatre.served() as url:
        page = visit(url)
        theatre.do(theatre.client.tune(BASE, EXAMPLES, tuned_model_id="bad-one"))
        expect(row(page, "bad-one")).to_contain_text("bad <data>")
        expect(page.locator("#problem-list")).to_contain_text("bad <data>")
        theatre.emulator.faults.add(Fault(status=503, times=10_000))
        expect(page.locator("#outage")).to_contain_text("The service does not answer")
        theatre.emulator.faults.clear()
        expect(page.locator("#outage")).to_be_hidden()
        expect(page.locator("#problems")).to_contain_text("Outage, over")


def test_two_hundred_real_jobs_are_shown_and_followed(visit):
    theatre = Theatre(step_seconds=0.4)

    async def many() -> None:
        for number in range(200):
            await theatre.client.tune(BASE, EXAMPLES, tuned_model_id=f"run-{number:03}")

    with theatre.opened(), theatre.served() as url:
        page = visit(url)
        theatre.do(many())
        expect(page.locator("#table tbody")).to_have_count(200)
        expect(page.locator("#jobs-title")).to_have_text("200 jobs")
        expect(page.locator("#summary")).to_contain_text("running")
        assert ink(page) > 0
