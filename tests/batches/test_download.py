"""Downloads larger than memory: continued where they broke, checked, and never mixed of two contents."""

import io

import httpx
import pytest

import gemtune
from gemtune import errors
from gemtune.http import download as module
from gemtune.http.download import download
from gemtune.protocol.files import download_file
from world import TOKEN

pytestmark = pytest.mark.usefixtures("virtual_time")
MIB = 1 << 20
CONTENT = bytes(range(251)) * 20_000  # 5 MB, and no two MiB of it alike
CALL = download_file("files/batch-x")


class Breaking(httpx.AsyncByteStream):
    """A body that breaks off after so many bytes."""

    def __init__(self, data, end):
        self.data, self.end = data, end

    async def __aiter__(self):
        for start in range(0, len(self.data), 50_000):
            yield self.data[start : start + 50_000]
        if self.end is not None:
            raise self.end


class Shelf(httpx.AsyncBaseTransport):
    """Serves one content by ranges, and breaks as it is told.

    Args:
        breaks: After how many bytes the first, second ... reply breaks off; None for one that does not.
    """

    def __init__(self, content=CONTENT, breaks=(), ranges=True, etag=None, gzip=False, sized=True):
        self.content, self.breaks, self.ranges, self.etag = content, list(breaks), ranges, etag
        self.gzip, self.sized, self.asked, self.sent = gzip, sized, [], 0

    async def handle_async_request(self, request):
        assert request.headers["accept-encoding"] == "identity"
        asked = request.headers.get("range")
        self.asked.append(asked)
        start, status, headers = 0, 200, {}
        if asked and self.ranges and request.headers.get("if-range", self.etag) == self.etag:
            start, status = int(asked.removeprefix("bytes=").removesuffix("-")), 206
            headers["content-range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        if self.etag:
            headers["etag"] = self.etag
        body = self.content[start:]
        if self.sized:
            headers["content-length"] = str(len(body))
        stop, end = self.breaks.pop(0) if self.breaks else None, None
        if stop is not None:
            body, end = body[:stop], httpx.ReadError("Connection reset by peer")
        self.sent += len(body)
        return httpx.Response(status, headers=headers, stream=Breaking(body, end))


async def fetched(shelf, **options):
    into = io.BytesIO()
    async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=shelf) as client:
        count = await download(client._caller, CALL, into, **options)
    assert count == len(into.getvalue())
    return into.getvalue()


async def test_a_body_is_written_whole():
    shelf = Shelf()
    assert await fetched(shelf) == CONTENT
    assert shelf.asked == [None]


@pytest.mark.both_backends
async def test_after_a_break_only_the_rest_is_asked_for():
    shelf = Shelf(breaks=[2 * MIB + 7, 100_000])
    assert await fetched(shelf) == CONTENT
    assert shelf.asked == [None, f"bytes={2 * MIB + 7}-", f"bytes={2 * MIB + 100_007}-"]
    assert shelf.sent == len(CONTENT)


async def test_a_break_after_much_gives_the_retries_back_and_many_after_little_use_them_up():
    content = CONTENT * 3
    shelf = Shelf(content, breaks=[MIB + 1] * 12)
    assert await fetched(shelf, retry=gemtune.RetryPolicy(attempts=2)) == content
    shelf = Shelf(breaks=[1000] * 12)
    with pytest.raises(errors.ConnectionLost):
        await fetched(shelf, retry=gemtune.RetryPolicy(attempts=4))
    assert shelf.asked == [None, "bytes=1000-", "bytes=2000-", "bytes=3000-"]


async def test_a_break_after_the_last_byte_costs_nothing():
    shelf = Shelf(breaks=[len(CONTENT)])
    assert await fetched(shelf) == CONTENT
    assert shelf.asked == [None]


async def test_a_service_that_knows_no_ranges_sends_all_of_it_again():
    shelf = Shelf(breaks=[2 * MIB], ranges=False)
    assert await fetched(shelf) == CONTENT
    assert len(shelf.asked) == 2


async def test_content_that_changes_meanwhile_is_fetched_anew_and_never_mixed():
    class Changing(Shelf):
        async def handle_async_request(self, request):
            reply = await super().handle_async_request(request)
            self.content, self.etag = b"new" * len(CONTENT), '"2"'
            return reply

    for etag in ('"1"', None):
        shelf = Changing(breaks=[2 * MIB], etag=etag)
        assert await fetched(shelf) == b"new" * len(CONTENT)


