"""What the emulator takes in is bounded: bodies, nesting, the request log, connections, time."""

import json
import socket
import threading
import time

import anyio
import anyio.to_thread
import httpx
import pytest

from emulator.emulated import model_body, prompt
from emulator.holding import LIMIT, loop_watched
from gemtune.emulator import create_app, running_emulator

DEEP = b"[" * 100_000
KINDS = {
    "open": DEEP,
    "closed": b"[" * 900 + b"]" * 900,
    "objects": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
}


@pytest.mark.parametrize("body", KINDS.values(), ids=KINDS)
async def test_deep_json_is_a_400_everywhere(api, body):
    await api.refused(400, "POST", "/v1beta/tunedModels", body)
    for path in ("/_emulator/faults", "/_emulator/clock", "/_emulator/reset"):
        error = await api.refused(400, "POST", path, body)
        assert "nested too deeply" in error["message"] or "Expecting" in error["message"]


async def test_json_may_be_as_deep_as_protobuf_reads_it_and_no_deeper(api):
    name = await api.tuned()

    def nested(levels):
        value = {}
        for _ in range(levels):
            value = {"a": value}
        return prompt("1", tools=value)

    assert (await api.call("POST", f"/v1beta/{name}:generateContent", nested(90))).status_code == 200
    error = await api.refused(400, "POST", f"/v1beta/{name}:generateContent", nested(101))
    assert "nested too deeply" in error["message"]


@pytest.mark.parametrize("seconds", [1e300, 1e12, -1, float("nan"), True, "1", None, 10**400])
async def test_a_clock_that_cannot_be_moved_so_far_says_so_and_goes_on(api, seconds):
    text = json.dumps({"advance": seconds}).encode()
    await api.refused(400, "POST", "/_emulator/clock", text)
    assert (await api.get("/_emulator/clock"))["time"].startswith("2024-")


async def test_the_request_log_is_bounded_by_bytes_and_forgets_the_oldest_first(start):
    api = await start(request_log_bytes=12_000)
    for number in range(10):
        await api.call("POST", f"/v1beta/tunedModels/{number}", b"x" * 2_000)
    assert [entry.number for entry in api.app.requests] == [8, 9, 10]
    await api.call("POST", "/v1beta/tunedModels/x", b"x" * 100_000)
    assert len(api.app.requests) == 0
    await api.get("/v1beta/models")
    assert [entry.number for entry in api.app.requests] == [12]
    assert api.app.statistics()["requests"] == 12


async def test_many_headers_and_parameters_count_in_the_request_log_too(start):
    api = await start(request_log_bytes=1_000_000)
    for _ in range(20):
        await api.call("GET", "/v1beta/models?" + "&".join(f"a{n}=" for n in range(1_000)))
    assert len(api.app.requests) < 20


async def test_by_default_ten_thousand_large_bodies_take_at_most_64_mib(api):
    for _ in range(40):
        await api.call("POST", "/v1beta/nothing", b"x" * (4 << 20))
    assert sum(len(entry.body) for entry in api.app.requests) <= 64 << 20


async def test_a_request_that_plants_too_much_is_too_large(start):
    api = await start(max_request_bytes=1_000, max_create_bytes=1_000)
    reply = await api.call("POST", "/_emulator/faults", [{"status": 500}] * 100)
    assert reply.status_code == 413
    assert api.app.faults.scenarios == {}


async def test_an_error_is_not_larger_than_what_is_wrong_by_more_than_a_constant(api):
    body = json.dumps({f"unknown{number}": 1 for number in range(20_000)}).encode()
    reply = await api.call("POST", "/v1beta/tunedModels", body)
    assert reply.status_code == 400
    assert len(reply.content) < 100_000


async def test_a_few_bytes_do_not_become_steps_without_an_end(start):
    api = await start(step_seconds=0, queue_seconds=0)
    body = model_body([("1", "2")], hyperparameters={"epochCount": 2_000_000_000, "batchSize": 1})
    error = await api.refused(400, "POST", "/v1beta/tunedModels", body)
    assert "at most 100000 are possible here" in error["message"]


# ── on a socket ────────────────────────────────────────────────────────────────────────────────────────────────────

HEAD = b"POST /v1beta/tunedModels HTTP/1.1\r\nHost: localhost\r\n"


def serving(**settings):
    return running_emulator(create_app(**settings))


def connect(emulator):
    return socket.create_connection((emulator.host, emulator.port), timeout=10)


def rest_of(peer):
    data = b""
    try:
        while chunk := peer.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


@pytest.mark.socket
def test_a_body_without_an_end_is_not_read_without_an_end():
    with serving(max_request_bytes=10_000, max_create_bytes=10_000) as emulator, connect(emulator) as peer:
        peer.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < 50 << 20:
                peer.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                sent += 0x10000
        except OSError:
            pass
        assert sent < 50 << 20
        assert emulator.app.statistics()["requests"] == 0


