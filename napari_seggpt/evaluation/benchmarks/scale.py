"""How memory and time grow with frames, references, classes and objects."""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from napari_seggpt.inference.labelling import LabelledFrame, label_stack
from napari_seggpt.io import create_labels
from napari_seggpt.object_settings import ObjectSettings
from napari_seggpt.settings import PredictionSettings, SessionSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEBIBYTE = 2**20
NOISE = 12.0  # grey levels


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleCase:
    """A stack that is labelled.

    Attributes
    ----------
    side : int
        Of its square frames, in pixels.
    frames : int
        How many there are.
    references : int
        How many of them are labelled.
    classes : int
        Labels, if they are classes.
    objects : int
        Single objects on each frame; then there are no classes.
    """

    side: int = 448
    frames: int = 8
    references: int = 1
    classes: int = 2
    objects: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleRanges:
    """What is varied, one after the other, while all else is as in a base case.

    Attributes
    ----------
    base : ScaleCase
        The case that all others differ from in one value.
    side, frames, references, classes, objects : tuple of int
        The values of each.
    """

    base: ScaleCase = field(default_factory=ScaleCase)
    side: tuple[int, ...] = (256, 512, 1024, 2048, 4096)
    frames: tuple[int, ...] = (8, 32, 128)
    references: tuple[int, ...] = (1, 4, 16, 64)
    classes: tuple[int, ...] = (1, 7, 14, 28)
    objects: tuple[int, ...] = (4, 25, 100, 400)

    def cases(self) -> list[tuple[str, ScaleCase]]:
        """Return the cases, each with what is varied."""
        found = []
        for name in ("side", "frames", "references", "classes", "objects"):
            for value in getattr(self, name):
                case = replace(self.base, **{name: value})
                predicted = max(2, self.base.frames // 2)  # the first is not timed
                more = max(case.frames, case.references + predicted)
                found.append((name, replace(case, frames=more)))
        return found


def benchmark_scale(
    ranges: ScaleRanges | None = None,
    *,
    threads: int | None = None,
    model: str = "builtin",
) -> dict[str, Any]:
    """Label stacks of many sizes, each in a process of its own.

    Frames are computed when they are asked for, and labels are written to an OME-Zarr,
    as `predict` does. Memory is the peak of the process, with Python and torch.

    Parameters
    ----------
    ranges : ScaleRanges, optional
        What is measured.
    threads : int, optional
        Of torch.
    model : str
        A name or a file, as of `load_model`; on the CPU.

    Returns
    -------
    dict
        In "rows", of each case: what is varied, its values, the median seconds of a
        frame but the first, on the clock and of all CPUs, the seconds of all, and the
        peak of memory in MiB. Other work on the machine lengthens only the clock's.
    """
    rows = []
    cases = (ranges or ScaleRanges()).cases()
    for varied, case in tqdm(cases, unit="case", desc="Labelling"):
        # One process a case: the peak of a process never sinks.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            measured = pool.submit(measure_case, case, threads, model).result()
        rows.append({"varied": varied, **asdict(case), **measured})
    return {
        "torch": torch.__version__,
        "threads": threads or torch.get_num_threads(),
        "model": model,
        "rows": rows,
    }


def measure_case(case: ScaleCase, threads: int | None, model: str) -> dict[str, float]:
    """Label the stack of a case in this process; see `benchmark_scale`."""
    if threads is not None:
        torch.set_num_threads(threads)
    stack = DrawnStack(case)
    step = max(1, case.frames // case.references)
    references = {step * i: stack.labels(step * i) for i in range(case.references)}
    settings = SessionSettings(
        model=model,
        prediction=PredictionSettings(device="cpu"),
        objects=ObjectSettings(task="objects" if case.objects else "classes"),
    )
    began = time.perf_counter()
    ends, cpu = [], []
    with tempfile.TemporaryDirectory() as folder:
        output = create_labels(
            Path(folder) / "labels.zarr",
            length=case.frames,
            frame_shape=(case.side, case.side),
            dtype=np.uint32,
        )
        with output:
            for each in label_stack(stack, references, output, settings=settings):
                if isinstance(each, LabelledFrame) and each.prediction is not None:
                    ends.append(time.perf_counter())
                    cpu.append(time.process_time())
    return {
        "seconds_a_frame": float(np.median(np.diff(ends))),
        "cpu_seconds_a_frame": float(np.median(np.diff(cpu))),
        "seconds": ends[-1] - began,
        "peak_mib": peak_bytes() / MEBIBYTE,
    }


class DrawnStack:
    """Frames of squares in a grid, each of its own brightness, drawn when asked for.

    Parameters
    ----------
    case : ScaleCase
        Says how large and how many.
    """

    def __init__(self, case: ScaleCase) -> None:
        self._case = case
        self._count = case.objects or case.classes
        self._cells = int(np.ceil(np.sqrt(self._count)))

    def __len__(self) -> int:
        return self._case.frames

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        labels = self.labels(index)
        levels = np.linspace(80, 220, self._count)
        if self._case.objects:
            levels[:] = 160
        levels = np.concatenate([[40], levels])
        noise = np.random.default_rng(index).normal(0, NOISE, labels.shape)
        return (levels[labels] + noise).clip(0, 255).astype(np.uint8)

    def labels(self, index: int) -> NDArray[np.int64]:
        """Return the true labels (H, W) of a frame; squares move a little."""
        cell = self._case.side / self._cells
        at = (np.arange(self._case.side) - index % 4) % self._case.side
        number, inside = at // cell, at % cell
        is_square = (inside >= 0.2 * cell) & (inside < 0.8 * cell)
        labels = number[:, None] * self._cells + number + 1
        labels = np.where(is_square[:, None] & is_square, labels, 0)
        return np.where(labels > self._count, 0, labels).astype(np.int64)


def peak_bytes() -> int:
    """Return the most memory that this process has had so far."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where the next would tell of the process before
        (line,) = (x for x in status.read_text().splitlines() if x[:6] == "VmHWM:")
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
