"""Images, pairs and sequences of every kind, decided by a random generator alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.training.synthesis.anatomy import Chambers, Organs, Spine
from napari_seggpt.training.synthesis.canvas import Canvas
from napari_seggpt.training.synthesis.cells import Nuclei, PhaseCells, Rods
from napari_seggpt.training.synthesis.curves import Neurons, Vessels
from napari_seggpt.training.synthesis.histology import Histology
from napari_seggpt.training.synthesis.lesions import Lesion
from napari_seggpt.training.synthesis.materials import (
    Layers,
    Particles,
    Phases,
    Textures,
)
from napari_seggpt.training.synthesis.organelles import Organelles
from napari_seggpt.training.synthesis.tissue import Membranes, Rings
from napari_seggpt.training.synthesis.types import SimulatedImage

if TYPE_CHECKING:
    from napari_seggpt.training.synthesis.family import Family
    from napari_seggpt.training.synthesis.types import Scene

KINDS: dict[str, type[Family[Any]]] = {
    family.kind: family
    for family in (
        Nuclei,
        PhaseCells,
        Rods,
        Membranes,
        Rings,
        Organelles,
        Histology,
        Vessels,
        Neurons,
        Organs,
        Chambers,
        Spine,
        Lesion,
        Particles,
        Phases,
        Textures,
        Layers,
    )
}

_LEAST_LABELLED = 0.002  # share of the pixels of an image worth showing
_TRIES = 8


def simulate(
    rng: np.random.Generator, *, size: int = 160, kind: str | None = None
) -> SimulatedImage:
    """Simulate one image of a kind, or of any."""
    (image,) = _images(rng, size, kind, count=1)
    return image


def simulate_pair(
    rng: np.random.Generator, *, size: int = 160, kind: str | None = None
) -> tuple[SimulatedImage, SimulatedImage]:
    """Simulate two images of one look: same meaning of the labels, other layout."""
    first, second = _images(rng, size, kind, count=2)
    return first, second


def simulate_sequence(
    rng: np.random.Generator, *, kind: str | None = None, length: int, size: int = 160
) -> list[SimulatedImage]:
    """Simulate a time lapse or z-stack: objects drift, deform and keep their ids."""
    family = _family(rng, size, kind)
    layout = family.arrange(rng, size)
    seed = int(rng.integers(2**63))
    frames = []
    for time in range(length):
        canvas = Canvas(rng=np.random.default_rng(seed), size=size, phase=0.15 * time)
        scene = family.paint(layout, canvas)
        canvas.rng = np.random.default_rng((seed, time))
        frames.append(_recorded(family, scene, canvas))
        layout = family.advance(layout, rng)
    return frames


def _family(rng: np.random.Generator, size: int, kind: str | None) -> Family[Any]:
    if kind is None:
        kind = str(rng.choice(list(KINDS)))
    if kind not in KINDS:
        raise ValueError(f"Expected a kind out of {', '.join(KINDS)}, got {kind!r}.")
    return KINDS[kind](rng, size)


def _images(
    rng: np.random.Generator, size: int, kind: str | None, *, count: int
) -> list[SimulatedImage]:
    """Images of one look, every one of them with labels."""
    for _ in range(_TRIES):
        family = _family(rng, size, kind)
        images = [_image(family, rng, size) for _ in range(count)]
        if all(image.labels.any() for image in images):
            break
    return images


def _image(family: Family[Any], rng: np.random.Generator, size: int) -> SimulatedImage:
    for _ in range(_TRIES):
        canvas = Canvas(rng=rng, size=size)
        scene = family.paint(family.arrange(rng, size), canvas)
        if np.count_nonzero(scene.labels) >= _LEAST_LABELLED * size**2:
            break
    return _recorded(family, scene, canvas)


def _recorded(family: Family[Any], scene: Scene, canvas: Canvas) -> SimulatedImage:
    return SimulatedImage(
        image=family.appearance.record(scene.picture, canvas),
        labels=scene.labels,
        label_kind=family.label_kind,
        kind=family.kind,
    )
