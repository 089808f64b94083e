"""Measure what a frame of thousands of objects costs, beside one class on it.

A script to run by hand on a quiet machine::

    python tests/benchmarks/many_objects.py [--objects 5000] [--side 28] [--threads 2]
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace

import numpy as np
import torch

from napari_seggpt import Predictor, Prompt, SessionSettings, load_model
from napari_seggpt.inference.task_predictors import task_predictor


def main() -> None:
    """Predict the frame as one class and as objects, in turn, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--side", type=int, default=28, help="pixels of an object")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    image, labels = discs(options.objects, options.side)
    model = load_model("builtin")
    ways = {
        "one class": predictor(model, image, (labels > 0).astype(int), "classes"),
        "objects": predictor(model, image, labels, "objects"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(options.repeats + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            found = way.predict(image[::-1].copy(), index=1).labels
            if repeat:  # the first encodes the prompt
                seconds[name].append(time.perf_counter() - begun)
    single, many = (statistics.median(each) for each in seconds.values())
    sys.stdout.write(
        f"{image.shape[0]} px, {found.max()} of {labels.max()} objects found, "
        f"{options.threads} threads: one class {single:.2f} s, objects {many:.2f} s, "
        f"ratio {many / single:.2f}\n"
    )


def predictor(model, image, labels, task):
    """Return what predicts one class, or objects in a whole frame."""
    settings = SessionSettings()
    objects = replace(settings.objects, task=task, enlarge=False)
    settings = replace(settings, objects=objects)
    prompt = Prompt(image=image, labels=labels, index=0)
    return task_predictor(
        Predictor(model, [prompt], settings=settings.prediction), settings
    )


def discs(count, side):
    """Draw bright discs on a grid, which nearly touch; returns frame and ids."""
    rng = np.random.default_rng(0)
    across = int(np.ceil(np.sqrt(count)))
    shape = (across * side, across * side)
    image, labels = np.full(shape, 40.0), np.zeros(shape, np.int64)
    rows, columns = np.indices((side, side))
    for number in range(count):
        box = tuple(slice(at * side, (at + 1) * side) for at in divmod(number, across))
        center, radius = side / 2 + rng.uniform(-1, 1, 2), side * rng.uniform(0.38, 0.5)
        disc = (rows - center[0]) ** 2 + (columns - center[1]) ** 2 < radius**2
        labels[box][disc] = number + 1
        image[box][disc] = rng.uniform(120, 200)
    noisy = image + rng.normal(0, 8, shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), labels


if __name__ == "__main__":
    main()
