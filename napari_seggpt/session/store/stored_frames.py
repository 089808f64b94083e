"""Records of frames as plain values that a file can hold, and back."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from napari_seggpt.session.frames.frame_labels import NO_LABELS
from napari_seggpt.session.frames.frame_labels import checksum as checksum_of
from napari_seggpt.session.frames.status import FrameRecord, seen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FLAGS = ("is_approved", "is_corrected", "is_reference", "is_asked", "is_enabled")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredFrame:
    """What is stored of a frame.

    Attributes
    ----------
    index : int
        The frame.
    records : tuple of FrameRecord
        What may have been known last, the likeliest at the end. Where labels are in a
        zarr, the record whose checksum they have counts.
    labels : NDArray or None
        (H, W); None if they are elsewhere, or could not be read.
    is_damaged : bool
        Whether the file could not be read.
    """

    index: int
    records: tuple[FrameRecord, ...]
    labels: NDArray[np.integer[Any]] | None = None
    is_damaged: bool = False


def record_to_json(record: FrameRecord) -> dict[str, Any]:
    """Return a record as plain values."""
    found: dict[str, Any] = {}
    for each in fields(record):
        value = getattr(record, each.name)
        found[each.name] = value.hex() if isinstance(value, bytes) else value
    return found


def record_from_json(found: dict[str, Any]) -> FrameRecord:
    """Make a record of what `record_to_json` returned.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is not that.
    """
    confidence = found["confidence"]
    flags = {name: found[name] for name in FLAGS}
    if not all(isinstance(flag, bool) for flag in flags.values()):
        raise ValueError(f"Expected flags that are true or false, got {flags}.")
    return FrameRecord(
        checksum=bytes.fromhex(found["checksum"]),
        predicted=_bytes(found["predicted"]),
        key=_bytes(found["key"]),
        confidence=None if confidence is None else float(confidence),
        **flags,
    )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def fitting(record: FrameRecord, labels: NDArray[np.integer[Any]]) -> FrameRecord:
    """Return the record of labels that were stored with it.

    They differ if somebody painted and nobody had told of it yet: it is protected.
    """
    return seen(record, checksum_of(labels), corrections_become_references=True)


def damaged(index: int) -> StoredFrame:
    """Return what is known of a frame whose file cannot be read: it is protected."""
    record = FrameRecord(checksum=NO_LABELS, is_corrected=True)
    return StoredFrame(index=index, records=(record,), is_damaged=True)
