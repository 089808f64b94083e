"""HintLine: what to do next, or the last message, at the top of the dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QSizePolicy

from napari_seggpt.session import FrameStatus
from napari_seggpt.ui.widgets.style import with_links
from napari_seggpt.ui.work.messages import Message, Tone

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_seggpt.ui.widgets.style import Tones

NUM_LINES, LOW_LINES = 4, 3  # that are seen at once; the second in a low window


class HintLine(QFrame):
    """A sentence with a coloured edge; links in it can be clicked.

    Its height is the same for every text, so that nothing below it moves; a long one
    scrolls.
    """

    link_clicked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._label = QLabel()
        self._label.setWordWrap(True)
        self._label.setTextFormat(Qt.TextFormat.RichText)
        self._label.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextBrowserInteraction
        )
        self._label.linkActivated.connect(self.link_clicked)
        self._label.setAccessibleName("What to do next")
        self._label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self._area = QScrollArea()
        self._area.setWidget(self._label)
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 2, 2, 2)
        layout.addWidget(self._area)
        self._row = layout
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.set_low(False)
        self._tones: Tones | None = None
        self._message = Message(text="")

    def set_low(self, is_low: bool) -> None:
        """Take less height, or as much as usual."""
        lines = LOW_LINES if is_low else NUM_LINES
        self.setFixedHeight(lines * self.fontMetrics().lineSpacing() + 8)

    def add_corner(self, widget: QWidget) -> None:
        """Show a small control in the upper right corner."""
        self._row.addWidget(widget, 0, Qt.AlignmentFlag.AlignTop)

    @property
    def text(self) -> str:
        """The message that is shown, as rich text."""
        return self._message.text

    def show_message(self, message: Message) -> None:
        """Show a message."""
        self._message = message
        self._paint()

    def set_tones(self, colors: Tones) -> None:
        """Show it in the colours of another theme."""
        self._tones = colors
        self._paint()

    def _paint(self) -> None:
        colors = self._tones
        if colors is None:
            return
        text = with_links(self._message.text, colors)
        if text != self._label.text():
            self._label.setText(text)
            self._area.verticalScrollBar().setValue(0)
        edge = {
            Tone.HINT: colors.accent,
            Tone.GOOD: colors.statuses[FrameStatus.APPROVED],
            Tone.WARNING: colors.warning,
            Tone.ERROR: colors.error,
        }[self._message.tone]
        sheet = (
            f"HintLine {{ background: {colors.foreground.name()};"
            f" border: none; border-left: 4px solid {edge.name()}; }}"
            "QScrollArea, QScrollArea > QWidget > QWidget { background: transparent; }"
            f"QLabel {{ background: transparent; color: {colors.text.name()};"
            " margin: 0px; padding: 0px; }"  # else napari's, which cost half a line
        )
        if sheet != self.styleSheet():
            self.setStyleSheet(sheet)
