"""Pictures of labels on frames, since people would rather look."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.segmentation import find_boundaries

from napari_seggpt.io.drafts import draft
from napari_seggpt.preprocessing import resize_labels, resize_rgb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

OPACITY = 0.45
PANEL = 320  # pixels of the longer side of a panel
CAPTION = 24
COLUMNS = 4
GOLDEN = 0.618034  # steps of hue that never come close to each other


def label_color(number: int) -> tuple[int, int, int]:
    """Return a bright 8-bit colour for a label id, the same in every picture."""
    hue = (0.08 + GOLDEN * (number - 1)) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_overlay(
    rgb: NDArray[np.uint8], labels: NDArray[np.integer[Any]]
) -> NDArray[np.uint8]:
    """Lay labels (H, W) over a picture (H, W, 3): tinted, with their outlines."""
    ids, places = np.unique(labels, return_inverse=True)
    table = np.array([label_color(int(i)) if i else (0, 0, 0) for i in ids])
    tint = table[places.reshape(labels.shape)]
    opacity = np.where(labels == 0, 0.0, OPACITY)[..., None]
    opacity[find_boundaries(labels, mode="inner")] = 1.0
    return np.rint(rgb * (1 - opacity) + tint * opacity).astype(np.uint8)


def draw_sheet(
    panels: Sequence[tuple[str, NDArray[np.uint8], NDArray[np.integer[Any]]]],
) -> Image.Image:
    """Draw captioned panels of picture (H, W, 3) and labels (H, W) side by side.

    The picture is above, the overlay below it.
    """
    size = _panel_size(panels[0][1].shape[:2])
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    cell_height = CAPTION + 2 * size[0]
    sheet = Image.new("RGB", (columns * size[1], rows * cell_height), "white")
    for number, (caption, rgb, labels) in enumerate(panels):
        left = (number % columns) * size[1]
        top = (number // columns) * cell_height
        _draw_panel(sheet, (left, top), size, caption, rgb, labels)
    return sheet


def _panel_size(shape: tuple[int, int]) -> tuple[int, int]:
    scale = PANEL / max(shape)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _draw_panel(
    sheet: Image.Image,
    corner: tuple[int, int],
    size: tuple[int, int],
    caption: str,
    rgb: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
) -> None:
    left, top = corner
    small, small_labels = resize_rgb(rgb, size), resize_labels(labels, size)
    font = ImageFont.load_default(size=14)
    ImageDraw.Draw(sheet).text((left + 6, top + 4), caption, fill="black", font=font)
    sheet.paste(Image.fromarray(small), (left, top + CAPTION))
    overlay = Image.fromarray(draw_overlay(small, small_labels))
    sheet.paste(overlay, (left, top + CAPTION + size[0]))


def save_sheet(
    path: Path,
    panels: Sequence[tuple[str, NDArray[np.uint8], NDArray[np.integer[Any]]]],
) -> None:
    """Write `draw_sheet` as an image file, whole; its ending says which kind."""
    with draft(path) as new:
        draw_sheet(panels).save(new)
