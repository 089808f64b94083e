"""Annotation: the status of a stack's frames, and all that a person does with them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_seggpt.session.examples import Examples
from napari_seggpt.session.frames.frame_labels import NO_LABELS, ScannedFrame, checksum
from napari_seggpt.session.frames.frame_writer import FrameWriter
from napari_seggpt.session.frames.records import FrameRecords, confidence
from napari_seggpt.session.frames.status import (
    FrameStatus,
    released,
    without_approval,
    without_reference,
)
from napari_seggpt.session.references import Reference
from napari_seggpt.session.store.state import SessionState
from napari_seggpt.settings import SessionSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.frames import Frames
    from napari_seggpt.prompts import Prompt, TunedPrompt
    from napari_seggpt.session.frames.frame_labels import Checksum, FrameLabels
    from napari_seggpt.session.frames.status import FrameRecord

MAX_PIXELS_READ_AT_ONCE = (
    1 << 22
)  # pixels; more are left to a scan, which a worker does


class Annotation:
    """A stack and its labels: what is known of each frame, and who vouches for it.

    Parameters
    ----------
    stack : Frames
        The images; read by workers only.
    labels : FrameLabels
        Where the labels are; as many frames as the stack.
    settings : SessionSettings, optional
        The model, and how it is used.

    Attributes
    ----------
    statuses_changed : Signal
        With the frames whose status or confidence changed.
    references_changed : Signal
        References were added, removed, switched or painted on.
    locks_changed : Signal
        A label was locked or unlocked.
    records_changed : Signal
        With the frames of which anything else is known than before; for whoever keeps
        it, see `record`.
    scan_wanted : Signal
        Any frame may have changed, and there are too many to read now: have a
        worker `scan` them. Until then statuses may be out of date; a person's work
        is safe all the same.
    """

    statuses_changed = Signal(tuple)
    references_changed = Signal()
    locks_changed = Signal()
    records_changed = Signal(tuple)
    scan_wanted = Signal()

    def __init__(
        self, stack: Frames, labels: FrameLabels, settings: SessionSettings | None
    ) -> None:
        if len(labels) != len(stack):
            raise ValueError(
                f"Expected labels of all {len(stack)} frames, got {len(labels)} frames."
            )
        self._stack = stack
        self._stacks = 1  # how many stacks the session has been shown
        self._labels = labels
        self._records = FrameRecords(len(stack))
        self._writer = FrameWriter(labels, self._records)
        self._examples = Examples()
        self._tuned: TunedPrompt | None = None
        self._tuned_mark = b""
        self._settings = settings or SessionSettings()
        self._take_settings()
        self._records.take_changes()

    def __len__(self) -> int:
        return self._records.length

    @property
    def stack(self) -> Frames:
        """The images."""
        return self._stack

    @property
    def labels(self) -> FrameLabels:
        """Where the labels are."""
        return self._labels

    @property
    def settings(self) -> SessionSettings:
        """The model, and how it is used; runs that are on keep what they began with."""
        return self._settings

    @settings.setter
    def settings(self, settings: SessionSettings) -> None:
        self._settings = settings
        self._take_settings()
        self._publish()

    def set_stack(self, stack: Frames) -> None:
        """Show the model other images of the same frames: another channel or level.

        What was predicted before becomes stale.
        """
        if len(stack) != len(self):
            raise ValueError(f"Expected {len(self)} frames, got {len(stack)}.")
        self._stack = stack
        self._stacks += 1
        self._take_settings()
        self._publish()

    def _take_settings(self) -> None:
        """Note what predictions depend on, beside the reference frames."""
        settings = self._settings
        self._writer.corrections_become_references = (
            settings.corrections_become_references
        )
        prediction = replace(
            settings.prediction, device="auto", precision="auto", batch=1
        )
        memory = settings.propagation.memory
        direction = settings.propagation.direction if memory else None
        parts = (
            settings.model, prediction, settings.contrast, memory, direction,
            self._stacks, self._examples.mark, self._tuned_mark,
        )  # fmt: skip
        self._records.set_basis(hashlib.sha256(repr(parts).encode()).digest())

    def _publish(self) -> None:
        """Tell listeners what has changed."""
        changes = self._records.take_changes()
        if changes.records:
            self.records_changed.emit(changes.records)
        if changes.frames:
            self.statuses_changed.emit(changes.frames)
        if changes.references:
            self.references_changed.emit()

    # -- status --------------------------------------------------------------------

    def status(self, frame: int) -> FrameStatus:
        """Return the status of a frame."""
        return self._records.status(self._check(frame))

    @property
    def statuses(self) -> tuple[FrameStatus, ...]:
        """The status of every frame."""
        return tuple(self._records.status(frame) for frame in range(len(self)))

    @property
    def key(self) -> bytes:
        """What stands for the references and settings: equal if these are."""
        return self._records.key

    def confidence(self, frame: int) -> float | None:
        """Return the confidence of what a run wrote in a frame, while it is there."""
        return confidence(self._records[self._check(frame)])

    @property
    def protected(self) -> frozenset[int]:
        """The frames that no run may write."""
        return self._records.protected

    def scan(self) -> Iterator[ScannedFrame]:
        """Read all frames, in a worker; hand every result to `take_scan`."""
        for frame in range(len(self)):
            yield ScannedFrame(index=frame, checksum=checksum(self._labels.read(frame)))

    def take_scan(self, *scanned: ScannedFrame) -> None:
        """Take note of what a scan found, in one frame or several.

        Labels that nobody knew of are a person's. Where something new was found the
        frame is read again: it may have been painted on while it was scanned.
        """
        self._read_all(
            found.index
            for found in scanned
            if found.checksum != self._records[self._check(found.index)].checksum
        )

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

    def _is_small(self) -> bool:
        length = len(self)
        return (
            not length or self._labels.read(0).size * length <= MAX_PIXELS_READ_AT_ONCE
        )

    def _check(self, frame: int) -> int:
        if not 0 <= frame < len(self):
            raise ValueError(
                f"Expected a frame from 0 to {len(self) - 1}, got {frame}."
            )
        return frame

    def _read(self, frame: int) -> FrameRecord:
        self._writer.read(self._check(frame))
        return self._records[frame]

    def _read_all(self, frames: Iterable[int]) -> None:
        try:
            for frame in frames:
                self._read(frame)
        finally:
            self._publish()

    # -- what is kept of it ---------------------------------------------------------

    @property
    def known(self) -> tuple[int, ...]:
        """The frames of which anything is known, in no order."""
        return self._records.known

    def record(self, frame: int) -> FrameRecord:
        """Return what is known of a frame, without reading it."""
        return self._records[self._check(frame)]

    def before_write(self, tell: Callable[[int, FrameRecord], object] | None) -> None:
        """Have somebody told of each frame right before the session writes it."""
        self._writer.tell = tell

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
            return self._writer.restore(self._check(frame), records, labels, found)
        finally:
            self._publish()

    @property
    def state(self) -> SessionState:
        """What is known beside the frames."""
        return SessionState(
            settings=self._settings,
            stacks=self._stacks,
            locked=tuple(sorted(self._writer.locked)),
            examples=tuple(self._examples.references),
            tuned=self._tuned,
        )

    def restore_state(self, state: SessionState) -> None:
        """Take what was known, beside the frames, in an earlier session."""
        self._settings = state.settings
        self._stacks = max(self._stacks, state.stacks)
        taken = {reference.name for reference in self._examples.references}
        for each in state.examples:
            if each.prompt is not None and each.name and each.name not in taken:
                self._examples.add(each.prompt, each.name)
                self._examples.set_enabled(each.name, each.enabled)
        self._writer.locked.update(state.locked)
        self.locks_changed.emit()
        self.tuned = state.tuned or self._tuned

    # -- a person's acts -----------------------------------------------------------

    @property
    def references(self) -> tuple[Reference, ...]:
        """The reference frames in order, then the examples from elsewhere."""
        frames = [
            Reference(
                frame=frame,
                enabled=self._records[frame].is_enabled,
                is_labelled=self._records[frame].checksum != NO_LABELS,
            )
            for frame in self._records.references
        ]
        return (*frames, *self._examples.references)

    def add_reference(self, frame: int) -> None:
        """Make a frame a reference; without labels it shows that nothing is there."""
        self._change(frame, is_reference=True, is_asked=True, is_enabled=True)

    def remove_reference(self, frame: int) -> None:
        """Use a frame as a reference no longer; its labels stay, and are protected."""
        record = self._read(frame)
        if record.is_reference:
            self._records[frame] = without_reference(record)
        self._publish()

    def set_reference_enabled(self, frame: int, enabled: bool) -> None:
        """Switch a reference frame on or off."""
        if not self._read(frame).is_reference:
            self._publish()
            raise ValueError(f"Expected a reference frame, got frame {frame}.")
        self._change(frame, is_enabled=enabled)

    def approve(self, frame: int) -> None:
        """Protect a frame as it is."""
        self._change(frame, is_approved=True)

    def unapprove(self, frame: int) -> None:
        """Take an approval back; the frame is again what it would be without."""
        self._records[frame] = without_approval(self._read(frame))
        self._publish()

    def release(self, frame: int) -> None:
        """Let runs write a frame again, whatever a person did to it; it is stale."""
        self._records[frame] = released(self._read(frame))
        self._publish()

    def _change(self, frame: int, **state: Any) -> None:
        self._records[frame] = replace(self._read(frame), **state)
        self._publish()

    def add_prompt(self, prompt: Prompt, name: str) -> None:
        """Add a copy of a labelled image from elsewhere as a reference."""
        self._examples.add(prompt, name)
        self._examples_changed()

    def remove_prompt(self, name: str) -> None:
        """Remove a labelled image from elsewhere."""
        self._examples.remove(name)
        self._examples_changed()

    def set_prompt_enabled(self, name: str, enabled: bool) -> None:
        """Switch a labelled image from elsewhere on or off."""
        self._examples.set_enabled(name, enabled)
        self._examples_changed()

    def _examples_changed(self) -> None:
        self._take_settings()
        self._publish()
        self.references_changed.emit()

    @property
    def tuned(self) -> TunedPrompt | None:
        """A prompt that has learned from labelled frames, used beside the others."""
        return self._tuned

    @tuned.setter
    def tuned(self, tuned: TunedPrompt | None) -> None:
        self._tuned = tuned
        self._tuned_mark = b"" if tuned is None else tuned.digest
        self._examples_changed()

    @property
    def locked_labels(self) -> frozenset[int]:
        """Labels that keep their pixels on every frame."""
        return frozenset(self._writer.locked)

    def lock_label(self, label: int) -> None:
        """Let no run change which pixels have a label."""
        if label == 0:
            raise ValueError("Expected a label other than 0, the background.")
        self._writer.locked.add(label)
        self.locks_changed.emit()

    def unlock_label(self, label: int) -> None:
        """Let runs change a label again."""
        self._writer.locked.discard(label)
        self.locks_changed.emit()

    def next_to_review(self, after: int, step: int = 1) -> int | None:
        """Return the next predicted or stale frame; the one before, if step is -1."""
        frames = [frame for frame, _ in self._records.predicted()]
        if step > 0:
            return min((f for f in frames if f > after), default=None)
        return max((f for f in frames if f < after), default=None)

    def least_certain(self) -> int | None:
        """Return the predicted or stale frame of the lowest confidence."""
        found = [(r.confidence, f) for f, r in self._records.predicted()]
        known = [(value, frame) for value, frame in found if value is not None]
        return min(known)[1] if known else None
