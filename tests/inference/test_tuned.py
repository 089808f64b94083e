"""Predictors with tuned prompts, alone and beside ordinary ones."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.inference.seg_type import choose_seg_type
from napari_seggpt.inference.tuned import TunedPromptError, plan_passes
from napari_seggpt.model.checkpoint import model_hash
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.palette import Palette
from napari_seggpt.preprocessing import AS_IT_IS, normalise
from napari_seggpt.prompts import Prompt, TunedPrompt, TuningFigures
from napari_seggpt.settings import PredictionSettings, TilingSettings, TuningSettings

Make = Callable[..., np.ndarray]


def cpu(**chosen: Any) -> PredictionSettings:
    return PredictionSettings(device="cpu", **chosen)


def tuned_of(model: Any, *prompts: Prompt, **more: Any) -> TunedPrompt:
    """What tuning starts from: the prompts as they are, at the model's size."""
    palette = Palette.of({int(i) for prompt in prompts for i in prompt.ids})
    colors = np.stack([palette.encode(prompt.labels) for prompt in prompts])
    facts = {
        "images": normalise(np.stack([prompt.image for prompt in prompts])),
        "colors": normalise(colors),
        "palette": palette,
        "model_hash": model_hash(model),
        "seg_type": choose_seg_type("auto", model.config),
        "settings": TuningSettings(),
        "figures": TuningFigures(
            frames=2, steps=0, seconds=0.0, dice_before=0.5, dice_after=0.5
        ),
    }
    return TunedPrompt(**{**facts, **more})


@pytest.fixture
def prompts(frame: Make, blocks: Make) -> list[Prompt]:
    return [
        Prompt(
            image=frame((32, 32, 3), dtype="uint8", seed=seed),
            labels=blocks((32, 32), [1, 2, 5], side=side),
        )
        for seed, side in ((1, 4), (2, 8))
    ]


def test_alone_and_untouched_it_predicts_as_the_prompts_it_comes_from(
    tiny_model: SegGPT, prompts: list[Prompt], frame: Make
) -> None:
    query = frame((40, 30, 3), dtype="uint8", seed=7)
    plain = Predictor(tiny_model, prompts, settings=cpu()).predict(query)
    predictor = Predictor(
        tiny_model, tuned=[tuned_of(tiny_model, *prompts)], settings=cpu()
    )
    tuned = predictor.predict(query)
    np.testing.assert_array_equal(tuned.labels, plain.labels)
    np.testing.assert_allclose(tuned.colors[0], plain.colors[0], atol=1e-5)


def test_it_is_joined_with_ordinary_prompts(
    tiny_model: SegGPT, prompts: list[Prompt], frame: Make
) -> None:
    query = frame((32, 32, 3), dtype="uint8", seed=7)
    # The seam follows the first prompt, which a tuned one always is.
    plain = Predictor(tiny_model, prompts, settings=cpu()).predict(query)
    first = tuned_of(tiny_model, prompts[0], palette=Palette.of([1, 2, 5]))
    joined = Predictor(tiny_model, prompts[1:], tuned=[first], settings=cpu())
    np.testing.assert_array_equal(joined.predict(query).labels, plain.labels)
    assert len(joined.palettes) == 1


def test_its_labels_keep_their_colours_and_others_get_a_pass(
    copying_model: Any, prompts: list[Prompt], frame: Make, blocks: Make
) -> None:
    colors = np.array([[0.5, 0.5, 0.5], [1, 0, 0]], np.float32)
    palette = Palette(ids=np.array([2, 1]), colors=colors)
    one = tuned_of(
        copying_model, prompts[0], palette=palette,
        colors=normalise(palette.encode(prompts[0].labels)[None]),
    )  # fmt: skip
    other = Prompt(
        image=frame((32, 32, 3), dtype="uint8", seed=3),
        labels=blocks((32, 32), [1, 2, 8]),
    )
    predictor = Predictor(copying_model, [other], tuned=[one], settings=cpu())
    assert [p.ids.tolist() for p in predictor.palettes] == [[2, 1], [8]]
    seen = predictor.predict(other.image)
    np.testing.assert_array_equal(seen.labels, other.labels)
    # In the first pass there are both, in the second the ordinary prompt alone.
    assert copying_model.calls == [(1, 2), (1, 1)]
    seen = predictor.predict(prompts[0].image)
    known = np.isin(prompts[0].labels, [1, 2])
    np.testing.assert_array_equal(seen.labels[known], prompts[0].labels[known])


