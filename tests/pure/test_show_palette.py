"""Colours are told apart by everybody, on white paper and on black, and are never the only sign."""

from itertools import combinations
from math import dist

import pytest

from gemtune.show.palette import STROKES, TONES, stroke
from gemtune.show.picture import Tone

WHITE, DARK = "#ffffff", "#111827"

# What people see who lack one kind of cone (Machado, Oliveira and Fernandes 2009, severity 1), in linear RGB.
EYES = {
    "all three cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
OKLAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def times(matrix, vector):
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def linear(color):
    shares = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]


def contrast(one, other):
    low, high = sorted(sum(times([(0.2126, 0.7152, 0.0722)], linear(color))) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


def seen(color, eye):
    shown = [min(max(part, 0.0), 1.0) for part in times(EYES[eye], linear(color))]
    return times(OKLAB, [part ** (1 / 3) for part in times(CONES, shown)])


@pytest.mark.parametrize("eye", EYES)
def test_curves_are_told_apart_by_all_eyes(eye):
    nearest = min(dist(seen(one.color, eye), seen(other.color, eye)) for one, other in combinations(STROKES, 2))
    assert nearest > 0.065


@pytest.mark.parametrize("color", sorted({each.color for each in (*STROKES, *TONES.values())}))
def test_shapes_are_seen_on_white_and_on_dark_paper(color):
    assert min(contrast(color, WHITE), contrast(color, DARK)) >= 3


@pytest.mark.parametrize("ink", TONES.values())
def test_words_are_read_on_white_and_on_dark_paper(ink):
    assert contrast(ink.on_light, WHITE) >= 4.5
    assert contrast(ink.on_dark, DARK) >= 4.5


def test_every_state_has_a_sign_that_is_no_colour():
    assert set(TONES) == set(Tone)
    assert len({ink.glyph for ink in TONES.values()}) == len({ink.letter for ink in TONES.values()}) == len(Tone)


def test_curves_have_letters_and_dashes_and_begin_again_after_the_eighth():
    assert "".join(stroke(number).letter for number in range(27)) == "abcdefghijklmnopqrstuvwxyza"
    assert stroke(9).color == STROKES[1].color
    assert len({each.dash for each in STROKES}) == len(STROKES)
