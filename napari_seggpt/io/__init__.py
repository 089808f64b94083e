"""Stacks read one frame at a time, and label stacks written one frame at a time."""

from napari_seggpt.io.labels import LabelsWriter
from napari_seggpt.io.layout import StackError, normalize_unit
from napari_seggpt.io.readers import open_stack, read_frame
from napari_seggpt.io.stacks import Stack, array_stack
from napari_seggpt.io.writers import create_labels, reopen_labels

__all__ = [
    "LabelsWriter",
    "Stack",
    "StackError",
    "array_stack",
    "create_labels",
    "normalize_unit",
    "open_stack",
    "read_frame",
    "reopen_labels",
]
