import json
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_seggpt.cli import main, train
from napari_seggpt.datasets.base import IGNORED, ObjectMask
from napari_seggpt.model.config import NAMED_CONFIGS, TINY
from napari_seggpt.training.published import number_objects, read_mixture
from napari_seggpt.training.recipe import Recipe
from napari_seggpt.training.sampler import ExampleSampler

RECIPE = Path(__file__).parents[2] / ".docs" / "reference" / "paper-recipe.json"


def mask(columns, *, crowd=False):
    shown = np.zeros((4, 6), bool)
    shown[:, columns] = True
    return ObjectMask(class_id=3, mask=shown, is_crowd=crowd)


def test_small_objects_lie_over_large_ones_and_crowds_are_nobodys():
    objects = [mask([1]), mask([0, 1, 2, 3]), mask([3, 4], crowd=True)]
    labels = number_objects(objects, (4, 6))
    assert labels[0].tolist() == [2, 3, 2, 2, IGNORED, 0]


def test_the_mixture_is_read_when_it_is_drawn(miniatures, tmp_path, monkeypatch):
    for layout in ("coco-instances", "cityscapes"):
        miniatures.write(layout, tmp_path / layout)
    datasets, missing = read_mixture(tmp_path)
    assert [one.label_kind for one in datasets] == ["instance", "semantic"]
    assert sum(one.weight for one in datasets) == pytest.approx(1)
    assert "LIP" in missing
    read = []
    for one in datasets:
        original = one.images._read_image
        monkeypatch.setattr(
            one.images, "_read", lambda i, f=original: read.append(i) or f(i)
        )
    recipe = Recipe(simulated=0.0, same_image_of_objects=1.0, chosen_objects=1.0,
                    same_image=0.5, mixed_context=0.0, neighbours=0.0)  # fmt: skip
    sampler = ExampleSampler(datasets, [], recipe)
    assert not read
    rng = np.random.default_rng(0)
    drawn = [sampler.draw(rng, prompts=1, size=32) for _ in range(20)]
    assert read
    assert {one.is_instance for one in drawn} == {True, False}


def test_pixels_that_the_authors_leave_out_are_not_known(published):
    datasets, _ = read_mixture(published("cityscapes"))
    sampler = ExampleSampler(datasets, [], Recipe(simulated=0.0))
    rng = np.random.default_rng(0)
    known = [sampler.draw(rng, prompts=1, size=64).known for _ in range(10)]
    assert 0 < np.mean(known) < 1


def test_a_step_of_the_papers_recipe_at_toy_size(
    published, tmp_path, monkeypatch, capfd
):
    monkeypatch.setitem(NAMED_CONFIGS, "vit_large", TINY)
    values = json.loads(RECIPE.read_text())
    small = {"image_sizes": [32], "steps": 1, "batch_size": 2, "accumulate": 2}
    (tmp_path / "recipe.json").write_text(json.dumps({**values, **small}))
    output = tmp_path / "run"
    command = ["train", str(published("ade20k")), "--recipe"]
    code = main([*command, str(tmp_path / "recipe.json"), "--output", str(output)])
    assert code == 0
    assert "Not there, of the paper's mixture: COCO instance" in capfd.readouterr().err
    state = torch.load(output / train.STATE, weights_only=True)
    assert all(value.isfinite().all() for value in state["model"].values())


def test_a_folder_of_neither_kind_is_refused(tmp_path, capfd):
    (tmp_path / "data").mkdir()
    command = ["train", str(tmp_path / "data"), "--output", str(tmp_path / "run")]
    assert main(command) == 2
    line = capfd.readouterr().err
    assert "Expected images/ and labels/ with equal names" in line
    assert "Expected one of COCO instance" in line
