"""Memory: the permanent prompts and the FIFO of the last predicted frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.inference.confidence import frame_confidence
from napari_seggpt.preprocessing import resize_rgb
from napari_seggpt.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.frames import FrameGrid
    from napari_seggpt.inference.prediction import Prediction
    from napari_seggpt.inference.predictor import Predictor
    from napari_seggpt.inference.task_predictors import TaskPredictor
    from napari_seggpt.inference.tiling import Tile
    from napari_seggpt.model.encoding import EncodedPrompts

THUMBNAIL = (8, 8)
# The confidence from which a predicted frame is remembered: later frames would learn
# from its mistakes. On the development sets a memory of four frames gains with this
# limit; with 0.7 it loses on the longest stack, where walls grow from frame to frame.
SURE = 0.75


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class PromptTile:
    """A tile of a prompt, cut and resized for the model.

    Attributes
    ----------
    picture, labels
        (h, w, 3) and (h, w), at the model's size.
    center : tuple of float
        Where the tile lies in its frame, in shares of the frame's sides.
    index : int or None
        The frame of the stack that it comes from, if any.
    thumbnail, is_labelled
        What tiles are compared by.
    is_predicted : bool
        Whether the labels are the model's own.
    is_hint : bool
        Whether what is unlabelled is unknown, rather than background.
    encoded : dict of int to EncodedPrompts
        By number of the palette (pass), once it was used; K is 1.
    """

    picture: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]]
    center: tuple[float, float]
    index: int | None
    thumbnail: NDArray[np.float32]
    is_labelled: bool
    is_predicted: bool = False
    is_hint: bool = False
    encoded: dict[int, EncodedPrompts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryTile:
    """A tile of a frame that is to be predicted.

    Attributes
    ----------
    picture : NDArray[np.uint8]
        (h, w, 3), at the model's size.
    tile : Tile
        Where it lies in its frame.
    index : int or None
        The frame of the stack, if it is of one.
    grid : FrameGrid, optional
        How the frames of the stack lie, if along two axes.
    """

    picture: NDArray[np.uint8]
    tile: Tile
    index: int | None
    grid: FrameGrid | None = None


def in_batches(queries: Sequence[QueryTile], size: int) -> Iterator[list[QueryTile]]:
    """Split queries into batches of one shape each; frames may be of several."""
    for _, group in groupby(queries, key=lambda query: query.picture.shape):
        alike = list(group)
        for start in range(0, len(alike), size):
            yield alike[start : start + size]


def all_same(chosen: Sequence[Sequence[PromptTile]]) -> bool:
    """Whether the same tiles were chosen for all queries."""
    first = [id(tile) for tile in chosen[0]]
    return all([id(tile) for tile in other] == first for other in chosen[1:])


def prompt_tile(
    picture: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    *,
    center: tuple[float, float] = (0.5, 0.5),
    index: int | None = None,
    is_predicted: bool = False,
    is_hint: bool = False,
) -> PromptTile:
    """Make a tile of a picture (h, w, 3) and its labels (h, w); see `PromptTile`."""
    return PromptTile(
        picture=picture,
        labels=labels,
        center=center,
        index=index,
        thumbnail=thumbnail(picture),
        is_labelled=bool(labels.any()),
        is_predicted=is_predicted,
        is_hint=is_hint,
    )


def usable(tiles: list[PromptTile], *, understands_hints: bool) -> list[PromptTile]:
    """Return the tiles of prompts, without hints that cannot be understood.

    Parameters
    ----------
    tiles : list of PromptTile
        Of all prompts.
    understands_hints : bool
        Whether the network does.
    """
    whole = [tile for tile in tiles if not tile.is_hint]
    if any(tile.is_labelled for tile in whole):
        return tiles if understands_hints else whole
    return [replace(tile, is_hint=False, encoded={}) for tile in tiles]


def thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Describe a picture (h, w, 3) by its coarse colours, from 0 to 1."""
    return resize_rgb(picture, THUMBNAIL).astype(np.float32) / np.float32(255)


