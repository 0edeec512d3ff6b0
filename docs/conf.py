"""The documentation as a site: ``nox -s docs``. The pages are plain Markdown and can be read as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import gemtune

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "gemtune"
author = "The gemtune developers"
version = release = gemtune.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"gemtune {version}"
html_copy_source = False
html_show_sphinx = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"exclude-members": "kind"}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
python_display_short_literal_types = True
python_maximum_signature_line_length = 100


class Help(SphinxDirective):
    """What ``gemtune COMMAND --help`` prints, taken from the command itself, so that the two cannot differ."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the help as a block of text."""
        words = self.arguments[0].split()
        command = [sys.executable, "-m", "gemtune", *words, "--help"]
        text = subprocess.check_output(command, text=True, env=os.environ | {"COLUMNS": "95", "NO_COLOR": "1"})
        return [nodes.literal_block(text, text, language="text")]


def setup(app: Sphinx) -> None:
    """Add the directive."""
    app.add_directive("gemtune-help", Help)
