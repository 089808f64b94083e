"""Run the examples, and draw what they made: the pictures of their page.

Needs a screen (or ``xvfb-run``) for the one that opens a window::

    xvfb-run -a python .docs/draw_examples.py
"""

import json
import os
import runpy
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_seggpt import Predictor, open_stack
from napari_seggpt.overlay import draw_sheet
from napari_seggpt.preprocessing import measure_limits, to_rgb
from napari_seggpt.sample_data import SAMPLES

EXAMPLES = Path(__file__).with_name("examples")
WIDTH, QUALITY = 960, 88  # pixels; of JPEG


def main() -> None:
    """Draw all examples whose result is a picture."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run("label_stack")
        with open_stack("cells_labels.ome.tif", labels=True) as labels:
            save("label_stack", sheet("cells", {i: labels[i] for i in (0, 4, 8, 11)}))
        run("command_line")
        save("command_line", Image.open("cells.png"))
        predictor = run("tune_and_share")["predictor"]
        save("tune_and_share", predicted_sheet("organs", predictor, (3, 9, 15, 20)))
        run("evaluate_own_data")
        save("evaluate_own_data", Image.open("figures/distance.png"))
        array = run("session")["labels"].array
        save("session", sheet("organs", {i: array[i] for i in (4, 9, 12, 17)}))
        frames = run_notebook("label_a_stack")["predicted"]
        save("label_a_stack", sheet("cells", {i: frames[i] for i in (1, 4, 7)}))
        array = run_notebook("objects_and_tracks")["labels"].array
        save("objects_and_tracks", sheet("cells", {i: array[i] for i in (0, 2, 5, 7)}))
        save("custom_layer", window())


def run(name: str) -> Mapping[str, Any]:
    """Run a script as it is; return its names."""
    sys.argv = [name]
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def run_notebook(name: str) -> Mapping[str, Any]:
    """Run the code of a notebook; return its names."""
    text = (EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for cell in json.loads(text)["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    return names


def sheet(name: str, labels: Mapping[int, NDArray[Any]]) -> Image.Image:
    """Draw frames of a sample with their labels below."""
    with open_stack(SAMPLES[name].path) as stack:
        limits = measure_limits(stack)
        return draw_sheet(
            [
                (f"frame {index}", to_rgb(stack[index], limits), np.asarray(frame))
                for index, frame in labels.items()
            ]
        )


def predicted_sheet(
    name: str, predictor: Predictor, indices: Iterable[int]
) -> Image.Image:
    """Draw frames of a sample with what is predicted of them below."""
    with open_stack(SAMPLES[name].path) as stack:
        return sheet(name, {i: predictor.predict(stack[i]).labels for i in indices})


def window() -> Image.Image:
    """Run the example that opens a window, label all, and take a picture."""
    from qtpy.QtTest import QTest

    names = run("custom_layer")
    viewer, dock = names["viewer"], names["dock"]
    viewer.window.resize(1280, 768)
    while dock.workspace.active is None or dock.workspace.active.is_scanning:
        QTest.qWait(50)
    dock.run_panel.run_button.click()
    QTest.qWait(500)
    while dock.workspace.is_busy:
        QTest.qWait(50)
    viewer.dims.set_current_step(0, SAMPLES["membranes"].reference + 3)
    QTest.qWait(1000)
    picture = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False))
    viewer.close()
    return picture


def save(name: str, picture: Image.Image) -> None:
    """Write a picture beside the example."""
    picture = picture.convert("RGB")
    height = round(picture.height * WIDTH / picture.width)
    small = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    small.save(EXAMPLES / f"{name}.jpg", quality=QUALITY, optimize=True)
    print(name)


if __name__ == "__main__":
    main()
