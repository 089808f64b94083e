"""Made-up data sets of a few small images, in the layouts that are published.

`write(name, folder)` writes the one of that name, as `datasets.layouts` calls it. The
images are their labels, brightened, over noise.
"""

import gzip
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

SHAPE = (36, 48)
PALETTE = list(range(256)) * 3  # any: files are read by their indices
Array = np.ndarray[Any, Any]


def scene(ids: list[int], seed: int = 0, shape: tuple[int, int] = SHAPE) -> Array:
    """Return labels (H, W): a block an id, over a background of 0."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int64)
    width = shape[1] // max(1, len(ids))
    for place, one in enumerate(ids):
        top = int(rng.integers(2, shape[0] // 3))
        left = place * width + 1
        labels[top : top + shape[0] // 2, left : left + width - 3] = one
    return labels


def picture(labels: Array, seed: int = 0) -> Array:
    """Return an image (H, W, 3) of labels."""
    rng = np.random.default_rng(seed)
    colors = np.random.default_rng(7).integers(60, 256, (4096, 3))
    colors[0] = 30
    noise = rng.normal(0, 6, (*labels.shape, 3))
    return np.clip(colors[labels % 4096] + noise, 0, 255).astype(np.uint8)


def save(file: Path, values: Array, *, palette: bool = False) -> None:
    """Write an image file, and the folders that it is in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if palette:
        image.putpalette(PALETTE)
    image.save(file)


def save_pair(image: Path, labels: Path, ids: list[int], seed: int) -> Array:
    """Write a picture and its labels as 8-bit values; returns the labels."""
    truth = scene(ids, seed)
    save(image, picture(truth, seed))
    save(labels, truth.astype(np.uint8))
    return truth


