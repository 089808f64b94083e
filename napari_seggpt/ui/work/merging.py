"""Merging: labels layers of one volume, merged by vote, in a worker."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from napari_seggpt.io.label_values import labels_dtype
from napari_seggpt.ui.layers.image_stack import to_numpy
from napari_seggpt.ui.layers.layer_choice import unwrapped
from napari_seggpt.ui.layers.new_labels import discard
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.messages import Tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_seggpt.ui.work.workspace import Workspace

MERGED = " merged"  # at the end of the name of the new layer

Plane = tuple[int, "NDArray[np.integer[Any]]"]


class Merging:
    """Makes a labels layer in which each pixel has the label that most others have.

    Parameters
    ----------
    workspace : Workspace
        Where the layers are.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._job: Job[Plane] | None = None
        self._merged: Labels | None = None  # the layer that is being filled

    @property
    def is_on(self) -> bool:
        """Whether layers are being merged."""
        return self._job is not None

    @property
    def layers(self) -> list[Labels]:
        """The labels layers that lie on the present image as the chosen one does."""
        active = self._workspace.active
        if active is None:
            return []
        chosen = active.labels.layer
        found = map(unwrapped, self._workspace.viewer.layers)
        return [
            layer
            for layer in found
            if isinstance(layer, Labels)
            and not layer.multiscale
            and layer.data.shape == chosen.data.shape
            and not str(layer.name).endswith(MERGED)
        ]

    def merge(self) -> None:
        """Merge them, the one that is chosen first."""
        active, layers = self._workspace.active, self.layers
        if active is None or self._job is not None:
            return
        if len(layers) < 2:
            self._workspace.show_message(
                "Merging takes two or more labels layers of the same image, such as "
                "one for each way that a volume was cut.",
                Tone.WARNING,
            )
            return
        chosen = active.labels.layer
        layers.sort(key=lambda layer: layer is not chosen)
        try:
            dtype = np.result_type(*(labels_dtype(x.data.dtype) for x in layers))
            merged = replace(active.choice, labels=None).new_labels(dtype=dtype)
        except (ValueError, OSError) as error:
            self._workspace.show_message(str(error), Tone.ERROR)
            return
        if merged.data.shape != chosen.data.shape:
            discard(merged)
            self._workspace.show_message(
                f"Expected labels of shape {merged.data.shape}, as New makes them, got "
                f"{chosen.data.shape} in {chosen.name}.",
                Tone.WARNING,
            )
            return
        merged.name = f"{active.image.name} labels{MERGED}"
        sources = [layer.data for layer in layers]
        self._job = Job(
            lambda: _votes(sources),
            lambda plane: _write(merged, plane),
            title="Merging labels",
            total=merged.data.shape[0],  # a zarr has no length
        )
        self._merged = merged
        self._job.ended.connect(lambda state: self._on_ended(state, merged, layers))
        self._workspace.show_message("Merging labels...")
        self._job.start()

    def close(self) -> None:
        """Merge no more."""
        job, merged = self._job, self._merged
        self._job = self._merged = None
        if job is not None and merged is not None:
            job.close()
            discard(merged)

    def _on_ended(self, state: JobState, merged: Labels, layers: list[Labels]) -> None:
        job = self._job
        self._job = self._merged = None
        if job is None:
            return
        if state is not JobState.DONE:
            discard(merged)
        if state is JobState.FAILED:
            self._workspace.show_message(str(job.error), Tone.ERROR)
        elif state is JobState.STOPPED:
            self._workspace.show_message("Stopped: no labels were merged.")
        else:
            self._workspace.viewer.add_layer(merged)
            self._workspace.show_message(
                f"{merged.name} has the label that most of {len(layers)} layers have; "
                f"where all differ, that of {layers[0].name}.",
                Tone.GOOD,
            )


def _votes(sources: list[Any]) -> Iterator[Plane]:
    """Yield each index of the first axis with the vote of all there."""
    from napari_seggpt.inference.voting import vote

    for index in range(sources[0].shape[0]):
        yield index, vote([np.asarray(to_numpy(each[index])) for each in sources])


def _write(merged: Labels, plane: Plane) -> None:
    index, labels = plane
    merged.data[index] = labels
