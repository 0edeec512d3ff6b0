"""The ``gemtune`` command: one module for each group of commands, and a table of them in ``program``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

__all__ = ["main"]

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: The arguments without the program's name; None takes those of the process.

    Returns:
        The exit code.
    """
    try:
        # Loading the commands takes long enough for somebody to press Ctrl-C meanwhile.
        from gemtune.cli.program import run

        code = run(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = _INTERRUPTED
    if argv is None:  # the process ends, and nobody is to interrupt that
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    return code
