"""Exit codes: the same for every command.

Small numbers say what to repair; 124 is that of timeout(1), 130 and 141 are what a shell reports of a program that
SIGINT or SIGPIPE has ended (128 plus the signal's number).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from gemtune import errors

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
CREDENTIALS: Final = 3
REFUSED: Final = 4
QUOTA: Final = 5
TIMED_OUT: Final = 124
INTERRUPTED: Final = 130
CUT_OFF: Final = 141
"""Nobody reads the output any more."""

_CODES: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (errors.CredentialsError, CREDENTIALS),
    (errors.InvalidInput, USAGE),
    (errors.NotSupported, REFUSED),
    (errors.QuotaExhausted, QUOTA),
    (errors.Unavailable, FAILED),
    (errors.ApiError, REFUSED),
    (TimeoutError, TIMED_OUT),
    (KeyboardInterrupt, INTERRUPTED),
    (BrokenPipeError, CUT_OFF),
)


CODES: Final = """\
exit codes: 0 done, 1 something failed, 2 usage, 3 credentials, 4 not found or refused, 5 quota, 124 time-out,
130 interrupted (Ctrl-C or SIGTERM), 141 nobody reads the output any more
"""
"""The paragraph of ``--help``."""


def exit_code(error: BaseException) -> int:
    """Return the exit code for an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


def together(codes: Collection[int]) -> int:
    """Return one exit code for several things: done if all are, the failure they share, otherwise just failed."""
    failures = {code for code in codes if code != DONE}
    return failures.pop() if len(failures) == 1 else FAILED if failures else DONE
