"""The simulator: deterministic, exact labels, one look a pair, one id an object."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from napari_seggpt.training.synthesis import (
    KINDS,
    simulate,
    simulate_pair,
    simulate_sequence,
)

SIZE = 96
BY_BRIGHTNESS = ["nuclei", "rods", "membranes", "vessels", "particles"]


def generator(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def grey(image: np.ndarray) -> np.ndarray:
    return image.astype(float) if image.ndim == 2 else image.mean(axis=-1)


def agreement(image: np.ndarray, labels: np.ndarray) -> float:
    """How well brightness tells labelled pixels from the others, 0 to 1."""
    return abs(float(np.corrcoef(grey(image).ravel(), (labels > 0).ravel())[0, 1]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [40, SIZE])
def test_image_and_labels_are_of_the_promised_form(kind: str, size: int) -> None:
    for seed in range(3):
        simulated = simulate(generator(seed), size=size, kind=kind)
        assert simulated.kind == kind
        assert simulated.image.dtype == np.uint8
        assert simulated.image.shape in {(size, size), (size, size, 3)}
        assert simulated.labels.dtype == np.uint16
        assert simulated.labels.shape == (size, size)
        assert simulated.labels.any()
        if simulated.label_kind == "semantic":
            assert simulated.labels.max() <= 9
        else:
            assert simulated.label_kind == "instance"


@pytest.mark.parametrize("seed", [7, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_everything(kind: str, seed: int) -> None:
    own = list(KINDS).index(kind)  # else all kinds draw the same instrument
    np.random.seed(1)  # noqa: NPY002 - must not matter
    first = simulate_pair(generator(seed, own), size=SIZE, kind=kind)
    np.random.seed(2)  # noqa: NPY002
    again = simulate_pair(generator(seed, own), size=SIZE, kind=kind)
    other = simulate_pair(generator(seed + 1, own), size=SIZE, kind=kind)
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one.image, same.image)
        np.testing.assert_array_equal(one.labels, same.labels)
        assert one.label_kind == same.label_kind
        assert not np.array_equal(one.image, different.image)


def test_without_a_kind_all_kinds_come() -> None:
    kinds = {simulate(generator(seed), size=32).kind for seed in range(150)}
    assert kinds == set(KINDS)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'galaxies'"):
        simulate(generator(0), kind="galaxies")


@pytest.mark.parametrize("kind", BY_BRIGHTNESS)
def test_labels_lie_where_the_objects_are(kind: str) -> None:
    at_home = 0
    for seed in range(12):
        simulated = simulate(generator(seed), size=SIZE, kind=kind)
        here = agreement(simulated.image, simulated.labels)
        moved = [
            agreement(simulated.image, np.roll(simulated.labels, shift, axis))
            for axis in (0, 1)
            for shift in (-3, 3)
        ]
        at_home += here > max(moved)
    assert at_home >= 10


def test_textures_are_told_by_texture_not_by_brightness() -> None:
    brightness, roughness = [], []
    for seed in range(20):
        simulated = simulate(generator(seed), size=SIZE, kind="textures")
        values = grey(simulated.image)
        values = (values - values.mean()) / values.std()
        detail = np.abs(np.diff(values, axis=0, prepend=0))
        detail = uniform_filter(detail, 7)
        detail = (detail - detail.mean()) / detail.std()
        inside = simulated.labels == simulated.labels.max()
        brightness.append(abs(values[inside].mean() - values[~inside].mean()))
        roughness.append(abs(detail[inside].mean() - detail[~inside].mean()))
    assert np.median(brightness) < 0.5
    assert np.median(roughness) > 2 * np.median(brightness)


def test_some_bright_objects_are_not_labelled() -> None:
    with_decoys = 0
    for seed in range(30):
        simulated = simulate(generator(seed), size=SIZE, kind="nuclei")
        values = uniform_filter(grey(simulated.image), 3)
        inside = simulated.labels > 0
        if values[inside].mean() < values[~inside].mean():
            values = 255 - values
        strange = values[~inside] > np.quantile(values[inside], 0.6)
        with_decoys += strange.mean() > 0.01
    assert 2 <= with_decoys <= 20


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_shares_its_look_but_not_its_layout(kind: str) -> None:
    pairs = [simulate_pair(generator(seed), size=SIZE, kind=kind) for seed in range(8)]
    signatures = np.array([[signature(one.image) for one in pair] for pair in pairs])
    within = np.abs(signatures[:, 0] - signatures[:, 1]).mean()
    across = np.abs(signatures[:, 0] - np.roll(signatures[:, 1], 1, axis=0)).mean()
    assert within < 0.6 * across
    for one, two in pairs:
        assert one.label_kind == two.label_kind
        assert one.image.shape == two.image.shape
        assert not np.array_equal(one.labels, two.labels)


def signature(image: np.ndarray) -> np.ndarray:
    """Contrast and colour of an image: quantiles of its grey levels and channels."""
    colour = (
        np.broadcast_to(image.T, (3, *image.shape[:2]))
        if image.ndim == 2
        else (np.moveaxis(image, -1, 0))
    )
    return np.quantile(colour.astype(float), [0.1, 0.5, 0.9], axis=(1, 2)).ravel()


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_changes_slowly_and_keeps_its_ids(kind: str) -> None:
    frames = simulate_sequence(generator(3), kind=kind, length=6, size=SIZE)
    assert {frame.kind for frame in frames} == {kind}
    images = np.stack([frame.image for frame in frames])
    labels = np.stack([frame.labels for frame in frames])
    assert images.shape[:3] == labels.shape == (6, SIZE, SIZE)
    assert images.dtype == np.uint8
    assert labels.dtype == np.uint16
    for time in range(5):
        before, after = labels[time], labels[time + 1]
        assert not np.array_equal(images[time], images[time + 1])
        both = (before > 0) & (after > 0)
        either = (before > 0) | (after > 0)
        assert both.sum() > 0.35 * either.sum()
        assert (before[both] == after[both]).mean() > 0.9
    assert not np.array_equal(labels[0], labels[-1])


def test_nuclei_divide_and_daughters_get_fresh_ids() -> None:
    born = 0
    for seed in range(6):
        frames = simulate_sequence(generator(seed), kind="nuclei", length=10, size=SIZE)
        if frames[0].label_kind == "semantic":
            continue
        labels = np.stack([frame.labels for frame in frames])
        for time in range(1, len(labels)):
            for fresh in np.setdiff1d(labels[time], labels[:time]):
                newborn = labels[time] == fresh
                if newborn[0].any() or newborn[-1].any() or newborn[:, [0, -1]].any():
                    continue  # it may have come in from outside
                assert (labels[time - 1][newborn] > 0).mean() > 0.3
                born += 1
    assert born >= 5
