"""What files are called and say is shown as text, whatever tags are in it."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget

from napari_seggpt.ui.widgets.controls import (
    Combo,
    FoldingSection,
    FormRows,
    as_tooltip,
    muted,
)
from napari_seggpt.ui.widgets.style import tones
from napari_seggpt.ui.widgets.thumbnails import SCORE_HEIGHT, Thumbnails

pytestmark = pytest.mark.usefixtures("qapp")

NAME = '<img src="https://somewhere/x.png">'
SHOWN = "<span>&lt;img src=&quot;https://somewhere/x.png&quot;&gt;</span>"


def test_a_tooltip_shows_tags_and_lines() -> None:
    assert as_tooltip("plain\ntext") == "plain\ntext"
    assert as_tooltip(NAME) == SHOWN
    assert as_tooltip("a < b\n&amp;") == "<span>a &lt; b<br>&amp;amp;</span>"


def test_choices_of_layers_and_files(qtbot: object) -> None:
    combo = Combo()
    combo.fill([(NAME, 1)], 1)
    assert combo.itemText(0) == NAME
    assert combo.itemData(0, Qt.ItemDataRole.ToolTipRole) == SHOWN


def test_labels_of_rows_are_plain_text() -> None:
    row = FormRows().add(NAME, QWidget(), "")
    assert row.label.textFormat() == Qt.TextFormat.PlainText
    assert row.label.text() == NAME


def test_muted_labels_and_summaries_are_plain_text(qtbot) -> None:
    assert muted(NAME).textFormat() == Qt.TextFormat.PlainText
    assert muted(is_rich=True).textFormat() != Qt.TextFormat.PlainText
    section = FoldingSection("Model")
    qtbot.addWidget(section)
    section.set_summary(NAME)
    (summary,) = (x for x in section.findChildren(QLabel) if x.toolTip() == SHOWN)
    assert summary.textFormat() == Qt.TextFormat.PlainText


def test_tooltips_of_references() -> None:
    thumbnails = Thumbnails()
    thumbnails.show_keys([("example", "a")])
    thumbnails.show_reference(0, caption=NAME, tooltip=NAME, is_on=True)
    assert thumbnails.item(0).toolTip() == SHOWN


def test_a_score_is_seen_over_the_picture(qtbot):
    thumbnails = Thumbnails()
    qtbot.addWidget(thumbnails)
    thumbnails.set_tones(tones("dark"))
    thumbnails.show_keys([("example", "a")])
    thumbnails.show_picture(0, np.full((44, 44, 3), 255, np.uint8))
    seen = {}
    for score in ("", "0.96"):
        thumbnails.show_reference(0, caption="14", tooltip="", is_on=True, score=score)
        seen[score] = thumbnails.grab().toImage()
    cell = thumbnails.visualItemRect(thumbnails.item(0))
    picture = thumbnails.delegate._picture_area(cell)
    y = picture.bottom() - SCORE_HEIGHT // 2
    assert seen[""].pixelColor(picture.left() + 1, y).lightness() == 255
    assert seen["0.96"].pixelColor(picture.left() + 1, y).lightness() < 120
    below = picture.bottom() + 4  # the caption has its place to itself
    for x in range(cell.left(), cell.right()):
        assert seen[""].pixel(x, below) == seen["0.96"].pixel(x, below)
