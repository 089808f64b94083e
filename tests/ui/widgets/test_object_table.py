"""A table of numbers: sorted as numbers, and the row that is clicked."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_seggpt.ui.widgets.object_table import MAX_COLUMN_WIDTH, ObjectTable


@pytest.fixture
def table(qtbot):
    table = ObjectTable()
    qtbot.addWidget(table)
    table.show_columns(
        ["frame", "id", "bright"],
        [np.array([2, 10, 1]), np.array([7, 5, 90]), np.array([0.5, 12.25, 3.0])],
    )
    return table


def rows(table):
    shape = table.model().rowCount(), table.model().columnCount()
    return [
        [table.cell_text(row, at) for at in range(shape[1])] for row in range(shape[0])
    ]


def test_a_name_is_read_whole_if_it_is_not_too_long(table, qtbot):
    ones = np.arange(3)
    columns = [np.array(["mitochondrion", "", "x"]), *[ones] * 6]
    table.show_columns(["class", *"abcdef"], columns)
    table.resize(330, 200)
    table.show()
    qtbot.wait(20)
    width = table.fontMetrics().horizontalAdvance("mitochondrion")
    assert table.columnWidth(0) > width
    table.show_columns(["class", *"abcdef"], [np.array(["x" * 99] * 3), *[ones] * 6])
    assert table.columnWidth(0) <= MAX_COLUMN_WIDTH


def test_numbers_are_sorted_as_numbers(table):
    assert rows(table) == [["1", "90", "3"], ["2", "7", "0.5"], ["10", "5", "12.25"]]
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert [row[1] for row in rows(table)] == ["90", "7", "5"]


def test_the_row_that_is_clicked_is_told_whatever_the_order(table):
    chosen = []
    table.chosen.connect(chosen.append)
    table.clicked.emit(table.model().index(0, 0))
    table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    table.clicked.emit(table.model().index(0, 2))
    assert chosen == [2, 1]


def test_other_objects_are_sorted_as_the_last_ones_were(table):
    table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    table.show_columns(["frame", "id"], [np.array([1, 2]), np.array([9, 3])])
    assert rows(table) == [["2", "3"], ["1", "9"]]


def test_large_numbers_are_shown_whole(table):
    ids, bright = np.array([1_234_567]), np.array([1_234_567.5])
    table.show_columns(["id", "bright"], [ids, bright])
    assert rows(table) == [["1234567", "1234567.5"]]


def test_it_may_be_empty(table):
    table.show_columns([], [])
    assert rows(table) == []
