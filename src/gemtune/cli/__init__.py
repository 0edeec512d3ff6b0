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
        if argv is None:
            from gemtune.cli.signals import take_sigterm_for_ctrl_c

            take_sigterm_for_ctrl_c()
        # Loading the commands takes long enough for somebody to press Ctrl-C meanwhile.
        from gemtune.cli.program import run

        code = run(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        _end(argv)
        sys.stderr.write("interrupted\n")
        return _INTERRUPTED
    _end(argv)
    return code


def _end(argv: Sequence[str] | None) -> None:
    """Let nobody interrupt the end of the process, where the command line is that of the process."""
    if argv is None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
