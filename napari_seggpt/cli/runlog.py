"""The log of a training run: tables that grow with it, and their curve."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from napari_seggpt.training.trainer import TrainStep

LOSSES, DICES, CURVE = "log.csv", "validation.csv", "curve.png"
HEADERS = {
    LOSSES: ["step", "loss", "learning_rate", "prompts"],
    DICES: ["step", "dice"],
}


class RunLog:
    """Tables in the folder of a run.

    Parameters
    ----------
    folder : Path
        Where they are; it exists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, first: int) -> None:
        """Keep of the tables what was before the step that a run goes on from."""
        for name, header in HEADERS.items():
            kept = [row for row in self._rows(name) if int(row[0]) < first]
            with (self._folder / name).open("w", newline="") as file:
                csv.writer(file).writerows([header, *kept])

    def add(self, step: TrainStep) -> None:
        """Write what an update did."""
        self._append(
            LOSSES, step.step, f"{step.loss:.6f}", step.learning_rate, step.num_prompts
        )

    def add_dice(self, step: int, dice: float) -> None:
        """Write how good the averaged weights are after an update."""
        self._append(DICES, step, f"{dice:.4f}")

    def draw(self) -> None:
        """Draw the tables as a curve.

        Raises
        ------
        ValueError
            If matplotlib is not installed.
        """
        from napari_seggpt.evaluation.figures import draw_training

        losses, dices = (
            [(int(row[0]), float(row[1])) for row in self._rows(name)]
            for name in (LOSSES, DICES)
        )
        draw_training(losses, dices, self._folder / CURVE)

    def draw_if_possible(self) -> None:
        """Draw, unless there is nothing to draw or no matplotlib."""
        if self._rows(LOSSES) and find_spec("matplotlib"):
            self.draw()

    def _append(self, name: str, *values: object) -> None:
        with (self._folder / name).open("a", newline="") as file:
            csv.writer(file).writerow(values)

    def _rows(self, name: str) -> list[list[str]]:
        path = self._folder / name
        if not path.exists():
            return []
        with path.open(newline="") as file:
            return list(csv.reader(file))[1:]
