"""The job cursor: small, exact about holes, and strict about what strangers send."""

import base64
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from costs import operations
from gemtune.errors import InvalidInput
from gemtune.story.cursor import Claim, Cursor, Runs, parse_cursor
from looks import JOB

NAMES = st.one_of(
    st.from_regex(r"tunedModels/[a-z][a-z0-9-]{0,60}", fullmatch=True),
    st.from_regex(r"projects/[1-9][0-9]{11}/locations/[a-z]{2}-[a-z]{4}1/tuningJobs/[0-9]{19}", fullmatch=True),
)
TIMES = st.integers(0, 2**63 - 1)


def runs_of(steps):
    runs = Runs()
    for step in steps:
        runs.add(step)
    return runs


def members(ranges):
    return {step for run in ranges for step in run}


@given(st.lists(st.integers(0, 400), unique=True))
def test_runs_hold_exactly_the_steps_in_whatever_order_they_came(steps):
    runs = runs_of(steps)
    assert members(runs.ranges) == set(steps)
    assert sum(map(len, runs.ranges)) == len(steps)
    assert all(step in runs for step in steps)
    assert runs.highest == max(steps, default=-1)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([], ""),
        ([5], "5"),
        (range(1, 376), "1-375"),
        (range(10, 1001, 10), "10-1000/10"),
        ([*range(1, 11), *range(12, 21)], "1-10,12-20"),
        ([1, 2, 4, 3], "1-4"),
    ],
)
def test_runs_are_short(steps, text):
    assert runs_of(steps).text() == text


@example(f"tunedModels/{'a' * 60}", 2**62, 9, {3**power for power in range(19)}, 2**62, True)
@example(f"tunedModels/{'a' * 60}", 2**62, 99, {3**power for power in range(19)}, 2**62, True)
@given(NAMES, TIMES, st.integers(1, 999), st.sets(st.integers(0, 2**31 - 1), max_size=30), TIMES, st.booleans())
def test_a_cursor_survives_its_text_and_fits_a_header(name, created, attempt, steps, newest, ended):
    cursor = Cursor(
        job=name,
        created=created,
        attempt=attempt,
        claims=(Claim(tuple(runs_of(sorted(steps)).ranges), newest),),
        ended=ended,
    )
    text = str(cursor)
    assert len(text) < 256
    parsed = parse_cursor(text)
    assert str(parsed) == text
    assert (parsed.job, parsed.created, parsed.attempt) == (name, created, attempt)
    (part,) = parsed.claims
    assert (part.newest, parsed.ended) == (newest, ended)
    # What does not fit is forgotten from the end, so that it comes again; nothing is invented.
    kept = sorted(members(part.steps))
    assert kept == sorted(steps)[: len(kept)]
    if len(steps) < 4:
        assert kept == sorted(steps)


@given(st.lists(st.tuples(st.sets(st.integers(0, 2**31 - 1), min_size=1, max_size=9), TIMES), min_size=1, max_size=9))
def test_steps_that_may_be_of_different_attempts_stand_apart_as_far_as_there_is_room(told):
    parts = tuple(Claim(tuple(runs_of(sorted(steps)).ranges), newest) for steps, newest in told)
    text = str(Cursor(job=JOB, claims=parts, ended=True))
    assert len(text) < 256
    parsed = parse_cursor(text)
    assert (str(parsed), parsed.ended) == (text, True)
    allowed = {(step, newest) for steps, newest in told for step in steps}
    assert {(step, part.newest) for part in parsed.claims for step in members(part.steps)} <= allowed
    assert parsed.claims[0].newest == parts[0].newest
    if sum(len(steps) for steps, _ in told) + 2 * len(told) < 12:
        assert parsed.claims == parts


def test_of_a_part_only_what_is_as_old_as_its_newest_was_dealt_with():
    cursor = Cursor(job=JOB, claims=(Claim((range(1, 6),), 500), Claim((range(6, 8),), 700), Claim((range(9, 10),))))
    assert [cursor.has(step, time) for step, time in [(5, 500), (5, 501), (6, 700), (6, 701), (8, 1), (9, 10**9)]] == [
        True, False, True, False, False, True,
    ]  # fmt: skip


def encoded(name):
    return base64.urlsafe_b64encode(name).rstrip(b"=").decode()


