"""A dashboard shows nothing to strangers: each attack that is known against pages of one's own machine."""

import re
import secrets

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import gemtune
from gemtune.emulator import Fault
from gemtune.web import dashboard
from gemtune.web.dashboard import Show, made
from gemtune.web.files import FILES
from gemtune.web.guard import Entrance, VisitorCheck
from visitors import LOCAL, browser, listening
from world import BASE, EXAMPLES, make_app, make_client

PATHS = ("/", "/static/index.html", "/api/jobs", "/api/events", "/api/ask", "/none")
QUESTION = {"name": "tunedModels/one", "prompt": "LXIII"}
OURS = {"x-gemtune": "1"}


@pytest.fixture
async def watched(virtual_time):
    """A client, its watcher with one job that has a model, and the emulator."""
    app = make_app(step_seconds=0, queue_seconds=0, answers={"LXIII": "LXIV <b>"})
    async with make_client(app) as client, client.watch() as watcher:
        watcher.add(await client.tune(BASE, EXAMPLES, tuned_model_id="one"))
        await watcher.wait()
        yield client, watcher, app


@pytest.fixture
def page(watched):
    return dashboard(watched[1])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.2", "",
        "localhost@evil.example", "[::1].evil.example", "[::2]:8000", "127.0.0.1 evil.example", "LOCALHOST.",
    ],
)  # fmt: skip
async def test_a_name_that_was_rebound_to_this_machine_is_refused(page, path, host):
    reply = await browser(page).get(path, headers={"Host": host})
    assert reply.status_code == 421
    assert "one" not in reply.text.replace("does not answer", "").replace("none", "")


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:8000", "127.0.0.1:1", "[::1]:8000", "[::1]", "127.0.0.2", "127.1.2.3:80"]
)
async def test_the_names_of_this_machine_are_answered(page, host):
    assert (await browser(page).get("/api/jobs", headers={"Host": host})).status_code == 200


async def test_two_hosts_are_none(page):
    async with browser(page) as asking:
        request = asking.build_request("GET", "/api/jobs")
        reply = await asking.send(_with_second_host(request))
    assert reply.status_code == 421


def _with_second_host(request):
    raw = [*request.headers.raw, (b"Host", b"127.0.0.1:8000")]
    request.headers = type(request.headers)(raw)
    return request


@pytest.mark.parametrize(
    "who", [("192.168.1.7", 1), ("::ffff:10.0.0.1", 1), ("8.8.8.8", 443), ("testclient", 50000), ("127.0.0.1.x", 1)]
)
async def test_visitors_from_elsewhere_are_refused_whatever_host_they_name(page, who):
    reply = await browser(page, client=who).get("/api/jobs")
    assert (reply.status_code, "allowed_hosts" in reply.text) == (403, True)


async def test_a_visitor_on_this_machine_may_come_through_a_socket_for_both_kinds_of_addresses(page):
    assert (await browser(page, client=("::ffff:127.0.0.1", 1)).get("/api/jobs")).status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host"])
async def test_a_proxy_on_this_machine_brings_others_and_is_refused(page, header):
    assert (await browser(page).get("/", headers={header: "8.8.8.8"})).status_code == 403


async def test_a_proxy_that_hides_itself_but_speaks_an_old_http_is_refused(page):
    old = browser(lambda scope, *io: page(scope | {"http_version": "1.0"}, *io))
    assert (await old.get("/api/jobs")).status_code == 403


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
    ],
    ids=str,
)
async def test_another_sites_page_gets_nothing(page, path, headers):
    assert (await browser(page).get(path, headers=headers)).status_code == 403


async def test_a_link_on_another_sites_page_may_be_followed(page):
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert (await browser(page).get("/", headers=followed)).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "POST", "TRACE"])
async def test_a_page_that_only_shows_takes_nothing(page, path, method):
    reply = await browser(page).request(method, path, headers=OURS)
    assert reply.status_code in {404, 405}
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    "name",
    [
        "../__init__.py", "..%2f__init__.py", "%2e%2e/__init__.py", "/etc/passwd", "//etc/passwd", "..\\__init__.py",
        "index.html/../../guard.py", "%00index.html", "index.html%00", "x" * 8000, "INDEX.HTML", ".", "", "vendor",
        "....//__init__.py", "file:///etc/passwd",
    ],
)  # fmt: skip
async def test_no_path_leads_out_of_the_files_of_the_page(page, name):
    reply = await browser(page).get(f"/static/{name}")
    assert reply.status_code == 404
    assert b"import" not in reply.content


