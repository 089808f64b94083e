"""Flags that several commands share; their defaults are those of settings.py."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from tqdm import tqdm

from napari_seggpt.cli.console import warn
from napari_seggpt.settings import (
    ContrastSettings,
    Device,
    Direction,
    Ensemble,
    Precision,
    PredictionSettings,
    PropagationSettings,
    SegTypeChoice,
    SessionSettings,
    TilingSettings,
)

if TYPE_CHECKING:
    from napari_seggpt.model.seggpt import SegGPT

PREDICTION = PredictionSettings()
PROPAGATION = PropagationSettings()


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add which model is used, and where it computes."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="builtin",
        help="builtin, a published model (see info), or a file (default: builtin)",
    )
    group.add_argument(
        "--device",
        choices=get_args(Device),
        default=PREDICTION.device,
        help="where to compute (default: %(default)s)",
    )
    group.add_argument(
        "--precision",
        choices=get_args(Precision),
        default=PREDICTION.precision,
        help="of matrix products; float32 is exact, with bfloat16 0.16 to 0.27 %% of a "
        "mask's pixels were others, where that was measured; auto: bfloat16 on GPUs "
        "that have it (default: %(default)s)",
    )


def add_prediction(parser: argparse.ArgumentParser) -> None:
    """Add how a frame is predicted."""
    group = parser.add_argument_group("prediction")
    group.add_argument(
        "--seg-type",
        choices=get_args(SegTypeChoice),
        default=PREDICTION.seg_type,
        help="are labels classes or single objects; auto: instance for the published "
        "network, as in its own code, and semantic for ours (default: %(default)s)",
    )
    group.add_argument(
        "--ensemble",
        choices=get_args(Ensemble),
        default=PREDICTION.ensemble,
        help="how several prompts are used (default: %(default)s)",
    )
    group.add_argument(
        "--max-prompts",
        type=int,
        metavar="N",
        default=PREDICTION.max_prompts,
        help="use the N nearest and most similar references (default: %(default)s)",
    )
    group.add_argument(
        "--labels-per-pass",
        type=int,
        metavar="N",
        default=PREDICTION.labels_per_pass,
        help="colour at most N labels in one picture (default: %(default)s)",
    )
    group.add_argument(
        "--batch",
        type=int,
        metavar="N",
        default=PREDICTION.batch,
        help="predict N independent pictures at once (default: %(default)s)",
    )
    group.add_argument(
        "--tiles",
        type=_tiles,
        default="off",
        metavar="SCALE",
        help="for small objects: cut frames into tiles of so many model pixels a "
        "frame pixel, or 'auto' (default: off)",
    )
    group.add_argument(
        "--memory",
        type=int,
        metavar="N",
        default=PROPAGATION.memory,
        help="the last N predicted frames are prompts, too; 0 to 16 "
        "(default: %(default)s)",
    )


def add_range(parser: argparse.ArgumentParser) -> None:
    """Add which frames are predicted."""
    group = parser.add_argument_group("frames")
    group.add_argument(
        "--start",
        type=int,
        metavar="FRAME",
        default=PROPAGATION.start,
        help="the first frame, counted from 0 (default: %(default)s)",
    )
    group.add_argument(
        "--stop",
        type=int,
        metavar="FRAME",
        default=PROPAGATION.stop,
        help="the frame after the last (default: all)",
    )
    group.add_argument(
        "--step",
        type=int,
        metavar="N",
        default=PROPAGATION.step,
        help="predict every Nth frame (default: %(default)s)",
    )
    group.add_argument(
        "--direction",
        choices=get_args(Direction),
        default=PROPAGATION.direction,
        help="where to go from a reference (default: %(default)s)",
    )
    add_contrast(group)


def add_contrast(parser: argparse._ActionsContainer) -> None:
    """Add what is shown black and white."""
    parser.add_argument(
        "--contrast",
        type=float,
        nargs=2,
        metavar=("BLACK", "WHITE"),
        help="values shown black and white (default: percentiles of the stack); "
        "8-bit RGB is shown as it is",
    )


def _tiles(text: str) -> str | float:
    if text in ("off", "auto"):
        return text
    try:
        return float(text)
    except ValueError:
        message = f"expected off, auto or a scale, got {text!r}"
        raise argparse.ArgumentTypeError(message) from None


def prediction_settings(args: argparse.Namespace) -> PredictionSettings:
    """Return the settings that the flags of a prediction say; 'auto' tiles are off."""
    tiling = TilingSettings()
    if isinstance(args.tiles, float):
        tiling = replace(tiling, enabled=True, scale=args.tiles)
    return PredictionSettings(
        seg_type=args.seg_type,
        ensemble=args.ensemble,
        max_prompts=args.max_prompts,
        labels_per_pass=args.labels_per_pass,
        batch=args.batch,
        device=args.device,
        precision=args.precision,
        tiling=tiling,
    )


def propagation_settings(args: argparse.Namespace) -> PropagationSettings:
    """Return the settings that the flags of a propagation say."""
    return PropagationSettings(
        memory=args.memory,
        start=args.start,
        stop=args.stop,
        step=args.step,
        direction=args.direction,
    )


def contrast_settings(args: argparse.Namespace) -> ContrastSettings:
    """Return the settings that the contrast flag says."""
    limits = None if args.contrast is None else (args.contrast[0], args.contrast[1])
    return ContrastSettings(limits=limits)


def take_settings(args: argparse.Namespace, settings: SessionSettings) -> None:
    """Take settings for the flags that were left at their defaults."""
    prediction, tiling = settings.prediction, settings.prediction.tiling
    known = {
        "model": ("builtin", settings.model),
        "seg_type": (PREDICTION.seg_type, prediction.seg_type),
        "ensemble": (PREDICTION.ensemble, prediction.ensemble),
        "max_prompts": (PREDICTION.max_prompts, prediction.max_prompts),
        "labels_per_pass": (PREDICTION.labels_per_pass, prediction.labels_per_pass),
        "tiles": ("off", tiling.scale if tiling.enabled else "off"),
        "memory": (PROPAGATION.memory, settings.propagation.memory),
        "contrast": (None, settings.contrast.limits),
    }
    for name, (default, value) in known.items():
        if getattr(args, name) == default:
            setattr(args, name, value)


def load_named_model(name: str) -> SegGPT:
    """Load a model by name or file; a download shows its licence and a bar."""
    from napari_seggpt.model.zoo import MODELS, describe, load_model, locate

    if name in MODELS and MODELS[name].repo is not None and locate(name) is None:
        warn(f"Downloading {describe(name)}")
    with _DownloadBar() as bar:
        return load_model(name, progress=bar.report)


class _DownloadBar:
    """A progress bar that appears with the first bytes."""

    def __enter__(self) -> _DownloadBar:
        self._bar: tqdm[Any] | None = None
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def report(self, done: int, total: int) -> None:
        """Show how many of the bytes are here."""
        if self._bar is None:
            self._bar = tqdm(total=total, unit="B", unit_scale=True)
        self._bar.update(done - self._bar.n)
