"""``gemtune sweep``: what it refuses before anything is created, and what it says of the points and of the best."""

import pytest

from cli.conftest import BASE

ONE_OF = "such as 2,4,8 or 0.1..10:log"


@pytest.mark.parametrize(
    ("argv", "beginning"),
    [
        ([], "say what is tried: --epochs 2,4,8, --rate 0.5,1,2, or a file with --space"),
        (["--epochs", "2,2"], "--epochs lists 2 twice; every point would be tuned twice and paid for twice"),
        (["--epochs", "2,x"], f"--epochs: '2,x' must be numbers, {ONE_OF}"),
        (["--epochs", "2.5,3"], "--epochs must be a whole number from 1 to 2147483647, not 2.5"),
        (["--rate", "1..0.5"], "--rate: the low end of a range must be below the high end, not 1 and 0.5"),
        (["--rate", "0.1..1:lox"], f"--rate: '0.1..1:lox' must be numbers, {ONE_OF}"),
        (["--adapter", "3"], "--adapter must be 1, 2, 4, 8, 16 or 32, not 3"),
        (["--space", "none.json"], "--space: none.json cannot be read (No such file or directory)"),
        (["--space", "rows.csv"], "--space: rows.csv must be a .json, .yaml or .yml file"),
        (
            ["--space", "s.json", "--epochs", "2"],
            "the file says what is tried, and so does --epochs: leave one of them",
        ),
        (["--epochs", "2,3", "--study", "tpe"], "a study has no end: say how many points it may try with --max-jobs"),
        (["--epochs", "2,3", "--stop", "medium"], "argument --stop: there is no rule 'medium'; did you mean 'median'?"),
        (
            ["--epochs", "2,3", "--pruner", "median"],
            "--pruner belongs to a study: name a sampler with --study, or give",
        ),
        (["--epochs", "2,3", "--budget", 3], "no price is built in: give that of a million training tokens with"),
        (["--epochs", "2,3", "--validation", 2], "argument --validation: '2' is neither a share between 0 and 1 nor a"),
        (["--epochs", "2,3", "--journal", "rows.csv"], "rows.csv is a file, and a journal is a folder: name another"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_created(gemtune, rows, monkeypatch, argv, beginning):
    monkeypatch.chdir(rows.parent)
    ran = gemtune("sweep", "rows.csv", "--base", BASE, *argv)
    assert ran.code == 2
    (error,) = ran.errors
    assert error.startswith(beginning)


def test_standard_input_needs_a_folder_for_what_was_begun(gemtune):
    ran = gemtune("sweep", "-", "--base", BASE, "--epochs", "2,3")
    assert ran.errors == ["standard input has no folder: name one with --journal, for what the sweep has begun"]


def test_a_sweep_is_not_continued_by_mistake(gemtune, rows):
    (rows.parent / "rows.csv.sweep").mkdir()
    (rows.parent / "rows.csv.sweep" / "points.journal").touch()
    ran = gemtune("sweep", rows, "--base", BASE, "--epochs", "2,3")
    assert ran.code == 2
    assert "--resume continues from there" in ran.err