async def test_each_file_of_the_page_has_its_kind_and_none_is_guessed(page):
    for name, file in FILES.items():
        reply = await browser(page).get(f"/static/{name}")
        assert (reply.status_code, reply.content) == (200, file.content)
        assert reply.headers["content-type"].partition(";")[0] == file.kind
        assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", PATHS)
async def test_every_reply_says_that_it_is_nobodys_to_keep_frame_or_script(page, path):
    async with listening(page, path) as reply:
        if path == "/api/events":
            await reply.next("jobs")
    headers = reply.headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]


def test_the_page_has_no_script_or_style_in_line_that_the_policy_would_stop():
    for name, file in FILES.items():
        if name.endswith(".html"):
            text = file.content.decode()
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text), name


async def test_the_page_may_be_framed_by_those_who_are_named(watched):
    framed = await browser(dashboard(watched[1], frame_ancestors="'self' https://intern.example")).get("/")
    assert framed.headers["content-security-policy"].endswith("frame-ancestors 'self' https://intern.example")
    assert "x-frame-options" not in framed.headers


@pytest.mark.parametrize(
    "wrong", ["", "'none'; script-src *", "'self'\r\nSet-Cookie: a=b", "*, *", "https://ü.example"]
)
def test_no_more_than_ancestors_can_be_said(wrong):
    with pytest.raises(gemtune.errors.SettingsError, match="frame_ancestors"):
        dashboard(frame_ancestors=wrong)


async def test_the_application_says_under_which_names_it_is_reached_from_everywhere(watched):
    page = dashboard(watched[1], allowed_hosts=["Tuning.Example.com", "other.example:8443"])
    async with browser(page, client=("8.8.8.8", 1)) as outside:
        for host, status in {
            "tuning.example.com": 200, "tuning.example.com:444": 200, "other.example:8443": 200,
            "other.example": 421, "localhost": 421, "evil.example": 421,
        }.items():  # fmt: skip
            assert (await outside.get("/api/jobs", headers={"Host": host})).status_code == status, host
        same = {"Host": "tuning.example.com", "Origin": "https://tuning.example.com"}
        assert (await outside.get("/api/jobs", headers=same)).status_code == 200
        other = {"Host": "tuning.example.com", "Origin": "https://other.example:8443"}
        assert (await outside.get("/api/jobs", headers=other)).status_code == 403


async def test_a_mounted_page_is_guarded_as_well(page):
    app = Starlette(routes=[Mount("/tuning", page)])
    assert (await browser(app).get("/tuning/api/jobs")).status_code == 200
    assert (await browser(app).get("/tuning/api/jobs", headers={"Host": "evil.example"})).status_code == 421
    assert (await browser(app).get("/tuning")).headers["location"] == f"{LOCAL}/tuning/"


async def test_nothing_can_be_asked_unless_it_is_allowed(page, watched):
    reply = await browser(page).post("/api/ask", json=QUESTION, headers=OURS)
    assert reply.status_code == 404
    assert not (await browser(page).get("/api/jobs")).json()["options"]["allow_asking"]
    assert not [entry for entry in watched[2].requests if "generate" in entry.method]


@pytest.fixture
def asking(watched):
    client, watcher, _ = watched
    return dashboard(watcher, client=client, allow_asking=True)


