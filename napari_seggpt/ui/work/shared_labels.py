"""Sessions on one labels layer: what a person vouches for in one, others keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.session.frames.status import is_found
from napari_seggpt.ui.layers.labels_layer import LabelsLayer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_seggpt.session.frames.status import FrameRecord
    from napari_seggpt.ui.layers.layer_choice import LayerChoice
    from napari_seggpt.ui.work.layer_session import LayerSession


def check_cut(choice: LayerChoice, others: Iterable[LayerSession]) -> None:
    """Refuse labels that are worked on in slices which cross those of a choice.

    A run writes whole slices, and each crosses all that a person has labelled another
    way: nobody could say then which pixels are this person's.

    Parameters
    ----------
    choice : LayerChoice
        With an image and labels.
    others : iterable of LayerSession
        The sessions that there are on other frames, or on other labels.

    Raises
    ------
    ValueError
        If a session has begun to label such slices, or the layers do not fit.
    """
    assert choice.labels is not None
    found = LabelsLayer.of_stack(choice.stack(), choice.labels)
    found.close()
    for other in others:
        is_same = other.labels.layer is choice.labels
        crosses = other.labels.axes.spanned != found.axes.spanned
        if is_same and crosses and other.is_touched:
            raise ValueError(
                f"Expected labels for slices cut this way, got {found.name}, which "
                "you label in slices cut another way: press New, and let the results "
                "vote."
            )


def take_over(own: LayerSession, others: Iterable[LayerSession]) -> None:
    """Let a session keep what a person vouches for in others on the same labels."""
    records: dict[int, FrameRecord] = {}
    axes = own.labels.axes
    for other in others:
        if other.labels.layer is not own.labels.layer:
            continue
        for theirs in other.session.frames.protected:
            record = other.session.frames.record(theirs)
            frame = axes.frame_of(other.labels.axes.index(theirs))
            if frame is not None and record.is_vouched_for and not is_found(record):
                records[frame] = record
    own.vouch_for(records)
