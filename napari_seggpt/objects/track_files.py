"""Tracks as files: a table, the Cell Tracking Challenge's layout, and GEFF."""

from __future__ import annotations

import csv
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_seggpt.frames import DAMAGE
from napari_seggpt.io.drafts import draft, is_draft
from napari_seggpt.objects.regions import renamed
from napari_seggpt.objects.tracks import first_and_last, track_edges, unbroken

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.objects.tracks import Tracks

    Labels = NDArray[np.integer[Any]]

TABLE, GRAPH = ".csv", ".geff"  # else it is a folder of masks
MOST_IDS = 65535  # masks of the Cell Tracking Challenge have 16 bits
LEAST_DIGITS = 3  # of the frame's number in their names
TRACK_LIST = "res_track.txt"  # of the Cell Tracking Challenge
CHALLENGE_FILE = re.compile(rf"mask\d+\.tif|{re.escape(TRACK_LIST)}")
GRAPH_FILE = re.compile(r"nodes|edges|zarr\.json|\.z(group|attrs|metadata)")


def check_tracks_path(path: Path, *, overwrite: bool = False) -> None:
    """Refuse a path that tells no format of tracks, or one that cannot be written.

    Raises
    ------
    ValueError
        It says which endings there are, that geff is missing, or which file of a folder
        is none of the Cell Tracking Challenge or GEFF, so that it is not replaced.
    FileExistsError
        If there is something at the path, unless it may be replaced.
    """
    ending = path.suffix.lower()
    if ending == GRAPH:
        check_geff()
        _check_graph(path, overwrite=overwrite)
    elif ending not in ("", TABLE):
        raise ValueError(
            f"Expected tracks as {TABLE}, {GRAPH} or a folder, got {path.name}."
        )
    elif ending == TABLE:
        _check_new(path, overwrite=overwrite)
    else:
        _check_challenge(path, overwrite=overwrite)


