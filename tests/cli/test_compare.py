"""``gemtune jobs compare`` in a pipe and for programs, and what a mistyped command line is answered with."""

import pytest

from cli.conftest import BASE, HOUR
from gemtune.emulator import Fault, JobFate

pytestmark = pytest.mark.socket


@pytest.fixture
def three(app, gemtune, rows):
    """A job that has ended, one that has failed, and one that runs; the first has the lowest loss."""
    assert gemtune("tune", rows, "--base", BASE, "--id", "good", "--epochs", 9, "--display-name", "The good").code == 0
    app.faults.add(Fault(method="tunedModels.create", job=JobFate(fail_at_step=2, message="bad \x1b[31mdata")))
    assert gemtune("tune", rows, "--base", BASE, "--id", "bad").code == 0
    app.clock.advance(HOUR)
    assert gemtune("tune", rows, "--base", BASE, "--id", "young").code == 0
    app.clock.advance(3)
    return ["bad", "young", "good"]


def test_the_best_comes_first_and_curves_are_told_apart_by_letters(gemtune, three):
    ran = gemtune("jobs", "compare", *three)
    assert (ran.code, ran.err) == (0, "")
    *curves, heading, first, second, third = ran.out.splitlines()
    assert heading.split()[:2] == ["NAME", "STATE"]
    assert [line.split()[:3] for line in (first, second, third)] == [
        ["a", "tunedModels/good", "succeeded"],
        ["b", "tunedModels/young", "running"],
        ["c", "tunedModels/bad", "failed"],
    ]
    assert "9 epochs · batch 4 · rate 0.001" in first
    assert "steps" not in heading
    assert "a" in "".join(curves)


def test_programs_get_one_object_a_line_and_names_alone(gemtune, three):
    records = gemtune("jobs", "compare", *three, "--json").records
    assert [record["rank"] for record in records] == [1, 2, 3]
    assert [record["title"] for record in records] == ["The good", "young", "bad"]
    assert records[0]["lowest"]["loss"] < records[1]["lowest"]["loss"]
    assert records[0]["parameters"] == {"epochs": "9", "batch": "4", "rate": "0.001"}
    assert records[2]["word"] == "failed"
    assert gemtune("jobs", "compare", *three, "-q").out.split() == [
        f"tunedModels/{n}" for n in ("good", "young", "bad")
    ]


def test_what_cannot_be_compared_is_said_and_the_rest_is_compared(gemtune, three):
    ran = gemtune("jobs", "compare", "good", "nobody")
    assert ran.code == 4
    assert "tunedModels/nobody" in ran.err
    assert "tunedModels/good" in ran.out


@pytest.mark.parametrize(
    ("argv", "answer"),
    [
        (["job", "list"], "invalid choice: 'job'; did you mean 'jobs'? (see: gemtune --help)"),
        (["jobs", "lst"], "invalid choice: 'lst'; did you mean 'list'? (see: gemtune jobs --help)"),
        (
            ["jobs", "get", "a", "--jsn"],
            "unrecognized arguments: --jsn; did you mean --json? (see: gemtune jobs get --help)",
        ),
        (["jobs", "watch", "a", "--dry-run"], "unrecognized arguments: --dry-run (see: gemtune jobs watch --help)"),
        (["zzz"], "choose from demo, "),
    ],
)
def test_what_was_mistyped_is_answered_with_what_may_have_been_meant(gemtune, argv, answer):
    ran = gemtune(*argv)
    assert (ran.code, ran.out) == (2, "")
    assert answer in ran.err
