"""What a simulated image is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32 in fact
Labels = NDArray[np.uint16]
LabelKind = Literal["instance", "semantic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedImage:
    """A simulated image with exact labels."""

    image: NDArray[np.uint8]  # (H, W) or (H, W, 3)
    labels: Labels  # (H, W), 0 is background
    label_kind: LabelKind
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a family paints, before the microscope: values of about 0 to 1."""

    picture: Floats  # (H, W) or (H, W, 3)
    labels: Labels  # (H, W)
