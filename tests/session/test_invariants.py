"""Whatever is done in whatever order: a person's work is left alone, undo is exact.

All acts are also done on a `Model` of a session, which knows every frame as it is and
was, and no checksums. After each step everything that a session shows is compared.
"""

import contextlib
import copy
import tempfile
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

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
from numpy.testing import assert_array_equal

from napari_seggpt.objects.regions import with_names
from napari_seggpt.prompts import Prompt, TunedPrompt
from napari_seggpt.session import (
    FrameResult,
    FrameStatus,
    RenamedResult,
    Session,
)
from napari_seggpt.session.autosave import Autosave
from napari_seggpt.session.frames.frame_labels import checksum, names_beside_locked
from napari_seggpt.session.frames.status import FrameRecord
from napari_seggpt.session.frames.undo import UNDO_RUNS
from napari_seggpt.session.runs.base_run import BaseRun
from napari_seggpt.session.runs.region import Region
from napari_seggpt.session.store.contents import About
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.signature import ImageSignature
from napari_seggpt.session.store.stored_session import StoredSession
from napari_seggpt.settings import (
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
)

LENGTH, SIDE = 6, 8
BLANK = bytes(SIDE * SIDE)
SCOPES = (
    "frame", "range", "forward", "backward", "all", "row", "column", "stale", "between"
)  # fmt: skip

Content = bytes  # of a frame: its pixels
Basis = Any  # all that a prediction depends on


@dataclass(kw_only=True)
class Facts:
    """What there is to know of a frame; `seen` lags behind what nobody told of."""

    now: Content = BLANK
    seen: Content = BLANK
    predicted: Content | None = None
    basis: Basis = None
    confidence: float | None = None
    approved: bool = False
    corrected: bool = False
    reference: bool = False
    asked: bool = False
    enabled: bool = True
    hint: bool = False
    part: bool = False  # only a region of it was predicted
    completed: bool = False  # what a run left includes what a person had begun

    @property
    def left(self) -> Content:
        """What the last run left there; nothing, if there was none."""
        return BLANK if self.predicted is None else self.predicted

    @property
    def is_vouched_for(self) -> bool:
        return self.approved or self.corrected or self.reference or self.completed

    @property
    def is_untouched(self) -> bool:
        """Whether nothing but what a run left in it protects it."""
        return not replace(self, completed=False).is_protected

    @property
    def is_protected(self) -> bool:
        return self.is_vouched_for or self.seen != self.left

    @property
    def is_unknown(self) -> bool:
        return self == Facts()

    def look(self, content: Content, corrections_become_references: bool) -> None:
        """Take what is there, if it is new, for the work of a person."""
        if content == self.seen:
            return
        self.seen = content
        if self.predicted is not None and content == self.predicted:
            self.corrected = False
            self.reference = self.reference and self.asked
        elif self.predicted is not None and not self.corrected:
            self.corrected = True
            self.reference = self.reference or corrections_become_references
        elif self.predicted is None and not self.corrected:
            self.reference = content != BLANK or self.asked
            if not self.reference:
                self.enabled, self.hint = True, False

    def forget_reference(self) -> None:
        self.reference, self.asked = False, False
        self.enabled, self.hint = True, False

    def keep_own(self) -> None:
        """Vouch for what is no run's, now that nothing else protects it."""
        if self.seen != self.left and not self.is_vouched_for:
            self.corrected = True

    def write(self, content: Content, **facts: Any) -> None:
        """Become what a run has written."""
        new = Facts(now=content, seen=content, predicted=content, **facts)
        self.__dict__.update(new.__dict__)


Step = dict[int, tuple[Facts, Content]]  # what was there, and what was written


def merged(old: Content, new: Content, locked: set[int]) -> Content:
    """Return new pixels, but for those that have, or would get, a locked id."""
    return bytes(
        o if o in locked else 0 if n in locked else n
        for o, n in zip(old, new, strict=True)
    )


