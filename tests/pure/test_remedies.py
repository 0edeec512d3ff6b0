"""Remedies: an error advises in Python's words and in the shell's, and no message is written for one of them alone."""

import argparse
import ast
import copy
import pickle
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import gemtune
from gemtune import errors
from gemtune.cli.program import make_parser
from gemtune.cli.remedies import COMMANDS, OPTIONS, worded
from gemtune.remedy import Argument, ClientCall, Remedy

PACKAGE = Path(gemtune.__file__).parent
PYTHON = re.compile(r"\bclient\.\w|\b\w+=(?!=)['\w]|\b\w+=$|\w\(\)|\w\(\.\.\.\)")
SHELL = re.compile(r"(?<![\w-])--[a-z]|\bgemtune (demo|tune|jobs|generate|batch|settings|emulator)\b")
# What no command reaches, by some of its words: a program's mistakes, methods without a command, code, a repr.
PYTHON_ALONE = (
    "client.batch", "client.watch(...)", "collect()", "generation_config=GenerationConfig(", "client.count_tokens(",
    "grantee_type=",
    "gemtune.Hyperparameters(...)", "gemtune.GenerationConfig(", "resume=w.", "google.colab", "gemini_emulator(",
    "was never closed",
    " loss=", "inputs.items()", "list(data.items())", 'frame.to_dict("records")',
)  # fmt: skip
CODE = "protocol/codec/generate.py"
# What both readers type into a shell.
BOTH = (
    "gcloud auth application-default login --scopes=", " --client-id-file=client_secret.json", " --location REGION",
    "`gemtune emulator`",
)  # fmt: skip
# Arguments that the command line does not have; a remedy that needs one is left out there.
NO_OPTION = {"api_key", "max_connections", "objective", "space", "ssl_context", "title", "transport", "validation"}
# The same of calls.
NO_COMMAND = {"batches.create", "files.delete", "files.get", "storage.upload"}

TAKEN = errors.AlreadyExists(
    "tunedModels/x exists already.",
    Remedy("choose another ", Argument("tuned_model_id")),
    Remedy("take it over with ", Argument("if_exists", "adopt")),
    Remedy("look with ", ClientCall("tuned_models.get", "tunedModels/x")),
    attempts=2,
)


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(("emulator/", "cli/")):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def messages(tree: ast.Module) -> Iterator[str]:
    """All text with a space in it that is neither a docstring nor in the message of a MisuseError."""
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            left_out.add(id(node.value))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("MisuseError", "_log.warning", "_log.info")):
            left_out.update(id(part) for part in ast.walk(node))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            yield from [node.value] if " " in node.value else []


def calls(tree: ast.Module, name: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == name)


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from options_of(below)
        elif action.option_strings:
            yield from action.option_strings
        else:
            yield str(action.metavar)


def test_an_error_is_worded_for_python_and_for_the_shell():
    assert str(TAKEN) == (
        "tunedModels/x exists already; choose another tuned_model_id, or take it over with if_exists='adopt', or look "
        "with client.tuned_models.get('tunedModels/x') (2 attempts)"
    )
    assert worded(TAKEN) == (
        "tunedModels/x exists already; choose another --id, or take it over with --if-exists adopt, or look with "
        "gemtune jobs get tunedModels/x (2 attempts)"
    )


def test_a_remedy_that_the_shell_does_not_have_is_left_out_there():
    error = errors.CredentialsError(
        "no key", Remedy("set GOOGLE_API_KEY"), Remedy("pass ", Argument("api_key")), Remedy("call ", ClientCall("x"))
    )
    assert str(error) == "no key; set GOOGLE_API_KEY, or pass api_key, or call client.x()"
    assert worded(error) == "no key; set GOOGLE_API_KEY"
    assert worded(errors.JournalError("full", Remedy("pass ", Argument("journal", "x")))) == "full"


def test_what_stands_for_an_argument_can_be_pasted_into_a_shell():
    error = errors.InvalidInput("odd", Remedy("pass ", Argument("delimiter", ";")))
    assert (str(error), worded(error)) == ("odd; pass delimiter=';'", "odd; pass --delimiter ';'")


def test_a_message_about_an_argument_calls_it_as_it_was_given():
    error = errors.InvalidInput("tuned_model_id is too long", field="tuned_model_id")
    assert (str(error), worded(error)) == ("tuned_model_id is too long", "--id is too long")
    assert worded(errors.InvalidInput("training_data.csv is empty", field="INPUT")) == "training_data.csv is empty"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_copy_of_an_error_has_its_remedies(copied):
    assert (str(copied(TAKEN)), copied(TAKEN).remedies) == (str(TAKEN), TAKEN.remedies)


def test_an_error_that_follows_another_keeps_what_that_one_knew():
    last = errors.Unavailable("down", status=503, reason="UNAVAILABLE", retry_after=2, attempts=3, resource="r")
    found = errors.AmbiguousOutcome.after(last, "perhaps", Remedy("look"))
    assert (found.status, found.reason, found.retry_after, found.resource) == (503, "UNAVAILABLE", 2, "r")
    assert (str(found), found.failure) == ("perhaps; look (3 attempts)", errors.Failure.AMBIGUOUS)
    assert errors.StreamInterrupted.after(None, "broke", failure=errors.Failure.FATAL).failure is errors.Failure.FATAL


@pytest.mark.parametrize(("path", "tree"), [*sources()])
def test_no_message_shows_options_and_none_that_a_command_can_meet_shows_python(path, tree):
    for text in messages(tree) if path != CODE else ():
        plain = text
        for said in BOTH:
            plain = plain.replace(said, "")
        assert not SHELL.search(plain), text
        assert not PYTHON.search(plain) or any(words in text for words in PYTHON_ALONE), text


def test_all_arguments_and_calls_of_remedies_are_known_to_the_shell_or_known_not_to_be_there():
    trees = [tree for _, tree in sources()]
    arguments, methods = (
        {node.args[0].value for tree in trees for node in calls(tree, name) if isinstance(node.args[0], ast.Constant)}
        for name in ("Argument", "ClientCall")
    )
    assert {"tuned_model_id", "if_exists", "format"} <= arguments <= OPTIONS.keys() | NO_OPTION
    assert {"job", "tuned_models.delete"} <= methods <= COMMANDS.keys() | NO_COMMAND


def test_the_options_and_commands_of_remedies_exist():
    parser = make_parser()
    assert set(OPTIONS.values()) <= set(options_of(parser))
    for command in COMMANDS.values():
        words = shlex.split(command)[1:]
        assert parser.parse_args([*words, *(() if "list" in words else ("x",))]).command == words[0]
