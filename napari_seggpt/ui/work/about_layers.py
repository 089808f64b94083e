"""about: what a session says of the layers it is of, to choose the same again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_seggpt.io.layout import normalize_unit
from napari_seggpt.session.store.contents import About, LabelsAxes
from napari_seggpt.ui.layers.class_names import class_names
from napari_seggpt.ui.layers.new_labels import zarr_path

if TYPE_CHECKING:
    from napari_seggpt.ui.layers.layer_choice import LayerChoice
    from napari_seggpt.ui.work.layer_session import LayerSession


def with_pictures(choice: LayerChoice, about: About) -> LayerChoice:
    """Return a choice with the channels and the level that were worked with."""
    chosen = replace(choice, level=about.level)
    if about.channels and choice.channel_axis is not None:
        chosen = replace(chosen, channels=about.channels)
    try:
        chosen.stack()
    except ValueError:
        return choice
    return chosen


def labels_path(layer_session: LayerSession) -> str | None:
    """Return the zarr that labels are in; None if they are in memory."""
    path = zarr_path(layer_session.labels.layer.data)
    return None if path is None else str(path)


def about(layer_session: LayerSession) -> About:
    """Return what the window knows of a session."""
    layer, axes, choice = (
        layer_session.labels.layer,
        layer_session.labels.axes,
        layer_session.choice,
    )
    rows, columns = (at for at, x in enumerate(axes.index(0)) if isinstance(x, slice))
    units = [normalize_unit(str(unit)) for unit in layer.units]
    size = [abs(float(step)) for step in layer.scale]
    return About(
        name=str(layer_session.image.name),
        labels_name=str(layer.name),
        axis="t" if layer_session.frame_axis == "t" else "z",
        pixel_size=(
            size[axes.along[-1]] if axes.along else 1.0,
            size[rows],
            size[columns],
        ),
        units=(
            units[axes.along[-1]] if axes.along else "",
            units[rows],
            units[columns],
        ),
        classes=class_names(layer),
        channels=choice.channels,
        level=choice.level,
        labels_axes=LabelsAxes(
            axis=axes.along[-1] if axes.along else None,
            outer=axes.along[0] if len(axes.along) > 1 else None,
            times=axes.lengths[0] if len(axes.along) > 1 else None,
            fixed=axes.fixed,
        ),
    )
