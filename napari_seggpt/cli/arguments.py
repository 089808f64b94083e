"""Flags made of what settings say, and what was given with them as values.

A flag that was not given is absent from what argparse returns. So a flag that is given
counts more than other settings, as those of a task, also when it equals the default.
"""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

from napari_seggpt.cli.console import warn
from napari_seggpt.fields import all_fields, with_value
from napari_seggpt.settings import SessionSettings, TilingSettings, TuningSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_seggpt.fields import Field
    from napari_seggpt.model.seggpt import SegGPT

T = TypeVar("T")

MODEL = ("model", "prediction.device", "prediction.precision")
PREDICTION = (
    "prediction.seg_type",
    "prediction.ensemble",
    "prediction.max_prompts",
    "prediction.labels_per_pass",
    "prediction.batch",
    "propagation.memory",
)
RANGE = ("propagation.start", "propagation.stop", "propagation.step")
ORDER = ("propagation.direction", "contrast.limits")
LINKING = (
    "objects.linking.along",
    "objects.linking.gap",
    "objects.linking.reach",
)
OBJECTS = (
    "objects.task",
    "objects.enlarge",
    "objects.linking.enabled",
    *LINKING,
)
CLEANUP = (
    "cleanup.smallest",
    "cleanup.fill_holes",
    "cleanup.largest_only",
    "cleanup.smooth",
    "cleanup.thresholds",
)
TUNING = (
    "steps",
    "start",
    "num_prompts",
    "weighing_rate",
    "image_rate",
    "color_rate",
    "queries_per_step",
    "seed",
)
# Flags that are called otherwise than the last name of their path.
NAMES = {
    (SessionSettings, "contrast.limits"): "--contrast",
    (SessionSettings, "objects.task"): "--objects",
    (SessionSettings, "objects.linking.enabled"): "--link",
    (TuningSettings, "start"): "--from",
}
# What a flag means that is given without a value.
ALONE: dict[tuple[type, str], str] = {(SessionSettings, "objects.task"): "objects"}


