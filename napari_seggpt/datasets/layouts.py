"""Which published data set a folder holds, told by what lies in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_seggpt.datasets import (
    coco,
    fss1000,
    plain,
    semantic,
    vessels,
    videos,
    voc,
)
from napari_seggpt.datasets.base import DatasetError, ImageDataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_seggpt.datasets.videos import VideoDataset

DEEPEST = 3  # folders that data sets may lie below the one that is named


class NoTrainingSubsetError(DatasetError):
    """A data set without the subset that is to be learned from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the folder of a published data set looks.

    Attributes
    ----------
    name, title : str
        What it is called on the command line, and in sentences.
    needs : tuple of str
        Patterns of paths, each of which must match something in the folder.
    open : callable
        Opens a subset of the folder.
    subsets : tuple of str
        The subsets that may be there, that which is scored first.
    place : str
        What there is of a subset, as a pattern with its name.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    open: Callable[[Path, str], ImageDataset[Any] | VideoDataset]
    subsets: tuple[str, ...] = ("all",)
    place: str = "."

    def matches(self, folder: Path) -> bool:
        """Tell whether a folder looks so."""
        return _has_all(folder, self.needs)

    def present(self, folder: Path) -> list[str]:
        """Return the subsets that a folder has."""
        if self.place == ".":
            return list(self.subsets)
        return [x for x in self.subsets if any(folder.glob(self.place.format(x)))]


_YEARS = ("val2017", "train2017", "val2014", "train2014")
_VOC = ("JPEGImages", "SegmentationClass*", "ImageSets/Segmentation/*.txt")
LAYOUTS = (
    Layout(
        name="ade20k",
        title="ADE20K (SceneParse150)",
        needs=("images/validation", "annotations/validation"),
        open=semantic.open_ade20k,
        subsets=("validation", "training"),
        place="annotations/{}",
    ),
    Layout(
        name="coco-instances",
        title="COCO instances",
        needs=("annotations/instances_*.json",),
        open=coco.open_instances,
        subsets=_YEARS,
        place="annotations/instances_{}.json",
    ),
    Layout(
        name="coco-stuff",
        title="COCO-Stuff",
        needs=("stuffthingmaps/*/*.png",),
        open=coco.open_stuff,
        subsets=_YEARS,
        place="stuffthingmaps/{}",
    ),
    Layout(
        name="coco-panoptic",
        title="COCO panoptic",
        needs=("annotations/panoptic_*.json",),
        open=coco.open_panoptic,
        subsets=_YEARS,
        place="annotations/panoptic_{}.json",
    ),
    Layout(
        name="paco",
        title="PACO-LVIS",
        needs=(f"annotations/{coco.PACO_PREFIX}*.json",),
        open=coco.open_paco,
        subsets=("val", "train", "test"),
        place=f"annotations/{coco.PACO_PREFIX}{{}}.json",
    ),
    Layout(
        name="voc",
        title="PASCAL VOC",
        needs=_VOC,
        open=voc.open_voc,
        subsets=("val", "train", "trainval"),
        place="ImageSets/Segmentation/{}.txt",
    ),
    Layout(
        name="sbd",
        title="SBD",
        needs=("dataset/cls/*.mat", "dataset/img"),
        open=voc.open_sbd,
        subsets=("val", "train"),
        place="dataset/{}.txt",
    ),
    Layout(
        name="cityscapes",
        title="Cityscapes",
        needs=("leftImg8bit", "gtFine"),
        open=semantic.open_cityscapes,
        subsets=("val", "train"),
        place="gtFine/{}",
    ),
    Layout(
        name="lip",
        title="LIP",
        needs=("TrainVal_images", "TrainVal_parsing_annotations"),
        open=semantic.open_lip,
        subsets=("val", "train"),
        place="TrainVal_parsing_annotations/**/{}_segmentations",
    ),
    Layout(
        name="isaid",
        title="iSAID",
        needs=("*/Semantic_masks", "*/images"),
        open=semantic.open_isaid,
        subsets=("val", "train"),
        place="{}/Semantic_masks",
    ),
    Layout(
        name="loveda",
        title="LoveDA",
        needs=("*/*/images_png",),
        open=semantic.open_loveda,
        subsets=("Val", "Train"),
        place="{}",
    ),
    Layout(
        name="drive",
        title="DRIVE",
        needs=("*/1st_manual", "*/mask", "*/images"),
        open=vessels.open_drive,
        subsets=("test", "training"),
        place="{}/1st_manual",
    ),
    Layout(
        name="stare",
        title="STARE",
        needs=("*/*.ah.ppm*",),
        open=vessels.open_stare,
    ),
    Layout(
        name="chase-db1",
        title="CHASE_DB1",
        needs=("Image_*_1stHO.png",),
        open=vessels.open_chase_db1,
    ),
    Layout(
        name="hrf",
        title="HRF",
        needs=("manual1", "mask", "images"),
        open=vessels.open_hrf,
    ),
    Layout(
        name="fss-1000",
        title="FSS-1000",
        needs=fss1000.NEEDS,
        open=fss1000.open_fss1000,
    ),
    Layout(
        name="davis2017",
        title="DAVIS 2017",
        needs=("ImageSets/2017", "JPEGImages/480p", "Annotations/480p"),
        open=videos.open_davis2017,
        subsets=("val", "train", "test-dev"),
        place="ImageSets/2017/{}.txt",
    ),
    Layout(
        name="davis2016",
        title="DAVIS 2016",
        needs=("ImageSets/*/*.txt", "JPEGImages/480p", "Annotations/480p"),
        open=videos.open_davis2016,
        subsets=("val", "train"),
        place="ImageSets/*/{}.txt",
    ),
    Layout(
        name="youtube-vos",
        title="YouTube-VOS",
        needs=("*/meta.json", "*/JPEGImages", "*/Annotations"),
        open=videos.open_youtube_vos,
        subsets=("valid", "train", "test"),
        place="{}/meta.json",
    ),
    Layout(
        name="mose",
        title="MOSE",
        needs=("*/JPEGImages/*/*.jpg", "*/Annotations/*/*.png"),
        open=videos.open_mose,
        subsets=("valid", "train"),
        place="{}/Annotations",
    ),
    Layout(
        name="cell-tracking",
        title="Cell Tracking Challenge",
        needs=("[0-9][0-9]/t*.tif", "[0-9][0-9]_GT"),
        open=videos.open_cell_tracking,
        subsets=tuple(videos.CTC_LABELS),
    ),
    Layout(
        name="plain",
        title="images/ and labels/ of equal names",
        needs=("images", "labels"),
        open=plain.open_plain,
    ),
)
# Where a folder matches both, it is the first, and not the second.
SPECIAL_CASES = {"youtube-vos": "mose"}
# Where a folder matches both, it is the first unless the second is asked for.
USUAL_CASES = {"davis2017": "davis2016", **SPECIAL_CASES}


