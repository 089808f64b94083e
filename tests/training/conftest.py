import numpy as np
import pytest
import torch
from PIL import Image

from napari_seggpt.model.config import SegGPTConfig
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.training.dataset import read_datasets, simulated_datasets
from napari_seggpt.training.recipe import Recipe
from napari_seggpt.training.sampler import ExampleSampler

# The readout at toy size: 4 x 4 patches, 8 x 8 fine pixels.
TOY = SegGPTConfig(
    image_size=(32, 32),
    patch_size=8,
    embed_dim=16,
    depth=2,
    num_heads=2,
    merge_index=-1,
    tap_indices=(1,),
    decoder="readout",
    decoder_dim=8,
    pretrain_grid=4,
    drop_path=0.1,
    isolated_prompts=True,
    stem_widths=(4,) * 6,
    stem_dim=8,
    match_dim=12,
    fine_sides=(32, 64),
)


@pytest.fixture
def recipe():
    return Recipe(
        image_sizes=(32,),
        steps=6,
        batch_size=2,
        simulated=0.5,
        max_prompts=3,
        several_prompts=0.5,
        simulated_groups=2,
        simulated_size=64,
        save_every=3,
    )


@pytest.fixture
def data_folder(tmp_path):
    """Two data sets as in ../shared/data: bright classes, and bright objects."""
    rng = np.random.default_rng(0)
    for name in ("classes", "objects"):
        for folder in ("images", "labels"):
            (tmp_path / name / folder).mkdir(parents=True)
        for index in range(3):
            labels = np.zeros((48, 40), np.uint8)
            labels[4:20, 4:20] = 1
            labels[25:40, 10:30] = 2
            image = np.clip(labels * 90 + rng.normal(30, 5, labels.shape), 0, 255)
            file = f"{index}.png"
            Image.fromarray(image.astype(np.uint8)).save(
                tmp_path / name / "images" / file
            )
            Image.fromarray(labels).save(tmp_path / name / "labels" / file)
    (tmp_path / "datasets.json").write_text(
        '{"classes": {"label_kind": "semantic"}, "objects": {"label_kind": "instance"}}'
    )
    return tmp_path


@pytest.fixture
def sampler(data_folder, recipe):
    return ExampleSampler(
        read_datasets(data_folder), simulated_datasets(recipe), recipe
    )


@pytest.fixture
def new_model():
    """Make the same toy network every time."""

    def make():
        torch.manual_seed(0)
        return SegGPT(TOY)

    return make
