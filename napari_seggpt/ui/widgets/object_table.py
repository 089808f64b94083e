"""ObjectTable: rows of numbers that can be sorted, of which one is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QHeaderView,
    QTableView,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HEIGHT, ROW_HEIGHT = 180, 20  # pixels
DIGITS = 10  # of a number that is not whole
NOWHERE = QModelIndex()
MAX_COLUMN_WIDTH = 160  # pixels


class ObjectTable(QTableView):
    """A table of objects; `chosen` has the row of the one that is clicked."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._rows = _Rows((), [])
        self.setModel(self._rows)
        self.setSortingEnabled(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.verticalHeader().setVisible(False)
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setMaximumSectionSize(MAX_COLUMN_WIDTH)
        header.setSortIndicator(0, Qt.SortOrder.AscendingOrder)
        self.setMinimumHeight(HEIGHT)
        self.setToolTip("Click an object to go there, a heading to sort by it.")
        for corner in self.findChildren(QAbstractButton):
            corner.setToolTip("Select all objects.")
        self.clicked.connect(self._on_clicked)

    def show_columns(
        self, names: Sequence[str], columns: Sequence[NDArray[Any]]
    ) -> None:
        """Show columns (P,) of numbers or texts under their names."""
        self._rows = _Rows(names, columns)
        self.setModel(self._rows)
        header = self.horizontalHeader()
        modes = QHeaderView.ResizeMode
        for at, column in enumerate(columns):
            is_text = not np.issubdtype(column.dtype, np.number)  # numbers are short
            mode = modes.ResizeToContents if is_text else modes.Stretch
            header.setSectionResizeMode(at, mode)
        self._rows.sort(header.sortIndicatorSection(), header.sortIndicatorOrder())

    def cell_text(self, row: int, column: int) -> str:
        """Return what a cell shows."""
        return str(self._rows.data(self._rows.index(row, column)))

    def _on_clicked(self, index: QModelIndex) -> None:
        self.chosen.emit(self._rows.source_row(index.row()))


class _Rows(QAbstractTableModel):
    """Columns of arrays, in an order."""

    def __init__(self, names: Sequence[str], columns: Sequence[NDArray[Any]]) -> None:
        super().__init__()
        self._names = tuple(names)
        self._columns = tuple(columns)
        self._order = np.arange(len(columns[0]) if len(columns) else 0)

    def source_row(self, row: int) -> int:
        """Return which row of the arrays is shown at a place."""
        return int(self._order[row])

    def rowCount(self, parent: QModelIndex = NOWHERE) -> int:
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: QModelIndex = NOWHERE) -> int:
        return 0 if parent.isValid() else len(self._names)

    def data(
        self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole
    ) -> str | None:
        if role != Qt.ItemDataRole.DisplayRole or not index.isValid():
            return None
        value = self._columns[index.column()][self._order[index.row()]]
        is_float = isinstance(value, np.floating)
        return f"{value:.{DIGITS}g}" if is_float else str(value)

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> str | None:
        is_name = orientation == Qt.Orientation.Horizontal
        is_name = is_name and section < len(self._names)  # Qt asks for lost ones, too
        if role != Qt.ItemDataRole.DisplayRole or not is_name:
            return None
        return self._names[section]

    def sort(
        self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder
    ) -> None:
        if not 0 <= column < len(self._columns):
            return
        self.layoutAboutToBeChanged.emit()
        self._order = np.argsort(self._columns[column], kind="stable")
        if order == Qt.SortOrder.DescendingOrder:
            self._order = self._order[::-1]
        self.layoutChanged.emit()
