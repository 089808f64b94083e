"""FrameRecords: what is known of all frames of a stack, and what of it has changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_seggpt.session.frames.status import UNKNOWN, FrameRecord, FrameStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    View = tuple[FrameStatus, float | None]

_MODULUS = 1 << 128


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordChanges:
    """What has changed between two calls of `FrameRecords.take_changes`.

    Attributes
    ----------
    frames : tuple of int
        Those whose status or confidence has.
    references : bool
        Whether references have.
    records : tuple of int
        Frames whose record has changed in any way; not shown, but to be saved.
    """

    frames: tuple[int, ...]
    references: bool
    records: tuple[int, ...] = field(default=(), compare=False)


class FrameRecords:
    """Keeps a record of every frame of a stack.

    Parameters
    ----------
    length : int
        Frames in the stack.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self._records: dict[int, FrameRecord] = {}
        self._references: set[int] = set()
        self._total = 0  # of the used references, in which their order plays no role
        self._basis = b""
        self._key = b""
        self._count(0)
        self._known_key = self._key  # when changes were last taken
        self._touched: dict[int, View] = {}  # what changed frames were like then
        self._touched_references = False

    def __getitem__(self, frame: int) -> FrameRecord:
        return self._records.get(frame, UNKNOWN)

    def __setitem__(self, frame: int, record: FrameRecord) -> None:
        old = self[frame]
        if record == old:
            return
        self._touched.setdefault(frame, self._view(frame))
        self._records[frame] = record
        if old.is_reference or record.is_reference:
            self._note_reference(frame, old, record)

    def _note_reference(
        self, frame: int, old: FrameRecord, record: FrameRecord
    ) -> None:
        self._touched_references = True
        if record.is_reference:
            self._references.add(frame)
        else:
            self._references.discard(frame)
        self._count(_share(frame, record) - _share(frame, old))

    def _count(self, share: int) -> None:
        self._total = (self._total + share) % _MODULUS
        self._key = _digest(self._basis + self._total.to_bytes(16, "big"))

    @property
    def key(self) -> bytes:
        """A digest of the used references and the settings; equal if these are."""
        return self._key

    def key_without(self, frame: int) -> bytes:
        """Return what the key is once a frame is a used reference no longer."""
        total = (self._total - _share(frame, self[frame])) % _MODULUS
        return _digest(self._basis + total.to_bytes(16, "big"))

    def set_basis(self, basis: bytes) -> None:
        """Set a digest of what predictions depend on, beside the reference frames."""
        self._basis = basis
        self._count(0)

    # -- what is derived -----------------------------------------------------------

    def status(self, frame: int) -> FrameStatus:
        """Return the status of a frame."""
        return self[frame].status(self._key)

    @property
    def references(self) -> list[int]:
        """The reference frames in order, used or not."""
        return sorted(self._references)

    @property
    def known(self) -> tuple[int, ...]:
        """The frames of which anything is known."""
        return tuple(self._records)

    @property
    def protected(self) -> frozenset[int]:
        """The frames that no run may write."""
        return frozenset(
            f for f, record in self._records.items() if record.is_protected
        )

    def predicted(self) -> Iterator[tuple[int, FrameRecord]]:
        """Yield the predicted and the stale frames, in no order."""
        for frame, record in self._records.items():
            if record.predicted is not None and not record.is_protected:
                yield frame, record

    # -- what has changed ----------------------------------------------------------

    def take_changes(self) -> RecordChanges:
        """Return what has changed since the last call."""
        before, self._touched = self._touched, {}
        old_key, self._known_key = self._known_key, self._key
        frames = {f for f, view in before.items() if view != self._view(f)}
        if old_key != self._key:
            keys = {old_key, self._key}
            frames |= {f for f, r in self.predicted() if r.key in keys} - before.keys()
        references, self._touched_references = self._touched_references, False
        return RecordChanges(
            frames=tuple(sorted(frames)), references=references, records=tuple(before)
        )

    def _view(self, frame: int) -> View:
        record = self[frame]
        return record.status(self._known_key), confidence(record)


def confidence(record: FrameRecord) -> float | None:
    """Return the confidence of what a run wrote, while it has not been changed."""
    is_there = record.predicted is not None and record.predicted == record.checksum
    return record.confidence if is_there else None


def _share(frame: int, record: FrameRecord) -> int:
    """Return what a frame adds to the sum of used references."""
    if not record.is_used:
        return 0
    kind = b"hint" if record.is_hint else b""
    return int.from_bytes(_digest(b"%d " % frame + record.checksum + kind), "big")


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
