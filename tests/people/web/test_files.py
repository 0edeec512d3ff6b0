"""What the dashboard's page consists of: it comes with the package, and its colours mean what they mean elsewhere."""

from __future__ import annotations

import re

import pytest

from gemtune.show.palette import STROKES, TONES
from gemtune.web.files import FILES

STYLE = FILES["app.css"].content.decode()
SCRIPTS = {name: file.content.decode() for name, file in FILES.items() if name.endswith(".js") and "/" not in name}


def luminance(color: str) -> float:
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def cards() -> tuple[str, str]:
    light, dark = re.findall(r"--card: light-dark\((#\w+), (#\w+)\)", STYLE)[0]
    return light, dark


@pytest.mark.parametrize("tone", TONES)
def test_a_state_has_the_colours_of_the_palette_and_they_can_be_read_on_both_papers(tone):
    ink = TONES[tone]
    assert f"--{tone}: light-dark({ink.on_light}, {ink.on_dark});" in STYLE
    assert f"--shape-{tone}: {ink.color};" in STYLE
    assert f'{tone}: "{ink.glyph}"' in SCRIPTS["list.js"]
    light, dark = cards()
    assert contrast(ink.on_light, light) >= 4.5
    assert contrast(ink.on_dark, dark) >= 4.5
    assert min(contrast(ink.color, light), contrast(ink.color, dark)) >= 3


@pytest.mark.parametrize("number", range(len(STROKES)))
def test_a_curve_has_the_colour_of_the_palette_and_its_letter_can_be_read_on_it(number):
    color = STROKES[number].color
    assert f"--curve-{number}: {color};" in STYLE
    assert min(contrast(color, paper) for paper in cards()) >= 2.9
    letter = re.findall(rf'data-curve="{number}"\] {{ --curve: var\(--curve-{number}\); --letter: (#\w+)', STYLE)
    assert contrast(letter[0], color) >= 4.5


def test_the_page_needs_nothing_from_elsewhere_and_nothing_that_its_policy_forbids():
    page = FILES["index.html"].content.decode()
    assert set(re.findall(r'(?:src|href)="([^"#]+)"', page)) <= {f"static/{name}" for name in FILES}
    assert re.findall(r"<script(?![^>]*src=)|<style| style=| on\w+=", page) == []
    assert "url(" not in STYLE
    for name, script in SCRIPTS.items():
        assert not re.search(
            r"\.(inner|outer)HTML|insertAdjacentHTML|document\.write|eval\(|https?://(?!www\.w3\.org)", script
        ), name
        assert set(re.findall(r'from "\./([^"]+)"', script)) <= set(FILES)


def test_files_are_short_enough_to_be_read():
    long = {name: len(text.splitlines()) for name, text in {**SCRIPTS, "app.css": STYLE}.items()}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}


def test_what_is_not_ours_says_whose_it_is():
    assert b"Leon Sorokin" in FILES["vendor/uPlot.LICENSE"].content
    assert b"v1.6.32" in FILES["vendor/uPlot.iife.min.js"].content[:100]