async def test_a_model_is_asked_on_the_page_and_all_listeners_see_the_answer(asking, watched):
    async with listening(asking, "/api/events") as page:
        assert (await page.next("jobs")).data["options"]["allow_asking"]
        reply = await browser(asking).post("/api/ask", json=QUESTION, headers=OURS)
        said = reply.json()
        assert (reply.status_code, said["prompt"], said["answer"], said["note"]) == (200, "LXIII", "LXIV <b>", "")
        assert (await page.next("sample")).data == QUESTION | said
    async with listening(asking, "/api/events") as later:
        assert (await later.next("jobs")).data["samples"] == {"tunedModels/one": [said]}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({**OURS, "Origin": "https://evil.example"}, 403),
        ({**OURS, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403),
        ({**OURS, "Content-Type": "text/plain"}, 400),
        ({**OURS, "Content-Type": "application/x-www-form-urlencoded"}, 400),
        ({**OURS, "Content-Type": "multipart/form-data; boundary=application/json"}, 400),
    ],
)
async def test_no_form_and_no_script_of_another_site_can_ask(asking, watched, headers, status):
    reply = await browser(asking).post(
        "/api/ask", content=b'{"name": "tunedModels/one", "prompt": "LXIII"}', headers=headers
    )
    assert reply.status_code == status
    assert not [entry for entry in watched[2].requests if "generate" in entry.method]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"[]", 400), (b"null", 400), (b'{"name": 1, "prompt": "x"}', 400), (b"\xff\xfe", 400),
        (b'{"name": "tunedModels/one", "prompt": " "}', 400), (b"[" * 100_000, 400), (b"x" * 300_000, 400),
        (b'{"name": "tunedModels/one", "prompt": "%s"}' % (b"x" * 30_000), 400),
        (b'{"name": "tunedModels/other", "prompt": "x"}', 404),
        (b'{"name": "models/gemini-pro", "prompt": "x"}', 404),
        (b'{"name": "%s", "prompt": "x"}' % (b"../" * 10_000), 404),
    ],
    ids=lambda value: repr(value)[:60],
)  # fmt: skip
async def test_only_questions_to_models_on_the_page_are_sent(asking, watched, body, status):
    headers = OURS | {"Content-Type": "application/json; charset=utf-8"}
    reply = await browser(asking).post("/api/ask", content=body, headers=headers)
    assert (reply.status_code, "error" in reply.json()) == (status, True)
    assert not [entry for entry in watched[2].requests if "generate" in entry.method]


async def test_a_question_that_never_ends_is_not_read_to_its_end(asking):
    read = 0

    async def endless():
        nonlocal read
        for _ in range(100):
            read += 1
            yield b" " * 10_000

    headers = OURS | {"Content-Type": "application/json"}
    reply = await browser(asking).post("/api/ask", content=endless(), headers=headers)
    assert (reply.status_code, "200,000 bytes" in reply.json()["error"], read < 30) == (400, True, True)


async def test_a_browser_that_leaves_in_the_middle_of_a_question_is_no_error(asking, watched):
    pieces = iter([
        {"type": "http.request", "body": b'{"name": "tuned', "more_body": True},
        {"type": "http.disconnect"},
    ])  # fmt: skip
    headers = {"host": "127.0.0.1:8000", "content-type": "application/json", **OURS}
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/api/ask", "root_path": "",
        "query_string": b"", "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
    }  # fmt: skip

    async def receive():
        return next(pieces)

    async def send(_):
        pass

    await asking(scope, receive, send)
    assert not [entry for entry in watched[2].requests if "generate" in entry.method]


async def test_a_job_that_has_no_model_yet_cannot_be_asked_and_what_the_service_refuses_is_said(asking, watched):
    client, watcher, app = watched
    app.faults.add(Fault(method="tunedModels.create", job={"fail_at_step": 2, "message": "bad data"}))
    watcher.add(await client.tune(BASE, EXAMPLES, tuned_model_id="two"))
    await watcher.wait()
    reply = await browser(asking).post("/api/ask", json=QUESTION | {"name": "tunedModels/two"}, headers=OURS)
    assert (reply.status_code, "no model" in reply.json()["error"]) == (400, True)
    app.faults.add(Fault(method="tunedModels.generateContent", status=400, times=1))
    reply = await browser(asking).post("/api/ask", json=QUESTION, headers=OURS)
    assert (reply.status_code, "400" in reply.json()["error"]) == (502, True)


@pytest.fixture
def behind_a_key(watched):
    links = []
    entrance = Entrance(on_used=lambda: links.append(entrance.key))
    return made(Show(watched[1], None), VisitorCheck(frozenset("*")), entrance), entrance, links


