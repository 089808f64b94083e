"""FrameView: the contrast and the tiles at which a model sees frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.inference.memory import PromptTile, QueryTile, prompt_tile
from napari_seggpt.inference.tiling import make_tiles
from napari_seggpt.preprocessing import measure_limits, to_rgb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_seggpt.frames import FrameGrid
    from napari_seggpt.inference.tiling import Tile
    from napari_seggpt.model.config import SegGPTConfig
    from napari_seggpt.preprocessing import Limits
    from napari_seggpt.prompts import Prompt
    from napari_seggpt.settings import TilingSettings

WORTH_SHRINKING = 0.8  # of a frame's pixels: a size that saves less is not gone to


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameView:
    """How a model sees frames.

    Attributes
    ----------
    config : SegGPTConfig
        Of the model.
    tiling : TilingSettings
        Whether and how frames are cut.
    limits : Limits or None
        The contrast; None for each frame's own.
    zoom : float
        How many times larger than usual whole frames are shown.
    """

    config: SegGPTConfig
    tiling: TilingSettings
    limits: Limits | None
    zoom: float = 1.0

    def rgb(self, frame: NDArray[Any]) -> NDArray[np.uint8]:
        """Return a frame (H, W) or (H, W, C) as a picture (H, W, 3).

        Raises
        ------
        FrameError
            If it is no picture.
        """
        return to_rgb(frame, self.limits or measure_limits([frame]))

    def cut(self, shape: tuple[int, ...]) -> tuple[list[Tile], tuple[int, int]]:
        """Return the tiles of a frame (H, W), and at what size (h, w) they are seen."""
        size = self._seen_size(shape)
        if self.tiling.enabled:
            size = self.config.tile_size
        height, width = shape[:2]
        return make_tiles((height, width), size, self.tiling), size

    def answer_size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return the size at which a frame (H, W) is best answered.

        It is that at which the model sees it, if that is much smaller.
        """
        height, width = shape[:2]
        size = self._seen_size(shape)
        is_less = np.prod(size) < WORTH_SHRINKING * height * width
        return size if is_less and not self.tiling.enabled else (height, width)

    def _seen_size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        return self.config.seen_size(shape, zoom=self.zoom)

    def prompt_tiles(
        self,
        prompt: Prompt,
        *,
        predicted: bool = False,
        seen: Sequence[NDArray[np.integer[Any]]] | None = None,
    ) -> list[PromptTile]:
        """Cut a prompt; see `Predictor.prepare`."""
        rgb = self.rgb(prompt.image)
        tiles, size = self.cut(rgb.shape)
        if seen is None:
            seen = [tile.labels(prompt.labels, size) for tile in tiles]
        return [
            prompt_tile(
                tile.picture(rgb, size),
                labels,
                center=tile.center,
                index=prompt.index,
                is_predicted=predicted,
                is_hint=prompt.is_hint,
            )
            for tile, labels in zip(tiles, seen, strict=True)
        ]

    def query_tiles(
        self,
        frame: NDArray[Any],
        index: int | None,
        grid: FrameGrid | None,
        shape: tuple[int, int],
    ) -> list[QueryTile]:
        """Cut a frame that is to be predicted; see `Predictor.predict_batch`.

        The tiles lie in a frame of a shape (H, W) that is the frame's own or, if it is
        seen whole, the size at which it is answered.
        """
        rgb = self.rgb(frame)
        tiles, size = self.cut(rgb.shape)
        if shape != rgb.shape[:2]:
            tiles = [replace(tiles[0], height=shape[0], width=shape[1])]
        return [
            QueryTile(
                picture=tile.picture(rgb, size), tile=tile, index=index, grid=grid
            )
            for tile in tiles
        ]

    def part_tile(self, part: NDArray[Any], tile: Tile, index: int | None) -> QueryTile:
        """Return a tile of a frame of which only this part (h, w) was read."""
        picture = replace(tile, top=0, left=0).picture(
            self.rgb(part), self.config.tile_size
        )
        return QueryTile(picture=picture, tile=tile, index=index)
