from dataclasses import replace

import pytest
import torch

from napari_seggpt.model.config import TINY, VIT_LARGE, SegGPTConfig
from napari_seggpt.model.layouts import config_from_shapes, is_hugging_face, rename
from napari_seggpt.model.seggpt import SegGPT


def shapes(config: SegGPTConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {k: tuple(v.shape) for k, v in SegGPT(config).state_dict().items()}


def test_the_published_geometry_follows_from_the_shapes() -> None:
    assert len(shapes(VIT_LARGE)) == 354
    assert config_from_shapes(shapes(VIT_LARGE)) == VIT_LARGE


def test_another_geometry_follows_from_the_shapes() -> None:
    config = replace(
        TINY,
        image_size=(24, 56),
        depth=3,
        tap_indices=(0, 1, 2),
        merge_index=0,
        drop_path=0.1,
    )
    assert config_from_shapes(shapes(config)) == config


@pytest.mark.parametrize("name", ["pos_embed", "decoder_pred.0.weight"])
@pytest.mark.parametrize("shape", [(), (0, 0, 0), (0, 0, 0, 0), None])
def test_impossible_shapes_are_refused(
    name: str, shape: tuple[int, ...] | None
) -> None:
    wrong = {k: v for k, v in shapes(TINY).items() if k != name}
    if shape is not None:
        wrong[name] = shape
    with pytest.raises(ValueError, match="Expected"):
        config_from_shapes(wrong)


def test_official_names_are_left_alone() -> None:
    assert not is_hugging_face(shapes(VIT_LARGE))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("model.embeddings.segment_token_prompt", "segment_token_y"),
        ("encoder.layers.11.mlp.fc1.weight", "blocks.11.mlp.fc1.weight"),
        ("model.encoder.layers.0.attention.rel_pos_w", "blocks.0.attn.rel_pos_w"),
        ("decoder.decoder_pred.head.bias", "decoder_pred.3.bias"),
        ("model.embeddings.unknown", "model.embeddings.unknown"),
    ],
)
def test_names_of_transformers(theirs: str, ours: str) -> None:
    assert rename(theirs) == ours
