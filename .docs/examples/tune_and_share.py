"""Let a prompt learn from three labelled frames, and give it to another stack.

Run it as ``python tune_and_share.py FOLDER``; it leaves ``organs.safetensors`` there.
The network stays as it is. Of five or more frames one is held back, to judge by.
"""

import sys
from pathlib import Path

from napari_seggpt import (
    Predictor,
    Prompt,
    TunedPrompt,
    TuningSettings,
    load_model,
    open_stack,
    tune_prompt,
)
from napari_seggpt.sample_data import SAMPLES

STEPS = 20
sample = SAMPLES["organs"]
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
model = load_model("builtin")

with (
    open_stack(sample.path) as stack,
    open_stack(sample.labels_path, labels=True) as truth,
):
    examples = [Prompt(image=stack[i], labels=truth[i], index=i) for i in (6, 12, 18)]
    other_frame = stack[9]

settings = TuningSettings(steps=STEPS, check_every=STEPS // 2)
for step in tune_prompt(model, examples, settings=settings, class_names=sample.classes):
    best = step.best
    if step.dice is not None:
        print(f"step {step.step}: mean Dice {step.dice:.3f}")
print(f"It has {'gained' if best.figures.has_gained else 'not gained'}.")
best.save(folder / "organs.safetensors")

# A colleague has the file, the same model, and no labels at all.
shared = TunedPrompt.load(folder / "organs.safetensors")
predictor = Predictor(model, tuned=[shared])
labels = predictor.predict(other_frame).labels
for label, name in shared.class_names.items():
    print(f"{name}: {(labels == label).sum()} pixels")
