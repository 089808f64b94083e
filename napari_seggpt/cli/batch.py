"""Doing the same with each stack of a folder."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from napari_seggpt.cli.console import say, warn
from napari_seggpt.cli.errors import EXPECTED, USER_ERROR, one_line
from napari_seggpt.cli.interrupt import INTERRUPTED
from napari_seggpt.io.folder import TIFF_SUFFIXES
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENDINGS = "|".join(map(re.escape, (*TIFF_SUFFIXES, ".zarr")))
STACK_NAME = re.compile(rf"(.+?)(\.ome)?({ENDINGS})", re.IGNORECASE)


def each_stack(
    folder: Path,
    output: Path,
    run: Callable[[Path, Path], int],
    *,
    suffix: str = ".tif",
    labels_of: Callable[[str], Path | None] = lambda _: None,
) -> int:
    """Run a command on each stack of a folder, into files of another folder.

    Their names are those of the stacks, with `suffix`. The other folder may lie in the
    first.

    What goes wrong with one stack is told, and the others are done all the same.

    Parameters
    ----------
    folder, output : Path
        Where the stacks are, and where results go.
    run : callable
        The command, of a stack and its result; returns the exit code.
    suffix : str
        Of the results.
    labels_of : callable
        Where the labels of the stack of a name are; they are no stack.

    Returns
    -------
    int
        The exit code: that of the first one that is not 0.
    """
    stacks = _without_labels(_stacks_in(folder, output), labels_of)
    if not stacks:
        raise ValueError(f"Expected a folder with stacks, got {folder} without any.")
    output.mkdir(exist_ok=True)
    codes = []
    for name, path in stacks.items():
        try:
            code = run(path, output / f"{name}{suffix}")
        except EXPECTED as error:
            warn(f"{path.name}: {one_line(error)}")
            code = USER_ERROR
        codes.append(code)
        if code == INTERRUPTED:
            break
    done = codes.count(0)
    say(f"{done} of {count_of(len(stacks), 'stack')} labelled, in {output}")
    return next((code for code in codes if code), 0)


def _stacks_in(folder: Path, output: Path) -> dict[str, Path]:
    """Return the stacks of a folder: TIFF files, zarrs, and folders of images.

    The output of an earlier run is none.
    """
    if not folder.is_dir():
        raise ValueError(f"Expected a folder of stacks with --each, got {folder}.")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = STACK_NAME.fullmatch(path.name)
        if path.name.startswith(".") or path.suffix == ".seggpt":
            continue
        if path.is_dir() and output.is_dir() and path.samefile(output):
            continue
        if match or path.is_dir():
            name = match[1] if match else path.name
            found[name if name not in found else path.name] = path
    return found


def _without_labels(
    stacks: dict[str, Path], labels_of: Callable[[str], Path | None]
) -> dict[str, Path]:
    """Leave out the labels of other stacks, and folders that hold these."""
    owners: defaultdict[Path, set[str]] = defaultdict(set)
    for name in stacks:
        labels = labels_of(name)
        if labels is not None:
            for path in (labels.resolve(), *labels.resolve().parents):
                owners[path].add(name)
    return {
        name: path for name, path in stacks.items() if owners[path.resolve()] <= {name}
    }
