"""A stack on disk, a model in a file, and a job that labels it."""

from functools import partial

import numpy as np
import pytest
import tifffile

from napari_seggpt.cluster.job import Job
from napari_seggpt.io import create_labels, open_stack
from napari_seggpt.model.checkpoint import save_checkpoint
from napari_seggpt.object_settings import CleanupSettings
from napari_seggpt.preprocessing import measure_limits
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import PredictionSettings

LENGTH, SHAPE = 14, (40, 48)


@pytest.fixture(scope="session")
def model_file(tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_checkpoint(tiny_model, path)
    return str(path)


@pytest.fixture
def images(tmp_path):
    """Frames with a bright square that moves; frame 5 shows nothing."""
    values = np.random.default_rng(0).integers(0, 200, (LENGTH, *SHAPE))
    values = values.astype(np.uint16)
    for index in range(LENGTH):
        values[index, 5 + index : 20 + index, 10:30] += 600
    values[5] = 7
    tifffile.imwrite(tmp_path / "stack.tif", values, metadata={"axes": "ZYX"})
    return values


@pytest.fixture
def make_job(tmp_path, images, model_file):
    """Make a job whose references are frames 0 and 9, and its empty output."""

    def make(name="out", *, memory=0, length=LENGTH, **changes):
        labels = np.zeros(SHAPE, np.uint8)
        labels[8:20, 10:30] = 3
        prompts = [
            Prompt(image=images[index], labels=np.roll(labels, index, 0), index=index)
            for index in (0, 9)
        ]
        output = tmp_path / f"{name}.zarr"
        create_labels(output, length=length, frame_shape=SHAPE, dtype=np.uint8).close()
        given = {
            "open_stack": partial(open_stack, tmp_path / "stack.tif"),
            "output": output,
            "model": model_file,
            "prompts": tuple(prompts),
            "tuned": (),
            "settings": PredictionSettings(device="cpu", batch=3),
            "limits": measure_limits(images),
            "cleanup": CleanupSettings(),
            "memory": memory,
        }
        return Job(**given | changes)

    return make
