"""`napari-seggpt export`: a saved session or labels as plain files, and a table."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from napari_seggpt.cli.arguments import numbered, parsed
from napari_seggpt.cli.console import say, warn
from napari_seggpt.cli.paths import check_apart, check_new
from napari_seggpt.cli.reading import Reading, add_reading, open_images, opened_result
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from napari_seggpt.io import Stack
    from napari_seggpt.session.store.results import SessionLabels


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What is written as plain files, and where.

    Attributes
    ----------
    source : Path
        A saved session, or labels.
    reading : Reading
        How labels are taken, or the images if there are some.
    output, table : Path, optional
        Where labels and the table go.
    objects : bool
        Whether each connected region has a row.
    stack : Path, optional
        The images, for how bright each object is.
    names : tuple of (int, str)
        What labels mean.
    overwrite : bool
        Whether what is there is replaced.
    """

    source: Path
    reading: Reading
    output: Path | None
    table: Path | None
    objects: bool
    stack: Path | None
    names: tuple[tuple[int, str], ...]
    overwrite: bool


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "export",
        help="write the labels of a session as plain files, and a table of objects",
        description="Write the labels of a session that the dock saved, or of a label "
        "file, as TIFF, OME-TIFF, OME-Zarr or PNG files with the pixel size, and a "
        "table of the objects as CSV.",
    )
    parser.add_argument(
        "source", type=Path, help="a session (a folder ending in .seggpt) or labels"
    )
    parser.add_argument(
        "--output", type=Path, help=".tif, .ome.tif, .zarr or a folder of PNG files"
    )
    parser.add_argument(
        "--table", type=Path, help="a .csv file: a row for each label of each frame"
    )
    parser.add_argument(
        "--objects",
        action="store_true",
        help="in the table: a row for each connected region of a label",
    )
    parser.add_argument(
        "--stack",
        type=Path,
        help="the images: the table then has the mean intensity of each object; they "
        "are read by --axis, --at, --level, --series and --channels, and the labels by "
        "those that they need",
    )
    parser.add_argument(
        "--names",
        type=partial(numbered, form="LABEL=NAME"),
        nargs="+",
        default=[],
        metavar="LABEL=NAME",
        help="names of classes, for the table; those of a session are known",
    )
    add_reading(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write what was asked for; returns the exit code."""
    return _export(parsed(ExportRequest, args, reading=parsed(Reading, args)))


def _export(args: ExportRequest) -> int:
    _check_paths(args)
    with ExitStack() as opened:
        images = None
        if args.stack is not None:
            images = opened.enter_context(open_images(args.reading, args.stack))
        labels = opened.enter_context(opened_result(args.reading, args.source, images))
        if images is not None:
            _check_images(images, labels)
        if args.output is not None:
            _write_labels(args, labels)
        if args.table is not None:
            _write_table(args, labels, images)
    return 0


def _check_paths(args: ExportRequest) -> None:
    written = [path for path in (args.output, args.table) if path is not None]
    if not written:
        raise ValueError("Expected --output, --table or both, got neither.")
    check_apart(written, [x for x in (args.source, args.stack) if x is not None])
    for path in written:
        check_new(path, overwrite=args.overwrite)
    if args.table is not None and args.table.suffix.lower() != ".csv":
        raise ValueError(f"Expected a table ending in .csv, got {args.table.name}.")


def _write_labels(args: ExportRequest, labels: Stack | SessionLabels) -> None:
    from napari_seggpt.io.labels import LabelsGeometry
    from napari_seggpt.io.writers import write_labels

    assert args.output is not None
    steps = write_labels(
        args.output,
        labels.__getitem__,
        LabelsGeometry.like(labels),
        overwrite=args.overwrite,
    )
    for _ in tqdm(steps, total=len(labels), unit="frame", desc="Writing"):
        pass
    say(f"{count_of(len(labels), 'frame')} in {args.output}")


def _check_images(images: Stack, labels: Stack | SessionLabels) -> None:
    """Refuse images of other frames."""
    size = (len(labels), labels.frame_shape)
    if (len(images), images.frame_shape) != size:
        raise ValueError(
            f"Expected images of {size[0]} frames of {size[1]}, got {len(images)} of "
            f"{images.frame_shape}."
        )


def _write_table(
    args: ExportRequest, labels: Stack | SessionLabels, images: Stack | None
) -> None:
    from napari_seggpt.io import draft
    from napari_seggpt.io.table import write_table

    assert args.table is not None
    unit, other = labels.units[1:]
    if unit != other:
        warn(f"Rows are in {unit}, columns in {other}.")
    classes = {**getattr(labels, "classes", {}), **dict(args.names)}
    with (
        draft(args.table) as new,
        new.open("w", newline="", encoding="utf-8") as file,
    ):
        counts = write_table(
            file,
            _frames(labels),
            spacing=labels.pixel_size[1:],
            unit=unit,
            classes=classes,
            objects=args.objects,
            images=images,
        )
        count = sum(counts)
    say(f"{count_of(count, 'object')} in {args.table}")


def _frames(
    labels: Stack | SessionLabels,
) -> Iterator[tuple[int, Any, Mapping[str, Any]]]:
    facts = getattr(labels, "facts", None)
    for index in tqdm(range(len(labels)), unit="frame", desc="Measuring"):
        yield index, labels[index], facts(index) if facts else {}
