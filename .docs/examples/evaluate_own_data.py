"""Measure how well it would do on data of your own, beside copying the reference.

Run it as ``python evaluate_own_data.py FOLDER``. Your data are a folder with
``images/`` and ``labels/`` and a file for each frame; here they are made from a sample.
The figures need matplotlib: ``pip install "napari-seggpt[evaluation]"``.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

from PIL import Image

from napari_seggpt import open_stack
from napari_seggpt.cli import main
from napari_seggpt.sample_data import SAMPLES

sample = SAMPLES["cells"]
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
data = folder / "nuclei"

for name, path in (("images", sample.path), ("labels", sample.labels_path)):
    (data / name).mkdir(parents=True, exist_ok=True)
    with open_stack(path, labels=name == "labels") as stack:
        for index in range(0, 12, 2):
            frame = stack[index]
            Image.fromarray(frame).save(data / name / f"{index:03}.png")

printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    code = main(
        ["evaluate", str(data), "--references", "1", "--peers", "copied", "--json",
         "--figures", str(folder / "figures")]
    )  # fmt: skip
if code != 0:
    sys.exit(code)

report = json.loads(printed.getvalue())
for method, dice in report["mean"]["dice"].items():
    print(f"{method}: mean Dice {dice:.3f}")
