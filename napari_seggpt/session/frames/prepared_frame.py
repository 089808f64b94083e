"""PreparedFrame: all that is computed for writing a frame, which a worker can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.session.frames.array_file import PackedArray, pack
from napari_seggpt.session.frames.frame_labels import checksum, compact, keep_locked

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from napari_seggpt.session.frames.frame_labels import Checksum


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedFrame:
    """What is to be written into a frame, if it is still as it was when it was read.

    Attributes
    ----------
    old : NDArray
        (H, W), what was there.
    old_checksum : bytes
        Of that.
    old_packed : PackedArray
        The same, for undo.
    predicted : NDArray
        (H, W), what a run predicted.
    new : NDArray
        (H, W), what is to be written: locked labels keep their pixels.
    new_checksum : bytes
        Of that.
    locked : frozenset of int
        The labels that were locked.
    """

    old: NDArray[np.integer[Any]]
    old_checksum: Checksum
    old_packed: PackedArray
    predicted: NDArray[np.integer[Any]]
    new: NDArray[np.integer[Any]]
    new_checksum: Checksum
    locked: frozenset[int]

    @classmethod
    def of(
        cls,
        old: NDArray[np.integer[Any]],
        predicted: NDArray[np.integer[Any]],
        locked: frozenset[int],
        old_checksum: Checksum,
    ) -> Self:
        """Compute it; for a large frame that takes a while.

        Raises
        ------
        ValueError
            If what was predicted has another shape.
        """
        if predicted.shape != old.shape:
            raise ValueError(
                f"Expected labels of the frame's shape {old.shape}, "
                f"got {predicted.shape}."
            )
        new = keep_locked(old, predicted, locked)
        return cls(
            old=old,
            old_checksum=old_checksum,
            old_packed=pack(compact(old)),
            predicted=predicted,
            new=new,
            new_checksum=checksum(new),
            locked=locked,
        )

    def serves(
        self,
        present: NDArray[np.integer[Any]],
        predicted: NDArray[np.integer[Any]],
        locked: frozenset[int],
    ) -> bool:
        """Whether it is what `of` would compute; far cheaper than that."""
        return (
            predicted is self.predicted
            and self.locked == locked
            and _are_same(present, self.old)
        )


def _are_same(some: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether arrays are the same in type and values; eight bytes at a time."""
    if some.shape != other.shape or some.dtype != other.dtype:
        return False
    is_plain = some.flags.c_contiguous and other.flags.c_contiguous
    if is_plain and some.nbytes % 8 == 0:
        some, other = (
            some.reshape(-1).view(np.uint64),
            other.reshape(-1).view(np.uint64),
        )
    return np.array_equal(some, other)
