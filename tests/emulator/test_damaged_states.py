"""A state file that is damaged, edited or of another kind is refused, in words; it never breaks something later."""

import json

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.emulated import model_body
from gemtune.emulator import Fault, create_app
from gemtune.emulator.world.keeping.state import dump, restore, seal

LIST = "/v1beta/tunedModels"


def a_state():
    app = create_app(clock="stepped", gzip=False)
    app.faults.add(Fault(method="tunedModels.create", job={"fail_at_step": 3, "losses": [1.5]}))
    with httpx.Client(transport=InThread(app), base_url="http://127.0.0.1") as http:
        for name in ("mine", "other"):
            body = model_body([("1", "2")], temperature=0.5, readerProjectNumbers=["7"])
            assert http.post(LIST, params={"tunedModelId": name}, json=body).status_code == 200
    return app


class InThread(httpx.BaseTransport):
    """An emulator under a client that does not wait for it."""

    def __init__(self, app):
        self.inner = httpx.ASGITransport(app)

    def handle_request(self, request):
        async def handle():
            reply = await self.inner.handle_async_request(request)
            return httpx.Response(reply.status_code, headers=reply.headers, content=await reply.aread())

        return anyio.run(handle)


def restored(text):
    app = create_app(clock="stepped", gzip=False)
    restore(app.clock, app.store, text)
    return app


def everything_readable(app):
    with httpx.Client(transport=InThread(app), base_url="http://127.0.0.1") as http:
        listed = http.get(LIST).json().get("tunedModels", [])
        for name in [model["name"] for model in listed]:
            for path in (f"/v1beta/{name}", f"/v1/{name}/operations", f"/v1beta/{name}/permissions"):
                assert http.get(path).status_code in (200, 403, 404), path
        http.post("/_emulator/clock", json={"advance": 1000})
        assert http.get(LIST).status_code == 200


A_STATE = a_state()
KEPT = dump(A_STATE.clock, A_STATE.store).encode()


@given(st.integers(0, 8 * len(KEPT) - 1))
def test_a_flipped_bit_is_never_believed(bit):
    damaged = bytearray(KEPT)
    damaged[bit // 8] ^= 1 << bit % 8
    try:
        app = restored(bytes(damaged))
    except ValueError:
        pass
    else:  # such as 1e5 for 1E5
        assert (
            json.loads(dump(app.clock, app.store))["state"]["tuned_models"] == json.loads(KEPT)["state"]["tuned_models"]
        )


@given(st.integers(0, len(KEPT)))
def test_a_state_that_is_cut_short_is_refused(end):
    if end < len(KEPT):
        with pytest.raises(ValueError):
            restored(KEPT[:end])


def leaves(value, path=()):
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if path:
        yield path
    for key, item in inner:
        yield from leaves(item, (*path, key))


OTHERS = [None, True, -1, 0, 2**70, 1.5, "x", "", [], {}, [1], {"a": 1}]


@pytest.mark.parametrize("path", sorted(leaves(json.loads(KEPT)["state"]), key=str), ids=str)
def test_a_value_of_another_type_is_refused_or_harmless_even_under_a_right_checksum(path):
    for other in OTHERS:
        state = json.loads(KEPT)["state"]
        holder = state
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = other
        try:
            app = restored(seal(state).encode())
        except ValueError:
            continue
        everything_readable(app)