class Memory:
    """The last predicted frames of one chain, oldest out first.

    Parameters
    ----------
    size : int
        How many frames are kept.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._frames: deque[list[PromptTile]] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def frames(self) -> list[list[PromptTile]]:
        """The tiles of each frame, the oldest frame first."""
        return list(self._frames)

    def add(self, frame: Iterable[PromptTile]) -> None:
        """Remember a predicted frame, given as its tiles.

        A frame without any label is not remembered: it would teach the next frame
        that there is nothing, and an object lost once would stay lost.
        """
        tiles = list(frame)
        if any(tile.is_labelled for tile in tiles):
            self._frames.append(tiles)

    def recall(self, query: QueryTile) -> list[PromptTile]:
        """Return, of every frame in memory, the tile at the query's place."""
        return [
            min(tiles, key=lambda tile: _distance(tile.center, query.tile.center))
            for tiles in self._frames
        ]


def remember(
    memory: Memory,
    predictor: Predictor | TaskPredictor,
    frame: NDArray[Any],
    index: int,
    predicted: Prediction | NDArray[np.integer[Any]],
) -> None:
    """Remember a predicted frame, unless its confidence says that it is no good.

    Parameters
    ----------
    memory : Memory
        Of the chain that the frame is in.
    predictor : Predictor or TaskPredictor
        What predicted it.
    frame : NDArray
        (H, W) or (H, W, C).
    index : int
        Where in the stack it is.
    predicted : Prediction or NDArray
        What came out; or labels (H, W) that were stored before, of which nobody knows
        how sure they were.
    """
    seen = None
    if isinstance(predicted, np.ndarray):
        labels = predicted
    else:
        labels = predicted.labels
        seen = None if predicted.seen is None else [predicted.seen]
        if predictor.has_calibrated_confidence and (
            frame_confidence(labels, predicted.confidence) < SURE
        ):
            return
    prompt = Prompt(image=frame, labels=labels, index=index)
    memory.add(predictor.prepare(prompt, predicted=True, seen=seen))


def choose(
    query: QueryTile, tiles: Sequence[PromptTile], limit: int
) -> list[PromptTile]:
    """Choose the tiles that are nearest to a query and most like it.

    Tiles with labels come before those without. Among tiles, the one at the
    query's place in the nearest frame is taken, labelled or not, unless it would be
    the only one: it shows what is background here. At least one is no hint, if there
    is such a one with labels.
    """
    if len(tiles) <= limit:
        return list(tiles)
    look = thumbnail(query.picture)
    here = min(tiles, key=lambda one: _place_cost(one, query))
    ranked = sorted(
        (one for one in tiles if one is not here),
        key=lambda one: (not one.is_labelled, _cost(one, query, look)),
    )
    is_bare = limit == 1 and not here.is_labelled
    chosen = ranked[:1] if is_bare else [here, *ranked[: limit - 1]]
    whole = [one for one in ranked if one.is_labelled and not one.is_hint]
    if whole and not any(one.is_labelled and not one.is_hint for one in chosen):
        chosen[-1] = whole[0]
    return chosen


def _cost(tile: PromptTile, query: QueryTile, look: NDArray[np.float32]) -> float:
    unlike = float(np.abs(tile.thumbnail - look).mean())
    return unlike * (1.0 + 0.1 * np.log1p(_frames_away(tile, query)))


def _place_cost(tile: PromptTile, query: QueryTile) -> tuple[float, float]:
    place = _distance(tile.center, query.tile.center)
    return round(place, 3), _frames_away(tile, query)


def _frames_away(tile: PromptTile, query: QueryTile) -> float:
    if tile.index is None or query.index is None:
        return 100.0  # another image: as far as a distant frame
    if query.grid is not None:
        return query.grid.distance(tile.index, query.index)
    return abs(tile.index - query.index)


def _distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(np.hypot(one[0] - other[0], one[1] - other[1]))
