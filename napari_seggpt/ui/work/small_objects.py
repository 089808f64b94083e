"""Objects of references that are too small for the model, and tiles against that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_seggpt.inference.tiling import make_tiles
from napari_seggpt.model.cards import model_config
from napari_seggpt.session import FrameStatus

if TYPE_CHECKING:
    from napari_seggpt.session import Reference, Session
    from napari_seggpt.ui.work.previews import Preview
    from napari_seggpt.ui.work.workspace import Workspace


def too_small(workspace: Workspace) -> Preview | None:
    """Return the preview with the smallest object, if tiles would show it better."""
    smallest = _smallest(workspace)
    if smallest is None or smallest.scale is None:
        return None
    return None if workspace.settings.prediction.tiling.enabled else smallest


def num_tiles(workspace: Workspace) -> int:
    """Return how many of these tiles a frame would be cut into."""
    smallest, active = too_small(workspace), workspace.active
    if smallest is None or smallest.scale is None or active is None:
        return 1
    settings = workspace.settings
    tiling = replace(settings.prediction.tiling, enabled=True, scale=smallest.scale)
    size = model_config(settings.model).tile_size
    return len(make_tiles(active.labels.frame_shape, size, tiling))


def use_tiles(workspace: Workspace) -> None:
    """Cut frames into tiles in which the smallest object is large enough."""
    smallest, settings = too_small(workspace), workspace.settings
    if smallest is None or smallest.scale is None:
        return
    tiling = replace(settings.prediction.tiling, enabled=True, scale=smallest.scale)
    prediction = replace(settings.prediction, tiling=tiling)
    workspace.settings = replace(settings, prediction=prediction)
    workspace.show_message(
        "Frames are cut into tiles now, which takes longer. Predict one frame to see "
        "whether it is better; Model and settings switches it off."
    )


def _smallest(workspace: Workspace) -> Preview | None:
    """Return the preview of the reference in use that has the smallest object."""
    active = workspace.active
    if active is None:
        return None
    drawn = [
        each
        for each in active.session.references.all
        if each.enabled and is_drawn(each, active.session)
    ]
    known = [x for each in drawn if (x := active.previews.get(each)) is not None]
    return min(known, key=lambda preview: preview.side, default=None)


def is_drawn(reference: Reference, session: Session) -> bool:
    """Whether a person drew all of a reference: predicted labels may have specks."""
    if reference.frame is None:
        return True
    return session.frames.status(reference.frame) is FrameStatus.REFERENCE
