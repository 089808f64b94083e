"""Figures of an evaluation, drawn with matplotlib and without a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.evaluation.annotator import TARGET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from napari_seggpt.evaluation.annotator import AnnotatorStep
    from napari_seggpt.evaluation.protocol import DataSetScore, FrameScore

# Okabe and Ito's colours, told apart by the colour-blind, too; markers for print.
STYLES = {
    "seggpt": ("#0072B2", "o"),
    "pixel classifier": ("#E69F00", "s"),
    "warped": ("#009E73", "^"),
    "copied": ("#999999", "D"),
}
OTHERS = (("#CC79A7", "v"), ("#56B4E9", "P"), ("#D55E00", "X"))
NAMES = {"seggpt": "SegGPT"}
GRID: dict[str, Any] = {"color": "#DDDDDD", "linewidth": 0.6}
DPI = 150
WIDTH = 6.4  # inches


def check_matplotlib() -> None:
    """Raise ValueError, with what to do, if there is no matplotlib."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise ValueError(
            "Expected matplotlib for figures, got none: "
            "pip install 'napari-seggpt[evaluation]'."
        ) from None


def draw_dice(results: Sequence[DataSetScore], path: Path) -> None:
    """Draw the mean Dice of each method on each data set as bars.

    Parameters
    ----------
    results : sequence of DataSetScore
        With the same methods each; the mean of the sets is added if there are several.
    path : Path
        An image file of any kind that matplotlib writes; an old one is replaced.

    Raises
    ------
    ValueError
        If there are no results, no matplotlib, or no such kind of image.
    """
    _check_any(results)
    methods = list(results[0].dice)
    rows = [(one.dataset, one.dice) for one in results]
    if len(rows) > 1:
        mean = {m: float(np.mean([one.dice[m] for one in results])) for m in methods}
        rows.append(("mean", mean))
    height = 0.8 + len(rows) * (0.12 * len(methods) + 0.1)
    figure, axes = new_figure(height)
    thickness = 0.8 / len(methods)
    places = np.arange(len(rows))
    for number, (method, (color, _)) in enumerate(_styles(methods).items()):
        axes.barh(
            places - 0.4 + (number + 0.5) * thickness,
            [dice[method] for _, dice in rows],
            height=0.9 * thickness,
            color=color,
            label=NAMES.get(method, method),
        )
    axes.set_yticks(places, [name for name, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1)
    axes.set_xlabel("mean Dice")
    axes.grid(axis="x", **GRID)
    if len(rows) > 1:
        axes.axhline(len(rows) - 1.5, color="black", linewidth=0.8)
    _finish(figure, path)


def draw_distance(scores: Sequence[FrameScore], path: Path) -> None:
    """Draw how the mean Dice falls with the distance from the reference.

    Distances are binned, in powers of the square root of two, and every frame counts
    once: far bins hold the frames of long sequences only.

    Parameters
    ----------
    scores : sequence of FrameScore
        With the same methods each.
    path : Path
        As in `draw_dice`.

    Raises
    ------
    ValueError
        If there are no scores, no matplotlib, or no such kind of image.
    """
    _check_any(scores)
    distances = np.array([score.distance for score in scores])
    bins = np.rint(2 * np.log2(distances))
    figure, axes = new_figure(3.6)
    for method, (color, marker) in _styles(scores[0].dice).items():
        dice = np.array([score.dice[method] for score in scores])
        axes.plot(
            _means_by(bins, distances),
            _means_by(bins, dice),
            color=color,
            marker=marker,
            label=NAMES.get(method, method),
        )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0, 1)
    axes.set_xlabel("frames to the nearest reference")
    axes.set_ylabel("mean Dice")
    axes.grid(**GRID)
    _finish(figure, path)


def _means_by(bins: NDArray[Any], values: NDArray[Any]) -> NDArray[np.float64]:
    return np.array([values[bins == one].mean() for one in np.unique(bins)])


def draw_effort(
    curves: Mapping[str, Sequence[Sequence[AnnotatorStep]]], path: Path
) -> None:
    """Draw the mean Dice that labelling a share of the frames leads to.

    Sequences count equally. One frame of each is labelled at least; a sequence that
    has reached the target stays as it is.

    Parameters
    ----------
    curves : mapping of str to sequence of sequence of AnnotatorStep
        The steps on each sequence, by method.
    path : Path
        As in `draw_dice`.

    Raises
    ------
    ValueError
        If there are no steps, no matplotlib, or no such kind of image.
    """
    _check_any([steps for each in curves.values() for steps in each])
    figure, axes = new_figure(3.6)
    shares = np.linspace(0, 1, 101)
    for method, (color, marker) in _styles(curves).items():
        rows = [_dice_at(steps, shares) for steps in curves[method] if steps]
        if rows:
            axes.plot(
                100 * shares,
                np.mean(rows, axis=0),
                color=color,
                marker=marker,
                markevery=10,
                label=NAMES.get(method, method),
            )
    axes.axhline(TARGET, color="black", linestyle=":", linewidth=1)
    beside = axes.get_yaxis_transform()  # x in shares of the axes, y in data
    axes.text(1.01, TARGET, "target", transform=beside, va="center", size="small")
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 1)
    axes.set_xlabel("frames labelled by hand (%)")
    axes.set_ylabel("mean Dice of all frames")
    axes.grid(**GRID)
    _finish(figure, path)


