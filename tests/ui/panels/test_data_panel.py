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


def axis_texts(panel):
    return [panel.axis_box.itemText(i) for i in range(panel.axis_box.count())]


def test_axes_without_a_name_are_called_as_the_sliders_show_them(panel, qtbot):
    open_image(panel, None, (4, 5, 2, 16, 16), qtbot)
    sliders = panel._workspace.viewer.dims.axis_labels
    assert sliders[:3] == ("-5", "-4", "-3")
    assert axis_texts(panel) == [
        "slider -5 and slider -4: 4 x 5",
        "slider -5: 4",
        "slider -4: 5",
        "slider -3: 2",
    ]
    rows = [r.label.text() for r, _ in panel._other_axes if not r.field.isHidden()]
    assert rows == ["Slider -4", "Slider -3"]
    open_image(panel, ("t", "", "c", "y", "x"), (4, 5, 2, 16, 16), qtbot)
    assert "slider -4: 5" in axis_texts(panel)
    assert "time (t): 4" in axis_texts(panel)


def test_the_only_axis_without_a_name_is_that_of_the_frames(panel, qtbot):
    open_image(panel, None, (12, 16, 16), qtbot)
    assert axis_texts(panel)[0] == "frames: 12"
    assert panel.axis_box.shown_text == "frames"


def test_frames_along_two_axes_without_names_are_named_by_sliders(panel, qtbot):
    open_image(panel, None, (4, 5, 16, 16), qtbot)
    workspace = panel._workspace
    workspace.choose(workspace.choice.with_axis((0, 1)))
    workspace.make_labels()
    qtbot.waitUntil(lambda: workspace.active is not None)
    assert workspace.active.name(7) == "slider -4 at 1, slider -3 at 2"
    workspace.session.references.add(7)
    thumbnails = panel.window().references_panel.thumbnails
    qtbot.waitUntil(lambda: thumbnails.count() == 1)
    assert thumbnails.item(0).text() == "1, 2"  # there is room for no more


def test_a_long_name_of_an_axis_does_not_widen_the_dock(panel, qtbot):
    width = panel.minimumSizeHint().width()
    open_image(panel, ("a" * 80, "y", "x"), (3, 16, 16), qtbot)
    assert panel.axis_box.width() <= MAX_AXIS_WIDTH
    assert panel.minimumSizeHint().width() <= max(width, 369)
