"""Tokens: fetched once however many wait, renewed ahead of time, and never shown."""

import asyncio
import functools
import pickle
import threading
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel
import pytest

from gemtune.errors import CredentialsError, SettingsError
from gemtune.http.auth import credentials as module
from gemtune.http.auth.choose import make_credentials
from gemtune.http.auth.credentials import Refreshing, Static
from gemtune.http.auth.grant import Grant
from gemtune.settings import resolve

both = pytest.mark.both_backends


class Source:
    """Hands out t1, t2 …, when it is let to, or fails as it is told."""

    def __init__(self, lifetime=3600.0):
        self.calls = []
        self.lifetime = lifetime
        self.error = None
        self.free = threading.Event()
        self.free.set()

    def __call__(self, forced):
        self.calls.append(forced)
        number = len(self.calls)
        assert self.free.wait(5)
        if self.error:
            raise self.error
        return Grant((("authorization", f"Bearer t{number}"),), self.lifetime)


@pytest.fixture
def clock():
    class Clock:
        now = 1000.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def credential(source, clock):
    return Refreshing("test", source, clock)


def token(ready):
    return dict(ready.headers)["authorization"]


async def settled(credential, generation):
    """Wait until a background refresh has landed."""
    with anyio.fail_after(30):
        while credential.ready() is None or credential.ready().generation < generation:
            await anyio.lowlevel.checkpoint()


@both
async def test_a_thousand_callers_cause_one_refresh_and_the_loop_goes_on(source, credential):
    got = []

    async def one():
        got.append(token(await credential.obtain()))

    source.free.clear()
    async with anyio.create_task_group() as tasks:
        for _ in range(1000):
            tasks.start_soon(one)
        await anyio.wait_all_tasks_blocked()  # the loop is not blocked although the refresh is
        assert got == []
        source.free.set()
    assert got == ["Bearer t1"] * 1000
    assert source.calls == [False]


@both
async def test_shortly_before_the_expiry_one_refresh_begins_and_nobody_waits(source, credential, clock):
    await credential.obtain()
    clock.now += 3600 - 226
    assert token(credential.ready()) == "Bearer t1"
    assert len(source.calls) == 1
    clock.now += 2
    source.free.clear()
    for _ in range(100):
        assert token(credential.ready()) == "Bearer t1"
        assert token(await credential.obtain()) == "Bearer t1"
    source.free.set()
    await settled(credential, 2)
    assert token(credential.ready()) == "Bearer t2"
    assert len(source.calls) == 2


@both
async def test_a_token_is_not_sent_at_the_very_end_of_its_life(source, credential, clock):
    await credential.obtain()
    clock.now += 3600 - 4
    assert credential.ready() is None
    assert token(await credential.obtain()) == "Bearer t2"


@both
async def test_a_failed_refresh_keeps_a_token_that_is_still_good(source, credential, clock):
    await credential.obtain()
    clock.now += 3500
    source.error = CredentialsError("down")
    assert token(credential.ready()) == "Bearer t1"
    with anyio.fail_after(30):
        while credential._failure is None:
            await anyio.lowlevel.checkpoint()
    for _ in range(10):
        assert token(credential.ready()) == "Bearer t1"
        assert token(await credential.obtain()) == "Bearer t1"
    assert len(source.calls) == 2, "the next attempt waits a second"
    clock.now += 1.1
    source.error = None
    credential.ready()
    await settled(credential, 2)


@both
async def test_all_who_wait_get_the_same_error_and_the_next_try_comes_a_second_later(source, credential, clock):
    source.error = CredentialsError("run this command")
    source.free.clear()
    errors = []

    async def one():
        try:
            await credential.obtain()
        except CredentialsError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        source.free.set()
    await one()
    assert [str(error) for error in errors] == ["run this command"] * 101
    assert len(set(map(id, errors))) == 101
    assert len(source.calls) == 1
    clock.now += 1.1
    source.error = None
    assert token(await credential.obtain()) == "Bearer t2"


@both
async def test_a_cancelled_caller_does_not_take_the_refresh_with_it(source, credential):
    source.free.clear()
    got = []

    async def one():
        got.append(token(await credential.obtain()))

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as first:
            tasks.start_soon(cancelling, first)
            await credential.obtain()
        assert first.cancelled_caught
        tasks.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        source.free.set()
    assert got == ["Bearer t1"]
    assert len(source.calls) == 1


async def cancelling(scope):
    await anyio.wait_all_tasks_blocked()
    scope.cancel()


@both
async def test_a_thousand_refused_requests_with_the_same_token_force_one_refresh(source, credential, clock):
    generation = (await credential.obtain()).generation
    clock.now += 60
    answers = []

    async def one():
        answers.append(await credential.renew(generation))

    async with anyio.create_task_group() as tasks:
        for _ in range(1000):
            tasks.start_soon(one)
    await one()  # a straggler, when the new token is there already
    assert answers == [True] * 1001
    assert source.calls == [False, True]
    assert token(credential.ready()) == "Bearer t2"


@both
async def test_a_fresh_token_that_is_refused_is_not_renewed_again(source, credential, clock):
    first = await credential.obtain()
    clock.now += 60
    assert await credential.renew(first.generation)
    assert not await credential.renew(credential.ready().generation)
    assert len(source.calls) == 2


