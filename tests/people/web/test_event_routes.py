"""Streams of events in an application: one client and one watcher for all, and a browser that reconnects."""

from contextlib import asynccontextmanager
from hashlib import sha256

import anyio
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

import gemtune
import gemtune.web
from visitors import browser, listening
from world import BASE, EXAMPLES, make_app, make_client, sent

SIX = gemtune.Hyperparameters(epoch_count=2, batch_size=5)


@pytest.fixture
async def service(virtual_time):
    """A client, its started watcher with a job of six steps, and the emulator: a step takes a second."""
    app = make_app(step_seconds=1.0, queue_seconds=1.0)
    async with make_client(app, watch=gemtune.WatchPolicy(min_interval=1.0)) as client, client.watch() as watcher:
        watcher.add(await client.tune(BASE, EXAMPLES, tuned_model_id="one", hyperparameters=SIX))
        yield client, watcher, app


def application(watcher, path="/jobs/{id}/events", **options):
    return Starlette(routes=[gemtune.web.events_route(path, watcher=watcher, **options)])


def kinds(told):
    return [each.data["kind"] for each in told]


def steps(told):
    return [each.data["step"] for each in told if each.data["kind"] == "snapshot"]


async def test_a_job_is_told_from_its_beginning_to_its_end(service):
    _, watcher, _ = service
    async with listening(application(watcher), "/jobs/one/events") as page:
        told = await page.all()
    assert page.status == 200
    assert kinds(told)[0] == "added"
    assert kinds(told)[-1] == "succeeded"
    assert steps(told) == [1, 2, 3, 4, 5, 6]


async def test_a_browser_that_comes_back_gets_what_it_missed_once(service):
    _, watcher, _ = service
    app, seen, last = application(watcher), [], ""
    while not seen or seen[-1].data["kind"] != "succeeded":
        async with listening(app, "/jobs/one/events", headers={"Last-Event-ID": last} if last else {}) as page:
            news = [await page.next()]
            while not (news[-1].id and {"snapshot", "succeeded"} & {*kinds(news)}):
                news.append(await page.next())
        seen, last = seen + news, news[-1].id
    assert steps(seen) == [1, 2, 3, 4, 5, 6]
    async with listening(app, "/jobs/one/events", headers={"Last-Event-ID": last}) as page:
        assert await page.all() == []
    assert page.status == 204, "which tells a browser to come no more"


@pytest.mark.parametrize(
    "bad", ["nonsense", "c1.AAAA", "j1.x.0.1..0", "\u00ff", "0", "x" * 50_000, "c1." + "A" * 30_000]
)
async def test_a_bad_id_is_refused_before_the_first_byte(service, bad):
    _, watcher, _ = service
    reply = await browser(application(watcher)).get(
        "/jobs/one/events", headers={"Last-Event-ID": bad.encode("latin-1")}
    )
    assert (reply.status_code, "Last-Event-ID" in reply.json()["error"]) == (400, True)
    assert watcher.statistics().subscribers == 0


@pytest.mark.parametrize("id", ["nobody", "one%2F..", "..%2Fone", "tunedModels%2Fone", "x" * 8000, "%00", "ONE"])
async def test_an_id_that_nobody_watches_costs_nothing(service, id):
    _, watcher, app = service
    before = len(sent(app))
    reply = await browser(application(watcher)).get(f"/jobs/{id}/events")
    assert reply.status_code == 404
    assert (len(sent(app)), len(watcher.jobs)) == (before, 1)


async def test_a_token_of_a_stranger_adds_no_job_to_a_stream_of_all(service):
    client, watcher, _ = service
    async with client.watch(["tunedModels/others"]) as other:
        stolen = other.resume_token()
    async with listening(application(watcher, "/events"), "/events", headers={"Last-Event-ID": stolen}) as page:
        await page.next()
        assert list(watcher.jobs) == ["tunedModels/one"]


async def test_a_stream_of_all_stays_open_for_jobs_to_come(service):
    client, watcher, _ = service
    async with listening(application(watcher, "/events"), "/events") as page:
        while (await page.next()).data["kind"] != "succeeded":
            pass
        await anyio.sleep(60)
        watcher.add(await client.tune(BASE, EXAMPLES, tuned_model_id="two", hyperparameters=SIX))
        while (told := await page.next()).data["kind"] != "succeeded":
            pass
        assert told.data["job"] == "tunedModels/two"
    async with listening(application(watcher, "/events"), "/events", headers={"Last-Event-ID": told.id}) as page:
        await anyio.sleep(5)
        assert (page.status, page.done) == (200, False), "whoever comes back may wait for the next, too"


async def test_who_may_see_which_jobs_is_the_applications_to_say(service):
    _, watcher, _ = service

    async def of(request: Request):
        if request.headers.get("x-user") != "me":
            raise HTTPException(403)
        return ["tunedModels/one"]

    app = application(watcher, "/mine", jobs=of)
    assert (await browser(app).get("/mine")).status_code == 403
    async with listening(app, "/mine", headers={"X-User": "me"}) as page:
        assert kinds(await page.all())[-1] == "succeeded"
    plain = application(watcher, "/mine", jobs=lambda request: "tunedModels/one", kinds=["succeeded"])
    async with listening(plain, "/mine") as page:
        assert kinds(await page.all()) == ["succeeded"]


async def test_a_mistake_of_the_application_is_not_called_the_visitors(service):
    _, watcher, _ = service
    wrong = application(watcher, "/mine", jobs=lambda request: ["no/such/name"])
    for headers in ({}, {"Last-Event-ID": "nonsense"}):
        with pytest.raises(gemtune.errors.InvalidInput, match="no/such/name"):
            await browser(wrong).get("/mine", headers=headers)
    with pytest.raises(gemtune.errors.InvalidInput, match="heartbeat"):
        gemtune.web.events_route("/", heartbeat=0)


