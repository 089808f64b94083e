"""What is known of models without loading them."""

import pytest

from napari_seggpt.model.cards import MODELS, input_size, readable
from napari_seggpt.model.checkpoint import save_checkpoint
from napari_seggpt.model.config import SMALL, TINY, VIT_LARGE


def test_input_sizes_of_named_models():
    assert input_size("builtin") == SMALL.image_size
    published = [name for name, card in MODELS.items() if card.repo is not None]
    assert {input_size(name) for name in published} == {VIT_LARGE.image_size}


def test_input_size_of_own_weights(tiny_model, tmp_path):
    path = tmp_path / "own.safetensors"
    save_checkpoint(tiny_model, path)
    assert input_size(str(path)) == TINY.image_size


@pytest.mark.parametrize("content", [None, b"", b"no weights at all"])
def test_input_size_of_what_does_not_say_is_the_published_one(tmp_path, content):
    path = tmp_path / "unknown.pth"
    if content is not None:
        path.write_bytes(content)
    assert input_size(str(path)) == VIT_LARGE.image_size


@pytest.mark.parametrize(
    ("size", "text"), [(12, "12 B"), (5_840_000, "5.84 MB"), (1_483_000_000, "1.48 GB")]
)
def test_bytes_for_people(size, text):
    assert readable(size) == text
