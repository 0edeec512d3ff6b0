"""What a dashboard's page is sent: everything, and then what changes, once for all listeners."""

from collections import deque

import anyio
import attrs
import pytest

import gemtune
from gemtune.emulator import Fault
from gemtune.show.picture import BatchPicture, JobPicture
from gemtune.web import dashboard
from gemtune.web.hub import Hub
from gemtune.web.ledger import PageLedger, encoded
from visitors import browser, listening
from world import BASE, EXAMPLES, make_app, make_client, sent

QUICK = gemtune.WatchPolicy(min_interval=1.0)


@pytest.fixture
async def service(virtual_time):
    """A client, its started watcher, and the emulator: a step takes a second."""
    app = make_app(step_seconds=1.0, queue_seconds=1.0)
    async with make_client(app, watch=QUICK) as client:
        watcher = await client.watch().start()
        yield client, watcher, app
        await watcher.aclose()


def hyper(epochs):
    return gemtune.Hyperparameters(epoch_count=epochs, batch_size=4)


async def tuned(client, watcher, name="one", **options):
    options = {"hyperparameters": hyper(2)} | options
    job = await client.tune(BASE, EXAMPLES, tuned_model_id=name, **options)
    watcher.add(job)
    return job


def curve_of(pictures, name):
    """What a page makes of the curves it is sent, as the contract says."""
    points = []
    for picture in pictures:
        said = picture[name]
        points = points[: said["kept"]] + list(zip(said["steps"], said["values"], strict=True))
    return points


async def test_first_comes_everything_then_each_job_as_it_changes_and_its_curve_piece_by_piece(service):
    client, watcher, _ = service
    job = await tuned(client, watcher, display_name="<b>one</b>")
    async with listening(dashboard(watcher), "/api/events") as page:
        first = await page.next()
        assert first.event == "jobs"
        (shown,) = first.data["jobs"]
        assert (shown["name"], shown["title"], shown["tone"]) == (job.name, "<b>one</b>", "waiting")
        assert shown["hyperparameters"] == "2 epochs · batch 4"
        pictures = [shown]
        while not pictures[-1]["ended"]:
            pictures.append((await page.next("job")).data)
    assert page.headers["content-type"].startswith("text/event-stream")
    whole = (await browser(dashboard(watcher)).get("/api/jobs")).json()
    assert pictures[-1]["word"] == whole["jobs"][0]["word"] == "succeeded"
    points = curve_of(pictures, "losses")
    assert [step for step, _ in points] == list(range(1, 9))
    assert points == curve_of(whole["jobs"], "losses")
    assert whole["jobs"][0]["losses"]["kept"] == 0
    assert any(each["losses"]["kept"] for each in pictures)


async def test_a_job_is_told_at_most_twice_a_second_however_fast_it_is(virtual_time):
    fast = gemtune.WatchPolicy(min_interval=0.02, max_rps=100.0, freshness=0.05, queued_interval=0.02)
    app = make_app(step_seconds=0.05, queue_seconds=0)
    async with make_client(app) as client, client.watch(policy=fast) as watcher:
        await tuned(client, watcher, hyperparameters=hyper(20))
        async with listening(dashboard(watcher), "/api/events") as page:
            await page.next("jobs")
            began, count = virtual_time(), 0
            while not (await page.next("job")).data["ended"]:
                count += 1
    assert 4 <= count <= 2 * (virtual_time() - began) + 1


async def test_a_page_that_looks_on_does_not_count_as_having_read(service):
    client, watcher, _ = service
    await tuned(client, watcher)
    async with listening(dashboard(watcher), "/api/events") as page:
        while not (await page.next("job")).data["ended"]:
            pass
    async with client.watch(resume=watcher.resume_token()) as resumed:
        seen = [event async for event in resumed]
    assert sum(isinstance(event, gemtune.events.Snapshot) for event in seen) == 8


async def test_listeners_cost_no_requests_and_leave_nothing_behind(service):
    client, watcher, app = service
    for number in range(3):
        await tuned(client, watcher, f"job-{number}")
    mounted = dashboard(watcher)
    async with listening(mounted, "/api/events") as alone:
        await alone.next("jobs")
        await anyio.sleep(5)
        before = len(sent(app))
        await anyio.sleep(5)
        cost = len(sent(app)) - before
    async with anyio.create_task_group() as tasks:
        left = anyio.Event()

        async def listen():
            async with listening(mounted, "/api/events") as page:
                await page.next("jobs")
                await left.wait()

        for _ in range(100):
            tasks.start_soon(listen)
        await anyio.sleep(1)
        assert watcher.statistics().subscribers == 1
        before = len(sent(app))
        await anyio.sleep(5)
        assert len(sent(app)) - before <= cost + 1
        left.set()
    assert watcher.statistics().subscribers == 0


