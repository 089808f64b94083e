"""HintLine: what to do next, or the last message, at the top of the dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy

from napari_seggpt.session import FrameStatus
from napari_seggpt.ui.widgets.style import with_links
from napari_seggpt.ui.work.messages import Message, Tone

if TYPE_CHECKING:
    from napari_seggpt.ui.widgets.style import Tones


class HintLine(QFrame):
    """A sentence with a coloured edge; links in it can be clicked."""

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
        self._label.setMinimumHeight(2 * self.fontMetrics().lineSpacing() + 4)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 4, 4, 4)
        layout.addWidget(self._label)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Maximum)
        self._tones: Tones | None = None
        self._message = Message(text="")

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
        edge = {
            Tone.HINT: colors.accent,
            Tone.GOOD: colors.statuses[FrameStatus.APPROVED],
            Tone.WARNING: colors.warning,
            Tone.ERROR: colors.error,
        }[self._message.tone]
        sheet = (
            f"HintLine {{ background: {colors.foreground.name()};"
            f" border: none; border-left: 4px solid {edge.name()}; }}"
            f"QLabel {{ background: transparent; color: {colors.text.name()}; }}"
        )
        if sheet != self.styleSheet():
            self.setStyleSheet(sheet)
