"""What the JSON of sessions holds: types that are checked when a file is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_type_hints

from msgspec import Meta, Struct

from napari_seggpt.session.frames.status import FrameRecord
from napari_seggpt.untrusted import as_type

if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")

MAX_FRAMES = 1_000_000  # that a session may be of; a longer one is nonsense
MAX_SIDE = 1 << 20  # pixels

Hex = Annotated[str, Meta(max_length=128)]
Length = Annotated[int, Meta(ge=1, le=MAX_FRAMES)]
Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
AxisNumber = Annotated[int, Meta(ge=0, le=32)]
FrameNumber = Annotated[int, Meta(ge=0)]
Size = Annotated[float, Meta(gt=0)]


class RecordContent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A `FrameRecord`, whose checksums are hexadecimal."""

    checksum: Hex
    predicted: Hex | None
    key: Hex | None
    confidence: float | None
    is_approved: bool
    is_corrected: bool
    is_reference: bool
    is_asked: bool
    is_enabled: bool
    is_hint: bool = False
    is_part: bool = False
    is_completed: bool = False

    @classmethod
    def of(cls, record: FrameRecord) -> Self:
        """Return what a file holds of a record."""
        confidence = record.confidence
        return cls(
            checksum=record.checksum.hex(),
            predicted=None if record.predicted is None else record.predicted.hex(),
            key=None if record.key is None else record.key.hex(),
            confidence=None if confidence is None else float(confidence),
            is_approved=record.is_approved,
            is_corrected=record.is_corrected,
            is_reference=record.is_reference,
            is_asked=record.is_asked,
            is_enabled=record.is_enabled,
            is_hint=record.is_hint,
            is_part=record.is_part,
            is_completed=record.is_completed,
        )

    def record(self) -> FrameRecord:
        """Return the record.

        Raises
        ------
        ValueError
            If a checksum is not hexadecimal.
        """
        return FrameRecord(
            checksum=bytes.fromhex(self.checksum),
            predicted=_bytes(self.predicted),
            key=_bytes(self.key),
            confidence=self.confidence,
            is_approved=self.is_approved,
            is_corrected=self.is_corrected,
            is_reference=self.is_reference,
            is_asked=self.is_asked,
            is_enabled=self.is_enabled,
            is_hint=self.is_hint,
            is_part=self.is_part,
            is_completed=self.is_completed,
        )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


class JournalLine(Struct, frozen=True, kw_only=True):
    """A line of the journal: what is known, or about to be, of a frame."""

    frame: FrameNumber
    record: RecordContent
    writing: bool


class ImageContent(Struct, frozen=True, kw_only=True):
    """An `ImageSignature`."""

    place: str
    length: Length
    frame_shape: Annotated[tuple[Side, ...], Meta(min_length=2, max_length=3)]
    dtype: Annotated[str, Meta(max_length=32)]
    hashes: Annotated[tuple[tuple[FrameNumber, str], ...], Meta(max_length=64)]
    level: Annotated[int, Meta(ge=0, le=64)] = 0


class ExampleContent(Struct, frozen=True, kw_only=True):
    """A labelled image from elsewhere, and its file in the folder of the session."""

    name: str
    enabled: bool
    file: Annotated[str, Meta(pattern=r"^examples/[0-9A-Za-z]+\.npz$")]


class LabelsAxes(Struct, frozen=True, kw_only=True):
    """Where frames lie in the array of labels.

    Attributes
    ----------
    axis : int or None
        The axis that they run along.
    outer : int or None
        A second axis that they run along, if they do: as a rule that of time, where
        the first is depth. Frames are numbered along `axis` first.
    times : int or None
        How many frames there are along that; files have no other axis for positions.
    fixed : tuple of (int, int)
        Axis and index, of the others that a frame does not span.
    """

    axis: AxisNumber | None = 0
    outer: AxisNumber | None = None
    times: Annotated[int, Meta(ge=1)] | None = None
    fixed: tuple[tuple[AxisNumber, FrameNumber], ...] = ()


class About(Struct, frozen=True, kw_only=True):
    """What the window knows of a session.

    Attributes
    ----------
    name : str
        Of the image.
    labels_name : str
        Of the layer of labels.
    axis : {"z", "t"}
        What frames run along.
    pixel_size, units : tuple, optional
        Of frames, rows and columns.
    classes : dict of int to str
        Names of labels.
    channels : tuple of int
        Those that the model was shown.
    level : int
        The level of resolution that the model was shown.
    mixed : tuple of str or None
        The names of further layers that were mixed with the image; None in sessions of
        versions that did not say.
    labels_axes : LabelsAxes
        Where frames lie in the array of labels.
    """

    name: str = ""
    labels_name: str = ""
    axis: Literal["z", "t"] = "z"
    pixel_size: tuple[Size, Size, Size] | None = None
    units: tuple[str, str, str] | None = None
    classes: dict[int, str] = {}
    channels: tuple[AxisNumber, ...] = ()
    level: AxisNumber = 0
    mixed: tuple[str, ...] | None = None
    labels_axes: LabelsAxes = LabelsAxes()

    @classmethod
    def of(cls, found: Any) -> Self:
        """Take what was found, without what is of another type: no work hangs on it."""
        values = found if isinstance(found, dict) else {}
        known: dict[str, Any] = {
            name: entry(values, name, kind, None)
            for name, kind in get_type_hints(cls, include_extras=True).items()
        }
        return cls(**{name: x for name, x in known.items() if x is not None})


def entry(values: dict[str, Any], name: str, kind: Any, default: T) -> T:
    """Return an entry of JSON if it is there and of a type; else something else."""
    try:
        return as_type(values[name], kind)
    except (KeyError, ValueError):
        return default