async def test_the_listener_who_reads_for_all_may_leave_and_the_others_go_on(service):
    client, watcher, _ = service
    await tuned(client, watcher)
    mounted = dashboard(watcher)
    async with listening(mounted, "/api/events") as second_to_come_is_not_first_to_read:
        async with listening(mounted, "/api/events") as other:
            await other.next("jobs")
            await other.next("job")
        await second_to_come_is_not_first_to_read.next("jobs")
        while not (await second_to_come_is_not_first_to_read.next("job")).data["ended"]:
            pass


async def test_a_listener_who_takes_nothing_gets_the_latest_and_nothing_waits_for_it(service):
    client, watcher, _ = service
    await tuned(client, watcher)
    mounted = dashboard(watcher)
    async with (
        listening(mounted, "/api/events", taking=False) as slow,
        listening(mounted, "/api/events") as quick,
    ):
        while not (await quick.next("jobs", "job")).data.get("ended"):
            pass
        slow.taking.set()
        await slow.next("jobs")
        assert (await slow.next("job")).data["ended"]
        with anyio.move_on_after(3):
            assert await slow.next("job") is None, "what was missed is not sent"


async def test_a_page_that_comes_back_gets_what_it_missed_and_no_more(service):
    client, watcher, _ = service
    mounted = dashboard(watcher)
    await tuned(client, watcher, "one")
    async with listening(mounted, "/api/events") as page:
        seen = (await page.next("jobs")).id
    await tuned(client, watcher, "two")
    async with listening(mounted, "/api/events", headers={"Last-Event-ID": seen}) as page:
        first = await page.next()
        assert first.event == "job"
    for unknown in ("nonsense", "", "1.2.3", seen + "9", "00000000.1", f"{seen.split('.')[0]}.-1", "x" * 5000):
        async with listening(mounted, "/api/events", headers={"Last-Event-ID": unknown}) as page:
            assert (await page.next()).event == "jobs", unknown


async def test_a_page_that_was_away_gets_a_whole_curve_if_it_lacks_its_beginning(service):
    client, watcher, _ = service
    mounted = dashboard(watcher)
    async with listening(mounted, "/api/events") as other:
        seen = (await other.next("jobs")).id
        await tuned(client, watcher)
        while not (await other.next("job")).data["ended"]:
            pass
        async with listening(mounted, "/api/events", headers={"Last-Event-ID": seen}) as page:
            back = (await page.next("job")).data
    assert back["losses"]["kept"] == 0
    assert back["losses"]["steps"] == list(range(1, 9))


async def test_a_job_that_is_watched_no_longer_goes(service):
    client, watcher, _ = service
    job = await tuned(client, watcher)
    mounted = dashboard(watcher)
    async with listening(mounted, "/api/events") as page:
        await page.next("jobs")
        await page.next("job")
        watcher.discard(job)
        assert (await page.next("gone")).data == {"name": job.name}
    assert (await browser(mounted).get("/api/jobs")).json()["jobs"] == []


async def test_who_looks_on_while_more_jobs_go_than_are_remembered_is_sent_everything_anew(service, monkeypatch):
    monkeypatch.setattr("gemtune.web.ledger._GONE", 2)
    client, watcher, _ = service
    jobs = [await tuned(client, watcher, f"job-{number}") for number in range(5)]
    async with listening(dashboard(watcher), "/api/events") as page:
        await page.next("jobs")
        for job in jobs[:4]:
            watcher.discard(job)
        with anyio.fail_after(60):
            said = await page.next("gone", "jobs")
            assert said.event == "jobs"
            assert [job["name"] for job in said.data["jobs"]] == [jobs[4].name]
            assert (await page.next("job")).data["name"] == jobs[4].name


async def test_a_job_that_was_discovered_stays_on_the_page_after_everybody_has_read_its_end(service):
    client, _, _ = service
    async with client.watch(filter="owner:me") as watcher:
        await client.tune(BASE, EXAMPLES, tuned_model_id="found", hyperparameters=hyper(1))
        async for event in watcher:
            if isinstance(event, gemtune.events.Succeeded):
                break
        await anyio.sleep(20)
        (shown,) = (await browser(dashboard(watcher)).get("/api/jobs")).json()["jobs"]
        assert (shown["name"], shown["word"], len(shown["losses"]["steps"])) == ("tunedModels/found", "succeeded", 4)


async def test_an_outage_is_told_and_its_end(service):
    client, watcher, app = service
    await tuned(client, watcher, hyperparameters=hyper(50))
    async with listening(dashboard(watcher), "/api/events") as page:
        await page.next("job")
        app.faults.add(Fault(status=503, times=1000))
        while not (told := await page.next("job", "service")).data["trouble"]:
            pass
        assert "503" in told.data["trouble"] or "UNAVAILABLE" in told.data["trouble"], told
        app.faults.clear()
        while (told := await page.next("job")).data["trouble"]:
            pass


async def test_signs_of_life_come_while_nothing_happens(service):
    _, watcher, _ = service
    async with listening(dashboard(watcher), "/api/events") as page:
        first = await page.next("jobs")
        told = await page.next("beat")
    assert 0 <= told.data["now"] - first.data["now"] < 60


