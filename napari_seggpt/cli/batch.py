"""Doing the same with each stack of a folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_seggpt.cli.console import say, warn
from napari_seggpt.cli.errors import EXPECTED, USER_ERROR, one_line
from napari_seggpt.cli.interrupt import INTERRUPTED
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STACK_NAME = re.compile(r"(.+?)(\.ome)?\.(tiff?|zarr)", re.IGNORECASE)


def each_stack(
    folder: Path,
    output: Path,
    run: Callable[[Path, Path], int],
    *,
    suffix: str = ".tif",
) -> int:
    """Run a command on each stack of a folder, into files of another folder.

    Their names are those of the stacks, with `suffix`. The other folder may lie in the
    first.

    What goes wrong with one stack is told, and the others are done all the same.

    Returns
    -------
    int
        The exit code: that of the first one that is not 0.
    """
    stacks = _stacks_in(folder, output)
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
    if not found:
        raise ValueError(f"Expected a folder with stacks, got {folder} without any.")
    return found
