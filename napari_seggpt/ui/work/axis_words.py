"""What the dock calls the axes of a layer, with names or without."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_seggpt.ui.layers.frame_axes import axes_of, axis_names, stack_axes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Layer

    from napari_seggpt.ui.layers.frame_axes import Along

_UNNAMED = re.compile(r"\baxis (\d+)\b")  # as `stack_axes` calls an axis


def in_words(layer: Layer, text: str) -> str:
    """Return a text that names axes, in which those without a name are found by people.

    Nobody sees the number of an axis. A person knows the only one that frames can run
    along as that of the frames, and of several each by its slider, at whose left end
    napari shows a number that is counted from the last axis.

    Parameters
    ----------
    layer : Layer
        The layer whose axes are named.
    text : str
        With names as `stack_axes` gives them, such as "axis 0: 12".

    Returns
    -------
    str
        Such as "frames: 12", or "slider -4: 12".
    """
    names = axis_names(layer)
    is_lone = len(stack_axes(layer)) == 1

    def word(found: re.Match[str]) -> str:
        at = int(found[1])
        if at >= len(names) or names[at] is not None:
            return found[0]
        return "frames" if is_lone else f"slider {at - len(names)}"

    return _UNNAMED.sub(word, text)


def axes_in_words(layer: Layer, axis: Along) -> str:
    """Return the names of the axes that frames run along, such as "t and z"."""
    names = dict(stack_axes(layer))
    return in_words(layer, " and ".join(names.get(at, "") for at in axes_of(axis)))


def places_in_words(layer: Layer, places: Iterable[tuple[int, int]]) -> str:
    """Return indices on axes in words, such as "z 12" or "slider -4 at 12"."""
    names = dict(stack_axes(layer))
    words = ((in_words(layer, names.get(at, "")), index) for at, index in places)
    return ", ".join(
        f"{name} {index}" if len(name) == 1 else f"{name} at {index}"
        for name, index in words
    )
