import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from napari_seggpt import files, prompts
from napari_seggpt.palette import Palette
from napari_seggpt.preprocessing import normalise
from napari_seggpt.prompts import (
    Prompt,
    PromptFileError,
    TunedPrompt,
    TuningFigures,
)
from napari_seggpt.settings import TuningSettings


def test_ids_are_sorted_unique_and_without_background() -> None:
    labels = np.array([[7, 0, -3], [7, 2, 0]], dtype=np.int16)
    prompt = Prompt(image=np.zeros((2, 3)), labels=labels)
    assert prompt.ids.tolist() == [-3, 2, 7]
    assert prompt.ids.dtype == np.int64


def test_a_mask_is_a_label_image_of_ones() -> None:
    prompt = Prompt(image=np.zeros((2, 2, 3)), labels=np.eye(2, dtype=bool))
    assert prompt.ids.tolist() == [1]


@pytest.mark.parametrize("shape", [(4,), (2, 2, 3, 1), ()])
def test_an_image_has_rows_and_columns(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"Expected an image .* got shape"):
        Prompt(image=np.zeros(shape), labels=np.zeros((2, 2), int))


@pytest.mark.parametrize("shape", [(2, 3), (3, 2, 1), (3,)])
def test_labels_have_the_shape_of_the_image(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 2\), got"):
        Prompt(image=np.zeros((3, 2, 3)), labels=np.zeros(shape, int))


@pytest.mark.parametrize("dtype", [np.float32, complex, object, "U1"])
def test_labels_are_integers(dtype: object) -> None:
    with pytest.raises(ValueError, match="Expected labels of an integer type"):
        Prompt(image=np.zeros((3, 2)), labels=np.zeros((3, 2)).astype(dtype))


def test_prompts_are_compared_by_identity() -> None:
    one, other = (
        Prompt(image=np.zeros((2, 2)), labels=np.ones((2, 2), int)) for _ in range(2)
    )
    assert other in [one, other]
    assert one not in [other]
    assert len({one, other}) == 2


# -- tuned prompts -----------------------------------------------------------------


def tuned_prompt() -> TunedPrompt:
    rng = np.random.default_rng(0)
    palette = Palette.of([3, 70_000])
    labels = rng.choice([0, 3, 70_000], (2, 16, 24))
    pictures = rng.integers(0, 256, (2, 16, 24, 3), dtype=np.uint8)
    return TunedPrompt(
        images=normalise(pictures),
        colors=normalise(np.stack([palette.encode(one) for one in labels])),
        palette=palette,
        class_names={3: "nucleus"},
        model_hash="0123456789abcdef",
        seg_type="instance",
        settings=TuningSettings(steps=7, image_rate=0.5),
        figures=TuningFigures(
            frames=5, steps=6, seconds=1.5, dice_before=0.5, dice_after=0.75
        ),
        weighing={
            "mixer.skip": np.array([0.1, -3e-6], np.float32),
            "log_memory": np.array(-0.7, np.float32),  # a single number
            "edges": np.ones((2, 3, 1, 1), np.float32),
        },
        tile_scale=2.5,
        zoom=1.25,
    )


def test_the_digest_of_a_prompt_stays_whenever_it_is_read() -> None:
    data = tuned_prompt().to_bytes()
    digests = {TunedPrompt.from_bytes(data).digest for _ in range(8)}
    assert digests == {tuned_prompt().digest}  # whatever order its tensors come in
    renamed = {"edge": tuned_prompt().weighing["edges"]}
    assert replace(tuned_prompt(), weighing=renamed).digest not in digests


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "prompt.safetensors"
    tuned_prompt().save(path)
    return path


def test_a_tuned_prompt_comes_back_from_its_file(file: Path) -> None:
    saved, loaded = tuned_prompt(), TunedPrompt.load(file)
    # A grey level is 1/57 of the deviation that images are normalised by.
    np.testing.assert_allclose(loaded.images, saved.images, atol=0.1 / 57)
    np.testing.assert_allclose(loaded.colors, saved.colors, atol=0.1 / 57)
    assert loaded.weighing.keys() == saved.weighing.keys()
    for name, values in saved.weighing.items():
        assert loaded.weighing[name].shape == values.shape
        np.testing.assert_array_equal(loaded.weighing[name], values)
    np.testing.assert_array_equal(loaded.palette.ids, saved.palette.ids)
    np.testing.assert_array_equal(loaded.palette.colors, saved.palette.colors)
    for name in ("class_names", "model_hash", "seg_type", "settings", "figures",
                 "tile_scale"):  # fmt: skip
        assert getattr(loaded, name) == getattr(saved, name)
    assert loaded.images.dtype == np.float32


