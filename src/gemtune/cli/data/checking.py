"""``gemtune data check``: what is wrong with training data, and with ``--fix`` a new file without it."""

from __future__ import annotations

import argparse

from gemtune.cli.console import Console
from gemtune.cli.data.given import add_data, add_output, file_options, note, target, wanted
from gemtune.cli.exits import DONE, FAILED
from gemtune.cli.options import Commands, add_command
from gemtune.cli.remedies import in_shell
from gemtune.errors import InvalidInput

EXAMPLES = """\
  gemtune data check rows.csv
  gemtune data check rows.jsonl --validation more.jsonl --json
  gemtune data check rows.jsonl --fix -o new.jsonl
"""
_REMARKS = """
Exit code 1 says that there are errors: rows that the service would refuse. Warnings do not count.
--fix writes a new file without wrong rows and without repeats; what cannot be mended by leaving it out is for you.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    told = "check training data: everything that is wrong with it, by row and place"
    parser = add_command(commands, "check", _run, told, EXAMPLES + _REMARKS, common=file_options())
    add_data(parser)
    parser.add_argument(
        "--service",
        choices=("vertex", "gemini"),
        default="vertex",
        help="for which service: Vertex AI, or the Gemini API, which learns pairs only (default: %(default)s)",
    )
    parser.add_argument("--validation", metavar="DATA", help="validation data, which must not be in DATA as well")
    parser.add_argument("--fix", action="store_true", help="write a new file without what is wrong, to -o")
    add_output(parser, "with --fix, the file to write")


def _run(options: argparse.Namespace, console: Console) -> int:
    from gemtune.datasets import check, fix

    if options.fix != (options.output is not None):
        raise InvalidInput("--fix and -o belong together: --fix says what to do, -o where to write it", field="--fix")
    given = wanted(options, console)
    if options.fix:
        path = target(options.output, options)
        if path is None:
            raise InvalidInput("--fix writes a file: name it", field="-o")
        fixed = fix(options.data, path, service=options.service, **given)
        console.print(str(fixed))
        console.record(fixed.to_dict())
        return DONE
    report = check(options.data, service=options.service, validation=options.validation, **given)
    console.print(report.worded(in_shell))
    console.record(report.to_dict())
    if any(issue.severity == "error" and issue.row is not None for issue in report.issues):
        note(console, options, "rows that are wrong can be left out with --fix -o NEW")
    return DONE if report.ok else FAILED