OUTSIDE = {"client": ("8.8.8.8", 1), "base": "http://192.168.1.7:8000"}


@pytest.mark.parametrize(
    "path", [*PATHS, "/?key=", "/?key=wrong", "/api/jobs?key=%00", "/?key=" + 5000 * "x", "/?key=ü"]
)
async def test_without_the_key_nothing_is_shown(behind_a_key, path):
    app, _, links = behind_a_key
    reply = await browser(app, **OUTSIDE).get(path)
    assert (reply.status_code, links) == (401, [])
    for cookie in ("gemtune_visitor_8000=", "gemtune_visitor_8000=x", "gemtune_visitor_8000=\u00e9"):
        reply = await browser(app, **OUTSIDE).get(path, headers={"Cookie": cookie.encode()})
        assert reply.status_code == 401


async def test_a_link_lets_one_browser_in_and_no_second(behind_a_key):
    app, entrance, links = behind_a_key
    link = f"/?key={entrance.key}"
    assert (await browser(app, **OUTSIDE).head(link)).status_code == 401, "a preview does not use it up"
    async with browser(app, **OUTSIDE) as mine:
        entered = await mine.get(link)
        assert (entered.status_code, entered.headers["location"]) == (303, "./")
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert entrance.key not in cookie
        assert (await mine.get("/api/jobs")).status_code == 200
        assert (await mine.get("/api/jobs", headers={"Origin": "https://evil.example"})).status_code == 403
    assert (await browser(app, **OUTSIDE).get(link)).status_code == 401
    assert links == [entrance.key]
    assert (await browser(app, **OUTSIDE).get(f"/?key={links[0]}")).status_code == 303


async def test_two_dashboards_of_a_host_let_the_same_browser_in(watched):
    cookies, statuses = {}, []
    pages = {}
    for port in (8001, 8002):
        entrance = Entrance()
        pages[port] = made(Show(watched[1], None), VisitorCheck(), entrance)
        entered = await browser(pages[port], base=f"http://127.0.0.1:{port}").get(f"/?key={entrance.key}")
        cookies.update(entered.cookies)  # a browser keeps them by host, whatever the port
    for port, page in pages.items():
        async with browser(page, base=f"http://127.0.0.1:{port}") as back:
            back.cookies.update(cookies)
            statuses.append((await back.get("/api/jobs")).status_code)
    assert statuses == [200, 200]


@pytest.mark.parametrize("host", ["", "a:", "a:x", "a:1:2", "[::1]", "a:\u00b2", "a;b:1 ", "a:" + 5000 * "9"])
async def test_no_odd_port_breaks_the_way_in(behind_a_key, host):
    app, _, _ = behind_a_key
    reply = await browser(app, **OUTSIDE).get("/", headers={"Host": host.encode("latin-1")})
    assert reply.status_code in {401, 421}


async def test_keys_are_compared_in_constant_time(behind_a_key, monkeypatch):
    app, entrance, _ = behind_a_key
    compared = []
    compare = secrets.compare_digest
    monkeypatch.setattr(secrets, "compare_digest", lambda one, two: (compared.append((one, two)), compare(one, two))[1])
    await browser(app, **OUTSIDE).get(f"/?key={entrance.key[:-1]}")
    assert (entrance.key[:-1].encode(), entrance.key.encode()) in compared


async def test_what_comes_from_outside_can_break_no_line_and_no_header(watched):
    client, watcher, _ = watched
    name = "\u2028\r\n\r\nevent: jobs\r\ndata: {}\r\n</script><script>alert(1)</script>"
    watcher.add(await client.tune(BASE, EXAMPLES, tuned_model_id="two", display_name=name[:40]))
    await watcher.wait()
    app = dashboard(watcher)
    async with listening(app, "/api/events") as page:
        told = await page.next()
        assert [job["title"] for job in told.data["jobs"]] == ["one", name[:40]]
    async with listening(app, "/api/events", headers={"Last-Event-ID": "1\r\nSet-Cookie: a=b"}) as page:
        assert (await page.next()).event == "jobs"
        assert "set-cookie" not in page.headers
