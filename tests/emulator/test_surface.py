"""The made-up surface on which sweeps look for a best point: what its module says of it is true."""

from __future__ import annotations

import hashlib
import itertools
import math
import statistics
from collections import Counter

import pytest

from gemtune.emulator.world import surface
from gemtune.emulator.world.surface import Recipe

EXAMPLES = 200


def recipe(number: int = 0, *, rate: float = 1.0, adapter: int = 4, batch_size: int = 4, examples: int = EXAMPLES):
    return Recipe(
        seed=number, name=f"tunedModels/m{number}", examples=examples, batch_size=batch_size, rate=rate, adapter=adapter
    )


def mean(of, epochs: int, *, models: int = 40, **chosen: float) -> float:
    """Return the mean of a loss at the end of so many epochs."""
    found = [recipe(number, **chosen) for number in range(models)]
    return statistics.mean(of(each, -(-each.examples * epochs // each.batch_size)) for each in found)


def drawn(seed: int, name: str, *what: object) -> float:
    key = repr((seed, name, *what)).encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=7).digest(), "big") / (1 << 56)


def test_with_the_default_rate_and_up_to_five_epochs_the_losses_are_what_they_always_were():
    for examples, batch_size, name in itertools.product((3, 16, 500), (1, 4, 16), ("tunedModels/a", "tuningJobs/1")):
        given = Recipe(seed=7, name=name, examples=examples, batch_size=batch_size)
        for step in range(1, 5 * examples // batch_size + 1):
            start, noise = 5 + 4 * drawn(7, name, "start", 0), 2 * drawn(7, name, "loss", step) - 1
            passes = step * batch_size / examples
            loss = 0.02 + (start - 0.02) * math.exp(-0.55 * passes) * (1 + 0.25 * noise)
            assert surface.train_loss(given, step) == loss
            assert surface.eval_loss(given, step) == loss * (1.1 + 0.1 * drawn(7, name, "eval", step))


def test_a_small_rate_learns_slowly():
    after = [mean(surface.eval_loss, 5, rate=rate) for rate in (0.1, 0.3, 1.0)]
    assert after == sorted(after, reverse=True)
    assert mean(surface.eval_loss, 16, rate=0.1) > 5 * mean(surface.eval_loss, 8)


def test_a_rate_above_the_limit_of_its_batch_size_diverges():
    assert mean(surface.train_loss, 4, rate=10) > 1.5 * mean(surface.train_loss, 0, rate=10)
    assert mean(surface.train_loss, 4, rate=10, batch_size=16) < 2
    assert mean(surface.train_loss, 4, rate=6) < 2


def test_a_rate_just_above_the_limit_falls_before_it_diverges():
    curve = surface.losses(recipe(rate=7), 8).eval_losses
    assert curve[2][1] < 1
    assert curve[-1][1] > 5


def test_after_too_many_epochs_the_eval_loss_rises_while_the_training_loss_still_falls():
    held_out = [mean(surface.eval_loss, epochs) for epochs in (2, 5, 8, 12, 16)]
    training = [mean(surface.train_loss, epochs) for epochs in (2, 5, 8, 12, 16)]
    assert min(held_out) == held_out[2] < held_out[3] < held_out[4]
    assert training == sorted(training, reverse=True)


def test_a_larger_adapter_overfits_sooner_and_a_small_one_learns_more_slowly():
    late = [mean(surface.eval_loss, 16, adapter=size) for size in (4, 8, 16)]
    early = [mean(surface.eval_loss, 3, adapter=size) for size in (1, 2, 4, 8, 16)]
    assert late == sorted(late)
    after_five = [surface.overfitting(recipe(adapter=size), 5 * EXAMPLES // 4) for size in (4, 8, 16)]
    assert after_five[0] == 0 < after_five[1] < after_five[2]
    assert early == sorted(early, reverse=True)


def test_more_examples_last_for_more_epochs():
    assert mean(surface.eval_loss, 12, models=10, examples=5_000) < 0.8 * mean(surface.eval_loss, 12)


@pytest.mark.parametrize(
    ("epochs", "rates"),
    [
        ((1, 2, 4, 8, 16), (0.1, 0.3, 1.0, 3.0, 10.0)),
        ((2, 4, 8, 16), (0.25, 0.5, 1.0, 2.0, 4.0)),
        ((2, 4, 8), (0.5, 1.0, 2.0)),
    ],
)
def test_a_grid_has_its_best_point_at_eight_epochs_and_the_default_rate(epochs, rates):
    best: Counter[tuple[int, float]] = Counter()
    for seed in range(50):
        points = {
            (passes, rate): surface.eval_loss(
                Recipe(seed=seed, name=f"m-{passes}-{rate}", examples=EXAMPLES, batch_size=4, rate=rate),
                passes * EXAMPLES // 4,
            )
            for passes in epochs
            for rate in rates
        }
        best[min(points, key=points.__getitem__)] += 1
    assert best.most_common(1)[0][0] == (8, 1.0)
    assert best[8, 1.0] >= 37


def test_a_third_of_its_passes_tells_most_bad_points_but_not_all():
    rates = (0.1, 0.3, 0.5, 1.0, 3.0, 10.0)
    early = [mean(surface.eval_loss, 4, rate=rate) for rate in rates]
    late = [mean(surface.eval_loss, 12, rate=rate) for rate in rates]
    place = {rate: (sorted(early).index(early[at]), sorted(late).index(late[at])) for at, rate in enumerate(rates)}
    assert place[10.0] == (5, 5)
    assert place[0.1] == (4, 4)
    assert place[0.5][1] < place[0.5][0]  # behind first, good in the end
    assert place[3.0][1] > place[3.0][0]  # ahead until it overfits


def test_no_hyperparameters_lead_to_a_loss_that_cannot_be_written_as_a_32_bit_float():
    sizes = (0.0, 1e-300, 1e-6, 100.0, 1e300, math.inf)
    for rate, adapter, examples in itertools.product(map(surface.bounded, sizes), (1, 16), (1, 10**7)):
        for step in (1, 10**9):
            given = recipe(rate=rate, adapter=adapter, examples=examples)
            assert 0 < surface.train_loss(given, step) < 1e4
            assert 0 < surface.eval_loss(given, step) < 1e4


def test_an_absolute_rate_counts_as_a_multiple_of_the_default_for_that_number_of_examples():
    assert surface.multiplier(0.0010000000474974513, 20) == 1
    assert surface.multiplier(0.0002, 5_000) == 1
    assert surface.multiplier(0.001, 5_000) == 5


def test_the_share_of_right_answers_falls_with_the_loss():
    shares = [surface.right_share(loss) for loss in (0.16, 0.5, 3.0, surface.untrained_loss(0, "models/x"), 17.0)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(0.88, abs=0.005)
    assert 0.27 < shares[3] < 0.39
