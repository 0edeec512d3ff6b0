"""Draws what terminals show into ``docs/pictures``: the demo at its end, and jobs that are watched, wide and narrow.

The commands really run, in pseudo-terminals; pyte keeps their screens. A picture brings its own dark background, so
that it can be read on light pages and on dark ones, and every cell has its place, whatever font the reader has. Some
figures depend on the machine: the requests that were made, and times. If nothing else has changed, the picture is left
as it is.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import re
import signal
import struct
import sys
import tempfile
import termios
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import pyte

from gemtune.cli import main as main_of_gemtune
from gemtune.emulator import Fault, JobFate, running_emulator

PICTURES = Path(__file__).parent / "pictures"
BASE = "models/gemini-1.0-pro-001"
CELL, LINE, PAD, BAR = 8.43, 19, 18, 40
PAPER, INK = "#1b1f27", "#d7dce4"
FONTS = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
COLORS = {
    "black": "#5c6370", "red": "#ff7b72", "green": "#7ee787", "brown": "#e3b341", "yellow": "#e3b341",
    "blue": "#79c0ff", "magenta": "#d2a8ff", "cyan": "#76e3ea", "white": "#f0f3f6",
}  # fmt: skip
FULL, BLOCKS = "\u2588", "▁▂▃▄▅▆▇█"
DRAWN = frozenset({" ", *BLOCKS, *map(chr, range(0x2800, 0x2900))})
# The id of the model is made of random bits; these are the same in every picture, whoever has asked for some before.
PROGRAM = """\
import random, sys
random.getrandbits = lambda bits: random.Random(4).getrandbits(bits)
from gemtune.cli import main
sys.exit(main())
"""


def screen(argv: Sequence[str], columns: int, rows: int, until: str = "") -> pyte.Screen:
    """Return what a command shows: when it has ended, or as soon as the screen matches ``until``.

    As in any terminal, what came before the last lines has scrolled away.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        os.environ.pop("NO_COLOR", None)
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM, *argv])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    result = pyte.Screen(columns, rows)
    stream = pyte.ByteStream(result)
    while not until or not re.search(until, "\n".join(result.display)):
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other side has ended
            break
        if not data:
            break
        stream.feed(data)
    if until:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if status and not until:
        sys.exit(f"{argv[0]} ended with {os.waitstatus_to_exitcode(status)}")
    return result


def spans(row: dict[int, pyte.screens.Char], columns: int) -> list[str]:
    """Return the cells of a row that look alike and touch each other as pieces of text."""
    cells = [(column, row[column]) for column in range(columns)]
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


def dots(row: dict[int, pyte.screens.Char], columns: int, y: float) -> str:
    """Return curves and sparklines of a row as shapes: few fonts have these characters as wide as their letters."""
    lines, blocks = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for column in range(columns):
        char, x, ink = row[column].data, PAD + column * CELL, row[column].fg
        color = COLORS.get(ink, INK if ink == "default" else f"#{ink}")
        if char in BLOCKS:
            tall = LINE * (BLOCKS.index(char) + 1) / 8 if char != FULL else 13
            blocks[color].append(f"M{x:.1f} {y:.0f}h{CELL + 0.2:.1f}v-{tall:.1f}h-{CELL + 0.2:.1f}z")
        elif char > "\u2800" and char in DRAWN:
            pattern = ord(char) - 0x2800
            lines[color] += [
                f"M{x + CELL * (0.25 + 0.5 * across):.1f} {y - 13.5 + LINE / 4 * down:.1f}h0"
                for bit, (across, down) in enumerate(((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)))
                if pattern >> bit & 1
            ]
    curves = [
        f'<path d="{"".join(path)}" stroke="{color}" stroke-width="2.6" stroke-linecap="round"/>'
        for color, path in lines.items()
    ]
    return "".join([*curves, *(f'<path d="{"".join(path)}" fill="{color}"/>' for color, path in blocks.items())])


