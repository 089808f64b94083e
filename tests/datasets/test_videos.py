import json

import numpy as np
import pytest

from napari_seggpt.datasets.base import DatasetError
from napari_seggpt.datasets.videos import (
    open_cell_tracking,
    open_davis2016,
    open_davis2017,
    open_mose,
    open_youtube_vos,
)


def test_the_objects_of_davis_are_those_of_the_first_frame(published, miniatures):
    dataset = open_davis2017(published("davis2017"), "val")
    video = dataset[0]
    assert (video.name, len(video)) == ("boat", 5)
    assert {i: x.first for i, x in video.known_objects().items()} == {1: 0, 2: 0}
    assert video.is_labelled_throughout()
    np.testing.assert_array_equal(video.labels(3), miniatures.frames(5, [1, 2])[3])
    assert video.frame_name(3) == "00003"


def test_void_counts_as_background(miniatures, tmp_path):
    folder = miniatures.write("davis2017", tmp_path)
    labels = np.full((36, 48), 255, np.uint8)
    labels[5:9, 5:9] = 1
    file = folder / "Annotations" / "480p" / "cow" / "00001.png"
    miniatures.save(file, labels, palette=True)
    video = open_davis2017(folder, "val")[1]
    assert set(np.unique(video.labels(1))) == {0, 1}


def test_davis_2016_has_one_object(published):
    (video,) = open_davis2016(published("davis2016"), "val").videos
    assert video.name == "bear"
    assert set(np.unique(video.labels(0))) == {0, 1}
    # Of DAVIS 2017, all objects are the foreground.
    boat = open_davis2016(published("davis2017"), "val")[0]
    assert set(np.unique(boat.labels(0))) == {0, 1}


def test_objects_of_youtube_vos_begin_late_and_have_categories(published):
    dataset = open_youtube_vos(published("youtube-vos"), "valid")
    assert dataset.seen == {"cat"}
    full, public = dataset.videos
    objects = full.known_objects()
    assert {i: (x.first, x.category) for i, x in objects.items()} == {
        1: (0, "cat"), 3: (2, "yak"),
    }  # fmt: skip
    assert full.frame_name(2) == "00010"
    assert full.is_labelled_throughout()
    assert not public.is_labelled_throughout()
    assert public.labels(1) is None


def test_without_training_videos_nothing_is_seen(miniatures, tmp_path):
    folder = miniatures.write("youtube-vos", tmp_path)
    (folder / "train" / "meta.json").unlink()
    assert open_youtube_vos(folder, "valid").seen is None


@pytest.mark.parametrize("content", ["{}", json.dumps({"videos": {"bbb": {}}})])
def test_damaged_videos_are_said(miniatures, tmp_path, content):
    folder = miniatures.write("youtube-vos", tmp_path)
    (folder / "valid" / "meta.json").write_text(content)
    with pytest.raises(DatasetError, match=r"Expected videos.* in .*meta\.json"):
        open_youtube_vos(folder, "valid")


def test_mose_is_public_in_its_first_frames(published):
    (public,) = open_mose(published("mose"), "valid").videos
    assert not public.is_labelled_throughout()
    assert set(public.known_objects()) == {1, 2}
    (full,) = open_mose(published("mose"), "train").videos
    assert full.is_labelled_throughout()


def test_cells_are_segmented_or_tracked(published):
    folder = published("cell-tracking")
    (gold,) = open_cell_tracking(folder, "gold").videos
    assert [file is not None for file in gold.label_files] == [0, 1, 0, 1]
    assert set(np.unique(gold.labels(1))) == {0, 10, 20}
    (tracked,) = open_cell_tracking(folder, "tracking").videos
    assert tracked[0].dtype == np.uint16
    firsts = {i: x.first for i, x in tracked.known_objects().items()}
    assert firsts == {1: 0, 2: 1}
    with pytest.raises(DatasetError, match="Expected videos"):
        open_cell_tracking(folder, "silver")


def test_tracks_begin_at_frames_whatever_their_numbers(miniatures, tmp_path):
    folder = miniatures.write("cell-tracking", tmp_path)
    labels = folder / "01_GT" / "TRA"
    for at, stem in ((folder / "01", "t"), (labels, "man_track")):
        for file in sorted(at.glob("*.tif"), reverse=True):
            number = int(file.stem.removeprefix(stem)) + 150
            file.rename(at / f"{stem}{number:03}.tif")
    (labels / "man_track.txt").write_text("1 150 152 0\n2 151 152 0\n3 149 151 0\n")
    (tracked,) = open_cell_tracking(folder, "tracking").videos
    firsts = {i: x.first for i, x in tracked.known_objects().items()}
    assert firsts == {1: 0, 2: 1, 3: 0}


def test_volumes_are_refused(miniatures, tmp_path):
    import tifffile

    folder = miniatures.write("cell-tracking", tmp_path)
    tifffile.imwrite(folder / "01" / "t000.tif", np.zeros((5, 8, 8), np.uint16))
    video = open_cell_tracking(folder, "gold")[0]
    with pytest.raises(DatasetError, match="Expected a two-dimensional frame"):
        _ = video[0]


def test_videos_without_frames_or_labels_are_said(miniatures, tmp_path):
    folder = miniatures.write("davis2017", tmp_path)
    for file in (folder / "Annotations" / "480p" / "boat").iterdir():
        file.unlink()
    video = open_davis2017(folder, "val")[0]
    assert not video.is_labelled_throughout()
    with pytest.raises(DatasetError, match="Expected a labelled frame in boat"):
        video.known_objects()
    for file in (folder / "JPEGImages" / "480p" / "boat").iterdir():
        file.unlink()
    with pytest.raises(DatasetError, match="Expected frames in boat"):
        open_davis2017(folder, "val")
