import numpy as np
import pytest

from napari_seggpt import Predictor, Prompt, load_model, open_stack
from napari_seggpt.metrics.pixels import mean_dice
from napari_seggpt.model import zoo
from napari_seggpt.sample_data import SAMPLES


@pytest.fixture(scope="module")
def model():
    return load_model()


def test_the_weights_are_small_enough_for_the_package():
    assert zoo.locate("builtin").stat().st_size <= 16 * 2**20


@pytest.mark.parametrize(("name", "wanted"), [("cells", 0.8), ("membranes", 0.5)])
def test_a_distant_frame_is_predicted_better_than_copied(model, name, wanted):
    sample = SAMPLES[name]
    with (
        open_stack(sample.path) as stack,
        open_stack(sample.labels_path, labels=True) as labels,
    ):
        reference, last = sample.reference, len(stack) - 1
        prompt = Prompt(image=stack[reference], labels=labels[reference])
        true = labels[last]
        predicted = Predictor(model, [prompt]).predict(stack[last]).labels
    ids = np.array(list(sample.classes))
    score = mean_dice(predicted, true, ids)
    assert score > wanted
    assert score > mean_dice(prompt.labels, true, ids) + 0.1
