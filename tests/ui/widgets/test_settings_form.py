"""The form: every field of the settings can be edited, within what they accept."""

from dataclasses import fields, is_dataclass, replace

import pytest
from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, SpinBox, TupleEdit
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel

from napari_seggpt.fields import all_fields, own_fields, value_at, with_value
from napari_seggpt.session.store.settings import restored
from napari_seggpt.settings import (
    MAX_LABELS_PER_PASS,
    ContrastSettings,
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
    TilingSettings,
    TuningSettings,
)
from napari_seggpt.training.recipe import Recipe
from napari_seggpt.ui.dock import ELSEWHERE
from napari_seggpt.ui.widgets.settings_form import OptionalEdit, SettingsForm
from napari_seggpt.ui.work.preferences import Preferences


@pytest.fixture
def form(qtbot):
    form = SettingsForm(SessionSettings(), skip=ELSEWHERE)
    qtbot.addWidget(form)
    return form


def is_editable(path):
    is_group = is_dataclass(all_fields(SessionSettings)[path].kind.type)
    return not is_group and path not in ELSEWHERE


def test_every_setting_is_in_the_form_or_elsewhere_in_the_dock(form):
    labels = {label.text() for label in form.findChildren(QLabel)}
    for path, field in all_fields(SessionSettings).items():
        if path in ELSEWHERE:
            continue
        if is_dataclass(field.kind.type):
            own = [f"{path}.{name}" for name in own_fields(field.kind.type)]
            if any(is_editable(each) for each in own):
                assert field.label in labels
            continue
        native = form.editor(path).native
        assert native.toolTip() == field.help, path
        assert field.label in {*labels, getattr(native, "text", str)()}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("corrections_become_references", CheckBox),
        ("prediction.seg_type", ComboBox),
        ("prediction.max_prompts", SpinBox),
        ("prediction.tiling.overlap", FloatSpinBox),
        ("contrast.percentiles", TupleEdit),
        ("contrast.limits", OptionalEdit),
    ],
)
def test_a_type_has_its_editor(form, path, kind):
    assert isinstance(form.editor(path), kind)


@pytest.mark.parametrize(
    ("path", "change", "expected"),
    [
        ("corrections_become_references", lambda e: e.native.click(), False),
        ("prediction.seg_type", lambda e: e.native.setCurrentIndex(1), "instance"),
        ("prediction.max_prompts", lambda e: e.native.setValue(3), 3),
        ("prediction.tiling.enabled", lambda e: e.native.click(), True),
        ("prediction.tiling.overlap", lambda e: e.native.setValue(0.4), 0.4),
        ("propagation.direction", lambda e: e.native.setCurrentIndex(2), "backward"),
        ("contrast.percentiles", lambda e: e[0].native.setValue(2), (2.0, 99.5)),
        ("contrast.limits", lambda e: e.switch.native.click(), (0.0, 255.0)),
    ],
)
def test_a_change_makes_new_settings(form, qtbot, path, change, expected):
    taken = []
    form.changed.connect(taken.append)
    change(form.editor(path))
    (settings,) = taken
    assert value_at(settings, path) == expected
    assert form.editor(path).value == expected
    form.show_settings(SessionSettings())
    assert form.settings == SessionSettings()
    assert form.editor(path).value == value_at(SessionSettings(), path)
    assert len(taken) == 1


OTHERS = {
    "prediction.seg_type": "instance",
    "prediction.max_prompts": 3,
    "prediction.labels_per_pass": MAX_LABELS_PER_PASS,
    "prediction.batch": 12,
    "prediction.precision": "float32",
    "prediction.ensemble": "spatial",
    "propagation.memory": 3,
    "prediction.tiling.enabled": True,
    "prediction.tiling.scale": 0.125,
    "prediction.tiling.overlap": 0.5,
    "propagation.direction": "backward",
    "contrast.limits": (-0.0125, 3e7),
    "contrast.percentiles": (0.0, 100.0),
    "objects.enlarge": False,
    "objects.linking.enabled": False,
    "objects.linking.along": "t",
    "objects.linking.gap": 0,
    "objects.linking.reach": 2.5,
    "cleanup.smallest": 12.0,
    "cleanup.fill_holes": "no",
    "cleanup.largest_only": True,
    "cleanup.smooth": 1.5,
    "cleanup.thresholds": (0.5, 0.75),
    "corrections_become_references": False,
}


def test_what_is_shown_is_what_is_read(form):
    assert set(OTHERS) == set(form._editors)
    settings = SessionSettings()
    for path, value in OTHERS.items():
        settings = with_value(settings, path, value)
    form.changed.connect(lambda _: pytest.fail("Showing settings is no change."))
    form.show_settings(settings)
    assert {path: form.editor(path).value for path in OTHERS} == OTHERS
    form.show_settings(SessionSettings())
    assert form.editor("contrast.limits").value is None


