"""The names of classes, which a labels layer keeps in its metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.sample_data import METADATA_KEY

if TYPE_CHECKING:
    from napari.layers import Labels


def class_names(layer: Labels) -> dict[int, str]:
    """Return the names of labels that a layer keeps in its metadata."""
    about = layer.metadata.get(METADATA_KEY, {})
    names = about.get("names", {}) if isinstance(about, dict) else {}
    return {int(label): str(name) for label, name in names.items()}


def name_class(layer: Labels, label: int, name: str) -> None:
    """Keep the name of a label in the metadata of a layer."""
    about = dict(layer.metadata.get(METADATA_KEY, {}))
    names = class_names(layer)
    names.pop(label, None)
    about["names"] = {**names, label: name} if name else names
    layer.metadata = {**layer.metadata, METADATA_KEY: about}
