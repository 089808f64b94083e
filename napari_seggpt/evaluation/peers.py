"""What a person would take instead, on the same frames and references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy.ndimage import map_coordinates
from skimage.feature import multiscale_basic_features
from skimage.registration import optical_flow_tvl1
from skimage.transform import resize

from napari_seggpt.preprocessing import Limits, resize_labels, resize_rgb, to_rgb
from napari_seggpt.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_seggpt.frames import Frames

PIXELS = 50_000  # that a forest learns from, of all references together
TREES = 50
DEPTH = 10
SHARE_PER_TREE = 0.05
SIGMAS = (1.0, 16.0)  # pixels
LONGEST_SIDE = 1024  # pixels; larger frames are shrunk for the pixel classifier
LONGEST_FLOW_SIDE = 256  # pixels; larger frames are shrunk to measure motion
SEED = 0


class Segmenter(Protocol):
    """Segments frames of a stack in the manner of the prompts it was made with."""

    def segment(
        self, frame: NDArray[Any], index: int
    ) -> tuple[NDArray[np.integer[Any]], float]:
        """Segment one frame.

        Parameters
        ----------
        frame : NDArray
            (H, W) or (H, W, C), of any dtype that `preprocessing.to_rgb` takes.
        index : int
            Where in the stack it is.

        Returns
        -------
        labels : NDArray
            (H, W), ids that occur in the prompts, or 0.
        confidence : float
            From 0 to 1, for comparing frames.
        """
        ...


MakeSegmenter = Callable[[Sequence[Prompt], Limits], Segmenter]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentedFrame:
    """Labels (H, W) of one frame of a stack, and how sure they are, from 0 to 1."""

    index: int
    labels: NDArray[np.integer[Any]]
    confidence: float


class Method(Protocol):
    """Segments all frames of a stack that are no prompts, in any order."""

    def __call__(
        self, stack: Frames, prompts: Sequence[Prompt], limits: Limits
    ) -> Iterator[SegmentedFrame]:
        """Segment the stack; limits are the contrast of prompts and frames."""
        ...


def one_by_one(make: MakeSegmenter) -> Method:
    """Make a method of a segmenter: one frame after the other."""

    def segment_stack(
        stack: Frames, prompts: Sequence[Prompt], limits: Limits
    ) -> Iterator[SegmentedFrame]:
        segmenter = make(prompts, limits)
        given = {prompt.index for prompt in prompts}
        for index in range(len(stack)):
            if index not in given:
                labels, confidence = segmenter.segment(stack[index], index)
                yield SegmentedFrame(index=index, labels=labels, confidence=confidence)

    return segment_stack


def nearest(prompts: Sequence[Prompt], index: int) -> Prompt:
    """Return the prompt that is fewest frames away; other images are the farthest."""
    return min(prompts, key=lambda prompt: _frames_away(prompt, index))


def _frames_away(prompt: Prompt, index: int) -> float:
    return float("inf") if prompt.index is None else abs(prompt.index - index)


class Copied:
    """Copies the labels of the nearest prompt.

    Parameters
    ----------
    prompts : sequence of Prompt
        At least one.
    limits : Limits
        Not looked at: neither are the images.
    """

    def __init__(self, prompts: Sequence[Prompt], limits: Limits) -> None:
        self._prompts = prompts

    def segment(
        self, frame: NDArray[Any], index: int
    ) -> tuple[NDArray[np.integer[Any]], float]:
        """Copy labels; the confidence falls with the distance."""
        prompt = nearest(self._prompts, index)
        labels = resize_labels(prompt.labels, frame.shape[:2])
        return labels, 1 / (1 + _frames_away(prompt, index))


class Warped:
    """Moves the labels of the nearest prompt by the optical flow to the frame.

    The flow is TV-L1 (Zach, Pock and Bischof 2007), of the grey pictures.

    Parameters
    ----------
    prompts : sequence of Prompt
        At least one.
    limits : Limits
        The contrast of prompts and frames.
    """

    def __init__(self, prompts: Sequence[Prompt], limits: Limits) -> None:
        self._prompts = prompts
        self._limits = limits

    def segment(
        self, frame: NDArray[Any], index: int
    ) -> tuple[NDArray[np.integer[Any]], float]:
        """Warp labels; the confidence is how well the warped picture fits."""
        prompt = nearest(self._prompts, index)
        shape = frame.shape[:2]
        small = _shrunk_shape(shape, LONGEST_FLOW_SIDE)
        here, there = (self._grey(image, small) for image in (frame, prompt.image))
        flow = optical_flow_tvl1(here, there)
        residual = np.abs(_warp(there, flow, order=1) - here).mean()
        scale = np.array(shape) / small
        full = [resize(part, shape, order=1) for part in flow]
        labels = resize_labels(prompt.labels, shape)
        warped = _warp(labels, np.array(full) * scale[:, None, None], order=0)
        return warped, 1 - float(residual)

    def _grey(self, image: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
        picture = resize_rgb(to_rgb(image, self._limits), shape)
        return picture.mean(axis=2, dtype=np.float32) / np.float32(255)


def _warp(values: NDArray[Any], flow: NDArray[Any], *, order: int) -> NDArray[Any]:
    """Take values (H, W) from where the flow (2, H, W), in pixels, points to."""
    rows, columns = np.indices(values.shape)
    places = [rows + flow[0], columns + flow[1]]
    warped: NDArray[Any] = map_coordinates(values, places, order=order, mode="nearest")
    return warped


def _shrunk_shape(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    scale = min(1.0, longest / max(shape))
    height, width = (max(1, round(side * scale)) for side in shape)
    return height, width


class PixelClassifier:
    """A random forest on local features, as in ilastik and LABKIT.

    The features are scikit-image's intensity, edges and texture at several scales, the
    forest that of its trainable segmentation. It learns from every kind of pixel of
    the prompts, not from scribbles alone.

    Parameters
    ----------
    prompts : sequence of Prompt
        At least one.
    limits : Limits
        The contrast of prompts and frames.

    Raises
    ------
    ValueError
        If scikit-learn is not installed.
    """

    def __init__(self, prompts: Sequence[Prompt], limits: Limits) -> None:
        self._forest = _make_forest()
        self._limits = limits
        pictures = [self._picture(prompt.image) for prompt in prompts]
        self._is_grey = all(_is_grey(picture) for picture in pictures)
        rng = np.random.default_rng(SEED)
        features, ids = [], []
        for picture, prompt in zip(pictures, prompts, strict=True):
            labels = resize_labels(prompt.labels, picture.shape[:2]).ravel()
            count = min(labels.size, PIXELS // len(prompts))
            chosen = rng.choice(labels.size, count, replace=False)
            features.append(self._features(picture)[chosen])
            ids.append(labels[chosen].astype(np.int64))
        self._forest.fit(np.concatenate(features), np.concatenate(ids))

    def segment(
        self, frame: NDArray[Any], index: int
    ) -> tuple[NDArray[np.integer[Any]], float]:
        """Classify pixels; the confidence is the mean of their best probabilities."""
        picture = self._picture(frame)
        chances = self._forest.predict_proba(self._features(picture))
        labels = self._forest.classes_[chances.argmax(axis=1)]
        labels = resize_labels(labels.reshape(picture.shape[:2]), frame.shape[:2])
        return labels, float(chances.max(axis=1).mean())

    def _picture(self, image: NDArray[Any]) -> NDArray[np.uint8]:
        shape = _shrunk_shape(image.shape[:2], LONGEST_SIDE)
        return resize_rgb(to_rgb(image, self._limits), shape)

    def _features(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the features of each pixel (P, F)."""
        low, high = SIGMAS
        image = picture.astype(np.float32) / 255
        if self._is_grey:
            image = image.mean(axis=2, keepdims=True)
        features: NDArray[np.float32] = multiscale_basic_features(
            image, sigma_min=low, sigma_max=high, channel_axis=-1
        )
        return features.reshape(-1, features.shape[-1])


def _is_grey(picture: NDArray[np.uint8]) -> bool:
    return bool((picture == picture[..., :1]).all())


def check_scikit_learn() -> None:
    """Raise ValueError, with what to do, if there is no scikit-learn."""
    try:
        import sklearn.ensemble  # noqa: F401
    except ImportError:
        raise ValueError(
            "Expected scikit-learn for the pixel classifier, got none: "
            "pip install 'napari-seggpt[evaluation]'."
        ) from None


def _make_forest() -> Any:
    check_scikit_learn()
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        n_estimators=TREES,
        max_depth=DEPTH,
        max_samples=SHARE_PER_TREE,
        n_jobs=-1,
        random_state=SEED,
    )


# The flag of the command line: the name in figures, and how it is made.
PEERS: dict[str, tuple[str, MakeSegmenter]] = {
    "pixels": ("pixel classifier", PixelClassifier),
    "copied": ("copied", Copied),
    "warped": ("warped", Warped),
}
