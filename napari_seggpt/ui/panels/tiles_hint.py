"""TilesHint: says that objects are too small for the model, and offers tiles."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel

from napari_seggpt.session import FrameStatus
from napari_seggpt.ui.widgets.controls import button

if TYPE_CHECKING:
    from napari_seggpt.session import Reference, Session
    from napari_seggpt.ui.widgets.style import Tones
    from napari_seggpt.ui.work.previews import Preview
    from napari_seggpt.ui.work.workspace import Workspace


class TilesHint(QFrame):
    """A box that is shown while objects of references are too small for the model.

    Attributes
    ----------
    tiles_button : QPushButton
        Switches tiles on.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._label = QLabel()
        self._label.setWordWrap(True)
        self.tiles_button = button("Use tiles", _TILES, self._use_tiles)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 2, 2, 2)
        layout.addWidget(self._label, 1)
        layout.addWidget(self.tiles_button)
        workspace.settings_changed.connect(self.refresh)

    def refresh(self) -> None:
        """Show the box if it is needed."""
        smallest = self._smallest()
        settings = self._workspace.settings.prediction.tiling
        is_needed = smallest is not None and smallest.scale is not None
        self.setVisible(is_needed and not settings.enabled)
        if smallest is not None:
            self._label.setText(
                f"Smallest objects: {smallest.side:.1f} pixels wide for the model, "
                "which squeezes frames and may miss them."
            )

    def set_tones(self, colors: Tones) -> None:
        """Paint in the colours of another theme."""
        self.setStyleSheet(
            f"QFrame {{ border-left: 4px solid {colors.warning.name()};"
            f" background: {colors.foreground.name()}; }}"
            "QLabel { border: none; background: transparent; }"
        )

    def _smallest(self) -> Preview | None:
        """Return the preview of the reference in use that has the smallest object."""
        active = self._workspace.active
        if active is None:
            return None
        drawn = [
            each
            for each in active.session.references.all
            if each.enabled and is_drawn(each, active.session)
        ]
        known = [x for each in drawn if (x := active.previews.get(each)) is not None]
        return min(known, key=lambda preview: preview.side, default=None)

    def _use_tiles(self) -> None:
        smallest, settings = self._smallest(), self._workspace.settings
        if smallest is None or smallest.scale is None:
            return
        tiling = replace(settings.prediction.tiling, enabled=True, scale=smallest.scale)
        prediction = replace(settings.prediction, tiling=tiling)
        self._workspace.settings = replace(settings, prediction=prediction)
        self._workspace.show_message(
            "Frames are cut into tiles now, which takes longer. Advanced settings "
            "switch it off."
        )


def is_drawn(reference: Reference, session: Session) -> bool:
    """Whether a person drew all of a reference: predicted labels may have specks."""
    if reference.frame is None:
        return True
    return session.frames.status(reference.frame) is FrameStatus.REFERENCE


_TILES = "Cut frames into overlapping tiles, so that the model sees small objects."