def test_palettes_of_equal_colours_share_a_pass(tiny_model: SegGPT) -> None:
    def knows(*ids: int) -> TunedPrompt:
        labels = np.array([0, *ids])[np.arange(32 * 32).reshape(32, 32) % len(ids)]
        image = np.zeros((32, 32, 3), np.uint8)
        return tuned_of(
            tiny_model, Prompt(image=image, labels=labels), palette=Palette.of(ids)
        )

    def ids(found: list[Palette]) -> list[list[int]]:
        return [palette.ids.tolist() for palette in found]

    assert ids(plan_passes([], [knows(1, 2), knows(1, 2)], 7)) == [[1, 2]]
    assert ids(plan_passes([9], [knows(1), knows(1, 2)], 7)) == [[1], [1, 2], [9]]
    assert ids(plan_passes([3, 4, 5], [], 2)) == [[3, 4], [5]]
    assert ids(plan_passes([], [], 2)) == [[]]


def test_tiles_and_the_spatial_ensemble_take_it_too(
    tiny_model: SegGPT, prompts: list[Prompt], frame: Make
) -> None:
    tuned = [tuned_of(tiny_model, *prompts)]
    for settings in (
        cpu(ensemble="spatial"),
        cpu(tiling=TilingSettings(enabled=True, scale=1.0)),
    ):
        for plain in ([], prompts):
            predictor = Predictor(
                tiny_model, plain, tuned=tuned, settings=settings, limits=AS_IT_IS
            )
            prediction = predictor.predict(frame((50, 70), seed=4))
            assert prediction.labels.shape == (50, 70)


def test_another_model_is_refused_with_the_reason(
    tiny_model: SegGPT, make_model: Callable[..., SegGPT], prompts: list[Prompt]
) -> None:
    tuned = tuned_of(tiny_model, *prompts)
    other = make_model(tiny_model.config, seed=1)
    with pytest.raises(TunedPromptError, match=r"tuned for this model .* for another"):
        Predictor(other, tuned=[tuned], settings=cpu())
    with pytest.raises(TunedPromptError, match="seg_type 'semantic', got 'instance'"):
        Predictor(tiny_model, tuned=[tuned], settings=cpu(seg_type="semantic"))
    small = replace(
        tuned, images=tuned.images[..., :16, :16], colors=tuned.colors[..., :16, :16]
    )
    with pytest.raises(TunedPromptError, match=r"pictures of \(32, 32\)"):
        Predictor(tiny_model, tuned=[small], settings=cpu())


def test_pictures_are_of_a_size_at_which_the_network_sees_frames(
    readout_model: SegGPT, frame: Make, blocks: Make
) -> None:
    def tuned_at(size: tuple[int, int], **more: Any) -> TunedPrompt:
        image = frame((*size, 3), dtype="uint8")
        return tuned_of(
            readout_model, Prompt(image=image, labels=blocks(size, [1])), **more
        )

    def predict(tuned: TunedPrompt, tiling: TilingSettings) -> None:
        settings = cpu(tiling=tiling)
        predictor = Predictor(
            readout_model, tuned=[tuned], settings=settings, limits=AS_IT_IS
        )
        assert predictor.predict(frame((50, 40))).labels.shape == (50, 40)

    tile = readout_model.config.tile_size
    predict(tuned_at((64, 32)), TilingSettings())
    predict(tuned_at(tile, tile_scale=1.5), TilingSettings(enabled=True, scale=1.5))
    for wrong in (tuned_at((48, 48)), tuned_at((32, 32), tile_scale=1.5)):
        with pytest.raises(TunedPromptError, match="Expected pictures of"):
            Predictor(readout_model, tuned=[wrong], settings=cpu())


def test_frames_are_shown_as_large_as_what_was_tuned_on(
    readout_model: SegGPT, frame: Make, blocks: Make
) -> None:
    image, labels = frame((64, 64, 3), dtype="uint8"), blocks((64, 64), [1])
    tuned = tuned_of(readout_model, Prompt(image=image, labels=labels), zoom=2)
    predictor = Predictor(readout_model, tuned=[tuned], settings=cpu())
    seen = []
    paint = predictor.passes.paint
    predictor.passes.paint = lambda *args: seen.append(args[0].shape) or paint(*args)
    assert predictor.predict(frame((32, 32))).labels.shape == (32, 32)
    assert seen == [(1, 64, 64, 3)]  # 32 without