def _check_new(path: Path, *, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise FileExistsError(f"Expected a new path, got {path}, which exists.")


def _check_challenge(path: Path, *, overwrite: bool) -> None:
    what = f"a folder of masks and {TRACK_LIST}"
    _check_folder(path, CHALLENGE_FILE, what, overwrite=overwrite)


def _check_graph(path: Path, *, overwrite: bool) -> None:
    if _check_folder(path, GRAPH_FILE, "a GEFF", overwrite=overwrite):
        import zarr

        try:
            is_graph = "geff" in zarr.open_group(path, mode="r").attrs
        except DAMAGE:
            is_graph = False
        if not is_graph:
            raise ValueError(f"Expected a GEFF to replace, got {path}, which is none.")


def _check_folder(
    path: Path, own: re.Pattern[str], what: str, *, overwrite: bool
) -> bool:
    """Refuse what is there, unless it is an empty folder or one that may be replaced.

    Returns whether there is anything to replace. All of a folder is replaced, so one
    that holds anything but its `own` files is refused anyway.
    """
    if not path.is_dir():
        _check_new(path, overwrite=False)
        return False
    files = [file for file in path.iterdir() if not is_draft(file)]
    if files:
        _check_new(path, overwrite=overwrite)
    for file in files:
        if not own.fullmatch(file.name):
            raise ValueError(
                f"Expected {what} to replace, got {path} with {file.name}."
            )
    return bool(files)


def write_tracks(
    path: Path,
    frames: Iterable[tuple[int, Labels]],
    tracks: Tracks,
    about: TracksAbout,
    *,
    overwrite: bool = False,
) -> None:
    """Write tracks in the format that the ending of the path tells.

    Parameters
    ----------
    path : Path
        Ending in .csv, or in .geff, or else a folder in the layout of the Cell Tracking
        Challenge.
    frames : iterable of (int, NDArray)
        As of `write_challenge`; read only for that.
    tracks : Tracks
        What is written.
    about : TracksAbout
        What pixels and frames are.
    overwrite : bool
        Whether what is there is replaced.

    Raises
    ------
    ValueError, FileExistsError
        As of `check_tracks_path`, `write_challenge` and `write_geff`.
    """
    check_tracks_path(path, overwrite=overwrite)
    if path.suffix.lower() == TABLE:
        write_tracks_table(path, tracks, overwrite=overwrite)
    elif path.suffix.lower() == GRAPH:
        write_geff(
            path,
            tracks,
            axis=about.axis,
            pixel_size=about.pixel_size,
            units=about.units,
            overwrite=overwrite,
        )
    else:
        write_challenge(path, frames, tracks, overwrite=overwrite)


@dataclass(frozen=True, slots=True, kw_only=True)
class TracksAbout:
    """What the numbers of tracks stand for.

    Attributes
    ----------
    axis : str
        What frames lie along: "t" or "z".
    pixel_size, units : tuple
        Of frames, rows and columns.
    """

    axis: str = "t"
    pixel_size: tuple[float, float, float] = (1.0, 1.0, 1.0)
    units: tuple[str, str, str] = ("frame", "pixel", "pixel")


def write_tracks_table(
    path: str | os.PathLike[str], tracks: Tracks, *, overwrite: bool = False
) -> None:
    """Write tracks as CSV: a row for each object on each frame, in pixels.

    The columns are `track`, `frame`, `row`, `column`, `area` and `parent`, which is
    empty unless the object came from a division.

    Raises
    ------
    FileExistsError
        If there is a file, unless it may be replaced.
    """
    _check_new(Path(path), overwrite=overwrite)
    with (
        draft(Path(path)) as new,
        new.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(("track", "frame", "row", "column", "area", "parent"))
        for values, area in zip(tracks.rows, tracks.areas.tolist(), strict=True):
            track, frame = int(values[0]), int(values[1])
            place = (f"{values[2]:.2f}", f"{values[3]:.2f}")
            parents = tracks.graph.get(track, [""])
            writer.writerow((track, frame, *place, area, parents[0]))


def write_challenge(
    folder: str | os.PathLike[str],
    frames: Iterable[tuple[int, Labels]],
    tracks: Tracks,
    *,
    overwrite: bool = False,
) -> None:
    """Write masks and tracks as the Cell Tracking Challenge takes results.

    The folder gets `mask000.tif` and so on, 16 bit, and `res_track.txt` with a line
    "id first last parent" for each track. It is written whole or not at all. A track
    may not have gaps there, so one that was lost for a while becomes several, each with
    the one before as its parent.

    Parameters
    ----------
    folder : path
        It is made if there is none. Ids stay as they are, unless 16 bits are too few
        for them.
    frames : iterable of (int, NDArray)
        Number, from 0, and labels (H, W) of each frame; read one at a time.
    tracks : Tracks
        Of these labels.
    overwrite : bool
        Whether a folder with such files is replaced, all of it.

    Raises
    ------
    ValueError
        If there are more tracks than 16 bits can number, or the folder holds other
        files.
    FileExistsError
        If there are such files, unless they may be replaced.
    """
    target = Path(folder)
    _check_challenge(target, overwrite=overwrite)
    parts = unbroken(tracks)
    ends = first_and_last(parts)
    if len(ends) > MOST_IDS:
        raise ValueError(f"Expected at most {MOST_IDS} tracks, got {len(ends)}.")
    numbers = {part: number for number, part in enumerate(sorted(ends), start=1)}
    if max(ends, default=0) <= MOST_IDS:
        numbers = {part: part for part in ends}
    rows = [numbers[part] for part in parts.ids.tolist()]
    target.parent.mkdir(parents=True, exist_ok=True)
    with draft(target) as new:
        new.mkdir()
        _write_masks(new, frames, tracks, rows)
        _write_list(new / TRACK_LIST, parts, numbers)


def _write_list(file: Path, parts: Tracks, numbers: Mapping[int, int]) -> None:
    """Write a line "id first last parent" for each track, by their numbers."""
    lines = []
    ends = first_and_last(parts)
    for part, (first, last) in sorted(ends.items()):
        parents = parts.graph.get(part, [])
        parent = numbers[parents[0]] if parents else 0
        begin, end = parts.frames[first], parts.frames[last]
        lines.append(f"{numbers[part]} {begin} {end} {parent}\n")
    file.write_text("".join(lines), encoding="ascii")


def _write_masks(
    folder: Path,
    frames: Iterable[tuple[int, Labels]],
    tracks: Tracks,
    numbers: list[int],
) -> None:
    """Write the labels of frames with the number of each row of the tracks."""
    names: dict[int, dict[int, int]] = {}
    for frame, i, number in zip(
        tracks.frames.tolist(), tracks.ids.tolist(), numbers, strict=True
    ):
        names.setdefault(frame, {})[i] = number
    files: dict[int, Path] = {}
    for index, labels in frames:
        known = renamed(labels, names.get(index, {})).astype(np.uint16)
        files[index] = folder / f"mask{index:0{LEAST_DIGITS}d}.tif"
        tifffile.imwrite(files[index], known, compression="zlib")
    # How many frames there are is known at the end: all names get as many digits.
    digits = max(LEAST_DIGITS, len(str(max(files, default=0))))
    for index, file in files.items():
        file.rename(folder / f"mask{index:0{digits}d}.tif")


def check_geff() -> None:
    """Raise ValueError, with what to do, if there is no geff."""
    try:
        import geff  # noqa: F401
    except ImportError:
        raise ValueError(
            "Expected geff to write GEFF files, got none: "
            "pip install 'napari-seggpt[tracks]'."
        ) from None


def write_geff(
    path: str | os.PathLike[str],
    tracks: Tracks,
    *,
    axis: str = "t",
    pixel_size: Sequence[float] = (1.0, 1.0, 1.0),
    units: Sequence[str] = ("frame", "pixel", "pixel"),
    overwrite: bool = False,
) -> None:
    """Write tracks as a graph in GEFF, a zarr folder, whole or not at all.

    A node is an object on a frame, with its track, area and place in frames and pixels;
    an edge leads to the next place, or to a child.

    Parameters
    ----------
    path : path
        Ending in .geff or .zarr.
    tracks : Tracks
        What is written.
    axis : str
        What the frames lie along: "t", or else a spatial axis.
    pixel_size, units : sequence
        Of frames, rows and columns.
    overwrite : bool
        Whether a GEFF that is there is replaced.

    Raises
    ------
    ValueError
        If geff is not installed, or the folder is no GEFF or holds other files.
    FileExistsError
        If there is one already, unless it may be replaced.
    """
    check_geff()
    import geff
    import networkx

    graph = networkx.DiGraph()
    for node, (values, area) in enumerate(
        zip(tracks.rows.tolist(), tracks.areas.tolist(), strict=True)
    ):
        track, frame, row, column = values
        place = {axis: int(frame), "y": row, "x": column}
        graph.add_node(node, track=int(track), area=area, **place)
    graph.add_edges_from(track_edges(tracks).tolist())
    target = Path(path)
    _check_graph(target, overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    with draft(target) as new, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of units that are not known, and of no tracks
        geff.write(
            graph,
            new,
            axis_names=[axis, "y", "x"],
            axis_types=["time" if axis == "t" else "space", "space", "space"],
            axis_scales=list(pixel_size),
            scaled_units=list(units),
        )
