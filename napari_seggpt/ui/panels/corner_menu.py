"""CornerMenu: exporting and help, in the corner of the dock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QMenu, QToolButton

from napari_seggpt.ui.keys import KEYS, key_text
from napari_seggpt.ui.panels.panel import NO_SESSION
from napari_seggpt.ui.work.exporting import Exporting
from napari_seggpt.ui.work.merging import Merging

if TYPE_CHECKING:
    from napari_seggpt.ui.work.workspace import Workspace

DOCUMENTATION = "https://github.com/napari-seggpt/napari-seggpt/blob/main/.docs"
MEANINGS = {
    "frame": "predict this frame",
    "propagate": "predict the chosen frames, pause, go on",
    "reference": "this frame is a reference, or no longer",
    "approve": "approve this frame, or take it back",
    "next": "next frame to look at",
    "previous": "previous frame to look at",
    "undo": "undo the last run",
}


class CornerMenu(QToolButton):
    """A button with a menu: export labels or a table, keys, help pages.

    Parameters
    ----------
    workspace : Workspace
        Whose labels are exported.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self.exporting, self.merging = Exporting(workspace), Merging(workspace)
        self.setText("\N{TRIGRAM FOR HEAVEN}")
        self.setToolTip("Export labels or a table of objects; keys and help.")
        self.setAccessibleName("Export and help")
        self.setProperty("role", "flat")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.export_action = menu.addAction("Export labels...", self._ask_for_labels)
        self.table_action = menu.addAction("Export a table...", self._ask_for_table)
        self.merge_action = menu.addAction("Merge labels by vote", self.merging.merge)
        menu.addSeparator()
        menu.addAction("Keys", self.show_keys)
        menu.addAction("Tutorial", lambda: _open("tutorial.md"))
        menu.addAction("When something goes wrong", lambda: _open("how-to/errors.md"))
        self.setMenu(menu)
        workspace.active_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Offer to export where there are labels."""
        has_session = self._workspace.active is not None
        for action, about in (
            (self.export_action, _EXPORT),
            (self.table_action, _TABLE),
            (self.merge_action, _MERGE),
        ):
            action.setEnabled(has_session)
            action.setToolTip(about if has_session else f"{NO_SESSION} {about}")

    def show_keys(self) -> None:
        """Say what the keys do."""
        self._workspace.show_message(
            "; ".join(f"{key_text(name)}: {MEANINGS[name]}" for name in KEYS) + "."
        )

    def _ask_for_labels(self) -> None:
        self._ask("Export labels", "labels.ome.tif", _LABEL_FILES)

    def _ask_for_table(self) -> None:
        self._ask("Export a table of objects", "objects.csv", "Tables (*.csv)")

    def _ask(self, title: str, name: str, kinds: str) -> None:
        path, _ = QFileDialog.getSaveFileName(self, title, name, kinds)
        if path:
            self.exporting.export(Path(path))


def _open(page: str) -> None:
    QDesktopServices.openUrl(QUrl(f"{DOCUMENTATION}/{page}"))


_LABEL_FILES = "OME-TIFF (*.ome.tif);;TIFF (*.tif);;OME-Zarr (*.ome.zarr)"
_EXPORT = "Write all labels to a file with the pixel size, for other programs."
_TABLE = "Write a row for each connected object: label, frame, area, place, shape."
_MERGE = (
    "Make a labels layer of all those that lie on this image: each pixel gets the "
    "label that most of them have. For classes, and a volume that was cut several ways."
)
