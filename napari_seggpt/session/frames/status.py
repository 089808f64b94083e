"""The status of a frame: what is known of it, and how a person's acts change that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from napari_seggpt.session.frames.frame_labels import NO_LABELS

if TYPE_CHECKING:
    from napari_seggpt.session.frames.frame_labels import Checksum


class FrameStatus(StrEnum):
    """What a frame's labels are, for the person who works on the stack.

    Attributes
    ----------
    EMPTY
        Nobody and nothing has labelled it.
    REFERENCE
        A person has labelled it.
    PREDICTED, STALE
        A run has labelled it, with the present references and settings or with others.
    CORRECTED
        A person has changed what a run had labelled, has begun what a run completed,
        or vouches for it otherwise.
    APPROVED
        A person has approved it as it is.
    """

    EMPTY = "empty"
    REFERENCE = "reference"
    PREDICTED = "predicted"
    STALE = "stale"
    CORRECTED = "corrected"
    APPROVED = "approved"


PROTECTED = frozenset(
    {FrameStatus.REFERENCE, FrameStatus.CORRECTED, FrameStatus.APPROVED}
)
TO_REVIEW = frozenset({FrameStatus.PREDICTED, FrameStatus.STALE})


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRecord:
    """What is known of a frame; its status follows from it.

    Attributes
    ----------
    checksum : bytes
        Of the labels as they were last seen.
    predicted : bytes or None
        Checksum of what the last run wrote; None if no run has.
    key : bytes or None
        The references and settings of that run; None if they are not known.
    confidence : float or None
        Of what that run wrote.
    is_part : bool
        Whether that run wrote a region of the frame only.
    is_completed : bool
        Whether that run completed what a person had begun, which is still in it.
    is_approved, is_corrected, is_reference : bool
        What a person has said or done; any of these protects the frame. So do labels
        that are a person's, whatever was said and taken back since.
    is_asked : bool
        Whether a person made it a reference, rather than a stroke.
    is_enabled : bool
        Whether it is used as a reference, if it is one.
    is_hint : bool
        Whether as a reference it says nothing of what is unlabelled in it.
    """

    checksum: Checksum = NO_LABELS
    predicted: Checksum | None = None
    key: bytes | None = None
    confidence: float | None = None
    is_part: bool = False
    is_completed: bool = False
    is_approved: bool = False
    is_corrected: bool = False
    is_reference: bool = False
    is_asked: bool = False
    is_enabled: bool = True
    is_hint: bool = False

    def status(self, key: bytes) -> FrameStatus:
        """Return the status; `key` stands for the present references and settings."""
        if self.is_approved:
            return FrameStatus.APPROVED
        if self.is_corrected:
            return FrameStatus.CORRECTED
        if self.is_reference:
            return FrameStatus.REFERENCE
        if self.is_a_persons or self.is_completed:
            return FrameStatus.CORRECTED
        if self.predicted is None:
            return FrameStatus.EMPTY
        return FrameStatus.PREDICTED if self.key == key else FrameStatus.STALE

    @property
    def is_a_persons(self) -> bool:
        """Whether the labels are others than a run left: only a person makes such."""
        return self.checksum != (self.predicted or NO_LABELS)

    @property
    def is_vouched_for(self) -> bool:
        """Whether a person has said or done something that protects the frame."""
        return self._is_marked or self.is_completed

    @property
    def is_protected(self) -> bool:
        """Whether no run may write the frame."""
        return self.is_vouched_for or self.is_a_persons

    @property
    def is_untouched(self) -> bool:
        """Whether nobody has done anything to the frame since a run wrote it."""
        return not (self._is_marked or self.is_a_persons)

    @property
    def _is_marked(self) -> bool:
        return self.is_approved or self.is_corrected or self.is_reference

    @property
    def is_used(self) -> bool:
        """Whether the frame is shown to the model as an example."""
        return self.is_reference and self.is_enabled


UNKNOWN = FrameRecord()


def seen(
    record: FrameRecord, checksum: Checksum, *, corrections_become_references: bool
) -> FrameRecord:
    """Return the record of a frame after something other than the session wrote it.

    Labels on a frame that no run has written make a reference, until they are gone,
    unless a person made it one: without labels it shows that nothing is there.
    What a run has written becomes corrected, until exactly that is there again.
    """
    if checksum == record.checksum:
        return record
    now = replace(record, checksum=checksum)
    if record.predicted is None:
        if record.is_corrected:  # a former reference, still vouched for
            return now
        if checksum == NO_LABELS and not record.is_asked:
            return replace(now, is_reference=False, is_enabled=True, is_hint=False)
        return replace(now, is_reference=True)
    if checksum == record.predicted:
        is_reference = record.is_reference and record.is_asked
        return replace(now, is_corrected=False, is_reference=is_reference)
    if record.is_corrected:
        return now
    is_reference = record.is_reference or corrections_become_references
    return replace(now, is_corrected=True, is_reference=is_reference)


def without_reference(record: FrameRecord) -> FrameRecord:
    """Return the record of a frame that is no reference any more, but protected."""
    now = replace(
        record, is_reference=False, is_asked=False, is_enabled=True, is_hint=False
    )
    if not now.is_vouched_for and now.predicted == now.checksum:
        return replace(now, is_approved=True)
    return _with_own_labels_noted(now)


def without_approval(record: FrameRecord) -> FrameRecord:
    """Return the record of a frame that is approved no more; a person's stays so."""
    return _with_own_labels_noted(replace(record, is_approved=False))


