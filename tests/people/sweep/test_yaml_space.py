"""A space in YAML says the same as in Python."""

import sys

import pytest

from gemtune.errors import InvalidInput, SettingsError
from gemtune.sweep.dimension import ValueList, ValueRange
from gemtune.sweep.space import SweepSpace, read_space


def test_a_yaml_file_says_lists_and_ranges(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("epoch_count: [2, 4]\nlearning_rate: {low: 1e-4, high: 1e-2, log: true}\n")
    assert SweepSpace.of(read_space(file)).dimensions == {
        "epoch_count": ValueList((2, 4)),
        "learning_rate": ValueRange(low=1e-4, high=1e-2, log=True),
    }
    file.write_text("- epoch_count: 2\n- epoch_count: 4\n")
    assert [*SweepSpace.of(read_space(file))] == [{"epoch_count": 2}, {"epoch_count": 4}]


def test_what_a_yaml_file_says_twice_or_wrong_is_refused(tmp_path):
    file = tmp_path / "space.yml"
    file.write_text("epoch_count: [2]\nepoch_count: [4]\n")
    with pytest.raises(InvalidInput, match=r"space\.yml has epoch_count twice"):
        read_space(file)
    file.write_text("epoch_count: [2\n")
    with pytest.raises(InvalidInput, match=r"space\.yml is not YAML"):
        read_space(file)
    file.write_text("!!python/object/apply:os.getcwd []\n")
    with pytest.raises(InvalidInput, match=r"space\.yml is not YAML"):
        read_space(file)


def test_yaml_without_its_library_says_what_to_do(tmp_path, monkeypatch):
    file = tmp_path / "space.yaml"
    file.write_text("epoch_count: [2]\n")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(SettingsError, match=r"needs PyYAML; run pip install 'gemtune\[cli\]', or write it as JSON"):
        read_space(file)
