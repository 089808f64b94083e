from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from napari_seggpt.inference.ensemble import spatial_grid
from napari_seggpt.inference.memory import Memory
from napari_seggpt.inference.prediction import Prediction
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.model.seggpt import SEG_TYPES, SegGPT
from napari_seggpt.preprocessing import (
    FrameError,
    Limits,
    measure_limits,
    resize_labels,
    to_rgb,
)
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import PredictionSettings, TilingSettings

Make = Callable[..., np.ndarray]

DTYPES = [
    "bool", "uint8", "uint16", "int16", "int32", "uint64", "float16", "float32",
    "float64",
]  # fmt: skip
SHAPES = [(32, 32), (1, 1), (1, 50), (70, 3), (45, 20, 1), (33, 47, 3), (20, 20, 5)]


def cpu(**chosen: Any) -> PredictionSettings:
    return PredictionSettings(device="cpu", **chosen)


def check(prediction: Prediction, shape: tuple[int, ...], ids: set[int]) -> None:
    """Check what holds for every prediction, good or bad."""
    assert prediction.labels.shape == prediction.confidence.shape == shape[:2]
    assert prediction.labels.dtype == np.int64
    assert prediction.confidence.dtype == np.float32
    assert set(np.unique(prediction.labels)) <= {0, *ids}
    assert prediction.confidence.min() >= 0
    assert prediction.confidence.max() <= 1
    for colors in prediction.colors:
        assert colors.shape == (*shape[:2], 3)
        assert colors.dtype == np.float32
        assert colors.min() >= 0
        assert colors.max() <= 1


@pytest.fixture
def prompt(frame: Make, blocks: Make) -> Prompt:
    return Prompt(image=frame(), labels=blocks((32, 32), [1, 2, 5]))


def test_frames_are_enlarged_for_what_would_not_be_seen(copying_model, frame, blocks):
    shape = (64, 64)
    example = Prompt(image=frame(shape), labels=blocks(shape, [1, 2, 5]))
    predictor = Predictor(copying_model, [example], settings=cpu())
    assert len(predictor.tiles) == 1
    predictor.set_prompts([example], finest=2.0)  # one pixel of a squeezed frame
    assert len(predictor.tiles) > 4
    check(predictor.predict(example.image), shape, {1, 2, 5})
    predictor.set_prompts([example], finest=8.0)
    assert len(predictor.tiles) == 1


def test_a_small_frame_is_remembered_on_the_grid_of_the_model(
    copying_model, frame, blocks
):
    """On the grid of the frame, small objects would lose detail with each frame."""
    shape = (12, 14)
    example = Prompt(image=frame(shape), labels=blocks(shape, [1, 2]))
    predictor = Predictor(copying_model, [example], settings=cpu())
    (found,) = predictor.predict_batch([example.image], memory=Memory(1))
    assert found.labels.shape == shape
    assert found.seen.shape == copying_model.config.image_size


def test_large_frames_may_stay_as_the_model_saw_them(copying_model, frame, blocks):
    shape, tiling = (64, 80), TilingSettings(enabled=True, scale=1.0)
    example = Prompt(image=frame(shape), labels=blocks(shape, [1, 2, 5]))
    predictor = Predictor(copying_model, [example], settings=cpu())
    small = frame((30, 32))
    found = predictor.predict_batch([example.image, small], as_seen=True)
    check(found[0], (32, 32), {1, 2, 5})
    check(found[1], (30, 32), {1, 2, 5})  # nothing would be saved
    (found,) = predictor.predict_batch([example.image], memory=Memory(1), as_seen=True)
    assert found.seen is not None
    predictor = Predictor(copying_model, [example], settings=cpu(tiling=tiling))
    check(predictor.predict_batch([example.image], as_seen=True)[0], shape, {1, 2, 5})


# -- any frame ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_frames_of_any_dtype_are_predicted(
    dtype: str, tiny_model: SegGPT, frame: Make, blocks: Make
) -> None:
    image = frame((40, 30), dtype=dtype)
    prompt = Prompt(image=image, labels=blocks((40, 30), [3, -2, 70_000]))
    prediction = Predictor(tiny_model, [prompt], settings=cpu()).predict(image)
    check(prediction, (40, 30), {3, -2, 70_000})


