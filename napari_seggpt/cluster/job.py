"""Job: all that a worker must know to label frames of a stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_seggpt.io import StackError, reopen_labels
from napari_seggpt.io.zarr_labels import ZarrLabels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_seggpt.inference.task_predictors import ClassPredictor
    from napari_seggpt.io import Stack
    from napari_seggpt.object_settings import CleanupSettings
    from napari_seggpt.preprocessing import Limits
    from napari_seggpt.prompts import Prompt, TunedPrompt
    from napari_seggpt.settings import PredictionSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """What is labelled, how, and where the labels go; it travels to each worker once.

    Paths must lead to the same files on every worker, and a worker loads the model by
    its name or file: neither images nor weights travel.

    Attributes
    ----------
    open_stack : callable
        Opens the images; it can be pickled, as `functools.partial(open_stack, path)`.
    output : Path
        An OME-Zarr of labels that `create_labels` made.
    model : str
        A name or a file, as of `load_model`.
    prompts, tuned, settings, limits
        As of `Predictor`.
    cleanup : CleanupSettings
        What is cleaned up in its answers.
    memory : int
        How many predicted frames serve as further examples.
    """

    open_stack: Callable[[], Stack]
    output: Path
    model: str
    prompts: tuple[Prompt, ...]
    tuned: tuple[TunedPrompt, ...]
    settings: PredictionSettings
    limits: Limits | None
    cleanup: CleanupSettings
    memory: int

    @property
    def references(self) -> list[int]:
        """The prompts that are frames of the stack."""
        return [each.index for each in self.prompts if each.index is not None]

    def open_output(self) -> ZarrLabels:
        """Open the labels; each frame must be a chunk, which one worker writes.

        Raises
        ------
        StackError
            If they are no OME-Zarr, or a chunk holds more or less than a frame.
        """
        output = reopen_labels(self.output)
        if not isinstance(output, ZarrLabels) or not output.has_frame_chunks:
            output.close()
            raise StackError(
                f"Expected an OME-Zarr with one chunk a frame, got {self.output}."
            )
        return output

    def make_predictor(self) -> ClassPredictor:
        """Load the model and prepare the prompts."""
        from napari_seggpt.inference.predictor import Predictor
        from napari_seggpt.inference.task_predictors import ClassPredictor
        from napari_seggpt.model.zoo import load_model

        predictor = Predictor(
            load_model(self.model),
            self.prompts,
            tuned=self.tuned,
            settings=self.settings,
            limits=self.limits,
        )
        return ClassPredictor(predictor, self.cleanup)
