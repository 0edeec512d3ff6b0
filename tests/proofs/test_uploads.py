"""Never twice, for uploads: the table of uploads.md, played anew."""

from pathlib import Path

import pytest

from proofs.uploads import INTRODUCTION, TABLE

PROVED = (Path(__file__).parent / "uploads.md").read_text(encoding="utf-8").strip().split("\n\n## ")


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_time")
async def test_no_fault_at_any_request_of_an_upload_makes_a_second_object():
    assert TABLE.render(await TABLE.play()).splitlines() == f"## {PROVED[1]}".splitlines()


def test_the_table_written_down_is_the_one_that_is_played():
    assert PROVED[0] == INTRODUCTION
    assert len(PROVED) == 2
