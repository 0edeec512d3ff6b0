"""No reply holds the event loop: what is large is read in a thread, and between many small events others have a turn.

How long the slices are in seconds shows ``benchmarks/slices.py``.
"""

import json
import threading

import anyio
import anyio.lowlevel
import attrs
import httpx
import pytest

import gemtune
from gemtune import errors
from gemtune.protocol import status
from world import TOKEN

SMALL, LARGE = 1_000, 200_000


def client_of(body, code=200):
    transport = httpx.MockTransport(lambda _: httpx.Response(code, content=body))
    retry = gemtune.RetryPolicy(attempts=1)
    return gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=transport, retry=retry)


def reply(text):
    return json.dumps({"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]}).encode()


@pytest.mark.parametrize(("size", "here"), [(SMALL, True), (LARGE, False)])
async def test_a_large_error_is_read_in_a_thread(monkeypatch, size, here):
    threads = []

    def noted(*args, plain=status.error_from_reply, **options):
        threads.append(threading.get_ident())
        return plain(*args, **options)

    monkeypatch.setattr(status, "error_from_reply", noted)
    async with client_of(b"<p>" + b"x" * size, 502) as client:
        with pytest.raises(errors.Unavailable, match="the text reads: xxx"):
            await client.generate_content("m", "hi")
    assert [thread == threading.get_ident() for thread in threads] == [here]


@pytest.mark.parametrize(("size", "here"), [(SMALL, True), (LARGE, False)])
async def test_a_large_piece_of_a_stream_is_read_in_a_thread(size, here):
    threads = []

    def noted(call):
        return lambda payload: threads.append(threading.get_ident()) or call.decode(payload)

    async with client_of(b"data: " + reply("x" * size) + b"\n\n") as client:
        stream = client.stream_generate_content("m", "hi")
        stream._call = attrs.evolve(stream._call, decode=noted(stream._call))
        assert [len(piece.text) async for piece in stream] == [size]
    assert [thread == threading.get_ident() for thread in threads] == [here]


@pytest.mark.parametrize("flood", [b'data: {"x":1}\n\n', b"\n", b": keep-alive\n"])
async def test_others_have_their_turn_during_a_flood_of_small_events(flood):
    body = flood * (1_000_000 // len(flood)) + b"data: " + reply("end") + b"\n\n"
    turns = 0

    async def others():
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with client_of(body) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(others)
        await anyio.lowlevel.checkpoint()
        before = turns
        async for piece in client.stream_generate_content("m", "hi"):
            last = piece
        assert last.text == "end"
        assert turns - before >= 10
        tasks.cancel_scope.cancel()