def flag(settings: type, path: str) -> str:
    """Return what the flag of a setting is called."""
    name = path.rpartition(".")[2].replace("_", "-")
    return NAMES.get((settings, path), f"--{name}")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add which model is used, and where it computes."""
    add_settings(parser.add_argument_group("model"), SessionSettings, MODEL)


def add_prediction(parser: argparse.ArgumentParser) -> None:
    """Add how a frame is predicted."""
    group = parser.add_argument_group("prediction")
    add_settings(group, SessionSettings, PREDICTION)
    scale = all_fields(TilingSettings)["scale"]
    group.add_argument(
        "--tiles",
        action=_Tiles,
        metavar="SCALE",
        help=f"For objects that are too small in a whole frame: cut frames into tiles "
        f"of so many {scale.unit} ({scale.kind}), or auto: where objects are small, "
        "or off (default: off)",
    )
    parser.set_defaults(auto_tiles=False)


def add_objects(parser: argparse.ArgumentParser) -> None:
    """Add whether labels are classes or objects, and how objects are followed."""
    add_settings(parser.add_argument_group("objects"), SessionSettings, OBJECTS)


def add_linking(parser: argparse.ArgumentParser) -> None:
    """Add how objects are followed."""
    add_settings(parser.add_argument_group("objects"), SessionSettings, LINKING)


def add_cleanup(parser: argparse.ArgumentParser) -> None:
    """Add what is cleaned up in predicted labels."""
    add_settings(parser.add_argument_group("clean-up"), SessionSettings, CLEANUP)


def add_order(parser: argparse.ArgumentParser) -> None:
    """Add how frames follow each other, and what is shown black and white."""
    add_settings(parser.add_argument_group("frames"), SessionSettings, ORDER)


def add_range(parser: argparse.ArgumentParser) -> None:
    """Add which frames are predicted, and in which order."""
    add_settings(parser.add_argument_group("frames"), SessionSettings, RANGE + ORDER)


def add_contrast(parser: argparse.ArgumentParser) -> None:
    """Add what is shown black and white."""
    add_settings(parser, SessionSettings, ("contrast.limits",))


def add_tuning(parser: argparse.ArgumentParser) -> None:
    """Add how a prompt is tuned."""
    add_settings(parser.add_argument_group("tuning"), TuningSettings, TUNING)


def add_settings(
    parser: argparse._ActionsContainer, settings: type, paths: Iterable[str]
) -> None:
    """Add flags for some settings, by their paths in a dataclass."""
    for path in paths:
        field = all_fields(settings)[path]
        options = _options(field)
        if (settings, path) in ALONE:
            options |= {"nargs": "?", "const": ALONE[settings, path]}
        parser.add_argument(
            flag(settings, path),
            dest=_dest(settings, path),
            default=argparse.SUPPRESS,
            help=_help(field),
            **options,
        )


def _dest(settings: type, path: str) -> str:
    return f"{settings.__name__}.{path}"


def _options(field: Field) -> dict[str, Any]:
    """Return how argparse reads a value."""
    kind = field.kind
    if kind.choices:
        return {"choices": kind.choices}
    if kind.type is bool:
        return {"action": argparse.BooleanOptionalAction}
    if kind.item is not None and kind.count is None:
        return {"type": float, "nargs": "+", "metavar": "X"}
    if kind.item is not None:
        return {"type": float, "nargs": kind.count, "metavar": ("LOW", "HIGH")}
    metavar = {int: "N", float: "X"}.get(kind.type, field.name.upper())
    return {"type": _reader(field), "metavar": metavar}


def _reader(field: Field) -> Callable[[str], object]:
    """Return what makes a value of a text, or says why it cannot."""

    def read(text: str) -> object:
        try:
            value = field.kind.type(text)
        except ValueError:
            value = text
        if not field.kind.accepts(value):
            raise argparse.ArgumentTypeError(f"expected {field.kind}, got {text!r}")
        return value

    return read


def numbered(text: str, form: str) -> tuple[int, str]:
    """Split what is given for a number, such as ``3=nucleus``.

    Parameters
    ----------
    text : str
        What was given.
    form : str
        How that is told to people, such as ``LABEL=NAME``.

    Raises
    ------
    argparse.ArgumentTypeError
        If it has no whole number before the first ``=``, or nothing behind it.
    """
    number, _, value = text.partition("=")
    if not number.isdigit() or not value:
        raise argparse.ArgumentTypeError(f"expected {form}, got {text!r}")
    return int(number), value


def _help(field: Field) -> str:
    """Return what the flag does, which values it takes, and its default."""
    default = "none" if field.default is None else field.default
    if isinstance(default, tuple):  # as it is typed
        default = " ".join(map(str, default))
    given = replace(field.kind, is_optional=False)  # None is what is not given
    values = "" if given.choices or given.type is str else f"{given}; "
    return f"{field.help} ({values}default: {default})".replace("%", "%%")


class _Tiles(argparse.Action):
    """Sets whether there are tiles and their scale, or that advice is taken."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        path = "prediction.tiling"
        namespace.auto_tiles = values == "auto"
        is_scale = values not in ("off", "auto")
        setattr(namespace, _dest(SessionSettings, f"{path}.enabled"), is_scale)
        if is_scale:
            try:
                scale = _reader(all_fields(TilingSettings)["scale"])(values)
            except argparse.ArgumentTypeError as error:
                reason = str(error).replace("expected", "expected off, auto or")
                raise argparse.ArgumentError(self, reason) from None
            setattr(namespace, _dest(SessionSettings, f"{path}.scale"), scale)


def are_tiles_off(args: argparse.Namespace) -> bool:
    """Whether `--tiles off` was given, which is also what holds without the flag."""
    enabled = getattr(args, _dest(SessionSettings, "prediction.tiling.enabled"), None)
    return enabled is False and not args.auto_tiles


# -- what was given ------------------------------------------------------------------


def with_flags(args: argparse.Namespace, settings: T) -> T:
    """Return settings with the values of the flags that were given.

    Raises
    ------
    ValueError
        If the values do not go together.
    """
    prefix = _dest(type(settings), "")
    for name, value in vars(args).items():
        if name.startswith(prefix):
            taken = tuple(value) if isinstance(value, list) else value
            settings = with_value(settings, name.removeprefix(prefix), taken)
    return settings


def given(
    args: argparse.Namespace, settings: type, paths: Iterable[str]
) -> dict[str, Any]:
    """Return the flags of some settings that were given, with their values."""
    known = {path: _dest(settings, path) for path in paths}
    return {
        flag(settings, path): getattr(args, name)
        for path, name in known.items()
        if hasattr(args, name)
    }


def parsed(kind: type[T], args: argparse.Namespace, **more: object) -> T:
    """Return what was parsed as a frozen value, so that nothing below knows argparse.

    Parameters
    ----------
    kind : type
        A dataclass.
    args : argparse.Namespace
        It has the fields of the dataclass.
    **more
        The fields that it has not.
    """
    cls: Any = kind
    names = {field.name for field in fields(cls)} - more.keys()
    return kind(**{name: _frozen(getattr(args, name)) for name in names}, **more)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


# -- models --------------------------------------------------------------------------


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
