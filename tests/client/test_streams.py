"""Streamed replies over a real socket: pieces, breaks, and connections that come back."""

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import gemtune
from gemtune import errors
from gemtune.emulator import Fault, create_app, running_emulator
from world import TOKEN

MODEL = "gemini-3.7-flash"
pytestmark = pytest.mark.socket


@pytest.fixture
def emulator():
    app = create_app(answers={"count": "one two three four five six seven eight"}, chunk_characters=6)
    with running_emulator(app) as server:
        yield server


def client_of(server, **options):
    return gemtune.Client(base_url=server.url, token=TOKEN, **options)


async def settled(client):
    """Let the event loop finish what closing a connection began."""
    for _ in range(10):
        await anyio.lowlevel.checkpoint()
    return client.statistics().connections


@pytest.mark.both_backends
async def test_the_pieces_are_those_of_the_whole_reply(emulator):
    async with client_of(emulator) as client:
        whole = await client.generate_content(MODEL, "count")
        stream = client.stream_generate_content(MODEL, "count")
        assert stream.chunks == 0
        pieces = [piece async for piece in stream]
        assert len(pieces) > 3
        assert "".join(piece.text_or_none or "" for piece in pieces) == whole.text == stream.text
        assert pieces[-1].candidates[0].finish_reason == "STOP"
        assert [piece async for piece in stream] == []


async def test_nothing_is_sent_before_the_first_piece_is_wanted(emulator):
    async with client_of(emulator) as client:
        async with client.stream_generate_content(MODEL, "count"):
            pass
        assert len(emulator.app.requests) == 0


@pytest.mark.parametrize("leave", ["break in async with", "aclose", "cancel"])
async def test_a_stream_that_is_left_early_frees_its_connection(emulator, leave):
    async with client_of(emulator) as client:
        for _ in range(3):
            stream = client.stream_generate_content(MODEL, "count")
            if leave == "cancel":
                with anyio.CancelScope() as scope:
                    async for _piece in stream:
                        scope.cancel()
            elif leave == "aclose":
                await anext(stream)
                await stream.aclose()
            else:
                async with stream:
                    async for _piece in stream:
                        break
            assert stream._pieces is None
            assert await settled(client) <= 1
        assert (await client.generate_content(MODEL, "count")).text


@pytest.mark.parametrize("raw", [False, True], ids=["as an event", "as bare JSON"])
async def test_an_error_in_the_middle_keeps_the_text_so_far(emulator, raw):
    emulator.app.faults.add(Fault(method="models.streamGenerateContent", status=503, after=2, raw=raw))
    async with client_of(emulator) as client:
        stream = client.stream_generate_content(MODEL, "count")
        with pytest.raises(errors.StreamInterrupted, match="after 2 pieces") as caught:
            async for _piece in stream:
                pass
        assert caught.value.chunks == 2
        assert caught.value.partial == stream.text != ""
        assert (caught.value.status, caught.value.reason) == (503, "UNAVAILABLE")
        assert len(emulator.app.requests) == 1


async def test_a_connection_that_breaks_in_the_middle_is_told_and_never_repeated(emulator):
    emulator.app.faults.add(Fault(method="models.streamGenerateContent", drop=True, after=2))
    async with client_of(emulator) as client:
        with pytest.raises(errors.StreamInterrupted) as caught:
            async for _piece in client.stream_generate_content(MODEL, "count"):
                pass
        assert caught.value.chunks == 2
        assert len(emulator.app.requests) == 1


async def test_a_failure_before_the_first_piece_is_retried(emulator):
    emulator.app.faults.add(Fault(method="models.streamGenerateContent", status=503, times=2))
    async with client_of(emulator, retry=gemtune.RetryPolicy(initial=0.01)) as client:
        pieces = [piece async for piece in client.stream_generate_content(MODEL, "count")]
        assert pieces
        assert len(emulator.app.requests) == 3


async def test_a_blocked_prompt_is_a_reply_and_its_text_says_why(emulator):
    emulator.app.faults.add(
        Fault(method="models.generateContent", status=200, body={"promptFeedback": {"blockReason": "SAFETY"}})
    )
    async with client_of(emulator) as client:
        reply = await client.generate_content(MODEL, "count")
        assert reply.text_or_none is None
        with pytest.raises(errors.NoText, match="SAFETY"):
            _ = reply.text


async def test_a_client_belongs_to_the_loop_of_its_first_call(emulator):
    async with client_of(emulator) as client:

        async def use():
            return (await client.generate_content(MODEL, "count")).text

        assert await use()
        with pytest.raises(errors.MisuseError, match="event loop"):
            await anyio.to_thread.run_sync(anyio.run, use)
        assert await use()
