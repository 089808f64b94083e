"""The panel of step 1: what is seen of the choices."""

import numpy as np
import pytest

from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.panels.data_panel import ARROW_WIDTH, MAX_AXIS_WIDTH


@pytest.fixture
def panel(viewer_model, qtbot):
    dock = SegGPTWidget(viewer_model)
    qtbot.addWidget(dock)
    dock.resize(369, 700)
    dock.show()
    yield dock.data_panel
    dock.release()


def open_image(panel, axes, shape, qtbot):
    viewer = panel._workspace.viewer
    viewer.layers.clear()
    viewer.add_image(np.zeros(shape, np.uint8), name="n" * 60, axis_labels=axes)
    qtbot.wait(20)


@pytest.mark.parametrize(
    ("axes", "shape"), [("tzyx", (3, 4, 16, 16)), ("tyx", (24, 16, 16))]
)
def test_the_axis_is_read_whole_and_a_long_name_leaves_it_room(
    panel, axes, shape, qtbot
):
    open_image(panel, tuple(axes), shape, qtbot)
    box = panel.axis_box
    assert box.currentText().startswith(f"{box.shown_text}:")  # without the numbers
    text = box.fontMetrics().horizontalAdvance(box.shown_text)
    assert text < box.width() <= MAX_AXIS_WIDTH
    assert panel.image_box.width() > 120
    assert "n" * 60 in panel.image_box.toolTip()


def test_a_list_that_is_opened_has_room_for_its_names(panel, qtbot):
    open_image(panel, tuple("tzyx"), (3, 4, 16, 16), qtbot)
    box = panel.axis_box
    box.showPopup()
    texts = [box.itemText(i) for i in range(box.count())]
    widest = max(map(box.fontMetrics().horizontalAdvance, texts))
    assert box.view().width() >= widest > box.width() - ARROW_WIDTH
    box.hidePopup()


def test_a_long_name_of_an_axis_does_not_widen_the_dock(panel, qtbot):
    width = panel.minimumSizeHint().width()
    open_image(panel, ("a" * 80, "y", "x"), (3, 16, 16), qtbot)
    assert panel.axis_box.width() <= MAX_AXIS_WIDTH
    assert panel.minimumSizeHint().width() <= max(width, 369)
