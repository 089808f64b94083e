"""The panel of step 1: what is seen of the choices."""

import numpy as np
import pytest

from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.panels.data_panel import MAX_AXIS_WIDTH


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
    text = box.fontMetrics().horizontalAdvance(box.currentText())
    assert text < box.width() <= MAX_AXIS_WIDTH
    assert panel.image_box.width() > 60


def test_a_long_name_of_an_axis_does_not_widen_the_dock(panel, qtbot):
    width = panel.minimumSizeHint().width()
    open_image(panel, ("a" * 80, "y", "x"), (3, 16, 16), qtbot)
    assert panel.axis_box.width() <= MAX_AXIS_WIDTH
    assert panel.minimumSizeHint().width() <= max(width, 369)
