"""RoomMaker: folds sections of the dock for one that does not fit beside them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QScrollArea

    from napari_seggpt.ui.widgets.controls import FoldingSection

SETTLE_MS = 300  # in which the window is laid out after sections were folded


class RoomMaker:
    """Keeps a section in view that a person opens for a while.

    Where the window is too low for it, other sections are folded, one after the other,
    until it fits; they are open again when it is closed. The same is done when it shows
    more than before, but what a person has opened beside it stays open then. Their
    headers stay in view. If even that is not enough, the section is scrolled to the
    top.

    Parameters
    ----------
    area : QScrollArea
        What the sections lie in, one below the other.
    drawers : sequence of FoldingSection
        Sections that are opened for a while; of these one is open at a time, where
        there is no room.
    others : sequence of FoldingSection
        Those that may be folded for one, in this order.
    """

    def __init__(
        self,
        area: QScrollArea,
        drawers: Sequence[FoldingSection],
        others: Sequence[FoldingSection],
    ) -> None:
        self._area = area
        self._drawers, self._others = drawers, others
        self._folded: list[FoldingSection] = []
        self._wanted: list[FoldingSection] = []  # a person has opened them again
        self._opened: FoldingSection | None = None  # the last one
        self._is_at_work = False
        self._soon, self._scroll_soon = QTimer(area), QTimer(area)
        for timer, act in ((self._soon, self._make), (self._scroll_soon, self._scroll)):
            timer.setSingleShot(True)
            timer.setInterval(0)
            timer.timeout.connect(act)
        self._settling = QTimer(area)
        self._settling.setSingleShot(True)
        self._settling.setInterval(SETTLE_MS)
        bar = area.verticalScrollBar()
        if bar is not None:
            bar.rangeChanged.connect(self._on_range)
        for section in (*drawers, *others):
            section.folded.connect(partial(self._on_folded, section))
        for drawer in drawers:
            drawer.grown.connect(partial(self._on_grown, drawer))

    @property
    def folded(self) -> list[FoldingSection]:
        """The sections that are folded only because there is no room."""
        return list(self._folded)

    def make_soon(self) -> None:
        """Make room for the section that is open, once the window is laid out."""
        self._soon.start()

    def _make(self) -> None:
        drawer = next((each for each in self._drawers if each.is_open), None)
        if drawer is not None:
            self._make_for(drawer)

    def _on_folded(self, section: FoldingSection, is_folded: bool) -> None:
        if self._is_at_work:
            return
        if section in self._folded:  # a person has opened it again
            self._folded.remove(section)
            self._wanted.append(section)
        if section not in self._drawers:
            return
        if is_folded:
            self._give_back()
        else:
            self._wanted.clear()
            self._make_for(section)

    def _on_grown(self, drawer: FoldingSection) -> None:
        if drawer.is_open:
            self._make_for(drawer)

    def _make_for(self, drawer: FoldingSection) -> None:
        if not self._area.isVisible():
            return
        beside = [each for each in self._drawers if each is not drawer]
        for each in (*beside, *self._others):
            if self._fits():
                break
            if each.is_open and each not in self._wanted:
                if each not in self._drawers:
                    self._folded.append(each)  # before anyone is told of it
                self._set_open(each, False)
        self._opened = drawer
        self._settling.start()
        self._scroll_soon.start()

    def _give_back(self) -> None:
        """Open what was folded, as far as there is room for it."""
        if any(each.is_open for each in self._drawers):
            return
        folded, self._folded = self._folded, []
        self._wanted.clear()
        for each in folded:
            self._set_open(each, True)

    def _set_open(self, section: FoldingSection, is_open: bool) -> None:
        self._is_at_work = True
        try:
            section.set_open(is_open)
        finally:
            self._is_at_work = False

    def _fits(self) -> bool:
        """Whether all that is open is seen at once."""
        content, view = self._area.widget(), self._area.viewport()
        if content is None or view is None:
            return True
        for part in (*self._drawers, *self._others, content):
            layout = part.layout()
            if layout is not None:
                layout.activate()
        height = content.minimumSizeHint().height()
        if content.hasHeightForWidth():
            height = max(height, content.heightForWidth(view.width()))
        return height <= view.height()

    def _on_range(self, *_: int) -> None:
        """Scroll again: Qt lays out what was folded in several rounds."""
        if self._settling.isActive():
            self._scroll_soon.start()

    def _scroll(self) -> None:
        bar, drawer = self._area.verticalScrollBar(), self._opened
        if bar is not None and drawer is not None and drawer.is_open:
            bar.setValue(drawer.y() if bar.maximum() > 0 else 0)
