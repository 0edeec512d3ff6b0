"""Means, intervals, paired tests: known cases, what holds for any scores, and coverage by simulation."""

import math
import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemtune.errors import InvalidInput
from gemtune.metrics import Metric, compare, score_of
from gemtune.metrics.intervals import alike_interval, mean_interval, student, tango, wilson
from gemtune.metrics.paired import permutation_test, sign_test

FINITE = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))
SCORES = st.lists(st.tuples(FINITE, FINITE), max_size=40)
SHARES = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60)


def mean(values):
    return sum(values) / len(values)


def test_wilson_as_scipy_has_it():
    assert wilson(8, 10) == pytest.approx((0.49016247, 0.94331785))
    assert [wilson(0, rows)[0] for rows in range(1, 300)] == [0.0] * 299
    assert [wilson(rows, rows)[1] for rows in range(1, 300)] == [1.0] * 299
    assert wilson(0, 1) == pytest.approx((0.0, 0.79345069))
    assert wilson(9_999, 10_000) == pytest.approx((0.99943365, 0.99998235))


def test_the_points_of_student_as_scipy_has_them():
    points = {1: 12.706205, 5: 2.570582, 10: 2.228139, 11: 2.200985, 30: 2.042272, 1000: 1.962339}
    assert {freedom: student(freedom) for freedom in points} == pytest.approx(points, abs=6e-6)


def test_a_symmetric_mean_has_the_interval_of_student():
    assert mean_interval([1, 2, 3, 4, 5]) == pytest.approx((1.0367568, 4.9632432), abs=1e-6)


def test_the_skewness_of_scores_moves_their_interval_to_where_the_rare_ones_are():
    low, high = mean_interval([1.0] * 9 + [0.0])
    assert 0.9 - low > 3 * (high - 0.9)
    same = mean_interval([1.0] * 9 + [0.0], symmetric=True)
    assert same is not None
    assert sum(same) / 2 == pytest.approx(0.9)


def test_tango_for_hyper_responsive_airways_before_and_after_a_transplantation():
    assert tango(1, 7, 21) == pytest.approx((-0.5172, -0.0260), abs=5e-5)  # Bentur et al. 2009; Fagerland et al. 2014


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_the_ends_of_tango_are_where_the_score_test_is_at_its_point(more, less, same):
    rows = more + less + same
    if not rows:
        return
    low, high = tango(more, less, rows)
    assert tango(less, more, rows) == pytest.approx((-high, -low))
    assert -1 <= low <= (more - less) / rows <= high <= 1
    for end in (low, high):
        if abs(end) < 0.999:
            assert abs(score_statistic(more, less, rows, end)) == pytest.approx(1.959964, rel=1e-3)


def score_statistic(more, less, rows, difference):
    """The distance of a difference from the one seen, in deviations; the likeliest shares are searched for."""

    def likelihood(lost):
        won = lost + difference
        counts = ((more, won), (less, lost), (rows - more - less, 1 - won - lost))
        return sum(count * math.log(max(share, 1e-300)) for count, share in counts if count)

    low, high = max(0.0, -difference), (1 - difference) / 2
    for _ in range(100):  # of a hill with one top
        third = (high - low) / 3
        if likelihood(low + third) < likelihood(high - third):
            low += third
        else:
            high -= third
    variance = rows * (2 * low + difference - difference**2)
    return (more - less - rows * difference) / math.sqrt(max(variance, 1e-300))


@pytest.mark.parametrize(
    ("more", "less", "p"),
    [
        (9, 1, 0.021484375),
        (1, 9, 0.021484375),
        (5, 5, 1.0),
        (0, 0, 1.0),
        (1, 0, 1.0),
        (6, 0, 0.03125),
        (550, 450, 0.001730536),
        (5200, 4800, 6.5935156e-05),
        (40_000, 0, 0.0),
    ],
)
def test_the_sign_test_as_scipy_has_it(more, less, p):
    assert sign_test(more, less) == pytest.approx(p, rel=1e-5)


@given(st.lists(st.sampled_from([-3.0, -1.5, -0.1, 0.0, 0.1, 0.2, 0.3, 1.0, 2.0]), max_size=9))
def test_the_permutation_test_is_all_signs_counted(differences):
    seen = abs(sum(differences)) - 1e-9
    signs = [*product((1, -1), repeat=len(differences))]
    far = sum(abs(sum(a * b for a, b in zip(each, differences, strict=True))) >= seen for each in signs)
    assert permutation_test(differences)[0] == pytest.approx(far / len(signs))


def test_many_rows_are_tested_with_random_signs_which_a_seed_fixes():
    dice = random.Random(4)
    differences = [dice.gauss(0.15, 1) for _ in range(200)]
    p, test = permutation_test(differences, 1)
    assert test == "paired permutation, 9,999 draws"
    assert permutation_test(differences, 1) == (p, test)
    assert permutation_test(differences, 2)[0] != p
    deviation = math.sqrt(sum(each**2 for each in differences))
    normal = math.erfc(abs(sum(differences)) / deviation / math.sqrt(2))
    assert p == pytest.approx(normal, abs=4 * math.sqrt(normal / 9_999) + 0.002)


