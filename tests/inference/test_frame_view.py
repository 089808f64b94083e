"""How a model sees frames."""

from dataclasses import replace

import numpy as np
import pytest

from napari_seggpt.inference.frame_view import FrameView
from napari_seggpt.model.config import SMALL
from napari_seggpt.preprocessing import FrameError
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import TilingSettings


def view(**tiling):
    return FrameView(config=SMALL, tiling=TilingSettings(**tiling), limits=None)


def test_a_frame_is_seen_whole_or_in_tiles_of_one_size():
    frame = np.zeros((700, 900), np.uint8)
    (whole,) = view().query_tiles(frame, 3, None, frame.shape)
    assert whole.picture.shape == (*SMALL.seen_size(frame.shape), 3)
    assert whole.index == 3
    cut = view(enabled=True).query_tiles(frame, 3, None, frame.shape)
    assert len(cut) > 1
    assert {tile.picture.shape for tile in cut} == {(*SMALL.tile_size, 3)}


def test_whole_frames_are_shown_larger_and_tiles_are_not():
    frame = np.zeros((400, 300), np.uint8)
    larger = replace(view(), zoom=1.5)
    (whole,) = larger.query_tiles(frame, 3, None, frame.shape)
    assert whole.picture.shape == (672, 512, 3)
    (shown,) = larger.prompt_tiles(Prompt(image=frame, labels=frame))
    assert shown.labels.shape == (672, 512)
    cut = replace(view(enabled=True), zoom=1.5).query_tiles(frame, 3, None, frame.shape)
    assert {tile.picture.shape for tile in cut} == {(*SMALL.tile_size, 3)}


def test_labels_of_a_prompt_are_cut_as_its_picture():
    labels = np.zeros((700, 900), np.uint8)
    labels[:10, :10] = 4
    prompt = Prompt(image=labels, labels=labels, index=2)
    tiles = view(enabled=True).prompt_tiles(prompt, predicted=True)
    assert [tile.is_labelled for tile in tiles] == [True] + [False] * (len(tiles) - 1)
    assert all(tile.is_predicted and tile.index == 2 for tile in tiles)


def test_frames_that_are_seen_much_smaller_are_answered_so():
    large, small = (3000, 2000), (300, 200)
    assert view().answer_size(large) == SMALL.seen_size(large)
    assert view().answer_size(small) == small
    assert view(enabled=True).answer_size(large) == large
    (asked,) = view().query_tiles(np.zeros(large), 0, None, (150, 100))
    assert (asked.tile.height, asked.tile.width) == (150, 100)


def test_what_is_no_picture_is_refused():
    with pytest.raises(FrameError):
        view().query_tiles(np.zeros((2, 3, 4, 5)), 0, None, (2, 3))