@pytest.mark.socket
def test_a_body_that_is_too_large_gets_its_reply():
    with serving(max_request_bytes=1_000, max_create_bytes=1_000) as emulator:
        small = httpx.post(emulator.url + "/v1beta/tunedModels", content=b"x" * 3_000)
        assert small.status_code == 400
        assert "exceeds the limit" in small.json()["error"]["message"]
        large = httpx.post(emulator.url + "/v1beta/tunedModels", content=b"x" * 300_000)
        assert large.status_code == 413
        assert large.json()["error"]["message"] == "The body is longer than 4000 bytes."


@pytest.mark.socket
def test_a_body_that_does_not_arrive_ends_the_connection_with_an_answer():
    with serving(body_seconds=0.2) as emulator, connect(emulator) as peer:
        peer.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        assert b"did not arrive within 0.2 s" in rest_of(peer)


@pytest.mark.socket
@pytest.mark.parametrize("sent", [b"", b"G", b"GET /v1beta/models HTTP/1.1\r\nHost: loc", HEAD[:-1]])
def test_a_silent_connection_is_closed(sent):
    with serving(idle_seconds=0.2) as emulator, connect(emulator) as peer:
        peer.sendall(sent)
        assert rest_of(peer) == b""


@pytest.mark.socket
def test_a_head_that_comes_in_drops_is_not_waited_for_after_a_request_either():
    with serving(idle_seconds=0.5) as emulator, connect(emulator) as peer:
        peer.sendall(b"GET /v1beta/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert peer.recv(65536)
        ended, drops = threading.Event(), []

        def drip():
            try:
                for _ in range(100):
                    peer.sendall(b"G")
                    drops.append("G")
                    if ended.wait(0.1):
                        return
            except OSError:
                pass

        dripping = threading.Thread(target=drip)
        dripping.start()
        rest_of(peer)
        ended.set()
        dripping.join()
        assert len(drops) < 50  # there are five or six in so many seconds


@pytest.mark.socket
def test_a_slow_answer_is_no_silence():
    # A connection is silent, too, until a busy machine has brought its request.
    with serving(idle_seconds=0.5, answer_seconds=1.0) as emulator:
        reply = httpx.post(emulator.url + "/v1beta/models/gemini-3.7-flash:generateContent", json=prompt("1"))
        assert reply.status_code == 200


class HeldClock:
    """Real time, in which whoever sleeps does so until the test says that it is over."""

    def __init__(self):
        self.asleep, self.over = threading.Semaphore(0), threading.Event()

    def now(self):
        return time.time_ns()

    async def sleep(self, seconds):
        self.asleep.release()
        await anyio.to_thread.run_sync(self.over.wait, 10)


@pytest.mark.socket
def test_busy_connections_are_not_closed_for_others():
    clock = HeldClock()
    with serving(max_connections=3, answer_seconds=0.5, clock=clock) as emulator:
        busy = [connect(emulator) for _ in range(3)]
        for peer in busy:
            body = json.dumps(prompt("1")).encode()
            head = b"POST /v1beta/models/gemini-3.7-flash:generateContent HTTP/1.1\r\nHost: localhost\r\n"
            peer.sendall(head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert all(clock.asleep.acquire(timeout=10) for _ in busy)
        with connect(emulator) as refused:
            assert rest_of(refused) == b""
        clock.over.set()
        for peer in busy:
            with peer:
                assert rest_of(peer).startswith(b"HTTP/1.1 200 ")


@pytest.mark.socket
def test_silent_connections_make_room_for_those_that_ask():
    with serving(max_connections=20) as emulator:
        silent = [connect(emulator) for _ in range(50)]
        try:
            for _ in range(10):
                assert httpx.get(emulator.url + "/v1beta/models").status_code == 200
            for peer in silent[:30]:
                assert rest_of(peer) == b"", "there is room for 20"
        finally:
            for peer in silent:
                peer.close()


# ── the loop ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_megabyte_of_control_or_of_json_never_holds_the_loop(start):
    api = await start(gzip=False)
    faults = json.dumps([{}] * 10_000).encode()
    parts = json.dumps({"contents": [{"parts": [{"text": "a"}] * 8_000}]}).encode()
    path = "/v1beta/models/gemini-3.7-flash:countTokens"
    async with loop_watched() as held:
        assert (await api.call("POST", "/_emulator/faults", faults)).status_code == 200
        assert len((await api.call("GET", "/_emulator/faults")).content) > 1_000_000
        assert (await api.call("DELETE", "/_emulator/faults")).status_code == 200
        for _ in range(8):
            assert (await api.call("POST", path, parts)).status_code == 200
        assert len((await api.call("GET", "/_emulator/requests")).content) > 1_000_000
    assert held.longest < LIMIT
