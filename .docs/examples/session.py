"""A session without a window: paint, run, correct, update, undo, pass on as a task.

Run it as ``python session.py FOLDER``; it leaves ``organs_task.zip`` there. The dock
does the same: use it for a window of your own, or for a script in between. Labels may
be anywhere: the session reads and writes them a frame at a time, and never writes a
frame that a person labelled.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_seggpt import Session, open_stack
from napari_seggpt.sample_data import SAMPLES
from napari_seggpt.session import Run

Labels = NDArray[np.integer[Any]]

sample = SAMPLES["organs"]
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")


class ArrayLabels:
    """Labels in an array of NumPy."""

    def __init__(self, array: Labels) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def read(self, frame: int) -> Labels:
        """Return a copy of the labels (H, W) of a frame."""
        return self.array[frame].copy()

    def write(self, frame: int, labels: Labels) -> None:
        """Replace the labels of a frame; only the session calls it."""
        self.array[frame] = labels


def run_to_end(session: Session, run: Run) -> None:
    """Predict in this thread; a window would do so in a worker."""
    for result in run.results():
        session.runs.commit(result)
    session.runs.finish()
    print(Counter(status.value for status in session.frames.statuses))


with open_stack(sample.labels_path, labels=True) as opened:
    truth = np.stack([opened[index] for index in range(len(opened))])
stack = open_stack(sample.path)
labels = ArrayLabels(np.zeros_like(truth))
session = Session(stack, labels)

# A person paints the middle frame, and says so.
labels.array[sample.reference] = truth[sample.reference]
session.frames.labels_changed([sample.reference])
run_to_end(session, session.start("all", current=sample.reference))

# They correct the frame that the model is least sure of. The others are stale now.
worst = session.frames.least_certain()
assert worst is not None
labels.array[worst] = truth[worst]
session.frames.labels_changed([worst])
print(f"frame {worst} is {session.frames.status(worst)}")
run_to_end(session, session.start("stale", current=worst))

# Undo brings back what was there, but for frames that a person changed since.
print(f"undone: {len(session.runs.undo())} frames")
assert (labels.array[worst] == truth[worst]).all()

# References, classes and settings for other stacks.
for task in session.make_task(sample.classes):
    task.save(folder / "organs_task.zip")
session.close()
stack.close()
