"""PngLabels: a label stack in a folder of PNG files, one a frame."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_seggpt.files import whole_file
from napari_seggpt.io.drafts import is_draft
from napari_seggpt.io.folder import PictureSource, frame_files
from napari_seggpt.io.labels import LabelsGeometry, LabelsWriter
from napari_seggpt.io.layout import StackError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

_FRAME_NAME = re.compile(r"frame_\d+\.png")


class PngLabels(LabelsWriter):
    """Labels in a folder of PNG files."""

    def __init__(
        self, path: Path, geometry: LabelsGeometry, frames: Sequence[Path]
    ) -> None:
        super().__init__(path, geometry)
        self._frames = tuple(frames)

    @staticmethod
    def check_dtype(dtype: np.dtype[Any], path: Path) -> None:
        """Refuse integers that PNG cannot hold."""
        if dtype.name not in ("uint8", "uint16"):
            raise StackError(
                f"Expected uint8 or uint16 for PNG files, got {dtype}: TIFF and zarr "
                "hold ids beyond 65535, and negative ones."
            )

    @staticmethod
    def check_replaceable(path: Path) -> None:
        """Refuse a folder of anything but frames that were written here."""
        if not path.is_dir():
            raise StackError(f"Expected a folder to replace, got the file {path}.")
        for file in sorted(path.iterdir()):
            if not (_FRAME_NAME.fullmatch(file.name) or is_draft(file)):
                raise StackError(
                    f"Expected a folder of nothing but label frames to replace, got "
                    f"{file.name} in {path}."
                )

    @staticmethod
    def create(path: Path, geometry: LabelsGeometry) -> None:
        """Write a file of zeros for every frame."""
        path.mkdir()
        digits = max(4, len(str(geometry.length - 1)))
        frames = [path / f"frame_{i:0{digits}}.png" for i in range(geometry.length)]
        _save_png(frames[0], np.zeros(geometry.frame_shape, geometry.dtype))
        for frame in frames[1:]:
            shutil.copyfile(frames[0], frame)

    @classmethod
    def open(cls, path: Path, geometry: LabelsGeometry) -> PngLabels:
        """List the files of an existing folder, without the images beside masks."""
        cls.check_dtype(geometry.dtype, path)
        frames, _ = frame_files(path, labels=True)
        if len(frames) != geometry.length:
            raise StackError(
                f"Expected {geometry.length} label files in {path.name}, got "
                f"{len(frames)}."
            )
        if any(frame.suffix.lower() != ".png" for frame in frames):
            raise StackError(f"Expected a folder of PNG files, got {path.name}.")
        return cls(path, geometry, frames)

    def _write(self, frame: int, labels: npt.NDArray[Any]) -> None:
        _save_png(self._frames[frame], labels)

    def _read(self, frame: int) -> npt.NDArray[Any]:
        source = PictureSource(self._frames[frame], labels=True)
        pixels = source.read((slice(None), slice(None), 0))
        return pixels.astype(self.geometry.dtype)


def _save_png(path: Path, labels: npt.NDArray[Any]) -> None:
    """Write a PNG file that others see either as it was or whole."""
    with whole_file(path) as draft:
        Image.fromarray(labels).save(draft, format="PNG")
