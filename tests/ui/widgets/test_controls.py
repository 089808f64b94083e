"""What files are called and say is shown as text, whatever tags are in it."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_seggpt.ui.widgets.controls import Combo, FormRows, as_tooltip
from napari_seggpt.ui.widgets.thumbnails import Thumbnails

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


def test_tooltips_of_references() -> None:
    thumbnails = Thumbnails()
    thumbnails.show_keys([("example", "a")])
    thumbnails.show_reference(0, caption=NAME, tooltip=NAME, is_on=True)
    assert thumbnails.item(0).toolTip() == SHOWN
