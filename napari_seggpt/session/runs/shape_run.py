"""ShapeRun: frames between references, labelled by the shapes of objects alone."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from napari_seggpt.io.layout import StackError
from napari_seggpt.session.frames.frame_labels import compact
from napari_seggpt.session.runs.base_run import BaseRun
from napari_seggpt.session.runs.planning import neighbours
from napari_seggpt.session.runs.run import FrameResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_seggpt.frames import FrameGrid
    from napari_seggpt.objects.bridging import Bridge
    from napari_seggpt.session.frames.frame_labels import FrameLabels
    from napari_seggpt.session.runs.base_run import Prepare


class ShapeRun(BaseRun):
    """Labels frames between two references each, without a model.

    Parameters
    ----------
    labels : FrameLabels
        Where the labels of the references are read, in the worker.
    references : sequence of int
        The reference frames, in ascending order.
    frames : tuple of int
        What is labelled, in ascending order; each has a reference on both sides in its
        line of the grid.
    grid : FrameGrid
        How frames lie.
    number, key, prepare
        As of `BaseRun`.
    """

    def __init__(
        self,
        labels: FrameLabels,
        references: Sequence[int],
        frames: tuple[int, ...],
        grid: FrameGrid,
        *,
        number: int,
        key: bytes,
        prepare: Prepare,
    ) -> None:
        super().__init__(frames, number=number, key=key, prepare=prepare)
        self._labels = labels
        self._references = references
        self._grid, self.name = grid, grid.name
        self.is_loaded = True

    def results(self) -> Iterator[FrameResult]:
        """Label the frames, in a worker.

        Nothing is known of how sure this is, so that there is no confidence. Frames
        beside a reference whose labels cannot be read are left out.
        """
        last, bridge = None, None
        for frame in sorted(self.frames, key=lambda f: (self._grid.line(f), f)):
            if self.is_stopped:
                return
            began = perf_counter()
            ends = neighbours(frame, self._references, self._grid)
            if ends is None:
                continue
            if ends != last:
                last, bridge = ends, self._bridge(*ends)
            if bridge is not None:
                yield self._bridged(frame, bridge, ends, began)

    def _bridge(self, before: int, after: int) -> Bridge | None:
        """Return the bridge between two references; None if one cannot be read."""
        from napari_seggpt.objects.bridging import Bridge

        read = []
        for reference in (before, after):
            try:
                read.append(self._labels.read(reference))
            except StackError as error:
                if reference not in [each.index for each in self.unreadable]:
                    self.leave_out(reference, error)
        return Bridge(*read) if len(read) == 2 else None

    def _bridged(
        self, frame: int, bridge: Bridge, ends: tuple[int, int], began: float
    ) -> FrameResult:
        before, after = ends
        labels = compact(bridge.at((frame - before) / (after - before)))
        prepare = self._prepare
        return FrameResult(
            run=self.number,
            index=frame,
            labels=labels,
            prepared=None if prepare is None else prepare(frame, labels),
            confidence=None,
            seconds=perf_counter() - began,
        )
