"""Any frame to an 8-bit RGB picture, to a model's input, and back to the frame's grid.

Pictures are 8-bit, as those the published network was trained on: resizing them is
then what the official code does, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from skimage.measure import label, regionprops_table

from napari_seggpt.settings import ContrastSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)
SAMPLED_PIXELS = 200_000  # a frame's percentiles are taken from so many pixels


class FrameError(ValueError):
    """A frame that is no picture: what was expected and what came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The values shown black and white, for each channel.

    Attributes
    ----------
    low, high : NDArray[np.float64]
        (C,); one entry serves all channels.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def check_frame(frame: NDArray[Any]) -> None:
    """Raise FrameError unless the frame is a picture that can be shown to a model."""
    if frame.ndim not in (2, 3):
        raise FrameError(
            f"Expected a frame (H, W) or (H, W, channels), got shape {frame.shape}."
        )
    if 0 in frame.shape:
        raise FrameError(f"Expected a frame with pixels, got shape {frame.shape}.")
    if not (np.issubdtype(frame.dtype, np.number) or frame.dtype == bool):
        raise FrameError(f"Expected a frame of numbers, got dtype {frame.dtype}.")
    if np.iscomplexobj(frame):
        raise FrameError(f"Expected a frame of real numbers, got dtype {frame.dtype}.")


def measure_limits(
    frames: Iterable[NDArray[Any]], settings: ContrastSettings | None = None
) -> Limits:
    """Find the contrast limits of some frames of a stack, a channel at a time.

    Parameters
    ----------
    frames : iterable of NDArray
        (H, W) or (H, W, C) each, all with equally many channels.
    settings : ContrastSettings, optional
        Fixed limits, or the percentiles to take. NaN and infinity are left out.

    Raises
    ------
    FrameError
        If a frame is no picture.
    """
    settings = settings or ContrastSettings()
    if settings.limits is not None:
        low, high = settings.limits
        return Limits(low=np.array([low], float), high=np.array([high], float))
    samples: list[NDArray[Any]] = []
    for frame in frames:
        check_frame(frame)
        if _is_rgb8(frame) or frame.dtype == bool:
            top = 255.0 if frame.dtype == np.uint8 else 1.0
            return Limits(low=np.zeros(1), high=np.array([top]))
        samples.append(_sample(frame))
    if not samples:
        raise FrameError(
            "Expected at least one frame to measure contrast on, got none."
        )
    return _percentile_limits(np.concatenate(samples), settings.percentiles)


def _is_rgb8(frame: NDArray[Any]) -> bool:
    return frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] in (3, 4)


def _sample(frame: NDArray[Any]) -> NDArray[np.float64]:
    """Return some of a frame's pixels (P, C), evenly spread."""
    pixels = frame.reshape(frame.shape[0] * frame.shape[1], -1)
    if _is_rgba(frame):
        pixels = pixels[:, :3]
    step = max(1, len(pixels) // SAMPLED_PIXELS)
    return pixels[::step].astype(np.float64)


def _is_rgba(frame: NDArray[Any]) -> bool:
    return frame.ndim == 3 and frame.shape[2] == 4 and frame.dtype == np.uint8


def _percentile_limits(
    pixels: NDArray[np.float64], percentiles: tuple[float, float]
) -> Limits:
    pixels = np.where(np.isfinite(pixels), pixels, np.nan)
    low, high = np.zeros(pixels.shape[1]), np.ones(pixels.shape[1])
    for channel in np.flatnonzero(np.isfinite(pixels).any(0)):
        values = pixels[:, channel]
        low[channel], high[channel] = np.nanpercentile(values, percentiles)
        if not low[channel] < high[channel]:  # sparse objects, or one flat value
            low[channel], high[channel] = np.nanmin(values), np.nanmax(values)
        if not low[channel] < high[channel]:
            high[channel] = low[channel] + 1.0
    return Limits(low=low, high=high)


def to_rgb(frame: NDArray[Any], limits: Limits) -> NDArray[np.uint8]:
    """Show a frame as an 8-bit RGB picture.

    Parameters
    ----------
    frame : NDArray
        (H, W), or (H, W, C) with C = 1 grey, 2 (red and green), 3, or 4 with the
        alpha left out in 8-bit RGBA; of more channels the first three are shown.
        Bool, integer or float; NaN becomes black, infinity black or white.
    limits : Limits
        What is black and white. Give the same for prompts and queries.

    Returns
    -------
    NDArray[np.uint8]
        (H, W, 3).

    Raises
    ------
    FrameError
        If the frame is no picture.
    """
    check_frame(frame)
    channels = frame[..., None] if frame.ndim == 2 else frame[..., :3]
    low, high = (_per_channel(x, channels.shape[2]) for x in (limits.low, limits.high))
    values = (channels.astype(np.float32) - low) / (high - low)
    values = np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0)
    picture = np.rint(np.clip(values, 0.0, 1.0) * 255).astype(np.uint8)
    if picture.shape[2] == 1:
        return np.repeat(picture, 3, axis=2)
    missing = 3 - picture.shape[2]
    return np.pad(picture, ((0, 0), (0, 0), (0, missing)))


def _per_channel(values: NDArray[np.float64], channels: int) -> NDArray[np.float32]:
    chosen = values[:channels] if len(values) >= channels else values[:1]
    return chosen.astype(np.float32)


def resize_rgb(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize a picture (H, W, 3) to (h, w), as the official code does (bicubic)."""
    if picture.shape[:2] == size:
        return picture
    height, width = size
    resized = Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized)


def resize_labels(
    labels: NDArray[np.integer[Any]], size: tuple[int, int]
) -> NDArray[np.integer[Any]]:
    """Resize a label image (H, W) to (h, w) by taking the nearest pixel."""
    if labels.shape == size:
        return labels
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp)
        for new, old in zip(size, labels.shape, strict=True)
    )
    return labels[rows[:, None], columns]


def resize_colors(
    colors: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Resize colours (h, w, 3) smoothly to the grid (H, W) of a frame (bilinear)."""
    if colors.shape[:2] == size:
        return colors
    height, width = size
    channels = [
        Image.fromarray(np.ascontiguousarray(colors[..., i])).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        for i in range(3)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def normalise(picture: NDArray[Any]) -> NDArray[np.float32]:
    """Normalise a picture (..., H, W, 3), 8-bit or floats from 0 to 1, for a model.

    Images and colours are normalised alike, with ImageNet's mean and deviation.

    Returns
    -------
    NDArray[np.float32]
        (..., 3, H, W).
    """
    values = picture.astype(np.float32)
    if picture.dtype == np.uint8:
        values /= 255
    return np.moveaxis((values - MEAN) / STD, -1, -3)


def denormalise(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Undo `normalise`: (..., 3, H, W) to floats (..., H, W, 3), clipped to 0 to 1."""
    values = np.moveaxis(pictures, -3, -1) * STD + MEAN
    return np.clip(values, 0.0, 1.0)


def object_side(labels: NDArray[np.integer[Any]]) -> float:
    """Return the side of the smallest labelled objects, in pixels of the frame.

    An object is a connected region of one id. Its side is that of a square of its
    area, or its thickness where it is long and thin. The tenth percentile over the
    objects is taken, so that specks count little; infinity without objects.
    """
    regions = label(labels, connectivity=2)
    if regions.max() == 0:
        return float("inf")
    names = ("area", "axis_minor_length")
    table = regionprops_table(regions, properties=names)
    sides = np.minimum(np.sqrt(table["area"]), table["axis_minor_length"] + 1)
    return float(np.percentile(sides, 10))
