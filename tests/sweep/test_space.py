"""Spaces: what is meant is understood, and what is wrong is said by name before anything is tuned."""

import json
import math

import pytest

from gemtune.errors import InvalidInput
from gemtune.sweep.dimension import ValueList, ValueRange
from gemtune.sweep.space import SweepSpace, hyperparameters_of, read_space, space_of_flags
from gemtune.types import Hyperparameters

GRID = {"epoch_count": [2, 4], "learning_rate_multiplier": [0.5, 1, 2]}


def test_a_grid_is_every_combination_in_the_order_of_nested_loops():
    space = SweepSpace.of(GRID)
    assert space.size == 6
    assert [(each["epoch_count"], each["learning_rate_multiplier"]) for each in space] == [
        (epochs, rate) for epochs in (2, 4) for rate in (0.5, 1, 2)
    ]
    assert [*next(iter(space))] == ["epoch_count", "learning_rate_multiplier"]


def test_a_list_of_dicts_or_hyperparameters_keeps_its_order():
    space = SweepSpace.of([{"epoch_count": 4}, Hyperparameters(epoch_count=2, batch_size=8)])
    assert [*space] == [{"epoch_count": 4}, {"epoch_count": 2, "batch_size": 8}]
    assert space.size == 2


def test_the_forms_of_a_range():
    space = SweepSpace.of(
        {
            "learning_rate_multiplier": (0.1, 10, "log"),
            "epoch_count": {"low": 2, "high": 8, "step": 2},
            "batch_size": (4, 16),
        }
    )
    assert space.dimensions == {
        "learning_rate_multiplier": ValueRange(low=0.1, high=10, log=True),
        "epoch_count": ValueRange(low=2, high=8, step=2, whole=True),
        "batch_size": ValueRange(low=4, high=16, whole=True),
    }
    assert space.size is None
    assert not space.is_grid


def test_a_list_that_ends_with_log_is_a_range_as_files_have_no_tuples():
    space = SweepSpace.of({"learning_rate_multiplier": [0.1, 10, "log"], "epoch_count": [2, 4]})
    assert space.dimensions == {
        "learning_rate_multiplier": ValueRange(low=0.1, high=10, log=True),
        "epoch_count": ValueList((2, 4)),
    }


def test_one_value_is_a_list_of_one_and_a_range_object_is_a_list():
    space = SweepSpace.of({"epoch_count": range(1, 4), "batch_size": 8})
    assert space.dimensions == {"epoch_count": ValueList((1, 2, 3)), "batch_size": ValueList((8,))}


def test_a_range_covers_its_ends_and_nothing_beyond():
    shares = [index / 1000 for index in range(1000)]
    whole = ValueRange(low=1, high=4, whole=True)
    assert [sum(whole.at(share) == value for share in shares) for value in (1, 2, 3, 4)] == [250] * 4
    log = ValueRange(low=1, high=8, log=True, whole=True)
    assert {log.at(share) for share in shares} == set(range(1, 9))
    rate = ValueRange(low=0.1, high=10, log=True)
    assert rate.at(0.0) == 0.1
    assert 9.9 < rate.at(0.999) <= 10
    assert sum(rate.at(share) < 1 for share in shares) == 500
    stepped = ValueRange(low=0.1, high=0.5, step=0.1)
    assert stepped.size == 5
    assert [stepped.at(share) for share in (0, 0.2, 0.4, 0.6, 0.8, 0.99)] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.5]


@pytest.mark.parametrize(
    "given",
    [
        GRID,
        [{"epoch_count": 4}, {"epoch_count": 2}],
        {"learning_rate_multiplier": (0.1, 10, "log"), "epoch_count": {"low": 2, "high": 8, "step": 2}},
    ],
)
def test_a_space_is_the_same_after_json(given):
    space = SweepSpace.of(given)
    assert SweepSpace.of(json.loads(json.dumps(space.to_plain()))) == space
    assert SweepSpace.of(space) == space


