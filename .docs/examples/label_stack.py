"""Label a stack from the labels of one frame, and write each frame as it comes.

Run it as ``python label_stack.py FOLDER``; it leaves ``cells_labels.ome.tif`` there.
"""

import sys
from pathlib import Path

from napari_seggpt import (
    Predictor,
    Prompt,
    create_labels,
    load_model,
    open_stack,
    predict_stack,
)
from napari_seggpt.sample_data import SAMPLES

sample = SAMPLES["cells"]
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

with open_stack(sample.labels_path, labels=True) as truth:
    first = truth[sample.reference]

with open_stack(sample.path) as stack:
    # `index` says that the prompt is a frame of this stack: it is not predicted.
    prompt = Prompt(image=stack[sample.reference], labels=first, index=sample.reference)
    predictor = Predictor(load_model("builtin"), [prompt])
    with create_labels(
        folder / "cells_labels.ome.tif",
        length=len(stack),
        frame_shape=stack.frame_shape,
        pixel_size=stack.pixel_size,
        units=stack.units,
        axis="t",
        overwrite=True,
    ) as labels:
        labels.write(sample.reference, first)
        for step in predict_stack(stack, predictor):
            labels.write(step.index, step.prediction.labels)
            print(f"frame {step.index}: {step.prediction.confidence.mean():.2f}")
        print(f"Labels: {labels.path}")
