"""What is known of models without loading them."""

import pytest

from napari_seggpt.model.cards import MODELS, model_config, readable
from napari_seggpt.model.checkpoint import save_checkpoint
from napari_seggpt.model.config import SMALL, TINY, VIT_LARGE


def test_configs_of_named_models():
    assert model_config("builtin") == SMALL
    published = [name for name, card in MODELS.items() if card.repo is not None]
    assert {model_config(name) for name in published} == {VIT_LARGE}


def test_config_of_own_weights(tiny_model, tmp_path):
    path = tmp_path / "own.safetensors"
    save_checkpoint(tiny_model, path)
    assert model_config(str(path)) == TINY


@pytest.mark.parametrize("content", [None, b"", b"no weights at all"])
def test_config_of_what_does_not_say_is_the_published_one(tmp_path, content):
    path = tmp_path / "unknown.pth"
    if content is not None:
        path.write_bytes(content)
    assert model_config(str(path)) == VIT_LARGE


@pytest.mark.parametrize(
    ("size", "text"), [(12, "12 B"), (5_840_000, "5.84 MB"), (1_483_000_000, "1.48 GB")]
)
def test_bytes_for_people(size, text):
    assert readable(size) == text