def open_dataset(
    folder: Path,
    *,
    layout: str | None = None,
    subset: str | None = None,
    to_learn_from: bool = False,
) -> ImageDataset[Any] | VideoDataset:
    """Open a published data set, without reading an image.

    Parameters
    ----------
    folder : Path
        As its archives unpack.
    layout : str, optional
        Which of `LAYOUTS`, where the folder holds several, as that of COCO does.
    subset : str, optional
        Which part; without it the one that is scored.
    to_learn_from : bool
        Whether it is the one for training instead, of a data set that has one.

    Raises
    ------
    DatasetError
        If the folder looks like none of them, or like several, or the subset is not
        there; a `NoTrainingSubsetError` if that is the one for training.
    """
    found = _choose(folder, layout)
    present = found.present(folder)
    if subset is not None and subset not in present:
        raise DatasetError(
            f"Expected one of {', '.join(present or found.subsets)} of {found.title} "
            f"in {folder}, got {subset!r}."
        )
    if to_learn_from and subset is None:
        present = _for_training(found, folder, present)
    return found.open(folder, subset or (present or found.subsets)[0])


def _for_training(layout: Layout, folder: Path, present: list[str]) -> list[str]:
    """Return the subsets that are there to learn from: what is scored is not."""
    known = [name for name in layout.subsets if "train" in name.lower()]
    if not known:
        return present
    found = [name for name in known if name in present]
    if not found:
        raise NoTrainingSubsetError(
            f"Expected {' or '.join(known)} of {layout.title} in {folder} to learn "
            f"from, got {', '.join(present) or 'neither'}."
        )
    return found


def _choose(folder: Path, name: str | None) -> Layout:
    wanted = [layout for layout in LAYOUTS if name in (None, layout.name)]
    if not wanted:
        known = ", ".join(layout.name for layout in LAYOUTS)
        raise DatasetError(f"Expected one of {known}, got {name!r}.")
    found = matching(folder, wanted)
    if len(found) > 1:
        names = ", ".join(layout.name for layout in found)
        raise DatasetError(f"Expected to be told which of {names} to take of {folder}.")
    if not found:
        looks = "; ".join(f"{x.title} ({', '.join(x.needs)})" for x in wanted)
        raise DatasetError(
            f"Expected a data set as it is published in {folder}, got another folder. "
            f"Known are: {looks}."
        )
    return found[0]


def matching(folder: Path, layouts: Sequence[Layout] = LAYOUTS) -> list[Layout]:
    """Return the layouts that a folder has."""
    found = [layout for layout in layouts if layout.matches(folder)]
    names = {layout.name for layout in found}
    hidden = {other for name, other in USUAL_CASES.items() if name in names}
    return [layout for layout in found if layout.name not in hidden]


def find_folders(root: Path, needs: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """Find data sets in a folder, or below it.

    Parameters
    ----------
    root : Path
        A data set, or a folder of them.
    needs : mapping of str to sequence of str
        By name, what there is in the folder of each, as `needs_of` returns it.

    Returns
    -------
    dict of str to Path
        By name, where each is, as far as it is there; of several the first.
    """
    found: dict[str, Path] = {}
    level = [root]
    for _ in range(DEEPEST):
        below: list[Path] = []
        for folder in level:
            here = [x for x in needs if _has_all(folder, needs[x])]
            here = [x for x in here if not _is_hidden(folder, x)]
            found = dict.fromkeys(here, folder) | found
            below += [] if here else sorted(folder.glob("*/"))
        level = below
    return found


def needs_of(*names: str) -> dict[str, tuple[str, ...]]:
    """Return what there is in the folders of some layouts, by their names."""
    by_name = {layout.name: layout.needs for layout in LAYOUTS}
    return {name: by_name[name] for name in names}


def _is_hidden(folder: Path, name: str) -> bool:
    """Tell whether a folder only looks like a layout, and is a special case of it."""
    special = [x for x, general in SPECIAL_CASES.items() if general == name]
    return any(_has_all(folder, needs_of(x)[x]) for x in special)


def _has_all(folder: Path, patterns: Iterable[str]) -> bool:
    return all(any(folder.glob(pattern)) for pattern in patterns)
