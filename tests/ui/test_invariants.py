"""A session on a real Labels layer, whatever a person, napari and runs do to it.

What must be is found without the session: from the pixels as they are, what the last
run left in each frame, and what a person has done there since.
"""

import contextlib
import itertools
import tempfile
from collections import deque
from collections.abc import Collection, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
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

from napari_seggpt.session import FrameResult, FrameStatus, ModelCache, Session
from napari_seggpt.session.autosave import Autosave
from napari_seggpt.session.frames.status import FrameRecord
from napari_seggpt.session.frames.undo import UNDO_RUNS
from napari_seggpt.session.runs.base_run import BaseRun
from napari_seggpt.session.store.contents import About
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.signature import ImageSignature
from napari_seggpt.session.store.stored_session import StoredSession
from napari_seggpt.ui.layers.labels_layer import LabelsLayer

LENGTH, SIDE, IDS = 4, 6, 5
SHAPE = (LENGTH, SIDE, SIDE)
BLANK = bytes(SIDE * SIDE)

pytestmark = pytest.mark.usefixtures("qapp")

frames = st.integers(0, LENGTH - 1)
places = st.tuples(frames, st.integers(0, SIDE - 1), st.integers(0, SIDE - 1))
ids = st.integers(0, IDS - 1)
scopes = st.sampled_from(["frame", "forward", "backward", "all", "stale", "between"])

Step = dict[int, tuple["Past", bytes]]  # what was there, and what was written


@dataclass(frozen=True, kw_only=True)
class Past:
    """What there was to know of a frame before it was written."""

    content: bytes
    predicted: bytes | None
    basis: object
    is_approved: bool
    is_completed: bool
    was_mine: bool
    was_clicked: bool


class Since:
    """What has been in a frame since a run or its undo wrote it, or since the start."""

    def __init__(self, labels: np.ndarray) -> None:
        self.states = {labels.tobytes()}
        self.is_only_strokes = True  # nobody has written past napari's history
        self.values = np.zeros((IDS, SIDE, SIDE), bool)  # that a pixel has had
        self.note(labels)

    def note(self, labels: np.ndarray) -> None:
        self.states.add(labels.tobytes())
        for label in range(IDS):
            self.values[label] |= labels == label

    def explains(self, labels: np.ndarray) -> bool:
        if self.is_only_strokes:
            return labels.tobytes() in self.states
        rows, columns = np.indices(labels.shape)
        return bool(self.values[labels, rows, columns].all())


