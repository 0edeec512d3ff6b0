"""Things that go wrong on demand."""

import json

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.emulated import ERRORS, model_body, prompt
from gemtune.emulator import Fault, create_app, running_emulator

LIST = "/v1beta/tunedModels"
STREAM = "/v1beta/tunedModels/tuned:streamGenerateContent"


async def test_instructions_are_followed_in_order_and_used_up(api):
    api.app.faults.add(
        Fault(method="tunedModels.list", status=429, times=2, headers={"Retry-After": "7"}),
        Fault(method="tunedModels.list", status=503),
    )
    replies = [await api.call("GET", LIST) for _ in range(4)]
    assert [reply.status_code for reply in replies] == [429, 429, 503, 200]
    assert replies[0].headers["retry-after"] == "7"
    assert replies[2].json()["error"]["status"] == "UNAVAILABLE"
    assert api.app.faults.pending() == []
    assert api.app.faults.followed == 3


async def test_an_instruction_waits_for_its_method(api):
    api.app.faults.add(Fault(method="tunedModels.create", status=500), Fault(status=504))
    assert (await api.call("GET", LIST)).status_code == 504
    assert (await api.call("GET", LIST)).status_code == 200
    assert (await api.call("POST", LIST, model_body())).status_code == 500
    assert await api.get(LIST) == {}


async def test_a_reply_can_be_lost_after_the_deed_is_done(api):
    api.app.faults.add(Fault(method="tunedModels.create", status=503, act=True))
    assert (await api.call("POST", LIST + "?tunedModelId=mine", model_body())).status_code == 503
    assert [model["name"] for model in (await api.get(LIST))["tunedModels"]] == ["tunedModels/mine"]


@pytest.mark.parametrize("act", [False, True])
async def test_a_connection_can_be_dropped_before_or_after_the_deed(api, act):
    api.app.faults.add(Fault(method="tunedModels.create", drop=True, act=act))
    with pytest.raises(ConnectionResetError):
        await api.call("POST", LIST, model_body())
    assert len((await api.get(LIST)).get("tunedModels", [])) == act


async def test_a_reply_can_be_a_page_garbage_or_anything(api):
    body = {"error": {"code": 418, "message": "teapot", "status": "TEAPOT"}}
    api.app.faults.add(Fault(html=True), Fault(garbage=True), Fault(status=418, body=body), Fault(body="plain"))
    page, garbage, json_body, text = [await api.call("GET", LIST) for _ in range(4)]
    assert (page.status_code, page.headers["content-type"]) == (502, "text/html; charset=UTF-8")
    assert garbage.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        garbage.json()
    assert (json_body.status_code, json_body.json()) == (418, body)
    assert (text.status_code, text.text) == (200, "plain")


async def test_a_delay_lasts_on_the_emulators_clock(api):
    api.app.faults.add(Fault(delay=30))
    done = []

    async def call():
        done.append((await api.call("GET", LIST)).status_code)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        api.app.advance(29)
        await anyio.wait_all_tasks_blocked()
        assert done == []
        assert api.app.statistics()["in_flight"] == 1
        api.app.advance(1)
    assert done == [200]


@pytest.mark.parametrize("raw", [False, True])
async def test_a_stream_of_events_can_break_with_an_error_in_the_middle(api, raw):
    await api.tuned()
    api.app.faults.add(Fault(method="tunedModels.streamGenerateContent", after=1, status=503, raw=raw))
    reply = await api.call("POST", STREAM + "?alt=sse", prompt("1"))
    assert reply.status_code == 200
    first, rest = reply.text.split("\r\n\r\n", 1)
    assert json.loads(first.removeprefix("data: "))["candidates"]
    assert rest.startswith("data: ") is not raw
    assert json.loads(rest.removeprefix("data: "))["error"]["code"] == 503


async def test_a_json_stream_can_break_with_an_error_in_the_middle(api):
    await api.tuned()
    for after in (0, 1, 99):
        api.app.faults.add(Fault(after=after, status=503))
        *before, last = (await api.call("POST", STREAM, prompt("1"))).json()
        assert len(before) == min(after, 1)
        assert last["error"]["status"] == "UNAVAILABLE"


async def test_a_stream_can_be_dropped_in_the_middle(api):
    await api.tuned()
    api.app.faults.add(Fault(after=1, drop=True))
    with pytest.raises(ConnectionResetError):
        await api.call("POST", STREAM + "?alt=sse", prompt("1"))


