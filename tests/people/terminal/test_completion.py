"""The scripts of ``gemtune completion``, in the shells that are here."""

import shutil
import subprocess
import sys

import pytest

from gemtune.cli import main

# What bash itself calls for Tab: the function that "complete" has registered, with the words of the line.
_BASH = """
source /dev/stdin <<< "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
handler=$(complete -p gemtune | sed 's/.* -F \\([^ ]*\\).*/\\1/')
$handler gemtune "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(capsys):
    def printed(shell):
        assert main(["completion", shell]) == 0
        return capsys.readouterr().out

    return printed


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("jo", {"jobs"}),
        ("jobs w", {"watch", "wait"}),
        ("jobs watch --al", {"--all"}),
        ("jobs wait x --until ", {"all", "any", "first_failure"}),
        ("tune --if-exists a", {"adopt"}),
        ("completion ", {"bash", "zsh", "fish"}),
        ("sweep --re", {"--resume"}),
        ("sweep --study ", {"tpe", "random"}),
        ("evaluate --ba", {"--base-url", "--baseline"}),
    ],
)
def test_bash_completes_commands_options_and_choices(script, words, offered):
    argv = ["gemtune", *words.split(" ")]
    ran = subprocess.run(
        ["bash", "-c", _BASH, "bash", script("bash"), *argv], capture_output=True, text=True, check=True
    )
    assert set(ran.stdout.split()) >= offered
    assert all(word.startswith(argv[-1]) for word in ran.stdout.split())


def test_bash_completes_files_where_a_file_is_wanted(script, tmp_path):
    (tmp_path / "rows.csv").touch()
    argv = ["bash", "-c", _BASH, "bash", script("bash"), "gemtune", "tune", "ro"]
    ran = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert ran.stdout.split() == ["rows.csv"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_their_script(script, shell):
    text = script(shell)
    assert "watch" in text
    assert "first_failure" in text
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    subprocess.run([shell, "-n"], input=text, text=True, check=True)


def test_fish_completes_commands_and_options(script, tmp_path):
    if shutil.which("fish") is None:
        pytest.skip("there is no fish")

    def offered(line):
        argv = ["fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", str(path), line]
        ran = subprocess.run(argv, capture_output=True, text=True, check=True)
        return {row.partition("\t")[0] for row in ran.stdout.splitlines()}

    path = tmp_path / "gemtune.fish"
    path.write_text(script("fish"))
    assert offered("gemtune jobs w") == {"watch", "wait"}
    assert offered("gemtune jobs wait x --until ") >= {"all", "any", "first_failure"}
    assert "--all" in offered("gemtune jobs watch --al")


def test_without_shtab_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert capsys.readouterr().err == "error: completion needs shtab: pip install 'gemtune[cli]'\n"
