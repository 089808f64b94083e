"""The dock's controls in every state: words, tooltips, reasons and places."""

import re

import numpy as np
import pytest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_seggpt.session import FrameStatus
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.layers.layer_choice import unwrapped
from napari_seggpt.ui.work import actions

WAIT_MS = 20_000
JARGON = re.compile(r"\bdice\b|ensemble|\bpass(es)?\b|seg.?type|\bstale\b", re.I)
SMALL_DOCK = (332, 683)  # what napari leaves the dock on a screen of 1366 x 768


@pytest.fixture
def dock(make_napari_viewer_proxy, models, predictor, qtbot):
    viewer = make_napari_viewer_proxy()
    frame = QWidget()  # shown, unlike the viewer's window, and in napari's style
    frame.setStyleSheet(unwrapped(viewer).window._qt_window.styleSheet())
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(0, 0, 0, 0)
    dock = SegGPTWidget(viewer, models=models)
    layout.addWidget(dock)
    frame.setFixedSize(*SMALL_DOCK)
    frame.show()
    qtbot.wait(50)
    yield dock
    predictor.gate.set()
    dock.release()
    frame.close()


def add_layers(dock, qtbot):
    dock.viewer.add_image(np.zeros((9, 24, 24), np.uint8), name="stack")
    labels = np.zeros((9, 24, 24), np.uint8)
    labels[3, 4:14, 5:15] = 1
    dock.viewer.add_labels(labels, name="mine")
    qtbot.waitUntil(
        lambda: dock.workspace.active and not dock.workspace.active.is_scanning,
        timeout=WAIT_MS,
    )


def until(qtbot, condition):
    qtbot.waitUntil(condition, timeout=WAIT_MS)
    qtbot.wait(150)  # what is counted a little later


def go_through(dock, predictor, qtbot):
    """Yield the name of each state that the dock is brought into."""
    yield "empty"
    add_layers(dock, qtbot)
    qtbot.wait(300)
    yield "reference"
    predictor.gate.clear()
    actions.run_or_pause(dock.workspace)
    until(qtbot, lambda: dock.workspace.is_running)
    yield "running"
    dock.workspace.active.runs.pause_or_resume()
    qtbot.wait(100)
    yield "paused"
    dock.workspace.active.runs.pause_or_resume()
    predictor.gate.set()
    until(qtbot, lambda: not dock.workspace.is_busy)
    yield "predicted"
    dock.workspace.active.navigation.go_to(7)
    dock.workspace.active.labels.layer.paint((7, 20, 20), 2)
    statuses = dock.workspace.session.frames
    until(qtbot, lambda: statuses.status(7) is FrameStatus.CORRECTED)
    actions.toggle_approval(dock.workspace)
    qtbot.wait(400)
    yield "corrected"
    dock.workspace.show_message("A long message. " * 40)
    qtbot.wait(100)
    yield "long message"
    actions.undo_run(dock.workspace)
    until(qtbot, lambda: not dock.workspace.is_busy)
    yield "undone"


def places(dock):
    """Return where the buttons and boxes are that are always there."""
    found = {}
    for panel in (*dock._panels, dock.advanced_panel):
        if panel.body.isVisible():
            for control in panel.findChildren(QPushButton) + panel.findChildren(
                QAbstractItemView
            ):
                if control.isVisible():
                    corner = control.mapTo(dock, control.rect().topLeft())
                    size = (control.width(), control.height())
                    found[control] = (corner.x(), corner.y(), *size)
        corner = panel._header.mapTo(dock, panel._header.rect().topLeft())
        found[panel] = (corner.x(), corner.y())
    return found


def test_nothing_moves_and_all_steps_are_seen(dock, predictor, qtbot):
    before = {}
    for state in go_through(dock, predictor, qtbot):
        now = places(dock)
        assert len(now) > 15
        for control, place in now.items():
            assert before.setdefault(control, place) == place, (state, control)
        bar = dock._area.verticalScrollBar()
        assert bar.maximum() == 0, (state, bar.maximum())


def test_all_steps_are_seen_with_channels_too(dock, qtbot):
    film = np.zeros((3, 4, 2, 24, 24), np.uint8)
    dock.viewer.add_image(film, name="n" * 60, axis_labels=("t", "z", "c", "y", "x"))
    dock.workspace.make_labels()
    until(qtbot, lambda: dock.workspace.active is not None)
    assert dock.data_panel.num_further_rows == 1
    assert dock._area.verticalScrollBar().maximum() == 0