GOOD = encoded(JOB.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "j1",
        "j1....",
        f"j1.{GOOD}.0.1.1-3",
        f"j1.{GOOD}.0.0.1-3.0",
        f"j1.{GOOD}.0.1.3-1.0",
        f"j1.{GOOD}.0.1.1-3/0.0",
        f"j1.{GOOD}.0.1.1-4/2.0",
        f"j1.{GOOD}.0.1.1-5,5-9.0",
        f"j1.{GOOD}.0.1.5,1.0",
        f"j1.{GOOD}.0.1.1,,2.0",
        f"j1.{GOOD}.0.1.1-2147483648.0",
        f"j1.{GOOD}.0.1.1-3.0.end.end",
        f"j1.{GOOD}.0.1.1-3.0.4-6",
        f"j1.{GOOD}.0.1.1-3.0.6-4.0",
        f"j1.{GOOD}.0.1" + 65 * ".1.0",
        f"j1.{GOOD}.0.1.1-3.0\n",
        f"j1.{GOOD}.0.1.\u0661.0",
        f"j1.{GOOD}.0.1.1-3.-5",
        f"j1.{GOOD[:-1]}B.0.1.1-3.0",
        f"j1.{GOOD}A.0.1.1-3.0",
        f"j1.{encoded(b'tunedModels/../../secret')}.0.1..0",
        f"j1.{encoded(b'tunedModels/x?key=1')}.0.1..0",
        f"j1.{encoded(b'tunedModels')}.0.1..0",
        f"j1.{encoded(bytes(range(200, 240)))}.0.1..0",
        f"j1.{GOOD}.00.1..0",
        "j1." + "A" * 4090,
        "x" * 4097,
        None,
        b"j1.x",
    ],
    ids=repr,
)
def test_what_is_no_cursor_is_refused_with_a_way_out(text):
    with pytest.raises(InvalidInput, match="cursor") as caught:
        parse_cursor(text)
    assert caught.value.field == "cursor"
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(("text", "words"), [("j2.x.y", ["j2", "j1"]), ("c1.abc", ["c1", "j1"])])
def test_another_version_or_kind_of_cursor_is_named(text, words):
    with pytest.raises(InvalidInput) as caught:
        parse_cursor(text)
    assert all(word in str(caught.value) for word in words)


@given(st.text(max_size=300) | st.text("j1.0123456789abcdefAZ_-,/", max_size=4096).map("j1.".__add__))
def test_no_text_does_anything_but_parse_or_be_refused(text):
    with suppress(InvalidInput):
        assert str(parse_cursor(text)).startswith("j1.")


def test_a_cursor_that_claims_more_steps_than_any_job_has_is_refused():
    assert sum(map(len, parse_cursor(f"j1.{GOOD}.0.1.1-10000000.0").claims[0].steps)) == 10**7
    assert parse_cursor(f"j1.{GOOD}.0.1.1,2147483647.0"), "a step may have any number"
    for claims in ("1-2147483647.0", "1-10000001.0", "1-6000000.0.6000001-12000000.1"):
        with pytest.raises(InvalidInput, match="more steps than any job has"):
            parse_cursor(f"j1.{GOOD}.0.1.{claims}")


SHAPES = {
    "runs": lambda size: f"j1.{GOOD}.0.1.{','.join(map(str, range(1, size // 6, 2)))}.0",
    "strides": lambda size: f"j1.{GOOD}.0.1.{','.join(f'{at}-{at + 9}/3' for at in range(1, 12 * (size // 12), 12))}.0",
    "claims": lambda size: f"j1.{GOOD}.0.1" + ".1-9.0" * min(size // 6, 64),
    "commas": lambda size: f"j1.{GOOD}.0.1.{',' * (size - 60)}.0",
    "long name": lambda size: f"j1.{'A' * min(size - 20, 2048)}.0.1..0",
    "one run": lambda size: f"j1.{GOOD}.0.1.5-{'9' * (min(size, 10) - 3)}.0",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_reading_a_cursor_costs_no_more_than_its_characters(shape):
    for size in (100, 400, 1600, 4000, 100_000, 1_000_000):
        text = SHAPES[shape](size)
        assert operations(parse_cursor, text) <= 60 + 4 * min(len(text), 4096)


@pytest.mark.parametrize("claim", ["5-9999999", "2-9999998/2", "1,3-9999999"])
def test_a_step_that_falls_into_a_run_costs_no_more_than_the_runs_that_there_are(claim):
    (held,) = parse_cursor(f"j1.{GOOD}.0.1.{claim}.0").claims
    runs = Runs(held.steps)
    step = next(step for step in range(1, 10) if step not in runs)
    assert operations(runs.add, step) < 100
    assert step in runs
    assert operations(runs.__contains__, 77_777) < 20


def test_runs_that_were_split_and_filled_are_short_again():
    runs = runs_of(range(0, 1000, 2))
    for step in range(1, 999, 2):
        runs.add(step)
    assert runs.text() == "0-998"
    assert len(runs_of([*range(500, 1000), *range(499, -1, -1)]).ranges) <= 2
