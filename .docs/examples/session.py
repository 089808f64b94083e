"""A session without a window: paint, run, correct, update, undo, pass on as a task.

Run it as ``python session.py FOLDER``; it leaves ``organs_task.zip`` there. The dock
does the same: use it for a window of your own, or for a script in between. Labels
are in an array here, and may be anywhere: the session reads and writes them a frame at
a time, and never writes a frame that a person labelled.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np

from napari_seggpt import Session, open_stack
from napari_seggpt.sample_data import SAMPLES
from napari_seggpt.session import Scope

sample = SAMPLES["organs"]
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")


def run(session: Session, scope: Scope, current: int) -> None:
    """Predict in this thread; a window would do so in a worker."""
    session.runs.run_to_end(session.start(scope, current))
    print(Counter(status.value for status in session.frames.statuses))


with open_stack(sample.labels_path, labels=True) as opened:
    truth = np.stack([opened[index] for index in range(len(opened))])
stack = open_stack(sample.path)
labels = np.zeros_like(truth)
session = Session(stack, labels)

# A person paints the middle frame, and says so.
labels[sample.reference] = truth[sample.reference]
session.frames.labels_changed([sample.reference])
run(session, "all", sample.reference)

# They correct the frame that the model is least sure of. The others are stale now.
worst = session.frames.least_certain()
assert worst is not None
labels[worst] = truth[worst]
session.frames.labels_changed([worst])
print(f"frame {worst} is {session.frames.status(worst)}")
run(session, "stale", worst)

# Undo brings back what was there, but for frames that a person changed since.
print(f"undone: {len(session.runs.undo())} frames")
assert (labels[worst] == truth[worst]).all()

# References, classes and settings for other stacks.
for task in session.make_task(sample.classes):
    task.save(folder / "organs_task.zip")
session.close()
stack.close()
