"""Sessions on one labels layer: what is known of frames in one, others keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.session.frames.status import is_found
from napari_seggpt.ui.layers.labels_layer import LabelsLayer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_seggpt.session.frames.status import FrameRecord
    from napari_seggpt.ui.layers.layer_choice import LayerChoice
    from napari_seggpt.ui.work.layer_session import LayerSession


def crossing(choice: LayerChoice, others: Iterable[LayerSession]) -> list[LayerSession]:
    """Return the sessions on the same labels whose slices cross those of a choice.

    Parameters
    ----------
    choice : LayerChoice
        With an image and labels.
    others : iterable of LayerSession
        The sessions that there are on other frames, or on other labels.

    Raises
    ------
    ValueError
        If somebody has begun to label such slices, or the layers do not fit. A run
        writes whole slices, and each crosses all that was labelled another way: nobody
        could say then which pixels are a person's.
    """
    assert choice.labels is not None
    found = LabelsLayer.of_stack(choice.stack(), choice.labels)
    found.close()
    crossed = [
        other
        for other in others
        if other.labels.layer is choice.labels
        and other.labels.axes.spanned != found.axes.spanned
    ]
    if any(other.is_touched for other in crossed):
        raise ValueError(
            f"Expected labels for slices cut this way, got {found.name}, which "
            "you label in slices cut another way: press New, and let the results "
            "vote."
        )
    return crossed


def take_over(own: LayerSession, others: Iterable[LayerSession]) -> None:
    """Let a session keep what a person vouches for in others on the same labels.

    What runs of others have predicted stays a prediction, which is out of date here: it
    is no example that a person has made.
    """
    vouched: dict[int, FrameRecord] = {}
    written: dict[int, FrameRecord] = {}
    for other in others:
        records = _records_for(own, other, other.session.frames.known)
        for frame, record in records.items():
            if record.is_untouched:
                written[frame] = record
            elif record.is_vouched_for and not is_found(record):
                vouched[frame] = record
    own.take_over(vouched, written)


def tell_of_runs(
    own: LayerSession, frames: Iterable[int], others: Iterable[LayerSession]
) -> None:
    """Tell others on the same labels what runs of a session wrote, and what is undone.

    They would take it for a person's if they only saw that it is there.

    Parameters
    ----------
    own : LayerSession
        Whose frames these are.
    frames : iterable of int
        The frames of which something else is known now.
    others : iterable of LayerSession
        Those that are told.
    """
    for other in others:
        records = _records_for(other, own, frames)
        written = {f: record for f, record in records.items() if record.is_untouched}
        other.take_over({}, written)


def _records_for(
    own: LayerSession, other: LayerSession, frames: Iterable[int]
) -> dict[int, FrameRecord]:
    """Return what another session knows of some of its frames, by the own frame."""
    if other.labels.layer is not own.labels.layer:
        return {}
    place, records = other.labels.axes.index, other.session.frames.record
    pairs = ((own.labels.axes.frame_of(place(frame)), frame) for frame in frames)
    return {mine: records(theirs) for mine, theirs in pairs if mine is not None}