@dataclass
class Model:
    """What a session must be like."""

    frames: list[Facts] = field(default_factory=lambda: [Facts() for _ in range(6)])
    locked: set[int] = field(default_factory=set)
    examples: dict[str, tuple[bytes, bool]] = field(default_factory=dict)
    settings: SessionSettings = field(default_factory=SessionSettings)
    num_stacks: int = 1
    tuned: bytes | None = None
    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=UNDO_RUNS))
    undone: deque[Step] = field(default_factory=lambda: deque(maxlen=UNDO_RUNS))

    def look(self, frame: int, content: Content | None = None) -> Facts:
        """Look at what is there in a frame, or at what was there before."""
        facts = self.frames[frame]
        new = facts.now if content is None else content
        facts.look(new, self.settings.corrections_become_references)
        return facts

    @property
    def used(self) -> list[int]:
        return [f for f, x in enumerate(self.frames) if x.reference and x.enabled]

    @property
    def whole(self) -> list[int]:
        """The used references that have labels, of which all is labelled."""
        facts = ((frame, self.frames[frame]) for frame in self.used)
        return [frame for frame, x in facts if x.seen != BLANK and not x.hint]

    @property
    def basis(self) -> Basis:
        return self.basis_without(None)

    def basis_without(self, left_out: int | None) -> Basis:
        memory = self.settings.propagation.memory
        facts = ((f, self.frames[f]) for f in self.used if f != left_out)
        return (
            frozenset((frame, each.seen, each.hint) for frame, each in facts),
            tuple(sorted(mark for mark, is_enabled in self.examples.values()
                         if is_enabled)),
            self.settings.prediction.max_prompts, self.num_stacks, self.tuned,
            (memory, memory and self.settings.propagation.direction),
        )  # fmt: skip

    @property
    def statuses(self) -> list[FrameStatus]:
        basis = self.basis
        return [self.status(facts, basis) for facts in self.frames]

    def status(self, facts: Facts, basis: Basis) -> FrameStatus:
        if facts.approved:
            return FrameStatus.APPROVED
        if facts.corrected:
            return FrameStatus.CORRECTED
        if facts.reference:
            return FrameStatus.REFERENCE
        if facts.seen != facts.left or facts.completed:
            return FrameStatus.CORRECTED
        if facts.predicted is None:
            return FrameStatus.EMPTY
        return FrameStatus.PREDICTED if facts.basis == basis else FrameStatus.STALE

    def confidence(self, frame: int) -> float | None:
        facts = self.frames[frame]
        return facts.confidence if facts.seen == facts.predicted else None

    @property
    def protected(self) -> set[int]:
        return {f for f, facts in enumerate(self.frames) if facts.is_protected}

    @property
    def vouched(self) -> set[int]:
        """The frames that are protected as soon as somebody looks at them."""
        future = copy.deepcopy(self)
        for frame in range(LENGTH):
            future.look(frame)
        return future.protected

    def plan(self, scope: str, current: int) -> list[int]:
        """Return the frames of a scope that are free and can be reached."""
        chosen = self.settings.propagation
        stop = LENGTH if chosen.stop is None else chosen.stop
        meant = {
            "frame": lambda: [current],
            "range": lambda: range(chosen.start, stop, chosen.step),
            "forward": lambda: range(current, LENGTH),
            "backward": lambda: range(current + 1),
            "all": lambda: range(LENGTH),
            "row": lambda: range(LENGTH),
            "column": lambda: range(LENGTH),  # there is one row
            "stale": lambda: _places(self.statuses, FrameStatus.STALE),
            "between": lambda: range(*_ends(self.whole)),
        }[scope]()
        frames = [frame for frame in meant if not self.frames[frame].is_protected]
        if scope in ("range", "all") and self.used:
            if chosen.direction == "forward":
                frames = [f for f in frames if min(self.used) < f]
            if chosen.direction == "backward":
                frames = [f for f in frames if max(self.used) > f]
        return frames

    def left_of(self, frames: list[int]) -> list[int]:
        """Return the frames that a run which goes on does not leave out."""
        basis = self.basis
        done = {
            frame
            for frame, facts in enumerate(self.frames)
            if self.status(facts, basis) is FrameStatus.PREDICTED
            and facts.confidence is not None
            and not facts.part
        }
        return [frame for frame in frames if frame not in done] or frames

    def linked(self, scope: str, current: int) -> list[int]:
        """Return the frames that ids are carried on to."""
        meant = {
            "forward": range(current + 1, LENGTH), "backward": range(current)
        }.get(scope, range(0))  # fmt: skip
        to_review = _to_review(self.statuses)
        return [frame for frame in meant if frame in to_review]

    def restore(
        self, saved: Facts, frame: int, stored: Content | None
    ) -> Content | None:
        """Take what was saved of a frame; return what is written there, if anything is.

        `stored` are the labels that were saved, unless they lie elsewhere.
        """
        facts = self.frames[frame]
        if facts.now == saved.now:
            facts.__dict__.update(saved.__dict__)
            return None
        if stored is not None and facts.now in (BLANK, saved.predicted):
            facts.__dict__.update(saved.__dict__)
            return stored
        others = replace(saved, now=facts.now, seen=facts.now, corrected=True)
        facts.__dict__.update(others.__dict__)
        return None

    def bring_back(self, step: Step, frame: int, inverse: Step) -> bool:
        """Bring back a frame that nobody has changed since; forget it."""
        before, written = step.pop(frame)
        facts = self.look(frame)
        if not facts.is_untouched or facts.seen != written:
            return False
        content = merged(facts.now, before.now, self.locked)
        inverse[frame] = (replace(facts), content)
        if content == before.now:
            facts.__dict__.update(before.__dict__)
        else:
            facts.write(content, completed=before.is_protected)
        return True


