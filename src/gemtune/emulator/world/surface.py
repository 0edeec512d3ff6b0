"""How well a model gets, as a pure function of its hyperparameters: where a sweep looks for a best point.

Nothing is learned here; these formulas are made up so that what people see of real fine-tuning can be seen. N examples,
batches of B, E epochs; m is the learning rate as a multiple of the service's default, and A the adapter size (4 unless
chosen). After step s there were ``p = s · B / N`` passes over the data.

=============  ================================================================  ==================================
what           formula                                                           what it does
=============  ================================================================  ==================================
speed          ``v = min(m, m^0.7) · (A / 4)^0.15``                              small rates learn slowly; large
                                                                                 ones gain less and less
floor          ``f = 0.02 + 0.08 · max(0, m - 1) · (1 + noise / 2)``             a high rate never settles, a small
               ``  + 0.05 · max(0, log2(4 / A))``                                adapter cannot hold everything
loss           ``f + (L - 0.02) · exp(-0.55 · v · p) · (1 + c · noise)``         a fall by 42 % per pass at m = 1;
               ``c = 0.25 · sqrt(m)``, between 0.25 and 0.9                      a high rate is noisy
divergence     if ``m > M = 6 · sqrt(B / 4)``: from pass ``0.6 / ln(m / M)``     far above the limit at once, just
               on, the loss goes to ``2 L · (1 + noise / 4)``                    above it after some good passes
eval loss      ``loss · (1.1 to 1.2) + 0.06 · o² / (2 + o + o² / 100)``         turns up while the loss still falls
overfitting    ``o = max(0, p · sqrt(v) - P)``                                   passes beyond those that are good
               ``P = max(5, 6.5 · (N / 500)^0.1) · (4 / A)^0.3``                 more data lasts longer, a large
                                                                                 adapter overfits sooner
=============  ================================================================  ==================================

L (5 to 9) and noise (-1 to 1) are drawn from a hash of the seed, the model's name and the step, so that a step has the
same loss whoever asks, whenever, and in whichever order. With the service's default rate and adapter, and up to five
passes, all of this is ``0.02 + (L - 0.02) · exp(-0.55 · p) · (1 + 0.25 · noise)``.

Where the best point lies: among 1 to 16 epochs and rates of 0.1 to 10 it is at 8 epochs and the default rate (eval loss
about 0.16 for 500 examples, against 0.55 after the 5 epochs that a service takes by itself); 6 epochs at twice that
rate are nearly as good. A rate of 0.1 learns too slowly for 16 epochs to suffice, one of 10 diverges in batches of 4
and not in batches of 16. After a third of its passes a bad point usually looks bad, but not always: a rate of 0.5 is
behind until late and then good, and a rate of 3 is ahead until it overfits.

The share of held-out prompts that a model answers right is ``0.95 / sqrt(1 + eval loss)``: about 0.32 for a base model,
0.77 after 5 epochs, 0.88 at the best point, and less than the base model's for one that diverged.
"""

from __future__ import annotations

import hashlib
import math

import attrs

DEFAULT_ADAPTER = 4
HIGHEST_RATE = 100.0  # what is higher is no worse, so that every loss can be written as a 32-bit float
# "0.001 or 0.0002 by number of examples" is documented; from how many on is not.
_RATES = (0.001, 0.0002)
_MANY_EXAMPLES = 1_000
_FLOOR = 0.02
_DECAY = 0.55


@attrs.frozen(kw_only=True)
class Recipe:
    """All that the losses of a model follow from.

    Args:
        seed: of the emulator.
        name: of the tuned model, or of the tuning job.
        examples: that are trained on.
        batch_size: examples of a step.
        rate: the learning rate, as a multiple of the service's default.
        adapter: the adapter size.
    """

    seed: int
    name: str
    examples: int
    batch_size: int
    rate: float = 1.0
    adapter: int = DEFAULT_ADAPTER

    def passes(self, step: int) -> float:
        """Return the passes over the data after a step."""
        return step * self.batch_size / self.examples

    def drawn(self, *what: object) -> float:
        """Return a number in [0, 1) that is always the same for one model and purpose."""
        return drawn(self.seed, self.name, *what)

    @property
    def speed(self) -> float:
        """How fast it learns, as a multiple of what the default rate and adapter do."""
        return min(self.rate, math.pow(self.rate, 0.7)) * math.pow(self.adapter / DEFAULT_ADAPTER, 0.15)

    @property
    def highest_rate(self) -> float:
        """The highest rate that does not diverge."""
        return 6 * math.sqrt(self.batch_size / 4)

    @property
    def good_passes(self) -> float:
        """The passes, each weighed by the root of the speed, after which the model overfits."""
        return max(5.0, 6.5 * math.pow(self.examples / 500, 0.1)) * math.pow(DEFAULT_ADAPTER / self.adapter, 0.3)


