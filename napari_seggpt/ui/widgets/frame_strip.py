"""FrameStrip: one cell a frame, coloured by status; click to go there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_seggpt.frames import FrameGrid
from napari_seggpt.session import PROTECTED, FrameStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QKeyEvent, QMouseEvent, QPaintEvent

    from napari_seggpt.ui.widgets.style import Tones

# Where several frames share a pixel, the status that comes last here is shown.
STATUS_ORDER = (
    FrameStatus.EMPTY,
    FrameStatus.PREDICTED,
    FrameStatus.APPROVED,
    FrameStatus.STALE,
    FrameStatus.CORRECTED,
    FrameStatus.REFERENCE,
)
STATUS_CODES = {status: code for code, status in enumerate(STATUS_ORDER)}
STRIP_HEIGHT = 38
MARKER_SIZE = 6  # pixels of the triangle over the current frame
PROTECTED_BAR_HEIGHT = 4  # pixels of the bar under frames that are protected
SCALE_WIDTH = 26  # pixels beside the cells, where the scale of the confidence stands
MARK_HEIGHT = 4  # pixels of the mark on frames that are less sure than the limit
MIN_WIDTH_WITH_GAPS = 5  # pixels of a cell, from which on there are gaps between cells


class FrameStrip(QWidget):
    """Shows the status and confidence of every frame of a stack, however many.

    Cells are coloured by status; those that no run may write have a bar below. A line
    shows the confidence of predictions, with its scale beside it; those below the limit
    have a mark above. A triangle shows the current frame.

    Attributes
    ----------
    limit : float
        The confidence below which frames are marked; 0 marks none.
    """

    frame_clicked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._codes: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._confidence: NDArray[np.float32] = np.zeros(0, np.float32)
        self._grid = FrameGrid.row(0)
        self._current: int | None = None
        self.limit = 0.0
        self._tones: Tones | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(STRIP_HEIGHT)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName("Frames")

    # -- what is shown -------------------------------------------------------------

    def set_tones(self, colors: Tones) -> None:
        """Paint in the colours of another theme."""
        self._tones = colors
        self.update()

    def reset(self, length: int, grid: FrameGrid | None = None) -> None:
        """Show a stack of empty frames; a line parts the rows of a grid."""
        self._grid = grid or FrameGrid.row(length)
        self._codes = np.zeros(length, np.uint8)
        self._confidence = np.full(length, np.nan, np.float32)
        self._current = None
        self.update()

    def set_frame(
        self, frame: int, status: FrameStatus, confidence: float | None
    ) -> None:
        """Show what is known of one frame."""
        self._codes[frame] = STATUS_CODES[status]
        self._confidence[frame] = np.nan if confidence is None else confidence
        self.update()

    def set_limit(self, limit: float) -> None:
        """Mark the frames that are less sure than a limit; 0 marks none."""
        self.limit = limit
        self.update()

    @property
    def num_unsure(self) -> int:
        """How many frames are less sure than the limit."""
        return int((self._confidence < self.limit).sum())  # NaN is not

    def set_current(self, frame: int | None) -> None:
        """Mark the current frame."""
        if frame != self._current:
            self._current = frame
            self.update()

    def count(self, status: FrameStatus) -> int:
        """Return how many frames have a status."""
        return int((self._codes == STATUS_CODES[status]).sum())

    def __len__(self) -> int:
        return len(self._codes)

    def __bool__(self) -> bool:
        return True  # not only if there are frames

    def sizeHint(self) -> QSize:
        """Return the size that is best."""
        return QSize(280, STRIP_HEIGHT)

    # -- places --------------------------------------------------------------------

    @property
    def cells_width(self) -> int:
        """The pixels that the cells share."""
        return max(1, self.width() - SCALE_WIDTH)

    def frame_at(self, x: float) -> int | None:
        """Return the frame under a horizontal place."""
        if not len(self):
            return None
        return min(len(self) - 1, max(0, int(x * len(self) / self.cells_width)))

    def center_of(self, frame: int) -> float:
        """Return the horizontal middle of a frame's cell."""
        return (frame + 0.5) * self.cells_width / max(1, len(self))

    # -- painting ------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint cells, confidence and the current frame."""
        if self._tones is None:
            return
        painter = QPainter(self)
        height = self.height() - MARKER_SIZE - 1
        area = QRectF(0, MARKER_SIZE + 1, self.cells_width, height)
        if len(self):
            self._paint_cells(painter, area, self._tones)
            self._paint_rows(painter, area, self._tones)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_confidence(painter, area, self._tones)
            self._paint_current(painter, area, self._tones)
        else:
            painter.setPen(QPen(self._tones.primary, 1, Qt.PenStyle.DashLine))
            painter.drawRect(area.adjusted(0.5, 0.5, -1, -1))
        if self.hasFocus():
            painter.setPen(QPen(self._tones.accent, 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(area.adjusted(0.5, 0.5, -1, -1))
        painter.end()

    def _paint_cells(self, painter: QPainter, area: QRectF, colors: Tones) -> None:
        edges, codes = cells(self._codes, self.cells_width)
        least = lowest(self._confidence, len(codes))
        gap = 1 if area.width() / len(codes) >= MIN_WIDTH_WITH_GAPS else 0
        for left, right, code, confidence in zip(
            edges[:-1], edges[1:], codes, least, strict=True
        ):
            status = STATUS_ORDER[code]
            cell = QRectF(left, area.top(), max(1, right - left - gap), area.height())
            painter.fillRect(cell, colors.statuses[status])
            if status in PROTECTED:
                bar = QRectF(
                    cell.left(),
                    cell.bottom() - PROTECTED_BAR_HEIGHT,
                    cell.width(),
                    PROTECTED_BAR_HEIGHT,
                )
                painter.fillRect(bar, colors.text)
            if confidence < self.limit:
                mark = QRectF(cell.left(), cell.top(), cell.width(), MARK_HEIGHT)
                painter.fillRect(mark, colors.error)

    def _paint_rows(self, painter: QPainter, area: QRectF, colors: Tones) -> None:
        """Part the rows of a grid, such as the volumes of a film."""
        rows, columns = self._grid.shape
        if not self._grid.has_two_axes or area.width() / rows < MIN_WIDTH_WITH_GAPS:
            return
        painter.setPen(QPen(colors.text, 2))
        for row in range(1, rows):
            x = round(row * columns * self.cells_width / len(self))
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))

    def _paint_confidence(self, painter: QPainter, area: QRectF, colors: Tones) -> None:
        edges, _ = cells(self._codes, self.cells_width)
        values = lowest(self._confidence, len(edges) - 1)
        known = np.flatnonzero(~np.isnan(values))
        if not len(known):
            return
        # Not from 0, so that small differences can be seen.
        low = min(0.9, float(values[known].min()), self.limit or 0.9)
        room = area.height() - PROTECTED_BAR_HEIGHT - 6
        heights = area.top() + 3 + room * (1 - (values - low) / max(1e-6, 1 - low))
        path = QPainterPath()
        for cell, before in zip(known, [-2, *known[:-1]], strict=True):
            point = QPointF((edges[cell] + edges[cell + 1]) / 2, float(heights[cell]))
            if cell - before > 1:
                path.moveTo(point)
                path.lineTo(point + QPointF(0.1, 0))
            else:
                path.lineTo(point)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(0, 0, 0, 190), 1.6))
        painter.drawPath(path)
        self._paint_scale(painter, area, colors, low)

    def _paint_scale(
        self, painter: QPainter, area: QRectF, colors: Tones, low: float
    ) -> None:
        """Write what the top and the bottom of the line stand for; show the limit."""
        font = painter.font()
        font.setPixelSize(10)
        painter.setFont(font)
        painter.setPen(colors.muted)
        beside = area.adjusted(area.width() + 3, 0, SCALE_WIDTH, -PROTECTED_BAR_HEIGHT)
        left = Qt.AlignmentFlag.AlignLeft
        for end, text in (
            (Qt.AlignmentFlag.AlignTop, "1"),
            (Qt.AlignmentFlag.AlignBottom, f"{low:.2f}"),
        ):
            painter.drawText(beside, int(left | end), text)
        if self.limit:
            room = area.height() - PROTECTED_BAR_HEIGHT - 6
            y = area.top() + 3 + room * (1 - (self.limit - low) / max(1e-6, 1 - low))
            painter.setPen(QPen(colors.error, 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))

    def _paint_current(self, painter: QPainter, area: QRectF, colors: Tones) -> None:
        if self._current is None or self._current >= len(self):
            return
        wide = max(3.0, self.cells_width / len(self))
        middle = self.center_of(self._current)
        place = min(max(middle, MARKER_SIZE), self.cells_width - MARKER_SIZE)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.text)
        tip = QPointF(middle, MARKER_SIZE + 1)
        corners = [
            QPointF(place - MARKER_SIZE, 0),
            QPointF(place + MARKER_SIZE, 0),
            tip,
        ]
        painter.drawPolygon(QPolygonF(corners))
        frame = QRectF(middle - wide / 2, area.top(), wide, area.height())
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colors.text, 1.5))
        painter.drawRect(frame.adjusted(0.5, 0.5, -1, -1))

    # -- mouse and keys ------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go to the frame that is clicked."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._go_to(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Say what is under the mouse; go along while the button is held."""
        if event is None:
            return
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._go_to(event)
            return
        frame = self.frame_at(event.position().x())
        if frame is not None:
            place = event.globalPosition().toPoint()
            QToolTip.showText(place, self.describe(frame), self)

    def _go_to(self, event: QMouseEvent) -> None:
        frame = self.frame_at(event.position().x())
        if frame is not None and frame != self._current:
            self.frame_clicked.emit(frame)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Step with the arrow keys."""
        if event is None:
            return
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        step = steps.get(Qt.Key(event.key()))
        if step is None or self._current is None:
            super().keyPressEvent(event)
            return
        frame = self._current + step
        if 0 <= frame < len(self):
            self.frame_clicked.emit(frame)

    def leaveEvent(self, event: QEvent | None) -> None:
        """Hide the tooltip."""
        QToolTip.hideText()
        super().leaveEvent(event)

    def describe(self, frame: int) -> str:
        """Return status and confidence of a frame in words."""
        status = STATUS_ORDER[self._codes[frame]]
        parts = [f"Frame {self._grid.name(frame)}: {word(status)}"]
        if not np.isnan(self._confidence[frame]):
            parts.append(f"confidence {self._confidence[frame]:.2f}")
        if status in PROTECTED:
            parts.append("no run writes it")
        return ", ".join(parts)


def word(status: FrameStatus, count: int = 1) -> str:
    """Return the status of some frames in words for people."""
    if status is FrameStatus.STALE:
        return "out of date"
    is_plural = status is FrameStatus.REFERENCE and count > 1
    return f"{status.value}s" if is_plural else status.value


def cells(
    codes: NDArray[np.uint8], width: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the edges (N + 1,) of cells in pixels and what each shows (N,).

    Where there are more frames than pixels, a cell is a pixel, and of its frames the
    highest code is shown.
    """
    count = min(len(codes), max(1, width))
    starts = np.arange(count) * len(codes) // count
    edges = np.rint(np.linspace(0, width, count + 1)).astype(np.int64)
    return edges, np.maximum.reduceat(codes, starts)


def lowest(confidence: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return the lowest known confidence of each of so many cells, NaN without any."""
    starts = np.arange(count) * len(confidence) // count
    return np.fmin.reduceat(confidence, starts)


def legend(strip: FrameStrip, colors: Tones, statuses: Iterable[FrameStatus]) -> str:
    """Return, as rich text, how many frames have each status, in its colour."""
    parts = [
        f'<span style="color:{colors.statuses[status].name()}">&#9632;</span>'
        f"&nbsp;{count}&nbsp;{word(status, count).replace(' ', '&nbsp;')}"
        for status in statuses
        if (count := strip.count(status))
    ]
    return " &nbsp; ".join(parts)