async def test_listeners_do_not_hold_back_the_resume_token_of_the_watcher(service):
    _, watcher, _ = service
    async for event in watcher:
        if isinstance(event, gemtune.events.Succeeded):
            break
    token = watcher.resume_token()
    async with listening(application(watcher), "/jobs/one/events", taking=False):
        await anyio.sleep(1)
        assert watcher.resume_token() == token


async def test_a_listener_who_takes_nothing_holds_nobody_up_and_none_leaves_anything_behind(service):
    _, watcher, _app = service
    mounted = application(watcher)
    async with listening(mounted, "/jobs/one/events", taking=False):
        async with listening(mounted, "/jobs/one/events") as page:
            assert kinds(await page.all())[-1] == "succeeded"
        assert watcher.statistics().subscribers == 1
    assert watcher.statistics().subscribers == 0


async def test_no_id_is_longer_than_a_header_may_be(service):
    client, _, _ = service
    names = [f"tunedModels/{sha256(bytes([number])).hexdigest()[:40]}" for number in range(200)]
    async with client.watch(names) as watcher:
        async with listening(application(watcher, "/events"), "/events") as page:
            told = [await page.next() for _ in names]
        assert len(watcher.resume_token()) > 4000
    assert [each.id for each in told if len(each.id) > 4000] == []


@pytest.mark.parametrize("path", ["/events", "/tuning/api/events"])
async def test_a_listener_who_takes_nothing_for_a_minute_is_given_up(service, path):
    _, watcher, _ = service
    app = Starlette(
        routes=[
            gemtune.web.events_route("/events", watcher=watcher),
            Mount("/tuning", gemtune.web.dashboard(watcher)),
        ]
    )
    async with listening(app, path, taking=False):
        await anyio.sleep(58)
        assert watcher.statistics().subscribers == 1
        await anyio.sleep(4)
        assert watcher.statistics().subscribers == 0


async def test_a_head_is_answered_and_opens_no_stream(service):
    _, watcher, _ = service
    reply = await browser(application(watcher)).head("/jobs/one/events")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert watcher.statistics().subscribers == 0


async def test_a_line_keeps_proxies_awake_while_nothing_happens(service):
    client, watcher, _app = service
    watcher.add(await client.tune(BASE, EXAMPLES, tuned_model_id="two", hyperparameters=SIX))
    mounted = application(watcher, heartbeat=0.25, kinds=["succeeded"])
    async with listening(mounted, "/jobs/two/events") as page:
        await anyio.sleep(1.1)
        assert page.size == 4 * len(b": \n\n")


async def test_many_listeners_cost_no_more_requests_than_one(service):
    _client, watcher, app = service
    mounted, before = application(watcher), len(sent(app))
    told = []

    async def listen():
        async with listening(mounted, "/jobs/one/events") as page:
            told.append(steps(await page.all()))

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(listen)
    assert told == [[1, 2, 3, 4, 5, 6]] * 100
    assert len(sent(app)) - before < 20


@pytest.mark.socket
@pytest.mark.parametrize("framework", ["starlette", "fastapi"])
def test_a_lifespan_brings_client_and_watcher_to_every_request_with_ones_own_beside_it(gemini_emulator_url, framework):
    seen = []

    @asynccontextmanager
    async def mine(app):
        seen.append((app.state.gemtune_client, app.state.gemtune_watcher))
        yield {"database": "open"}
        seen.append(app.state.gemtune_watcher.statistics().running)

    lifespan = gemtune.web.lifespan(mine)

    async def start(request: Request):
        job = await gemtune.web.get_client(request).tune(BASE, EXAMPLES, tuned_model_id="one")
        gemtune.web.get_watcher(request).add(job)
        return JSONResponse({"database": request.state.database})

    if framework == "fastapi":
        fastapi = pytest.importorskip("fastapi")
        app = fastapi.FastAPI(lifespan=lifespan)
        app.post("/jobs")(start)
        app.routes.append(gemtune.web.events_route("/jobs/{id}/events"))
        app.mount("/tuning", gemtune.web.dashboard(allowed_hosts=["testserver"]))
    else:
        routes = [Route("/jobs", start, methods=["POST"]), gemtune.web.events_route("/jobs/{id}/events")]
        mounted = Mount("/tuning", gemtune.web.dashboard(allowed_hosts=["testserver"]))
        app = Starlette(lifespan=lifespan, routes=[*routes, mounted])
    for _ in range(2):  # started again, it has a new client, and the page shows the new watcher's jobs
        with TestClient(app) as web:
            assert web.get("/tuning/api/jobs").json()["jobs"] == []
            assert web.post("/jobs").json() == {"database": "open"}
            events = web.get("/jobs/one/events").text
            assert '"kind":"succeeded"' in events
            (shown,) = web.get("/tuning/api/jobs").json()["jobs"]
            assert shown["word"] == "succeeded"
            web.portal.call(seen[-1][0].tuned_models.delete, "one")
    assert seen[1] is seen[3] is True
    assert seen[0] != seen[2]


def test_without_the_lifespan_the_error_says_what_to_do():
    app = Starlette(routes=[gemtune.web.events_route("/events"), Mount("/tuning", gemtune.web.dashboard())])
    web = TestClient(app, base_url="http://localhost", client=("127.0.0.1", 1))
    with pytest.raises(gemtune.errors.MisuseError, match=r"lifespan=gemtune\.web\.lifespan"):
        web.get("/events")
    reply = web.get("/tuning/api/jobs")
    assert (reply.status_code, "lifespan=gemtune.web.lifespan" in reply.json()["error"]) == (503, True)
