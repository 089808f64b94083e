"""LinkingRun: the ids of one frame are carried on over labels that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.session.runs.base_run import BaseRun
from napari_seggpt.session.runs.run import RenamedResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_seggpt.frames import FrameGrid
    from napari_seggpt.object_settings import LinkingSettings
    from napari_seggpt.session.runs.known_ids import KnownIds


class LinkingRun(BaseRun):
    """Frames whose objects get the ids that they have on a frame; nothing is predicted.

    Parameters
    ----------
    known : KnownIds
        The labels that there are.
    frames : tuple of int
        What is linked, in ascending order; all on one side of the source, in its line
        of the grid.
    source : int
        The frame whose ids are carried on.
    settings : LinkingSettings
        How objects are followed; `along` is "t" or "z".
    grid : FrameGrid
        How frames lie.
    telling : sequence of int
        The frames whose ids say whether ids tell classes; none if they do not.
    number, key
        As of `BaseRun`.
    """

    def __init__(
        self,
        known: KnownIds,
        frames: tuple[int, ...],
        source: int,
        settings: LinkingSettings,
        grid: FrameGrid,
        *,
        telling: Sequence[int] = (),
        number: int = 1,
        key: bytes = b"",
    ) -> None:
        super().__init__(frames, number=number, key=key)
        self._known = known
        self._source = source
        self._settings = settings
        self._telling = telling
        self._grid, self.name = grid, grid.name
        self.is_loaded = True

    def results(self) -> Iterator[RenamedResult]:
        """Link frame after frame, in a worker.

        An object that continues none keeps the id that it has, unless that is taken.
        """
        from napari_seggpt.inference.linking import IdCarrier

        new_ids = self._known.new_ids(self._known.kinds(self._telling))
        carrier = IdCarrier(self._settings, new_ids)
        grid = self._grid
        way = 1 if self.frames[0] > self._source else -1
        last = grid.place(self.frames[-1] if way > 0 else self.frames[0])
        for place in range(grid.place(self._source), last + way, way):
            if self.is_stopped:
                return
            index = grid.frame_at(grid.line(self._source), place)
            labels = self._known.read(index)
            if labels is None:
                continue
            if index not in self:
                carrier.pass_over(place, labels)
                continue
            names = carrier.names(place, labels)
            yield RenamedResult(
                run=self.number, index=index, names=names, is_counted=True
            )
