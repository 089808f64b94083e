"""Reference frames that a person has likely not finished, told before a run."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from napari_seggpt.ui.work.small_objects import is_drawn
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from napari_seggpt.session import Reference
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.previews import Preview

FEW_OBJECTS = 1 / 3  # of what other references have: fewer are likely not all
MIN_OBJECTS = 6  # that other references have; of fewer ones some may well be missing
LITTLE_LABEL = 1 / 8  # of the share of the frame that is labelled in others
COMPLETE, HINT, WHOLE = "complete", "hint", "whole"  # links


@dataclass(frozen=True, slots=True, kw_only=True)
class PartlyPainted:
    """A reference frame with far fewer objects, or far less label, than another.

    Attributes
    ----------
    frame, objects
        It has so many objects.
    name
        What people call it.
    other, usual
        Another reference frame, with as many as references usually have.
    """

    frame: int
    name: str
    objects: int
    other: str
    usual: int

    @property
    def text(self) -> str:
        """The question that is asked, with the answers as links."""
        return (
            f"Frame {self.name} has {count_of(self.objects, 'object')}, {self.other} "
            f"has {self.usual}: is it finished? If not, the model takes the others for "
            f'background. <a href="{COMPLETE}:{self.frame}">Predict the rest</a>, use '
            f'it <a href="{HINT}:{self.frame}">only as a hint</a>, or '
            f'<a href="{WHOLE}:{self.frame}">it is finished</a>.'
        )


def partly_painted(active: LayerSession) -> PartlyPainted | None:
    """Return the first reference that is likely not finished, if there is one."""
    known = [
        (each, preview)
        for each in active.session.references.all
        if each.enabled and each.is_labelled and not each.is_hint
        if (preview := active.previews.get(each)) is not None
    ]
    for reference, preview in known:
        frame = reference.frame
        if frame is None or frame in active.finished:
            continue
        others = [pair for pair in known if pair[0] is not reference]
        if not others or not is_drawn(reference, active.session):
            continue
        if _is_far_less(preview, [other for _, other in others]):
            usual = min(others, key=lambda pair: _distance(pair[1], others))
            return PartlyPainted(
                frame=frame,
                name=active.name(frame),
                objects=preview.objects,
                other=_named(usual[0], active),
                usual=usual[1].objects,
            )
    return None


def _is_far_less(preview: Preview, others: list[Preview]) -> bool:
    usual = median(other.objects for other in others)
    if usual >= MIN_OBJECTS and preview.objects <= FEW_OBJECTS * usual:
        return True
    share = median(other.share for other in others)
    return preview.objects < usual and preview.share <= LITTLE_LABEL * share


def _distance(preview: Preview, pairs: list[tuple[Reference, Preview]]) -> float:
    return abs(preview.objects - median(other.objects for _, other in pairs))


def _named(reference: Reference, active: LayerSession) -> str:
    if reference.frame is not None:
        return f"frame {active.name(reference.frame)}"
    return "the reference from elsewhere"
