"""Tables made of characters."""

from hypothesis import given
from hypothesis import strategies as st

from gemtune.show.table import aligned

CELL = st.text("abc", max_size=60)


@given(st.integers(1, 5).flatmap(lambda columns: st.lists(st.tuples(*[CELL] * columns), min_size=1, max_size=8)))
def test_every_cell_begins_where_the_others_of_its_column_begin(rows):
    starts = [0]
    for column in list(zip(*rows, strict=True))[:-1]:
        starts.append(starts[-1] + max(map(len, column)) + 2)
    for row, line in zip(rows, aligned(rows), strict=True):
        padded = line.ljust(200)
        assert all(padded[start:].startswith(cell) for start, cell in zip(starts, row, strict=True))
        assert line == line.rstrip()


def test_a_table_without_rows_is_empty():
    assert aligned([]) == []