def add_film(dock, qtbot, length=4):
    """Add an image of time, z and channels, worked on along time at one z."""
    film = np.zeros((length, 5, 2, 24, 24), np.uint8)
    dock.viewer.add_image(film, name="n" * 60, axis_labels=("t", "z", "c", "y", "x"))
    dock.workspace.choose(dock.workspace.choice.with_axis(0))
    dock.workspace.make_labels()
    until(qtbot, lambda: dock.workspace.active is not None)
    assert dock.data_panel.num_further_rows == 2


def test_all_steps_are_seen_with_a_fixed_axis_and_channels(dock, qtbot):
    add_film(dock, qtbot)
    bar = dock._area.verticalScrollBar()
    assert bar.maximum() == 0
    dock.viewer.layers.clear()
    add_layers(dock, qtbot)
    qtbot.wait(50)
    assert dock.hint_line.height() > 60  # the usual height again
    assert bar.maximum() == 0


def test_many_references_are_seen_whole_where_the_dock_is_low(dock, qtbot):
    add_film(dock, qtbot, length=9)
    labels, z = dock.workspace.active.labels, dict(dock.workspace.choice.fixed)[1]
    for frame in range(9):
        labels.layer.paint((frame, z, 0, 12, 12), 1)
    labels.flush()
    shown = dock.references_panel.thumbnails
    until(qtbot, lambda: shown.count() == 9)
    until(qtbot, lambda: shown.horizontalScrollBar().maximum() > 0)
    assert shown.viewport().height() >= shown.delegate.size.height()


def test_what_the_hint_has_lines_for_does_not_scroll(dock, qtbot):
    dock.workspace.show_message("<br>".join("abcd"))
    bar = dock.hint_line._area.verticalScrollBar()
    qtbot.waitUntil(lambda: dock.hint_line.text.endswith("d"), timeout=WAIT_MS)
    qtbot.wait(50)
    assert bar.maximum() == 0
    dock.hint_line.set_low(True)
    dock.workspace.show_message("<br>".join("abc"))
    qtbot.waitUntil(lambda: dock.hint_line.text.endswith("c"), timeout=WAIT_MS)
    qtbot.wait(50)
    assert bar.maximum() == 0


def own(dock, kind):
    """Return the dock's controls of a kind, without the parts of others."""
    return [
        each
        for each in dock.findChildren(kind)
        if not each.objectName().startswith("qt_")
        and not isinstance(each.parent(), QComboBox)
        and "Combo" not in type(each.parent()).__name__
    ]


def test_every_control_says_what_it_does(dock, predictor, qtbot):
    kinds = (
        QAbstractButton, QComboBox, QAbstractSpinBox, QProgressBar, QAbstractItemView
    )  # fmt: skip
    for state in go_through(dock, predictor, qtbot):
        controls = [control for kind in kinds for control in own(dock, kind)]
        assert len(controls) > 40
        silent = [
            (type(each).__name__, getattr(each, "text", str)())
            for each in controls
            if not each.toolTip()
            and each is not dock.review_panel.strip
            and type(each).__name__ not in ("QHeaderView", "QListView")  # parts
        ]
        assert not silent, state


def test_what_is_off_says_why(dock, predictor, qtbot):
    reasons = set()
    for state in go_through(dock, predictor, qtbot):
        for button in own(dock, QPushButton):
            about = button.property("about")
            if not button.isEnabled():
                assert about, (state, button.text())
                assert button.toolTip().endswith(about), (state, button.text())
                assert len(button.toolTip()) > len(about), (state, button.text())
                reasons.add(button.toolTip().removesuffix(about).strip())
            elif about:
                assert button.toolTip() == about, (state, button.text())
    assert {"A run is on.", "There is no run to undo."} < reasons


def test_no_word_of_the_trade_stands_alone(dock, predictor, qtbot):
    for state in go_through(dock, predictor, qtbot):
        texts = [label.text() for label in dock.findChildren(QLabel)]
        texts += [each.text() for each in own(dock, QAbstractButton)]
        boxes = own(dock, QComboBox)
        texts += [box.itemText(i) for box in boxes for i in range(box.count())]
        assert len(texts) > 60
        found = [text for text in texts if JARGON.search(text)]
        assert not found, state


def test_what_is_opened_is_seen_whole_and_the_rest_comes_back(dock, qtbot):
    add_layers(dock, qtbot)
    steps = [panel for panel in dock._panels if panel.is_open]
    bar = dock._area.verticalScrollBar()
    for drawer in (dock.objects_panel, dock.tune_panel):
        drawer.set_open(True)
        qtbot.wait(50)
        assert bar.maximum() == 0, drawer.title
        assert dock.run_panel.is_open
        assert not dock.data_panel.is_open
        kept = dock.preferences.load_folds()
        assert kept["1  Data"]  # it is folded for a while only
        assert kept[drawer.title]
        drawer.set_open(False)
        qtbot.wait(50)
        assert [panel for panel in dock._panels if panel.is_open] == steps


