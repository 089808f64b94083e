"""LabelledFrames: the labels of a stack, what is known of each, and a person's acts."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_seggpt.io.layout import StackError
from napari_seggpt.objects.class_ids import largest_ids
from napari_seggpt.session.frames.frame_labels import ScannedFrame, checksum
from napari_seggpt.session.frames.frame_writer import FrameWriter
from napari_seggpt.session.frames.locked_labels import LockedLabels
from napari_seggpt.session.frames.records import FrameRecords, confidence
from napari_seggpt.session.frames.status import (
    FrameStatus,
    found_and_vouched_as,
    is_found,
    predicted_elsewhere,
    released,
    vouched_as,
    without_approval,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.session.frames.frame_labels import Checksum, FrameLabels
    from napari_seggpt.session.frames.status import FrameRecord

MAX_PIXELS_READ_AT_ONCE = 1 << 22  # of all frames; a worker scans larger stacks


class LabelledFrames:
    """The frames of a stack: their labels, their status, and who vouches for them.

    Every act of a person on a frame reads the frame first, so that it is an act on what
    is there now.

    Parameters
    ----------
    labels : FrameLabels
        Where the labels are.
    locks : LockedLabels, optional
        Labels that keep their pixels; those of others on the same labels, if any.

    Attributes
    ----------
    labels : FrameLabels
        Where the labels are; to be read by anybody, and written by `writer` only.
    records : FrameRecords
        What is known of each frame.
    writer : FrameWriter
        The only object that writes labels.
    locks : LockedLabels
        Labels that keep their pixels on every frame.
    statuses_changed : Signal
        With the frames whose status or confidence changed.
    records_changed : Signal
        With the frames whose record changed in any way; for whoever saves it.
    references_changed : Signal
        A frame became a reference or is none any more, was switched on or off, or is a
        reference and was painted on.
    scan_wanted : Signal
        Any frame may have changed, and there are too many to read now: have a worker
        `scan` them. Until then statuses may be out of date; a person's work is safe
        all the same.
    """

    statuses_changed = Signal(tuple)
    records_changed = Signal(tuple)
    references_changed = Signal()
    scan_wanted = Signal()

    def __init__(self, labels: FrameLabels, locks: LockedLabels | None = None) -> None:
        self.labels = labels
        self.records = FrameRecords(len(labels))
        self.locks = LockedLabels() if locks is None else locks
        self.writer = FrameWriter(labels, self.records, self.locks)
        self._statuses = [FrameStatus.EMPTY] * len(labels)  # at the last `publish`
        self._counts = Counter(self._statuses)
        self._frame_size: int | None = None  # pixels
        self._is_held = False

    def __len__(self) -> int:
        return self.records.length

    @contextmanager
    def published_at_once(self) -> Iterator[None]:
        """Emit what changes meanwhile at the end: many frames cost little more then."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            self.publish()

    def publish(self) -> None:
        """Emit what has changed since the last call."""
        if self._is_held:
            return
        changes = self.records.take_changes()
        for frame in changes.frames:
            status = self.records.status(frame)
            self._counts[self._statuses[frame]] -= 1
            self._counts[status] += 1
            self._statuses[frame] = status
        if changes.records:
            self.records_changed.emit(changes.records)
        if changes.frames:
            self.statuses_changed.emit(changes.frames)
        if changes.references:
            self.references_changed.emit()

    # -- status --------------------------------------------------------------------

    def status(self, frame: int) -> FrameStatus:
        """Return the status of a frame."""
        return self.records.status(self._check(frame))

    @property
    def statuses(self) -> tuple[FrameStatus, ...]:
        """The status of every frame."""
        return tuple(self.records.status(frame) for frame in range(len(self)))

    def count(self, status: FrameStatus) -> int:
        """Return how many frames have a status."""
        return self._counts[status]

    @property
    def key(self) -> bytes:
        """A digest of the used references and the settings; equal if these are."""
        return self.records.key

    def confidence(self, frame: int) -> float | None:
        """Return the confidence of what a run wrote, while it has not been changed."""
        return confidence(self.records[self._check(frame)])

    @property
    def protected(self) -> frozenset[int]:
        """The frames that no run may write."""
        return self.records.protected

    def next_to_review(self, after: int, step: int = 1) -> int | None:
        """Return the next predicted or stale frame; the one before, if step is -1."""
        frames = [frame for frame, _ in self.records.predicted()]
        if step > 0:
            return min((f for f in frames if f > after), default=None)
        return max((f for f in frames if f < after), default=None)

    def least_certain(self) -> int | None:
        """Return the predicted or stale frame of the lowest confidence."""
        found = [(r.confidence, f) for f, r in self.records.predicted()]
        known = [(value, frame) for value, frame in found if value is not None]
        return min(known)[1] if known else None

    # -- noticing what others wrote ------------------------------------------------

    def labels_changed(self, frames: Iterable[int] | None) -> None:
        """Take note that something other than the session may have written frames.

        Parameters
        ----------
        frames : iterable of int or None
            The frames; None for any.
        """
        if frames is not None:
            self._read_all(frames)
        elif self._is_small():
            self._read_all(range(len(self)))
        else:
            self.scan_wanted.emit()

    def scan(self) -> Iterator[ScannedFrame]:
        """Read all frames, in a worker; hand every result to `take_scan`.

        Those whose labels are damaged are left out.
        """
        for frame in range(len(self)):
            with suppress(StackError):
                began = self.writer.num_looks
                labels = self.labels.read(frame)
                yield ScannedFrame(
                    index=frame,
                    checksum=checksum(labels),
                    largest=largest_ids(labels),
                    began=began,
                )

    def take_scan(self, *scanned: ScannedFrame) -> None:
        """Take note of what a scan found, in one frame or several.

        Labels that nobody knew of are a person's. A frame is read again only if it was
        looked at while it was scanned: it may have been painted on.
        """
        try:
            for found in scanned:
                self._check(found.index)
                with suppress(StackError):
                    self.writer.take(found)
        finally:
            self.publish()

    def _is_small(self) -> bool:
        length = len(self)
        if length and self._frame_size is None:
            try:
                self._frame_size = self.labels.read(0).size
            except StackError:
                return False
        return (self._frame_size or 0) * length <= MAX_PIXELS_READ_AT_ONCE

    def _read_all(self, frames: Iterable[int]) -> None:
        """Read frames but those whose labels are damaged: nothing writes these."""
        try:
            for frame in frames:
                with suppress(StackError):
                    self.writer.read(self._check(frame))
        finally:
            self.publish()

    def _check(self, frame: int) -> int:
        if not 0 <= frame < len(self):
            raise ValueError(
                f"Expected a frame from 0 to {len(self) - 1}, got {frame}."
            )
        return frame

    # -- a person's acts -----------------------------------------------------------

    def approve(self, frame: int) -> None:
        """Protect a frame as it is."""
        self.change(frame, is_approved=True)

    def unapprove(self, frame: int) -> None:
        """Take an approval back; the frame is again what it would be without."""
        self.replace_record(frame, without_approval)

    def release(self, frame: int) -> None:
        """Let runs write a frame again, whatever a person did to it; it is stale."""
        self.replace_record(frame, released)

    def vouch_for(self, records: Mapping[int, FrameRecord]) -> None:
        """Protect frames as a person does who vouches for them in another session.

        Parameters
        ----------
        records : mapping of int to FrameRecord
            What the other session knows of frames; none is read. What a person vouches
            for here stays as it is.
        """
        for frame, theirs in records.items():
            own = self.records[self._check(frame)]
            if not own.is_vouched_for:
                self.records[frame] = vouched_as(own, theirs)
            elif is_found(own):
                self.records[frame] = found_and_vouched_as(own, theirs)
        self.publish()

    def take_predictions(self, records: Mapping[int, FrameRecord]) -> None:
        """Take note of what runs of another session wrote or undid.

        What is predicted is out of date, as nobody knows from what. What a person
        vouches for here stays as it is, but not what was only found to be labelled.

        Parameters
        ----------
        records : mapping of int to FrameRecord
            What the other session knows of frames; none is read.
        """
        for frame, theirs in records.items():
            own = self.records[self._check(frame)]
            is_newly_known = is_found(own) and theirs.predicted is not None
            stays_completed = theirs.is_completed or not own.is_completed
            if is_newly_known or (own.is_untouched and stays_completed):
                self.records[frame] = predicted_elsewhere(own, theirs)
        self.publish()

    def change(self, frame: int, **flags: Any) -> None:
        """Read a frame, then change flags of its record."""
        self.replace_record(frame, lambda record: replace(record, **flags))

    def replace_record(
        self, frame: int, new: Callable[[FrameRecord], FrameRecord]
    ) -> None:
        """Read a frame, then replace its record by what a function makes of it."""
        self.writer.read(self._check(frame))
        self.records[frame] = new(self.records[frame])
        self.publish()

    # -- what is saved of it -------------------------------------------------------

    @property
    def known(self) -> tuple[int, ...]:
        """The frames of which anything is known, in no order."""
        return self.records.known

    def record(self, frame: int) -> FrameRecord:
        """Return what is known of a frame, without reading it."""
        return self.records[self._check(frame)]

    def restore(
        self,
        frame: int,
        records: Sequence[FrameRecord],
        labels: NDArray[np.integer[Any]] | None = None,
        found: Checksum | None = None,
    ) -> bool:
        """Take what was known of a frame in an earlier session; see `FrameWriter`.

        Returns
        -------
        bool
            Whether the frame is now as it was; else it is protected as it is.
        """
        try:
            return self.writer.restore(self._check(frame), records, labels, found)
        finally:
            self.publish()
