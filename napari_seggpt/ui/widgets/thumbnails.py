"""Thumbnails: the references side by side; click to go there, tick to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QModelIndex, QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPen, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QListView,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
)
from superqt.utils import signals_blocked

from napari_seggpt.ui.widgets.controls import as_tooltip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qtpy.QtCore import QAbstractItemModel
    from qtpy.QtGui import QKeyEvent, QMouseEvent, QPaintEvent
    from qtpy.QtWidgets import QStyleOptionViewItem

    from napari_seggpt.ui.widgets.style import Tones

PICTURE_SIDE = 44
CAPTION_HEIGHT = 16
SCORE_HEIGHT = 14  # of the strip over a picture that has the score
TICK_SIDE = 14
MARGIN = 3
BAR_HEIGHT = 12  # room for a scroll bar
KEY_ROLE = Qt.ItemDataRole.UserRole
MARK_ROLE = Qt.ItemDataRole.UserRole + 1  # whether it is the current frame
SCORE_ROLE = Qt.ItemDataRole.UserRole + 2  # how well it fits the others, as text


class Thumbnails(QListWidget):
    """References as pictures with a caption and a tick.

    `chosen` has the key of the one that is clicked, `ticked` key and state, `removed`
    the key of the one on which the Delete key is pressed.
    """

    chosen = Signal(object)
    ticked = Signal(object, bool)
    removed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(False)
        self.setMovement(QListView.Movement.Static)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setSpacing(2)
        self.setUniformItemSizes(True)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setAccessibleName("References")
        self.delegate = _ThumbnailDelegate(self)
        self.setItemDelegate(self.delegate)
        self.itemClicked.connect(lambda item: self.chosen.emit(item.data(KEY_ROLE)))
        self.itemActivated.connect(lambda item: self.chosen.emit(item.data(KEY_ROLE)))
        self.itemChanged.connect(self._on_changed)
        self.setToolTip(_ABOUT)
        self._is_low = False
        # Queued: the list may be in the middle of counting where its items lie.
        self.horizontalScrollBar().rangeChanged.connect(
            self._take_height, Qt.ConnectionType.QueuedConnection
        )
        self._take_height()

    def set_low(self, is_low: bool) -> None:
        """Leave room for a scroll bar only while there is one, or always.

        Always is better, since nothing below then moves when one comes.
        """
        self._is_low = is_low
        self._take_height()

    def _take_height(self, *_: int) -> None:
        has_bar = self.horizontalScrollBar().maximum() > 0
        bar = BAR_HEIGHT if has_bar or not self._is_low else 0
        self.setFixedHeight(self.delegate.size.height() + 8 + bar)

    def set_tones(self, colors: Tones) -> None:
        """Paint in the colours of another theme."""
        self.delegate.tones = colors
        self.setStyleSheet(
            f"QListWidget {{ background: {colors.foreground.name()};"
            " border: none; border-radius: 2px; }"
        )
        self.viewport().update()

    def keys(self) -> list[object]:
        """Return the keys of what is shown, in order."""
        return [self.item(row).data(KEY_ROLE) for row in range(self.count())]

    def show_keys(self, keys: list[Any]) -> None:
        """Show the references with some keys; those that stay keep their pictures."""
        if keys == self.keys():
            return
        with signals_blocked(self):
            kept = {}
            while self.count():
                item = self.takeItem(0)
                kept[item.data(KEY_ROLE)] = item
            for key in keys:
                item = kept.get(key)
                if item is None:
                    item = QListWidgetItem()
                    item.setData(KEY_ROLE, key)
                self.addItem(item)

    def show_reference(
        self, row: int, *, caption: str, tooltip: str, is_on: bool, score: str = ""
    ) -> None:
        """Set caption, tooltip, tick and score of one of them."""
        item = self.item(row)
        with signals_blocked(self):
            item.setText(caption)
            item.setData(SCORE_ROLE, score)
            item.setToolTip(as_tooltip(tooltip))
            item.setFlags(
                Qt.ItemFlag.ItemIsEnabled
                | Qt.ItemFlag.ItemIsSelectable
                | Qt.ItemFlag.ItemIsUserCheckable
            )
            item.setCheckState(
                Qt.CheckState.Checked if is_on else Qt.CheckState.Unchecked
            )

    def mark(self, key: object) -> None:
        """Mark the one with a key, if there is one."""
        with signals_blocked(self):
            for row, here in enumerate(self.keys()):
                self.item(row).setData(MARK_ROLE, here == key)
        self.viewport().update()

    def show_picture(self, row: int, picture: NDArray[np.uint8] | None) -> None:
        """Show the picture (h, w, 3) of one of them."""
        with signals_blocked(self):
            pixmap = None if picture is None else _pixmap(picture)
            self.item(row).setData(Qt.ItemDataRole.DecorationRole, pixmap)
        self.viewport().update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the references, or say that there is none."""
        super().paintEvent(event)
        if self.count() or self.delegate.tones is None:
            return
        painter = QPainter(self.viewport())
        painter.setPen(self.delegate.tones.muted)
        flags = int(Qt.AlignmentFlag.AlignCenter) | int(Qt.TextFlag.TextWordWrap)
        painter.drawText(self.viewport().rect().adjusted(8, 0, -8, 0), flags, _NONE)
        painter.end()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Remove with Delete; letters are keys of the dock, not a search."""
        if event is None:
            return
        item = self.currentItem()
        deletes = event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
        if deletes and item is not None:
            self.removed.emit(item.data(KEY_ROLE))
        elif event.text().isalpha():
            event.ignore()
        else:
            super().keyPressEvent(event)

    def sizeHint(self) -> QSize:
        """Return the size that is best."""
        return QSize(200, self.delegate.size.height() + 8 + BAR_HEIGHT)

    def _on_changed(self, item: QListWidgetItem) -> None:
        is_on = item.checkState() == Qt.CheckState.Checked
        self.ticked.emit(item.data(KEY_ROLE), is_on)


class _ThumbnailDelegate(QStyledItemDelegate):
    """Paints a reference: picture, tick in its corner, caption below."""

    def __init__(self, parent: Thumbnails) -> None:
        super().__init__(parent)
        self.tones: Tones | None = None
        self.size = QSize(
            PICTURE_SIDE + 2 * MARGIN, PICTURE_SIDE + CAPTION_HEIGHT + 2 * MARGIN
        )

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return self.size

    def paint(
        self,
        painter: QPainter | None,
        option: QStyleOptionViewItem,
        index: QModelIndex,
    ) -> None:
        colors = self.tones
        if painter is None or colors is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        is_on = self._is_on(index)
        cell = option.rect.adjusted(1, 1, -1, -1)
        if index.data(MARK_ROLE):
            painter.setPen(QPen(colors.text, 1.5))
            painter.drawRoundedRect(cell, 3, 3)
        elif option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(colors.accent, 1.5))
            painter.drawRoundedRect(cell, 3, 3)
        picture = self._picture_area(option.rect)
        self._paint_picture(painter, picture, index, is_on)
        self._paint_score(painter, picture, str(index.data(SCORE_ROLE) or ""))
        caption = QRect(
            option.rect.left() + 2, option.rect.bottom() - CAPTION_HEIGHT - 1,
            option.rect.width() - 4, CAPTION_HEIGHT,
        )  # fmt: skip
        painter.setPen(colors.text if is_on else colors.muted)
        text = painter.fontMetrics().elidedText(
            str(index.data()), Qt.TextElideMode.ElideMiddle, caption.width()
        )
        painter.drawText(caption, int(Qt.AlignmentFlag.AlignCenter), text)
        self._paint_tick(painter, self._tick_area(option.rect), is_on, colors)
        painter.restore()

    def _paint_picture(
        self, painter: QPainter, area: QRect, index: QModelIndex, is_on: bool
    ) -> None:
        pixmap = index.data(Qt.ItemDataRole.DecorationRole)
        painter.fillRect(area, QColor(0, 0, 0, 60))
        if not isinstance(pixmap, QPixmap):
            return
        size = pixmap.size().scaled(area.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect(area.topLeft(), size)
        place.moveCenter(area.center())
        painter.setOpacity(1.0 if is_on else 0.35)
        painter.drawPixmap(place, pixmap)
        painter.setOpacity(1.0)

    def _paint_score(self, painter: QPainter, picture: QRect, score: str) -> None:
        """Paint the score over the picture: below it there is no room for both."""
        if not score:
            return
        strip = picture.adjusted(0, picture.height() - SCORE_HEIGHT, 0, 0)
        painter.fillRect(strip, QColor(0, 0, 0, 170))
        painter.setPen(QColor("white"))
        painter.drawText(strip, int(Qt.AlignmentFlag.AlignCenter), score)

    def _paint_tick(
        self, painter: QPainter, area: QRect, is_on: bool, colors: Tones
    ) -> None:
        painter.setPen(QPen(QColor(255, 255, 255, 230), 1))
        painter.setBrush(colors.accent if is_on else QColor(0, 0, 0, 150))
        painter.drawRoundedRect(area, 3, 3)
        if is_on:
            painter.setPen(QPen(QColor("white"), 2))
            x, y, side = area.x(), area.y(), area.width()
            painter.drawLine(
                x + side // 4, y + side // 2, x + side // 2 - 1, y + 3 * side // 4
            )
            painter.drawLine(
                x + side // 2 - 1, y + 3 * side // 4, x + 4 * side // 5, y + side // 4
            )

    def editorEvent(
        self,
        event: QEvent | None,
        model: QAbstractItemModel | None,
        option: QStyleOptionViewItem,
        index: QModelIndex,
    ) -> bool:
        """Switch the tick when it is clicked, or with the space bar."""
        if event is None or model is None:
            return False
        if event.type() == QEvent.Type.KeyPress:
            if event.key() != Qt.Key.Key_Space:
                return False
        elif not self._hits_tick(event, option.rect):
            return False
        elif event.type() != QEvent.Type.MouseButtonRelease:
            return True  # the click is not one on the picture
        state = Qt.CheckState.Unchecked if self._is_on(index) else Qt.CheckState.Checked
        return bool(model.setData(index, state, Qt.ItemDataRole.CheckStateRole))

    def _hits_tick(self, event: QEvent | QMouseEvent, cell: QRect) -> bool:
        kinds = (
            QEvent.Type.MouseButtonPress,
            QEvent.Type.MouseButtonRelease,
            QEvent.Type.MouseButtonDblClick,
        )
        if event.type() not in kinds:
            return False
        area = self._tick_area(cell).adjusted(-3, -3, 3, 3)
        return bool(area.contains(event.position().toPoint()))

    def _is_on(self, index: QModelIndex) -> bool:
        state = index.data(Qt.ItemDataRole.CheckStateRole)
        return state in (Qt.CheckState.Checked, Qt.CheckState.Checked.value, 2)

    def _picture_area(self, cell: QRect) -> QRect:
        return QRect(
            cell.left() + MARGIN, cell.top() + MARGIN, PICTURE_SIDE, PICTURE_SIDE
        )

    def _tick_area(self, cell: QRect) -> QRect:
        return QRect(
            cell.left() + MARGIN + 2, cell.top() + MARGIN + 2, TICK_SIDE, TICK_SIDE
        )


_NONE = "Frames that you paint appear here: the examples for the model."
_ABOUT = (
    "The examples that the model is shown. Click one to go to its frame; the tick "
    "switches it on and off."
)


def _pixmap(picture: NDArray[np.uint8]) -> QPixmap:
    height, width = picture.shape[:2]
    image = QImage(
        picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888
    )
    return QPixmap.fromImage(image.copy())
