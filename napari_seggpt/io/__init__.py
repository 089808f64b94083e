"""Stacks read one frame at a time, and label stacks written one frame at a time.

The names are loaded when they are used: zarr and the readers take a while.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_seggpt.io.array_labels import ArrayLabels
    from napari_seggpt.io.drafts import draft
    from napari_seggpt.io.label_values import smallest_dtype
    from napari_seggpt.io.labels import LabelsWriter
    from napari_seggpt.io.layout import StackError, normalize_unit
    from napari_seggpt.io.painted import ColorIds
    from napari_seggpt.io.readers import open_stack, read_frame
    from napari_seggpt.io.stacks import Stack, array_stack
    from napari_seggpt.io.writers import (
        check_output,
        create_labels,
        object_dtype,
        reopen_labels,
    )

__all__ = [
    "ArrayLabels",
    "ColorIds",
    "LabelsWriter",
    "Stack",
    "StackError",
    "array_stack",
    "check_output",
    "create_labels",
    "draft",
    "normalize_unit",
    "object_dtype",
    "open_stack",
    "read_frame",
    "reopen_labels",
    "smallest_dtype",
]

_HOMES = {
    "ArrayLabels": "array_labels",
    "ColorIds": "painted",
    "LabelsWriter": "labels",
    "Stack": "stacks",
    "StackError": "layout",
    "array_stack": "stacks",
    "check_output": "writers",
    "create_labels": "writers",
    "draft": "drafts",
    "normalize_unit": "layout",
    "object_dtype": "writers",
    "open_stack": "readers",
    "read_frame": "readers",
    "reopen_labels": "writers",
    "smallest_dtype": "label_values",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
