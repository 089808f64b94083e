"""LabelsWriter: a label stack written one frame at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_seggpt.frames import frame_index
from napari_seggpt.io.label_values import checked_labels
from napari_seggpt.io.layout import StackError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    import numpy.typing as npt

AXES = ("z", "t")  # the axes that every format can write
UNKNOWN_UNITS = ("pixel", "frame")


def labels_axis(axis: str) -> str:
    """Return the axis that labels of images along some axis are written along.

    It is the same one if every format can write it, else "z".
    """
    return axis if axis in AXES else "z"


class StackLike(Protocol):
    """What tells size and calibration of a stack: images, or labels of a session."""

    def __len__(self) -> int: ...

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Height and width of a frame."""

    @property
    def axis(self) -> str:
        """Name of the axis that frames run along."""

    @property
    def times(self) -> int | None:
        """Of how many times frames are the slices, if they are."""

    @property
    def pixel_size(self) -> tuple[float, float, float]:
        """Distance of frames, rows and columns."""

    @property
    def units(self) -> tuple[str, str, str]:
        """Units of that."""

    @property
    def time_step(self) -> tuple[float, str] | None:
        """Distance of two volumes in time and its unit, if it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsGeometry:
    """Size, dtype, axis and calibration of a label stack.

    With a number of `times` frames are the slices of volumes at so many times, in the
    order of time, and `time_step` is the distance of those, and its unit; the other
    attributes are about the slices.
    """

    length: int
    frame_shape: tuple[int, int]
    dtype: np.dtype[Any]
    axis: str
    pixel_size: tuple[float, float, float]
    units: tuple[str, str, str]
    times: int | None = None
    time_step: tuple[float, str] | None = None

    def __post_init__(self) -> None:
        """Check that labels of this kind can be written."""
        if self.length < 1 or len(self.frame_shape) != 2 or min(self.frame_shape) < 1:
            raise StackError(
                "Expected at least one frame of a height and a width, "
                f"got {self.length} of shape {self.frame_shape}."
            )
        if self.dtype.kind not in "iu":
            raise StackError(f"Expected an integer dtype, got {self.dtype}.")
        if self.axis not in AXES:
            raise StackError(f"Expected an axis of {AXES}, got {self.axis!r}.")
        if self.times is not None and (self.axis != "z" or self.length % self.times):
            raise StackError(
                f"Expected the slices of {self.times} volumes, got {self.length} "
                f"frames along {self.axis}."
            )

    @classmethod
    def like(cls, stack: StackLike, dtype: npt.DTypeLike = np.uint16) -> Self:
        """Return the geometry of labels of all frames of a stack."""
        return cls(
            length=len(stack),
            frame_shape=stack.frame_shape,
            dtype=np.dtype(dtype),
            axis=labels_axis(stack.axis),
            pixel_size=stack.pixel_size,
            units=stack.units,
            times=stack.times,
            time_step=stack.time_step,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all frames together: (frames, H, W), or (times, slices, H, W)."""
        if self.times is None:
            return (self.length, *self.frame_shape)
        return (self.times, self.length // self.times, *self.frame_shape)

    @property
    def axes(self) -> tuple[str, ...]:
        """The name of each axis of that shape."""
        first = () if self.times is None else ("t",)
        return (*first, self.axis, "y", "x")

    @property
    def steps(self) -> dict[str, tuple[float, str]]:
        """For each axis the distance of two neighbours and its unit."""
        known = dict(
            zip(
                self.axes[-3:],
                zip(self.pixel_size, self.units, strict=True),
                strict=True,
            )
        )
        if self.times is None:
            return known
        return {"t": self.time_step or (1.0, "frame")} | known

    @property
    def long_axes(self) -> tuple[str, ...]:
        """The name of each axis that is longer than 1."""
        lengths = zip(self.axes, self.shape, strict=True)
        return tuple(axis for axis, length in lengths if length > 1)

    def place(self, frame: int) -> tuple[int, ...]:
        """Return the place of a frame on the axes before rows and columns."""
        if self.times is None:
            return (frame,)
        return divmod(frame, self.length // self.times)


class LabelsWriter(ABC):
    """A label stack on disk, written and read back one frame at a time.

    A frame is in the file as soon as it is written: other programs can read the file
    at any moment, and nothing is lost if this one ends without `close`. Frames not
    yet written are 0.

    Attributes
    ----------
    path : Path
        The file or folder.
    geometry : LabelsGeometry
        Size, dtype, axis and calibration of the stack.
    """

    def __init__(self, path: Path, geometry: LabelsGeometry) -> None:
        self.path = path
        self.geometry = geometry
        self._closed = False

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.geometry.length

    def __setitem__(self, index: int, labels: npt.ArrayLike) -> None:
        """Write one frame; see `write`."""
        self.write(index, labels)

    def __getitem__(self, index: int) -> npt.NDArray[Any]:
        """Read back one frame: (H, W).

        Raises
        ------
        IndexError
            If there is no such frame.
        StackError
            If the writer is closed.
        """
        frame = frame_index(index, len(self))
        self._check_open()
        return self._read(frame)

    def write(self, index: int, labels: npt.ArrayLike) -> None:
        """Write one frame right away, in place of what was there.

        Parameters
        ----------
        index : int
            The frame, from the end if negative.
        labels : array-like
            Integer or boolean labels, (H, W).

        Raises
        ------
        IndexError
            If there is no such frame.
        StackError
            If the labels have another shape, are no integers or do not fit the dtype,
            and nothing is written; or if the writer is closed.
        """
        frame = frame_index(index, len(self))
        self._check_open()
        self._write(frame, self._checked(np.asarray(labels)))

    def _checked(self, labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return checked_labels(labels, self.geometry.frame_shape, self.geometry.dtype)

    def _check_open(self) -> None:
        if self._closed:
            raise StackError(f"Expected open labels, got {self.path.name}, closed.")

    def close(self) -> None:
        """Release the file; frames can no longer be written."""
        self._closed = True

    def __enter__(self) -> Self:
        """Return the writer itself, closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the writer."""
        self.close()

    @abstractmethod
    def _write(self, frame: int, labels: npt.NDArray[Any]) -> None:
        """Write one frame of the right shape and dtype."""

    @abstractmethod
    def _read(self, frame: int) -> npt.NDArray[Any]:
        """Read one frame."""
