"""The picture of a result: some references, and some frames that were predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.cli.console import say, warn

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from napari_seggpt.inference.task_predictors import TaskPredictor
    from napari_seggpt.io import LabelsWriter, Stack

SHEET_FRAMES, SHEET_REFERENCES = 8, 2


def draw_result(
    path: Path,
    stack: Stack,
    output: LabelsWriter,
    predictor: TaskPredictor,
    given: Collection[int],
    labelled: set[int],
) -> None:
    """Draw some references and some predicted frames, both evenly chosen.

    Those whose image cannot be read are left out.
    """
    from napari_seggpt.frames import evenly
    from napari_seggpt.inference.watching import UnreadableFrame, read_frame
    from napari_seggpt.overlay import save_sheet
    from napari_seggpt.preprocessing import measure_limits, to_rgb

    first = evenly(sorted(given), SHEET_REFERENCES)
    others = evenly(sorted(labelled - {*given}), SHEET_FRAMES - len(first))
    panels = []
    for index in sorted(first + others):
        frame = read_frame(stack, index)
        if isinstance(frame, UnreadableFrame):
            continue
        rgb = to_rgb(frame, predictor.limits or measure_limits([frame]))
        kind = "reference" if index in given else "predicted"
        panels.append((f"frame {index} - {kind}", rgb, output[index]))
    if not panels:
        warn("No picture of the result: none of its frames can be read.")
        return
    save_sheet(path, panels)
    say(f"Picture of the result: {path}")
