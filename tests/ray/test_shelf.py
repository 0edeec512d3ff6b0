"""What earlier runs have answered is found by what was asked, wherever the boundaries of blocks were."""

import anyio
import pytest

from gemtune.batch import read_journal
from gemtune.errors import JournalMismatch
from gemtune.testing.fixture import GeminiEmulator

pytest.importorskip("numpy")
pytest.importorskip("ray.data")

from gemtune.batch.acceptance import Acceptance
from gemtune.batch.inputs import make_item
from gemtune.batch.journal.lines import Header
from gemtune.batch.ray.shelf import AnswerShelf, identity

pytestmark = pytest.mark.filterwarnings("ignore")
MODEL = "models/gemini-3.7-flash"


BLOCKS = {"aa": [f"say {n // 2}" for n in range(4)], "bb": [(n, f"say {n}") for n in range(5)]}


@pytest.fixture
def folder(tmp_path):
    """Journals of two blocks: four rows without keys, of which two each ask the same, and five with keys."""

    async def fill():
        async with GeminiEmulator.make().client() as client:
            for name, rows in BLOCKS.items():
                await client.generate_many(MODEL, rows, journal=tmp_path / name / f"{name}.jsonl")

    for name in BLOCKS:
        (tmp_path / name).mkdir()
    anyio.run(fill)
    return tmp_path


def shelf_of(folder, model=MODEL, keyed=False):
    return AnswerShelf(folder, Header(model, {}), keyed, Acceptance())


def digest(prompt):
    return make_item(prompt, 0, MODEL, str).content_digest()


def test_a_row_is_found_by_what_it_asks(folder):
    found = shelf_of(folder).find([digest("say 4"), None, digest("say 99"), digest("say 3")])
    assert {place: (result.text.split(" (")[0], result.replayed) for place, result in found.items()} == {
        0: ("say 4", True),
        3: ("say 3", True),
    }


def test_rows_that_ask_the_same_are_given_an_answer_each(folder):
    asked = [digest("say 0")] * 5
    assert sorted(shelf_of(folder).find(asked)) == [0, 1, 2]  # two without a key and one with


def test_a_row_with_a_key_is_found_by_both(folder):
    wanted = [(3, "say 3"), (4, "say 3"), ("3", "say 3")]
    found = shelf_of(folder, keyed=True).find([identity(digest(prompt), key) for key, prompt in wanted])
    assert [*found] == [0]
    assert found[0].key == 3


def test_journals_of_another_model_are_refused(folder):
    with pytest.raises(JournalMismatch, match="belongs to a batch on models/gemini-3.7-flash, not on models/other"):
        shelf_of(folder, "models/other").find([1])


def test_a_torn_end_and_an_empty_journal_are_passed_over(folder):
    journal = folder / "aa" / "aa.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    (folder / "bb" / "cc.jsonl").write_bytes(b"")
    assert len(shelf_of(folder).find([digest("say 1")] * 3)) == 2
    journal.write_bytes(whole)
    assert len(shelf_of(folder).find([digest("say 1")] * 3)) == 3
    assert len([*read_journal(journal)]) == 4
