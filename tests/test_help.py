"""What ``--help`` shows works when it is pasted: every example of every command is run, in an empty project."""

import json
import subprocess
import sys

import pytest

import help_page
import pages


@pytest.mark.socket
@pytest.mark.slow
def test_every_example_of_help_works_in_an_empty_project(tmp_path):
    """Each is run with two tuned models at hand and the files that it names; see help_page.py."""
    examples = tmp_path / "help.md"
    examples.write_text(help_page.page(), encoding="utf-8")
    command = [sys.executable, "-W", "error", pages.__file__, "--quick", str(examples)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[0])["help.md"]["ran"] > 50
