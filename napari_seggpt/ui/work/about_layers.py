"""about: what a session says of the layers it is of, to choose the same again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_seggpt.io.layout import normalize_unit
from napari_seggpt.session.store.contents import About, LabelsAxes
from napari_seggpt.ui.layers.class_names import class_names
from napari_seggpt.ui.layers.layer_choice import mixable
from napari_seggpt.ui.layers.new_labels import zarr_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Layer

    from napari_seggpt.ui.layers.layer_choice import LayerChoice
    from napari_seggpt.ui.work.layer_session import LayerSession


def with_pictures(
    choice: LayerChoice, about: About, layers: Iterable[Layer]
) -> LayerChoice:
    """Return a choice with the channels, level and layers that were worked with.

    Parameters
    ----------
    choice : LayerChoice
        With an image.
    about : About
        What a session says of them.
    layers : iterable of Layer
        Those that there are, to be mixed with it.
    """
    chosen = replace(choice, level=about.level)
    if about.channels and choice.channel_axis is not None:
        chosen = replace(chosen, channels=about.channels)
    if about.mixed is not None and choice.image is not None:
        by_name = {str(layer.name): layer for layer in mixable(choice.image, layers)}
        mixed = (by_name[name] for name in about.mixed if name in by_name)
        chosen = replace(chosen, mixed=tuple(mixed))
    try:
        chosen.stack()
    except ValueError:
        return choice
    return chosen


def missing_layers(choice: LayerChoice, about: About) -> list[str]:
    """Return the names of layers that were mixed with the image, and are not now."""
    mixed = {str(layer.name) for layer in choice.mixed}
    return [name for name in about.mixed or () if name not in mixed]


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
        mixed=tuple(str(layer.name) for layer in choice.mixed),
        labels_axes=LabelsAxes(
            axis=axes.along[-1] if axes.along else None,
            outer=axes.along[0] if len(axes.along) > 1 else None,
            times=axes.lengths[0] if len(axes.along) > 1 else None,
            fixed=axes.fixed,
        ),
    )