@attrs.frozen
class MadeCurve:
    """The losses of a whole run.

    Args:
        losses: (step, training loss) of every step.
        eval_losses: (step, loss on held-out examples) of every step with which a pass over the data ends.
    """

    losses: tuple[tuple[int, float], ...]
    eval_losses: tuple[tuple[int, float], ...]


def losses(recipe: Recipe, epochs: int) -> MadeCurve:
    """Return the losses of a whole run."""
    steps = range(1, -(-recipe.examples * epochs // recipe.batch_size) + 1)
    return MadeCurve(
        tuple((step, train_loss(recipe, step)) for step in steps),
        tuple((step, eval_loss(recipe, step)) for step in steps if ends_pass(recipe, step)),
    )


def ends_pass(recipe: Recipe, step: int) -> bool:
    """Return whether a pass over the data ends with a step."""
    return step * recipe.batch_size // recipe.examples > (step - 1) * recipe.batch_size // recipe.examples


def train_loss(recipe: Recipe, step: int) -> float:
    """Return the training loss of a step."""
    start, noise = _start(recipe), 2 * recipe.drawn("loss", step) - 1
    rate = recipe.rate
    floor = _FLOOR + 0.08 * max(0.0, rate - 1) * (1 + noise / 2)
    floor += 0.05 * max(0.0, math.log2(DEFAULT_ADAPTER / recipe.adapter))
    spread = 0.25 * min(3.6, max(1.0, math.sqrt(rate)))
    loss = floor + (start - _FLOOR) * math.exp(-_DECAY * recipe.speed * recipe.passes(step)) * (1 + spread * noise)
    if rate <= recipe.highest_rate:
        return loss
    late = recipe.passes(step) - 0.6 / math.log(rate / recipe.highest_rate)
    lost = 1 - math.exp(-2 * max(0.0, late))
    return (1 - lost) * loss + lost * 2 * start * (1 + noise / 4)


def eval_loss(recipe: Recipe, step: int) -> float:
    """Return the loss on held-out examples after a step."""
    return held_out(recipe, step, train_loss(recipe, step)) + overfitting(recipe, step)


def held_out(recipe: Recipe, step: int, loss: float) -> float:
    """Return the loss on held-out examples of a model that does not overfit and has this training loss."""
    return loss * (1.1 + 0.1 * recipe.drawn("eval", step))


def overfitting(recipe: Recipe, step: int) -> float:
    """Return what the loss on held-out examples has gained by too many passes."""
    beyond = max(0.0, recipe.passes(step) * math.sqrt(recipe.speed) - recipe.good_passes)
    return 0.06 * beyond**2 / (2 + beyond + beyond**2 / 100)


def untrained_loss(seed: int, name: str) -> float:
    """Return the loss on held-out examples of a base model."""
    recipe = Recipe(seed=seed, name=name, examples=1, batch_size=1)
    return held_out(recipe, 0, _start(recipe))


def right_share(loss: float) -> float:
    """Return the share of held-out prompts that a model of this eval loss answers right."""
    return 0.95 / math.sqrt(1 + loss)


def default_rate(examples: int) -> float:
    """Return the learning rate that the Gemini API takes for so many examples unless it is given another."""
    return _RATES[examples >= _MANY_EXAMPLES]


def multiplier(learning_rate: float, examples: int) -> float:
    """Return a learning rate as a multiple of the service's default for so many examples."""
    # The rate comes as a 32-bit float: the default itself must be exactly 1.
    return bounded(float(f"{learning_rate / default_rate(examples):.6g}"))


def bounded(rate: float) -> float:
    """Return a rate with which a job can be planned; those beyond the bounds are no different from the bounds."""
    return min(max(rate, 1e-6), HIGHEST_RATE)


def drawn(seed: int, name: str, *what: object) -> float:
    """Return a number in [0, 1) that is always the same for a seed, a name and a purpose."""
    key = repr((seed, name, *what)).encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=7).digest(), "big") / (1 << 56)


def _start(recipe: Recipe) -> float:
    """Return the training loss before the first step."""
    return 5 + 4 * recipe.drawn("start", 0)
