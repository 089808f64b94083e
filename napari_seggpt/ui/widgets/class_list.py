"""ClassList: the labels that references have, with colours, names and locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qtpy.QtGui import QKeyEvent

    from napari_seggpt.ui.widgets.style import Tones

ROW_HEIGHT = 20
MIN_ROWS, USUAL_ROWS, MAX_ROWS = 1, 2, 8  # that are seen without scrolling
MAX_SHOWN_LABELS = 200
LABEL, NAME, LOCKED = range(3)


class ClassList(QTreeWidget):
    """Shows the labels in use; click to paint with one, double-click to name it."""

    # Ids are handed to Qt as objects and text: its integers hold 32 or 64 bits, signed.
    chosen = Signal(object)
    named = Signal(object, str)
    locked = Signal(object, bool)

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[object, ...] = ()
        self._is_changing = False
        self.setColumnCount(3)
        self.setHeaderLabels(["Label", "Name (double-click)", "Locked"])
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setAllColumnsShowFocus(True)
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
        )
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setToolTip(
            "Click a label to paint with it, double-click its name to change that. A "
            "locked label keeps its pixels on every frame, whatever is predicted."
        )
        self.setAccessibleName("Labels in use")
        header = self.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(20)
        modes = QHeaderView.ResizeMode
        for column, mode in (
            (LABEL, modes.ResizeToContents),
            (NAME, modes.Stretch),
            (LOCKED, modes.ResizeToContents),
        ):
            header.setSectionResizeMode(column, mode)
        self.set_rows(USUAL_ROWS)
        self.itemClicked.connect(self._on_clicked)
        self.itemChanged.connect(self._on_changed)

    def set_tones(self, colors: Tones) -> None:
        """Paint in the colours of another theme."""
        self.setStyleSheet(
            f"QTreeWidget {{ background: {colors.foreground.name()}; border: none; }}"
            f"QTreeWidget::item {{ height: {ROW_HEIGHT - 2}px; padding: 0px; }}"
            f"QTreeWidget::item:selected {{ background: {colors.primary.name()};"
            f" color: {colors.text.name()}; }}"
            f"QTreeWidget::indicator {{ width: 13px; height: 13px; border: 1px solid"
            f" {colors.muted.name()}; border-radius: 2px; background: transparent; }}"
            f"QTreeWidget::indicator:checked {{ background: {colors.accent.name()}; }}"
            f"QHeaderView::section {{ background: {colors.foreground.name()};"
            f" color: {colors.muted.name()}; border: none; padding: 1px 4px;"
            " font-size: 8pt; }"
        )

    def take(self, spare: int) -> None:
        """Take the pixels that are left over, or give some if too few are there."""
        rows = USUAL_ROWS + spare // ROW_HEIGHT
        self.set_rows(min(MAX_ROWS, max(MIN_ROWS, rows)))

    def set_rows(self, rows: int) -> None:
        """Leave room for so many labels, however many there are; others scroll."""
        self.setFixedHeight(rows * ROW_HEIGHT + self.header().sizeHint().height() + 2)

    def show_labels(
        self,
        labels: Sequence[int],
        colors: Mapping[int, QColor],
        names: Mapping[int, str],
        locked: frozenset[int],
    ) -> None:
        """Show labels, of many the first ones."""
        shown = (list(labels[:MAX_SHOWN_LABELS]), dict(colors), dict(names), locked)
        if shown == self._shown:
            return
        if self._is_changing:  # Qt needs the row that is being changed
            QTimer.singleShot(0, lambda: self._show(*shown))
        else:
            self._show(*shown)

    def _show(
        self,
        shown: list[int],
        colors: dict[int, QColor],
        names: dict[int, str],
        locked: frozenset[int],
    ) -> None:
        self._shown = (shown, colors, names, locked)
        self.blockSignals(True)
        current = self.currentItem()
        chosen = None if current is None else _label_of(current)
        self.clear()
        for label in shown:
            item = QTreeWidgetItem([str(label), names.get(label, ""), ""])
            item.setIcon(LABEL, _swatch(colors[label]))
            item.setFlags(
                Qt.ItemFlag.ItemIsEnabled
                | Qt.ItemFlag.ItemIsSelectable
                | Qt.ItemFlag.ItemIsEditable
                | Qt.ItemFlag.ItemIsUserCheckable
            )
            is_locked = label in locked
            state = Qt.CheckState.Checked if is_locked else Qt.CheckState.Unchecked
            item.setCheckState(LOCKED, state)
            self.addTopLevelItem(item)
            if label == chosen:
                self.setCurrentItem(item)
        self.blockSignals(False)

    def edit(self, index: Any, *args: Any) -> Any:
        """Edit names only."""
        if args and index.column() != NAME:
            return False
        return super().edit(index, *args)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Hand letters on to the keys of the dock; the list would search for them."""
        if event is not None and event.text().isalpha():
            event.ignore()
        else:
            super().keyPressEvent(event)

    def _on_clicked(self, item: QTreeWidgetItem, column: int) -> None:
        if column != LOCKED:
            self.chosen.emit(_label_of(item))

    def _on_changed(self, item: QTreeWidgetItem, column: int) -> None:
        self._is_changing = True
        self._tell(item, column)
        self._is_changing = False

    def _tell(self, item: QTreeWidgetItem, column: int) -> None:
        label = _label_of(item)
        if column == NAME:
            self.named.emit(label, item.text(NAME).strip())
        elif column == LOCKED:
            is_on = item.checkState(LOCKED) == Qt.CheckState.Checked
            self.locked.emit(label, is_on)


def _label_of(item: QTreeWidgetItem) -> int:
    return int(item.text(LABEL))


def _swatch(color: QColor) -> QIcon:
    pixmap = QPixmap(12, 12)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawRoundedRect(0, 0, 12, 12, 3, 3)
    painter.end()
    return QIcon(pixmap)
