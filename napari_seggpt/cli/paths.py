"""Checks of paths before anything is computed: nothing that is read is written over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def check_apart(written: Iterable[Path], read: Iterable[Path]) -> None:
    """Refuse to write over, into or around anything that is read or written too."""
    known = list(read)
    for path in written:
        for other in known:
            if _overlap(path, other):
                raise ValueError(
                    f"Expected to write outside of what is read, got {path} "
                    f"and {other}."
                )
        known.append(path)


def _overlap(one: Path, other: Path) -> bool:
    if one.exists() and other.exists() and one.samefile(other):
        return True  # also where a disk takes stack.tif and Stack.tif for the same
    one, other = one.resolve(), other.resolve()
    return one == other or one in other.parents or other in one.parents


def check_new(path: Path, *, overwrite: bool) -> None:
    """Refuse a path that exists already, unless it may be replaced."""
    if path.exists() and not overwrite:
        raise ValueError(
            f"Expected a new path or --overwrite, got {path}, which exists."
        )
    if not path.parent.is_dir():
        raise ValueError(f"Expected a folder, got {path.parent}, which does not exist.")


def check_picture(path: Path) -> None:
    """Refuse a path that does not end as an image file."""
    endings = Image.registered_extensions()
    if path.suffix.lower() not in endings:
        raise ValueError(f"Expected a picture's ending, as .png, got {path.name}.")