def test_random_signs_count_ties_and_never_say_impossible():
    tied = [1 / 3, 2 / 3, -1.0] * 9  # their sum is 0 on paper
    assert permutation_test(tied)[0] == 1.0
    assert permutation_test([1.0, 2.0] * 20)[0] == 1e-4


def test_random_signs_and_all_signs_agree():
    dice = random.Random(7)
    few = [dice.expovariate(1) - 0.6 for _ in range(24)]
    exact, test = permutation_test(few)
    assert test == "paired permutation, exact"
    drawn, test = permutation_test([*few, 1e-12])  # one more that adds nothing
    assert test == "paired permutation, 9,999 draws"
    assert drawn == pytest.approx(exact, abs=0.015)


@given(SCORES)
@settings(max_examples=60)
def test_a_comparison_the_other_way_around_is_its_mirror(pairs):
    one, two = compare(pairs), compare([(b, a) for a, b in pairs])
    assert (one.p, one.better, one.worse, one.rows) == (two.p, two.worse, two.better, two.rows)
    assert (one.value, one.other_value) == (two.other_value, two.value)
    if one.difference is not None:
        assert one.difference == -two.difference
    if one.low is not None:
        assert (one.low, one.high) == pytest.approx((-two.high, -two.low))


@given(SHARES)
def test_a_comparison_of_shares_the_other_way_around_is_its_mirror(pairs):
    one, two = compare(pairs, kind="share"), compare([(b, a) for a, b in pairs], kind="share")
    assert (one.p, one.better, one.worse) == (two.p, two.worse, two.better)
    assert one.better + one.worse <= one.rows == len(pairs)
    if pairs:
        assert one.difference == pytest.approx(one.value - one.other_value)
        assert -1 <= one.low <= one.difference <= one.high <= 1
        assert (one.low, one.high) == pytest.approx((-two.high, -two.low))


@given(SCORES, st.randoms())
@settings(max_examples=40)
def test_the_order_of_few_rows_makes_no_difference(pairs, dice):
    pairs = pairs[:20]
    mixed = dice.sample(pairs, len(pairs))
    one, two = compare(pairs), compare(mixed)
    assert (one.p, one.value, one.better) == pytest.approx((two.p, two.value, two.better))
    assert (one.low is None) == (two.low is None)


@given(st.lists(FINITE, min_size=1, max_size=40))
def test_a_mean_is_within_its_interval_and_its_scores(values):
    score = score_of(values)
    assert min(values) <= score.value <= max(values)
    assert score.rows == len(values)
    if score.low is not None:
        assert score.low <= score.value <= score.high


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_an_interval_stays_within_the_bounds_of_its_metric(values):
    score = score_of(values, bounds=(0, 1))
    assert 0 <= score.low <= score.value <= score.high <= 1


def test_no_row_has_no_mean_and_no_difference():
    assert (score_of([]).value, score_of([None, math.nan]).rows) == (None, 0)
    empty = compare([(None, 1.0), (1.0, math.nan)])
    assert (empty.value, empty.difference, empty.low, empty.p, empty.rows) == (None, None, None, 1.0, 0)


def test_one_row_has_a_mean_but_no_interval_unless_it_is_a_share():
    assert (score_of([0.4]).value, score_of([0.4]).low) == (0.4, None)
    assert score_of([True]).low == pytest.approx(0.2065, abs=1e-4)
    single = compare([(0.4, 0.1)])
    assert (single.low, single.p, single.better) == (None, 1.0, 1)


def test_scores_that_are_all_alike_have_an_interval_only_between_bounds():
    assert score_of([0.5] * 10).low is None
    alike = score_of([0.5] * 10, bounds=(0, 1))
    assert (alike.low, alike.high) == pytest.approx((0.3612, 0.6388), abs=1e-4)
    assert alike.method == "Wilson, all alike"
    assert alike_interval(1.0, 10, (0, 1)) == pytest.approx(wilson(10, 10))


def test_the_mean_of_equal_scores_is_their_score():
    assert score_of([0.02834747652200631] * 55).value == 0.02834747652200631  # 0.028347476522006306 by the sum


def test_all_right_is_not_certain():
    assert score_of([1] * 120, "share").low == pytest.approx(0.96898, abs=1e-5)
    equal = compare([(True, True)] * 20, kind="share")
    assert (equal.p, equal.low, equal.high) == pytest.approx((1.0, -0.16113, 0.16113), abs=1e-5)


def test_scores_of_0_and_1_are_a_share_whatever_their_type():
    for values in ([True, False, True], [1, 0, 1], [1.0, 0.0, 1.0]):
        assert score_of(values).method == "Wilson"
    assert score_of([1, 0, 0.5]).method == "Student's t, Hall"
    assert compare([(1, 0), (True, False)]).test == "McNemar, exact"