def draw(shown: pyte.Screen, title: str) -> str:
    """Return the screen as a picture of a window."""
    last = max(number for number, line in enumerate(shown.display) if line.strip())
    first = next(number for number, line in enumerate(shown.display) if line.strip())
    width, height = shown.columns * CELL + 2 * PAD, (last - first + 1) * LINE + BAR + PAD
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" role="img">',
        f"<title>{title}</title>",
        f'<rect width="100%" height="100%" rx="10" fill="{PAPER}"/>',
        *(
            f'<circle cx="{22 + 20 * n}" cy="20" r="6" fill="{c}"/>'
            for n, c in enumerate(("#ff5f57", "#febc2e", "#28c840"))
        ),
        f'<g font-family="{FONTS}" font-size="14" fill="{INK}" xml:space="preserve">',
        f'<text x="50%" y="25" text-anchor="middle" opacity=".7">{title}</text>',
    ]
    for number in range(first, last + 1):
        y = BAR + (number - first + 1) * LINE - 5
        pieces, shapes = spans(shown.buffer[number], shown.columns), dots(shown.buffer[number], shown.columns, y)
        if pieces:
            lines.append(f'<text y="{y}">{"".join(pieces)}</text>')
        if shapes:
            lines.append(shapes)
    return "\n".join([*lines, "</g>", "</svg>", ""])


def alike(one: str, other: str) -> bool:
    """Return whether two pictures differ in nothing but what the machine decides."""
    masks = (r"(?<=>)\d+(?=</tspan>)", r"(?<=>)\d+\.\d(?=</tspan>)", r"127\.0\.0\.1:\d+", r"(\d+ min )?\d+ s(?=\W)")
    for mask in masks:
        one, other = re.sub(mask, "#", one), re.sub(mask, "#", other)
    return one == other


def jobs(columns: int, rows: int, argv: Sequence[str], until: str) -> pyte.Screen:
    """Return what watching jobs shows: one that has failed, and others on their way."""
    with running_emulator(clock="stepped") as server, tempfile.TemporaryDirectory() as folder:
        os.environ |= {"GOOGLE_GEMINI_BASE_URL": server.url, "GOOGLE_API_KEY": "key-of-the-emulator"}
        data = Path(folder, "rows.csv")
        data.write_text("text_input,output\n" + "".join(f"{n},{n + 1}\n" for n in range(40)), encoding="utf-8")
        for number, rate in enumerate(("0.0005", "0.001", "0.002", "0.02")):
            if rate == "0.02":
                fate = JobFate(fail_at_step=9, message="INTERNAL: loss diverged")
                server.app.faults.add(Fault(method="tunedModels.create", job=fate))
            named = ["--id", f"rate-{number}", "--display-name", f"rate {rate}", "--learning-rate", rate]
            main_of_gemtune(["tune", str(data), "--base", BASE, "--epochs", "5", "--batch-size", "4", *named])
            server.app.clock.advance(14)
        return screen(["jobs", "watch", *argv], columns, rows, until)


def main() -> None:
    """Draw the pictures that have changed."""
    PICTURES.mkdir(exist_ok=True)
    four = [f"rate-{number}" for number in range(4)]
    all_four = r"(?s)rate 0\.0005.*rate 0\.001.*rate 0\.002.*rate 0\.02.*diverged.*looked"
    drawn = {
        "demo": (screen(["demo"], 104, 32), "gemtune demo"),
        "jobs-110": (jobs(110, 26, four, all_four), "gemtune jobs watch"),
        "jobs-40": (jobs(40, 26, four, all_four), "gemtune jobs watch"),
        "job-110": (jobs(110, 20, ["rate-1"], r"(?s)rate 0\.001.*looked"), "gemtune jobs watch rate-1"),
    }
    for name, (shown, title) in drawn.items():
        path, picture = PICTURES / f"{name}.svg", draw(shown, title)
        if path.exists() and alike(path.read_text(encoding="utf-8"), picture):
            print(f"{path.name} is up to date")
        else:
            path.write_text(picture, encoding="utf-8")
            print(f"{path.name} is drawn")


if __name__ == "__main__":
    main()
