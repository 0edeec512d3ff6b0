"""Points that reach the same are shown as equal, wherever a leaderboard is seen: 1, 1, 3."""

import json
import re

import pytest

from gemtune.cli.sweep.ending import record
from gemtune.sweep.html import rows_of, sweep_html
from gemtune.sweep.point import PointState, ranks_of
from gemtune.sweep.text import best_said, leaderboard
from sweep import sweeps

REACHED = (0.9, 0.95, 0.9, 0.95, 0.8, 0.95)
RANKS = [4, 1, 4, 1, 6, 1]


def tied(reached=REACHED):
    """A sweep that has ended, of points that reached so much."""
    points = [sweeps.point(n, sweeps.GRID[n], PointState.TRAINED, objective=value) for n, value in enumerate(reached)]
    ranks = ranks_of(dict(enumerate(reached)), "higher")
    points = [type(each)(**{**sweeps.fields(each), "rank": ranks[each.point.number]}) for each in points]
    return sweeps.running(points=points, objective="exact_match", better="higher", ended=True)


@pytest.mark.parametrize("sign", [1, -1])
def test_equals_share_a_rank_and_the_next_one_has_as_many_before_it(sign):
    found = ranks_of({n: sign * value for n, value in enumerate(REACHED)}, "higher" if sign > 0 else "lower")
    assert [found[n] for n in range(len(REACHED))] == RANKS
    assert ranks_of({}, "lower") == {}
    assert ranks_of({7: 0.0, 3: -0.0}, "lower") == {3: 1, 7: 1}


def test_text_html_json_and_frames_show_equals_as_equal_and_in_the_order_of_their_numbers():
    picture = tied()
    order = [1, 3, 5, 0, 2, 4]
    head, *lines = leaderboard(picture)
    assert head.split()[:2] == ["rank", "point"]
    assert [line.split()[:2] for line in lines] == [[str(RANKS[n]), str(n)] for n in order]
    html = sweep_html(picture)
    assert html.count("<strong>1</strong>") == 3
    assert html.count("<strong>4</strong>") == 2
    assert html.count("<strong>2</strong>") == 0
    told = json.loads(json.dumps(record(picture)))
    assert [(each["point"], each["rank"]) for each in told["points"]] == [(n, RANKS[n]) for n in order]
    assert told["best"]["point"] == 1
    assert [row["rank"] for row in rows_of(picture)] == RANKS


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        (REACHED, "best: point 1 …, exact_match 0.950, the same as 2 other points"),
        ((0.5, 0.5), "best: point 0 …, exact_match 0.500, the same as another point"),
        ((0.5, 0.6), "best: point 1 …, exact_match 0.600"),
    ],
)
def test_the_best_point_says_how_many_have_reached_the_same(reached, said):
    values = re.compile(r"\(epochs .*?\)")
    assert values.sub("…", best_said(tied(reached))) == said
