"""Any frame to an 8-bit RGB picture, to a model's input, and back to the frame's grid.

Pictures are 8-bit, as those the published network was trained on: resizing them is
then what the official code does, to the last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_seggpt.settings import ContrastSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)
DIM_RANGE = 64  # grey levels; 8-bit frames with fewer are stretched
SLIP = 25  # pixels; a label of no more is no thin one
SAMPLED_PIXELS = 200_000  # a frame's percentiles are taken from 1 to 4 times as many


class FrameError(ValueError):
    """A frame that is no picture: what was expected and what came."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limits:
    """The values shown black and white, for each channel.

    Attributes
    ----------
    low, high : NDArray[np.float64]
        (C,); one entry serves all channels.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]


AS_IT_IS = Limits(low=np.zeros(1), high=np.array([255.0]))


def check_frame(frame: NDArray[Any]) -> None:
    """Raise FrameError unless the frame is a picture that can be shown to a model."""
    if frame.ndim not in (2, 3):
        raise FrameError(
            f"Expected a frame (H, W) or (H, W, channels), got shape {frame.shape}."
        )
    if 0 in frame.shape:
        raise FrameError(f"Expected a frame with pixels, got shape {frame.shape}.")
    if frame.dtype.kind not in "buif":
        raise FrameError(f"Expected a frame of real numbers, got dtype {frame.dtype}.")


def is_flat(frame: NDArray[Any]) -> bool:
    """Tell whether a frame shows nothing: one value only, NaN and infinity left out."""
    values = frame[np.isfinite(frame)] if frame.dtype.kind == "f" else frame
    return not values.size or bool(values.min() == values.max())


def measure_limits(
    frames: Iterable[NDArray[Any]], settings: ContrastSettings | None = None
) -> Limits:
    """Find the contrast limits of some frames of a stack, a channel at a time.

    8-bit frames are shown as they are, as in training, unless they are dim.

    Parameters
    ----------
    frames : iterable of NDArray
        (H, W) or (H, W, C) each. 8-bit RGB needs no limits and is left out; the
        others have equally many channels.
    settings : ContrastSettings, optional
        Fixed limits, or the percentiles to take. NaN and infinity are left out.

    Raises
    ------
    FrameError
        If a frame is no picture, or frames differ in their channels.
    """
    settings = settings or ContrastSettings()
    if settings.limits is not None:
        low, high = settings.limits
        return Limits(low=np.array([low], float), high=np.array([high], float))
    samples, has_pictures = [], False
    for frame in frames:
        check_frame(frame)
        if _is_picture(frame):
            has_pictures = True
        else:
            samples.append(_sample(frame))
    if not samples and has_pictures:
        return AS_IT_IS
    if not samples:
        raise FrameError("Expected a frame to measure the contrast of, got none.")
    channels = sorted({sample.shape[1] for sample in samples})
    if len(channels) > 1:
        raise FrameError(f"Expected frames of equally many channels, got {channels}.")
    pixels = np.concatenate(samples)
    pairs = [_channel_limits(values, settings.percentiles) for values in pixels.T]
    low, high = np.array(pairs, dtype=np.float64).T
    if pixels.dtype == np.uint8 and (high - low).max() >= DIM_RANGE:
        return AS_IT_IS
    return Limits(low=low, high=high)


def _is_picture(frame: NDArray[Any]) -> bool:
    return frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] in (3, 4)


def _sample(frame: NDArray[Any]) -> NDArray[Any]:
    """Return pixels (P, C) of a frame, evenly spread over rows and columns."""
    step = max(1, math.isqrt(frame.shape[0] * frame.shape[1] // SAMPLED_PIXELS))
    pixels = frame[::step, ::step]
    return pixels.reshape(pixels.shape[0] * pixels.shape[1], -1)[:, :3]


def _channel_limits(
    values: NDArray[Any], percentiles: tuple[float, float]
) -> tuple[float, float]:
    """Return percentiles of values (P,), widened where sparse objects lie beyond.

    That is where half of what lies beyond a percentile is far off; hot pixels are
    too few for that.
    """
    values = values[np.isfinite(values)].astype(np.float64)
    if not values.size:
        return 0.0, 1.0
    tail = np.array([1, 1 / 2, 1 / 10])
    low, dark, darkest = np.percentile(values, percentiles[0] * tail)
    high, bright, brightest = np.percentile(values, 100 - (100 - percentiles[1]) * tail)
    span = high - low
    if low - dark > span:
        low = darkest
    if bright - high > span:
        high = brightest
    if not low < high:  # flat, but for objects that are sparser still
        low, high = values.min(), values.max()
    if not low < high:
        high = low + max(1.0, np.spacing(abs(low)))
    return low, high


def to_rgb(frame: NDArray[Any], limits: Limits) -> NDArray[np.uint8]:
    """Show a frame as an 8-bit RGB picture.

    Parameters
    ----------
    frame : NDArray
        (H, W), or (H, W, C) with C = 1 grey, 2 (red and green) or 3; of more
        channels the first three are shown. Bool, integer or float; NaN becomes
        black, infinity black or white. 8-bit RGB and RGBA stay as they are.
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
    if _is_picture(frame):
        return channels.copy()
    count = channels.shape[2]
    low, high = np.resize(limits.low, count), np.resize(limits.high, count)
    picture = np.zeros((*frame.shape[:2], 3), dtype=np.uint8)
    for i in range(count):  # one at a time, for the sake of memory
        picture[..., i] = _stretch(channels[..., i], low[i], high[i])
    if count == 1:
        picture[..., 1:] = picture[..., :1]
    return picture