@pytest.mark.parametrize("shape", SHAPES)
def test_frames_of_any_shape_are_predicted(
    shape: tuple[int, ...], tiny_model: SegGPT, frame: Make
) -> None:
    image = frame(shape)
    labels = np.ones(shape[:2], dtype=bool)
    predictor = Predictor(
        tiny_model, [Prompt(image=image, labels=labels)], settings=cpu()
    )
    check(predictor.predict(image), shape, {1})


@pytest.mark.parametrize("tiled", [False, True])
def test_prompts_may_have_another_size_than_the_query(
    tiled: bool, tiny_model: SegGPT, frame: Make, blocks: Make
) -> None:
    shapes = [(32, 32), (64, 20), (25, 90)]
    prompts = [
        Prompt(image=frame(shape), labels=blocks(shape, [1, 4])) for shape in shapes
    ]
    tiling = TilingSettings(enabled=tiled)
    predictor = Predictor(tiny_model, prompts, settings=cpu(tiling=tiling))
    for shape in [*shapes, (50, 51)]:
        check(predictor.predict(frame(shape)), shape, {1, 4})


def test_an_unlabelled_frame_may_be_among_the_prompts(
    tiny_model: SegGPT, prompt: Prompt, frame: Make
) -> None:
    empty = Prompt(image=frame(seed=1), labels=np.zeros((32, 32), np.uint8))
    predictor = Predictor(tiny_model, [empty, prompt], settings=cpu())
    check(predictor.predict(frame()), (32, 32), {1, 2, 5})


@pytest.mark.parametrize(
    "wrong", [np.zeros((0, 4)), np.zeros(4), np.zeros((4, 4)) * 1j]
)
def test_what_is_no_frame_is_refused(
    wrong: np.ndarray, tiny_model: SegGPT, prompt: Prompt
) -> None:
    predictor = Predictor(tiny_model, [prompt], settings=cpu())
    with pytest.raises(FrameError, match="Expected a frame"):
        predictor.predict(wrong)


def test_without_labels_there_is_nothing_to_predict(
    tiny_model: SegGPT, prompt: Prompt, frame: Make
) -> None:
    empty = Prompt(image=frame(), labels=np.zeros((32, 32), np.uint8))
    for prompts in ([], [empty], [empty, empty]):
        predictor = Predictor(tiny_model, prompts, settings=cpu())
        with pytest.raises(ValueError, match="Expected a prompt with labels, got none"):
            predictor.predict(frame())
    predictor.set_prompts([prompt])
    check(predictor.predict(frame()), (32, 32), {1, 2, 5})
    predictor.set_prompts([])
    with pytest.raises(ValueError, match="Expected a prompt with labels, got none"):
        predictor.predict_batch([frame()])


# -- what must not matter ----------------------------------------------------------


def test_equal_prompts_are_as_good_as_one(
    tiny_model: SegGPT, prompt: Prompt, frame: Make
) -> None:
    query = frame(seed=9)
    one = Predictor(tiny_model, [prompt], settings=cpu()).predict(query)
    for count in (2, 5):
        many = Predictor(tiny_model, [prompt] * count, settings=cpu()).predict(query)
        np.testing.assert_allclose(many.colors[0], one.colors[0], atol=1e-4)
        assert (many.labels == one.labels).mean() > 0.999
    assert len(np.unique(one.colors[0])) > 100


@pytest.mark.parametrize("ensemble", ["feature", "spatial"])
@pytest.mark.parametrize("tiled", [False, True])
def test_a_batch_is_predicted_as_its_frames_are(
    ensemble: str, tiled: bool, tiny_model: SegGPT, frame: Make, blocks: Make
) -> None:
    tiling = TilingSettings(enabled=tiled)
    prompts = [
        Prompt(image=frame(seed=k), labels=blocks((32, 32), [1, 2 + k]), index=k)
        for k in range(3)
    ]
    settings = cpu(ensemble=ensemble, batch=3, max_prompts=2, tiling=tiling)
    predictor = Predictor(tiny_model, prompts, settings=settings)
    shapes = [(32, 32), (20, 40), (50, 33), (32, 32), (35, 35)]
    frames = [frame(shape, seed=10 + i) for i, shape in enumerate(shapes)]
    together = predictor.predict_batch(frames, indices=[0, 1, 2, 3, None])
    assert len(together) == 5
    for image, index, prediction in zip(
        frames, [0, 1, 2, 3, None], together, strict=True
    ):
        check(prediction, image.shape, {1, 2, 3, 4})
        alone = predictor.predict(image, index=index)
        np.testing.assert_allclose(prediction.colors, alone.colors, atol=1e-4)
    assert predictor.predict_batch([]) == []