async def test_the_stream_ends_when_the_watcher_is_closed(service):
    _, watcher, _ = service
    async with listening(dashboard(watcher), "/api/events") as page:
        await page.next("jobs")
        await watcher.aclose()
        with pytest.raises(EOFError):
            await page.next("jobs")


async def test_a_watcher_that_does_not_run_yet_is_trouble_that_passes(service):
    client, _, _ = service
    watcher = client.watch()
    async with listening(dashboard(watcher), "/api/events") as page:
        await page.next("jobs")
        while "not running" not in (await page.next("service")).data["trouble"]:
            pass
        await watcher.start()
        while (await page.next("service")).data["trouble"]:
            pass
        await watcher.aclose()


@attrs.define
class FakeBatch:
    """What shows how far it is, as a batch does."""

    done: int = 0

    def picture(self):
        return BatchPicture(title="tunedModels/x", done=self.done, total=100, elapsed=1.0)


async def test_batches_are_shown_as_they_come_move_and_go(service):
    _, watcher, _ = service
    batches = [FakeBatch(1)]
    async with listening(dashboard(watcher, batches=batches), "/api/events") as page:
        (shown,) = (await page.next("jobs")).data["batches"]
        assert (shown["done"], shown["share"]) == (1, 0.01)
        batches[0].done = 60
        moved = (await page.next("batch")).data
        assert (moved["id"], moved["done"]) == (shown["id"], 60)
        batches.append(FakeBatch(5))
        other = (await page.next("batch")).data
        assert other["id"] != shown["id"]
        del batches[0]
        assert (await page.next("batch_gone")).data == {"id": shown["id"]}
    assert page.size < 4000, "a batch that stands still is told once"


async def test_answers_that_the_application_shows_come_as_they_are_added_and_the_latest_stay(service):
    client, watcher, _ = service
    job = await tuned(client, watcher)
    samples = {job.name: [("LXIII", "<i>LXIV</i>")]}
    app = dashboard(watcher, samples=samples)
    async with listening(app, "/api/events") as page:
        (shown,) = (await page.next("jobs")).data["samples"][job.name]
        assert (shown["prompt"], shown["answer"], shown["note"]) == ("LXIII", "<i>LXIV</i>", "")
        samples[job.name] += [(str(number), str(number + 1)) for number in range(30)]
        told = [(await page.next("sample")).data for _ in range(30)]
        assert [each["prompt"] for each in told] == [str(number) for number in range(30)]
    kept = (await browser(app).get("/api/jobs")).json()["samples"][job.name]
    assert [each["prompt"] for each in kept] == [str(number) for number in range(10, 30)]


async def test_the_application_may_drop_the_oldest_answers_add_a_note_and_err(service, caplog):
    client, watcher, _ = service
    job = await tuned(client, watcher)
    samples = {job.name: deque([("I", "II"), ("II", "III")], maxlen=2)}
    async with listening(dashboard(watcher, samples=samples), "/api/events") as page:
        assert len((await page.next("jobs")).data["samples"][job.name]) == 2
        samples[job.name].append(("III", "IV", "cut short"))
        told = (await page.next("sample")).data
        assert (told["prompt"], told["answer"], told["note"]) == ("III", "IV", "cut short")
        samples[job.name] += ["no pair", ["IV", "V"]]
        assert (await page.next("sample")).data["prompt"] == "IV"
    assert "'no pair' is no pair of a prompt and an answer" in caplog.text


async def test_what_only_the_clock_has_changed_is_not_told(service):
    client, watcher, _ = service
    await tuned(client, watcher, hyperparameters=hyper(50))
    await anyio.sleep(10)
    hub = Hub(watcher)
    hub.catch_up()
    before, (shown,) = hub.ledger.version, hub.ledger.shown.values()
    hub.catch_up()
    (now,) = watcher.pictures()
    assert shown.elapsed < now.elapsed
    assert hub.ledger.version == before


async def test_the_numbers_of_a_curve_are_short(service):
    client, watcher, _ = service
    await tuned(client, watcher)
    await watcher.wait()
    (picture,) = watcher.pictures()
    assert max(len(str(value)) for value in encoded(picture)["losses"]["values"]) <= 8


def test_who_missed_more_than_is_remembered_is_sent_everything():
    ledger = PageLedger()
    for number in range(1100):
        ledger.show(JobPicture(name=f"tunedModels/{number}", title=""))
    old = ledger.identity(ledger.version)
    ledger.keep_only([])
    assert ledger.knows(old) is None
    latest = ledger.identity(ledger.version)
    assert ledger.knows(latest) == ledger.version
    for number in range(1000):
        ledger.tell("sample", {"number": number})
    assert ledger.knows(latest) == ledger.version - 1000
    ledger.tell("sample", {})
    assert ledger.knows(latest) is None
