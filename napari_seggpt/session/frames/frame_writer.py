"""FrameWriter: the only code that writes labels; it reads each frame first."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_seggpt.io.layout import StackError
from napari_seggpt.session.frames.array_file import pack
from napari_seggpt.session.frames.frame_labels import (
    NO_LABELS,
    checksum,
    compact,
    keep_locked,
)
from napari_seggpt.session.frames.object_ids import ObjectIds
from napari_seggpt.session.frames.prepared_frame import PreparedFrame
from napari_seggpt.session.frames.status import (
    UNKNOWN,
    FrameRecord,
    is_found,
    seen,
    vouched_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.session.frames.frame_labels import (
        Checksum,
        FrameLabels,
        ScannedFrame,
    )
    from napari_seggpt.session.frames.locked_labels import LockedLabels
    from napari_seggpt.session.frames.records import FrameRecords
    from napari_seggpt.session.frames.undo import UndoStep


class FrameWriter:
    """Reads and writes the labels of frames, and keeps their records.

    Every frame is read right before it is written: whoever changed it, and whether
    or not that was told, it is noticed, and a person's work is left alone.

    Parameters
    ----------
    labels : FrameLabels
        Where the labels are.
    records : FrameRecords
        What is known of the frames.
    locks : LockedLabels
        Labels that keep their pixels.

    Attributes
    ----------
    corrections_become_references : bool
        Whether a corrected frame serves as a reference.
    ids : ObjectIds
        Which ids are taken.
    num_looks : int
        How often frames were read, written or restored.
    before_write : callable or None
        Called with a frame and its record to be, right before the frame is written.
    """

    def __init__(
        self, labels: FrameLabels, records: FrameRecords, locks: LockedLabels
    ) -> None:
        self.corrections_become_references = True
        self.before_write: Callable[[int, FrameRecord], object] | None = None
        self.ids = ObjectIds()
        self.num_looks = 0
        self._looked_at: dict[int, int] = {}  # `num_looks` then, by frame
        self._labels = labels
        self._records = records
        self._locks = locks
        self._writing: int | None = None  # the frame that is being written
        self._latest: tuple[int, NDArray[np.integer[Any]]] | None = None

    def read(self, frame: int) -> NDArray[np.integer[Any]]:
        """Read a frame, and note it if anything but the session changed it."""
        labels = self._labels.read(frame)
        if frame != self._writing:  # a listener may read it when it is half written
            self._note(frame, labels, checksum(labels))
        return labels

    def _note(
        self, frame: int, labels: NDArray[np.integer[Any]], mark: Checksum
    ) -> None:
        self._latest = (frame, labels)
        self.ids.note(frame, labels)
        self._note_checksum(frame, mark)
        self._note_look(frame)

    def _note_checksum(self, frame: int, mark: Checksum) -> None:
        self._records[frame] = seen(
            self._records[frame],
            mark,
            corrections_become_references=self.corrections_become_references,
        )

    def _note_look(self, frame: int) -> None:
        self.num_looks += 1
        self._looked_at[frame] = self.num_looks

    def take(self, found: ScannedFrame) -> None:
        """Note what a worker found in a frame; read it if it is not known which is new.

        That is so if the frame was looked at since the worker began to read it: a
        person may have painted meanwhile.
        """
        frame = found.index
        self.ids.note_largest(frame, found.largest)
        if found.checksum == self._records[frame].checksum:
            return
        if self._looked_at.get(frame, 0) > found.began:
            self.read(frame)
            return
        self._drop_latest(frame)
        self._note_checksum(frame, found.checksum)

    def _drop_latest(self, frame: int) -> None:
        """Forget labels that may be of another content than the record is about."""
        if self._latest is not None and self._latest[0] == frame:
            self._latest = None

    def prepare(
        self, frame: int, labels: NDArray[np.integer[Any]]
    ) -> PreparedFrame | None:
        """Compute what `write` will need, in a worker, so that the window need not.

        Returns
        -------
        PreparedFrame or None
            None if that cannot be done; `write` then tells why.
        """
        try:
            old = self._labels.read(frame)
            return PreparedFrame.of(old, labels, self._locks.labels, checksum(old))
        except (ValueError, LookupError, OSError):
            return None

    def latest(self, frame: int) -> NDArray[np.integer[Any]]:
        """Return the labels that the record of a frame is about; not to be changed.

        If it is the frame that was read or written last, it is not read again.
        """
        if self._latest is not None and self._latest[0] == frame:
            return self._latest[1]
        return self._labels.read(frame)

    def write(
        self,
        frame: int,
        labels: NDArray[np.integer[Any]],
        step: UndoStep,
        *,
        key: bytes | None,
        confidence: float | None,
        is_part: bool = False,
        prepared: PreparedFrame | None = None,
        asked: Checksum | None = None,
    ) -> bool:
        """Write what a run predicted, unless a person vouches for what is there.

        Parameters
        ----------
        frame : int
            The frame.
        labels : NDArray
            (H, W).
        step : UndoStep
            Remembers what was there.
        key : bytes or None
            The references and settings of the run, if they are known.
        confidence : float or None
            Of the prediction, if it is known.
        is_part : bool
            Whether only a region of the frame was predicted; the rest is as up to date
            as it was.
        prepared : PreparedFrame, optional
            What `prepare` returned; used if the frame is still as it was then.
        asked : bytes, optional
            Checksum of a person's labels that this person has asked to be completed:
            while exactly these are there, the frame is written although it is
            protected, and stays protected, since they are a part of it.

        Returns
        -------
        bool
            Whether it was written.
        """
        old, locked = self._labels.read(frame), self._locks.labels
        if prepared is not None and not prepared.serves(old, labels, locked):
            prepared = None
        mark = checksum(old) if prepared is None else prepared.old_checksum
        self._note(frame, old, mark)
        before = self._records[frame]
        if before.is_protected and asked != mark:
            return False
        if prepared is None:
            prepared = PreparedFrame.of(old, labels, locked, mark)
        written = prepared.new_checksum
        record = FrameRecord(
            checksum=written,
            predicted=written,
            key=_key_of_part(before, key) if is_part else key,
            confidence=confidence,
            is_part=is_part,
            is_completed=before.is_protected,
        )
        with (
            step.saving(frame, prepared.old_packed, before, record),
            self._recording(frame, prepared.new, record),
        ):
            self._labels.write(frame, prepared.new)
        return True

    def undo_frame(self, frame: int, step: UndoStep, inverse: UndoStep) -> bool:
        """Bring back what a run replaced, if that is still there and can be read.

        Labels that are locked now keep their pixels here, too.

        Parameters
        ----------
        frame : int
            The frame.
        step : UndoStep
            What the run replaced.
        inverse : UndoStep
            Remembers what is replaced now, so that this can be undone, too.

        Returns
        -------
        bool
            Whether it was brought back. What was remembered is dropped in any case.
        """
        try:
            now = self.read(frame)
        except StackError:
            step.forget(frame)
            return False
        replaced, present = step[frame], self._records[frame]
        if not replaced.is_still_there(present):
            step.forget(frame)
            return False
        old = keep_locked(now, step.load(frame), self._locks.labels)
        mark = checksum(old)
        record = replaced.record
        if mark != record.checksum:  # a label was locked after the run
            record = FrameRecord(
                checksum=mark, predicted=mark, is_completed=record.is_protected
            )
        with (
            inverse.saving(frame, pack(compact(now)), present, record),
            self._recording(frame, old, record),
        ):
            self._labels.write(frame, old)
        step.forget(frame)
        return True

    def restore(
        self,
        frame: int,
        records: Sequence[FrameRecord],
        labels: NDArray[np.integer[Any]] | None = None,
        found: Checksum | None = None,
    ) -> bool:
        """Take what was known of a frame in an earlier session.

        Labels that are there count more than what is stored, but for those that are
        known to be a run's, of the earlier session or of this one: a person's work is
        never replaced, and where it is not what was stored, it is protected.

        Parameters
        ----------
        frame : int
            The frame.
        records : sequence of FrameRecord
            What may have been known last, the likeliest at the end.
        labels : NDArray, optional
            (H, W), the labels that were stored with the last record, if they were.
        found : bytes, optional
            Checksum of what a worker found in the frame. If that is what was stored,
            and nobody has told of another change, the frame is not read again: nothing
            is written, and before anything is, it will be read.

        Returns
        -------
        bool
            Whether the frame is as it was stored.
        """
        present = self._records[frame]
        known = [record for record in records if record.checksum == found]
        if not known or (present != UNKNOWN and present.checksum != found):
            return self._restore_read(frame, records, labels)
        if not _gives_way(present, known[-1]):
            return False
        self._records[frame] = known[-1]
        self._note_look(frame)
        self._drop_latest(frame)
        return True

    def _restore_read(
        self,
        frame: int,
        records: Sequence[FrameRecord],
        labels: NDArray[np.integer[Any]] | None,
    ) -> bool:
        now = self.read(frame)
        present, last = self._records[frame], records[-1]
        if not _gives_way(present, last):
            return False
        known = [r for r in records if r.checksum == present.checksum]
        if known:
            self._records[frame] = known[-1]
            return True
        replaceable = (NO_LABELS, last.predicted, present.predicted)
        fits = labels is not None and labels.shape == now.shape
        if fits and labels is not None and present.checksum in replaceable:
            with self._recording(frame, labels, last):
                self._labels.write(frame, labels)
            return True
        if is_found(present):
            self._records[frame] = vouched_for(last, present.checksum)
        return False

    @contextmanager
    def _recording(
        self, frame: int, labels: NDArray[np.integer[Any]], record: FrameRecord
    ) -> Iterator[None]:
        """Announce that a frame is written, and note its record once it was."""
        if self.before_write is not None:
            self.before_write(frame, record)
        self._writing, self._latest = frame, None
        try:
            yield
        finally:
            self._writing = None
        self._latest = (frame, labels)
        self.ids.note(frame, labels)
        self._note_look(frame)
        self._records[frame] = record


def _gives_way(present: FrameRecord, stored: FrameRecord) -> bool:
    """Whether what was stored of a frame counts more than what is known of it now.

    It does if the frame was only read, and if a person vouched for what was stored
    while what is there now is a run's.
    """
    return is_found(present) or (stored.is_protected and not present.is_protected)


def _key_of_part(before: FrameRecord, key: bytes | None) -> bytes | None:
    """Return the key of a frame of which a run writes a region.

    Where the rest was predicted with other references or settings, no key fits the
    frame. Where nothing but a region ever was, there is nothing else to be out of date.
    """
    is_mixed = before.is_part and before.key is None
    was_whole = before.predicted is not None and not before.is_part
    return None if is_mixed or (was_whole and before.key != key) else key
