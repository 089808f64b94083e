import json
from dataclasses import replace

import pytest

from napari_seggpt.model.config import (
    NAMED_CONFIGS,
    SMALL,
    TINY,
    VIT_LARGE,
    SegGPTConfig,
)
from napari_seggpt.settings import MAX_LABELS_PER_PASS


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
        ("stem_widths", (8,) * 6),  # which the published decoder does not have
        ("attended_prompts", 0),
        ("fine_sides", (64, 32)),
        ("fine_sides", (0, 32)),
    ],
)
def test_impossible_geometry_is_named(name, value):
    with pytest.raises(ValueError, match=f"got {{'{name}'"):
        SegGPTConfig(**{name: value})


@pytest.mark.parametrize(
    ("named", "change"),
    [
        ("stem_widths", {"stem_widths": ()}),
        ("stem_widths", {"stem_widths": (8,) * 5}),
        ("stem_widths", {"stem_widths": (8, 8, 8, 8, 8, 0)}),
        ("stem_widths", {"stem_dim": 0}),
        ("stem_widths", {"patch_size": 6, "image_size": (60, 60)}),  # stride 4 beside 6
        ("match_dim", {"match_dim": 4}),  # place and trust, and no feature
        ("match_dim", {"isolated_prompts": False}),
    ],
    ids=str,
)
def test_impossible_readouts_are_named(readout_config, named, change):
    with pytest.raises(ValueError, match=f"got {{'{named}'"):
        replace(readout_config, **change)


def test_a_network_of_version_0_1_is_said_to_be_old():
    text = '{"decoder": "readout", "isolated_prompts": true, "match_dim": 40}'
    with pytest.raises(ValueError, match=r"got one of version 0\.1"):
        SegGPTConfig.from_json(text)


# -- what is seen ------------------------------------------------------------------


def test_the_published_network_sees_all_frames_at_one_size():
    for shape in ((10, 10), (448, 448), (3000, 20, 3)):
        assert VIT_LARGE.seen_size(shape) == (448, 448)
    assert VIT_LARGE.tile_size == (448, 448)
    assert VIT_LARGE.smallest_object == 8


@pytest.mark.parametrize(
    ("shape", "seen"),
    [
        ((600, 500), (608, 512)),  # at its own size, but for multiples of 32
        ((600, 500, 3), (608, 512)),
        ((448, 448), (448, 448)),
        ((100, 50), (448, 224)),  # enlarged
        ((2048, 1024), (1024, 512)),  # shrunk
        ((1024, 3), (1024, 32)),
        ((1, 1), (448, 448)),
    ],
)
def test_a_readout_sees_frames_at_their_own_size(shape, seen):
    assert SMALL.seen_size(shape) == seen
    assert SMALL.seen_size(seen) == seen  # as pictures of tuned prompts are


@pytest.mark.parametrize(
    ("shape", "zoom", "seen"),
    [
        ((100, 50), 1.5, (672, 320)),
        ((448, 448), 2.0, (896, 896)),
        ((700, 350), 2.0, (1024, 512)),  # as large as it goes
        ((3000, 3000), 2.0, (1024, 1024)),
    ],
)
def test_a_readout_can_see_frames_larger(shape, zoom, seen):
    assert SMALL.seen_size(shape, zoom=zoom) == seen
    assert VIT_LARGE.seen_size(shape, zoom=zoom) == (448, 448)


def test_a_readout_sees_tiles_at_twice_the_size_of_its_transformer():
    assert SMALL.tile_size == (512, 512)
    assert SMALL.seen_size(SMALL.tile_size) == SMALL.tile_size
    assert SMALL.smallest_object < VIT_LARGE.smallest_object


def test_the_named_readout_knows_as_many_colours_as_a_pass_may_have():
    assert SMALL.match_dim > MAX_LABELS_PER_PASS


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        # From the least side of a frame on, the whole is seen at one size.
        ((56, 8), (32, 24)),
        ((96, 96), (32, 24)),
        ((32, 64), (32, 24)),
        # In training, pictures are smaller.
        ((48, 48), (24, 24)),
        ((32, 16), (16, 16)),
        ((8, 8), (8, 8)),  # a patch at least
    ],
)
def test_the_transformer_sees_frames_squeezed_and_smaller_pictures_at_half_size(
    readout_config, size, seen
):
    config = replace(readout_config, image_size=(32, 24), fine_sides=(56, 96))
    assert config.view_size(size) == seen
    assert all(side % config.patch_size == 0 for side in seen)
