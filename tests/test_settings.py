from dataclasses import FrozenInstanceError, replace

import pytest

from napari_seggpt.settings import (
    MAX_LABELS_PER_PASS,
    MAX_MEMORY,
    ContrastSettings,
    PredictionSettings,
    PropagationSettings,
    TilingSettings,
)
from napari_seggpt.training.recipe import Recipe

EVERY_KIND = [
    ContrastSettings,
    TilingSettings,
    PredictionSettings,
    PropagationSettings,
    Recipe,
]
NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_defaults_are_valid_equal_and_frozen(kind: type) -> None:
    assert kind() == kind()
    assert hash(kind()) == hash(kind())
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        kind().seed = 1


@pytest.mark.parametrize("percentiles", [(-1, 99), (1, 101), (50, 50), (9, 1)])
def test_percentiles_are_in_order(percentiles: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="Expected percentiles"):
        ContrastSettings(percentiles=percentiles)


@pytest.mark.parametrize(
    "limits", [(1, 1), (2, 1), (NAN, 1), (0, NAN), (-INFINITY, 1), (0, INFINITY)]
)
def test_contrast_limits_are_numbers_in_order(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="Expected contrast limits low < high"):
        ContrastSettings(limits=limits)


def test_contrast_limits_may_be_negative() -> None:
    assert ContrastSettings(limits=(-1000, -10.5)).limits == (-1000, -10.5)


@pytest.mark.parametrize("scale", [0, -1, NAN, INFINITY])
def test_a_tile_scale_is_a_positive_number(scale: float) -> None:
    with pytest.raises(ValueError, match="Expected a tile scale above 0"):
        TilingSettings(scale=scale)


@pytest.mark.parametrize("overlap", [-0.1, 0.51, NAN])
def test_tiles_overlap_by_half_at_most(overlap: float) -> None:
    with pytest.raises(ValueError, match=r"Expected an overlap of 0 to 0\.5"):
        TilingSettings(overlap=overlap)


@pytest.mark.parametrize("name", ["seg_type", "ensemble", "device", "precision"])
def test_a_choice_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=r"Expected one of .*, got 'magic'"):
        PredictionSettings(**{name: "magic"})


@pytest.mark.parametrize("name", ["max_prompts", "batch"])
def test_a_prediction_needs_a_prompt_and_a_picture(name: str) -> None:
    with pytest.raises(ValueError, match="of 1 or more"):
        PredictionSettings(**{name: 0})


@pytest.mark.parametrize("count", [0, MAX_LABELS_PER_PASS + 1])
def test_labels_per_pass_are_bounded(count: int) -> None:
    with pytest.raises(ValueError, match="Expected labels_per_pass of 1 to 26"):
        PredictionSettings(labels_per_pass=count)
    assert PredictionSettings(labels_per_pass=MAX_LABELS_PER_PASS)


@pytest.mark.parametrize("size", [-1, MAX_MEMORY + 1])
def test_memory_is_bounded(size: int) -> None:
    with pytest.raises(ValueError, match="Expected a memory of 0 to 16"):
        PropagationSettings(memory=size)
    assert PropagationSettings(memory=MAX_MEMORY)


def test_a_step_leads_somewhere() -> None:
    with pytest.raises(ValueError, match="Expected a step of 1 or more"):
        PropagationSettings(step=0)


@pytest.mark.parametrize("wrong", [{"start": -1}, {"stop": -1}])
def test_a_range_does_not_count_from_the_end(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="Expected start and stop of 0 or more"):
        PropagationSettings(**wrong)


def test_a_direction_exists() -> None:
    with pytest.raises(ValueError, match="both, forward, backward, got 'up'"):
        replace(PropagationSettings(), direction="up")
