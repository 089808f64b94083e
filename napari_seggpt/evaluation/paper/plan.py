"""What a table takes: options, work in units, preparations, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_seggpt.settings import PredictionSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_seggpt.evaluation.paper.report import Report
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.prompts import TunedPrompt
    from napari_seggpt.settings import TuningSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PaperOptions:
    """What a table is made from.

    Attributes
    ----------
    data : Path
        The folder of its data sets, or one of them.
    results : Path
        The folder that everything is written to.
    model : SegGPT
        What is measured.
    prediction : PredictionSettings
        Device, precision, type embedding, batch, and labels coloured at once.
    tuning : TuningSettings
        How prompts are tuned, where the table needs them.
    prompts, instance_prompts : sequence of TunedPrompt
        Tuned prompts for classes and for objects; without them they are tuned first.
    splits : Path, optional
        `data/splits` of HSNet, with its lists of images.
    subset : str, optional
        Which part of the data; by default that which is scored in the paper.
    seeds : sequence of int, optional
        Of what is drawn at random; by default the paper's or HSNet's.
    shots, examples, frames : sequence of int, optional
        Which rows of the table; by default those of the paper.
    limit : int, optional
        At most so many episodes of a fold, images or videos, for a quick look.
    """

    data: Path
    results: Path
    model: SegGPT
    tuning: TuningSettings
    prediction: PredictionSettings = field(default_factory=PredictionSettings)
    prompts: Sequence[TunedPrompt] = ()
    instance_prompts: Sequence[TunedPrompt] = ()
    splits: Path | None = None
    subset: str | None = None
    seeds: Sequence[int] | None = None
    shots: Sequence[int] | None = None
    examples: Sequence[int] | None = None
    frames: Sequence[int] | None = None
    limit: int | None = None

    def first(self, items: Sequence[Any]) -> Sequence[Any]:
        """Return as many of the items as the limit lets through."""
        return items if self.limit is None else items[: self.limit]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unit:
    """A piece of work that is done whole or not at all.

    Attributes
    ----------
    key : str
        What tells it from the others of its table; it says what it is, too.
    run : callable
        Does it; returns what JSON can hold.
    """

    key: str
    run: Callable[[], Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Preparation:
    """What must be there before the units: a file, made step by step.

    Attributes
    ----------
    title : str
        What it is, for the progress bar.
    file : Path
        It is needed only if this file is missing.
    steps : callable
        Makes the file; yields as it goes on.
    total : int
        How many steps that takes.
    """

    title: str
    file: Path
    steps: Callable[[], Iterator[object]]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """How a table comes about.

    Attributes
    ----------
    units : sequence of Unit
        All the work, in an order that is always the same.
    summarise : callable
        Makes the report of what the units returned, by their keys.
    facts : mapping of str to JSON
        What the results are a function of.
    preparations : sequence of Preparation
        What comes first.
    """

    units: Sequence[Unit]
    summarise: Callable[[Mapping[str, Any]], Report]
    facts: Mapping[str, Any]
    preparations: Sequence[Preparation] = ()


def blocks(count: int, size: int) -> list[range]:
    """Split numbers from 0 into blocks of a size, the last of which may be smaller."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]
