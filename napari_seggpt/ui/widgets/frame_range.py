"""FrameRange: the first and the last frame of a range."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QSpinBox, QWidget
from superqt.utils import signals_blocked

from napari_seggpt.ui.widgets.controls import SPACING, compact_spin


class FrameRange(QWidget):
    """Two spin boxes; `changed` is emitted when a person chooses other frames."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.from_spin, self.to_spin = QSpinBox(), QSpinBox()
        self.from_spin.setPrefix("from ")
        self.from_spin.setToolTip("The first frame of the range.")
        self.to_spin.setPrefix("to ")
        self.to_spin.setToolTip("The last frame of the range.")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACING)
        for spin in (self.from_spin, self.to_spin):
            compact_spin(spin).setKeyboardTracking(False)
            spin.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)  # there is no room
            spin.valueChanged.connect(lambda _: self.changed.emit())
            row.addWidget(spin, 1)

    @property
    def frames(self) -> tuple[int, int]:
        """The first frame, and the one after the last."""
        first = self.from_spin.value()
        return first, max(first, self.to_spin.value()) + 1

    def offer(self, length: int) -> None:
        """Offer all frames of a stack."""
        self._fill(0, max(0, length - 1), length)

    def show_frames(self, start: int, stop: int | None) -> None:
        """Show a range that somebody else has chosen, of the frames offered."""
        length = self.to_spin.maximum() + 1
        stop = length if stop is None else stop
        if self.frames != (start, stop):  # else a person is typing it
            self._fill(start, stop - 1, length)

    def _fill(self, first: int, last: int, length: int) -> None:
        for spin, value in ((self.from_spin, first), (self.to_spin, last)):
            with signals_blocked(spin):
                spin.setRange(0, max(0, length - 1))
                spin.setValue(value)
