"""What labels are, how objects keep their ids, and what is cleaned up in labels.

These are settings as those of `settings`, which has the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Unit

from napari_seggpt.fields import Checked, Help, documented

ObjectTask = Literal["auto", "classes", "objects", "objects-of-classes"]
LinkedAxis = Literal["auto", "t", "z"]
Choice = Literal["auto", "yes", "no"]

Share = Annotated[float, Ge(0), Le(1)]


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkingSettings(Checked):
    """How objects are followed along a stack."""

    enabled: Annotated[
        bool,
        Help(
            "Whether an object has the same id on all frames; else its id is new on "
            "each frame that is predicted.",
            label="Same id along the stack",
        ),
    ] = True
    along: Annotated[
        LinkedAxis,
        Help(
            "What frames follow each other in: in time (t) objects may divide, through "
            "z they do not; auto takes what the image says, or else z.",
            label="Frames follow in",
        ),
    ] = "auto"
    gap: Annotated[
        int,
        Ge(0),
        Unit("frames"),
        Help("An object that is lost for so many frames keeps its id."),
    ] = 2
    reach: Annotated[
        float,
        Gt(0),
        Help(
            "How far from the expected place an object is looked for, in units of the "
            "sum of both radii; half as far again for each frame that it was lost."
        ),
    ] = 1.0


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSettings(Checked):
    """Whether labels are classes or single objects, and how objects are followed."""

    task: Annotated[
        ObjectTask,
        Help(
            "What a label stands for: a class of regions; a single object, with an id "
            "of its own even where objects touch; or a single object of several "
            "classes, which the thousands of its id tell (2017 is of class 2). Auto "
            "takes what the references look like: many ids on a frame, or touching "
            "regions of different ids, mean objects.",
            label="Labels are",
        ),
    ] = "auto"
    enlarge: Annotated[
        bool,
        Help(
            "Whether frames are cut into enlarged tiles where objects are so small "
            "that a whole frame does not show what lies between them. They are told "
            "apart far better, and a frame takes several times as long.",
            label="Enlarge small objects",
        ),
    ] = True
    linking: Annotated[
        LinkingSettings, Help("How objects keep their ids.", label="Ids of objects")
    ] = field(default_factory=LinkingSettings)


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupSettings(Checked):
    """What is cleaned up in predicted labels, of classes and of objects."""

    smallest: Annotated[
        float | None,
        Ge(0),
        Unit("pixels"),
        Help(
            "Connected regions of fewer pixels are specks, and go. Without it, those "
            "do that are far smaller than the references' smallest; 0 keeps all.",
            label="Smallest region",
        ),
    ] = None
    fill_holes: Annotated[
        Choice,
        Help(
            "Whether background within a single label takes that label; auto does so "
            "where the references have no holes."
        ),
    ] = "auto"
    largest_only: Annotated[
        bool,
        Help("Whether each label keeps only its largest connected region on a frame."),
    ] = False
    smooth: Annotated[
        float,
        Ge(0),
        Unit("pixels"),
        Help("Over how many pixels (sigma) outlines are smoothed; 0 leaves them."),
    ] = 0.0
    thresholds: Annotated[
        tuple[Share, ...],
        Help(
            "The least score of a pixel that keeps its label, of class 1, 2 and so on; "
            "the last is for all further ones. With more, less is labelled; 0 leaves "
            "all."
        ),
    ] = (0.0,)
