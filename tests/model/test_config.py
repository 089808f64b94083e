import json
from dataclasses import replace

import pytest

from napari_seggpt.model.config import NAMED_CONFIGS, TINY, VIT_LARGE, SegGPTConfig


@pytest.mark.parametrize("name", NAMED_CONFIGS)
def test_json_gives_back_the_config(name: str) -> None:
    config = NAMED_CONFIGS[name]
    assert SegGPTConfig.from_json(config.to_json()) == config


def test_the_default_is_the_published_network() -> None:
    assert SegGPTConfig() == VIT_LARGE
    assert VIT_LARGE.grid == (28, 28)


def test_the_grid_counts_patches_of_one_picture() -> None:
    assert replace(TINY, image_size=(16, 40)).grid == (2, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"image_size": (30, 32)},
        {"num_heads": 5},
        {"merge_index": 4, "tap_indices": (4,)},
        {"merge_index": -2},
        {"tap_indices": ()},
        {"tap_indices": (4,)},
        {"tap_indices": (0, 3)},  # block 0 has two streams, the decoder reads one
        {"decoder": "unknown"},
        {"decoder": "readout"},  # which needs a stem and isolated prompts
    ],
    ids=str,
)
def test_impossible_geometry_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Expected a consistent SegGPT geometry"):
        replace(TINY, **change)


@pytest.mark.parametrize("text", ["", "[]", "3", '{"depht": 3}', '{"depth": "a"}'])
def test_json_of_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        SegGPTConfig.from_json(text)


def test_json_keeps_the_types_of_tuples() -> None:
    values = json.loads(TINY.to_json())
    assert values["image_size"] == [32, 32]
    assert SegGPTConfig.from_json(json.dumps(values)).image_size == (32, 32)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("patch_size", 0),
        ("num_heads", 0),
        ("embed_dim", 3.5),
        ("image_size", (448, 448, 3)),
        ("image_size", (0, 448)),
        ("pretrain_grid", 0),
        ("drop_path", 7),
        ("tap_indices", (5, 5)),
        ("stem_dim", 8),  # with patches of 6 pixels
        ("match_dim", 4),
    ],
)
def test_impossible_geometry_is_named(name, value):
    values = {name: value}
    if name == "stem_dim":
        values |= {"patch_size": 6, "image_size": (60, 60)}
    if name == "match_dim":
        values |= {"decoder": "readout", "isolated_prompts": True, "stem_dim": 8}
    with pytest.raises(ValueError, match=name):
        SegGPTConfig(**values)
