"""New Labels layers lie on their image, in memory or on disk, and can be painted on."""

import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.layers._source import Source
from numpy.testing import assert_allclose, assert_array_equal

from napari_seggpt.io import open_stack
from napari_seggpt.sample_data import METADATA_KEY
from napari_seggpt.ui.layers import new_labels
from napari_seggpt.ui.layers.image_stack import ImageStack
from napari_seggpt.ui.layers.labels_layer import LabelsLayer
from napari_seggpt.ui.layers.new_labels import new_labels_layer

pytestmark = pytest.mark.usefixtures("qapp")

TURN = np.array(
    [
        [1, 0, 0, 4],
        [0, np.cos(0.3), -np.sin(0.3), 1],
        [0, np.sin(0.3), np.cos(0.3), 2],
        [0, 0, 0, 1],
    ]
)
GRIDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "scale": {"scale": (2, 0.5, 0.25)},
    "translate": {"scale": (2, 0.5, 0.25), "translate": (3, -1, 7)},
    "rotate": {"scale": (2, 0.5, 0.5), "rotate": (0, 0, 30), "translate": (1, 2, 3)},
    "shear": {"shear": (0.0, 0.0, 0.4), "scale": (1, 2, 3)},
    "affine": {"affine": TURN, "scale": (1, 2, 3), "translate": (0, 5, 0)},
}


def from_file(path: Path, data: Any, **options: Any) -> Image:
    """Return a layer as a reader of napari makes it."""
    layer = Image(data, name=path.stem, **options)
    layer._source = Source(path=str(path))
    return layer


def path_of(layer: Labels) -> Path:
    return Path(layer.metadata[METADATA_KEY]["path"])


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
@pytest.mark.parametrize("on_disk", [False, True])
def test_labels_lie_on_the_image(grid: dict[str, Any], on_disk: bool) -> None:
    image = Image(np.zeros((4, 6, 8)), name="cells", **grid)
    layer = new_labels_layer(image, 0, on_disk=on_disk)
    assert layer.name == "cells labels"
    assert layer.data.shape == (4, 6, 8)
    assert layer.dtype == np.uint16
    assert layer.editable
    assert not np.array(layer.data).any()
    for place in np.ndindex(2, 2, 2):
        point = np.multiply(place, (3, 5, 7))
        assert_allclose(layer.data_to_world(point), image.data_to_world(point))


def test_names_and_units_of_axes_are_the_image_s() -> None:
    units, names = ("s", "µm", "µm"), ("t", "y", "x")
    image = Image(np.zeros((4, 6, 8)), units=units, axis_labels=names)
    layer = new_labels_layer(image, 0)
    assert layer.units == image.units
    assert layer.axis_labels == names
    assert layer.metadata[METADATA_KEY]["labels_of"] == image.name


def test_colours_are_no_axis() -> None:
    image = Image(np.zeros((4, 6, 8, 3), np.uint8), rgb=True, scale=(1, 2, 3))
    layer = new_labels_layer(image, 0)
    assert layer.data.shape == (4, 6, 8)
    assert_allclose(layer.scale, (1, 2, 3))
    assert new_labels_layer(Image(np.zeros((6, 8))), None).data.shape == (6, 8)


def test_labels_of_a_level_cover_the_finest() -> None:
    levels = [np.zeros((8, 32, 32)), np.zeros((4, 8, 8))]
    image = Image(
        levels, contrast_limits=(0, 1), scale=(2, 0.5, 0.5), translate=(1, 2, 3)
    )
    layer = new_labels_layer(image, 0, level=1)
    assert layer.data.shape == (4, 8, 8)
    # the first pixel covers frames 0 and 1, rows and columns 0 to 3
    for corner in (0, 1):
        inner = np.array(layer.data.shape) * corner - 0.5
        outer = np.array((8, 32, 32)) * corner - 0.5
        assert_allclose(layer.data_to_world(inner), image.data_to_world(outer))


