"""FrameLabels: where labels are read and written; checksums of frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_seggpt.files import array_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

Checksum = bytes
NO_LABELS: Checksum = b""  # the checksum of a frame without any label


class FrameLabels(Protocol):
    """The labels of a stack, a frame at a time."""

    def __len__(self) -> int: ...

    def read(self, frame: int, /) -> NDArray[np.integer[Any]]:
        """Return a copy of the labels (H, W) of a frame.

        Raises
        ------
        StackError
            If what is stored of it cannot be read; the other frames can.
        """
        ...

    def write(self, frame: int, labels: NDArray[np.integer[Any]], /) -> None:
        """Replace the labels of a frame; only the session calls it.

        Raises
        ------
        ValueError
            If an id does not fit.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedFrame:
    """What a worker found in a frame.

    Attributes
    ----------
    index : int
        The frame.
    checksum : bytes
        Of its labels.
    largest : tuple of int
        The largest id of each class in it; see `class_ids.largest_ids`.
    began : int
        `FrameWriter.num_looks` when the worker began to read the frame.
    """

    index: int
    checksum: Checksum
    largest: tuple[int, ...] = ()
    began: int = 0


def compact(labels: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Return labels in the smallest type that their ids need.

    It depends on the ids alone: the same labels of two types become the same array.
    """
    if labels.size == 0:
        return np.zeros(labels.shape, np.uint8)
    low, high = int(labels.min()), int(labels.max())
    dtype = np.dtype(np.int64) if low < 0 else np.min_scalar_type(high)
    return np.ascontiguousarray(labels, dtype=dtype)


def checksum(labels: NDArray[np.integer[Any]]) -> Checksum:
    """Return a digest of the labels (H, W) of a frame, the same for every type."""
    small = compact(labels)
    if not small.any():
        return NO_LABELS
    return array_digest(small)


def with_labels(
    labels: NDArray[np.integer[Any]],
    others: NDArray[np.integer[Any]],
    mask: NDArray[np.bool_],
) -> NDArray[np.integer[Any]]:
    """Return labels (H, W) that are others within a mask.

    Ids are exact, whatever the types: numpy would make int64 and uint64 to float64.
    """
    labels, others = compact(labels), compact(others)
    is_signed = "i" in (labels.dtype.kind, others.dtype.kind)
    merged = labels.astype(np.int64 if is_signed else np.result_type(labels, others))
    merged[mask] = others[mask]
    return merged


def keep_locked(
    old: NDArray[np.integer[Any]],
    new: NDArray[np.integer[Any]],
    locked: Collection[int],
) -> NDArray[np.integer[Any]]:
    """Return new labels in which locked ids have the pixels that they had before.

    A pixel that only now would get a locked id becomes background.
    """
    if not locked:
        return new
    freed = np.where(_is_one_of(new, locked), 0, new)
    return with_labels(freed, old, _is_one_of(old, locked))


def names_beside_locked(
    names: Mapping[int, int], locked: Collection[int]
) -> dict[int, int]:
    """Return the new ids that objects can get while some ids are locked.

    Where the old id or the new one is locked, an object keeps its own: as the new one
    its pixels would become background. No other object gets the id that it keeps.

    Parameters
    ----------
    names : mapping of int to int
        The new id of each id that is to change.
    locked : collection of int
        Ids that keep their pixels.
    """
    kept: set[int] = set()
    more = {old for old, new in names.items() if old in locked or new in locked}
    while more:
        kept |= more
        more = {old for old, new in names.items() if new in kept} - kept
    return {old: new for old, new in names.items() if old not in kept}


def _is_one_of(
    labels: NDArray[np.integer[Any]], ids: Collection[int]
) -> NDArray[np.bool_]:
    """Return where labels have one of few ids; exact, whatever the types."""
    mask = np.zeros(labels.shape, bool)
    for number in ids:
        mask |= labels == number
    return mask
