"""What the file of a layer calls its axes, which napari's own reader does not tell."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari_seggpt.io.layout import (
    FRAME_AXES,
    MAYBE_CHANNELS,
    MAYBE_COLORS,
    UNNAMED,
    StackError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_seggpt.io.layout import Layout

    Names = list[str | None]

DOUBTFUL = (UNNAMED, MAYBE_CHANNELS, MAYBE_COLORS)

_layouts: WeakKeyDictionary[Layer, Layout | None] = WeakKeyDictionary()


def file_axis_names(layer: Layer) -> Names | None:
    """Return the lower-case names of a layer's axes in the TIFF that it was read from.

    The file is read once for a layer.

    Returns
    -------
    list of str or None, or None
        A name for each axis of the layer, None for one without; None in all if there is
        no such file, it names no axis that frames run along, or the layer has data of
        another shape by now.
    """
    if layer not in _layouts:
        _layouts[layer] = _read_layout(layer.source.path)
    layout = _layouts[layer]
    if layout is None:
        return None
    names = _of_lengths(layout, axis_lengths(layer)) or []
    *leading, row, column = names if len(names) > 2 else (None, None)
    # napari shows the last two axes, whatever they are.
    return names if any(leading) and (row, column) == FRAME_AXES else None


def axis_lengths(layer: Layer) -> list[int]:
    """Return how long each axis of a layer's data is; colours are no axis."""
    return [int(high - low) + 1 for low, high in layer.extent.data.T]


def _read_layout(source: str | None) -> Layout | None:
    if source is None:
        return None
    # Here, since the dock opens sooner without them.
    from napari_seggpt.io.folder import TIFF_SUFFIXES
    from napari_seggpt.io.tiff import TiffSource

    if not source.lower().endswith(TIFF_SUFFIXES):
        return None
    try:
        with closing(TiffSource(Path(source))) as file:
            return file.layout
    except (OSError, StackError):  # napari could read it; only its names are missing
        return None


def _of_lengths(layout: Layout, lengths: Sequence[int]) -> Names | None:
    """Return a name for each axis of these lengths; axes of length 1 may lack."""
    named: Names = []
    rest = list(zip(layout.axes, layout.shape, strict=True))
    for length in lengths:
        while rest and rest[0][1] != length and rest[0][1] == 1:
            rest.pop(0)
        if not rest or rest[0][1] != length:
            return None
        name = rest.pop(0)[0]
        named.append(None if name in DOUBTFUL else name)
    return named if all(length == 1 for name, length in rest if name != "s") else None
