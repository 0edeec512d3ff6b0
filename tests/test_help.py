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
    written = map(str, help_page.written(tmp_path))
    command = [sys.executable, "-W", "error", pages.__file__, "--quick", "--beside", "2", *written]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    assert sum(page["ran"] for page in json.loads(ran.stdout.splitlines()[0]).values()) > 50
