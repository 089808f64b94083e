from dataclasses import replace

import numpy as np
import pytest
import zarr

from napari_seggpt.inference.blocks import label_blocks, measure_parts
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.io import open_stack
from napari_seggpt.io.block_labels import BlockLabels
from napari_seggpt.io.labels import LabelsGeometry
from napari_seggpt.preprocessing import measure_limits
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import PredictionSettings, TilingSettings

SHAPE = (150, 210)


@pytest.fixture
def huge(tmp_path):
    """Two frames of 150 x 210 pixels, dark on the left; and the same at a quarter."""
    values = np.random.default_rng(0).integers(0, 100, (2, *SHAPE)).astype(np.uint8)
    values[:, :, :70] = 10
    array = zarr.create_array(
        tmp_path / "in.zarr", shape=values.shape, chunks=(1, 50, 50), dtype="u1"
    )
    array[:] = values
    coarse = zarr.create_array(
        tmp_path / "coarse.zarr", shape=(2, 37, 52), chunks=(1, 37, 52), dtype="u1"
    )
    coarse[:] = values[:, :148:4, :208:4]
    return tmp_path


@pytest.fixture
def predictor(readout_model, huge):
    with open_stack(huge / "in.zarr") as stack:
        image, limits = stack[0][:64, 70:140], measure_limits(measure_parts(stack))
    settings = PredictionSettings(
        device="cpu", batch=2, tiling=TilingSettings(enabled=True, scale=0.7)
    )
    labels = (image > 50) * 2 + (image > 80)
    prompts = [Prompt(image=image, labels=labels)]
    return Predictor(readout_model, prompts, settings=settings, limits=limits)


def create(path):
    geometry = LabelsGeometry(
        length=2, frame_shape=SHAPE, dtype=np.dtype(np.uint8), axis="z",
        pixel_size=(1.0, 0.5, 0.5), units=("frame", "micrometer", "micrometer"),
    )  # fmt: skip
    return BlockLabels.create(path / "out.zarr", geometry, block=64)


def frames_of(path):
    with open_stack(path, labels=True) as labels:
        return np.stack(list(labels))


def test_blocks_are_what_the_whole_frame_would_be(huge, predictor):
    with open_stack(huge / "in.zarr") as stack:
        steps = list(label_blocks(stack, predictor, create(huge)))
        expected = [
            predictor.predict(frame, index=i).labels for i, frame in enumerate(stack)
        ]
    assert [step.done for step in steps] == list(range(1, 2 * 3 * 4 + 1))
    assert steps[-1].total == 24
    np.testing.assert_array_equal(frames_of(huge / "out.zarr"), expected)
    assert len(np.unique(expected)) > 1


def test_only_chosen_frames_are_labelled(huge, predictor):
    with open_stack(huge / "in.zarr") as stack:
        steps = list(label_blocks(stack, predictor, create(huge), frames=[1]))
    assert {(step.frame, step.total) for step in steps} == {(1, 12)}
    labels = frames_of(huge / "out.zarr")
    assert not labels[0].any()
    assert labels[1].any()


def test_each_tile_is_painted_once(huge, predictor, monkeypatch):
    painted = []
    original = Predictor.paint_tiles

    def counted(self, parts, tiles, *, index=None):
        painted.extend((index, tile.top, tile.left) for tile in tiles)
        return original(self, parts, tiles, index=index)

    monkeypatch.setattr(Predictor, "paint_tiles", counted)
    with open_stack(huge / "in.zarr") as stack:
        list(label_blocks(stack, predictor, create(huge)))
    assert len(painted) == len({*painted}) > 10


def test_what_is_flat_at_a_coarse_level_is_left_empty(huge, predictor):
    with (
        open_stack(huge / "in.zarr") as stack,
        open_stack(huge / "coarse.zarr") as coarse,
    ):
        steps = list(label_blocks(stack, predictor, create(huge), coarse=coarse))
    skipped = {step.corner for step in steps if step.is_skipped}
    assert skipped == {(0, 0), (64, 0), (128, 0)}
    labels = frames_of(huge / "out.zarr")
    assert not labels[:, :, :64].any()
    assert labels[:, :, 64:].any()


def test_finished_blocks_stay(huge, predictor):
    output = create(huge)
    mine = np.full((64, 64), 9, np.uint8)
    output.finish(1, (64, 128), mine)
    with open_stack(huge / "in.zarr") as stack:
        list(label_blocks(stack, predictor, output))
        expected = predictor.predict(stack[1], index=1).labels
    expected[64:128, 128:192] = 9
    np.testing.assert_array_equal(frames_of(huge / "out.zarr")[1], expected)


def test_a_predictor_without_tiles_is_refused(huge, predictor):
    whole = replace(predictor.settings, tiling=TilingSettings())
    other = Predictor(
        predictor.model, predictor.prompts, settings=whole, limits=predictor.limits
    )
    with (
        open_stack(huge / "in.zarr") as stack,
        pytest.raises(ValueError, match="tiles"),
    ):
        label_blocks(stack, other, create(huge))