@both
async def test_a_refused_token_is_never_used_again_even_if_the_refresh_fails(source, credential, clock):
    first = await credential.obtain()
    clock.now += 60
    source.error = CredentialsError("down")
    with pytest.raises(CredentialsError):
        await credential.renew(first.generation)
    assert credential.ready() is None
    clock.now += 2
    source.error = None
    assert token(await credential.obtain()) == "Bearer t3"
    assert source.calls == [False, True, True]


@both
async def test_a_refresh_that_hangs_is_given_up_and_the_next_one_is_not_held_up(source, credential, clock, monkeypatch):
    monkeypatch.setattr(module, "BOUND", 0.05)

    async def tick():
        await anyio.sleep(0.05)
        clock.now += 0.05

    source.free.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        with pytest.raises(CredentialsError, match="no access token came within"):
            await credential.obtain()
    clock.now += 2
    hung, source.free = source.free, threading.Event()
    source.free.set()
    assert token(await credential.obtain()) == "Bearer t2"
    hung.set()


# Token callables


def from_callable(function, **env):
    return make_credentials(resolve(env, token=function), token=function)


@both
@pytest.mark.parametrize("expiry", [None, timedelta(hours=1)])
@pytest.mark.parametrize("aware", [True, False])
async def test_a_plain_callable_runs_off_the_loop(expiry, aware):
    here, threads = threading.get_ident(), []

    def function():
        threads.append(threading.get_ident())
        moment = datetime.now(UTC) + expiry if expiry else None
        return ("tok", moment if aware else moment.replace(tzinfo=None)) if moment else "tok"

    credential = from_callable(function, GOOGLE_CLOUD_QUOTA_PROJECT="pays")
    ready = await credential.obtain()
    assert ready.headers == (("authorization", "Bearer tok"), ("x-goog-user-project", "pays"))
    assert threads != [here]
    assert credential.ready() is ready


@both
async def test_an_async_callable_runs_once_for_many_and_another_caller_takes_over_from_a_cancelled_one():
    calls, gate = [], anyio.Event()

    async def function():
        calls.append(len(calls))
        await gate.wait()
        return f"tok{len(calls)}"

    credential = from_callable(function)
    got = []

    async def one():
        got.append(token(await credential.obtain()))

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as first:
            tasks.start_soon(cancelling, first)
            await credential.obtain()
        for _ in range(50):
            tasks.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        gate.set()
    assert got == ["Bearer tok2"] * 50
    assert calls == [0, 1]


async def test_an_object_with_an_async_call_is_an_async_callable():
    class Vault:
        async def __call__(self):
            await asyncio.sleep(0)
            return "tok"

    assert token(await from_callable(Vault()).obtain()) == "Bearer tok"


@both
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("", "empty"),
        ("a b", "space"),
        ("a\r\nevil: 1", "line break"),
        (b"tok", "is bytes"),
        ('"tok"', "quotation mark"),
        ("Bearer tok", "begins with 'Bearer'"),
        (None, "not NoneType"),
        (42, "not int"),
        (("tok", "tomorrow"), "datetime"),
        (("tok", datetime(2020, 1, 1, tzinfo=UTC)), "already expired"),
    ],
)
async def test_a_callable_that_returns_no_usable_token_is_named(answer, words):
    with pytest.raises(CredentialsError, match=words) as caught:
        await from_callable(lambda: answer).obtain()
    assert "evil" not in str(caught.value)


async def test_a_callable_that_fails_or_wraps_a_coroutine_is_explained():
    def failing():
        raise LookupError("vault is sealed: s3cret")

    async def inner():
        return "tok"

    with pytest.raises(CredentialsError, match="LookupError") as caught:
        await from_callable(failing).obtain()
    assert "s3cret" not in str(caught.value)
    with pytest.raises(CredentialsError, match="async def"):
        await from_callable(functools.partial(lambda function: function(), inner)).obtain()


# Static ones


@both
async def test_a_key_and_a_given_token_are_sent_and_never_renewed():
    key = make_credentials(resolve({}, api_key="AIza-canary"))
    given = make_credentials(resolve({}, token="canary", project="p"), token="canary")
    assert key.ready().headers == (("x-goog-api-key", "AIza-canary"),)
    assert given.ready().headers == (("authorization", "Bearer canary"), ("x-goog-user-project", "p"))
    assert not await key.renew(0)
    assert (await given.obtain()) is given.ready()


@pytest.mark.parametrize("value", ["a b", "\n", 42, object()])
def test_a_token_of_no_known_kind_is_refused_at_once(value):
    with pytest.raises(SettingsError) as caught:
        make_credentials(resolve({}, token=value), token=value)
    assert caught.value.field == "token"


@pytest.mark.parametrize(
    "secretive",
    [
        Static("API key", (("x-goog-api-key", "canary"),)),
        Static("API key", (("x-goog-api-key", "canary"),)).ready(),
        Grant((("authorization", "Bearer canary"),)),
    ],
)
def test_a_secret_is_neither_shown_nor_pickled(secretive):
    assert "canary" not in repr(secretive) + str(secretive) + f"{secretive}"
    with pytest.raises(TypeError):
        pickle.dumps(secretive)