def _dice_at(
    steps: Sequence[AnnotatorStep], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the Dice of the last step that a share of the frames pays for."""
    labelled = np.array([step.labelled / step.frames for step in steps])
    places = np.searchsorted(labelled, shares + 1e-9, side="right") - 1
    return np.array([step.dice for step in steps])[np.maximum(places, 0)]


def draw_training(
    losses: Sequence[tuple[int, float]],
    dices: Sequence[tuple[int, float]],
    path: Path,
) -> None:
    """Draw the loss of a training run, and the development Dice beside it.

    Parameters
    ----------
    losses, dices : sequence of (int, float)
        Step and value; the losses are also shown as running means.
    path : Path
        As in `draw_dice`.

    Raises
    ------
    ValueError
        If there are no losses, no matplotlib, or no such kind of image.
    """
    _check_any(losses)
    figure, axes = new_figure(3.6)
    steps, values = np.array(losses).T
    color, dice_color = STYLES["copied"][0], STYLES["seggpt"][0]
    axes.plot(steps, values, color=color, linewidth=0.4, alpha=0.5)
    width = max(1, len(values) // 40)
    smooth = np.convolve(values, np.ones(width) / width, mode="valid")
    axes.plot(steps[width - 1 :], smooth, color="black", label="loss, running mean")
    axes.set_ylim(0, 1.5 * float(np.quantile(values, 0.9)))
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(**GRID)
    if dices:
        beside = axes.twinx()
        beside.plot(*np.array(dices).T, color=dice_color, marker="o", label="Dice")
        beside.set_ylim(0, 1)
        beside.set_ylabel("mean Dice, one reference", color=dice_color)
        beside.spines[["top"]].set_visible(False)
    _finish(figure, path)


def draw_scale(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw how the time of a frame and the peak of memory grow.

    Parameters
    ----------
    rows : sequence of mapping
        As of `benchmark_scale`; what is varied makes a column.
    path : Path
        As in `draw_dice`.

    Raises
    ------
    ValueError
        If there are no rows, no matplotlib, or no such kind of image.
    """
    _check_any(rows)
    check_matplotlib()
    from matplotlib.figure import Figure

    varied = list(dict.fromkeys(row["varied"] for row in rows))
    measures = {
        "cpu_seconds_a_frame": "CPU seconds a frame",
        "peak_mib": "peak memory (MiB)",
    }
    figure = Figure(figsize=(1.5 * WIDTH, 4.0), dpi=DPI, layout="constrained")
    grid = figure.subplots(2, len(varied), sharey="row", sharex="col", squeeze=False)
    color, marker = STYLES["seggpt"]
    for measure, row_of_axes in zip(measures, grid, strict=True):
        for name, axes in zip(varied, row_of_axes, strict=True):
            shown = [row for row in rows if row["varied"] == name]
            axes.plot(
                [row[name] for row in shown],
                [row[measure] for row in shown],
                color=color,
                marker=marker,
            )
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter("{x:g}")
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(**GRID)
        row_of_axes[0].set_ylabel(measures[measure])
        row_of_axes[0].set_ylim(bottom=0)  # once all is drawn, which sets the top
    for name, axes in zip(varied, grid[-1], strict=True):
        axes.set_xlabel("side of frames (px)" if name == "side" else name)
    figure.savefig(path)


# -- what all figures have in common -----------------------------------------------


def _check_any(values: Sequence[Any]) -> None:
    if not values:
        raise ValueError("Expected results to draw, got none.")


def _styles(methods: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Give each method its own colour and marker, known ones always the same."""
    names = list(methods)
    unknown = [name for name in names if name not in STYLES]
    others = {name: OTHERS[i % len(OTHERS)] for i, name in enumerate(unknown)}
    return {name: STYLES.get(name) or others[name] for name in names}


def new_figure(height: float) -> tuple[Figure, Axes]:
    """Make a figure of a height in inches, and its axes, in the style of all.

    Raises
    ------
    ValueError
        If there is no matplotlib.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def _finish(figure: Figure, path: Path) -> None:
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(path)
