import numpy as np
import pytest

from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.inference.seg_type import choose_seg_type
from napari_seggpt.model.config import NAMED_CONFIGS, TINY
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import PredictionSettings


@pytest.mark.parametrize(
    ("name", "expected"), [("vit_large", "instance"), ("small", "semantic")]
)
def test_auto_is_what_the_network_expects(name, expected):
    assert choose_seg_type("auto", NAMED_CONFIGS[name]) == expected
    assert choose_seg_type("semantic", NAMED_CONFIGS[name]) == "semantic"
    assert choose_seg_type("instance", NAMED_CONFIGS[name]) == "instance"


def test_the_published_network_is_used_with_instance_unless_told(tiny_model):
    assert TINY.decoder == "paint"
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 40, 3), np.uint8)
    labels = np.zeros((40, 40), np.uint8)
    labels[10:30, 10:30] = 1
    prompt = Prompt(image=image, labels=labels)
    painted = {}
    for seg_type in ("auto", "instance", "semantic"):
        settings = PredictionSettings(device="cpu", seg_type=seg_type)
        predictor = Predictor(tiny_model, [prompt], settings=settings)
        painted[seg_type] = predictor.predict(image[::-1].copy()).colors[0]
    np.testing.assert_array_equal(painted["auto"], painted["instance"])
    assert not np.array_equal(painted["auto"], painted["semantic"])