WRONG = [
    ({"epochs": [1]}, None, "there is no hyperparameter 'epochs'; did you mean 'epoch_count'?"),
    ({"learnig_rate": [1]}, None, "there is no hyperparameter 'learnig_rate'; did you mean 'learning_rate'?"),
    (
        {"dropout": [0.1]},
        "gemini",
        (
            "there is no hyperparameter 'dropout'; there are epoch_count, batch_size, "
            "learning_rate, learning_rate_multiplier"
        ),
    ),
    ({"batch_size": [4]}, "vertex", "batch_size is a hyperparameter of the Gemini API; Vertex AI chooses it itself"),
    (
        {"learning_rate": [0.1]},
        "vertex",
        (
            "learning_rate is a hyperparameter of the Gemini API; on Vertex AI give "
            "learning_rate_multiplier, a factor on the recommended rate"
        ),
    ),
    (
        {"adapter_size": [4]},
        "gemini",
        ("adapter_size is a hyperparameter of Vertex AI; the Gemini API has no adapters to choose from"),
    ),
    (
        {"epoch_count": []},
        None,
        ("epoch_count has no values; give at least one, or leave it out for the service's default"),
    ),
    (
        {"epoch_count": [2, 4, 2]},
        None,
        ("epoch_count lists 2 twice; every point would be tuned twice and paid for twice"),
    ),
    (
        {"learning_rate": [0.1], "learning_rate_multiplier": [1]},
        None,
        ("learning_rate and learning_rate_multiplier exclude each other: give one of them"),
    ),
    ({"epoch_count": [2.5]}, None, "epoch_count must be a whole number from 1 to 2147483647, not 2.5"),
    ({"epoch_count": [None]}, None, "epoch_count must be a number, not None; leave it out for the service's default"),
    ({"epoch_count": [True]}, None, "epoch_count must be a whole number from 1 to 2147483647, not True"),
    ({"learning_rate": [math.nan]}, None, "learning_rate must be a positive number, not nan"),
    ({"adapter_size": [3]}, None, "adapter_size must be 1, 2, 4, 8, 16 or 32, not 3"),
    ({"adapter_size": (1, 32)}, None, "adapter_size has only the values 1, 2, 4, 8, 16 and 32; list those to try"),
    (
        {"epoch_count": (2, 4, 8)},
        None,
        (
            'epoch_count must be a list of values, (low, high), (low, high, "log"), or '
            '{"low": …, "high": …, "step": …, "log": …}, not (2, 4, 8)'
        ),
    ),
    ({"epoch_count": (8, 2)}, None, "epoch_count: the low end of a range must be below the high end, not 8 and 2"),
    ({"epoch_count": {"low": 2, "hihg": 8}}, None, "epoch_count has no 'hihg': did you mean 'high'?"),
    ({"epoch_count": {"low": 2}}, None, 'epoch_count needs a "low" and a "high"'),
    (
        {"epoch_count": {"low": 2, "high": 8, "step": 2, "log": True}},
        None,
        ('epoch_count: a range has a "step" or is "log", not both'),
    ),
    (
        {"epoch_count": {"low": 2, "high": 8, "step": 9}},
        None,
        ("epoch_count: a step of 9 is wider than the range from 2 to 8"),
    ),
    (
        {"epoch_count": b"ab"},
        None,
        (
            'epoch_count must be a list of values, (low, high), (low, high, "log"), or {"low": '
            '…, "high": …, "step": …, "log": …}, not bytes'
        ),
    ),
    (
        {"epoch_count": "2,4"},
        None,
        (
            'epoch_count must be a list of values, (low, high), (low, high, "log"), or {"low": '
            '…, "high": …, "step": …, "log": …}, not \'2,4\''
        ),
    ),
    ({}, None, "it is empty; give at least one hyperparameter, such as {'epoch_count': [2, 4, 8]}"),
    ([], None, "it is an empty list; give at least one point, such as {'epoch_count': 4}"),
    (
        [{"epoch_count": 2}, {"epoch_count": 2}],
        None,
        ("point 1: is the same as point 0; it would be tuned twice and paid for twice"),
    ),
    ([{"epoch_count": [2]}], None, "point 0: epoch_count must be a whole number from 1 to 2147483647, not list"),
    (
        [{"learning_rate": 0.1, "learning_rate_multiplier": 1}],
        None,
        ("point 0: learning_rate and learning_rate_multiplier exclude each other: give one of them"),
    ),
    ([3], None, "point 0: must be a dict or Hyperparameters, not int"),
    (
        "epoch_count",
        None,
        (
            'must be a mapping of hyperparameters to a list of values, (low, high), (low, high, "log"), '
            'or {"low": …, "high": …, "step": …, "log": …}, or a list of points, not str'
        ),
    ),
]


