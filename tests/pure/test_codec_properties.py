"""Rules of the codec that hold for every message: nothing is lost, nothing is invented, values are values."""

import base64
import copy
import json
import math
import pickle
import re
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune import types
from gemtune.errors import MalformedResponse
from gemtune.protocol.codec import decode, dumps, encode, loads
from gemtune.protocol.codec.shape import fields_of

# Made by looks at Vertex AI out of several replies: no service sends them, and they have fields that no JSON has.
MADE_HERE = {types.MeasuredSnapshot, types.ServedModel}
MESSAGES = [
    value
    for value in (getattr(types, name) for name in types.__all__)
    if isinstance(value, type) and issubclass(value, types.Message) and value not in {types.Message, *MADE_HERE}
]

names = st.text("abcdefghijklmnopqrstuvwxyzXYZ_@", min_size=1, max_size=8).map("x".__add__)
floats = st.floats(allow_nan=False, width=32)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
objects = st.dictionaries(st.text(max_size=5), plain, max_size=3)
moments = st.builds(
    lambda moment, nanosecond: (
        str(types.Timestamp.of(moment.replace(microsecond=0)))[:-1]
        + (f".{nanosecond:09}"[: 10 if nanosecond % 1000 else 7 if nanosecond % 10**6 else 4] if nanosecond else "")
        + "Z"
    ),
    st.datetimes(timezones=st.just(UTC)),
    st.one_of(
        st.just(0),
        st.integers(1, 999).map((10**6).__mul__),
        st.integers(1, 10**6 - 1).map((10**3).__mul__),
        st.integers(1, 10**9 - 1),
    ),
)


def values_of(field):
    """Canonical JSON of one field: what the service would send, unknown enumeration strings included."""
    simple = {
        "str": st.text(max_size=8),
        "bool": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "int64": st.integers(-(2**63), 2**63 - 1).map(str),
        "float": floats.map(
            lambda number: number if math.isfinite(number) else "Infinity" if number > 0 else "-Infinity"
        ),
        "bytes": st.binary(max_size=8).map(lambda data: base64.b64encode(data).decode()),
        "time": moments,
        "json": objects,
        "any": objects,
    }
    if field.kind == "message":
        one = bodies(field.cls)
    elif field.kind == "enum":
        one = st.sampled_from([member.value for member in field.cls]) | names
    else:
        one = simple[field.kind]
    if field.many:
        return st.lists(one, min_size=1, max_size=2)
    if field.presence or field.kind in {"message", "json", "any"}:
        return one
    zero = next(iter(field.cls)) if field.kind == "enum" else "0" if field.kind == "int64" else None
    return one.filter(lambda value: value != zero and value not in {"", 0})


def bodies(cls):
    known = {field.key: values_of(field) for field in fields_of(cls) if field.key != "@type"}
    unknown = st.dictionaries(names.filter(lambda name: name not in known), plain, max_size=1)
    return st.builds(lambda ours, theirs: {**ours, **theirs}, st.fixed_dictionaries({}, optional=known), unknown)


cases = st.sampled_from(MESSAGES).flatmap(lambda cls: st.tuples(st.just(cls), bodies(cls)))


def shown(value):
    """How a value shows itself: by its fields; if those do not fit a cell of 200, by its facts if it has any."""
    extra, *rest = attrs.fields(type(value))
    fields = [
        f"{field.name}={short(getattr(value, field.name))}"
        for field in (*rest, extra)
        if field.repr and getattr(value, field.name) != field.default
    ]
    whole = f"{type(value).__name__}({', '.join(fields)})"
    if len(whole) <= 200 or type(value) not in {types.TunedModel, types.GenerateContentResponse}:
        return whole
    start = f"<{type(value).__name__} {value._facts()}"
    end = f", extra=<{len(value.extra)} unknown>>" if value.extra else ">"
    return start + end if len(start + end) <= 200 else f"{start[: 197 - len(end)]}...{end}"