def test_a_picture_that_a_reference_shows_counts_once_with_its_labels(
    readout_model: SegGPT, prompts: list[Prompt], frame: Make
) -> None:
    query = frame((32, 32, 3), dtype="uint8", seed=7)
    first, second = prompts

    def colors(plain: list[Prompt], *kept: Prompt) -> np.ndarray:
        tuned = [tuned_of(readout_model, *kept)] if kept else []
        predictor = Predictor(
            readout_model, plain, tuned=tuned, settings=cpu(), limits=AS_IT_IS
        )
        return predictor.predict(query).colors[0]

    both = colors([first, second])
    np.testing.assert_allclose(colors([first], second), both, atol=1e-6)
    np.testing.assert_allclose(colors([first, second], second), both, atol=1e-6)
    np.testing.assert_allclose(colors([first, second], first, second), both, atol=1e-6)
    # What was corrected since is what counts.
    corrected = replace(second, labels=second.labels[::-1].copy())
    np.testing.assert_allclose(
        colors([first, corrected], second), colors([first, corrected]), atol=1e-6
    )
    # A hint says less than the prompt did.
    hint = replace(corrected, is_hint=True)
    beside, alone = colors([first, hint], second), colors([first, hint])
    assert np.abs(beside - alone).max() > 1e-3


# -- weighings ---------------------------------------------------------------------


def weighing_of(model: SegGPT, scale: float, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights for the readout that differ from the network's own by noise."""
    rng = np.random.default_rng(seed)
    return {
        name: np.asarray(
            x.detach().numpy() + rng.normal(0, scale, tuple(x.shape)), np.float32
        )
        for name, x in model.readout.weighing().items()
    }


def test_a_weighing_changes_how_all_prompts_of_its_pass_are_read(
    readout_model: SegGPT, prompts: list[Prompt], frame: Make
) -> None:
    query = frame((32, 32, 3), dtype="uint8", seed=7)
    prompts = prompts[:1]  # two in all are read whole

    def tuned_with(weighing: dict[str, np.ndarray]) -> TunedPrompt:
        return tuned_of(readout_model, *prompts, weighing=weighing)

    def colors(plain: list[Prompt], *tuned: TunedPrompt) -> np.ndarray:
        predictor = Predictor(readout_model, plain, tuned=tuned, settings=cpu())
        return predictor.predict(query).colors[0]

    first, second = (weighing_of(readout_model, 0.05, seed=seed) for seed in (0, 1))
    alone = colors([], tuned_with(first))
    assert np.abs(alone - colors(prompts)).max() > 1e-3
    # So does what comes from a file.
    saved = TunedPrompt.from_bytes(tuned_with(first).to_bytes())
    np.testing.assert_allclose(colors([], saved), alone, atol=0.02)
    older = {name: np.atleast_1d(x) for name, x in first.items()}  # of single numbers
    np.testing.assert_array_equal(colors([], tuned_with(older)), alone)
    # The same prompts beside it add nothing, since they are weighed alike.
    np.testing.assert_allclose(colors(prompts, tuned_with(first)), alone, atol=1e-5)
    # The network itself stays as it is.
    own = weighing_of(readout_model, 0.0)
    unchanged, plain = (colors([], tuned_with(each)) for each in (own, {}))
    np.testing.assert_array_equal(unchanged, plain)
    # Of two that learned differently, none decides alone.
    mean = {name: np.asarray((first[name] + second[name]) / 2) for name in first}
    both = colors([], tuned_with(first), tuned_with(second))
    np.testing.assert_allclose(both, colors(prompts, tuned_with(mean)), atol=1e-5)


def test_a_weighing_of_another_network_is_refused(
    tiny_model: SegGPT, readout_model: SegGPT, prompts: list[Prompt], frame: Make
) -> None:
    weighing = weighing_of(readout_model, 0.1)
    del weighing["mixer.skip"]
    for model, message in (
        (tiny_model, "without a weighing"),
        (readout_model, "the weighing of this network"),
    ):
        tuned = tuned_of(model, *prompts, weighing=weighing)
        predictor = Predictor(model, tuned=[tuned], settings=cpu())
        with pytest.raises(TunedPromptError, match=message):
            predictor.predict(frame())