def test_the_fields_of_all_sections_begin_at_one_place(dock, qtbot):
    width = dock.minimumSizeHint().width()
    add_film(dock, qtbot)
    qtbot.wait(50)
    fields = [
        dock.data_panel.labels_box, dock.data_panel.channels_button,
        dock.data_panel._other_axes[0][1], dock.run_panel.scope_box,
    ]  # fmt: skip
    places = {each.mapTo(dock, each.rect().topLeft()).x() for each in fields}
    assert len(places) == 1
    assert dock.minimumSizeHint().width() <= max(width, 369)


def list_objects(dock, qtbot):
    panel = dock.objects_panel
    panel.list_objects()
    until(qtbot, lambda: panel._job is None)
    assert panel.table.isVisible()


def test_a_list_that_comes_makes_room_for_itself(dock, qtbot):
    add_layers(dock, qtbot)
    dock.objects_panel.set_open(True)
    qtbot.wait(50)
    assert dock.references_panel.is_open
    list_objects(dock, qtbot)
    assert dock._area.verticalScrollBar().maximum() == 0
    assert not dock.references_panel.is_open
    assert dock.run_panel.is_open
    dock.objects_panel.set_open(False)
    assert dock.references_panel.is_open


def test_a_list_that_comes_leaves_open_what_a_person_opened(dock, qtbot):
    add_layers(dock, qtbot)
    dock.objects_panel.set_open(True)
    qtbot.wait(50)
    dock.review_panel.set_open(True)
    list_objects(dock, qtbot)
    assert dock.review_panel.is_open
    dock.objects_panel.set_open(False)
    assert dock.data_panel.is_open


def test_a_tuning_is_seen_whole(dock, tuner, qtbot):
    add_layers(dock, qtbot)
    dock.workspace.active.labels.layer.paint((7, 12, 12), 1)
    panel = dock.tune_panel
    panel.set_open(True)
    until(qtbot, lambda: panel.tune_button.text() == "Tune on 2 references")
    panel.tune_button.click()
    until(qtbot, lambda: not dock.workspace.active.tuning.is_on)
    assert sum(each.isVisible() for each in panel.pair_buttons) == 3
    assert panel.curve.isVisible()
    assert dock._area.verticalScrollBar().maximum() == 0


def assert_header_is_on_top(dock, section):
    top = section.mapTo(dock._area, section.rect().topLeft())
    assert 0 <= top.y() < 30


def test_the_header_stays_on_top_while_the_window_is_laid_out(dock, qtbot):
    add_layers(dock, qtbot)
    dock.advanced_panel.set_open(True)
    qtbot.wait(50)
    bar = dock._area.verticalScrollBar()
    bar.setValue(bar.maximum())  # the content was higher, until parts of it were folded
    bar.rangeChanged.emit(0, bar.maximum())
    qtbot.wait(50)
    assert_header_is_on_top(dock, dock.advanced_panel)


def test_of_a_section_that_is_too_long_the_header_is_seen(dock, qtbot):
    add_layers(dock, qtbot)
    dock.tune_panel.set_open(True)
    dock.advanced_panel.set_open(True)
    qtbot.wait(100)
    assert not dock.tune_panel.is_open  # one at a time
    assert_header_is_on_top(dock, dock.advanced_panel)
    dock.references_panel.set_open(True)  # a person wants it
    dock.advanced_panel.set_open(False)
    assert dock.references_panel.is_open
    dock.references_panel.set_open(False)
    assert dock.data_panel.is_open


def test_what_is_folded_as_the_window_opens_is_kept_as_open(dock, qtbot):
    """Else each start of napari would leave one more step folded for good."""
    add_layers(dock, qtbot)
    dock.window().hide()
    dock.advanced_panel.set_open(True)  # as it was left
    dock.window().show()
    qtbot.waitUntil(lambda: not dock.references_panel.is_open)
    assert all(dock.preferences.load_folds()[x.title] for x in dock.room.folded)
    qtbot.wait(100)
    assert_header_is_on_top(dock, dock.advanced_panel)


def test_where_there_is_room_nothing_is_folded(dock, qtbot):
    add_layers(dock, qtbot)
    dock.window().setFixedSize(369, 1200)
    qtbot.wait(50)
    dock.objects_panel.set_open(True)
    dock.tune_panel.set_open(True)
    qtbot.wait(50)
    assert all(panel.is_open for panel in dock._panels)
