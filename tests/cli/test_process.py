"""What only a process of its own shows: signals, broken pipes, terminals."""

import os
import pty
import re
import signal
import subprocess
from collections.abc import Sequence

import pytest

from cli.conftest import BASE

pytestmark = [pytest.mark.socket, pytest.mark.slow]


def on_a_terminal(command: Sequence[str], answer: str = "", **environ: str) -> tuple[int, str]:
    """Run a command with all three streams on a terminal; return its exit code and what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"} | environ
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # Linux's way to say that the other side is closed
        pass
    os.close(ours)
    return process.wait(), shown.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_the_job_running_and_says_how_to_look_at_it_again(app, gemtune, rows, command, number):
    process = subprocess.Popen(
        [*command, "tune", rows, "--base", BASE, "--id", "long", "--wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("training data: 3 rows of rows.csv; ")
    assert process.stderr.readline() == "following tunedModels/long; Ctrl-C leaves it running\n"
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 130
    assert out == ""
    *_, look, end = err.splitlines()
    assert look == "the job continues; watch it with: gemtune jobs watch tunedModels/long"
    assert end == "interrupted"
    assert app.requests.of("tunedModels.operations.cancel") == []
    assert gemtune("jobs", "list", "-q").out == "tunedModels/long\n"


INTERRUPTED_IMPORT = """
import os, sys

_, module, number = sys.argv
sys.argv[1:] = ["jobs", "list"]

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Finder())
from gemtune.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["gemtune.cli.program", "argparse", "gemtune.types", "httpx"])
def test_an_interrupt_while_modules_are_loaded_is_one_line(app, command, module, number):
    code = [command[0], "-c", INTERRUPTED_IMPORT, module, str(int(number))]
    ran = subprocess.run(code, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "interrupted\n")


TERMINATED_AT_THE_END = """
import os, signal, sys
from gemtune.cli import main, program

plain = program._run

def ended(options):
    code = plain(options)
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGTERM)
    return code

program._run = ended
sys.exit(main())
"""


def test_sigterm_after_the_command_is_done_is_an_interrupt_too(app, command):
    arguments = [command[0], "-c", TERMINATED_AT_THE_END, "jobs", "list"]
    ran = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (130, "no tuned models\ninterrupted\n")


def test_a_reader_that_has_gone_ends_the_command_quietly(app, command):
    with subprocess.Popen([*command, "settings"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_on_a_terminal_the_demo_draws_in_place_and_no_color_means_none(command):
    code, shown = on_a_terminal([*command, "demo", "--speed", "300"], NO_COLOR="1")
    assert code == 0
    assert "\x1b[J" in shown
    assert re.findall(r"\x1b\[[0-9;]*m", shown) == []


def test_on_a_terminal_delete_asks_first(app, gemtune, tuned, command):
    code, shown = on_a_terminal([*command, "jobs", "delete", tuned], answer="n\n")
    assert f"delete {tuned} for good? [y/N]" in shown
    assert code == 1
    assert gemtune("jobs", "list", "-q").out == f"{tuned}\n"
    code, shown = on_a_terminal([*command, "jobs", "delete", tuned, "--yes"])
    assert code == 0
    assert gemtune("jobs", "list", "-q").out == ""


def test_an_encoding_without_the_characters_stops_nothing(command):
    environ = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ran = subprocess.run([*command, "demo", "--speed", "2000"], env=environ, capture_output=True, check=True)
    assert ran.stdout.isascii()
    assert b"Generate with" in ran.stdout


IGNORED = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
from gemtune.cli import main, program
program._run = lambda options: signal.raise_signal(signal.SIGTERM)
sys.exit(main())
"""


def test_sigterm_ends_a_command_for_which_ctrl_c_is_ignored(command):
    ran = subprocess.run([command[0], "-c", IGNORED, "jobs", "list"], capture_output=True, text=True, check=False)
    assert ran.returncode == -signal.SIGTERM
