"""In which order the frames of a stack are predicted: chains away from references."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from napari_seggpt.frames import FrameGrid

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari_seggpt.settings import PropagationSettings


def plan(
    length: int,
    references: Collection[int],
    settings: PropagationSettings,
    *,
    protected: Collection[int] = (),
    grid: FrameGrid | None = None,
) -> list[list[int]]:
    """Plan in which order the frames of a stack are predicted.

    Each frame is reached from its nearest reference, or from the nearest on the side
    that the direction asks for. References and protected frames are in no chain. A
    chain keeps to one line of the grid. In a line that its reference is not in, two
    chains lead away from the place of that reference.

    Parameters
    ----------
    length : int
        Frames in the stack.
    references : collection of int
        Labelled frames.
    settings : PropagationSettings
        Range, step and direction.
    protected : collection of int
        Frames that must not be written.
    grid : FrameGrid, optional
        How frames lie, if not all in one line.

    Returns
    -------
    list of list of int
        Chains of frames, each leading away from one reference. Without references
        in the stack there is one chain through the range in each line.
    """
    grid = grid or FrameGrid.row(length)
    stop = length if settings.stop is None else min(settings.stop, length)
    kept = {*references, *protected}
    frames = [i for i in range(settings.start, stop, settings.step) if i not in kept]
    if not references:
        return _whole_lines(frames, grid, settings.direction)
    chains: dict[Chain, list[int]] = {}
    for frame in frames:
        chain = chain_of(frame, references, settings.direction, grid)
        if chain.source is not None:
            chains.setdefault(chain, []).append(frame)
    return [
        chains[chain] if chain.way > 0 else chains[chain][::-1]
        for chain in _ordered(chains, grid)
    ]


class Chain(NamedTuple):
    """What the frames of a chain have in common.

    Attributes
    ----------
    source : int or None
        The reference that they are reached from.
    line : int
        The line of the grid that they lie in.
    way : int
        Where the chain leads in that line: 1 or -1.
    """

    source: int | None
    line: int
    way: int


def chain_of(
    frame: int, references: Collection[int], direction: str, grid: FrameGrid
) -> Chain:
    """Return the chain that a frame is in; see `plan`.

    A frame of another line that lies at the place of the reference begins the chain
    that leads forward.
    """
    line, place = grid.line(frame), grid.place(frame)
    before, after = _SIDES[direction]
    allowed = [
        r
        for r in references
        if (at := grid.place(r) - place) * after > 0
        or at * before < 0
        or (at == 0 and r != frame)
    ]
    if not allowed:
        return Chain(None, line, -1 if direction == "backward" else 1)
    source = min(allowed, key=lambda r: (grid.distance(r, frame), r))
    return Chain(source, line, 1 if place >= grid.place(source) else -1)


_SIDES = {"both": (1, 1), "forward": (1, 0), "backward": (0, 1)}


def _ordered(chains: Collection[Chain], grid: FrameGrid) -> list[Chain]:
    """Sort chains by their lines; those nearest to a reference come first.

    All chains of a line follow each other, so that ids can be joined where they meet.
    """

    def away(chain: Chain) -> int:
        assert chain.source is not None
        return abs(chain.line - grid.line(chain.source))

    def order(chain: Chain) -> tuple[int, ...]:
        assert chain.source is not None
        way = chain.way if away(chain) == 0 else -chain.way
        place = grid.place(chain.source)
        return nearest[chain.line], chain.line, away(chain), place, chain.source, way

    nearest: dict[int, int] = {}
    for chain in chains:
        nearest[chain.line] = min(away(chain), nearest.get(chain.line, away(chain)))
    return sorted(chains, key=order)


def _whole_lines(frames: list[int], grid: FrameGrid, direction: str) -> list[list[int]]:
    """Return a chain through the frames of each line that has any."""
    lines: dict[int, list[int]] = {}
    for frame in frames:
        lines.setdefault(grid.line(frame), []).append(frame)
    ordered = [chain for _, chain in sorted(lines.items())]
    return [c[::-1] for c in ordered] if direction == "backward" else ordered
