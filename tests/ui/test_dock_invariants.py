"""The dock, whatever is pressed in it: a person's work stays, saved and unsaved.

A random person paints, presses buttons, closes the dock and resumes. What must be is
found without the session: from the pixels as they are, and what a run left before.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from napari.components import ViewerModel
from numpy.testing import assert_array_equal
from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QAbstractButton, QApplication

from napari_seggpt.session import FrameStatus, ModelCache, autosave
from napari_seggpt.session.store import folder, saving_thread
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.layers import new_labels
from napari_seggpt.ui.work import saved_sessions
from napari_seggpt.ui.work.jobs import Job

LENGTH, SIDE = 4, 8
BLANK = bytes(2 * SIDE * SIDE)  # labels are of 16 bits
WAIT_SECONDS = 30.0  # a busy machine is slow, not wrong
IDS = 4
ENDS = ("go on", "stop", "pause", "close", "remove labels", "another image")
WAYS = ("restart", "close", "remove labels")

frames = st.integers(0, LENGTH - 1)
places = st.tuples(frames, st.integers(0, SIDE - 1), st.integers(0, SIDE - 1))
ids = st.integers(0, IDS - 1)


class Work(RuleBasedStateMachine):
    """A person at the dock."""

    predictor: ClassVar[Any]
    models: ModelCache
    folder: Path

    @initialize(on_disk=st.booleans(), found=st.dictionaries(frames, ids, max_size=1))
    def open(self, on_disk: bool, found: dict[int, int]) -> None:
        place = Path(tempfile.mkdtemp(dir=self.folder))
        self.patch = pytest.MonkeyPatch()
        self.patch.setenv("NAPARI_SEGGPT_DATA", str(place))
        if on_disk:
            self.patch.setattr(new_labels, "MEMORY_SHARE", 0.0)
        for module in (autosave, saved_sessions):
            self.patch.setattr(module, "RETRY_SECONDS", 0.02)
        self.patch.setattr(saving_thread, "CHECK_SECONDS", 0.02)
        self.patch.setattr(saved_sessions, "SAVE_MS", 5)
        scope = QSettings.Scope.UserScope
        QSettings.setPath(QSettings.Format.IniFormat, scope, str(place / "config"))
        self.exported = place / "labels.ome.tif"
        self.task = place / "task.zip"
        self.viewer = ViewerModel()
        self.images = np.random.default_rng(0).integers(
            0, 255, (2, LENGTH, SIDE, SIDE), np.uint8
        )
        self.dock: SegGPTWidget | None = None
        self.open_dock()
        self.press(self.dock.data_panel.new_button)
        self.settle()
        self.forget()
        for frame, label in found.items():
            self.paint((frame, 4, 4), label, 3)

    def forget(self) -> None:
        """Begin with labels that nobody has written into."""
        self.left: dict[int, bytes] = {}  # what the last run left in a frame
        # What a person asked to be completed, as often as it was.
        self.begun: dict[int, list[np.ndarray]] = {}
        self.approved: set[int] = set()
        self.has_switched = False  # two sessions may have predicted into the labels

    def open_dock(self) -> None:
        """Open the images and the dock, as in a napari that was just started."""
        if not self.viewer.layers:
            for number, image in enumerate(self.images):
                self.viewer.add_image(image, name=f"stack {number}")
            self.viewer.add_shapes(
                [np.array([[0, 0], [0, 4], [4, 4], [4, 0]])], name="region"
            )
            self.viewer.layers.selection.active = self.viewer.layers[0]
        self.dock = SegGPTWidget(self.viewer, models=self.models)
        self.settle()

    # -- the window ----------------------------------------------------------------

    def settle(self) -> None:
        """Let the window and its workers do all they have to do."""
        until = time.monotonic() + WAIT_SECONDS
        quiet = 0
        while quiet < 3:
            assert time.monotonic() < until, "the window does not come to rest"
            QApplication.processEvents()
            quiet = 0 if self.is_busy else quiet + 1
            time.sleep(0.002)

    @property
    def is_busy(self) -> bool:
        active = None if self.dock is None else self.dock.workspace.active
        return bool(Job._alive) or (active is not None and active.runs.is_undoing)

    def press(self, button: QAbstractButton) -> bool:
        """Press a button, if it can be pressed."""
        if button.isEnabled():
            button.click()
            return True
        return False

    @property
    def workspace(self) -> Any:
        assert self.dock is not None
        return self.dock.workspace

    @property
    def is_ready(self) -> bool:
        return self.dock is not None and self.workspace.active is not None

    @property
    def session(self) -> Any:
        return self.workspace.session

    @property
    def layer(self) -> Any:
        return self.workspace.active.labels.layer

    def present(self) -> np.ndarray:
        return np.array(self.layer.data)

    # -- what must be --------------------------------------------------------------

    @property
    def mine(self) -> set[int]:
        """The frames that hold other pixels than a run has left there, or more."""
        return {*self.begun} | {
            frame
            for frame, labels in enumerate(self.present())
            if labels.tobytes() != self.left.get(frame, BLANK)
        }

    @invariant()
    @precondition(lambda self: hasattr(self, "left") and self.is_ready)
    def what_is_mine_is_protected(self) -> None:
        self.workspace.active.labels.flush()
        assert self.mine | self.approved <= self.session.frames.protected
        for scope in ("all", "stale", "forward", "between"):
            assert not (self.mine | self.approved) & {*self.session.plan(scope, 0)}

    @contextmanager
    def the_dock_acts(self, asked: int | None = None) -> Iterator[None]:
        """Check what the dock writes, which a run has left then.

        One frame may have been asked to be completed: what is painted in it stays.
        """
        layer, before = self.layer, self.present()
        mine = self.mine | self.approved
        locked = self.session.frames.locks.labels
        yield
        after = np.array(layer.data)
        for frame, (old, new) in enumerate(zip(before, after, strict=True)):
            if frame == asked:
                assert_array_equal(new[old != 0], old[old != 0])
            elif frame in self.begun:  # its completing may be undone
                begun = self.begun[frame][-1]
                is_there = begun != 0
                assert_array_equal(
                    new[is_there], np.where(old == new, old, begun)[is_there]
                )
            elif frame in mine:
                assert_array_equal(new, old)
            for label in locked:
                assert_array_equal(new == label, old == label)
            if (old != new).any():
                self.left[frame] = new.tobytes()

    @contextmanager
    def pressed(self, asked: int | None = None) -> Iterator[None]:
        """Press something, and wait for all that comes of it."""
        with self.the_dock_acts(asked):
            yield
            self.settle()

    # -- a person paints -----------------------------------------------------------

    @rule(place=places, label=ids, size=st.sampled_from([1, 3]))
    @precondition(lambda self: self.is_ready)
    def paint(self, place: tuple[int, ...], label: int, size: int) -> None:
        self.layer.brush_size = size
        self.layer.paint(place, label)
        self.workspace.active.labels.flush()

    @rule(frame=frames, row=st.integers(0, SIDE - 1), label=ids)
    @precondition(lambda self: self.is_ready)
    def another_plugin_writes(self, frame: int, row: int, label: int) -> None:
        labels = np.array(self.layer.data[frame])
        labels[row:] = label
        self.layer.data[frame] = labels
        self.layer.refresh()
        self.workspace.active.labels.flush()

    @rule(is_undo=st.booleans())
    @precondition(lambda self: self.is_ready)
    def undo_stroke(self, is_undo: bool) -> None:
        (self.layer.undo if is_undo else self.layer.redo)()
        self.workspace.active.labels.flush()
        self.settle()

    @rule()
    @precondition(lambda self: self.is_ready)
    def replace_data(self) -> None:
        """Put an array in memory in place of what the layer shows."""
        self.layer.data = self.present()
        self.settle()

    @rule(frame=frames)
    @precondition(lambda self: self.is_ready)
    def look_at(self, frame: int) -> None:
        self.dock.review_panel.strip.frame_clicked.emit(frame)
        self.settle()

    # -- a person presses buttons that write nothing -------------------------------

    @rule()
    @precondition(lambda self: self.is_ready)
    def approve(self) -> None:
        frame = self.workspace.current
        with self.pressed():
            self.press(self.dock.review_panel.approve_button)
        is_approved = self.session.frames.status(frame) is FrameStatus.APPROVED
        (self.approved.add if is_approved else self.approved.discard)(frame)

    @rule(
        name=st.sampled_from(
            ["toggle_button", "next_button", "previous_button", "least_button",
             "check_button", "suggest_button", "list_button", "tracks_button",
             "preview", "uncertainty", "tune_button", "keep_button", "discard_button",
             "remove_button"]
        )
    )  # fmt: skip
    @precondition(lambda self: self.is_ready)
    def press_one(self, name: str) -> None:
        dock = self.dock
        panels = (
            dock.references_panel, dock.references_panel.advice, dock.review_panel,
            dock.objects_panel, dock.tune_panel,
        )  # fmt: skip
        buttons = {
            "preview": dock.preview.button,
            "uncertainty": dock.review_panel.uncertainty.button,
        }
        found = [getattr(panel, name, None) for panel in panels]
        button = buttons.get(name) or next(each for each in found if each is not None)
        with self.pressed():
            self.press(button)

    @rule(
        frame=frames,
        act=st.sampled_from(["on", "off", "remove", "hint", "no hint"]),
    )
    @precondition(lambda self: self.is_ready)
    def change_reference(self, frame: int, act: str) -> None:
        panel = self.dock.references_panel
        is_one = any(x.frame == frame for x in self.session.references.all)
        if not is_one:
            return
        with self.pressed():
            if act in ("on", "off"):
                panel.thumbnails.ticked.emit(frame, act == "on")
            elif act == "remove":
                panel.thumbnails.removed.emit(frame)
            else:
                hint, *_ = panel.menu_of(frame).actions()
                hint.setChecked(act == "hint")

    @rule(label=st.integers(1, IDS - 1), locked=st.booleans())
    @precondition(lambda self: self.is_ready)
    def lock(self, label: int, locked: bool) -> None:
        self.dock.references_panel.classes.locked.emit(label, locked)
        self.dock.references_panel.classes.named.emit(label, f"class {label}")

    @rule(
        scope=st.integers(0, 8),
        region=st.integers(0, 1),
        memory=st.integers(0, 1),
        becomes_reference=st.booleans(),
    )
    @precondition(lambda self: self.is_ready)
    def set_up(
        self, scope: int, region: int, memory: int, becomes_reference: bool
    ) -> None:
        panel, form = self.dock.run_panel, self.dock.form
        with self.pressed():
            panel.scope_box.setCurrentIndex(scope % panel.scope_box.count())
            panel.region_box.setCurrentIndex(region)
            settings = self.workspace.settings
            form.changed.emit(
                replace(
                    settings,
                    corrections_become_references=becomes_reference,
                    propagation=replace(settings.propagation, memory=memory),
                )
            )

    @rule(
        model=st.integers(0, 1),
        device=st.integers(0, 1),
        is_mixed=st.booleans(),
    )
    @precondition(lambda self: self.is_ready)
    def choose_model_and_picture(self, model: int, device: int, is_mixed: bool) -> None:
        """Choose another model, another device, or a further layer as a channel."""
        rows, panel = self.dock.run_panel.model_rows, self.dock.data_panel
        with self.pressed():
            rows.model_box.setCurrentIndex(model)
            rows.device_box.setCurrentIndex(device)
            (other,) = panel.mix_button.menu().actions()
            if other.isChecked() != is_mixed:
                other.trigger()

    @rule(axis=st.integers(1, 2), place=places, label=ids)
    @precondition(lambda self: self.is_ready)
    def cut_another_way(self, axis: int, place: tuple[int, ...], label: int) -> None:
        """Choose other slices, which are refused once some are labelled; come back."""
        box, layer = self.dock.data_panel.axis_box, self.layer
        with self.pressed():
            box.setCurrentIndex(axis)
        if not self.is_ready:  # nobody watches what is painted now
            layer.paint(place, label)
        before = np.array(layer.data)
        box.setCurrentIndex(0)
        self.settle()
        assert self.layer is layer
        assert_array_equal(layer.data, before)

    @rule(what=st.sampled_from(["choose", "merge"]))
    @precondition(lambda self: self.is_ready)
    def use_other_labels(self, what: str) -> None:
        """Choose other labels and come back, or merge them with these."""
        panel, first = self.dock.data_panel, self.layer
        there = {*self.viewer.layers}
        with self.pressed():
            other = self.viewer.add_labels(np.zeros_like(self.present()), name="other")
            self.settle()
            if what == "choose":
                for layer in (other, first):
                    panel.labels_box.setCurrentText(layer.name)
                    self.settle()
                    assert self.layer is layer
            else:
                self.dock.corner_menu.merging.merge()
                self.settle()
            for layer in {*self.viewer.layers} - there:
                self.viewer.layers.remove(layer)
        assert self.layer is first

    @rule(
        what=st.sampled_from(["labels", "table", "save task", "open task", "examples"])
    )
    @precondition(lambda self: self.is_ready)
    def use_files(self, what: str) -> None:
        menu, examples = self.dock.corner_menu, self.dock.references_panel.examples
        with self.pressed():
            if what == "labels":
                menu.exporting.export(self.exported)
            elif what == "table":
                menu.exporting.export(self.exported.with_name("objects.csv"))
            elif what == "save task":
                examples.task_files.save(self.task)
            elif what == "open task" and self.task.exists():
                examples.task_files.open(self.task)
            elif what == "examples":
                examples.refresh()
                self.press(examples.add_button)

    # -- runs ----------------------------------------------------------------------

    @rule(
        name=st.sampled_from(
            ["run_button", "frame_button", "update_button", "undo_button",
             "redo_button", "carry_button"]
        )
    )  # fmt: skip
    @precondition(lambda self: self.is_ready)
    def run_to_end(self, name: str) -> None:
        panel = self.dock.objects_panel if "carry" in name else self.dock.run_panel
        with self.pressed():
            self.press(getattr(panel, name))
        if name == "undo_button":
            for frame, begun in list(self.begun.items()):
                if self.left.get(frame) != begun[-1].tobytes():
                    continue
                begun.pop()
                if not begun:  # it is this person's again
                    del self.left[frame], self.begun[frame]

    @rule(frame=frames)
    @precondition(lambda self: self.is_ready)
    def complete(self, frame: int) -> None:
        menu = self.dock.references_panel.menu_of(frame)
        if menu is None:
            return
        begun = self.present()[frame]
        with self.pressed(asked=frame):
            menu.actions()[1].trigger()
        if self.left.get(frame) == self.present()[frame].tobytes() != begun.tobytes():
            self.begun.setdefault(frame, []).append(begun)
            self.approved.discard(frame)

    @rule(count=st.integers(0, 2), place=places, label=ids, end=st.sampled_from(ENDS))
    @precondition(lambda self: self.is_ready)
    def act_in_a_run(
        self, count: int, place: tuple[int, ...], label: int, end: str
    ) -> None:
        """Paint once so many frames are predicted; then end the run in some way."""
        runs = self.workspace.active.runs
        self.predictor.seconds = 0.01
        with self.the_dock_acts():
            self.press(self.dock.run_panel.run_button)
            until = time.monotonic() + WAIT_SECONDS
            while runs.is_running and runs.done < count and time.monotonic() < until:
                QApplication.processEvents()
        self.layer.paint(place, label)
        if end in WAYS:
            self.come_back(end)
        else:
            with self.pressed():
                self.end_run(end)
        self.predictor.seconds = 0.0

    def end_run(self, end: str) -> None:
        """Stop a run, have it wait and go on, or leave it."""
        panel = self.dock.run_panel
        if end == "stop":
            self.press(panel.stop_button)
        elif end == "pause" and self.workspace.is_running:
            self.press(panel.run_button)
            self.press(panel.run_button)
        elif end == "another image":
            self.choose_another_image()

    # -- several sessions, and those that were saved -------------------------------

    @rule()
    @precondition(lambda self: self.is_ready)
    def work_on_another_image(self) -> None:
        """Go on with the same labels in another session."""
        with self.pressed():
            self.choose_another_image()

    def choose_another_image(self) -> None:
        box = self.dock.data_panel.image_box
        box.setCurrentIndex(1 - box.currentIndex())
        self.has_switched = True

    @rule()
    @precondition(lambda self: self.is_ready)
    def delete_what_was_saved(self) -> None:
        store = self.dock.saved_sessions.autosave.store
        if store is not None:
            self.wait_until(lambda: _is_removed(store.path))
            self.wait_until(lambda: self.dock.saved_sessions.autosave.store != store)

    @rule(place=places, label=ids)
    @precondition(lambda self: self.is_ready)
    def paint_while_the_disk_is_full(self, place: tuple[int, ...], label: int) -> None:
        def refuse(*_: object) -> None:
            raise OSError("No space left on device")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(folder, "write_whole", refuse)
            self.paint(place, label, 3)
            for _ in range(5):
                QApplication.processEvents()
                time.sleep(0.01)
        self.settle()

    @rule(way=st.sampled_from(WAYS))
    @precondition(lambda self: self.is_ready)
    def come_back(self, way: str) -> None:
        """Lose the labels or close the dock, then go on with what was saved."""
        layer, number = self.layer, self.dock.data_panel.image_box.currentIndex()
        mine = self.mine
        protected = self.session.frames.protected | mine | self.approved
        with self.the_dock_acts():
            if way == "remove labels":
                self.viewer.layers.remove(layer)
            else:
                self.dock.release()
        before = np.array(layer.data)
        if way != "remove labels":
            if way == "restart":
                self.viewer.layers.clear()
            self.open_dock()
        self.dock.data_panel.image_box.setCurrentIndex(number)
        self.settle()
        if (
            not self.dock.saved_sessions.sessions and self.has_switched
        ):  # nobody did anything with this image
            self.choose_another_image()
            self.settle()
        saved = self.dock.saved_sessions.sessions
        assert saved or not (before.any() or self.approved)
        if saved:
            self.dock.sessions_button.menu().actions()[0].trigger()
            self.settle()
        elif not self.is_ready:
            self.press(self.dock.data_panel.new_button)
            self.settle()
        assert_array_equal(self.present(), before)
        present = self.session.frames.protected
        assert mine <= present
        # What was said of a frame in the other session may be known there only.
        assert self.has_switched or protected == present

    def wait_until(self, is_so: Callable[[], object]) -> None:
        until = time.monotonic() + WAIT_SECONDS
        while not is_so():
            assert time.monotonic() < until
            QApplication.processEvents()
            time.sleep(0.002)

    def teardown(self) -> None:
        if getattr(self, "dock", None) is not None:
            self.dock.release()
            self.settle()
            self.viewer.layers.clear()
        if hasattr(self, "patch"):
            self.patch.undo()


def _is_removed(place: Path) -> bool:
    """Remove a folder, and say whether nothing was written there meanwhile."""
    shutil.rmtree(place, ignore_errors=True)
    return not place.exists()


# A share of the examples finds what is badly broken; the slow tests run all of them.
@pytest.mark.parametrize("share", [0.05, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("qapp")
def test_a_persons_work_is_safe_whatever_is_pressed(
    models: ModelCache, predictor: type, tuner: object, tmp_path: Path, share: float
) -> None:
    given = {"models": models, "predictor": predictor, "folder": tmp_path}
    run_state_machine_as_test(
        type("Work", (Work,), given),
        settings=hypothesis_settings(
            max_examples=int(hypothesis_settings().max_examples / 2 * share),
            stateful_step_count=25,
        ),
    )
