"""The stacks of sample_data/, with their labels; also as napari sample data."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    LayerData = tuple[NDArray[np.integer[Any]], dict[str, Any], str]

_RESOURCES = "napari_seggpt_resources"
METADATA_KEY = "napari-seggpt"  # of what the dock knows of a layer


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleStack:
    """One stack of sample_data/ and where to begin with it."""

    name: str
    title: str
    axis: Literal["t", "z"]  # what the first axis of the stack is
    reference: int  # the frame whose labels start the work
    classes: Mapping[int, str]  # label id -> name
    scale: tuple[float, float, float]  # of the stack's axis, rows and columns
    units: tuple[str, str, str]

    @property
    def path(self) -> Path:
        """The stack (T or Z, H, W)."""
        return sample_path(f"{self.name}.tif")

    @property
    def labels_path(self) -> Path:
        """The true labels of every frame (T or Z, H, W)."""
        return sample_path(f"{self.name}_labels.tif")


SAMPLES: Mapping[str, SampleStack] = MappingProxyType(
    {
        "cells": SampleStack(
            name="cells",
            title="Dividing cells, fluorescence over time",
            axis="t",
            reference=0,
            classes={1: "nucleus"},
            scale=(300.0, 0.65, 0.65),
            units=("s", "µm", "µm"),
        ),
        "membranes": SampleStack(
            name="membranes",
            title="Cell membranes in neural tissue, electron microscopy",
            axis="z",
            reference=10,
            classes={1: "membrane"},
            scale=(0.03, 0.008, 0.008),
            units=("µm", "µm", "µm"),
        ),
        "organs": SampleStack(
            name="organs",
            title="Liver and spleen, computed tomography",
            axis="z",
            reference=12,
            classes={1: "liver", 2: "spleen"},
            scale=(5.0, 1.4, 1.4),
            units=("mm", "mm", "mm"),
        ),
    }
)


def sample_path(filename: str) -> Path:
    """Find a file of sample_data/, in the repository or the installed package."""
    for folder in _folders():
        path = folder / filename
        if path.is_file():
            return path
    raise FileNotFoundError(f"Expected {filename} in sample_data/, found none.")


def _folders() -> list[Path]:
    repository = Path(__file__).resolve().parents[1]
    folders = []
    if (repository / "pyproject.toml").is_file():
        folders.append(repository / "sample_data")
    installed = find_spec(_RESOURCES)
    if installed is not None:
        places = installed.submodule_search_locations or ()
        folders.extend(Path(place) / "sample_data" for place in places)
    return folders


def cells() -> list[LayerData]:
    """Dividing cells, with the labels of their reference frame."""
    return _layers(SAMPLES["cells"])


def membranes() -> list[LayerData]:
    """Cell membranes, with the labels of their reference frame."""
    return _layers(SAMPLES["membranes"])


def organs() -> list[LayerData]:
    """Liver and spleen, with the labels of their reference frame."""
    return _layers(SAMPLES["organs"])


def _layers(sample: SampleStack) -> list[LayerData]:
    import tifffile

    image = tifffile.imread(sample.path)
    truth = tifffile.imread(sample.labels_path)
    labels = np.zeros_like(truth)
    labels[sample.reference] = truth[sample.reference]
    grid = {
        "scale": sample.scale,
        "units": sample.units,
        "axis_labels": (sample.axis, "y", "x"),
    }
    about = {"labels_of": sample.name, "names": dict(sample.classes)}
    extra = {"name": f"{sample.name} labels", "metadata": {METADATA_KEY: about}}
    return [
        (image, {"name": sample.name, **grid}, "image"),
        (labels, {**extra, **grid}, "labels"),
    ]
