import numpy as np
import pytest
import zarr

from napari_seggpt.io import StackError, open_stack
from napari_seggpt.io.block_labels import BlockLabels
from napari_seggpt.io.labels import LabelsGeometry


def geometry(shape):
    return LabelsGeometry(
        length=1, frame_shape=shape, dtype=np.dtype(np.uint8), axis="t",
        pixel_size=(1.0, 0.5, 0.25), units=("second", "micrometer", "micrometer"),
    )  # fmt: skip


def test_every_level_shows_the_same(tmp_path):
    path = tmp_path / "labels.zarr"
    labels = np.random.default_rng(0).integers(0, 9, (2500, 1300)).astype(np.uint8)
    output = BlockLabels.create(path, geometry(labels.shape), block=512)
    for top, left in output.corners():
        assert not output.is_finished(0, (top, left))
        output.finish(0, (top, left), labels[top : top + 512, left : left + 512])
        assert output.is_finished(0, (top, left))
    for level, step in enumerate((1, 2, 4)):
        with open_stack(path, labels=True, level=level) as stack:
            np.testing.assert_array_equal(stack[0], labels[::step, ::step])
            assert stack.pixel_size == (1.0, 0.5 * step, 0.25 * step)
    with pytest.raises(StackError, match="level"):
        open_stack(path, labels=True, level=3)


def test_other_blocks_are_refused(tmp_path):
    with pytest.raises(StackError, match="a power of 2"):
        BlockLabels.create(tmp_path / "a.zarr", geometry((90, 90)), block=100)


@pytest.mark.parametrize("shape", [(90, 90), (1, 1, 90, 90)])
def test_labels_that_are_not_in_blocks_are_refused(tmp_path, shape):
    zarr.create_array(tmp_path / "a.zarr", shape=shape, chunks=shape, dtype="uint8")
    with pytest.raises(StackError, match="Expected labels in blocks, got other"):
        BlockLabels(tmp_path / "a.zarr")


def test_ids_that_do_not_fit_are_refused(tmp_path):
    output = BlockLabels.create(tmp_path / "a.zarr", geometry((90, 90)), block=64)
    with pytest.raises(StackError, match="fit uint8"):
        output.finish(0, (0, 0), np.full((64, 64), 300))
    assert not output.is_finished(0, (0, 0))


def test_a_part_of_a_frame_is_read_alone(tmp_path):
    output = BlockLabels.create(tmp_path / "a.zarr", geometry((90, 130)), block=64)
    labels = np.arange(64 * 64).reshape(64, 64) % 200
    output.finish(0, (0, 64), labels)
    with open_stack(tmp_path / "a.zarr", labels=True) as stack:
        part = stack.read_part(0, slice(10, 20), slice(60, 80))
    np.testing.assert_array_equal(part[:, 4:], labels[10:20, :16])
    assert part.shape == (10, 20)
    assert not part[:, :4].any()
