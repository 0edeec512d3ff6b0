"""Pages whose reader installs further packages; ``tests/test_docs.py`` runs the others."""

from pathlib import Path

import pytest

import pages

ROOT = Path(__file__).parents[3]


@pytest.mark.socket
@pytest.mark.slow
@pytest.mark.parametrize("path", pages.runnable(ROOT, with_needs=True), ids=lambda path: path.name)
def test_a_page_does_what_it_says(path):
    pages.check(path)