@pytest.mark.parametrize(("given", "service", "message"), WRONG)
def test_what_is_wrong_is_said_by_name(given, service, message):
    with pytest.raises(InvalidInput) as raised:
        SweepSpace.of(given, service=service)
    assert str(raised.value) == ("space " if message.startswith("must be") else "space: ") + message
    assert raised.value.field == "space"


def test_what_all_points_share_is_not_said_again_and_joins_each_point():
    shared = Hyperparameters(batch_size=8)
    with pytest.raises(InvalidInput, match="batch_size is in the space and in the hyperparameters that all points"):
        SweepSpace.of({"batch_size": [4]}, shared=shared)
    with pytest.raises(InvalidInput, match="exclude each other"):
        SweepSpace.of({"learning_rate": [0.1]}, shared=Hyperparameters(learning_rate_multiplier=2))
    assert hyperparameters_of({"epoch_count": 4}, shared) == Hyperparameters(epoch_count=4, batch_size=8)


def test_a_json_file_is_read_and_a_name_that_it_says_twice_is_refused(tmp_path):
    file = tmp_path / "space.json"
    file.write_text('{"epoch_count": [2, 4], "learning_rate_multiplier": {"low": 0.1, "high": 10, "log": true}}')
    assert SweepSpace.of(read_space(file)).dimensions["epoch_count"] == ValueList((2, 4))
    file.write_text('{"epoch_count": [2], "epoch_count": [4]}')
    with pytest.raises(InvalidInput, match=r"space\.json has epoch_count twice"):
        read_space(file)
    file.write_text('{"epoch_count": [2}')
    with pytest.raises(InvalidInput, match=r"space\.json is not JSON"):
        read_space(file)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_space(tmp_path / "none.json")
    with pytest.raises(InvalidInput, match=r"must be a \.json, \.yaml or \.yml file"):
        read_space(tmp_path / "space.toml")
    file.write_bytes(b"\xff")
    with pytest.raises(InvalidInput, match="is not UTF-8"):
        read_space(file)


def test_flags_say_lists_and_ranges():
    flags = ["epochs=2,4,8", "rate=0.1..10:log", "batch-size=4..16:4", "adapter=4"]
    assert space_of_flags(flags) == {
        "epoch_count": [2, 4, 8],
        "learning_rate_multiplier": {"low": 0.1, "high": 10, "log": True},
        "batch_size": {"low": 4, "high": 16, "step": 4},
        "adapter_size": [4],
    }


@pytest.mark.parametrize("flag", ["epochs", "epochs=", "epochs=two", "rate=0.1..", "rate=1..2:big", "epochs=2,,4"])
def test_a_flag_that_is_neither_is_refused_with_an_example(flag):
    with pytest.raises(InvalidInput, match=r"must be (numbers, such as 2,4,8|a hyperparameter, an equals sign)"):
        space_of_flags([flag])


def test_a_flag_given_twice_is_refused():
    with pytest.raises(InvalidInput, match="epoch_count twice"):
        space_of_flags(["epochs=2", "epoch-count=4"])
