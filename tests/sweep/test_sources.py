"""Points without Optuna: number and values never change, whatever was resumed, and no point comes twice."""

import pytest

from gemtune.errors import InvalidInput
from gemtune.sweep.sources import points_of
from gemtune.sweep.space import SweepSpace

GRID = SweepSpace.of({"epoch_count": [2, 4, 8], "learning_rate_multiplier": [0.5, 1, 2]})
RANGES = SweepSpace.of({"epoch_count": (1, 8), "learning_rate_multiplier": (0.1, 10, "log")})


async def asked(source, numbers=range(100)):
    found = {number: await source.ask(number) for number in numbers}
    return {number: dict(values) for number, values in found.items() if values is not None}


async def test_a_grid_comes_in_its_order_and_ends():
    source = points_of(GRID)
    assert source.total == 9
    assert await asked(source) == dict(enumerate(map(dict, GRID)))


async def test_a_capped_grid_is_a_sample_and_a_larger_cap_begins_with_the_same_points():
    four, six = await asked(points_of(GRID, max_jobs=4, seed=3)), await asked(points_of(GRID, max_jobs=6, seed=3))
    assert len(four) == 4
    assert [six[number] for number in four] == [*four.values()]
    assert len({tuple(values.items()) for values in six.values()}) == 6
    assert four == await asked(points_of(GRID, max_jobs=4, seed=3), reversed(range(4)))
    eight = await asked(points_of(GRID, max_jobs=8, seed=1))
    assert eight == await asked(points_of(GRID, max_jobs=8, seed=1), reversed(range(8)))
    assert four != await asked(points_of(GRID, max_jobs=4, seed=4))
    assert four != dict(list(enumerate(map(dict, GRID)))[:4])


async def test_a_capped_list_is_its_first_points():
    listed = SweepSpace.of([{"epoch_count": 8}, {"epoch_count": 2}, {"epoch_count": 4}])
    assert await asked(points_of(listed, max_jobs=2)) == {0: {"epoch_count": 8}, 1: {"epoch_count": 2}}


async def test_a_sample_of_ranges_is_the_same_for_the_same_seed_in_whatever_order_it_is_asked():
    first = await asked(points_of(RANGES, max_jobs=24, seed=5))
    assert len(first) == 24
    assert len({tuple(values.items()) for values in first.values()}) == 24
    assert first == await asked(points_of(RANGES, max_jobs=24, seed=5), reversed(range(24)))
    assert first != await asked(points_of(RANGES, max_jobs=24, seed=6))


@pytest.mark.parametrize("seed", range(20))
async def test_a_sample_fills_its_ranges_evenly(seed):
    points = (await asked(points_of(RANGES, max_jobs=24, seed=seed))).values()
    assert 10 <= sum(values["learning_rate_multiplier"] < 1 for values in points) <= 14
    assert {values["epoch_count"] for values in points} == set(range(1, 9))


async def test_a_sample_of_few_values_takes_all_of_them_once():
    space = SweepSpace.of({"epoch_count": (2, 5), "batch_size": [4, 8]})
    source = points_of(space, max_jobs=50)
    assert source.total == 8
    assert len({tuple(values.items()) for values in (await asked(source)).values()}) == 8


async def test_points_of_an_earlier_run_keep_their_numbers_and_are_not_tried_again():
    earlier = await asked(points_of(GRID, max_jobs=4, seed=3))
    source = points_of(GRID)  # all of it now: the order of the earlier run is another
    for number, values in earlier.items():
        await source.adopt(number, values)
    later = await asked(source)
    assert {number: later[number] for number in earlier} == earlier
    assert len(later) == 9
    assert sorted(tuple(values.items()) for values in later.values()) == sorted(tuple(each.items()) for each in GRID)


async def test_a_point_that_the_earlier_run_skipped_is_asked_for_again():
    all_points = await asked(points_of(RANGES, max_jobs=8))
    source = points_of(RANGES, max_jobs=8)
    for number in (0, 1, 3, 7):
        await source.adopt(number, all_points[number])
    assert await asked(source, [4, 2, 5, 6, 0]) == {number: all_points[number] for number in (4, 2, 5, 6, 0)}


def test_what_has_no_end_or_is_too_much_wants_a_limit():
    with pytest.raises(InvalidInput, match="a space with a range has no end; say how many points to try at most"):
        points_of(RANGES)
    huge = SweepSpace.of({"epoch_count": range(1, 201), "batch_size": range(1, 201)})
    with pytest.raises(InvalidInput, match="the space has 40,000 points; say how many points to try at most"):
        points_of(huge)
    assert points_of(huge, max_jobs=12).total == 12
    with pytest.raises(InvalidInput, match="max_jobs"):
        points_of(GRID, max_jobs=0)
