"""What commands that measure have in common: a bar and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from napari_seggpt.cli.console import warn
from napari_seggpt.cli.interrupt import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Row = tuple[str, Mapping[str, float]]


def table(rows: Sequence[Row], *, head: str = "data set") -> str:
    """Lay out rows of numbers under their names; a row may lack some."""
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    widths = {name: max(8, len(name) + 2) for name in columns}
    lines = [head.ljust(28) + "".join(f"{x:>{widths[x]}}" for x in columns)]
    lines += [
        f"{name:28}" + "".join(_cell(row.get(x), widths[x]) for x in columns)
        for name, row in rows
    ]
    return "\n".join(lines)


def _cell(value: float | None, width: int) -> str:
    if value is None:
        return " " * width
    return f"{value:{width}d}" if isinstance(value, int) else f"{value:{width}.3f}"


def collect(steps: Iterable[Any], into: list[Any], *, total: int, unit: str) -> int:
    """Append step after step, with a bar; returns the exit code."""
    try:
        for step in tqdm(steps, total=total, unit=unit, desc="Evaluating"):
            into.append(step)
    except KeyboardInterrupt:
        warn(f"Stopped after {len(into)} of {total} {unit}s.")
        return INTERRUPTED
    return 0