def test_labels_are_seen_on_every_channel() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((5, 4, 6, 8)), scale=(1, 3, 1, 1))
    layer = viewer.add_layer(new_labels_layer(image, 0, channel_axis=1))
    assert layer.data.shape == (5, 1, 6, 8)
    assert viewer.dims.nsteps[:2] == (5, 4)
    stack = ImageStack(image, 0, channel_axis=1, channels=[2])
    labels = LabelsLayer.of_stack(stack, layer)
    labels.write(3, np.full((6, 8), 7))
    for channel in range(4):
        viewer.dims.current_step = (3, channel, 0, 0)
        assert layer.get_value((3, channel * 3, 2, 2), world=True) == 7
        viewer.dims.current_step = (2, channel, 0, 0)
        assert layer.get_value((2, channel * 3, 2, 2), world=True) == 0
    layer.mode = "paint"
    layer.paint(layer.world_to_data((2, 9, 3, 3)), 4)
    assert labels.read(2).max() == 4
    labels.close()


def test_all_of_a_fixed_axis_has_labels() -> None:
    image = Image(np.zeros((2, 5, 6, 8)))
    assert new_labels_layer(image, 1, fixed={0: 1}).data.shape == (2, 5, 6, 8)
    with pytest.raises(ValueError, match="Expected frames of two axes"):
        new_labels_layer(image, 1)


# -- on disk ---------------------------------------------------------------------------


def test_labels_that_would_fill_the_memory_are_made_on_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = from_file(tmp_path / "cells.tif", np.zeros((4, 10, 10)))
    for free, kind in ((4 * 800, np.ndarray), (4 * 800 - 4, zarr.Array)):
        memory = SimpleNamespace(available=free)
        monkeypatch.setattr(new_labels.psutil, "virtual_memory", lambda m=memory: m)
        assert isinstance(new_labels_layer(image, 0).data, kind)
        assert isinstance(new_labels_layer(image, 0, on_disk=False).data, np.ndarray)


def test_a_layer_on_disk_can_be_painted_and_undone_and_is_there_at_once(
    tmp_path: Path,
) -> None:
    (tmp_path / "cells.tif").touch()
    data = np.zeros((4, 700, 600), np.uint8)
    names, units = ("z", "y", "x"), ("µm", "µm", "µm")
    image = from_file(
        tmp_path / "cells.tif",
        data,
        axis_labels=names,
        units=units,
        scale=(2, 0.5, 0.5),
    )
    layer = new_labels_layer(image, 0, on_disk=True)
    assert path_of(layer) == tmp_path / "cells labels.zarr"
    assert layer.data.chunks == (1, 512, 512)
    labels = LabelsLayer(layer, 0)
    labels.write(2, np.full((700, 600), 3))
    layer.paint((1, 600, 550), 9)
    with open_stack(path_of(layer), labels=True) as stack:
        assert stack.axis == "z"
        assert stack.pixel_size == (2, 0.5, 0.5)
        assert stack.units == ("micrometer",) * 3
        assert_array_equal(stack[2], 3)
        assert stack[1][600, 550] == 9
        assert not stack[0].any()
    layer.undo()
    with open_stack(path_of(layer), labels=True) as stack:
        assert not stack[1].any()
        assert_array_equal(stack[2], 3)
    labels.close()


def test_nothing_that_is_there_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "cells.tif").touch()
    image = from_file(tmp_path / "cells.tif", np.zeros((4, 6, 8)))
    paths = [path_of(new_labels_layer(image, 0, on_disk=True)) for _ in range(3)]
    assert [path.name for path in paths] == [
        "cells labels.zarr",
        "cells labels 2.zarr",
        "cells labels 3.zarr",
    ]


