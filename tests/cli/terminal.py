"""A terminal of so many columns with a command in it: what a person sees, read from the cells of its screen."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import attrs
import pyte

SCREENS = Path(__file__).parent / "screens"
PATIENCE = 20.0

# What differs from run to run: the figures of the clock, the port, the ids that are made of random bits.
MASKS = (
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", "(the day) (and time)"),
    (r"(\d+ (h|min) )*\d+(\.\d)? s(?=\W|$)", "(time)"),
    (r"\d+\.\d/s", "(rate)"),
    (r"\d+ requests?$", "(some) requests"),
    (r"--since c1\.\S+(\n\S+)*(?=\ninterrupted)", "--since (token)"),
)


@attrs.define(eq=False)
class Terminal:
    """A command on a terminal of its own.

    Args:
        command: The command line.
        columns: The columns of the terminal.
        rows: Its lines.
    """

    command: list[str]
    columns: int = 80
    rows: int = 24
    screen: pyte.Screen = attrs.field(init=False)
    code: int | None = attrs.field(default=None, init=False)
    _stream: pyte.ByteStream = attrs.field(init=False)
    _pid: int = attrs.field(init=False)
    _fd: int = attrs.field(init=False)
    running: ClassVar[set[int]] = set()
    """The commands that have not been waited for: of a test that failed, nobody else ends them."""

    def __attrs_post_init__(self) -> None:
        self.screen = pyte.HistoryScreen(self.columns, self.rows)
        self._stream = pyte.ByteStream(self.screen)
        ours, theirs = pty.openpty()
        self._resized(ours)
        environ = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
        self._pid = os.posix_spawn(
            self.command[0],
            self.command,
            environ | {"TERM": "xterm-256color"},
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs, n) for n in (0, 1, 2)],
            setsid=True,
        )
        os.close(theirs)
        self._fd = ours
        self.running.add(self._pid)

    def _resized(self, fd: int) -> None:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))

    def resize(self, columns: int, rows: int | None = None) -> None:
        """Make the terminal narrower or wider, as a person does with a window."""
        self.columns, self.rows = columns, rows or self.rows
        self.screen.resize(self.rows, columns)
        self._resized(self._fd)
        os.kill(self._pid, signal.SIGWINCH)

    def until(self, seen: str | Callable[[str], bool]) -> str:
        """Read until the screen shows something, and return the screen."""
        end = time.monotonic() + PATIENCE
        found = seen if callable(seen) else lambda text: seen in text
        while not found(self.text):
            if time.monotonic() > end or not self._read(0.05):
                if found(self.text):
                    break
                raise AssertionError(f"{seen!r} is not on the screen after {PATIENCE} s:\n{self.text}")
        while self._ready(0.02) and self._read(0.0):  # the rest of a picture that is being drawn
            pass
        return self.text

    def press_ctrl_c(self) -> None:
        os.kill(self._pid, signal.SIGINT)

    def close(self) -> str:
        """Read to the end of the command, and return all that is on the screen then."""
        end = time.monotonic() + PATIENCE
        while self._read(0.05):
            assert time.monotonic() < end, self.text
        os.close(self._fd)
        _, status = os.waitpid(self._pid, 0)
        self.running.discard(self._pid)
        self.code = os.waitstatus_to_exitcode(status)
        return self.text

    @property
    def text(self) -> str:
        """The lines of the screen, those that have scrolled away first, without the blank ones at the end."""
        gone = [_line(row, self.columns) for row in self.screen.history.top]
        lines = [*gone, *(line.rstrip() for line in self.screen.display)]
        return "\n".join(lines).rstrip() + "\n"

    def _ready(self, seconds: float) -> bool:
        return bool(select.select([self._fd], [], [], seconds)[0])

    def _read(self, seconds: float) -> bool:
        """Feed the screen with what has come; return False at the end."""
        if not self._ready(seconds):
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # Linux says so when the other side has ended
            return False
        self._stream.feed(data)
        return bool(data)


def _line(row: dict[int, pyte.screens.Char], columns: int) -> str:
    return "".join(row[column].data for column in range(columns)).rstrip()


def end_all() -> None:
    """End the commands that nobody has waited for."""
    while Terminal.running:
        pid = Terminal.running.pop()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def masked(text: str) -> str:
    """Return a screen without what differs from run to run."""
    for pattern, word in MASKS:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return text


def check(name: str, text: str, folder: Path = SCREENS) -> None:
    """Compare a screen with its golden file; GEMTUNE_DRAW=1 writes the file instead."""
    path, shown = folder / f"{name}.txt", masked(text)
    if os.environ.get("GEMTUNE_DRAW"):
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


# The command as it is, but for its looks, which come 25 times as fast, and the ids that it makes up.
_FAST = """
import itertools, random, secrets, gemtune.client, gemtune.config as config
plain = config.WatchPolicy.__init__
short = {"freshness": 0.1, "terminal_freshness": 0.1, "queued_interval": 0.1, "min_interval": 0.05}
config.WatchPolicy.__init__ = lambda self, **given: plain(self, **given | short)
random.getrandbits = lambda bits: random.Random(4).getrandbits(bits)
numbers = itertools.count()
secrets.token_hex = lambda count: f"{next(numbers):0{2 * count}x}"
from gemtune.cli import main
sys.exit(main())
"""


# What a plain installation shows. The line comes first, because httpx imports rich if it is there.
_PLAIN = "import sys; sys.modules['rich'] = None"


def quick(*argv: object) -> list[str]:
    return [sys.executable, "-c", _PLAIN + _FAST, *map(str, argv)]


def quick_with_rich(*argv: object) -> list[str]:
    return [sys.executable, "-c", f"import sys{_FAST}", *map(str, argv)]


def plain(*argv: object) -> list[str]:
    return [sys.executable, "-m", "gemtune", *map(str, argv)]
