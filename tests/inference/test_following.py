"""Frames that arrive, of which some cannot be read at first, or ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_seggpt.inference.following import MOST_TRIES, follow_stack
from napari_seggpt.inference.propagation import FramePrediction
from napari_seggpt.inference.task_predictors import task_predictor
from napari_seggpt.inference.watching import UnreadableFrame
from napari_seggpt.io import create_labels, open_stack
from napari_seggpt.io.growing import open_growing
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import PropagationSettings, SessionSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LABELS = np.pad(np.ones((3, 3), np.uint8), ((1, 4), (1, 5)))
DAMAGED = 2  # the frame


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Four frames, the chunk of one of them cut short."""
    path = tmp_path / "in.zarr"
    array = zarr.create_array(path, shape=(4, 8, 9), dtype="u1", chunks=(1, 8, 9))
    array[:] = np.random.default_rng(0).integers(1, 255, (4, 8, 9))
    chunk = chunk_of(path)
    (tmp_path / "whole").write_bytes(chunk.read_bytes())
    chunk.write_bytes(chunk.read_bytes()[:10])
    return path


def chunk_of(path: Path) -> Path:
    return path / "c" / str(DAMAGED) / "0" / "0"


def followed(
    path: Path, predictor: Any, pause: Callable[[int], None], **options: Any
) -> list[FramePrediction | UnreadableFrame]:
    """Follow until the end; `pause` is given how often it was called before."""
    frame = np.zeros(LABELS.shape, np.uint8)
    network = predictor("model", [Prompt(image=frame, labels=LABELS, index=0)])
    calls = iter(range(1000))
    output = create_labels(path.parent / "out.zarr", length=4, frame_shape=(8, 9))
    with output:
        return list(
            follow_stack(
                open_growing(path, open_stack),
                task_predictor(network, SessionSettings()),
                output,
                references={0: LABELS},
                pause=lambda _: pause(next(calls)),
                **options,
            )
        )


@pytest.mark.parametrize(
    "options", [{"patience": 8.0}, {"settings": PropagationSettings(stop=4)}]
)
def test_a_frame_that_becomes_readable_is_predicted(
    film: Path, predictor: Any, options: dict[str, Any]
) -> None:
    def mend(count: int) -> None:
        if count == 4:
            chunk_of(film).write_bytes((film.parent / "whole").read_bytes())

    steps = followed(film, predictor, mend, **options)
    assert all(isinstance(step, FramePrediction) for step in steps)
    assert [step.index for step in steps] == [1, 3, DAMAGED]
    with open_stack(film.parent / "out.zarr", labels=True) as labels:
        assert all(np.array_equal(frame, LABELS) for frame in labels)


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"patience": 3.0}, 6),
        ({"patience": 100.0}, 200),
        ({"settings": PropagationSettings(stop=4)}, MOST_TRIES + 2),
    ],
)
def test_a_frame_that_stays_damaged_is_told_of_once(
    film: Path, predictor: Any, options: dict[str, Any], most: int
) -> None:
    counts: list[int] = []
    steps = followed(film, predictor, counts.append, **options)
    assert [step.index for step in steps] == [1, 3, DAMAGED]
    assert isinstance(steps[-1], UnreadableFrame)
    assert len(counts) <= most


def test_a_frame_of_another_shape_is_left_out(tmp_path: Path, predictor: Any) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(4):
        shape = (4, 5) if index == DAMAGED else (8, 9)
        tifffile.imwrite(folder / f"{index}.tif", np.ones(shape, np.uint8))
    steps = followed(folder, predictor, lambda _: None, patience=3.0)
    assert [step.index for step in steps] == [1, 3, DAMAGED]
    left_out = steps[-1]
    assert isinstance(left_out, UnreadableFrame)
    assert left_out.reason == "Expected a frame of shape (8, 9), got (4, 5)."


def test_frames_of_a_shared_chunk_are_not_predicted_before_they_are_written(
    tmp_path: Path, predictor: Any
) -> None:
    path = tmp_path / "in.zarr"
    array = zarr.create_array(path, shape=(4, 8, 9), dtype="u1", chunks=(4, 8, 9))
    array[0] = 9
    seen: list[int] = []

    def write(count: int) -> None:  # slower than the patience, all in all
        if count in (1, 3, 5):
            array[(count + 1) // 2] = 9

    class Seeing(predictor):  # type: ignore[misc]
        def _predict(self, frame: Any, index: int) -> Any:
            seen.append(int(frame.max()))
            return super()._predict(frame, index)

    steps = followed(path, Seeing, write, patience=3.0)
    assert [step.index for step in steps] == [1, 2, 3]
    assert seen == [9, 9, 9]