def test_labels_are_made_beside_a_zarr_not_in_it(tmp_path: Path) -> None:
    group = zarr.create_group(str(tmp_path / "cells.zarr"))
    group.create_array("0", shape=(4, 6, 8), dtype="uint8")
    image = from_file(tmp_path / "cells.zarr" / "0", np.zeros((4, 6, 8)))
    layer = new_labels_layer(image, 0, on_disk=True)
    assert path_of(layer).parent == tmp_path


def test_without_a_file_or_a_folder_to_write_to_they_are_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session of such an image is there, too; a temporary folder would be emptied."""
    (tmp_path / "cells.tif").touch()
    create = new_labels._create_zarr

    def refuse(path: Path, *rest: Any) -> Any:
        if path.parent == tmp_path:  # though access may say yes
            raise OSError("Read-only file system")
        return create(path, *rest)

    monkeypatch.setattr(new_labels, "_create_zarr", refuse)
    data = np.zeros((4, 6, 8))
    for image in (
        Image(data, name="a/b: c?"),
        from_file(tmp_path / "cells.tif", data),
        from_file(Path("https://somewhere/cells.tif"), data),
    ):
        path = path_of(new_labels_layer(image, 0, on_disk=True))
        assert path.parent == tmp_path / "data" / "sessions"
        assert path.exists()
    again = new_labels_layer(Image(data, name="a/b: c?"), 0, on_disk=True)
    assert path_of(again).name == "a_b_ c_ labels 2.zarr"


def test_that_there_is_no_place_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise OSError("No space left on device")

    monkeypatch.setattr(new_labels, "_create_zarr", refuse)
    with pytest.raises(OSError, match="labels on disk, got: No space left"):
        new_labels_layer(Image(np.zeros((4, 6, 8))), 0, on_disk=True)


@pytest.mark.parametrize("name", ["n" * 250, "\u00e9" * 200])
def test_a_long_name_is_shortened(name: str) -> None:
    layer = new_labels_layer(Image(np.zeros((4, 6, 8)), name=name), 0, on_disk=True)
    assert path_of(layer).exists()


def test_axes_that_ome_zarr_has_no_word_for(tmp_path: Path) -> None:
    for names in (("q", "y", "x"), None):
        image = Image(np.zeros((4, 6, 8)), axis_labels=names)
        layer = new_labels_layer(image, 0, on_disk=True)
        LabelsLayer(layer, 0).write(1, np.ones((6, 8), int))
        with open_stack(path_of(layer), labels=True) as stack:
            assert len(stack) == 4
            assert stack[1].all()


def test_ten_thousand_large_frames_take_no_space_until_they_are_written() -> None:
    image = Image(
        np.broadcast_to(np.uint8(0), (10_000, 4096, 4096)), contrast_limits=(0, 1)
    )
    layer = new_labels_layer(image, 0)
    assert isinstance(layer.data, zarr.Array)
    folder = path_of(layer)
    assert sum(file.stat().st_size for file in folder.rglob("*")) < 100_000


@pytest.mark.slow
def test_memory_is_flat_while_a_long_stack_is_labelled() -> None:
    side, length = 256, 10_000
    reads: list[int] = []

    def read(block_info: Any) -> np.ndarray:
        reads.append(block_info[None]["chunk-location"][0])
        return np.full((1, side, side), reads[-1] % 200, np.uint8)

    chunks = ((1,) * length, (side,), (side,))
    data = da.map_blocks(read, chunks=chunks, dtype="uint8")
    image = Image(data, contrast_limits=(0, 255), visible=False)
    layer = new_labels_layer(image, 0, on_disk=True)
    stack = ImageStack(image, 0)
    labels = LabelsLayer.of_stack(stack, layer)
    asked = range(0, length, 50)
    labels.write(0, stack[0])  # what is loaded once
    reads.clear()
    tracemalloc.start()
    try:
        for frame in asked:
            assert not labels.read(frame).any() or frame == 0
            labels.write(frame, stack[frame])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reads == list(asked)
    assert peak < 20 * side * side * 2  # of 200 frames
    assert_array_equal(labels.read(50), 50)
    labels.close()
