"""ImageSignature: what tells the image of a session from others."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from typing import Self

    from napari_seggpt.frames import Frames

HASHED_FRAMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSignature:
    """What tells the frames of an image from those of others.

    Attributes
    ----------
    place : str
        Which frames of the image are meant, such as "axis 0" or "axis 1, 0 at 3".
    length : int
        Number of frames.
    frame_shape : tuple of int
        Of the first frame, with its channels.
    dtype : str
        Of the first frame.
    hashes : tuple of (int, str)
        Index and hash of a few frames, evenly spread.
    """

    place: str
    length: int
    frame_shape: tuple[int, ...]
    dtype: str
    hashes: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, stack: Frames, place: str = "") -> Self:
        """Read a few frames of a stack, in a worker."""
        length = len(stack)
        places = np.linspace(0, length - 1, min(HASHED_FRAMES, length))
        chosen = sorted({int(x) for x in np.rint(places)})
        first = np.asarray(stack[chosen[0]])
        hashes = [(chosen[0], _hash(first))]
        hashes += [(index, _hash(np.asarray(stack[index]))) for index in chosen[1:]]
        return cls(
            place=place,
            length=length,
            frame_shape=tuple(int(n) for n in first.shape),
            dtype=first.dtype.newbyteorder("=").name,
            hashes=tuple(hashes),
        )

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """Make a signature of what `to_json` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is not that.
        """
        return cls(
            place=str(found["place"]),
            length=int(found["length"]),
            frame_shape=tuple(int(n) for n in found["frame_shape"]),
            dtype=str(found["dtype"]),
            hashes=tuple((int(index), str(mark)) for index, mark in found["hashes"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @property
    def short(self) -> str:
        """A few characters that differ for different images."""
        text = repr((self.place, self.length, self.frame_shape, self.hashes))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def difference(self, other: ImageSignature) -> str | None:
        """Say in words why these are not the frames of another signature, if so."""
        if self.length != other.length:
            return f"it has {self.length} frames, not {other.length}"
        if self.frame_shape != other.frame_shape:
            mine, its = (_size(x.frame_shape) for x in (self, other))
            return f"its frames are {mine}, not {its}"
        if self.dtype != other.dtype:
            return f"its values are {self.dtype}, not {other.dtype}"
        theirs = dict(other.hashes)
        for index, mark in self.hashes:
            if theirs.get(index) != mark:
                return f"the pixels of frame {index} are others"
        return None


def _hash(frame: np.ndarray[Any, Any]) -> str:
    native = np.ascontiguousarray(frame, frame.dtype.newbyteorder("="))
    return hashlib.blake2b(native.tobytes(), digest_size=12).hexdigest()


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
