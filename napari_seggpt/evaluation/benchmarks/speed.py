"""How long a model takes for a frame on this computer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.evaluation.benchmarks.timing import timed
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import PredictionSettings

if TYPE_CHECKING:
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.settings import Device

SIDE = 448  # pixels of the frame


def seconds_a_frame(model: SegGPT, *, device: Device = "auto") -> tuple[float, str]:
    """Predict a frame of 448 x 448 pixels from one prompt, against the clock.

    The first of two predictions encodes the prompt and warms up; the second counts.

    Returns
    -------
    tuple of float and str
        Seconds, and the kind of device that they were spent on.
    """
    frame, image = np.random.default_rng(0).integers(
        0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8
    )
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[: SIDE // 2, : SIDE // 2] = 1
    predictor = Predictor(
        model,
        [Prompt(image=image, labels=labels)],
        settings=PredictionSettings(device=device),
    )
    predictor.predict(frame)
    seconds, _ = timed(lambda: predictor.predict(frame))
    return seconds, predictor.device.type