def test_an_instruction_survives_json_and_an_unknown_field_is_named():
    fault = Fault(method="models.get", status=503, headers={"a": "b"}, job={"fail_at_step": 3})
    assert Fault.from_dict(json.loads(json.dumps(fault.to_dict()))) == fault
    with pytest.raises(ValueError, match="no field 'statsu'"):
        Fault.from_dict({"statsu": 503})


@pytest.mark.parametrize("method", ["generateContent", "tunedModels.*", "models.generatecontent", "", 7, ["*"]])
async def test_a_method_that_no_request_can_have_is_refused_with_the_names_there_are(api, method):
    known = r"'\*' or one of .*, models.generateContent, .*, tunedModels.transferOwnership"
    with pytest.raises(ValueError, match=f"there is no method .*[:?] a fault's method is {known}"):
        Fault(method=method, status=503)
    with pytest.raises(ValueError, match="there is no method"):
        api.app.faults.add({"method": method, "status": 503})
    reply = await api.call("POST", "/_emulator/faults", {"method": method, "status": 503})
    assert reply.status_code == 400
    assert "there is no method" in reply.json()["error"]["message"]
    assert api.app.faults.scenarios == {}


MEANT = (
    r"did you mean 'tunedModels.generateContent' or 'models.generateContent' or 'endpoints.generateContent' or "
    r"'publishers.models.generateContent'\?"
)


@pytest.mark.parametrize("method", ["generateContent", "GENERATECONTENT"])
def test_the_methods_that_may_be_meant_are_named(method):
    with pytest.raises(ValueError, match=MEANT):
        Fault(method=method)


@pytest.mark.parametrize("name", sorted(ERRORS))
async def test_every_observed_error_is_produced_by_its_name(api, name):
    golden = ERRORS[name]
    api.app.faults.add(Fault(error=name, headers={"retry-after": "3"}))
    reply = await api.call("GET", LIST)
    assert (reply.status_code, reply.json()) == (golden["http"], golden["body"])
    assert reply.headers["retry-after"] == "3"
    if name == "scope_insufficient":
        assert reply.headers["www-authenticate"] == golden["headers"]["www-authenticate"]
    assert ("www-authenticate" in reply.headers) == ("headers" in golden)


async def test_a_named_error_has_another_status_or_message_if_told_so(api):
    api.app.faults.add(Fault(error="internal", status=599, message="boom"))
    reply = await api.call("GET", LIST)
    assert reply.status_code == 599
    assert reply.json()["error"] == {"code": 599, "message": "boom", "status": "INTERNAL"}


