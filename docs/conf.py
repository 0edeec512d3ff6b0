"""The documentation as a site: ``nox -s docs``. The pages are plain Markdown and can be read as they are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
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

autodoc_mock_imports = ["numpy", "pyarrow", "ray"]  # of the extra "ray": 600 MB, which the reference can do without
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


def plain_twins(app: Sphinx, exception: Exception | None) -> None:
    """Put the pages beside their HTML as Markdown, for programs that read, and the first one as llms.txt."""
    if exception is not None or app.builder.name != "html":
        return
    site = Path(app.outdir)
    for page in sorted(Path(app.srcdir).glob("*.md")):
        text = page.read_text(encoding="utf-8")
        (site / page.name).write_text(text, encoding="utf-8")
        if page.stem == "index":
            shown = re.sub(r"```{toctree}\n.*?```\n*|^!\[[^\n]*\n+", "", text, flags=re.DOTALL | re.MULTILINE)
            (site / "llms.txt").write_text(shown.strip() + "\n", encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Add the directive, and what is written beside the site."""
    app.add_directive("gemtune-help", Help)
    app.connect("build-finished", plain_twins)