def test_saving_replaces_and_leaves_no_draft(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(tuned_prompt(), seg_type="semantic").save(file)
    assert TunedPrompt.load(file).seg_type == "semantic"

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        tuned_prompt().save(file)
    assert TunedPrompt.load(file).seg_type == "semantic"
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("kept", [0, 4, 100, -10])
def test_a_damaged_file_is_refused(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(PromptFileError, match="Expected a tuned prompt, got a damaged"):
        TunedPrompt.load(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PromptFileError, match="no such file"):
        TunedPrompt.load(tmp_path / "none.safetensors")


def rewrite(file: Path, **metadata: str) -> None:
    known = {"format": prompts.PROMPT_FORMAT, "version": "1", "prompt": "{}"}
    save_file(load_file(file), file, metadata={**known, **metadata})


def test_other_and_newer_files_are_refused(file: Path) -> None:
    rewrite(file, format="napari-seggpt")
    with pytest.raises(PromptFileError, match="got another safetensors file"):
        TunedPrompt.load(file)
    rewrite(file, version="2")
    with pytest.raises(PromptFileError, match="of version 1 or older, got 2: a newer"):
        TunedPrompt.load(file)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"ids": 3}'])
def test_a_description_that_makes_no_sense_is_refused(file: Path, text: str) -> None:
    rewrite(file, prompt=text)
    with pytest.raises(PromptFileError, match="got a damaged one"):
        TunedPrompt.load(file)


@pytest.mark.parametrize(
    "change",
    [
        {"ids": [3.0, 70_000]},
        {"ids": [3, 2**63]},
        {"palette": [[1, 1], [0, 1]]},
        {"palette": [[1e30, 1, 0], [1, 0, 1]]},
        {"seg_type": "other"},
        {"model_hash": 7},
        {"tile_scale": "large"},
        {"tile_scale": -1},
        {"tile_scale": math.inf},
        {"class_names": {"x": "cell"}},
        {"class_names": {"3": 4}},
        {"settings": {"steps": 7.5}},
        {"settings": {"steps": True}},
        {"settings": {"image_rate": math.nan}},
        {"settings": {"start": "elsewhere"}},
        {"figures": {"frames": 5}},
        {"figures": {"frames": "<b>5</b>", "steps": 1}},
        {"settings": []},
    ],
    ids=str,
)
def test_values_of_another_type_are_refused(file: Path, change: dict[str, Any]) -> None:
    with safe_open(file, framework="numpy") as opened:
        described = json.loads(opened.metadata()["prompt"])
    rewrite(file, prompt=json.dumps(described))
    TunedPrompt.load(file)
    rewrite(file, prompt=json.dumps(described | change))
    with pytest.raises(PromptFileError, match="got a damaged one") as caught:
        TunedPrompt.load(file)
    assert "\n" not in str(caught.value)


def test_a_description_nested_too_deep_is_refused(file: Path) -> None:
    rewrite(file, prompt='{"ids":' + "[" * 100_000)
    with pytest.raises(PromptFileError, match="got a damaged one"):
        TunedPrompt.load(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_is_no_prompt(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(PromptFileError, match="no such file"):
        TunedPrompt.load(tmp_path / "pipe.safetensors")


def test_ids_that_need_64_bits_are_refused() -> None:
    labels = np.array([[0, 2**63]], np.uint64)
    with pytest.raises(ValueError, match="ids below 2"):
        Prompt(image=np.zeros((1, 2)), labels=labels)
    prompt = Prompt(image=np.zeros((1, 2)), labels=labels - np.uint64(1) * (labels > 0))
    assert prompt.ids.tolist() == [2**63 - 1]


def test_tensors_are_pictures_of_finite_values() -> None:
    good = tuned_prompt()
    with pytest.raises(ValueError, match=r"\(K, 3, H, W\) of one shape"):
        replace(good, images=good.images[:1])
    with pytest.raises(ValueError, match="finite"):
        replace(good, images=good.images * np.float32(np.nan))
    with pytest.raises(ValueError, match="palette with labels"):
        replace(good, palette=Palette.of([]))


def test_a_gain_is_a_gain_of_dice() -> None:
    figures = tuned_prompt().figures
    assert figures.has_gained
    assert not replace(figures, dice_after=0.5).has_gained
