"""Toy data sets on disk, whose images are their labels, brightened."""

import json

import numpy as np
import pytest
from PIL import Image

from napari_seggpt.evaluation.datasets import find_sequences

BRIGHTNESS = 40  # grey levels a label


@pytest.fixture(scope="session")
def write_set():
    def write(root, name, labels):
        for folder in ("images", "labels"):
            (root / name / folder).mkdir(parents=True)
        for index, frame in enumerate(labels):
            for folder, values in (("images", frame * BRIGHTNESS), ("labels", frame)):
                file = root / name / folder / f"t{index:02}.png"
                Image.fromarray(np.asarray(values).astype(np.uint8)).save(file)

    return write


@pytest.fixture
def make_sequence(tmp_path, write_set):
    """Make one sequence of some labels."""

    def make(labels, name="toy"):
        write_set(tmp_path, name, labels)
        (sequence,) = find_sequences(tmp_path / name)
        return sequence

    return make


@pytest.fixture(scope="session")
def answer():
    """Segment a toy image as somebody does who knows the answer."""
    return lambda frame: frame.astype(np.int64) // BRIGHTNESS


@pytest.fixture
def root(tmp_path, write_set):
    """A moving square of two classes; objects on background; objects without any."""
    moving = np.zeros((6, 40, 40), int)
    for index, frame in enumerate(moving):
        frame[10 + index : 20 + index, 10:20] = 1
        frame[10 + index : 20 + index, 20:30] = 2
    tiled = np.arange(1, 17).reshape(4, 4).repeat(10, 0).repeat(10, 1)
    write_set(tmp_path, "moving", moving)
    write_set(tmp_path, "objects", moving)
    write_set(tmp_path, "tiled", [tiled] * 3)
    facts = {
        "moving": {
            "label_kind": "semantic",
            "sequences": {
                "a": ["t00.png", "t01.png", "t02.png"],
                "b": ["t04.png", "t05.png"],
            },
        },
        "objects": {"label_kind": "instance"},
        "tiled": {"label_kind": "instance"},
    }
    (tmp_path / "datasets.json").write_text(json.dumps(facts))
    return tmp_path
