"""The size rules of the house: where one is exceeded, an idea is missing."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import gemtune

PACKAGE = Path(gemtune.__file__).parent
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
FOLDERS = sorted({Path(file).parent.as_posix() for file in FILES})
FILE_LINES = 400
FUNCTION_LINES = 50
FOLDER_FILES = 15
CLASS_METHODS = 15
# What users hold may offer more: every further method is public surface, and a class of its own would hide it.
HANDLES = {"Client": 16, "Watcher": 19}
# The option values of client and emulator, each public under this name in its own package.
SHARED_NAMES = {"Settings"}


def tree_of(path: str) -> ast.Module:
    return ast.parse((PACKAGE / path).read_text(encoding="utf-8"))


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Name and number of lines, docstring included, of every function in a source text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def classes(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Name and number of methods, properties and dunders included, of every class; overloads count once."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            methods = {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
            yield node.name, len(methods)


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_short_its_functions_are_short_and_it_says_what_it_is_for(path):
    source = (PACKAGE / path).read_text(encoding="utf-8")
    assert len(source.splitlines()) <= FILE_LINES
    assert [(name, lines) for name, lines in functions(source) if lines > FUNCTION_LINES] == []
    assert ast.get_docstring(ast.parse(source)), "no module docstring"


@pytest.mark.parametrize("path", FILES)
def test_a_class_has_no_more_methods_than_one_idea_needs(path):
    long = [(name, count) for name, count in classes(tree_of(path)) if count > HANDLES.get(name, CLASS_METHODS)]
    assert long == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_holds_a_dozen_files_or_a_few_more(folder):
    files = [file for file in FILES if Path(file).parent.as_posix() == folder and not file.endswith("__init__.py")]
    assert len(files) <= FOLDER_FILES


def test_no_two_classes_share_a_name_the_emulators_included():
    homes = defaultdict(list)
    for path in FILES:
        for name, _ in classes(tree_of(path)):
            homes[name].append(path)
    assert {name: where for name, where in homes.items() if len(where) > 1 and name not in SHARED_NAMES} == {}


def test_only_what_draws_with_rich_imports_it():
    def imports(path):
        nodes = list(ast.walk(tree_of(path)))
        named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        return named + [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]

    users = {path for path in FILES if any(name.partition(".")[0] == "rich" for name in imports(path))}
    assert {str(Path(path).parent) for path in users} == {"cli/screen"}


def test_a_long_function_is_seen_nested_and_async_too():
    body = "\n".join(["        pass"] * FUNCTION_LINES)
    assert dict(functions(f"class A:\n    async def long(self):\n{body}\n"))["long"] == FUNCTION_LINES + 1
    assert dict(functions('def f():\n    """One.\n\n    Two.\n    """\n'))["f"] == 5


def test_methods_are_counted_with_properties_and_dunders():
    source = "class A:\n    def __init__(self): ...\n    @property\n    def b(self): ...\n    def c(self): ...\n"
    assert list(classes(ast.parse(source))) == [("A", 3)]
