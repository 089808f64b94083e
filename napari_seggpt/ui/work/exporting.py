"""Exporting: the labels of a session as a file that other programs read, or a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_seggpt.ui.work.about_layers import about
from napari_seggpt.ui.work.jobs import Job
from napari_seggpt.ui.work.messages import Tone
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.session.store.contents import About
    from napari_seggpt.ui.layers.labels_layer import LabelsLayer
    from napari_seggpt.ui.work.workspace import Workspace


class Exporting:
    """Writes labels or a table of objects in a worker, and says when it is done.

    Parameters
    ----------
    workspace : Workspace
        Whose labels are written.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._job: Job[int] | None = None
        self._is_written = False

    @property
    def is_on(self) -> bool:
        """Whether something is being written."""
        return self._job is not None

    def export(self, path: Path) -> None:
        """Write to a file or a folder; a name ending in .csv makes a table.

        Parameters
        ----------
        path : Path
            What is there is replaced when all is written.
        """
        active = self._workspace.active
        if active is None or self._job is not None:
            return
        labels, facts = active.labels, about(active)
        write = write_objects if path.suffix.lower() == ".csv" else write_layer
        self._workspace.show_message(f"Writing {path.name}...")
        self._is_written = False
        self._job = Job(
            lambda: self._noting(write(labels, facts, path)),
            lambda _: None,
            title="Exporting",
            total=len(labels),
        )
        self._job.ended.connect(lambda _: self._on_ended(path))
        self._job.start()

    def _noting(self, steps: Iterator[int]) -> Iterator[int]:
        """Note that all is written, which may be so though it was to stop."""
        yield from steps
        self._is_written = True

    def _on_ended(self, path: Path) -> None:
        job, self._job = self._job, None
        if job is None:
            return
        if job.error is not None:
            self._workspace.show_message(str(job.error), Tone.ERROR)
        elif not self._is_written:
            self._workspace.show_message(f"Stopped: {path.name} was not written.")
        else:
            frames = count_of(job.total, "frame")
            self._workspace.show_message(f"Exported {frames} to {path}.", Tone.GOOD)

    def close(self) -> None:
        """Write no more."""
        job, self._job = self._job, None
        if job is not None:
            job.close()


def write_layer(labels: LabelsLayer, facts: About, path: Path) -> Iterator[int]:
    """Write labels as TIFF, OME-TIFF, OME-Zarr or PNG files; yields each frame."""
    from napari_seggpt.io.labels import LabelsGeometry
    from napari_seggpt.io.stacks import checked_steps
    from napari_seggpt.io.writers import write_labels

    pixel_size, units = checked_steps(facts.pixel_size, facts.units)
    times = facts.labels_axes.times
    geometry = LabelsGeometry(
        length=len(labels),
        frame_shape=labels.frame_shape,
        dtype=labels.dtype,
        axis="z" if times else facts.axis,
        pixel_size=pixel_size,
        units=units,
        times=times,
    )
    return write_labels(path, labels.read, geometry, overwrite=True)


def write_objects(labels: LabelsLayer, facts: About, path: Path) -> Iterator[int]:
    """Write a table with a row for each connected object; yields after each frame."""
    from napari_seggpt.io import draft
    from napari_seggpt.io.table import write_table

    size, units = facts.pixel_size, facts.units

    def frames() -> Iterator[tuple[int, NDArray[Any], Mapping[str, Any]]]:
        for index in range(len(labels)):
            yield index, labels.read(index), {}

    with draft(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        yield from write_table(
            file,
            frames(),
            spacing=(1.0, 1.0) if size is None else size[1:],
            unit="pixel" if units is None else units[1],
            classes=facts.classes,
            objects=True,
        )
