"""Draws ``docs/pictures/demo.svg``: ``gemtune demo``, as it looks in a terminal when it has come to its end.

The demo really runs, in a pseudo-terminal; pyte keeps its screen. The picture brings its own dark background, so that
it can be read on light pages and on dark ones, and every cell has its place, whatever font the reader has. Two figures
depend on the machine: the requests that were made, and the seconds that it took. If nothing else has changed, the
picture is left as it is.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path
from xml.sax.saxutils import escape

import pyte

PICTURE = Path(__file__).parent / "pictures" / "demo.svg"
COLUMNS, ROWS = 104, 32
CELL, LINE, PAD, BAR = 8.43, 19, 18, 40
PAPER, INK = "#1b1f27", "#d7dce4"
FONTS = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
COLORS = {
    "black": "#5c6370", "red": "#ff7b72", "green": "#7ee787", "brown": "#e3b341", "yellow": "#e3b341",
    "blue": "#79c0ff", "magenta": "#d2a8ff", "cyan": "#76e3ea", "white": "#f0f3f6",
}  # fmt: skip
DRAWN = frozenset({" ", "\u2588", *map(chr, range(0x2800, 0x2900))})
# The id of the model is made of random bits; these are the same in every picture, whoever has asked for some before.
PROGRAM = """\
import random, sys
random.getrandbits = lambda bits: random.Random(4).getrandbits(bits)
from gemtune.cli import main
sys.exit(main())
"""


def screen() -> pyte.Screen:
    """Return the last screen of the demo; as in any terminal, what came before has scrolled away."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
        os.environ.pop("NO_COLOR", None)
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM, "demo"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    result = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(result)
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other side has ended
            break
        if not data:
            break
        stream.feed(data)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f"the demo ended with {os.waitstatus_to_exitcode(status)}")
    return result


def spans(row: dict[int, pyte.screens.Char]) -> list[str]:
    """Return the cells of a row that look alike and touch each other as pieces of text."""
    cells = [(column, row[column]) for column in range(COLUMNS)]
    # A wide character takes two cells, of which the second is empty. Dots and blocks are drawn: see dots().
    looks = itertools.groupby(cells, key=lambda cell: (cell[1].fg, cell[1].bold, cell[1].data in DRAWN))
    found = []
    for (color, bold, blank), group in looks:
        piece = list(group)
        text = "".join(char.data for _, char in piece)
        if blank or not text:
            continue
        weight = ' font-weight="bold"' if bold else ""
        fill = f' fill="{COLORS.get(color, f"#{color}")}"' if color != "default" else ""
        width = f"{len(piece) * CELL:.2f}"
        x = f"{PAD + piece[0][0] * CELL:.2f}"
        found.append(f'<tspan x="{x}" textLength="{width}"{fill}{weight}>{escape(text)}</tspan>')
    return found


def dots(row: dict[int, pyte.screens.Char], y: float) -> str:
    """Return the curve and the bar of a row as shapes: few fonts have these characters as wide as their letters."""
    path, blocks = [], []
    for column in range(COLUMNS):
        char, x = row[column].data, PAD + column * CELL
        if char == "\u2588":
            blocks.append(f"M{x:.1f} {y - 13:.0f}h{CELL + 0.2:.1f}v13h-{CELL + 0.2:.1f}z")
        elif char > "\u2800" and char in DRAWN:
            pattern = ord(char) - 0x2800
            path += [
                f"M{x + CELL * (0.25 + 0.5 * across):.1f} {y - 13.5 + LINE / 4 * down:.1f}h0"
                for bit, (across, down) in enumerate(((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)))
                if pattern >> bit & 1
            ]
    curve = f'<path d="{"".join(path)}" stroke="{COLORS["green"]}" stroke-width="2.6" stroke-linecap="round"/>'
    bar = f'<path d="{"".join(blocks)}" fill="{COLORS["green"]}"/>'
    return (curve if path else "") + (bar if blocks else "")


def draw(shown: pyte.Screen) -> str:
    """Return the screen as a picture of a window."""
    last = max(number for number, line in enumerate(shown.display) if line.strip())
    first = next(number for number, line in enumerate(shown.display) if line.strip())
    width, height = COLUMNS * CELL + 2 * PAD, (last - first + 1) * LINE + BAR + PAD
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" role="img">',
        "<title>gemtune demo</title>",
        f'<rect width="100%" height="100%" rx="10" fill="{PAPER}"/>',
        *(
            f'<circle cx="{22 + 20 * n}" cy="20" r="6" fill="{c}"/>'
            for n, c in enumerate(("#ff5f57", "#febc2e", "#28c840"))
        ),
        f'<g font-family="{FONTS}" font-size="14" fill="{INK}" xml:space="preserve">',
        '<text x="50%" y="25" text-anchor="middle" opacity=".7">gemtune demo</text>',
    ]
    for number in range(first, last + 1):
        y = BAR + (number - first + 1) * LINE - 5
        pieces, shapes = spans(shown.buffer[number]), dots(shown.buffer[number], y)
        if pieces:
            lines.append(f'<text y="{y}">{"".join(pieces)}</text>')
        if shapes:
            lines.append(shapes)
    return "\n".join([*lines, "</g>", "</svg>", ""])


def alike(one: str, other: str) -> bool:
    """Return whether two pictures differ in nothing but what the machine decides."""
    masks = (r"(?<=>)\d+(?=</tspan>)", r"(?<=>)\d+\.\d(?=</tspan>)", r"127\.0\.0\.1:\d+")
    for mask in masks:
        one, other = re.sub(mask, "#", one), re.sub(mask, "#", other)
    return one == other


def main() -> None:
    """Draw the picture if it has changed."""
    picture = draw(screen())
    if PICTURE.exists() and alike(PICTURE.read_text(encoding="utf-8"), picture):
        print(f"{PICTURE.name} is up to date")
        return
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture, encoding="utf-8")
    print(f"{PICTURE.name} is drawn")


if __name__ == "__main__":
    main()
