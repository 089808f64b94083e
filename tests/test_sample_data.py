"""The sample stacks: what they hold, that they can be found, read and made again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_seggpt import sample_data
from napari_seggpt.sample_data import SAMPLES, sample_path
from napari_seggpt.training.samples import STACKS, make_sample_data

MEGABYTE = 2**20


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> sample_data.SampleStack:
    return SAMPLES[request.param]


def test_stack_and_labels_share_a_grid(sample: sample_data.SampleStack) -> None:
    with (
        tifffile.TiffFile(sample.path) as image,
        tifffile.TiffFile(sample.labels_path) as labels,
    ):
        assert image.series[0].axes == labels.series[0].axes
        assert image.series[0].axes == f"{sample.axis.upper()}YX"
        assert image.series[0].shape == labels.series[0].shape
        assert labels.series[0].dtype == np.uint8
        count, length = image.pages[0].tags["XResolution"].value
        step = "finterval" if sample.axis == "t" else "spacing"
        assert count / length == pytest.approx(1 / sample.scale[2])
        assert image.imagej_metadata[step] == pytest.approx(sample.scale[0])


def test_the_reference_shows_every_class(sample: sample_data.SampleStack) -> None:
    labels = tifffile.imread(sample.labels_path)
    assert set(np.unique(labels)) == {0, *sample.classes}
    assert set(np.unique(labels[sample.reference])) == {0, *sample.classes}


def test_the_stacks_are_not_solved_by_copying(sample: sample_data.SampleStack) -> None:
    labels = tifffile.imread(sample.labels_path)
    copied = labels[sample.reference] > 0
    last = labels[-1] > 0
    dice = 2 * (copied & last).sum() / (copied.sum() + last.sum())
    assert dice < 0.75


def test_the_stacks_are_not_solved_by_a_threshold(
    sample: sample_data.SampleStack,
) -> None:
    frame = tifffile.imread(sample.path)[sample.reference].astype(float)
    truth = tifffile.imread(sample.labels_path)[sample.reference] > 0
    best = 0.0
    for level in np.quantile(frame, np.linspace(0.05, 0.98, 40)):
        for mask in (frame > level, frame < level):
            dice = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
            best = max(best, float(dice))
    assert 0.2 < best < 0.95


def test_the_folder_is_small() -> None:
    folder = sample_path("cells.tif").parent
    assert sum(path.stat().st_size for path in folder.iterdir()) < 6 * 10**6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["membranes", "organs"])
def test_the_seed_makes_the_files_again(name: str) -> None:
    stack = STACKS[name]()
    image = tifffile.imread(SAMPLES[name].path)
    labels = tifffile.imread(SAMPLES[name].labels_path)
    # Equal on one machine; another may round a sum the other way.
    assert (stack.image != image).mean() < 1e-3
    assert (stack.labels != labels).mean() < 1e-4


@pytest.mark.slow
def test_make_sample_data_writes_all_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = STACKS["organs"]()
    monkeypatch.setattr(
        "napari_seggpt.training.samples.STACKS", {"organs": lambda: stack}
    )
    make_sample_data(tmp_path / "made")
    made = tifffile.imread(tmp_path / "made" / "organs.tif")
    np.testing.assert_array_equal(made, stack.image)
    assert (tmp_path / "made" / "organs_labels.tif").is_file()


def test_napari_gets_the_labels_of_the_reference_only(
    sample: sample_data.SampleStack,
) -> None:
    layers = getattr(sample_data, sample.name)()
    (image, image_settings, image_type), (labels, settings, labels_type) = layers
    assert (image_type, labels_type) == ("image", "labels")
    assert image.shape == labels.shape
    for shared in (image_settings, settings):
        assert shared["scale"] == sample.scale
        assert shared["units"] == sample.units
        assert shared["axis_labels"] == (sample.axis, "y", "x")
    truth = tifffile.imread(sample.labels_path)
    np.testing.assert_array_equal(labels[sample.reference], truth[sample.reference])
    assert not np.delete(labels, sample.reference, axis=0).any()


def test_reading_needs_neither_imagecodecs_nor_napari_nor_torch() -> None:
    program = """
import sys
sys.modules["imagecodecs"] = None
from napari_seggpt import sample_data
for name in sample_data.SAMPLES:
    (image, *_), (labels, *_) = getattr(sample_data, name)()
    assert image.any() and labels.any()
loaded = {"napari", "torch", "qtpy", "magicgui"} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_an_installed_package_has_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "napari_seggpt_resources" / "sample_data"
    folder.mkdir(parents=True)
    (folder / "only_here.tif").touch()
    module = tmp_path / "napari_seggpt" / "sample_data.py"
    monkeypatch.setattr(sample_data, "__file__", str(module))
    monkeypatch.syspath_prepend(tmp_path)
    assert sample_path("only_here.tif") == folder / "only_here.tif"


def test_a_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"galaxies\.tif"):
        sample_path("galaxies.tif")
