"""The size rules: a file over 400 lines or a function over 50 is a sign that an idea is missing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gemtune

PACKAGE = Path(gemtune.__file__).parent
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
FILE_LINES = 400
FUNCTION_LINES = 50


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Name and number of lines, docstring included, of every function in a source text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_short_its_functions_are_short_and_it_says_what_it_is_for(path):
    source = (PACKAGE / path).read_text(encoding="utf-8")
    assert len(source.splitlines()) <= FILE_LINES
    assert [(name, lines) for name, lines in functions(source) if lines > FUNCTION_LINES] == []
    assert not source or ast.get_docstring(ast.parse(source)), "no module docstring"


def test_a_long_function_is_seen_nested_and_async_too():
    body = "\n".join(["        pass"] * FUNCTION_LINES)
    assert dict(functions(f"class A:\n    async def long(self):\n{body}\n"))["long"] == FUNCTION_LINES + 1
    assert dict(functions('def f():\n    """One.\n\n    Two.\n    """\n'))["f"] == 5
