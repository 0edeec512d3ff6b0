"""Frames and data sets of other libraries as data sets: what is read of them is what a file would give."""

import pandas as pd
import polars as pl
import pytest

from gemtune.datasets import check, convert, estimate, load, sample, split, stats

ROWS = [{"id": n, "question": f"What is {n} in Roman numerals?", "answer": "x" * n} for n in range(1, 41)]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}


class HuggingFace:
    """What a ``datasets.Dataset`` shows of itself: rows as dicts, names, a shape, and no columns."""

    def __init__(self, rows=ROWS):
        self._rows = rows
        self.column_names = list(rows[0])
        self.shape = (len(rows), len(rows[0]))
        self.features = dict.fromkeys(rows[0])

    def __len__(self):
        return len(self._rows)

    def __iter__(self):
        return iter(self._rows)

    def __getitem__(self, place):
        return self._rows[place] if isinstance(place, int) else [row[place] for row in self._rows]

    def to_dict(self):
        return COLUMNS


SOURCES = {
    "rows": ROWS,
    "columns": COLUMNS,
    "pandas": pd.DataFrame(ROWS),
    "polars": pl.DataFrame(ROWS),
    "hugging face": HuggingFace(),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_every_frame_is_the_same_data_set(source):
    expected = [*load(ROWS)]
    data = load(source)
    assert [*data] == expected
    assert (data.layout, data.method) == ("pairs", "supervised")
    assert check(source).counts == {"few_examples": 1, "left_out": 1}
    assert stats(source) == stats(ROWS)
    assert estimate(source, epochs=2, prices=3.0) == estimate(ROWS, epochs=2, prices=3.0)
    assert [*convert(source, to="openai")] == [*convert(ROWS, to="openai")]
    assert split(source, seed=3).rows == split(ROWS, seed=3).rows
    assert [*sample(source, 5)] == [*sample(ROWS, 5)]


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, HuggingFace], ids=["pandas", "polars", "hugging face"])
def test_chats_in_a_frame_are_chats(kind):
    turns = [{"role": "user", "content": "H2O?"}, {"role": "assistant", "content": "water"}]
    data = load(kind([{"messages": turns}, {"messages": turns}]))
    assert data.layout == "openai"
    assert [example["contents"][1]["parts"] for example in data] == [[{"text": "water"}]] * 2


def test_preferences_in_a_frame_are_preferences():
    frame = pd.DataFrame([{"prompt": "a", "chosen": "b", "rejected": "c"}])
    assert load(frame).method == "preference"
    assert next(iter(convert(frame, to="openai")))["preferred_output"] == [{"role": "assistant", "content": "b"}]


@pytest.mark.parametrize("name", ["rows", "pandas", "polars", "hugging face"])
def test_a_part_of_a_frame_is_written_with_all_its_columns(name, tmp_path):
    few = sample(SOURCES[name], 3)
    assert few.write(tmp_path / "few.csv") == 3
    assert few.write(tmp_path / "few.jsonl") == 3
    table = pd.read_csv(tmp_path / "few.csv")
    assert [*table.columns] == ["id", "question", "answer"]
    assert pd.read_json(tmp_path / "few.jsonl", lines=True)["id"].tolist() == table["id"].tolist()
