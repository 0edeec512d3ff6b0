"""One client, several addresses: each call goes to the host of its resource, and the credential nowhere else."""

import contextlib

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune import errors
from gemtune.config import RetryPolicy, Timeouts
from gemtune.http.auth.choose import make_credentials
from gemtune.http.caller import Caller
from gemtune.http.wires import make_wires
from gemtune.protocol.call import Call, Effect
from gemtune.protocol.hosts import origin_of
from gemtune.settings import resolve
from gemtune.settings.addresses import STORAGE

TOKEN = "ya29.token-of-the-test"
REGIONAL = "https://europe-west4-aiplatform.googleapis.com"


def get(origin, path="/v1/x"):
    return Call(method="x.get", verb="GET", path=path, effect=Effect.READ, decode=dict, origin=origin)


class Lender(httpx.MockTransport):
    """A transport that notes where requests go, and how often it is closed."""

    def __init__(self):
        super().__init__(self.answer)
        self.seen = []
        self.closed = 0

    def answer(self, request):
        self.seen.append((f"{request.url.scheme}://{request.url.netloc.decode()}", request.headers["authorization"]))
        return httpx.Response(200, json={})

    async def aclose(self):
        self.closed += 1


@contextlib.asynccontextmanager
async def caller(transport, **options):
    settings = resolve({}, token=TOKEN, **{"vertexai": True, "project": "home", **options})
    wires = make_wires(settings, Timeouts(), transport, None, True, 100, None)
    credentials = make_credentials(settings, token=TOKEN)
    yield Caller(wires, credentials, Timeouts(), RetryPolicy(attempts=1), "test")
    await wires.aclose()


async def test_each_call_goes_to_the_host_of_its_location_and_storage_to_its_own():
    transport = Lender()
    async with caller(transport) as made:
        for origin in (None, REGIONAL, STORAGE, origin_of("projects/p/locations/us/endpoints/1"), REGIONAL):
            await made.call(get(origin))
    assert [where for where, _ in transport.seen] == [
        "https://us-central1-aiplatform.googleapis.com",
        REGIONAL,
        "https://storage.googleapis.com",
        "https://aiplatform.us.rep.googleapis.com",
        REGIONAL,
    ]
    assert {bearer for _, bearer in transport.seen} == {f"Bearer {TOKEN}"}
    assert transport.closed == 1


async def test_the_host_of_the_client_s_own_location_shares_its_connections():
    async with caller(Lender()) as made:
        assert made.wires.at("https://us-central1-aiplatform.googleapis.com") is made.wire
        other = made.wires.at(REGIONAL)
        assert other is made.wires.at(REGIONAL) is not made.wire


async def test_with_a_base_url_everything_goes_there():
    transport = Lender()
    async with caller(transport, base_url="http://127.0.0.1:8321") as made:
        for origin in (None, REGIONAL, STORAGE):
            await made.call(get(origin))
        assert made.wires.at(STORAGE) is made.wire
    assert {where for where, _ in transport.seen} == {"http://127.0.0.1:8321"}


async def test_a_gateway_gets_no_calls_of_storage():
    transport = Lender()
    async with caller(transport, base_url="https://gateway.example/v") as made:
        await made.call(get(REGIONAL))
        await made.call(get(STORAGE))
    assert [where for where, _ in transport.seen] == ["https://gateway.example", "https://storage.googleapis.com"]


@given(st.one_of(st.text(max_size=60), st.text("abcus-central1./@:#?%\\\n", max_size=40).map(lambda x: f"https://{x}")))
async def test_a_credential_never_leaves_for_an_address_that_no_location_gives(origin):
    transport = Lender()
    async with caller(transport) as made:
        with contextlib.suppress(errors.InvalidInput):
            await made.call(get(origin))
    assert transport.seen == [] or transport.seen[0][0].endswith(
        ("-aiplatform.googleapis.com", "storage.googleapis.com")
    )


async def test_a_foreign_address_is_refused_before_a_connection_is_made():
    async with caller(None) as made:
        with pytest.raises(errors.InvalidInput, match="credential does not go to 'https://evil.example'"):
            await made.call(get("https://evil.example"))
        assert made.wire._engine is None


async def test_a_closed_client_opens_no_further_address():
    async with caller(Lender()) as made:
        await made.call(get(REGIONAL))
        await made.wires.aclose()
        for origin in (REGIONAL, STORAGE, None):
            with pytest.raises(errors.MisuseError, match="closed"):
                await made.call(get(origin))