async def test_a_body_that_stops_short_is_asked_for_again():
    class Short(Shelf):
        async def handle_async_request(self, request):
            reply = await super().handle_async_request(request)
            if len(self.asked) == 1:
                reply.stream.data = reply.stream.data[: 3 * MIB]
            return reply

    shelf = Short()
    assert await fetched(shelf) == CONTENT
    assert shelf.asked == [None, f"bytes={3 * MIB}-"]


async def test_a_body_that_always_stops_short_is_an_error():
    class Short(Shelf):
        async def handle_async_request(self, request):
            reply = await super().handle_async_request(request)
            reply.stream.data = b""
            return reply

    with pytest.raises(errors.MalformedResponse, match="0 bytes arrived, and it should be 5,020,000"):
        await fetched(Short())


@pytest.mark.parametrize("sized", [True, False])
async def test_more_than_is_wanted_is_refused(sized):
    with pytest.raises(errors.ResponseTooLarge):
        await fetched(Shelf(sized=sized), most=MIB)


async def test_a_silence_in_the_middle_is_a_break(virtual_time):
    import anyio

    class Silent(Breaking):
        async def __aiter__(self):
            yield self.data[: 2 * MIB]
            await anyio.sleep(10_000)

    class Falling(Shelf):
        async def handle_async_request(self, request):
            reply = await super().handle_async_request(request)
            if len(self.asked) == 1:
                reply.stream = Silent(reply.stream.data, None)
            return reply

    shelf, before = Falling(), virtual_time()
    assert await fetched(shelf) == CONTENT
    assert 60 <= virtual_time() - before < 100
    assert shelf.asked == [None, f"bytes={2 * MIB}-"]


async def test_time_for_all_of_it_ends_it(virtual_time):
    import anyio

    class Slow(Breaking):
        async def __aiter__(self):
            for start in range(0, len(self.data), 50_000):
                await anyio.sleep(1)
                yield self.data[start : start + 50_000]

    class Dripping(Shelf):
        async def handle_async_request(self, request):
            reply = await super().handle_async_request(request)
            reply.stream = Slow(reply.stream.data, None)
            return reply

    with pytest.raises(errors.DeadlineExceeded, match="bytes had arrived when the 30 s were over"):
        await fetched(Dripping(), timeout=30)


async def test_a_refusal_is_an_error_of_the_service():
    def refuse(request):
        return httpx.Response(404, json={"error": {"code": 404, "status": "NOT_FOUND", "message": "no such file"}})

    with pytest.raises(errors.NotFound, match="files/batch-x"):
        await fetched(httpx.MockTransport(refuse))


async def test_memory_does_not_grow_with_the_size(tmp_path):
    import tracemalloc

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):
            for _ in range(2000):
                yield b"x" * 50_000

    def serve(request):
        return httpx.Response(200, headers={"content-length": str(100_000_000)}, stream=Endless())

    async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=httpx.MockTransport(serve)) as client:
        tracemalloc.start()
        try:
            await client.files.download("files/x", tmp_path / "x")
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (tmp_path / "x").stat().st_size == 100_000_000
    assert most < 8 * MIB


async def test_what_breaks_for_good_leaves_no_file(tmp_path):
    shelf = Shelf(breaks=[2 * MIB] + [0] * 20)
    (tmp_path / "there").write_bytes(b"old")
    async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=shelf) as client:
        for name in ("new", "there"):
            with pytest.raises(errors.ConnectionLost):
                await client.files.download("files/x", tmp_path / name)
            shelf.breaks = [2 * MIB] + [0] * 20
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("there", b"old")]


async def test_what_is_returned_as_bytes_has_an_upper_limit(monkeypatch):
    shelf = Shelf()
    async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=shelf) as client:
        assert await client.files.download("files/x") == CONTENT
        monkeypatch.setattr("gemtune.resources.batches.files.IN_MEMORY", MIB)
        with pytest.raises(errors.ResponseTooLarge, match="it has 5,020,000 bytes"):
            await client.files.download("files/x")


def test_the_limits_are_those_that_the_tests_play_with():
    assert module._PROGRESS == MIB
