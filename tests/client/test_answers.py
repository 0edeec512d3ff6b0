"""A reply with status 200 that can be parsed is not yet an answer; and a stream is a call until its first piece."""

import json

import anyio
import httpx
import pytest

import gemtune
from gemtune import errors
from gemtune.batch import Limiter

MODEL = "models/gemini-x"
QUICK = gemtune.RetryPolicy(attempts=4, initial=0.01)


def piece(text="fine", finish="STOP"):
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    return {"candidates": [candidate | ({"finishReason": finish} if finish else {})]}


FINE = piece()


def failed(code=503, status="UNAVAILABLE", message="overloaded"):
    return {"error": {"code": code, "message": message, "status": status}}


def events(*payloads):
    return b"".join(b"data: " + json.dumps(payload).encode() + b"\r\n\r\n" for payload in payloads)


class Body(httpx.AsyncByteStream):
    """A body in steps: bytes are sent, a number is a wait in seconds, an exception ends it."""

    def __init__(self, *steps):
        self.steps = steps

    async def __aiter__(self):
        for step in self.steps:
            if isinstance(step, bytes):
                yield step
            elif isinstance(step, float):
                await anyio.sleep(step)
            else:
                raise step


class Service:
    """Gives its replies in their order, the last one for ever; a tuple is the body of a stream, in steps."""

    def __init__(self, *replies):
        self.replies = [*replies]
        self.asked = 0

    def client(self, **options):
        return gemtune.Client(transport=httpx.MockTransport(self), **({"api_key": "key", "retry": QUICK} | options))

    async def __call__(self, request):
        self.asked += 1
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, tuple):
            return httpx.Response(200, stream=Body(*reply), headers={"content-type": "text/event-stream"})
        return httpx.Response(200, json=reply)


async def read(client, **options):
    stream = client.stream_generate_content(MODEL, "hi", **options)
    return "".join([chunk.text async for chunk in stream])


HIDDEN = [
    (failed(), errors.Unavailable, 503),
    (failed(429, "RESOURCE_EXHAUSTED"), errors.QuotaExhausted, 429),
    (failed(400, "INVALID_ARGUMENT"), errors.BadRequest, 400),
    (failed("429", ""), errors.QuotaExhausted, 429),
    (failed(14, ""), errors.Unavailable, 503),
    (failed(8, "RESOURCE_EXHAUSTED"), errors.QuotaExhausted, 429),
    ({"error": {"message": "no idea"}}, errors.Unavailable, 500),
    ({"error": "upstream failed"}, errors.Unavailable, 500),
    ({"error": {}}, errors.Unavailable, 500),
    ([failed()], errors.Unavailable, 503),
    (failed() | {"candidates": [], "usageMetadata": {"promptTokenCount": 3}}, errors.Unavailable, 503),
]


@pytest.mark.parametrize(("reply", "kind", "status"), HIDDEN)
async def test_an_error_within_a_200_is_that_error(reply, kind, status):
    async with Service(reply).client(retry=gemtune.RetryPolicy(attempts=1)) as client:
        with pytest.raises(errors.CallError) as caught:
            await client.generate_content(MODEL, "hi")
        assert (type(caught.value), caught.value.status) == (kind, status)


@pytest.mark.parametrize(("reply", "kind", "status"), HIDDEN)
async def test_an_error_as_the_first_event_is_that_error(reply, kind, status):
    service = Service((events(reply),))
    async with service.client(retry=gemtune.RetryPolicy(attempts=1)) as client:
        with pytest.raises(errors.CallError) as caught:
            await read(client)
        assert (type(caught.value), caught.value.status) == (kind, status)


@pytest.mark.parametrize("beside", [{}, {"error": None}])
async def test_a_reply_with_candidates_or_without_an_error_is_an_answer(beside):
    async with Service(FINE | beside).client() as client:
        assert (await client.generate_content(MODEL, "hi")).text == "fine"