def test_half_a_win_is_a_tie():
    score = score_of([1, 1, 0.5, 0], "wins")
    assert (score.value, score.method) == (0.625, "Tango")
    against = compare([(each, 0.5) for each in (1, 1, 1, 1, 1, 1, 0.5)], kind="wins")
    assert (against.p, against.test, against.method) == (0.03125, "sign test, exact", "Tango")
    assert against.difference == pytest.approx(3 / 7)
    assert -0.5 <= against.low <= against.difference <= against.high <= 0.5


@pytest.mark.parametrize("bad", [math.inf, -math.inf, "0.5", b"1", [1], 10**400, 1e101])
def test_what_is_no_finite_number_is_refused(bad):
    with pytest.raises(InvalidInput, match="a score must be a finite number"):
        score_of([0.5, bad])


def test_a_share_of_anything_but_0_and_1_is_refused():
    with pytest.raises(InvalidInput, match=r"a score of the kind 'share' must be 0 or 1, not 0.5"):
        score_of([1, 0.5], "share")
    with pytest.raises(InvalidInput, match=r"must be 0 or 0.5 or 1, not 0.25"):
        compare([(0.25, 0.5)], kind="wins")


def test_large_scores_are_no_trouble():
    large = compare([(1e99, -1e99), (2e99, 1.0), (0.0, 3e99)])
    assert large.difference == pytest.approx(1e99 / 3)
    assert large.low < large.difference < large.high < math.inf


def test_a_metric_says_which_way_is_better():
    shorter = Metric(name="words", score=lambda answer, row: len(answer.split()), better="lower")
    compared = compare([(10, 12), (8, 9), (7, 6)], metric=shorter, model="tuned", other="base")
    assert (compared.metric, compared.model, compared.other) == ("words", "tuned", "base")
    assert (compared.better, compared.worse, compared.direction, compared.leads) == (2, 1, "lower", True)
    assert not compared.significant


# Coverage: how often the interval of a sample holds the mean of all. 400 samples at 95 % are 380 ± 9.


def covered(sample, truth, interval, times=400, seed=11):
    dice = random.Random(seed)
    found = [interval(sample(dice)) for _ in range(times)]
    return sum(low <= truth <= high for low, high in found) / times


def test_intervals_of_skewed_scores_hold_as_often_as_they_say():
    def scores(dice):
        return [1.0 if dice.random() < 0.8 else dice.random() for _ in range(20)]

    def ours(values):
        score = score_of(values, bounds=(0, 1))
        return score.low, score.high

    assert covered(scores, 0.9, ours) >= 0.94
    alone = covered(scores, 0.9, lambda values: mean_interval(values, symmetric=True) or (0, 1))  # Student's
    assert alone < 0.92


def test_intervals_of_a_share_and_of_paired_shares_hold_as_often_as_they_say():
    def one(values):
        score = score_of(values, "share")
        return score.low, score.high

    def both(pairs):
        found = compare(pairs, kind="share")
        return found.low, found.high

    def pair(dice):
        return [(chance < 0.85, chance < 0.7 or chance > 0.95) for chance in (dice.random() for _ in range(60))]

    assert covered(lambda dice: [dice.random() < 0.9 for _ in range(40)], 0.9, one) >= 0.93
    assert covered(pair, 0.1, both) >= 0.93


def test_a_difference_on_few_rows_is_not_found_where_there_is_none():
    """Rows differ rarely, and by chance all in one direction."""

    def pairs(dice):
        return [(0.8 + 0.2 * dice.choice((-1, 0, 1)) * (dice.random() < 0.1), 0.8) for _ in range(50)]

    found = [compare(pairs(random.Random(seed)), bounds=(0, 1)) for seed in range(300)]
    assert sum(each.low <= 0 <= each.high for each in found) >= 285
    assert sum(each.significant for each in found) <= 15


def test_intervals_are_those_of_a_bootstrap_where_there_are_many_rows():
    dice = random.Random(3)
    pairs = [(min(1.0, dice.expovariate(4)), min(1.0, dice.expovariate(5))) for _ in range(400)]
    ours = [one for one, _ in pairs]
    score, compared = score_of(ours, bounds=(0, 1)), compare(pairs, bounds=(0, 1))
    assert (score.low, score.high) == pytest.approx(studentized(ours, dice), abs=0.15 * (score.high - score.low))
    differences = [one - other for one, other in pairs]
    wide = compared.high - compared.low
    assert (compared.low, compared.high) == pytest.approx(studentized(differences, dice), abs=0.15 * wide)


def studentized(values, dice, draws=600):
    """The bootstrap interval with the best coverage for a mean: quantiles of the studentized mean (Efron 1981)."""

    def error(sample):
        middle = mean(sample)
        return math.sqrt(sum((each - middle) ** 2 for each in sample) / (len(sample) - 1) / len(sample))

    middle, spread = mean(values), error(values)
    drawn = (dice.choices(values, k=len(values)) for _ in range(draws))
    ratios = sorted((mean(each) - middle) / error(each) for each in drawn)
    return middle - ratios[int(draws * 0.975)] * spread, middle - ratios[int(draws * 0.025)] * spread
