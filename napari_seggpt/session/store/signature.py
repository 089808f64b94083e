"""ImageSignature: what tells the image of a session from others."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.frames import DAMAGE
from napari_seggpt.session.store.contents import ImageContent
from napari_seggpt.untrusted import as_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

    from napari_seggpt.frames import Frames

NUM_HASHED_FRAMES = 5
UNREADABLE = ""  # in place of a hash
MIN_HASHED_SIDE = 256  # pixels: smaller pictures of different images may be alike
MAX_BLOCK_BYTES = 1 << 24  # of a frame, that are read at once where that can be done


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
        Of the frames, with their channels.
    dtype : str
        Of the frames.
    hashes : tuple of (int, str)
        Index and hash of a few frames, evenly spread; "" for one that cannot be read.
    level : int
        The level of resolution that the hashed frames are of, 0 the finest. All else
        is told of the finest.
    """

    place: str
    length: int
    frame_shape: tuple[int, ...]
    dtype: str
    hashes: tuple[tuple[int, str], ...]
    level: int = 0

    @classmethod
    def of(
        cls,
        stack: Frames,
        place: str = "",
        *,
        hashed: Frames | None = None,
        level: int = 0,
    ) -> Self:
        """Read a few frames, in a worker; those that cannot be read are left out.

        Parameters
        ----------
        stack : Frames
            The frames.
        place : str
            Which they are.
        hashed : Frames, optional
            The same at another level of resolution, of which frames are read.
        level : int
            That level.
        """
        read = stack if hashed is None else hashed
        hashes = tuple((index, _hash(read, index)) for index in _chosen(len(read)))
        frame_shape, dtype = _kind_of_frames(stack, hashes)
        return cls(
            place=place,
            length=len(stack),
            frame_shape=frame_shape,
            dtype=dtype,
            hashes=hashes,
            level=level,
        )

    @classmethod
    def from_json(cls, found: Any) -> Self:
        """Make a signature of what `to_json` returned.

        Raises
        ------
        ValueError
            If it is not that.
        """
        content = as_type(found, ImageContent)
        return cls(**{name: getattr(content, name) for name in cls.__slots__})

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
        return self.other_kind(other) or self.other_pixels(other)

    def other_kind(self, other: ImageSignature) -> str | None:
        """Say in words what differs, but for the pixels."""
        if self.length != other.length:
            return f"it has {self.length} frames, not {other.length}"
        if self.frame_shape != other.frame_shape:
            mine, its = (_size(x.frame_shape) for x in (self, other))
            return f"its frames are {mine}, not {its}"
        if self.dtype != other.dtype:
            return f"its values are {self.dtype}, not {other.dtype}"
        return None

    def other_pixels(self, other: ImageSignature) -> str | None:
        """Say in words which pixels differ, in frames that both could read."""
        theirs = dict(other.hashes)
        could_be_read = any(mark != UNREADABLE for mark in theirs.values())
        if could_be_read and all(mark == UNREADABLE for _, mark in self.hashes):
            return "none of its frames that would tell can be read at present"
        for index, mark in self.hashes:
            its = theirs.get(index, UNREADABLE)
            if its != mark and UNREADABLE not in (its, mark):
                return f"the pixels of frame {index} are others"
        return None


class LevelSignatures:
    """The signatures of an image by the level of resolution, each made once, if asked.

    Parameters
    ----------
    levels : sequence of Frames
        The frames at each level, the finest first; nothing is read yet.
    place : str
        Which frames they are, see `ImageSignature`.
    known : mapping of int to ImageSignature, optional
        Signatures that were made before, by level.

    Attributes
    ----------
    known : dict of int to ImageSignature
        Those that were made.
    """

    def __init__(
        self,
        levels: Sequence[Frames],
        place: str = "",
        known: Mapping[int, ImageSignature] | None = None,
    ) -> None:
        self._levels = levels
        self.place = place
        self.known = dict(known or {})

    @property
    def own(self) -> ImageSignature:
        """That of the coarsest level that tells an image from others."""
        number = len(self._levels) - 1
        while number > 0 and not _identifies(self._levels[number]):
            number -= 1
        return self.at(number)

    def at(self, level: int) -> ImageSignature:
        """That of a level; of the finest, if there is no such level."""
        number = level if level < len(self._levels) else 0
        if number not in self.known:
            self.known[number] = ImageSignature.of(
                self._levels[0], self.place, hashed=self._levels[number], level=number
            )
        return self.known[number]


def _chosen(length: int) -> list[int]:
    """Return the frames that are hashed; the same as in version 0.1."""
    places = np.linspace(0, length - 1, min(NUM_HASHED_FRAMES, length))
    return sorted({int(place) for place in np.rint(places)})


def _identifies(stack: Frames) -> bool:
    shape = getattr(stack, "frame_shape", (0, 0))
    return bool(min(shape[:2]) >= MIN_HASHED_SIDE)


def _kind_of_frames(
    stack: Frames, hashes: Sequence[tuple[int, str]]
) -> tuple[tuple[int, ...], str]:
    """Return shape and type of frames, as the stack tells, or from one that is read."""
    shape, dtype = getattr(stack, "frame_shape", None), getattr(stack, "dtype", None)
    if shape is not None and dtype is not None:
        channels = int(getattr(stack, "num_channels", 1))
        sides = tuple(int(side) for side in shape)
        full = (*sides, channels) if channels > 1 else sides
        return full, np.dtype(dtype).newbyteorder("=").name
    index = next((i for i, mark in hashes if mark != UNREADABLE), 0)
    frame = np.asarray(stack[index])
    shape = tuple(int(n) for n in frame.shape)
    return shape, frame.dtype.newbyteorder("=").name


def _hash(stack: Frames, index: int) -> str:
    """Return the hash of a frame's pixels in C order."""
    digest = hashlib.blake2b(digest_size=12)
    try:
        for block in _blocks(stack, index):
            native = np.ascontiguousarray(block, block.dtype.newbyteorder("="))
            digest.update(native.data)
    except DAMAGE:
        return UNREADABLE
    return digest.hexdigest()


def _blocks(stack: Frames, index: int) -> Iterator[np.ndarray[Any, Any]]:
    """Yield a frame in rows, if the stack can read these, so that memory is bounded."""
    read_rows = getattr(stack, "rows", None)
    if read_rows is None:
        yield np.asarray(stack[index])
    else:
        yield from read_rows(index, MAX_BLOCK_BYTES)


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
