"""References: what the model is shown, from the stack and from elsewhere."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_seggpt.inference.references import (
    MAX_HELD,
    choose_references,
    labels_in,
    nearest_references,
)
from napari_seggpt.session.frames.frame_labels import NO_LABELS
from napari_seggpt.session.frames.status import without_reference
from napari_seggpt.session.references.examples import Examples
from napari_seggpt.session.references.reference import PromptSource, Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_seggpt.frames import FrameGrid
    from napari_seggpt.prompts import Prompt, TunedPrompt
    from napari_seggpt.session.frames.frame_labels import Checksum
    from napari_seggpt.session.frames.labelled_frames import LabelledFrames

    Part = tuple[slice, slice]

PIXELS_LOOKED_AT = 1_000_000  # about, of a frame, for the labels that it shows
_A_HINT = -1  # stands for the labels of hints, which no other reference replaces


class References:
    """The reference frames of a session, examples from elsewhere, and a tuned prompt.

    Parameters
    ----------
    frames : LabelledFrames
        The frames of the session, some of which are references.
    grid : FrameGrid, optional
        How they lie, if along two axes.

    Attributes
    ----------
    changed : Signal
        References were added, removed, switched or painted on.
    examples_changed : Signal
        Examples or the tuned prompt changed; emitted before `changed`.
    """

    changed = Signal()
    examples_changed = Signal()

    def __init__(self, frames: LabelledFrames, grid: FrameGrid | None = None) -> None:
        self._frames = frames
        self._grid = grid
        self._examples = Examples()
        self._tuned: TunedPrompt | None = None
        # Of frames, by their checksum and the part that was looked at.
        self._labels_of: dict[int, tuple[Checksum, Part | None, frozenset[int]]] = {}
        frames.references_changed.connect(self.changed.emit)

    @property
    def all(self) -> tuple[Reference, ...]:
        """The reference frames in order, then the examples from elsewhere."""
        records = self._frames.records
        frames = [
            Reference(
                frame=frame,
                enabled=records[frame].is_enabled,
                is_labelled=records[frame].checksum != NO_LABELS,
                is_hint=records[frame].is_hint,
            )
            for frame in records.references
        ]
        return (*frames, *self._examples.references)

    @property
    def used_frames(self) -> list[int]:
        """The reference frames that are switched on, in order."""
        records = self._frames.records
        return [frame for frame in records.references if records[frame].is_enabled]

    @property
    def whole_frames(self) -> list[int]:
        """The frames in use that have labels and are no mere hints, in order."""
        records = self._frames.records
        return [
            frame
            for frame in self.used_frames
            if records[frame].checksum != NO_LABELS and not records[frame].is_hint
        ]

    @property
    def nearest_start(self) -> list[int]:
        """Those frames in use that are nearest to the first frame, as can be held."""
        return nearest_references(self.used_frames, (0,), MAX_HELD, self._grid)

    @property
    def digests(self) -> tuple[bytes, bytes]:
        """Digests of the examples that are switched on and of the tuned prompt."""
        return self._examples.digest, b"" if self._tuned is None else self._tuned.digest

    # -- frames of the stack -------------------------------------------------------

    def add(self, frame: int) -> None:
        """Make a frame a reference; without labels it shows that nothing is there."""
        self._frames.change(frame, is_reference=True, is_asked=True, is_enabled=True)

    def remove(self, frame: int) -> None:
        """Use a frame as a reference no longer; its labels stay, and are protected."""
        self._frames.replace_record(
            frame,
            lambda record: without_reference(record) if record.is_reference else record,
        )

    def set_enabled(self, frame: int, enabled: bool) -> None:
        """Switch a reference frame on or off.

        Raises
        ------
        ValueError
            If the frame is no reference.
        """
        self._change(frame, is_enabled=enabled)

    def set_hint(self, frame: int, is_hint: bool) -> None:
        """Say whether a reference frame is labelled in part: the rest is unknown.

        Raises
        ------
        ValueError
            If the frame is no reference.
        """
        self._change(frame, is_hint=is_hint)

    def _change(self, frame: int, **changes: bool) -> None:
        self._frames.labels_changed([frame])
        if not self._frames.record(frame).is_reference:
            name = str(frame) if self._grid is None else self._grid.name(frame)
            raise ValueError(f"Expected a reference frame, got frame {name}.")
        self._frames.change(frame, **changes)

    # -- from elsewhere ------------------------------------------------------------

    @property
    def examples(self) -> list[Reference]:
        """The labelled images from elsewhere."""
        return self._examples.references

    def add_example(self, prompt: Prompt, name: str) -> None:
        """Add a copy of an image from elsewhere and its labels, if it has any.

        Raises
        ------
        ValueError
            If the name is taken.
        """
        self._examples.add(prompt, name)
        self._on_examples()

    def add_new_example(self, prompt: Prompt, name: str) -> bool:
        """Add a copy of a labelled image and return True, unless it is there already.

        If another one has its name, it is called "NAME (2)" or so.
        """
        if self._examples.add_new(prompt, name) is None:
            return False
        self._on_examples()
        return True

    def remove_example(self, name: str) -> None:
        """Remove a labelled image from elsewhere."""
        self._examples.remove(name)
        self._on_examples()

    def set_example_enabled(self, name: str, enabled: bool) -> None:
        """Switch a labelled image from elsewhere on or off."""
        self._examples.set_enabled(name, enabled)
        self._on_examples()

    @property
    def tuned(self) -> TunedPrompt | None:
        """A prompt that has learned from labelled frames, used beside the others."""
        return self._tuned

    @tuned.setter
    def tuned(self, tuned: TunedPrompt | None) -> None:
        self._tuned = tuned
        self._on_examples()

    def restore(self, examples: Iterable[Reference], tuned: TunedPrompt | None) -> None:
        """Take the examples of an earlier session, and its tuned prompt if it had one.

        An example whose name is taken gets another name, unless it is the same one.
        """
        for each in examples:
            self._examples.restore(each)
        self.tuned = tuned or self._tuned

    def _on_examples(self) -> None:
        self.examples_changed.emit()
        self.changed.emit()

    # -- for a run -----------------------------------------------------------------

    def sources(
        self,
        frames: tuple[int, ...],
        max_prompts: int,
        part: Part | None = None,
        among: Sequence[int] | None = None,
    ) -> list[PromptSource]:
        """Copy the examples that a run over some frames is to be shown.

        Parameters
        ----------
        frames : tuple of int
            The frames of the run, in ascending order; at least one.
        max_prompts : int
            How many references a frame is predicted from, as of `choose_references`.
        part : tuple of slice, optional
            The rows and columns that count; without it all.
        among : sequence of int, optional
            The reference frames to choose among, in order; all that are in use.

        Raises
        ------
        ValueError
            If there is nothing with labels.
        """
        used = self.used_frames if among is None else among
        sources = self.copies(used, frames, max_prompts, part)
        if self._tuned is None and not any(source.labels.any() for source in sources):
            raise ValueError(
                "Expected a reference with labels, got none: paint on a frame, or "
                "switch a reference on."
            )
        return sources

    def copies(
        self,
        among: Sequence[int],
        frames: tuple[int, ...],
        max_prompts: int,
        part: Part | None = None,
    ) -> list[PromptSource]:
        """Copy those of some references that are to be shown, as `sources` does.

        They may have no labels.
        """
        try:
            chosen = self._frame_sources(among, frames, max_prompts, part)
        finally:
            self._frames.publish()
        return chosen + self._examples.sources

    def _frame_sources(
        self,
        used: Sequence[int],
        frames: tuple[int, ...],
        max_prompts: int,
        part: Part | None,
    ) -> list[PromptSource]:
        sources = []
        chosen = choose_references(
            used,
            frames,
            max_prompts=max_prompts,
            shown=partial(self._shown, part=part),
            grid=self._grid,
        )
        for frame in chosen:
            labels = self._frames.writer.read(frame)
            record = self._frames.records[frame]
            if record.is_used:  # reading it may have shown that its labels are gone
                sources.append(
                    PromptSource(
                        identity=(frame, record.checksum, record.is_hint),
                        frame=frame,
                        labels=labels,
                        is_hint=record.is_hint,
                    )
                )
        return sources

    def _shown(self, frame: int, part: Part | None) -> frozenset[int]:
        """Return the labels of a reference that teach, and `_A_HINT` for any hint."""
        record = self._frames.records[frame]
        if record.checksum == NO_LABELS:
            return frozenset()
        known = self._labels_of.get(frame)
        if known is None or known[:2] != (record.checksum, part):
            # A window waits for many of these: nothing else is noted, and of large
            # frames only every so many pixels are looked at.
            labels = self._frames.labels.read(frame)
            labels = labels if part is None else labels[part]
            step = max(1, round((labels.size / PIXELS_LOOKED_AT) ** 0.5))
            shown = labels_in(labels[::step, ::step])
            known = self._labels_of[frame] = (record.checksum, part, shown)
        return frozenset({_A_HINT}) if known[2] and record.is_hint else known[2]
