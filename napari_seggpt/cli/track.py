"""`napari-seggpt track`: ids that hold along a stack of objects, and tracks."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from napari_seggpt.cli import arguments
from napari_seggpt.cli.arguments import parsed, with_flags
from napari_seggpt.cli.console import say
from napari_seggpt.cli.paths import check_apart, check_new
from napari_seggpt.cli.reading import Reading, add_reading, opened_result
from napari_seggpt.settings import SessionSettings
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from napari_seggpt.io import LabelsWriter, Stack
    from napari_seggpt.object_settings import LinkedAxis, LinkingSettings
    from napari_seggpt.session.store.results import SessionLabels


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRequest:
    """Which objects are followed, and where the result goes.

    Attributes
    ----------
    labels : Path
        Objects: a file, or a saved session.
    reading : Reading
        How it is taken.
    output : Path, optional
        Where labels with ids that hold go.
    tracks : Path, optional
        Where the tracks go.
    settings : SessionSettings
        How objects are followed.
    overwrite : bool
        Whether what is there is replaced.
    """

    labels: Path
    reading: Reading
    output: Path | None
    tracks: Path | None
    settings: SessionSettings
    overwrite: bool


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "track",
        help="link labelled objects along a stack, and write tracks",
        description="Give the objects of a label file ids that hold along the stack "
        "(--output), from the first frame that has any, and write where each is on "
        "each frame and which divided (--tracks). Without --output the ids of the file "
        "are taken as they are.",
    )
    parser.add_argument("labels", type=Path, help="objects, or a session of the dock")
    parser.add_argument(
        "--output", type=Path, help=".tif, .ome.tif, .zarr or a folder of PNG files"
    )
    parser.add_argument(
        "--tracks",
        type=Path,
        metavar="PATH",
        help=".csv, .geff, or a folder in the layout of the Cell Tracking Challenge",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    arguments.add_linking(parser)
    add_reading(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Link, and write what was asked for; returns the exit code."""
    return _track(
        parsed(
            TrackRequest,
            args,
            reading=parsed(Reading, args),
            settings=with_flags(args, SessionSettings()),
        )
    )


def _track(request: TrackRequest) -> int:
    from napari_seggpt.inference.linking import frames_lie_along
    from napari_seggpt.io import reopen_labels

    _check_paths(request)
    with ExitStack() as opened:
        given = opened.enter_context(opened_result(request.reading, request.labels))
        if given.times is not None:
            raise ValueError(
                "Expected frames along one axis, got time and z (--axis chooses one of "
                "a file)."
            )
        labels: Stack | SessionLabels | LabelsWriter = given
        linking = request.settings.objects.linking
        axis = frames_lie_along(given.axis, linking.along)
        if request.output is not None:
            _link(request, given, request.output, replace(linking, along=axis))
            say(f"{count_of(len(given), 'frame')} in {request.output}")
            labels = opened.enter_context(reopen_labels(request.output))
        if request.tracks is not None:
            write_tracks(
                request.tracks, labels, axis, like=given, overwrite=request.overwrite
            )
    return 0


def _check_paths(request: TrackRequest) -> None:
    written = [path for path in (request.output, request.tracks) if path is not None]
    if not written:
        raise ValueError("Expected --output, --tracks or both, got neither.")
    check_apart(written, [request.labels])
    if request.output is not None:
        check_new(request.output, overwrite=request.overwrite)
    if request.tracks is not None:
        check_tracks(request.tracks, overwrite=request.overwrite)


def _link(
    request: TrackRequest,
    source: Stack | SessionLabels,
    path: Path,
    settings: LinkingSettings,
) -> None:
    """Write the objects of a stack, each with one id: all frames, or none at all.

    What is there stays until then, since ids may turn out not to fit the file.
    """
    from napari_seggpt.io import check_output, create_labels, draft, object_dtype

    check_output(path, overwrite=request.overwrite)
    dtype = object_dtype(path)
    with draft(path) as new, create_labels(new, like=source, dtype=dtype) as output:
        for index, labels in _linked(source, settings):
            output.write(index, labels)


def _linked(
    source: Stack | SessionLabels, settings: LinkingSettings
) -> Iterator[tuple[int, Any]]:
    """Yield number and labels of each frame, its objects with ids that hold."""
    from napari_seggpt.objects.linking import Linker
    from napari_seggpt.objects.new_ids import NewIds

    linker: Linker | None = None
    kinds = _classes_of_ids(source)
    for index, found in _frames(source, "Linking"):
        labels = np.maximum(found, 0)  # those below 0 are no objects
        if linker is None and labels.any():
            linker = Linker(settings, NewIds(1, kinds=kinds))
            linker.fix(index, labels)
        elif linker is not None:
            labels = linker.link(index, labels)
        yield index, labels


def _classes_of_ids(source: Stack | SessionLabels) -> frozenset[int]:
    """Return the classes that ids tell, of all frames: a class may come late."""
    from napari_seggpt.objects.class_ids import ids_in, told_classes

    ids: set[int] = set()
    for _, labels in _frames(source, "Looking at ids"):
        ids.update(ids_in(labels).tolist())
    return told_classes(ids)


# -- tracks as files -----------------------------------------------------------------


def check_tracks(path: Path, *, overwrite: bool) -> None:
    """Refuse a path that tracks cannot be written to."""
    from napari_seggpt.objects.track_files import check_tracks_path

    try:
        check_tracks_path(path, overwrite=overwrite)
    except FileExistsError:
        check_new(path, overwrite=overwrite)  # names the flag that would replace it
        raise
    check_new(path, overwrite=True)  # an empty folder is as good as none


def write_tracks(
    path: Path,
    labels: Stack | SessionLabels | LabelsWriter,
    axis: LinkedAxis,
    *,
    like: Stack | SessionLabels | None = None,
    overwrite: bool,
) -> None:
    """Write the tracks of labels whose ids hold, in the format that the path tells.

    `like` tells pixel size and units in place of labels that may not keep them.
    """
    from napari_seggpt.objects import track_files
    from napari_seggpt.objects.tracks import trace

    tracks = trace(_frames(labels, "Tracing"), divisions=axis != "z")
    about: Any = like or getattr(labels, "geometry", labels)
    track_files.write_tracks(
        path,
        _frames(labels, "Writing masks"),
        tracks,
        track_files.TracksAbout(
            axis=axis, pixel_size=about.pixel_size, units=about.units
        ),
        overwrite=overwrite,
    )
    divided = len({mother for parents in tracks.graph.values() for mother in parents})
    count = len(np.unique(tracks.ids))
    say(f"{count_of(count, 'track')}, {divided} of which divided, in {path}")


def _frames(
    labels: Stack | SessionLabels | LabelsWriter, what: str
) -> Iterator[tuple[int, Any]]:
    for index in tqdm(range(len(labels)), unit="frame", desc=what):
        yield index, labels[index]
