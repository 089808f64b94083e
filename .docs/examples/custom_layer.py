"""Work on labels of your own in a script: napari with the dock beside them.

Run it as ``python custom_layer.py FOLDER``. The Labels layer may be any that fits the
image: here its array is a zarr on disk, so that it may be larger than the memory, and
what is painted is on disk at once.
"""

import sys
from pathlib import Path

import napari
import numpy as np
import zarr

from napari_seggpt import open_stack
from napari_seggpt.sample_data import SAMPLES
from napari_seggpt.widgets import SegGPTWidget

sample = SAMPLES["membranes"]
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

with open_stack(sample.path) as stack:
    images = np.stack([stack[index] for index in range(len(stack))])
with open_stack(sample.labels_path, labels=True) as truth:
    reference = truth[sample.reference]

array = zarr.create_array(
    folder / "membranes.zarr",
    shape=(len(images), *reference.shape),
    chunks=(1, *reference.shape),
    dtype="uint16",
    overwrite=True,
)
array[sample.reference] = reference

viewer = napari.Viewer()
grid = {"scale": sample.scale, "units": sample.units, "axis_labels": ("z", "y", "x")}
viewer.add_image(images, name="membranes", **grid)
viewer.add_labels(array, name="mine", **grid)
viewer.dims.set_current_step(0, sample.reference)

# The dock takes the image and the labels that fit it, and finds the reference in them.
dock = SegGPTWidget(viewer)
viewer.window.add_dock_widget(dock, name="Label in context")

if __name__ == "__main__":
    napari.run()
