from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_seggpt.overlay import (
    CAPTION,
    COLUMNS,
    PANEL,
    draw_overlay,
    draw_sheet,
    label_color,
    save_sheet,
)

GREY = np.full((20, 30, 3), 100, dtype=np.uint8)


def square(label: int, dtype: str = "int64") -> np.ndarray:
    labels = np.zeros((20, 30), dtype=dtype)
    labels[5:15, 5:15] = label
    return labels


def test_label_colours_are_bright_and_apart() -> None:
    colors = np.array([label_color(i) for i in range(1, 31)])
    assert colors.min() >= 0
    assert (colors.max(1) == 255).all()
    gaps = np.linalg.norm(colors[:, None] - colors, axis=2)
    assert gaps[~np.eye(30, dtype=bool)].min() > 15
    neighbours = np.linalg.norm(np.diff(colors, axis=0), axis=1)
    assert neighbours.min() > 100


@pytest.mark.parametrize(
    ("label", "dtype"),
    [(1, "bool"), (1, "uint8"), (-7, "int16"), (2**40, "int64"), (2**63, "uint64")],
)
def test_labels_are_tinted_and_outlined(label: int, dtype: str) -> None:
    overlay = draw_overlay(GREY, square(label, dtype))
    assert overlay.dtype == np.uint8
    np.testing.assert_array_equal(overlay[0, 0], GREY[0, 0])
    np.testing.assert_array_equal(overlay[5, 5], label_color(label))
    tint = 100 * 0.55 + np.array(label_color(label)) * 0.45
    np.testing.assert_allclose(overlay[10, 10], tint, atol=1)


def test_a_picture_without_labels_stays_as_it_is() -> None:
    before = GREY.copy()
    np.testing.assert_array_equal(draw_overlay(GREY, square(0)), before)
    draw_overlay(GREY, square(1))
    np.testing.assert_array_equal(GREY, before)


@pytest.mark.parametrize("count", [1, COLUMNS, COLUMNS + 1])
def test_a_sheet_has_rows_of_panels(count: int) -> None:
    sheet = draw_sheet([("frame", GREY, square(1))] * count)
    height = round(PANEL * 20 / 30)
    rows = -(-count // COLUMNS)
    assert sheet.size == (
        PANEL * min(count, COLUMNS),
        rows * (CAPTION + 2 * height),
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (3, 3000), (500, 2)])
def test_a_sheet_takes_thin_frames(shape: tuple[int, int]) -> None:
    panel = ("thin", np.zeros((*shape, 3), np.uint8), np.ones(shape, int))
    assert max(draw_sheet([panel, panel]).size) >= PANEL


def test_a_sheet_takes_frames_of_other_shapes() -> None:
    other = np.zeros((50, 10, 3), dtype=np.uint8)
    one = ("one", GREY, square(1))
    sheet = draw_sheet([one, ("other", other, np.zeros((50, 10), int))])
    assert sheet.size[0] == 2 * PANEL


def test_a_saved_sheet_can_be_opened(tmp_path: Path) -> None:
    panels = [("frame 0 - reference", GREY, square(2))]
    path = tmp_path / "sheet.png"
    save_sheet(path, panels)
    with Image.open(path) as saved:
        np.testing.assert_array_equal(np.asarray(saved), np.asarray(draw_sheet(panels)))
