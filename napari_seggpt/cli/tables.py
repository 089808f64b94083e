"""Tables of numbers, as commands print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