def save_json(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def save_lines(file: Path, lines: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")


# -- the class of every pixel ------------------------------------------------------


def ade20k(folder: Path) -> None:
    """Three training and two validation images; in all 150 classes, but for 148."""
    rows = [f"{i}\t0.1\t1\t1\t1\tclass {i}, thing {i}" for i in range(1, 151)]
    head = "Idx\tRatio\tTrain\tVal\tStuff\tName"
    save_lines(folder / "objectInfo150.txt", [head, *rows])
    for subset, ids in (("training", [[1, 2], [2, 1], [1, 2]]),
                        ("validation", [[1, 2], [2]])):  # fmt: skip
        for number, present in enumerate(ids, 1):
            name = f"ADE_{subset[:5]}_{number:08}"
            save_pair(
                folder / "images" / subset / f"{name}.jpg",
                folder / "annotations" / subset / f"{name}.png",
                present,
                number,
            )


def cityscapes(folder: Path) -> None:
    for subset in ("train", "val"):
        for number in range(2):
            stem = f"town_{number:06}_000019"
            save_pair(
                folder / "leftImg8bit" / subset / "town" / f"{stem}_leftImg8bit.png",
                folder / "gtFine" / subset / "town" / f"{stem}_gtFine_labelIds.png",
                [7, 26, 4],
                number,
            )


def lip(folder: Path) -> None:
    for subset in ("train", "val"):
        for number in range(2):
            save_pair(
                folder / "TrainVal_images" / f"{subset}_images" / f"{number}_1.jpg",
                folder / "TrainVal_parsing_annotations" / f"{subset}_segmentations"
                / f"{number}_1.png",
                [2, 13, 19],
                number,
            )  # fmt: skip


def loveda(folder: Path) -> None:
    for subset in ("Train", "Val"):
        for place in ("Urban", "Rural"):
            for number in range(2):
                part = folder / subset / place
                save_pair(
                    part / "images_png" / f"{number}.png",
                    part / "masks_png" / f"{number}.png",
                    [1, 2, 7],
                    number,
                )


def isaid(folder: Path) -> None:
    for subset in ("train", "val"):
        for number in range(2):
            name = f"P{number:04}"
            labels = scene([1, 2], number)
            part = folder / subset
            save(part / "images" / "images" / f"{name}.png", picture(labels, number))
            colors = np.array([[0, 0, 0], [0, 0, 63], [0, 100, 155]], np.uint8)[labels]
            file = f"{name}_instance_color_RGB.png"
            save(part / "Semantic_masks" / "images" / file, colors)


def plain(folder: Path) -> None:
    for number in range(4):
        save_pair(
            folder / "images" / f"{number}.png",
            folder / "labels" / f"{number}.png",
            [1, 3],
            number,
        )


# -- vessels -----------------------------------------------------------------------


def drive(folder: Path) -> None:
    for subset, first in (("training", 21), ("test", 1)):
        for number in (first, first + 1):
            labels = scene([1], number)
            part = folder / subset
            stem = f"{number:02}_{subset}"
            save(part / "images" / f"{stem}.tif", picture(labels, number))
            white = (labels * 255).astype(np.uint8)
            save(part / "1st_manual" / f"{number:02}_manual1.gif", white)
            save(part / "mask" / f"{stem}_mask.gif", view())


def view() -> Array:
    """Return a field of view: all but two rows."""
    seen = np.full(SHAPE, 255, np.uint8)
    seen[:2] = 0
    return seen


def stare(folder: Path) -> None:
    for number in (1, 2):
        labels = scene([1], number)
        white = (labels * 255).astype(np.uint8)
        for file, values in (
            (f"stare-images/im{number:04}.ppm.gz", picture(labels, number)),
            (f"labels-ah/im{number:04}.ah.ppm.gz", white),
        ):
            stream = io.BytesIO()
            Image.fromarray(values).save(stream, "PPM")
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(gzip.compress(stream.getvalue()))


def chase_db1(folder: Path) -> None:
    for name in ("01L", "01R"):
        labels = scene([1], len(name))
        save(folder / f"Image_{name}.jpg", picture(labels))
        save(folder / f"Image_{name}_1stHO.png", (labels * 255).astype(np.uint8))


def hrf(folder: Path) -> None:
    for number, name in enumerate(("01_dr", "02_h")):
        labels = scene([1], number)
        save(folder / "images" / f"{name}.jpg", picture(labels, number))
        save(folder / "manual1" / f"{name}.tif", (labels * 255).astype(np.uint8))
        save(folder / "mask" / f"{name}_mask.tif", np.stack([view()] * 3, -1))


# -- PASCAL VOC and few shots ------------------------------------------------------


def voc(folder: Path) -> None:
    """Two images of every class, with another class beside it, and void borders."""
    names = {"train": [], "val": []}  # type: dict[str, list[str]]
    for number in range(20):
        for half, subset in enumerate(("train", "val", "val")):
            name = f"2007_{number:03}{half:03}"
            names[subset].append(name)
            classes = [number + 1, (number + 1) % 20 + 1]
            labels = scene(classes, number + half, (90, 110))
            save(folder / "JPEGImages" / f"{name}.jpg", picture(labels, half))
            objects = np.where(labels == classes[0], 1, np.where(labels > 0, 2, 0))
            for kind, values in (
                ("SegmentationClass", labels),
                ("SegmentationObject", objects),
            ):
                written = values.astype(np.uint8)
                written[:, 0] = 255
                save(folder / kind / f"{name}.png", written, palette=True)
    for subset, listed in names.items():
        save_lines(folder / "ImageSets" / "Segmentation" / f"{subset}.txt", listed)


def sbd(folder: Path) -> None:
    root = folder / "dataset"
    for subset in ("train", "val"):
        listed = []
        for number in range(2):
            name = f"2008_{number:06}_{subset}"
            listed.append(name)
            labels = scene([3, 7], number)
            save(root / "img" / f"{name}.jpg", picture(labels, number))
            objects = np.where(labels == 3, 1, np.where(labels == 7, 2, 0))
            for kind, key, values in (
                ("cls", "GTcls", labels),
                ("inst", "GTinst", objects),
            ):
                file = root / kind / f"{name}.mat"
                file.parent.mkdir(parents=True, exist_ok=True)
                savemat(file, {key: {"Segmentation": values.astype(np.uint8)}})
        save_lines(root / f"{subset}.txt", listed)


def fss1000(folder: Path) -> None:
    for seed, name in enumerate(("bus", "hotel_slipper", "abacus")):
        for number in range(1, 11):
            labels = scene([1 + seed], seed * 10 + number)
            save(folder / name / f"{number}.jpg", picture(labels, number))
            white = np.stack([labels > 0] * 3, -1) * np.uint8(255)
            save(folder / name / f"{number}.png", white)


def coco20i(folder: Path) -> None:
    """COCO 2014 as HSNet has it: two images of every class, as maps of classes."""
    for number in range(1, 81):
        for half in range(2):
            name = f"COCO_val2014_{number * 2 + half:012}"
            labels = scene([number, number % 80 + 1], number + half, (90, 110))
            save(folder / "val2014" / f"{name}.jpg", picture(labels, half))
            file = folder / "annotations" / "val2014" / f"{name}.png"
            save(file, labels.astype(np.uint8))


def splits(folder: Path) -> None:
    """HSNet's lists for `voc`, `coco20i` and `fss1000`: every class has 4 images."""
    for fold in range(4):
        lines = [
            f"2007_{number:03}{half:03}__{class_id:02}"
            for number in range(20)
            for half in (1, 2)
            for class_id in (number + 1, (number + 1) % 20 + 1)
            if (class_id - 1) // 5 == fold
        ]
        save_lines(folder / "pascal" / "val" / f"fold{fold}.txt", lines)
        lists: dict[int, list[str]] = {i: [] for i in range(80)}
        for i in range(fold, 80, 4):
            lists[i] = [
                f"val2014/COCO_val2014_{number * 2 + half:012}.jpg"
                for number in (i + 1, (i - 1) % 80 + 1)
                for half in (1, 0)
            ]
        file = folder / "coco" / "val" / f"fold{fold}.pkl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(lists))
    save_lines(folder / "fss" / "test.txt", ["bus", "abacus"])


# -- COCO --------------------------------------------------------------------------

THINGS = {1: "person", 18: "dog"}
STUFF = {149: "grass", 187: "sky"}


def categories(classes: dict[int, str], isthing: int | None = None) -> list[Any]:
    more = {} if isthing is None else {"isthing": isthing}
    return [{"id": i, "name": name, **more} for i, name in classes.items()]


def runs(mask: Array) -> dict[str, Any]:
    """Return a mask as uncompressed runs, column by column, which begin with zeros."""
    flat = mask.flatten(order="F").astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    return {"counts": ([0] if flat[0] else []) + counts, "size": list(mask.shape)}


def coco_images(folder: Path, subset: str, ids: list[int]) -> tuple[list[Any], Any]:
    """Write two images; returns what the file says of them, and their labels."""
    rows, truths = [], {}
    for number in (1, 2):
        file = f"{number:012}.jpg"
        labels = scene(ids, number)
        save(folder / subset / file, picture(labels, number))
        rows.append({
            "id": number, "file_name": file, "height": SHAPE[0], "width": SHAPE[1],
        })  # fmt: skip
        truths[number] = labels
    return rows, truths


def coco_instances(folder: Path) -> None:
    """Per image a dog as a polygon, a person as runs, and a crowd of persons."""
    for subset in ("train2017", "val2017"):
        images, truths = coco_images(folder, subset, [1, 18])
        annotations = []
        for number, labels in truths.items():
            rows, columns = np.nonzero(labels == 18)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            left, top, right, bottom = (int(x) for x in box)
            polygon = [left, top, right, top, right, bottom, left, bottom]
            crowd = np.zeros(SHAPE, bool)
            crowd[-3:, :5] = True
            for class_id, shape, area, is_crowd in (
                (18, [polygon], int((labels == 18).sum()), 0),
                (1, runs(labels == 1), int((labels == 1).sum()), 0),
                (1, runs(crowd), 15, 1),
            ):
                annotations.append({
                    "id": len(annotations) + 1, "image_id": number,
                    "category_id": class_id, "segmentation": shape, "area": area,
                    "iscrowd": is_crowd,
                })  # fmt: skip
        save_json(folder / "annotations" / f"instances_{subset}.json", {
            "images": images, "annotations": annotations,
            "categories": categories(THINGS),
        })  # fmt: skip


def coco_panoptic(folder: Path) -> None:
    """Per image a person, a dog, grass, and void pixels."""
    for subset in ("train2017", "val2017"):
        images, truths = coco_images(folder, subset, [1, 18])
        annotations = []
        for number, labels in truths.items():
            segments = np.where(labels == 0, 5 + 256 * 7, labels + 65536 * number)
            segments[:2] = 0
            file = f"{number:012}.png"
            colors = np.stack([segments >> 8 * i & 255 for i in range(3)], -1)
            target = folder / "annotations" / f"panoptic_{subset}" / file
            save(target, colors.astype(np.uint8))
            annotations.append({
                "image_id": number, "file_name": file,
                "segments_info": [
                    {"id": int(i), "category_id": 149 if i < 65536 else int(i % 256),
                     "iscrowd": 0, "area": int((segments == i).sum())}
                    for i in np.unique(segments) if i
                ],
            })  # fmt: skip
        save_json(folder / "annotations" / f"panoptic_{subset}.json", {
            "images": images, "annotations": annotations,
            "categories": categories(THINGS, 1) + categories(STUFF, 0),
        })  # fmt: skip


def coco_stuff(folder: Path) -> None:
    for subset in ("train2017", "val2017"):
        _, truths = coco_images(folder, subset, [1, 149])
        for number, labels in truths.items():
            values = np.where(labels == 0, 255, labels - 1).astype(np.uint8)
            save(folder / "stuffthingmaps" / subset / f"{number:012}.png", values)


def paco(folder: Path) -> None:
    """Objects and parts of images that COCO has in another subset."""
    images, truths = coco_images(folder, "train2017", [1])
    for image in images:
        image["coco_url"] = f"http://host/train2017/{image['file_name']}"
    annotations = []
    for number, labels in truths.items():
        whole = labels == 1
        part = whole & (np.cumsum(whole, axis=0) < 4)
        for class_id, mask in ((1, whole), (76, part)):
            annotations.append({
                "id": len(annotations) + 1, "image_id": number,
                "category_id": class_id, "segmentation": runs(mask),
                "area": int(mask.sum()),
            })  # fmt: skip
    classes = {1: "mug", 76: "mug:rim"}
    for subset in ("train", "val"):
        save_json(folder / "annotations" / f"paco_lvis_v1_{subset}.json", {
            "images": images, "annotations": annotations,
            "categories": categories(classes),
        })  # fmt: skip


# -- videos ------------------------------------------------------------------------


def frames(count: int, ids: list[int], late: dict[int, int] | None = None) -> Array:
    """Return labels (T, H, W) of blocks that move down; some objects begin late."""
    still = scene(ids)
    moving = np.stack([np.roll(still, index, axis=0) for index in range(count)])
    for one, first in (late or {}).items():
        moving[:first][moving[:first] == one] = 0
    return moving


def write_video(
    images: Path,
    labels: Path,
    truth: Array,
    labelled: list[int],
    *,
    step: int = 1,
    factor: int = 1,
) -> None:
    for index, frame in enumerate(truth):
        name = f"{index * step:05}"
        save(images / f"{name}.jpg", picture(frame, index))
        if index in labelled:
            values = (frame * factor).astype(np.uint8)
            save(labels / f"{name}.png", values, palette=factor == 1)


def davis2017(folder: Path) -> None:
    truths = {"boat": frames(5, [1, 2]), "cow": frames(4, [1]), "train": frames(3, [1])}
    truths["cow"][2] = 0  # it is hidden in a frame
    for name, truth in truths.items():
        write_video(
            folder / "JPEGImages" / "480p" / name,
            folder / "Annotations" / "480p" / name,
            truth,
            list(range(len(truth))),
        )
    for year in ("2016", "2017"):
        save_lines(folder / "ImageSets" / year / "val.txt", ["boat", "cow"])
        save_lines(folder / "ImageSets" / year / "train.txt", ["train"])


def davis2016(folder: Path) -> None:
    truth = frames(4, [1])
    write_video(
        folder / "JPEGImages" / "480p" / "bear",
        folder / "Annotations" / "480p" / "bear",
        truth,
        list(range(4)),
        factor=255,
    )
    lines = [
        f"/JPEGImages/480p/bear/{i:05}.jpg /Annotations/480p/bear/{i:05}.png"
        for i in range(4)
    ]
    save_lines(folder / "ImageSets" / "480p" / "val.txt", lines)


def youtube_vos(folder: Path) -> None:
    """One training and two validation videos; a late object; categories unseen.

    The second validation video is as on the server: labels where objects are given.
    """
    for subset, name, kinds, labelled in (
        ("train", "aaa", {1: "cat"}, range(6)),
        ("valid", "bbb", {1: "cat", 3: "yak"}, range(6)),
        ("valid", "ccc", {1: "cat", 3: "yak"}, (0, 2)),
    ):
        truth = frames(6, list(kinds), late={3: 2})
        part = folder / subset
        write_video(
            part / "JPEGImages" / name,
            part / "Annotations" / name,
            truth,
            list(labelled),
            step=5,
        )
        names = [f"{index * 5:05}" for index in range(6)]
        objects = {
            str(i): {"category": kind, "frames": names[2 if i == 3 else 0 :]}
            for i, kind in kinds.items()
        }
        file = part / "meta.json"
        known = json.loads(file.read_text())["videos"] if file.is_file() else {}
        save_json(file, {"videos": {**known, name: {"objects": objects}}})


def mose(folder: Path) -> None:
    for subset, labelled in (("train", range(4)), ("valid", (0,))):
        write_video(
            folder / subset / "JPEGImages" / "0a1b",
            folder / subset / "Annotations" / "0a1b",
            frames(4, [1, 2]),
            list(labelled),
        )


def cell_tracking(folder: Path) -> None:
    import tifffile

    truth = frames(4, [1, 2], late={2: 1}).astype(np.uint16)
    seg, tra = folder / "01_GT" / "SEG", folder / "01_GT" / "TRA"
    for part in (folder / "01", seg, tra):
        part.mkdir(parents=True)
    for index, frame in enumerate(truth):
        image = (frame * 9000 + 500).astype(np.uint16)
        tifffile.imwrite(folder / "01" / f"t{index:03}.tif", image)
        tifffile.imwrite(tra / f"man_track{index:03}.tif", frame)
        if index in (1, 3):
            tifffile.imwrite(seg / f"man_seg{index:03}.tif", frame * 10)
    save_lines(tra / "man_track.txt", ["1 0 3 0", "2 1 3 0"])


WRITERS: dict[str, Callable[[Path], None]] = {
    "ade20k": ade20k,
    "cell-tracking": cell_tracking,
    "chase-db1": chase_db1,
    "cityscapes": cityscapes,
    "coco-20i": coco20i,
    "coco-instances": coco_instances,
    "coco-panoptic": coco_panoptic,
    "coco-stuff": coco_stuff,
    "davis2016": davis2016,
    "davis2017": davis2017,
    "drive": drive,
    "fss-1000": fss1000,
    "hrf": hrf,
    "hsnet-splits": splits,
    "isaid": isaid,
    "lip": lip,
    "loveda": loveda,
    "mose": mose,
    "paco": paco,
    "plain": plain,
    "sbd": sbd,
    "stare": stare,
    "voc": voc,
    "youtube-vos": youtube_vos,
}


def write(name: str, folder: Path) -> Path:
    """Write the data set of a name; returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    WRITERS[name](folder)
    return folder