def _stretch(values: NDArray[Any], low: float, high: float) -> NDArray[np.float64]:
    clipped = np.clip(values.astype(np.float64), low, high)  # only NaN stays as it is
    return np.rint(np.nan_to_num(clipped - low) / (high - low) * 255)


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
    """Resize a label image (H, W) to (h, w) by taking the nearest pixel.

    Pillow takes the same pixels, but does not know all integer types.
    """
    if labels.shape == size:
        return labels
    rows, columns = (
        _nearest_places(old, new) for old, new in zip(labels.shape, size, strict=True)
    )
    return labels[rows[:, None], columns]


def _nearest_places(old: int, new: int) -> NDArray[np.intp]:
    steps = np.full(new, old / new)
    steps[0] /= 2
    return np.cumsum(steps).astype(np.intp)  # a sum, since it rounds as Pillow does


def resize_colors(
    colors: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Resize colours (h, w, C) smoothly to the grid (H, W) of a frame (bilinear)."""
    if colors.shape[:2] == size:
        return colors
    height, width = size
    channels = [
        Image.fromarray(np.ascontiguousarray(colors[..., i])).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        for i in range(colors.shape[2])
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def resize_values(
    values: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Resize values (h, w) smoothly to the grid (H, W) of a frame (bilinear)."""
    return resize_colors(values[..., None], size)[..., 0]


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


def label_widths(labels: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Return how wide each label (H, W) is on average, in pixels of the frame.

    The mean is taken over all pixels of a label, so that specks beside what is wide
    count little, and a label of a few pixels, as a slip of the brush makes it, is left
    out.
    """
    found, counts = np.unique(labels, return_counts=True)
    ids = found[(found != 0) & (counts > SLIP)]
    return _strip_widths(labels, ids)


def _strip_widths(
    labels: NDArray[np.integer[Any]], ids: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Return how wide labels (H, W) of these ids are, if they are strips."""
    # Here, since they take a while to load and the dock should open at once.
    from scipy.ndimage import distance_transform_edt, mean
    from skimage.segmentation import find_boundaries

    if not ids.size:
        return np.empty(0)
    inner = (labels != 0) & ~find_boundaries(labels, mode="inner")
    depth = distance_transform_edt(inner) + 1
    # Across a strip the mean depth is a quarter of its width. In compact shapes it is
    # less.
    return 4 * np.asarray(mean(depth, labels, ids)) - 2


def object_side(labels: NDArray[np.integer[Any]]) -> float:
    """Return the side of the smallest labelled objects, in pixels of the frame.

    An object is a connected region of one id. Its side is that of a square of its
    area, or its thickness where it is thin, straight or not. The tenth percentile over
    the objects is taken, so that specks count little; infinity without objects.
    """
    # Here, since they take a while to load and the dock should open at once.
    from skimage.measure import label, regionprops_table

    regions = label(labels, connectivity=2)
    if regions.max() == 0:
        return float("inf")
    names = ("area", "axis_minor_length")
    table = regionprops_table(regions, properties=names)
    straight = np.sqrt(0.75 * table["axis_minor_length"] ** 2 + 1)  # of a rectangle
    # Only what is much longer than wide is measured as a strip.
    strip = _strip_widths(regions, np.arange(1, regions.max() + 1))
    strip = np.where(table["area"] > 4 * strip**2, strip, np.inf)
    sides = np.min([np.sqrt(table["area"]), straight, strip], axis=0)
    return float(np.percentile(sides, 10))
