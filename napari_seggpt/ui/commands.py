"""The dock's acts as napari commands: in its command palette, and for other plugins.

Without the dock they open it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.viewer import Viewer  # noqa: TC002 (napari looks it up to hand it over)

from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.work import actions
from napari_seggpt.ui.work.links import PLUGIN

if TYPE_CHECKING:
    from napari_seggpt.ui.work.workspace import Workspace


def _workspace(viewer: Viewer) -> Workspace:
    dock = SegGPTWidget.of(viewer)
    if dock is None:
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN)
    return dock.workspace


def predict_frame(viewer: Viewer) -> None:
    """Predict the current frame."""
    actions.start_run(_workspace(viewer), "frame")


def propagate(viewer: Viewer) -> None:
    """Predict the frames that are chosen in the dock; during a run, pause or go on."""
    actions.run_or_pause(_workspace(viewer))


def update_stale(viewer: Viewer) -> None:
    """Predict again the frames that are out of date."""
    actions.start_run(_workspace(viewer), "stale")


def stop(viewer: Viewer) -> None:
    """End the run; what was predicted stays."""
    actions.stop_run(_workspace(viewer))


def undo_run(viewer: Viewer) -> None:
    """Undo the last run."""
    actions.undo_run(_workspace(viewer))


def toggle_reference(viewer: Viewer) -> None:
    """Make the current frame a reference, or one no longer."""
    actions.toggle_reference(_workspace(viewer))


def toggle_approval(viewer: Viewer) -> None:
    """Approve the current frame, or take that back."""
    actions.toggle_approval(_workspace(viewer))


def next_to_review(viewer: Viewer) -> None:
    """Go to the next frame that nobody has looked at."""
    actions.review_next(_workspace(viewer))


def previous_to_review(viewer: Viewer) -> None:
    """Go to the frame before that nobody has looked at."""
    actions.review_previous(_workspace(viewer))