class Work(RuleBasedStateMachine):
    """A person at a layer, with napari's tools and undo, while runs write into it."""

    models: ModelCache
    folder: Path

    @initialize(on_disk=st.booleans(), found=st.dictionaries(frames, ids, max_size=2))
    def open(self, on_disk: bool, found: dict[int, int]) -> None:
        data: Any = np.zeros(SHAPE, np.uint8)
        for frame, label in found.items():
            data[frame, 1:4, 2:5] = label
        if on_disk:
            data = zarr.array(data, chunks=(1, SIDE, SIDE))
        self.is_on_disk = on_disk
        self.path = Path(tempfile.mkdtemp(dir=self.folder))
        self.begin(data)
        self.save_from_now_on({})

        self.clicked: set[int] = set()  # frames whose reference was added or removed
        self.was_clicked = False
        self.since = [Since(labels) for labels in self.present()]
        self.approved: set[int] = set()
        self.completed: set[int] = set()  # what a run left has a person's beginning
        self.predicted: dict[int, bytes] = {}  # what the last run left in a frame
        self.basis: dict[int, object] = {}  # and what that depended on
        self.locked: set[int] = set()
        self.run: BaseRun | None = None
        self.asked: dict[int, bytes] = {}  # what the run was asked to complete
        self.steps: deque[Step] = deque(maxlen=UNDO_RUNS)
        self.undone: deque[Step] = deque(maxlen=UNDO_RUNS)

    def begin(self, data: Any) -> None:
        """Show labels in a new window, and work on them."""
        self.viewer = ViewerModel()
        self.layer = self.viewer.add_labels(data)
        self.labels = LabelsLayer(self.layer, 0)
        stack = np.zeros(SHAPE, np.uint8)
        self.session = Session(stack, self.labels, models=self.models)
        self.labels.changed.connect(self.session.frames.labels_changed)
        self.session.frames.labels_changed(None)

    def save_from_now_on(self, stored: dict[int, FrameRecord]) -> None:
        self.saver = Autosave(self.session, About)
        place = "labels.zarr" if self.is_on_disk else None
        signature = ImageSignature.of(self.session.stack)
        self.saver.begin(SessionStore(self.path, signature, place), stored)

    def present(self) -> np.ndarray:
        return np.array(self.layer.data)

    # -- what must be --------------------------------------------------------------

    def left_by_a_run(self, frame: int) -> bytes:
        return self.predicted.get(frame, BLANK)

    @property
    def mine(self) -> set[int]:
        """The frames that hold a person's work, or that a person has approved."""
        return self.touched | self.completed

    @property
    def touched(self) -> set[int]:
        """The frames to which a person has done something since a run wrote them."""
        return self.approved | {
            frame
            for frame, labels in enumerate(self.present())
            if labels.tobytes() != self.left_by_a_run(frame)
        }

    def present_basis(self) -> Set[tuple[int, bytes]]:
        present = self.present()
        return {
            (frame, present[frame].tobytes())
            for frame in self.touched
            if present[frame].tobytes() != self.left_by_a_run(frame)
        }

    def status(self, frame: int, labels: np.ndarray, basis: object) -> FrameStatus:
        if frame in self.approved:
            return FrameStatus.APPROVED
        if labels.tobytes() == self.left_by_a_run(frame):
            if frame not in self.predicted:
                return FrameStatus.EMPTY
            if frame in self.completed:
                return FrameStatus.CORRECTED
            is_new = self.basis[frame] == basis
            return FrameStatus.PREDICTED if is_new else FrameStatus.STALE
        if frame not in self.predicted:
            return FrameStatus.REFERENCE
        return FrameStatus.CORRECTED

    @invariant()
    @precondition(lambda self: hasattr(self, "steps"))
    def the_session_knows_all_of_it(self) -> None:
        self.labels.flush()
        basis = self.present_basis()
        expected = [
            self.status(frame, labels, basis)
            for frame, labels in enumerate(self.present())
        ]
        protected = self.session.frames.protected
        for frame, status in enumerate(expected):
            if frame not in self.clicked:
                found = self.session.frames.status(frame)
                assert self.shown(found) == self.shown(status)
        assert self.mine <= protected
        assert protected - self.clicked == self.mine - self.clicked
        for scope in ("all", "stale"):
            assert not self.mine & {*self.session.plan(scope, 0)}
        runs, is_free = self.session.runs, self.run is None
        assert runs.can_undo == (is_free and bool(self.steps))
        assert runs.can_redo == (is_free and bool(self.undone))

    def shown(self, status: FrameStatus) -> FrameStatus:
        """Return a status as far as it is known once references were clicked on."""
        is_stale = status is FrameStatus.STALE
        return FrameStatus.PREDICTED if is_stale and self.was_clicked else status

    # -- what a person does --------------------------------------------------------

    @contextmanager
    def a_person_writes(self, *, is_stroke: bool = True) -> Iterator[None]:
        before = self.present()
        yield
        for since, old, new in zip(self.since, before, self.present(), strict=True):
            since.note(new)
            if (old != new).any():
                since.is_only_strokes &= is_stroke

    @rule(place=places, label=ids, size=st.sampled_from([1, 3]), deep=st.booleans())
    def paint(
        self, place: tuple[int, ...], label: int, size: int, deep: bool = False
    ) -> None:
        """Paint or erase, through several frames if it is deep."""
        self.layer.n_edit_dimensions = 3 if deep else 2
        self.layer.brush_size = size
        with self.a_person_writes():
            self.layer.paint(place, label)

    @rule(place=places, label=ids, deep=st.booleans())
    def fill(self, place: tuple[int, ...], label: int, deep: bool) -> None:
        self.layer.n_edit_dimensions = 3 if deep else 2
        with self.a_person_writes():
            self.layer.fill(place, label)

    @rule(some=st.lists(places, min_size=1, max_size=5, unique=True), label=ids)
    def set_items(self, some: list[tuple[int, ...]], label: int) -> None:
        with self.a_person_writes():
            self.layer.data_setitem(tuple(np.array(some).T), label)

    @rule(
        frame=frames,
        some=st.lists(places, min_size=1, max_size=3),
        others=st.lists(places, min_size=1, max_size=2),
        label=ids,
        results=st.integers(0, 2),
    )
    def stroke(
        self,
        frame: int,
        some: list[tuple[int, ...]],
        others: list[tuple[int, ...]],
        label: int,
        results: int,
    ) -> None:
        """Some dabs are one step of napari's undo; results may come in between.

        The first dabs are wiped off again, so that the run may write the frame.
        """
        with self.layer.block_history():
            if self.run is not None and frame not in self.mine:
                before = self.present()[frame]
                for place in some:
                    self.paint((frame, *place[1:]), label, 1)
                wiped = np.nonzero(self.present()[frame] != before)
                if len(wiped[0]):
                    with self.a_person_writes():
                        indices = (np.full(len(wiped[0]), frame), *wiped)
                        self.layer.data_setitem(indices, before[wiped])
                self.commit(frame, np.full((SIDE, SIDE), label, np.uint8))
            for place in others:
                self.paint(place, label, 1)
            for _ in range(results if self.run is not None else 0):
                self.a_result_comes()

    @rule(is_undo=st.booleans(), times=st.integers(1, 3))
    def undo_or_redo(self, is_undo: bool, times: int) -> None:
        """Press Ctrl+Z: nothing from before a run comes back in a frame it wrote."""
        for _ in range(times):
            (self.layer.undo if is_undo else self.layer.redo)()
            for since, labels in zip(self.since, self.present(), strict=True):
                assert since.explains(labels)

    @rule(old=ids, new=ids)
    def assign_data(self, old: int, new: int) -> None:
        data = self.present()
        data[data == old] = new
        with self.a_person_writes(is_stroke=False):
            self.layer.data = data

    @rule(frame=frames, row=st.integers(0, SIDE - 1), label=ids)
    def another_plugin_writes(self, frame: int, row: int, label: int) -> None:
        with self.a_person_writes(is_stroke=False):
            rows = np.array(self.layer.data[frame])
            rows[row:] = label
            self.layer.data[frame] = rows
            self.layer.refresh()

    @rule(frame=frames)
    def look_elsewhere(self, frame: int) -> None:
        self.viewer.dims.set_current_step(0, frame)

    @rule(frame=frames, approved=st.booleans())
    def approve(self, frame: int, approved: bool) -> None:
        if approved:
            self.session.frames.approve(frame)
            self.approved.add(frame)
        else:
            self.session.frames.unapprove(frame)
            self.approved.discard(frame)

    @rule(frame=frames, is_added=st.booleans())
    def click_on_reference(self, frame: int, is_added: bool) -> None:
        references = self.session.references
        (references.add if is_added else references.remove)(frame)
        self.clicked.add(frame)
        self.was_clicked = True

    @rule(frame=frames, enabled=st.booleans())
    def switch_reference(self, frame: int, enabled: bool) -> None:
        with contextlib.suppress(ValueError):  # it is none
            self.session.references.set_enabled(frame, enabled)
            self.was_clicked = True

    @rule(frame=frames, is_hint=st.booleans())
    def call_a_hint(self, frame: int, is_hint: bool) -> None:
        with contextlib.suppress(ValueError):  # it is none
            self.session.references.set_hint(frame, is_hint)
            self.was_clicked = True

    @rule(name=st.sampled_from(["labels", "other"]))
    def rename(self, name: str) -> None:
        self.layer.name = name

    @rule(count=st.integers(1, 2))
    def another_session_runs(self, count: int) -> None:
        """Another window runs on these labels: to this one, that is a person's act."""
        with self.a_person_writes(is_stroke=False):
            labels = LabelsLayer(self.layer, 0)
            other = Session(self.session.stack, labels, models=self.models)
            other.frames.labels_changed(None)
            with contextlib.suppress(ValueError):
                for result in itertools.islice(other.start("all", 0).results(), count):
                    other.runs.commit(result)
            other.close()
            labels.close()
            self.layer.refresh()

    @rule(is_deleted=st.booleans())
    @precondition(lambda self: self.run is None)
    def close_and_resume(self, is_deleted: bool) -> None:
        """Come back to the same labels, or without them if the session holds them."""
        self.labels.flush()
        self.session.frames.labels_changed(None)
        before, approved = self.present(), self.session.frames.statuses
        assert self.saver.flush()
        self.close()
        is_blank = is_deleted and not self.is_on_disk
        self.begin(np.zeros(SHAPE, np.uint8) if is_blank else self.layer.data)
        stored = StoredSession.read(self.path)
        self.session.restore_state(stored.state)
        same: dict[int, FrameRecord] = {}
        for each in stored.frames():
            assert self.session.frames.restore(each.index, each.records, each.labels)
            same[each.index] = self.session.frames.record(each.index)
        assert_array_equal(self.present(), before)
        assert self.session.frames.statuses == approved
        self.since = [Since(labels) for labels in before]
        self.steps.clear()
        self.undone.clear()
        self.save_from_now_on(same)

    @rule(frame=frames)
    def release(self, frame: int) -> None:
        self.session.frames.release(frame)
        self.approved.discard(frame)
        self.completed.discard(frame)
        self.clicked.discard(frame)
        content = self.present()[frame].tobytes()
        self.predicted.pop(frame, None)
        if content != BLANK:
            self.predicted[frame], self.basis[frame] = content, None

    @rule(label=st.integers(1, IDS - 1), locked=st.booleans())
    def lock(self, label: int, locked: bool) -> None:
        (
            self.session.frames.locks.lock
            if locked
            else self.session.frames.locks.unlock
        )(label)
        (self.locked.add if locked else self.locked.discard)(label)

    # -- runs ----------------------------------------------------------------------

    @contextmanager
    def the_session_writes(self, asked: Collection[int] = ()) -> Iterator[None]:
        """Check that frames of a person and locked labels are as before.

        A person may have asked for some frames to be completed, or that to be undone.
        """
        mine, before = sorted(self.mine - {*asked}), self.present()
        yield
        after = self.present()
        assert_array_equal(after[mine], before[mine])
        for label in self.locked:
            assert_array_equal(after == label, before == label)

    @rule(scope=scopes, current=frames)
    @precondition(lambda self: self.run is None)
    def start(self, scope: Any, current: int) -> None:
        basis = self.present_basis()
        try:
            self.run = self.session.start(scope, current)
        except ValueError:
            return
        assert not self.mine & {*self.run.frames}
        self.begun(basis)

    def begun(self, basis: object, asked: dict[int, bytes] | None = None) -> None:
        assert self.run is not None
        self.run_basis, self.results = basis, self.run.results()
        self.asked = asked or {}
        self.steps.append({})
        self.undone.clear()

    @rule(frame=frames)
    @precondition(lambda self: self.run is None)
    def complete(self, frame: int) -> None:
        """Have the rest of a frame predicted; what a person has painted stays."""
        painted = self.present()[frame]
        own = (frame, painted.tobytes())
        basis = frozenset(each for each in self.present_basis() if each != own)
        try:
            self.run = self.session.complete(frame)
        except ValueError:
            return
        self.begun(basis, {frame: painted.tobytes()})
        result = next(self.results)
        assert_array_equal(result.labels[painted != 0], painted[painted != 0])
        self.commit(frame, result.labels)

    @rule(place=places, label=ids, new=ids, row=st.integers(0, SIDE - 1))
    @precondition(lambda self: self.run is not None)
    def a_result_comes_right_after_a_dab(
        self, place: tuple[int, ...], label: int, new: int, row: int
    ) -> None:
        """Nobody has had the time to tell the session of the dab."""
        self.paint(place, label, 1)
        labels = np.zeros((SIDE, SIDE), np.uint8)
        labels[row:] = new
        self.commit(place[0], labels)

    @rule()
    @precondition(lambda self: self.run is not None)
    def a_result_comes(self) -> None:
        result = next(self.results, None)
        if result is not None:
            self.commit(result.index, result.labels)

    def commit(self, frame: int, labels: np.ndarray) -> None:
        assert self.run is not None
        result = FrameResult(
            run=self.run.number, index=frame, labels=labels, confidence=0.5
        )
        before = self.past(frame)
        is_asked = self.asked.get(frame) == before.content
        is_meant = frame in self.run and (is_asked or frame not in self.mine)
        is_mine = frame in self.mine
        with self.the_session_writes(asked=[frame] if is_asked else []):
            was_written = self.session.runs.commit(result)
        if frame not in self.clicked:
            assert was_written == is_meant
        assert is_meant or not was_written
        if was_written:
            self.written(frame, self.run_basis)
            if is_mine:
                self.completed.add(frame)
            step = self.steps[-1]
            before = step.pop(frame, (before, b""))[0]
            step[frame] = (before, self.predicted[frame])
            if not self.locked:
                assert_array_equal(self.present()[frame], labels)

    def past(self, frame: int) -> Past:
        return Past(
            content=self.present()[frame].tobytes(),
            predicted=self.predicted.get(frame),
            basis=self.basis.get(frame),
            is_approved=frame in self.approved,
            is_completed=frame in self.completed,
            was_mine=frame in self.mine,
            was_clicked=frame in self.clicked,
        )

    def written(self, frame: int, basis: object) -> None:
        """A run, or its undo, has written a frame."""
        labels = self.present()[frame]
        self.since[frame] = Since(labels)
        self.clicked.discard(frame)
        self.approved.discard(frame)
        self.completed.discard(frame)
        self.predicted[frame] = labels.tobytes()
        self.basis[frame] = basis

    @rule()
    def finish(self) -> None:
        self.session.runs.finish()
        if self.run is not None and not self.steps[-1]:
            self.steps.pop()
        self.run, self.asked = None, {}

    @rule(scope=scopes, current=frames)
    @precondition(lambda self: self.run is None)
    def run_through(self, scope: Any, current: int) -> None:
        self.start(scope, current)
        if self.run is not None:
            for result in self.results:
                self.commit(result.index, result.labels)
        self.finish()

    @rule(is_redo=st.booleans())
    @precondition(lambda self: self.run is None)
    def undo_run(self, is_redo: bool) -> None:
        """Undo the last run, or do it again."""
        runs, source, target = self.session.runs, self.steps, self.undone
        if is_redo:
            source, target = target, source
        step = source.pop() if source else {}
        now = {frame: self.past(frame) for frame in step}
        untouched = {
            frame
            for frame, (_, written) in step.items()
            if frame not in self.touched and now[frame].content == written
        }
        with self.the_session_writes(asked=untouched & self.completed):
            undone = list(runs.redo_steps() if is_redo else runs.undo_steps())
        assert {*undone} <= untouched
        assert untouched - {*undone} <= self.clicked
        for frame in undone:
            self.brought_back(frame, step[frame][0])
        if undone:
            contents = {frame: self.present()[frame].tobytes() for frame in undone}
            target.append({frame: (now[frame], contents[frame]) for frame in undone})

    def brought_back(self, frame: int, past: Past) -> None:
        """An undo has written a frame; all is as it was, but for locked labels."""
        if self.present()[frame].tobytes() != past.content:
            assert self.locked
            self.written(frame, None)
            if past.was_mine:
                self.completed.add(frame)
            return
        self.written(frame, past.basis)
        self.predicted.pop(frame)
        if past.predicted is not None:
            self.predicted[frame] = past.predicted
        if past.is_approved:
            self.approved.add(frame)
        if past.is_completed:
            self.completed.add(frame)
        if past.was_clicked:
            self.clicked.add(frame)

    def teardown(self) -> None:
        if hasattr(self, "steps"):
            self.saver.close()
            self.session.close()
            self.undo_or_redo(True, 100)
            self.undo_or_redo(False, 100)
            self.labels.close()

    def close(self) -> None:
        self.saver.close()
        self.session.close()
        self.labels.close()


# A share of the examples finds what is badly broken; the slow tests run all of them.
@pytest.mark.parametrize("share", [0.2, pytest.param(1, marks=pytest.mark.slow)])
def test_a_persons_work_is_safe_on_a_real_layer(
    models: ModelCache, predictor: type, tmp_path: Path, share: float
) -> None:
    machine = type("Work", (Work,), {"models": models, "folder": tmp_path})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=int(hypothesis_settings().max_examples / 4 * share),
            stateful_step_count=30,
        ),
    )
