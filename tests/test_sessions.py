"""What a session of noxfile.py says to the tests by variables has to reach them: conftest.py takes all others away."""

import re
from pathlib import Path

import gemtune

TESTS = Path(__file__).parent
READ = re.compile(r"os\.environ(?:\.get\(|\[)\"(GEMTUNE_[A-Z]+)\"")


def test_every_variable_that_tests_read_is_kept():
    read = {name for path in TESTS.rglob("*.py") for name in READ.findall(path.read_text(encoding="utf-8"))}
    package = "".join(path.read_text(encoding="utf-8") for path in Path(gemtune.__file__).parent.rglob("*.py"))
    ours = {name for name in read if name not in package}  # no program reads them, only tests
    assert {"GEMTUNE_DEEP", "GEMTUNE_JSON", "GEMTUNE_KILLS"} <= ours
    kept = (TESTS / "conftest.py").read_text(encoding="utf-8")
    assert {name for name in ours if f'"{name}"' not in kept} == set()