async def test_the_error_of_an_operation_is_part_of_it():
    held = {"name": "tunedModels/x/operations/y", "done": True, "error": {"code": 13, "message": "no"}}
    async with Service(held).client() as client:
        operation = await client.operations.get("tunedModels/x/operations/y")
        assert operation.error is not None


async def test_an_error_within_a_200_is_retried_and_masks_the_credential(caplog):
    service = Service(
        failed(message="key key=abcdefgh12345678"), failed(400, "INVALID_ARGUMENT", "not abcdefgh12345678")
    )
    async with service.client(api_key="abcdefgh12345678") as client:
        with pytest.raises(errors.BadRequest) as caught:
            await client.generate_content(MODEL, "hi")
        assert service.asked == 2
        assert "abcdefgh12345678" not in f"{caught.value}{caplog.text}"


@pytest.mark.parametrize("how", ["whole", "first event", "later event"])
async def test_a_credential_refused_within_a_200_is_named_with_its_advice_and_masked(how):
    refused = failed(401, "UNAUTHENTICATED", "not with abcdefgh12345678")
    before = (events(piece(finish=None)),) if how == "later event" else ()
    service = Service(refused if how == "whole" else (*before, events(refused)))
    async with service.client(api_key="abcdefgh12345678") as client:
        with pytest.raises(errors.CallError, match="it is the API key.* that was refused") as caught:
            await (client.generate_content(MODEL, "hi") if how == "whole" else read(client))
        assert "abcdefgh12345678" not in f"{caught.value!r}{caught.value}"


async def test_a_row_whose_reply_holds_an_error_has_failed(virtual_time):
    service = Service(failed(400, "INVALID_ARGUMENT"), FINE)
    async with service.client() as client:
        first, second = await client.generate_many(MODEL, ["a", "b"], concurrency=1)
        assert (first.ok, type(first.error), second.ok) == (False, errors.BadRequest, True)


FAILS_FIRST = {
    "an error as the first event": (events(failed()),),
    "a broken connection": (b": hello\n\n", httpx.ReadError("reset")),
    "an end without an event": (b": hello\n\n",),
    "no JSON": (b"data: <html>\r\n\r\n",),
    "no piece": (b'data: {"candidates": 3}\r\n\r\n',),
}


@pytest.mark.parametrize("beginning", FAILS_FIRST.values(), ids=FAILS_FIRST)
async def test_what_fails_before_the_first_piece_is_tried_again(beginning, virtual_time):
    service = Service(beginning, (events(FINE),))
    async with service.client() as client:
        assert await read(client) == "fine"
        assert service.asked == 2


@pytest.mark.parametrize("beginning", FAILS_FIRST.values(), ids=FAILS_FIRST)
async def test_what_fails_before_the_first_piece_is_raised_in_its_own_class_and_the_limiter_hears_of_it(
    beginning, virtual_time
):
    limiter = Limiter()
    async with Service(beginning).client(limiter=limiter, retry=gemtune.RetryPolicy(attempts=1)) as client:
        with pytest.raises(errors.CallError) as caught:
            await read(client)
        assert not isinstance(caught.value, errors.StreamInterrupted)
        found = limiter.statistics()
        assert (found.rejected + found.troubled, found.accepted, found.in_flight) == (1, 0, 0)


@pytest.mark.parametrize("given", ["timeout", "total"])
@pytest.mark.parametrize("first", [(), (events(piece(finish=None)),)], ids=["before the first piece", "after it"])
async def test_the_time_allowed_is_that_of_the_whole_stream(given, first, virtual_time):
    busy = [step for n in range(1000) for step in (events(piece("x", None)) if first else b": alive\n\n", 1.0)]
    timeouts = gemtune.Timeouts(total=30.0 if given == "total" else None)
    kind = errors.StreamInterrupted if first else errors.DeadlineExceeded
    async with Service((*first, *busy)).client(timeouts=timeouts) as client:
        begun = anyio.current_time()
        with pytest.raises(kind, match="time allowed for the whole stream"):
            await read(client, timeout=30.0 if given == "timeout" else None)
        assert anyio.current_time() - begun == pytest.approx(30, abs=1)