def short(value):
    if isinstance(value, bytes) and len(value) > 32:
        return f"<{len(value)} bytes>"
    if isinstance(value, tuple) and len(value) > 4:
        return f"<{len(value)} of {value[0]!r} ... {value[-1]!r}>"
    return repr(value)


@given(cases)
def test_what_the_service_sends_goes_back_unchanged_and_in_the_order_of_field_numbers(case):
    cls, body = case
    value = decode(cls, loads(dumps(body)))
    again = encode(value)
    assert again == body
    order = [field.key for field in fields_of(cls)]
    known = [key for key in again if key in order]
    assert known == sorted(known, key=order.index)
    assert list(again)[: len(known)] == known


@given(cases)
def test_a_decoded_value_is_like_any_other(case):
    cls, body = case
    value = decode(cls, body)
    assert type(value) is cls
    assert decode(cls, json.loads(json.dumps(body))) == value
    assert hash(decode(cls, json.loads(json.dumps(body)))) == hash(value)
    for other in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
        assert other == value
        assert encode(other) == body
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        value.extra = {}
    assert repr(value) == shown(value)


@pytest.mark.parametrize("cls", [types.TunedModel, types.GenerateContentResponse])
@given(st.data())
def test_what_shows_itself_by_its_facts_fits_a_cell_and_says_that_there_is_more(cls, data):
    value = decode(cls, {"x": "y" * 200, **data.draw(bodies(cls))})
    assert repr(value) == shown(value)
    assert len(repr(value)) <= 200
    assert repr(value).startswith(f"<{cls.__name__} ")
    assert re.search(r", extra=<\d+ unknown>>$", repr(value))


@given(cases, names, plain)
def test_an_unknown_field_is_part_of_the_value(case, name, content):
    cls, body = case
    if name not in body and name not in {field.key for field in fields_of(cls)}:
        value, other = decode(cls, body), decode(cls, {**body, name: content})
        assert value != other
        assert "extra=" in repr(other)


@given(st.sampled_from(MESSAGES), st.data())
def test_junk_is_an_error_of_ours_and_never_another(cls, data):
    keys = [field.key for field in fields_of(cls)]
    body = data.draw(st.dictionaries(st.sampled_from(keys), plain, max_size=3) | plain)
    try:
        value = decode(cls, body)
    except MalformedResponse:
        return
    encode(value)


@given(moments, st.integers(-(23 * 60 + 59), 23 * 60 + 59))
def test_a_time_is_exact_to_the_nanosecond_in_any_offset(text, minutes):
    moment = types.Timestamp.parse(text)
    assert str(moment) == text
    assert pickle.loads(pickle.dumps(moment)) == moment
    assert type(copy.deepcopy(moment)) is types.Timestamp
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    try:
        shifted = types.Timestamp.parse(f"{text[:-1]}{sign}{hours:02}:{rest:02}")
    except ValueError:
        return
    assert (moment - shifted).total_seconds() == minutes * 60
    assert shifted.nanoseconds % 10**9 == moment.nanoseconds % 10**9


def exact(moment):
    if isinstance(moment, types.Timestamp):
        return moment.nanoseconds
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


near = st.builds(
    lambda second, nanosecond: types.Timestamp(1_710_429_083 * 10**9 + second * 10**9 + nanosecond),
    st.integers(0, 1),
    st.sampled_from([0, 1, 999, 1000, 1001, 999_999_999]),
)


@given(near, near | near.map(lambda moment: moment.to_datetime()))
def test_times_order_by_nanoseconds_also_with_plain_datetimes(one, other):
    for a, b in ((one, other), (other, one)):
        assert (a == b) is (exact(a) == exact(b))
        assert (a != b) is (exact(a) != exact(b))
        assert (a < b) is (exact(a) < exact(b))
        assert (a <= b) is (exact(a) <= exact(b))
        assert (a > b) is (exact(a) > exact(b))
        assert (a >= b) is (exact(a) >= exact(b))
        assert a != b or hash(a) == hash(b)