def _with_own_labels_noted(record: FrameRecord) -> FrameRecord:
    """Return a record that still protects a person's labels once they are erased."""
    if record.is_a_persons and not record.is_vouched_for:
        return replace(record, is_corrected=True)
    return record


def released(record: FrameRecord) -> FrameRecord:
    """Return the record of a frame that runs may write again, whatever was done."""
    if record.checksum == NO_LABELS:
        return UNKNOWN
    return FrameRecord(checksum=record.checksum, predicted=record.checksum)


def vouched_as(record: FrameRecord, other: FrameRecord) -> FrameRecord:
    """Return the record of a frame for which a person vouches as another one tells.

    It becomes a reference only if this person made it one: a stroke is not known to
    have.
    """
    is_asked = other.is_reference and other.is_asked
    is_corrected = other.is_corrected or other.is_completed
    return replace(
        record,
        is_approved=other.is_approved or not (is_asked or is_corrected),
        is_corrected=is_corrected,
        is_reference=is_asked,
        is_asked=is_asked,
        is_enabled=other.is_enabled or not is_asked,
        is_hint=other.is_hint and is_asked,
    )


def found_and_vouched_as(record: FrameRecord, other: FrameRecord) -> FrameRecord:
    """Return the record of a frame that was found, and is vouched for elsewhere.

    Its labels make it a reference, as before; what a person has said of it holds once
    they are erased, too, but then it shows nothing any more, unless this was asked.
    """
    return replace(
        record,
        is_approved=other.is_approved or other.is_corrected,
        is_asked=other.is_reference and other.is_asked,
        is_enabled=other.is_enabled,
        is_hint=other.is_hint,
    )


def predicted_elsewhere(record: FrameRecord, other: FrameRecord) -> FrameRecord:
    """Return the record of a frame that a run of another session wrote or undid."""
    is_known = record.predicted is not None and record.predicted == other.predicted
    if is_known and record.is_completed == other.is_completed:
        return record
    return FrameRecord(
        checksum=other.checksum,
        predicted=other.predicted,
        confidence=other.confidence,
        is_completed=other.is_completed,
    )


def is_found(record: FrameRecord) -> bool:
    """Whether a frame was only read in this session, and nobody acted on it."""
    found = FrameRecord(checksum=record.checksum, is_reference=True)
    return record in (UNKNOWN, found)


def vouched_for(record: FrameRecord, checksum: Checksum) -> FrameRecord:
    """Return the record of a frame with other labels than were stored, protected.

    They are a person's, or of a write that was cut short: nobody knows. So the frame
    is shown to no model either, unless a person had made it a reference.
    """
    if checksum == NO_LABELS and record.checksum == NO_LABELS:
        return record
    return replace(record, checksum=checksum, is_corrected=True)