# -- labels to colours and back ----------------------------------------------------


@pytest.mark.parametrize("shape", [(32, 32), (70, 50), (20, 90)])
@pytest.mark.parametrize("ids", [[1], [*range(1, 8)], [*range(1, 21)], [-4, 2**40]])
def test_labels_come_back_if_the_model_copies_colours(
    shape: tuple[int, int],
    ids: list[int],
    copying_model: Any,
    frame: Make,
    blocks: Make,
) -> None:
    labels = blocks(shape, ids)
    prompts = [
        Prompt(image=frame(shape, seed=k), labels=np.roll(labels, 4 * k, axis=1))
        for k in range(3)
    ]
    tiling = TilingSettings(enabled=True)  # scale 1: nothing is resized
    settings = cpu(tiling=tiling, max_prompts=100)
    predictor = Predictor(copying_model, prompts, settings=settings)
    passes = -(-len(ids) // 7)
    assert len(predictor.palettes) == passes
    for prompt in prompts:
        prediction = predictor.predict(prompt.image)
        np.testing.assert_array_equal(prediction.labels, prompt.labels)
        assert prediction.confidence.min() > 0.999
        assert len(prediction.colors) == passes


def test_a_squeezed_frame_keeps_its_labels_but_for_edges(
    copying_model: Any, frame: Make, blocks: Make
) -> None:
    labels = blocks((64, 96), [1, 2, 3], side=16)
    prompt = Prompt(image=frame((64, 96)), labels=labels)
    prediction = Predictor(copying_model, [prompt], settings=cpu()).predict(
        prompt.image
    )
    assert (prediction.labels == labels).mean() > 0.8
    middles = (slice(8, None, 16), slice(8, None, 16))
    np.testing.assert_array_equal(prediction.labels[middles], labels[middles])


def test_every_pass_paints_its_own_labels(
    copying_model: Any, frame: Make, blocks: Make
) -> None:
    labels = blocks((32, 32), [*range(1, 21)])
    prompt = Prompt(image=frame(), labels=labels)
    predictor = Predictor(copying_model, [prompt], settings=cpu(labels_per_pass=7))
    assert [len(palette.ids) for palette in predictor.palettes] == [7, 7, 6]
    prediction = predictor.predict(prompt.image)
    assert len(copying_model.calls) == 3
    for palette, colors in zip(predictor.palettes, prediction.colors, strict=True):
        painted = colors.max(axis=2) > 1e-4
        np.testing.assert_array_equal(painted, np.isin(labels, palette.ids))


def test_confidence_is_lower_where_the_model_wavers(
    copying_model: Any, prompt: Prompt
) -> None:
    predictor = Predictor(copying_model, [prompt], settings=cpu())
    sure = predictor.predict(prompt.image)
    copying_model.noise = 0.5
    unsure = predictor.predict(prompt.image)
    assert unsure.confidence.mean() < sure.confidence.mean() - 0.1
    assert (unsure.labels == prompt.labels).mean() > 0.95


# -- prompts -----------------------------------------------------------------------


def test_prompts_are_encoded_once(
    copying_model: Any, frame: Make, blocks: Make
) -> None:
    prompts = [
        Prompt(image=frame(seed=k), labels=blocks((32, 32), [1, 2])) for k in range(3)
    ]
    predictor = Predictor(copying_model, prompts, settings=cpu(batch=4))
    assert copying_model.encoded == []  # not before they are used
    predictor.predict_batch([frame(seed=9)] * 10)
    assert len(copying_model.encoded) == 3
    assert copying_model.calls == [(4, 3), (4, 3), (2, 3)]


def test_a_spatial_ensemble_is_one_prompt(
    copying_model: Any, frame: Make, blocks: Make
) -> None:
    labels = blocks((32, 32), [1, 2])
    prompts = [
        Prompt(image=frame((32, 32, 3), dtype="uint8", seed=k), labels=labels)
        for k in range(4)
    ]
    predictor = Predictor(copying_model, prompts, settings=cpu(ensemble="spatial"))
    picture, grid = spatial_grid(
        [p.image for p in prompts], [p.labels for p in prompts]
    )
    prediction = predictor.predict(picture)
    assert copying_model.calls == [(1, 1)]
    np.testing.assert_allclose(copying_model.pictures[-1], picture / 255, atol=1e-5)
    np.testing.assert_array_equal(prediction.labels, grid)


def test_the_ensembles_differ_for_several_prompts_only(
    tiny_model: SegGPT, frame: Make, blocks: Make
) -> None:
    prompts = [
        Prompt(image=frame(seed=k), labels=blocks((32, 32), [1, 2])) for k in range(2)
    ]

    def paint(ensemble: str, count: int) -> np.ndarray:
        settings = cpu(ensemble=ensemble)
        predictor = Predictor(
            tiny_model,
            prompts[:count],
            settings=settings,
            limits=measure_limits([frame()]),
        )
        return predictor.predict(frame(seed=9)).colors[0]

    np.testing.assert_array_equal(paint("feature", 1), paint("spatial", 1))
    assert np.abs(paint("feature", 2) - paint("spatial", 2)).max() > 0.01


def test_no_more_than_max_prompts_are_used(
    copying_model: Any, frame: Make, blocks: Make
) -> None:
    prompts = [
        Prompt(image=frame(seed=k), labels=blocks((32, 32), [k + 1]), index=10 * k)
        for k in range(6)
    ]
    predictor = Predictor(copying_model, prompts, settings=cpu(max_prompts=2))
    for k in range(6):  # its own prompt is always among them: the nearest
        prediction = predictor.predict(prompts[k].image, index=10 * k)
        np.testing.assert_array_equal(prediction.labels, prompts[k].labels)
    assert copying_model.calls == [(1, 2)] * 6


def test_the_nearest_of_equal_looking_prompts_is_used(
    copying_model: Any, frame: Make, blocks: Make
) -> None:
    prompts = [
        Prompt(image=frame(), labels=blocks((32, 32), [k + 1]), index=10 * k)
        for k in range(4)
    ]
    predictor = Predictor(copying_model, prompts, settings=cpu(max_prompts=1))
    indices = [2, 11, 19, 99]
    predictions = predictor.predict_batch([frame()] * 4, indices=indices)
    for k, prediction in enumerate(predictions):
        np.testing.assert_array_equal(prediction.labels, prompts[k].labels)
    alone = predictor.predict(frame(), index=22)
    np.testing.assert_array_equal(alone.labels, prompts[2].labels)


def test_frames_in_memory_are_further_prompts(
    copying_model: Any, frame: Make, prompt: Prompt, blocks: Make
) -> None:
    predictor = Predictor(copying_model, [prompt], settings=cpu(max_prompts=1))
    seen = Prompt(image=frame(seed=5), labels=blocks((32, 32), [5, 2]))
    memory = Memory(2)
    memory.add(predictor.prepare(seen, predicted=True))
    (prediction,) = predictor.predict_batch([seen.image], memory=memory)
    assert copying_model.calls == [(1, 2)]
    assert copying_model.predicted == [False, True]
    np.testing.assert_array_equal(prediction.labels, seen.labels)


@pytest.mark.parametrize("seg_type", SEG_TYPES)
def test_the_seg_type_reaches_the_model(
    seg_type: str, copying_model: Any, prompt: Prompt
) -> None:
    predictor = Predictor(copying_model, [prompt], settings=cpu(seg_type=seg_type))
    predictor.predict(prompt.image)
    assert copying_model.seg_types == [SEG_TYPES[seg_type]]


def test_tiles_are_shown_in_their_own_pixels(
    copying_model: Any, frame: Make, blocks: Make
) -> None:
    image = frame((48, 32, 3), dtype="uint8")
    prompt = Prompt(image=image, labels=blocks((48, 32), [1, 2]))
    tiling = TilingSettings(enabled=True, overlap=0.5)
    predictor = Predictor(copying_model, [prompt], settings=cpu(tiling=tiling))
    shown = [tile.picture for tile in predictor.tiles]
    np.testing.assert_array_equal(shown, [image[:32], image[16:]])


# -- contrast ----------------------------------------------------------------------


def test_prompts_and_queries_share_their_contrast(
    copying_model: Any, frame: Make, blocks: Make
) -> None:
    prompts = [
        Prompt(image=image, labels=blocks((32, 32), [1, 2]))
        for image in (frame(seed=0), frame(seed=1) + 500)
    ]
    predictor = Predictor(copying_model, prompts, settings=cpu())
    own = measure_limits([prompt.image for prompt in prompts])
    np.testing.assert_array_equal(predictor.limits.low, own.low)
    np.testing.assert_array_equal(predictor.limits.high, own.high)
    for prompt, tile in zip(prompts, predictor.tiles, strict=True):
        np.testing.assert_array_equal(tile.picture, to_rgb(prompt.image, own))
        # By its own contrast the query would equal either of them.
        np.testing.assert_array_equal(
            predictor.predict(prompt.image).labels, prompt.labels
        )


def test_given_limits_stay_when_prompts_change(
    copying_model: Any, prompt: Prompt
) -> None:
    given = Limits(low=np.array([-100.0]), high=np.array([500.0]))
    predictor = Predictor(copying_model, settings=cpu(), limits=given)
    predictor.set_prompts([prompt])
    assert predictor.limits is given
    (tile,) = predictor.tiles
    np.testing.assert_array_equal(tile.picture, to_rgb(prompt.image, given))


def test_some_of_the_prompts_are_encoded_once_for_all(
    copying_model: Any, frame: Make, blocks: Make
) -> None:
    prompts = [
        Prompt(image=frame(seed=i), labels=blocks((32, 32), [i + 1]), index=10 * i)
        for i in range(3)
    ]
    predictor = Predictor(copying_model, prompts, settings=cpu())
    predictor.predict(prompts[0].image)
    assert len(copying_model.encoded) == 3
    others = predictor.only([1, 2])
    assert set(others.references) == {10, 20}
    assert set(np.unique(others.predict(prompts[0].image).labels)) <= {0, 2, 3}
    alone = predictor.only([2])
    np.testing.assert_array_equal(
        alone.predict(prompts[0].image).labels, prompts[2].labels
    )
    assert len(copying_model.encoded) == 3
    assert len(predictor.prompts) == len(predictor.tiles) == 3
    before = others.predict(prompts[1].image).labels
    predictor.set_prompts(prompts[:1])
    assert len(others.tiles) == 2
    # Other labels have other colours in the one, and those of the other stay.
    np.testing.assert_array_equal(others.predict(prompts[1].image).labels, before)
    np.testing.assert_array_equal(before, prompts[1].labels)


def test_other_prompts_make_another_predictor(
    copying_model: Any, frame: Make, blocks: Make
) -> None:
    one, two = (
        Prompt(image=frame(seed=i), labels=blocks((32, 32), [i + 1]), index=i)
        for i in range(2)
    )
    predictor = Predictor(copying_model, [one], settings=cpu())
    other = predictor.with_prompts([two], finest=1.0)
    assert predictor.prompts == (one,)
    assert other.prompts == (two,)
    assert other.tiling.enabled
    assert not predictor.tiling.enabled
    np.testing.assert_array_equal(predictor.predict(one.image).labels, one.labels)
    assert set(np.unique(other.predict(two.image).labels)) == {0, 2}


# -- a network with a readout ------------------------------------------------------


def test_frames_of_several_shapes_are_predicted_in_one_call(
    readout_model: SegGPT, frame: Make, blocks: Make
) -> None:
    shapes = [(32, 32), (32, 32), (64, 40), (20, 90), (32, 32), (100, 100), (1, 7)]
    prompts = [
        Prompt(image=frame(shape, seed=k), labels=blocks(shape, [1, 2 + k]), index=k)
        for k, shape in enumerate(shapes[:4])
    ]
    settings = cpu(batch=4, max_prompts=3)
    predictor = Predictor(readout_model, prompts, settings=settings)
    frames = [frame(shape, seed=10 + k) for k, shape in enumerate(shapes)]
    together = predictor.predict_batch(frames, indices=range(len(shapes)))
    for index, (image, prediction) in enumerate(zip(frames, together, strict=True)):
        check(prediction, image.shape, {1, 2, 3, 4, 5})
        alone = predictor.predict(image, index=index)
        np.testing.assert_allclose(prediction.colors, alone.colors, atol=1e-3)


def test_a_frame_is_seen_at_its_own_resolution(
    readout_model: SegGPT, frame: Make, blocks: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []
    paint = SegGPT.probabilities

    def spy(self: SegGPT, query: torch.Tensor, prompts: Any) -> torch.Tensor:
        seen.append(tuple(query.shape[-2:]))
        return paint(self, query, prompts)

    monkeypatch.setattr(SegGPT, "probabilities", spy)
    prompt = Prompt(image=frame((60, 30)), labels=blocks((60, 30), [1]))
    predictor = Predictor(readout_model, [prompt], settings=cpu())
    assert predictor.tiles[0].picture.shape == (64, 32, 3)
    assert predictor.tiles[0].labels.shape == (64, 32)
    for shape in [(32, 64), (300, 150), (10, 10)]:
        check(predictor.predict(frame(shape)), shape, {1})
    assert seen == [(32, 64), (64, 32), (32, 32)]


def test_tiles_are_seen_at_one_size_whatever_the_frame(
    readout_model: SegGPT, frame: Make, blocks: Make
) -> None:
    prompt = Prompt(image=frame((80, 40)), labels=blocks((80, 40), [1, 2]))
    tiling = TilingSettings(enabled=True)
    predictor = Predictor(readout_model, [prompt], settings=cpu(tiling=tiling))
    shapes = {tile.picture.shape for tile in predictor.tiles}
    assert shapes == {(*readout_model.config.tile_size, 3)}
    check(predictor.predict(frame((70, 90))), (70, 90), {1, 2})


@pytest.mark.parametrize("labels_per_pass", [1, 3, 11])
@pytest.mark.parametrize("ensemble", ["feature", "spatial"])
def test_any_number_of_ids_is_read_in_passes(
    labels_per_pass: int,
    ensemble: str,
    readout_model: SegGPT,
    frame: Make,
    blocks: Make,
) -> None:
    ids = [1, 2, 5, -3, 70_000, 8, 9, 10, 11, 12, 13]
    prompts = [
        Prompt(image=frame(seed=k), labels=blocks((32, 32), ids)) for k in range(2)
    ]
    settings = cpu(labels_per_pass=labels_per_pass, ensemble=ensemble)
    predictor = Predictor(readout_model, prompts, settings=settings)
    prediction = predictor.predict(frame(seed=9))
    assert len(prediction.colors) == -(-len(ids) // labels_per_pass)
    check(prediction, (32, 32), set(ids))


def test_frames_are_shown_larger_where_labels_are_thin(
    readout_model: SegGPT, frame: Make
) -> None:
    thin, wide = np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.uint8)
    thin[4:7, 2:30], wide[4:28, 2:30] = 1, 1
    prompts = {
        name: Prompt(image=frame(seed=1), labels=labels)
        for name, labels in (("thin", thin), ("wide", wide))
    }

    def sides(*prompts: Prompt, **settings: Any) -> set[tuple[int, ...]]:
        predictor = Predictor(readout_model, prompts, settings=cpu(**settings))
        check(predictor.predict(frame(seed=9)), (32, 32), {1})
        return {tile.labels.shape for tile in predictor.tiles}

    assert sides(prompts["thin"]) == {(64, 64)}
    assert sides(prompts["wide"]) == {(32, 32)}
    hint = replace(prompts["thin"], is_hint=True)
    assert sides(prompts["wide"], hint) == {(32, 32)}
    tiling = TilingSettings(enabled=True)
    size = readout_model.config.tile_size
    assert sides(prompts["thin"], tiling=tiling) == {size}


def test_a_new_readout_finds_the_labels_of_its_prompt_again(
    readout_model: SegGPT, frame: Make
) -> None:
    # What it reads needs no training where classes differ in colour and move little.
    torch.manual_seed(0)
    model = SegGPT(replace(readout_model.config, fine_sides=(64, 64))).eval()
    labels = np.zeros((64, 64), np.uint8)
    labels[8:36, 8:30], labels[40:60, 20:60] = 4, 9
    image = frame((64, 64, 3), dtype="uint8")
    image[labels == 4, 0] += 150
    image[labels == 9, 1] += 150
    predictor = Predictor(model, [Prompt(image=image, labels=labels)], settings=cpu())
    prediction = predictor.predict(np.roll(image, (3, -5), (0, 1)))
    for label in (4, 9):
        one, other = (
            prediction.labels == label,
            np.roll(labels, (3, -5), (0, 1)) == label,
        )
        assert (one & other).sum() > 0.8 * (one | other).sum()


def test_predicted_prompts_are_marked_for_a_readout(
    readout_model: SegGPT, prompt: Prompt, frame: Make
) -> None:
    predictor = Predictor(readout_model, [prompt], settings=cpu())
    seen = Prompt(image=frame(seed=5), labels=prompt.labels)
    colors = []
    for predicted in (False, True):
        memory = Memory(1)
        memory.add(predictor.prepare(seen, predicted=predicted))
        (prediction,) = predictor.predict_batch([frame(seed=6)], memory=memory)
        colors.append(prediction.colors[0])
    assert np.abs(colors[0] - colors[1]).max() > 1e-3


def test_objects_that_vanish_are_said(
    tiny_model: SegGPT, caplog: pytest.LogCaptureFixture
) -> None:
    labels = np.zeros((400, 400), np.uint8)
    labels[3, 3] = 1
    prompt = Prompt(image=np.zeros((400, 400)), labels=labels)
    Predictor(tiny_model, [prompt], settings=cpu())
    assert "vanishes in the model's 32 x 32 pixels: use tiles" in caplog.text


# -- hints -----------------------------------------------------------------------------


def known_by_call(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Note what is said to be known of each prompt that is encoded."""
    seen, encode = [], model.encode_prompts

    def noting(*args: Any, known: Any = None, **named: Any) -> Any:
        seen.append(None if known is None else known.numpy()[0, 0])
        return encode(*args, known=known, **named)

    monkeypatch.setattr(model, "encode_prompts", noting)
    return seen


def test_of_a_hint_only_what_is_labelled_is_known(
    readout_model: Any, frame: Any, blocks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = known_by_call(readout_model, monkeypatch)
    labels = blocks((32, 32), [1])
    whole = Prompt(image=frame(seed=1), labels=labels)
    hint = Prompt(image=frame(seed=2), labels=labels, is_hint=True)
    both = Predictor(readout_model, [whole, hint], settings=cpu())
    with_hint = both.predict(frame(seed=3))
    assert seen[0] is None
    np.testing.assert_array_equal(seen[1], resize_labels(labels, seen[1].shape) != 0)
    as_whole = replace(hint, is_hint=False)
    plain = Predictor(readout_model, [whole, as_whole], settings=cpu())
    difference = plain.predict(frame(seed=3)).confidence - with_hint.confidence
    assert np.abs(difference).max() > 1e-6


def test_hints_that_cannot_be_understood(
    readout_model: Any,
    tiny_model: Any,
    frame: Any,
    blocks: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = blocks((32, 32), [1])
    whole = Prompt(image=frame(seed=1), labels=labels)
    hint = Prompt(image=frame(seed=2), labels=labels, is_hint=True)
    seen = known_by_call(readout_model, monkeypatch)
    Predictor(readout_model, [hint], settings=cpu()).predict(frame(seed=3))
    assert seen == [None]  # alone it is read as a whole one
    without = Predictor(tiny_model, [whole, hint], settings=cpu())
    assert [tile.is_hint for tile in without.tiles] == [False]
    assert without.only([0]).tiles == without.tiles


def test_a_grid_of_prompts_shows_no_hint(
    readout_model: Any, frame: Any, blocks: Any
) -> None:
    labels = blocks((32, 32), [1])
    prompts = [
        Prompt(image=frame(seed=i), labels=labels, is_hint=i == 1) for i in range(2)
    ]
    grid = Predictor(readout_model, prompts, settings=cpu(ensemble="spatial"))
    assert [tile.is_hint for tile in grid.tiles] == [False]
    joined = Predictor(readout_model, prompts, settings=cpu())
    assert [tile.is_hint for tile in joined.tiles] == [False, True]
