"""Where the frames are, told when the viewer shows another place of the layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.ui.layers.labels_watcher import axes_left
from napari_seggpt.ui.work.axis_words import places_in_words

if TYPE_CHECKING:
    from napari_seggpt.ui.work.layer_session import LayerSession


def place_left(active: LayerSession) -> str | None:
    """Return where on other axes the frames are, if the viewer shows another place."""
    left = {at + _num_missing(active) for at in _axes_left(active)}
    if left.isdisjoint(dict(active.choice.fixed)):
        return None
    return places_in_words(active.image, active.choice.fixed)


def channel_left(active: LayerSession) -> dict[int, int]:
    """Return axis and index of the labels where they lie, if another channel is shown.

    Labels of all channels lie at one of them. Those that the dock makes span all, but
    others that have the axis do not, as napari makes them.
    """
    at, missing = active.choice.channel_axis, _num_missing(active)
    left = _axes_left(active)
    return {} if at is None or at - missing not in left else {at - missing: 0}


def _axes_left(active: LayerSession) -> set[int]:
    return axes_left(active.labels.layer, active.labels.axes)


def _num_missing(active: LayerSession) -> int:
    """Return how many of the image's first axes the labels lack."""
    return int(active.image.ndim - active.labels.layer.ndim)