async def test_a_stream_that_goes_on_has_no_end_unless_one_is_set(virtual_time):
    busy = [step for _ in range(100) for step in (events(piece("x", None)), 50.0)]
    async with Service((*busy, events(FINE))).client() as client:
        assert await read(client) == "x" * 100 + "fine"


@pytest.mark.parametrize("alive", [b": alive\n\n", b"\r\n", b"event: ping\n\n"])
async def test_silence_is_measured_between_pieces_and_not_between_bytes(alive, virtual_time):
    noise = [step for _ in range(1000) for step in (alive, 5.0)]
    service = Service((events(piece(finish=None)), *noise))
    async with service.client(timeouts=gemtune.Timeouts(generate=60)) as client:
        begun = anyio.current_time()
        with pytest.raises(errors.StreamInterrupted, match="no piece arrived for 60 s") as caught:
            await read(client)
        assert anyio.current_time() - begun == pytest.approx(60, abs=5)
        assert (caught.value.partial, caught.value.chunks, service.asked) == ("fine", 1, 1)


AFTERWARDS = {
    "a reset": (httpx.ReadError("reset"),),
    "a comment and silence": (b": alive\n\n", 10_000.0),
    "comments for ever": tuple(step for _ in range(10_000) for step in (b": alive\n\n", 1.0)),
    "what is no JSON": (b"data: [DONE]\n\n",),
    "half an event": (b'data: {"candid',),
    "an error": (events(failed()),),
}


@pytest.mark.parametrize("rest", AFTERWARDS.values(), ids=AFTERWARDS)
async def test_after_the_finish_reason_the_end_may_come_in_any_way(rest, virtual_time):
    limiter = Limiter()
    service = Service((events(piece("all", None), FINE), *rest))
    async with service.client(limiter=limiter) as client:
        begun = anyio.current_time()
        assert await read(client) == "allfine"
        assert anyio.current_time() - begun < 10
        assert (limiter.statistics().accepted, service.asked) == (1, 1)


async def test_what_follows_the_finish_reason_is_still_delivered(virtual_time):
    usage = {"usageMetadata": {"promptTokenCount": 7}}
    async with Service((events(FINE), 1.0, events(usage))).client() as client:
        pieces = [chunk async for chunk in client.stream_generate_content(MODEL, "hi")]
        assert pieces[-1].usage_metadata.prompt_token_count == 7


async def test_a_stream_is_complete_once_all_its_candidates_are(virtual_time):
    two = {"candidates": [FINE["candidates"][0], {"content": {"parts": [{"text": "b"}]}, "index": 1}]}
    async with Service((events(two), httpx.ReadError("reset"))).client() as client:
        with pytest.raises(errors.StreamInterrupted):
            await read(client)


@pytest.mark.parametrize("rest", [(), (httpx.ReadError("reset"),)], ids=["an end", "a reset"])
async def test_a_stream_without_a_finish_reason_was_cut_short(rest, virtual_time):
    async with Service((events(piece(finish=None)), *rest)).client() as client:
        with pytest.raises(errors.StreamInterrupted):
            await read(client)


async def test_one_event_may_be_as_large_as_a_whole_reply_and_all_of_them_no_larger(virtual_time):
    text = "x" * 3_000_000
    large = Service((events(piece(text, None), FINE),))
    async with large.client() as client:
        assert await read(client) == text + "fine"
    endless = Service((*[events(piece(text, None))] * 30, events(FINE)))
    async with endless.client() as client:
        with pytest.raises(errors.StreamInterrupted, match="larger than 67108864 bytes"):
            await read(client)
