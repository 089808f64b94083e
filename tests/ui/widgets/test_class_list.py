"""The list of labels in use, whatever their ids."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor

from napari_seggpt.ui.widgets.class_list import LABEL, LOCKED, NAME, ClassList


@pytest.mark.parametrize("label", [7, 3_000_000_000, 2**63 + 5, -4])
def test_ids_of_any_size_are_chosen_named_and_locked(qtbot, label):
    classes = ClassList()
    qtbot.addWidget(classes)
    told = []
    for signal in (classes.chosen, classes.named, classes.locked):
        signal.connect(lambda *values: told.append(values))
    colors = {label: QColor("red")}
    classes.show_labels([label], colors, {}, frozenset())
    item = classes.topLevelItem(0)
    classes.setCurrentItem(item)
    classes.itemClicked.emit(item, LABEL)
    item.setText(NAME, "wall")
    item.setCheckState(LOCKED, Qt.CheckState.Checked)
    assert told == [(label,), (label, "wall"), (label, True)]
    classes.show_labels([label], colors, {label: "wall"}, frozenset({label}))
    assert classes.currentItem().text(LABEL) == str(label)


def test_an_id_of_an_array_is_one_like_others(qtbot):
    classes = ClassList()
    qtbot.addWidget(classes)
    label = np.uint64(2**63 + 5)
    classes.show_labels([label], {label: QColor("red")}, {}, frozenset())
    assert classes.topLevelItem(0).text(LABEL) == str(2**63 + 5)
