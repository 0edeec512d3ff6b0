"""Runs the notebooks of ``docs/notebooks`` in a real kernel and keeps their outputs, so that they can be read unrun.

    python docs/run_notebooks.py [NAME...]

What belongs to one run only (times of execution, ids of displays, what a kernel warns of) is left out, so that a change
of a notebook can be read. Tests run them again in every change, and look at the outputs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent / "notebooks"


def ran(path: Path) -> nbformat.NotebookNode:
    """Return a notebook after all its cells have run, in an empty folder."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            output.pop("transient", None)
            if output.output_type in {"display_data", "execute_result"}:
                output.metadata = {}
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def main() -> None:
    """Run those that are named, or all."""
    for path in sorted(HERE.glob("*.ipynb")):
        if len(sys.argv) == 1 or path.stem in sys.argv[1:]:
            nbformat.write(ran(path), path)
            print(path.stem)


if __name__ == "__main__":
    main()