async def test_half_of_a_reply_comes_well_framed(api):
    whole = await api.call("GET", "/v1beta/models")
    api.app.faults.add(Fault(cut="json"))
    half = await api.call("GET", "/v1beta/models")
    assert (half.status_code, half.content) == (200, whole.content[: len(whole.content) // 2])


async def test_a_slow_body_takes_its_time_and_is_whole(api):
    api.app.faults.add(Fault(status=418, body="0123456789", pace=(4, 1.0)))
    done = []

    async def call():
        done.append((await api.call("GET", LIST, headers={"accept-encoding": "identity"})).text)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        for _ in range(2):
            await anyio.wait_all_tasks_blocked()
            assert done == []
            api.app.advance(1.0)
    assert done == ["0123456789"]


WRONG = [
    {"status": "503"}, {"status": 99}, {"status": 100}, {"status": 600}, {"status": 503.5}, {"status": True},
    {"status": -1}, {"status": 10**30}, {"times": 0}, {"times": 1.5}, {"times": "2"}, {"times": True}, {"error": "no"},
    {"error": 5}, {"error": []}, {"delay": "1"}, {"delay": -1}, {"delay": None}, {"delay": float("nan")},
    {"delay": float("inf")}, {"headers": {"a": 1}}, {"headers": {"a\r\nb": "c"}}, {"headers": {"a": "b\r\nc: d"}},
    {"headers": {"": "a"}}, {"headers": {"a": "六"}}, {"headers": {"content-length": "5"}}, {"headers": "abc"},
    {"headers": {"Transfer-Encoding": "chunked"}}, {"headers": {"a": "b\x00"}}, {"headers": 5}, {"message": 5},
    {"act": "yes"}, {"drop": 1}, {"html": None}, {"garbage": []}, {"raw": "no"}, {"exact": "六"}, {"exact": 5},
    {"cut": "tail"}, {"cut": 5}, {"cut": ["json"]}, {"then": "open"}, {"then": 1}, {"after": -1}, {"after": "1"},
    {"after": 1.5}, {"pace": 5}, {"pace": []}, {"pace": [1]}, {"pace": [0, 1]}, {"pace": [1, -1]}, {"pace": ["1", 1]},
    {"pace": [1, float("inf")]}, {"pace": [1, 2, 3]}, {"job": 5}, {"job": []}, {"job": {"fail_at_step": "3"}},
    {"job": {"fail_at_step": -3}}, {"job": {"losses": 5}}, {"job": {"losses": ["a"]}},
    {"job": {"losses": [float("nan")]}}, {"job": {"code": "13"}}, {"job": {"message": None}}, {"job": {"hollow": 1}},
    {"job": {"nothing": 1}}, {"nothing": 1},
    5, "abc", None, [[]], {"tunedModels.get": [5]},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
async def test_a_fault_that_could_not_be_followed_is_refused_when_it_is_planted(api, wrong):
    try:
        body = json.dumps([{"status": 500}, wrong] if isinstance(wrong, dict) else wrong).encode()
    except ValueError:
        body = None
    if body is not None:
        reply = await api.call("POST", "/_emulator/faults", body)
        assert reply.status_code == 400, reply.text
    if isinstance(wrong, dict):
        with pytest.raises(ValueError):
            api.app.faults.add(wrong)
    assert api.app.faults.scenarios == {}
    assert api.app.faults.pending() == []
    await api.get("/v1beta/models")


@pytest.mark.parametrize(
    "status", [200, 201, 204, 205, 206, 226, 299, 300, 304, 399, 400, 418, 451, 499, 500, 511, 599]
)
@pytest.mark.parametrize("rest", [{}, {"body": "text"}, {"body": {"a": 1}}, {"html": True}, {"garbage": True}], ids=str)
def test_every_status_that_is_taken_can_be_answered(status, rest, served):
    served.app.faults.add({"method": "models.list", "status": status, **rest})
    with httpx.Client(base_url=served.url) as http:
        assert http.get("/v1beta/models").status_code == status
        assert http.get("/v1beta/models").status_code == 200


@pytest.fixture(scope="module")
def served():
    with running_emulator() as emulator:
        yield emulator


plausible = st.fixed_dictionaries(
    {},
    optional={
        "times": st.integers(-1, 3), "status": st.integers(100, 700), "error": st.sampled_from(sorted(ERRORS)),
        "body": st.text(max_size=5) | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
        "headers": st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
        "message": st.text(max_size=5),
        "act": st.booleans(), "html": st.booleans(), "garbage": st.booleans(), "after": st.integers(-1, 3),
        "raw": st.booleans(), "cut": st.just("json"), "pace": st.tuples(st.integers(-1, 9), st.just(0)),
    },
)  # fmt: skip


@given(
    st.lists(
        plausible
        | st.dictionaries(st.sampled_from(["status", "times", "body", "job"]), st.text() | st.none() | st.floats()),
        max_size=3,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_taken_is_followed_and_breaks_nothing(scenario):
    app = create_app(clock="stepped")
    try:
        app.faults.add(*scenario)
    except ValueError:
        assert app.faults.pending() == []

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
            while app.faults.pending():
                reply = await http.get("/v1beta/models")
                assert 200 <= reply.status_code <= 599
            assert (await http.get("/v1beta/models")).status_code == 200

    anyio.run(ask)


async def test_only_the_latest_completed_scenarios_are_kept(api):
    pending = api.app.faults.add(Fault(method="tunedModels.delete"))
    for _ in range(1_100):
        api.app.faults.add(Fault(method="models.list", status=503))
        api.app.faults.take("models.list")
    kept = api.app.faults.scenarios
    assert len(kept) <= 1_001
    assert (pending.id in kept, "1101" in kept, "2" in kept) == (True, True, False)
    assert api.app.faults.followed == 1_100


async def test_a_fault_remembers_the_first_requests_that_met_it(api):
    scenario = api.app.faults.add(Fault(times=10**9))
    for number in range(1, 1_501):
        api.app.faults.take("models.list", number)
    (planted,) = scenario.faults
    assert (len(planted.requests), planted.requests[-1], planted.remaining) == (1_000, 1_000, 10**9 - 1_500)
