"""Report: our figures beside the paper's, as text, JSON and a drawing."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.evaluation import figures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LEAST_NAME = 24  # characters
OURS, PAPERS = "#0072B2", "#999999"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table.

    Attributes
    ----------
    name : str
        What was measured.
    values : mapping of str to float
        In percent, by column; it may lack some, or have NaN.
    ours : bool
        Whether it was measured here, rather than by the paper.
    """

    name: str
    values: Mapping[str, float]
    ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A table of the paper, measured here.

    Attributes
    ----------
    title : str
        With the paper's number of it.
    columns : tuple of str
        In order.
    rows : tuple of Row
        Ours and the paper's.
    choices : tuple of str
        What the paper leaves open and was chosen here, a sentence each.
    notes : tuple of str
        Why figures are missing or not comparable, a sentence each.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    choices: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def as_text(self) -> str:
        """Lay it out for a terminal."""
        names = [f"{x.name}, here" if x.ours else x.name for x in self.rows]
        width = max([LEAST_NAME, *(len(name) + 2 for name in names)])
        widths = [max(8, len(column) + 2) for column in self.columns]
        head = "".join(f"{c:>{w}}" for c, w in zip(self.columns, widths, strict=True))
        lines = [self.title, "", " " * width + head]
        for name, row in zip(names, self.rows, strict=True):
            cells = (
                _cell(row.values.get(column), w)
                for column, w in zip(self.columns, widths, strict=True)
            )
            lines.append(f"{name:{width}}" + "".join(cells))
        lines += ["", "What the paper leaves open was chosen so:"]
        lines += [f"- {choice}" for choice in self.choices]
        lines += ["", *(f"Note: {note}" for note in self.notes)] if self.notes else []
        return "\n".join(line.rstrip() for line in lines)

    def as_json(self) -> str:
        """Return it as JSON; what was not measured is null."""
        rows = [
            {
                "name": row.name,
                "ours": row.ours,
                "values": {
                    name: None if math.isnan(x) else x for name, x in row.values.items()
                },
            }
            for row in self.rows
        ]
        content = {
            "title": self.title,
            "columns": self.columns,
            "rows": rows,
            "choices": self.choices,
            "notes": self.notes,
        }
        return json.dumps(content, indent=2)

    def draw(self, file: Path) -> None:
        """Draw the rows as bars, a group a column: ours dark, the paper's light.

        Raises
        ------
        ValueError
            If there is no matplotlib.
        """
        columns = [c for c in self.columns if any(c in row.values for row in self.rows)]
        figure, axes = figures.new_figure(0.8 + 0.16 * len(columns) * len(self.rows))
        height = 0.8 / max(1, len(self.rows))
        for number, row in enumerate(self.rows):
            places = np.arange(len(columns)) - 0.4 + (number + 0.5) * height
            values = [row.values.get(column, math.nan) for column in columns]
            axes.barh(
                places,
                values,
                height=0.9 * height,
                color=OURS if row.ours else PAPERS,
            )
            for place, value in zip(places, values, strict=True):
                name = f"{row.name}, here" if row.ours else row.name
                text = name if math.isnan(value) else f"{name}  {value:.1f}"
                left = 0.0 if math.isnan(value) else value
                axes.annotate(
                    text, (left, place), (2, 0), textcoords="offset points",
                    va="center", fontsize=5,
                )  # fmt: skip
        axes.set_yticks(np.arange(len(columns)), columns)
        axes.set_ylim(len(columns) - 0.5, -0.5)
        axes.set_xlim(0, 130)
        axes.set_xlabel("%")
        axes.set_title(self.title, fontsize=8)
        figure.savefig(file)


def _cell(value: float | None, width: int) -> str:
    if value is None or math.isnan(value):
        return f"{'-':>{width}}"
    return f"{value:{width}.1f}"


def percent(values: Mapping[str, float]) -> dict[str, float]:
    """Return shares from 0 to 1 as percent."""
    return {name: 100 * value for name, value in values.items()}


def paper_row(name: str, columns: Sequence[str], figures_: Sequence[float]) -> Row:
    """Return a row of the paper, whose figures are in the order of the columns."""
    values = dict(zip(columns, figures_, strict=True))
    return Row(name=f"{name}, paper", values=values)
