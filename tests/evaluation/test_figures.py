import sys

import numpy as np
import pytest
from PIL import Image

from napari_seggpt.evaluation.annotator import AnnotatorStep
from napari_seggpt.evaluation.figures import (
    STYLES,
    _dice_at,
    _styles,
    draw_dice,
    draw_distance,
    draw_effort,
)
from napari_seggpt.evaluation.peers import PEERS
from napari_seggpt.evaluation.protocol import SEGGPT, DataSetScore, FrameScore

DICE = {"seggpt": 0.8, "copied": 0.5, "another": 0.6}


def result(name):
    return DataSetScore(dataset=name, frames=3, dice=DICE)


def score(distance):
    return FrameScore(
        dataset="a", sequence="s", index=distance, distance=distance, dice=DICE
    )


def step(labelled, dice, frames=4):
    return AnnotatorStep(
        dataset="a", sequence="s", labelled=labelled, frames=frames, dice=dice
    )


CASES = {
    "one set": (draw_dice, [result("a")]),
    "sets": (draw_dice, [result("a"), result("b")]),
    "one distance": (draw_distance, [score(1)]),
    "distances": (draw_distance, [score(d) for d in (1, 2, 2, 30)]),
    "effort": (draw_effort, {"seggpt": [[step(1, 0.95)]], "copied": [[step(1, 0.5)]]}),
}


@pytest.mark.parametrize("case", CASES)
def test_draws_a_picture(tmp_path, case):
    draw, values = CASES[case]
    draw(values, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > 600
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 20


@pytest.mark.parametrize(
    ("draw", "values"), [(draw_dice, []), (draw_distance, []), (draw_effort, {})]
)
def test_nothing_to_draw_is_refused(tmp_path, draw, values):
    with pytest.raises(ValueError, match="Expected results to draw, got none"):
        draw(values, tmp_path / "a.png")


def test_says_that_matplotlib_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ValueError, match=r"pip install 'napari-seggpt\[evaluation\]'"):
        draw_dice([result("a")], tmp_path / "a.png")


def test_methods_look_different_and_always_the_same():
    assert set(STYLES) == {SEGGPT, *(name for name, _ in PEERS.values())}
    styles = _styles(["copied", "x", "seggpt", "y"])
    assert len(set(styles.values())) == 4
    assert styles["copied"] == _styles(["copied"])["copied"]


def test_a_share_pays_for_whole_frames_and_one_at_least():
    steps = [step(1, 0.5), step(2, 0.7), step(3, 0.95)]
    shares = np.array([0.0, 0.25, 0.49, 0.5, 0.75, 1.0])
    np.testing.assert_array_equal(
        _dice_at(steps, shares), [0.5, 0.5, 0.5, 0.7, 0.95, 0.95]
    )
