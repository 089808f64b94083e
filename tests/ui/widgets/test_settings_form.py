"""The form: every field of the settings can be edited, within what they accept."""

from dataclasses import fields, is_dataclass, replace

import pytest

from napari_seggpt.session.store.settings import restored
from napari_seggpt.settings import (
    MAX_LABELS_PER_PASS,
    ContrastSettings,
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
    TilingSettings,
)
from napari_seggpt.ui.dock import ELSEWHERE
from napari_seggpt.ui.widgets.settings_form import (
    SettingsForm,
    accepted_limits,
    documentation,
)
from napari_seggpt.ui.work.preferences import Preferences


@pytest.fixture
def form(qtbot):
    form = SettingsForm(SessionSettings(), skip=ELSEWHERE)
    qtbot.addWidget(form)
    return form


def paths(settings, prefix=""):
    for each in fields(settings):
        value = getattr(settings, each.name)
        if is_dataclass(value):
            yield from paths(value, f"{prefix}{each.name}.")
        else:
            yield prefix + each.name


def test_every_setting_is_in_the_form_or_elsewhere_in_the_dock(form):
    for path in paths(SessionSettings()):
        if path not in ELSEWHERE:
            assert form.editor(path).toolTip(), path


@pytest.mark.parametrize(
    ("path", "change", "expected"),
    [
        ("corrections_become_references", lambda e: e.box.click(), False),
        ("prediction.seg_type", lambda e: e.box.setCurrentIndex(1), "instance"),
        ("prediction.max_prompts", lambda e: e.box.setValue(3), 3),
        ("prediction.tiling.enabled", lambda e: e.box.click(), True),
        ("prediction.tiling.overlap", lambda e: e.box.setValue(0.4), 0.4),
        ("propagation.direction", lambda e: e.box.setCurrentIndex(2), "backward"),
        ("contrast.percentiles", lambda e: e.boxes[0].setValue(2), (2.0, 99.5)),
        ("contrast.limits", lambda e: e.switch.click(), (0.0, 255.0)),
    ],
)
def test_a_change_makes_new_settings(form, qtbot, path, change, expected):
    taken = []
    form.changed.connect(taken.append)
    change(form.editor(path))
    (settings,) = taken
    value = settings
    for name in path.split("."):
        value = getattr(value, name)
    assert value == expected
    form.show_settings(SessionSettings())
    assert form.settings == SessionSettings()
    assert len(taken) == 1


def test_what_is_refused_is_said_and_taken_back(form):
    said = []
    form.refused.connect(said.append)
    low, _ = form.editor("contrast.percentiles").boxes
    low.setValue(99.9)
    assert "percentiles" in said[0]
    assert low.value() == 0.5
    assert form.settings == SessionSettings()


def test_numbers_stay_within_what_is_accepted():
    limits = accepted_limits(PredictionSettings(), "labels_per_pass", whole=True)
    assert limits == (1, MAX_LABELS_PER_PASS)
    assert accepted_limits(TilingSettings(), "overlap") == (0.0, 0.5)
    assert accepted_limits(TilingSettings(), "scale")[0] == pytest.approx(0.01)


def test_tooltips_are_the_documentation():
    about = documentation(PredictionSettings)
    assert about["device"] == about["precision"]
    assert about["batch"].startswith("How many pictures")
    assert "Notes" not in " ".join(documentation(ContrastSettings).values())


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
        {"contrast": {"limits": [3, 1], "percentiles": None}},
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
