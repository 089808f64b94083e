"""label_blocks(): frames too large for memory, read, predicted and written in parts."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.inference.tiling import Box, Tile, blend_box, make_tiles
from napari_seggpt.preprocessing import to_rgb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.inference.predictor import Predictor
    from napari_seggpt.io import Stack
    from napari_seggpt.io.block_labels import BlockLabels
    from napari_seggpt.preprocessing import Limits

CONTRAST_PARTS, CONTRAST_SIDE = 4, 512  # a grid of so many parts of so many pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledBlock:
    """A block that was dealt with.

    Attributes
    ----------
    frame : int
        The frame.
    corner : tuple of int
        Its upper row and left column.
    is_skipped : bool
        Whether it was left empty, as there is nothing in it.
    done, total : int
        How many blocks are dealt with by now, and in all.
    """

    frame: int
    corner: tuple[int, int]
    is_skipped: bool
    done: int
    total: int


def label_blocks(
    stack: Stack,
    predictor: Predictor,
    output: BlockLabels,
    *,
    frames: Sequence[int] | None = None,
    coarse: Stack | None = None,
    flat: float = 0.0,
) -> Iterator[LabelledBlock]:
    """Label frames block by block, so that memory does not grow with their size.

    The labels are those that the whole frame would get in tiles: a block is blended of
    all tiles that reach into it. What was painted of tiles that further blocks need
    waits on disk, beside the output. Blocks that are finished there stay as they are.

    Parameters
    ----------
    stack : Stack
        A zarr, of which parts can be read.
    predictor : Predictor
        With tiles, and with a given contrast.
    output : BlockLabels
        Labels of the same shape.
    frames : sequence of int, optional
        The frames that are labelled; all by default.
    coarse : Stack, optional
        The frames at a coarser level: a block that is flat there is left empty.
    flat : float
        A block is flat if its grey levels differ by at most so much of the range
        between black and white, from 0 to 1.

    Raises
    ------
    ValueError
        If the predictor has no tiles or no contrast, or shapes differ.
    """
    if not predictor.tiling.enabled or predictor.limits is None:
        raise ValueError("Expected a predictor with tiles and a contrast.")
    shape = (len(stack), *stack.frame_shape)
    if output.shape != shape:
        raise ValueError(f"Expected labels of shape {shape}, got {output.shape}.")
    chosen = range(len(stack)) if frames is None else frames
    limits = predictor.limits
    return _label_blocks(stack, predictor, output, chosen, limits, coarse, flat)


def _label_blocks(
    stack: Stack,
    predictor: Predictor,
    output: BlockLabels,
    frames: Sequence[int],
    limits: Limits,
    coarse: Stack | None,
    flat: float,
) -> Iterator[LabelledBlock]:
    """Label blocks by arguments that were checked; see `label_blocks`."""
    corners = list(output.corners())
    total, done = len(frames) * len(corners), 0
    for frame in frames:
        picture = None if coarse is None else to_rgb(coarse[frame], limits)
        # Beside the output: the folder for temporary files may lie in memory.
        with tempfile.TemporaryDirectory(
            prefix=f".{output.path.name}-", dir=output.path.parent
        ) as folder:
            tiles = _PaintedTiles(stack, predictor, frame, Path(folder))
            for corner in corners:
                box = _box(corner, output)
                tiles.forget_above(box)
                is_finished = output.is_finished(frame, corner)
                is_skipped = (
                    not is_finished
                    and picture is not None
                    and _is_flat(picture, box, stack.frame_shape, flat)
                )
                if not is_finished and not is_skipped:
                    output.finish(frame, corner, tiles.labels(box))
                done += 1
                yield LabelledBlock(
                    frame=frame,
                    corner=corner,
                    is_skipped=is_skipped,
                    done=done,
                    total=total,
                )


def measure_parts(stack: Stack) -> Iterator[NDArray[Any]]:
    """Yield parts of the first, middle and last frame, to measure the contrast on."""
    height, width = stack.frame_shape
    tops, lefts = (
        np.linspace(0, max(0, side - CONTRAST_SIDE), CONTRAST_PARTS).astype(int)
        for side in (height, width)
    )
    for frame in sorted({0, len(stack) // 2, len(stack) - 1}):
        for top in sorted({*map(int, tops)}):
            for left in sorted({*map(int, lefts)}):
                yield stack.read_part(
                    frame,
                    slice(top, top + CONTRAST_SIDE),
                    slice(left, left + CONTRAST_SIDE),
                )


def _box(corner: tuple[int, int], output: BlockLabels) -> Box:
    _, height, width = output.shape
    top, left = corner
    return Box(
        top=top,
        left=left,
        height=min(output.block, height - top),
        width=min(output.block, width - left),
    )


def _is_flat(
    picture: NDArray[np.uint8], box: Box, shape: tuple[int, int], flat: float
) -> bool:
    """Whether a box shows nothing in the picture of a coarser level, edges included."""
    rows, columns = picture.shape[0] / shape[0], picture.shape[1] / shape[1]
    top, left = int(box.top * rows), int(box.left * columns)
    bottom = int(np.ceil((box.top + box.height) * rows))
    right = int(np.ceil((box.left + box.width) * columns))
    part = picture[top : bottom + 1, left : right + 1]
    spread = np.ptp(part.reshape(-1, part.shape[-1]), axis=0)
    return bool(spread.max() <= flat * 255)


class _PaintedTiles:
    """What was painted of the tiles of a frame, each computed once, kept on disk."""

    def __init__(
        self, stack: Stack, predictor: Predictor, frame: int, folder: Path
    ) -> None:
        self._stack = stack
        self._predictor = predictor
        self._frame = frame
        self._folder = folder
        size = predictor.model.config.tile_size
        tiling = predictor.tiling
        self._tiles = make_tiles(stack.frame_shape, size, tiling)
        self._kept: set[int] = set()

    def labels(self, box: Box) -> NDArray[np.int64]:
        """Return the labels of a block (height, width)."""
        chosen = [i for i, tile in enumerate(self._tiles) if box.meets(tile)]
        self._paint([number for number in chosen if number not in self._kept])
        tiles = [self._tiles[number] for number in chosen]
        joined = (
            blend_box((self._load(i, number) for i in chosen), tiles, box)
            for number in range(len(self._predictor.palettes))
        )
        return self._predictor.read_painted(joined).labels

    def forget_above(self, box: Box) -> None:
        """Remove tiles that end above a block: no later block needs them."""
        gone = {i for i in self._kept if _bottom(self._tiles[i]) <= box.top}
        for number in gone:
            for file in self._folder.glob(f"{number}-*.npy"):
                file.unlink()
        self._kept -= gone

    def _paint(self, numbers: Sequence[int]) -> None:
        size = self._predictor.settings.batch
        for start in range(0, len(numbers), size):
            batch = numbers[start : start + size]
            tiles = [self._tiles[number] for number in batch]
            parts = [self._read(tile) for tile in tiles]
            painted = self._predictor.paint_tiles(parts, tiles, index=self._frame)
            for number, passes in zip(batch, painted, strict=True):
                for i, picture in enumerate(passes):
                    np.save(self._folder / f"{number}-{i}.npy", picture)
                self._kept.add(number)

    def _read(self, tile: Tile) -> NDArray[Any]:
        rows = slice(tile.top, tile.top + tile.height)
        columns = slice(tile.left, tile.left + tile.width)
        return self._stack.read_part(self._frame, rows, columns)

    def _load(self, number: int, number_of_pass: int) -> NDArray[np.float32]:
        picture: NDArray[np.float32] = np.load(
            self._folder / f"{number}-{number_of_pass}.npy"
        )
        return picture


def _bottom(tile: Tile) -> int:
    return tile.top + tile.height
