"""The command line, step by step: label, put into a task, label another, measure.

Run it as ``python command_line.py FOLDER``. Each list is what you would type after
``napari-seggpt``; in a script you may also call `main`, which returns the exit code.
"""

import sys
from pathlib import Path

from napari_seggpt.cli import main
from napari_seggpt.sample_data import SAMPLES

cells = SAMPLES["cells"]
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

commands = [
    # From the labels of frame 0, frames 0 to 5; with a picture of the result.
    ["predict", cells.path, "--labels", cells.labels_path, "--frames", 0, "--stop", 6,
     "--output", folder / "cells.ome.tif", "--overlay", folder / "cells.png",
     "--overwrite"],
    # Two labelled frames as a file, for other stacks and other people.
    ["task", cells.path, "--labels", cells.labels_path, "--frames", 0, 12,
     "--output", folder / "nuclei.zip", "--overwrite"],
    # Another stack, of which nobody has labelled anything; here the same one.
    ["predict", cells.path, "--task", folder / "nuclei.zip", "--start", 3, "--stop", 6,
     "--output", folder / "others.tif", "--overwrite"],
    # A row for each object of each frame, in micrometres.
    ["export", folder / "cells.ome.tif", "--table", folder / "objects.csv",
     "--objects", "--names", "1=nucleus", "--overwrite"],
]  # fmt: skip

for command in commands:
    words = [str(word) for word in command]
    print("napari-seggpt", *words)
    code = main(words)
    if code != 0:
        sys.exit(code)