def _ends(references: list[int]) -> tuple[int, int]:
    """Return where the frames between the outermost references begin and end."""
    return (references[0] + 1, references[-1]) if references else (0, 0)


def _to_review(statuses: list[FrameStatus]) -> list[int]:
    return _places(statuses, FrameStatus.PREDICTED, FrameStatus.STALE)


def _places(statuses: list[FrameStatus], *wanted: FrameStatus) -> list[int]:
    return [frame for frame, status in enumerate(statuses) if status in wanted]


frames = st.integers(0, LENGTH - 1)
ids = st.integers(0, 4)
places = st.integers(0, SIDE - 1)
names = st.sampled_from(["a", "b"])
scopes = st.sampled_from(SCOPES)
acts = st.sampled_from(
    ["paint", "paint unheard", "approve", "release", "undo strokes", "lock", "unlock"]
)
interferences = st.tuples(acts, st.none() | frames, ids)
pictures = st.builds(
    lambda label, row, other, column: _picture(label, row, other, column),
    ids, places, ids, places,
)  # fmt: skip


def _picture(label: int, row: int, other: int, column: int) -> np.ndarray:
    """Return labels with two objects, one partly behind the other."""
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[row:, 2:] = label
    labels[3:6, column:] = other
    return labels


class Work(RuleBasedStateMachine):
    """A person, other plugins, runs and their undo."""

    make_session: Callable[..., Session]
    make_tuned: Callable[..., TunedPrompt]
    folder: Path

    @initialize(
        found=st.dictionaries(frames, pictures, max_size=3),
        becomes_reference=st.booleans(),
        on_disk=st.booleans(),
    )
    def open(
        self, found: dict[int, np.ndarray], becomes_reference: bool, on_disk: bool
    ) -> None:
        data = np.zeros((LENGTH, SIDE, SIDE), np.uint8)
        for frame, picture in found.items():
            data[frame] = picture
        self.model = Model()
        self.model.settings = SessionSettings(
            corrections_become_references=becomes_reference
        )
        self.session = self.make_session(data, settings=self.model.settings)
        self.labels: Any = self.session.frames.labels
        self.data = data
        self.take_data()
        self.results: list[FrameResult | RenamedResult] = []
        self.run: BaseRun | None = None
        self.run_basis: Basis = None
        self.run_results: Iterator[FrameResult | RenamedResult] = iter(())
        self.region: np.ndarray | None = None  # that the run is limited to
        self.begun: dict[int, Content] = {}  # that the run was asked to complete
        self.step: Step = {}  # of the run
        self.current = 0
        self.listen()
        self.add_example("a", _picture(0, 3, 1, 2))
        self.path = Path(tempfile.mkdtemp(dir=self.folder))
        self.labels_path = "labels.zarr" if on_disk else None
        self.begin_saving({})

    def begin_saving(self, stored: dict[int, FrameRecord]) -> None:
        """Save from now on; frames that are stored already are left out."""
        signature = ImageSignature.of(self.session.stack)
        self.saver = Autosave(self.session, About)
        store = SessionStore(self.path, signature, self.labels_path)
        self.saver.begin(store, stored)

    def listen(self) -> None:
        """Show what a window would, which is told of changes and looks at no more."""
        session = self.session
        self.shown = [self.view(frame) for frame in range(LENGTH)]
        self.shown_references = session.references.all
        self.shown_undo = (session.runs.can_undo, session.runs.can_redo)
        self.shown_locks = session.frames.locks.labels

        def show(changed: tuple[int, ...]) -> None:
            for frame in changed:
                self.shown[frame] = self.view(frame)

        session.frames.statuses_changed.connect(show)
        session.references.changed.connect(
            lambda: setattr(self, "shown_references", session.references.all)
        )
        session.runs.changed.connect(
            lambda: setattr(
                self, "shown_undo", (session.runs.can_undo, session.runs.can_redo)
            )
        )
        session.frames.locks.changed.connect(
            lambda: setattr(self, "shown_locks", session.frames.locks.labels)
        )

    def view(self, frame: int) -> tuple[FrameStatus, float | None]:
        return self.session.frames.status(frame), self.session.frames.confidence(frame)

    def take_data(self) -> None:
        """Somebody has written into the labels."""
        for facts, labels in zip(self.model.frames, self.data, strict=True):
            facts.now = labels.tobytes()

    @contextmanager
    def session_writes(self, asked: Collection[int] = ()) -> Iterator[None]:
        """Check that what a person vouches for, and what is locked, stays.

        A person may have asked for some frames to be completed, or that to be undone.
        """
        vouched, before = sorted(self.model.vouched - {*asked}), self.data.copy()
        # Whatever was said of a frame: pixels that no run left are a person's.
        own = [
            f
            for f, facts in enumerate(self.model.frames)
            if facts.now != facts.left and f not in asked
        ]
        yield
        self.labels.written.clear()
        assert_array_equal(self.data[vouched], before[vouched])
        assert_array_equal(self.data[own], before[own])
        for label in self.model.locked:
            assert_array_equal(self.data == label, before == label)

    # -- what changes labels -------------------------------------------------------

    @rule(frame=frames, row=places, column=places, label=ids, told=st.booleans())
    def paint(self, frame: int, row: int, column: int, label: int, told: bool) -> None:
        self.data[frame, row : row + 3, column : column + 3] = label
        self.others_wrote(frame, told)

    @rule(frame=frames, label=ids, told=st.booleans())
    def fill(self, frame: int, label: int, told: bool) -> None:
        self.data[frame] = label
        self.others_wrote(frame, told)

    @rule(frame=frames, told=st.booleans())
    def undo_strokes(self, frame: int, told: bool) -> None:
        """Put back what the last run wrote."""
        content = self.model.frames[frame].predicted
        if content is not None:
            self.data[frame] = np.frombuffer(content, np.uint8).reshape(SIDE, SIDE)
            self.others_wrote(frame, told)

    def others_wrote(self, frame: int, told: bool) -> None:
        self.take_data()
        if told:
            self.session.frames.labels_changed([frame])
            self.model.look(frame)

    @rule()
    def any_may_have_changed(self) -> None:
        self.session.frames.labels_changed(None)
        for frame in range(LENGTH):
            self.model.look(frame)

    @rule(frame=frames, picture=pictures, told=st.booleans())
    def scan_while_somebody_paints(
        self, frame: int, picture: np.ndarray, told: bool
    ) -> None:
        found = list(self.session.frames.scan())
        scanned = [facts.now for facts in self.model.frames]
        self.data[frame] = picture
        self.others_wrote(frame, told)
        self.session.frames.take_scan(*found)
        for index, content in enumerate(scanned):
            is_old = index == frame and told  # it was looked at since
            self.model.look(index, None if is_old else content)

    # -- what a person says --------------------------------------------------------

    @rule(frame=frames)
    def add_reference(self, frame: int) -> None:
        self.session.references.add(frame)
        facts = self.model.look(frame)
        facts.reference = facts.asked = facts.enabled = True

    @rule(frame=frames)
    def remove_reference(self, frame: int) -> None:
        self.session.references.remove(frame)
        facts = self.model.look(frame)
        if not facts.reference:
            return
        facts.forget_reference()
        if not facts.is_vouched_for:
            facts.approved = facts.seen == facts.predicted
        facts.keep_own()

    @rule(frame=frames, enabled=st.booleans())
    def switch_reference(self, frame: int, enabled: bool) -> None:
        if self.model.look(frame).reference:
            self.session.references.set_enabled(frame, enabled)
            self.model.frames[frame].enabled = enabled
        else:
            with pytest.raises(ValueError, match="Expected a reference frame"):
                self.session.references.set_enabled(frame, enabled)

    @rule(frame=frames, is_hint=st.booleans())
    def call_a_hint(self, frame: int, is_hint: bool) -> None:
        if self.model.look(frame).reference:
            self.session.references.set_hint(frame, is_hint)
            self.model.frames[frame].hint = is_hint
        else:
            with pytest.raises(ValueError, match="Expected a reference frame"):
                self.session.references.set_hint(frame, is_hint)

    @rule(frame=frames, approved=st.booleans())
    def approve(self, frame: int, approved: bool) -> None:
        (self.session.frames.approve if approved else self.session.frames.unapprove)(
            frame
        )
        facts = self.model.look(frame)
        facts.approved = approved
        facts.keep_own()

    @rule(frame=frames)
    def release(self, frame: int) -> None:
        self.session.frames.release(frame)
        facts = self.model.look(frame)
        facts.write(facts.now)
        if facts.now == BLANK:
            facts.predicted = None

    @rule(label=st.integers(1, 3), locked=st.booleans())
    def lock(self, label: int, locked: bool) -> None:
        if locked:
            self.session.frames.locks.lock(label)
            self.model.locked.add(label)
        else:
            self.session.frames.locks.unlock(label)
            self.model.locked.discard(label)

    @rule(name=names, picture=pictures)
    def add_example(self, name: str, picture: np.ndarray) -> None:
        prompt = Prompt(image=np.full((SIDE, SIDE), 7, np.uint8), labels=picture)
        if name in self.model.examples:
            with pytest.raises(ValueError, match="Expected a name"):
                self.session.references.add_example(prompt, name)
        else:
            self.session.references.add_example(prompt, name)
            self.model.examples[name] = (picture.tobytes(), True)

    @rule(name=names)
    def remove_example(self, name: str) -> None:
        if self.model.examples.pop(name, None) is not None:
            self.session.references.remove_example(name)

    @rule(name=names, enabled=st.booleans())
    def switch_example(self, name: str, enabled: bool) -> None:
        if name in self.model.examples:
            self.session.references.set_example_enabled(name, enabled)
            self.model.examples[name] = (self.model.examples[name][0], enabled)

    @rule(
        becomes_reference=st.booleans(),
        max_prompts=st.integers(1, 2),
        memory=st.integers(0, 1),
        start=st.integers(0, LENGTH),
        step=st.integers(1, 2),
        direction=st.sampled_from(["both", "forward", "backward"]),
    )
    def set_up(
        self, becomes_reference: bool, max_prompts: int, **propagation: Any
    ) -> None:
        self.session.settings = self.model.settings = SessionSettings(
            prediction=PredictionSettings(max_prompts=max_prompts),
            propagation=PropagationSettings(stop=LENGTH - 1, **propagation),
            corrections_become_references=becomes_reference,
        )

    @rule()
    def show_other_images(self) -> None:
        self.session.set_stack(np.array(self.session.stack))
        self.model.num_stacks += 1

    @rule(step=st.none() | st.integers(1, 2))
    def tune(self, step: int | None) -> None:
        tuned = None if step is None else self.make_tuned(step)
        self.session.references.tuned = tuned
        self.model.tuned = None if tuned is None else tuned.digest

    @rule(
        what=st.sampled_from(
            ["check", "tune", "task", "preview", "guess", "suggest", "doubt", "compare",
             "scan"]
        )
    )  # fmt: skip
    def ask(self, what: str) -> None:
        """Ask for what changes nothing; it may read references."""
        session = self.session
        if what in ("check", "tune", "preview", "task") and not (
            self.run is not None and what != "task"
        ):
            for frame in self.model.used:
                self.model.look(frame)
        whole = Region(mask=np.ones((SIDE, SIDE), bool))
        asked: dict[str, Callable[[], Any]] = {
            "check": lambda: list(session.advice.check_references()),
            "tune": session.start_tuning,
            "task": lambda: list(session.make_task()),
            "preview": lambda: list(session.advice.preview_frame(0).results()),
            "guess": lambda: list(session.advice.task()),
            "suggest": lambda: list(session.advice.suggest_frame()),
            "doubt": lambda: list(session.advice.least_certain_in(whole)),
            "compare": session.frames_to_compare,
            "scan": lambda: list(session.frames.scan()),
        }
        with self.session_writes():
            try:
                answer = asked[what]()
            except ValueError:
                return
        if what == "compare":
            assert not set(answer) & self.model.protected

    # -- other sessions --------------------------------------------------------------

    @rule(frame=frames, told=st.booleans(), count=st.integers(1, 3))
    def another_session_writes(self, frame: int, told: bool, count: int) -> None:
        """Another window works on the same labels: what it does is a person's here."""
        before = self.data.copy()
        other = self.make_session(self.data)
        other.frames.labels_changed(None)
        other.frames.approve(frame)
        with contextlib.suppress(ValueError):
            for result in islice(other.start("all", frame).results(), count):
                other.runs.commit(result)
        other.close()
        assert_array_equal(self.data[frame], before[frame])
        changed = [f for f in range(LENGTH) if (self.data[f] != before[f]).any()]
        assert all(not before[f].any() for f in changed)  # the others are a person's
        self.take_data()
        for each in changed:
            self.others_wrote(each, told)

    @rule(
        how=st.sampled_from(["as it was", "labels deleted", "painted on"]),
        frame=frames,
        picture=pictures,
        is_looked_at=st.booleans(),
    )
    @precondition(lambda self: self.run is None)
    def close_and_resume(
        self, how: str, frame: int, picture: np.ndarray, is_looked_at: bool
    ) -> None:
        """Come back later: to the labels as they were, or to others."""
        self.any_may_have_changed()
        assert self.saver.flush()
        self.saver.close()
        is_on_disk = self.labels_path is not None
        saved = [replace(facts) for facts in self.model.frames]
        data = self.data.copy()
        if how == "labels deleted" and not is_on_disk:
            data[:] = 0
        if how == "painted on":
            data[frame] = picture
        self.session.close()
        self.session = self.make_session(data)
        self.labels, self.data = self.session.frames.labels, data
        self.model.frames = [Facts(now=labels.tobytes()) for labels in data]
        self.session.frames.take_scan(*self.session.frames.scan())
        for index in range(LENGTH):
            self.model.look(index)
        stored = StoredSession.read(self.path)
        self.session.restore_state(stored.state)
        same: dict[int, FrameRecord] = {}
        restored = set()
        for each in stored.frames():
            found = checksum(self.labels.read(each.index)) if is_looked_at else None
            if self.session.frames.restore(
                each.index, each.records, each.labels, found
            ):
                same[each.index] = self.session.frames.record(each.index)
            restored.add(each.index)
        for index, facts in enumerate(saved):
            assert (index in restored) == (not facts.is_unknown)
            if not facts.is_unknown:
                content = None if is_on_disk else facts.now
                written = self.model.restore(facts, index, content)
                assert written in (None, self.data[index].tobytes())
        self.labels.written.clear()
        self.model.steps.clear()
        self.model.undone.clear()
        self.results.clear()
        self.listen()
        self.begin_saving(same)

    @rule()
    def save_a_little(self) -> None:
        self.saver.save(0.0)

    # -- runs ----------------------------------------------------------------------

    @rule(
        scope=scopes,
        current=frames,
        goes_on=st.booleans(),
        region=st.none() | st.tuples(places, places),
    )
    def start(
        self,
        scope: str,
        current: int,
        goes_on: bool = False,
        region: tuple[int, int] | None = None,
    ) -> None:
        if self.run is not None:
            with pytest.raises(ValueError, match="one is on"):
                self.session.start(scope, current)
            return
        for frame in self.model.used:
            self.model.look(frame)
        wanted = self.model.plan(scope, current)
        mask = None
        if region is not None:
            mask = np.zeros((SIDE, SIDE), bool)
            mask[region[0] :, region[1] :] = True
        elif goes_on and scope != "between":
            wanted = self.model.left_of(wanted)

        def begin() -> BaseRun:
            limit = None if mask is None else Region(mask=mask)
            return self.session.start(scope, current, limit, goes_on=goes_on)

        needs_a_prompt = scope != "between" and self.model.tuned is None
        if not wanted or (needs_a_prompt and not self.has_prompts(self.model.used)):
            with pytest.raises(ValueError, match="Expected"):
                begin()
            return
        self.begin_run(begin(), wanted)
        self.region = None if scope == "between" else mask

    def has_prompts(self, frames: list[int]) -> bool:
        """Whether any of these frames, or an example in use, has labels."""
        prompts = [self.model.frames[frame].seen for frame in frames]
        prompts += [mark for mark, is_on in self.model.examples.values() if is_on]
        return any(content != BLANK for content in prompts)

    def begin_run(self, run: BaseRun, wanted: list[int]) -> None:
        self.run = run
        assert list(run.frames) == wanted
        self.run_basis = self.model.basis
        self.run_results = run.results()
        self.step, self.region, self.begun = {}, None, {}
        self.model.undone.clear()

    @rule(frame=frames)
    def complete(self, frame: int) -> None:
        """Have predicted what a person has not labelled yet in a frame."""
        if self.run is not None:
            with pytest.raises(ValueError, match="Expected the run to have ended"):
                self.session.complete(frame)
            return
        begun = self.model.look(frame).seen
        if begun != BLANK:
            for each in self.model.used:
                self.model.look(each)
        others = [each for each in self.model.whole if each != frame]
        can = self.model.tuned is not None or self.has_prompts(others)
        if begun == BLANK or not can:
            with pytest.raises(ValueError, match="Expected"):
                self.session.complete(frame)
            return
        self.begin_run(self.session.complete(frame), [frame])
        self.run_basis = self.model.basis_without(frame)
        self.begun = {frame: begun}

    @rule(scope=st.sampled_from(["forward", "backward", "all"]), current=frames)
    def carry_ids_on(self, scope: str, current: int) -> None:
        wanted = self.model.linked(scope, current)
        if self.run is not None or not wanted:
            with pytest.raises(ValueError, match="Expected"):
                self.session.start_linking(scope, current)
            return
        self.begin_run(self.session.start_linking(scope, current), wanted)

    @rule()
    @precondition(lambda self: self.run is not None)
    def predict_next(self) -> None:
        """A worker predicts a frame; who commits it is busy."""
        result = next(self.run_results, None)
        if result is not None:
            assert self.run is not None
            assert result.index in self.run
            self.results.append(result)
            self.stays_within_what_was_asked(result)

    def stays_within_what_was_asked(self, result: FrameResult | RenamedResult) -> None:
        """Check that only a region, or what a person has not labelled, is changed."""
        if isinstance(result, RenamedResult):
            return
        if self.region is not None:
            now = self.data[result.index]
            assert_array_equal(result.labels[~self.region], now[~self.region])
        if result.index in self.begun:
            begun = np.frombuffer(self.begun[result.index], np.uint8)
            begun = begun.reshape(SIDE, SIDE)
            assert_array_equal(result.labels[begun != 0], begun[begun != 0])

    @rule(frame=frames, picture=pictures, number=st.integers(0, 2))
    @precondition(lambda self: self.run is not None)
    def predict_any(self, frame: int, picture: np.ndarray, number: int) -> None:
        """A result that may be of a former run, and of a frame of no run."""
        assert self.run is not None
        self.results.append(
            FrameResult(
                run=self.run.number - number,
                index=frame,
                labels=picture,
                confidence=(frame + 1) / 10,
            )
        )

    @rule(at=st.integers(0, 1000), fails=st.sampled_from([False, False, True]))
    @precondition(lambda self: self.results)
    def commit(self, at: int, fails: bool = False) -> None:
        """Hand over any result, old or new, once more or for the first time."""
        result = self.results[-1 - at % len(self.results)]
        is_meant = (
            self.run is not None
            and result.run == self.run.number
            and result.index in self.run.frames
        )
        facts = self.model.frames[result.index]
        begun = self.begun.get(result.index)
        is_asked = is_meant and begun == facts.now
        if isinstance(result, RenamedResult):
            is_own = facts.completed and self.model.look(result.index).is_untouched
            is_free = is_meant and begun is not None and is_own
        else:
            is_free = is_asked
        with self.session_writes(asked=[result.index] if is_free else []):
            if not is_meant or (
                self.model.look(result.index).is_protected and not is_free
            ):
                assert not self.session.runs.commit(result)
            elif fails:
                self.labels.error = OSError("the disk is full")
                with pytest.raises(OSError, match="the disk is full"):
                    self.session.runs.commit(result)
                self.labels.error = None
            else:
                assert self.session.runs.commit(result)
                basis, confidence = self.run_basis, None
                part, completed = self.region is not None, facts.is_protected
                if isinstance(result, RenamedResult):
                    now = np.frombuffer(facts.now, np.uint8).reshape(SIDE, SIDE)
                    given = names_beside_locked(result.names, self.model.locked)
                    labels = with_names(now, given)
                    basis, confidence = facts.basis, facts.confidence
                    part = facts.part
                else:
                    labels, confidence = result.labels, result.confidence
                    is_mixed = facts.part and facts.basis is None
                    was_whole = facts.predicted is not None and not facts.part
                    if part and (is_mixed or (was_whole and facts.basis != basis)):
                        basis = None
                new = labels.astype(np.uint8).tobytes()
                new = merged(facts.now, new, self.model.locked)
                first, _ = self.step.get(result.index, (replace(facts), b""))
                self.step.pop(result.index, None)
                self.step[result.index] = (first, new)
                facts.write(
                    new,
                    basis=basis,
                    confidence=confidence,
                    part=part,
                    completed=completed,
                )

    @rule(is_cancelled=st.booleans())
    def finish(self, is_cancelled: bool) -> None:
        if self.run is not None:
            if is_cancelled:
                self.run.stop()
                assert next(self.run_results, None) is None
            if self.step:
                self.model.steps.append(self.step)
        self.session.runs.finish()
        self.run = None

    @rule(
        how=st.sampled_from([*SCOPES, "complete", "carry on"]),
        current=frames,
        goes_on=st.booleans(),
        between=st.lists(st.none() | interferences, min_size=1, max_size=LENGTH),
    )
    @precondition(lambda self: self.run is None)
    def run_through(
        self,
        how: str,
        current: int,
        goes_on: bool,
        between: list[tuple[Any, ...] | None],
    ) -> None:
        """Do a run, or a part of it, in which somebody acts before a result comes."""
        if how == "complete":
            self.complete(current)
        elif how == "carry on":
            self.carry_ids_on("forward", current)
        else:
            self.start(how, current, goes_on)
        if self.results:
            self.commit(0)  # the last one of the run before is late
        for act in between if self.run is not None else ():
            self.predict_next()
            if not self.results:
                break
            if act is not None:
                self.interfere(*act, likely=self.results[-1].index)
            self.commit(0)
            self.everything_is_as_expected()
        self.finish(is_cancelled=False)

    @rule(act=interferences)
    @precondition(lambda self: self.run is None and self.model.steps)
    def act_and_undo_run(self, act: tuple[Any, ...]) -> None:
        """Somebody has done something to a frame since the run."""
        self.interfere(*act, likely=next(iter(self.model.steps[-1])))
        self.undo_run(None)

    @rule(act=interferences)
    @precondition(lambda self: self.run is None and self.model.undone)
    def act_and_redo_run(self, act: tuple[Any, ...]) -> None:
        """Somebody has done something to a frame since the run was undone."""
        self.interfere(*act, likely=next(iter(self.model.undone[-1])))
        self.undo_run(None, is_redo=True)

    def interfere(self, act: str, frame: int | None, label: int, likely: int) -> None:
        """Do something to a frame, likely to one that is about to be written."""
        frame = likely if frame is None else frame
        if act.startswith("paint"):
            self.paint(frame, 2, 3, label, told=act == "paint")
        elif act == "approve":
            self.approve(frame, True)
        elif act == "release":
            self.release(frame)
        elif act == "undo strokes":
            self.paint(frame, 2, 3, label, told=True)
            self.undo_strokes(frame, told=False)
        else:
            is_there = self.data[likely].max()
            self.lock(int(is_there) or 1, act == "lock")

    @rule(is_redo=st.booleans(), count=st.none() | st.integers(1, 3))
    def undo_run(self, count: int | None, is_redo: bool = False) -> None:
        """Undo the last run, or do it again, or only so many frames of it."""
        if self.run is not None:
            act = self.session.runs.redo_steps if is_redo else self.session.runs.undo
            with pytest.raises(ValueError, match="Expected the run to have ended"):
                list(act())
            return
        source, target = self.model.steps, self.model.undone
        if is_redo:
            source, target = target, source
        expected: list[int] = []
        inverse: Step = {}
        step = source[-1] if source else {}
        ours = [f for f in step if self.model.frames[f].completed]
        with self.session_writes(asked=[] if is_redo else ours):
            while step and len(expected) != count:
                frame = next(reversed(step))
                if self.model.bring_back(step, frame, inverse):
                    expected.append(frame)
            if source and not step:
                source.pop()
            if inverse:
                target.append(inverse)
            self.undo(count, expected, is_redo)

    def undo(self, count: int | None, expected: list[int], is_redo: bool) -> None:
        runs = self.session.runs
        if count is None and not is_redo:
            assert runs.undo() == tuple(expected)
            return
        undoing = runs.redo_steps() if is_redo else runs.undo_steps()
        assert list(islice(undoing, count)) == expected
        undoing.close()

    # -- what always holds ---------------------------------------------------------

    @invariant()
    @precondition(lambda self: hasattr(self, "shown"))
    def everything_is_as_expected(self) -> None:
        session, model = self.session, self.model
        contents = [labels.tobytes() for labels in self.data]
        assert contents == [facts.now for facts in model.frames]
        assert self.labels.written == []  # but in a commit or undo
        statuses = model.statuses
        assert list(session.frames.statuses) == statuses
        assert session.frames.protected == model.protected
        views = [(status, model.confidence(f)) for f, status in enumerate(statuses)]
        assert [self.view(frame) for frame in range(LENGTH)] == views
        assert self.shown == views
        assert session.frames.locks.labels == self.shown_locks == model.locked
        self.references_are_as_expected()
        self.plans_are_as_expected()
        is_free = self.run is None
        can = (is_free and bool(model.steps), is_free and bool(model.undone))
        assert (session.runs.can_undo, session.runs.can_redo) == self.shown_undo == can
        assert session.runs.current is self.run

    def references_are_as_expected(self) -> None:
        expected: list[tuple[object, ...]] = [
            (frame, facts.enabled, facts.seen != BLANK, None, facts.hint)
            for frame, facts in enumerate(self.model.frames)
            if facts.reference
        ]
        expected += [
            (None, is_enabled, mark != BLANK, name, False)
            for name, (mark, is_enabled) in self.model.examples.items()
        ]
        for references in (self.session.references.all, self.shown_references):
            shown = [
                (r.frame, r.enabled, r.is_labelled, r.name, r.is_hint)
                for r in references
            ]
            assert shown == expected

    def plans_are_as_expected(self) -> None:
        self.current = (self.current + 1) % LENGTH  # another one each time
        for scope in SCOPES:
            plan = self.session.plan(scope, self.current)
            assert not set(plan) & self.model.protected
            assert list(plan) == self.model.plan(scope, self.current)
        to_review = _to_review(self.model.statuses)
        after = next((f for f in to_review if f > self.current), None)
        before = next((f for f in reversed(to_review) if f < self.current), None)
        assert self.session.frames.next_to_review(self.current) == after
        assert self.session.frames.next_to_review(self.current, -1) == before
        known = [(self.model.confidence(frame), frame) for frame in to_review]
        known = [(value, frame) for value, frame in known if value is not None]
        worst = min(known)[1] if known else None
        assert self.session.frames.least_certain() == worst

    def teardown(self) -> None:
        if hasattr(self, "saver"):
            self.saver.close()
            self.session.close()
            before = self.data.copy()
            for result in self.results:  # a worker may be late
                assert not self.session.runs.commit(result)
            assert self.labels.written == []
            assert_array_equal(self.data, before)


# A share of the examples finds what is badly broken; the slow tests run all of them.
@pytest.mark.parametrize("share", [0.15, pytest.param(1, marks=pytest.mark.slow)])
def test_a_persons_work_is_safe_and_undo_is_exact_whatever_is_done(
    make_session: Callable[..., Session],
    make_tuned: Callable[..., TunedPrompt],
    tmp_path: Path,
    share: float,
) -> None:
    given = {
        "make_session": staticmethod(make_session),
        "make_tuned": staticmethod(make_tuned),
        "folder": tmp_path,
    }
    run_state_machine_as_test(
        type("Work", (Work,), given),
        settings=hypothesis_settings(
            max_examples=int(2 * hypothesis_settings().max_examples * share),
            stateful_step_count=40,
        ),
    )
