"""Label a stack from the labels of one frame, and write each frame as it comes.

Run it as ``python label_stack.py FOLDER``; it leaves ``cells_labels.ome.tif`` there.
Stopped, it would go on with ``reopen_labels`` and ``resume=True``.
"""

import sys
from pathlib import Path

from napari_seggpt import (
    PropagationSettings,
    SessionSettings,
    create_labels,
    label_stack,
    open_stack,
)
from napari_seggpt.sample_data import SAMPLES

sample = SAMPLES["cells"]
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

with open_stack(sample.labels_path, labels=True) as truth:
    references = {sample.reference: truth[sample.reference]}

# Each frame by itself; a memory of 4 would show the model its last 4 predictions, too.
settings = SessionSettings(
    model="builtin", propagation=PropagationSettings(memory=0, stop=12)
)

with (
    open_stack(sample.path) as stack,
    create_labels(
        folder / "cells_labels.ome.tif",
        length=len(stack),
        frame_shape=stack.frame_shape,
        pixel_size=stack.pixel_size,
        units=stack.units,
        axis="t",
        overwrite=True,
    ) as labels,
):
    for step in label_stack(stack, references, labels, settings=settings):
        if step.prediction is None:
            print(f"frame {step.index}: as it was given")
        else:
            sure = step.prediction.confidence.mean()
            print(f"frame {step.index}: {step.done} of {step.total}, {sure:.2f}")