def test_what_is_refused_is_said_and_taken_back(form):
    said = []
    form.refused.connect(said.append)
    low, _ = form.editor("contrast.percentiles")
    low.native.setValue(99.9)
    assert "percentiles" in said[0]
    assert low.value == 0.5
    assert form.settings == SessionSettings()


def spins_of(editor):
    edit = editor.edit if isinstance(editor, OptionalEdit) else editor
    parts = list(edit) if isinstance(edit, TupleEdit) else [edit]
    return [part for part in parts if isinstance(part, SpinBox | FloatSpinBox)]


@pytest.mark.parametrize("kind", [SessionSettings, TuningSettings])
def test_editors_go_as_far_as_the_limits(qtbot, kind):
    form = SettingsForm(kind())
    qtbot.addWidget(form)
    for path, field in all_fields(kind).items():
        if is_dataclass(field.kind.type):
            continue
        assert form.editor(path).value == field.default
        numbers = field.kind.item or field.kind
        for spin in spins_of(form.editor(path)):
            for end, step in ((spin.min, -1), (spin.max, 1)):
                assert numbers.accepts(end), path
                beyond = end + step
                is_limited = abs(end) < 10**6
                assert numbers.accepts(beyond) != is_limited, path
        if field.kind.choices:
            assert form.editor(path).choices == field.kind.choices


def test_a_number_is_taken_when_it_is_complete(form, qtbot):
    form.show()
    taken = []
    form.changed.connect(taken.append)
    spin = form.editor("prediction.max_prompts").native
    spin.setFocus()
    spin.selectAll()
    QTest.keyClicks(spin, "12")
    assert not taken
    QTest.keyClick(spin, "\r")
    assert [each.prediction.max_prompts for each in taken] == [12]


def test_other_dataclasses_have_a_form(qtbot):
    form = SettingsForm(Recipe(), skip=["image_sizes"])
    qtbot.addWidget(form)
    names = {each.name for each in fields(Recipe)} - {"image_sizes"}
    assert set(form._editors) == names
    form.editor("config").value = "tiny"
    assert form.settings == Recipe(config="tiny")


def test_preferences_come_back():
    settings = SessionSettings(
        model="seggpt-vit-large",
        prediction=PredictionSettings(tiling=TilingSettings(enabled=True, scale=2.0)),
        propagation=PropagationSettings(memory=7, start=3, stop=9),
        contrast=ContrastSettings(limits=(1.0, 9.0)),
        corrections_become_references=False,
    )
    Preferences().save_settings(settings)
    expected = replace(settings, propagation=PropagationSettings(memory=7))
    assert Preferences().load_settings() == expected


@pytest.mark.parametrize(
    "found",
    [
        {"model": 3, "unknown": 1, "prediction": "none"},
        {"prediction": {"batch": "many", "device": "abacus", "max_prompts": -1}},
        {"prediction": {"batch": 2.0, "tiling": {"scale": float("nan")}}},
        {"contrast": {"limits": [3, 1], "percentiles": None}},
        {"contrast": {"limits": [[1], 2], "percentiles": [1, 2, 3]}},
        {"corrections_become_references": "yes"},
    ],
)
def test_what_cannot_be_read_is_the_default(found):
    assert restored(SessionSettings(), found) == SessionSettings()


def test_damaged_preferences_are_the_default():
    preferences = Preferences()
    preferences._store.setValue("settings", "{broken")
    preferences._store.setValue("seconds", "[1, 2]")
    assert preferences.load_settings() == SessionSettings()
    assert preferences.load_times() == {}


def test_numbers_are_written_with_commas(form):
    editor, taken = form.editor("cleanup.thresholds"), []
    form.changed.connect(taken.append)
    assert editor.native.text() == "0"
    editor.native.setText("0.5, 0.25")
    editor.native.editingFinished.emit()
    assert taken[-1].cleanup.thresholds == (0.5, 0.25)
    form.show_settings(SessionSettings())
    assert editor.native.text() == "0"


@pytest.mark.parametrize("text", ["", "much", "2", "0.5,,1"])
def test_what_is_no_number_is_refused(form, text):
    editor, refused = form.editor("cleanup.thresholds"), []
    form.refused.connect(refused.append)
    editor.native.setText(text)
    editor.native.editingFinished.emit()
    assert "Expected thresholds as 1 or more numbers from 0 to 1" in refused[0]
    assert editor.native.text() == "0"
    assert form.settings == SessionSettings()


def test_no_label_makes_its_row_taller(form, qtbot):
    """With the padding of napari's style, or a larger one, labels stay on a line."""
    form.setStyleSheet("QLabel { padding: 1px 8px; }")
    form.resize(300, 800)
    form.show()
    qtbot.waitExposed(form)
    labels = {label.text(): label for label in form.findChildren(QLabel)}
    for path, field in all_fields(SessionSettings).items():
        if is_editable(path) and field.label in labels and field.kind.type is not bool:
            native = form.editor(path).native
            assert labels[field.label].height() <= native.height() + 2, path
