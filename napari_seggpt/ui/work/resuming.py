"""SessionResume: brings a saved session back into a labels layer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_seggpt.io.layout import StackError
from napari_seggpt.session.frames.frame_labels import NO_LABELS, checksum
from napari_seggpt.session.frames.status import UNKNOWN, is_found
from napari_seggpt.session.store.errors import SessionError, SessionInUseError
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.stored_frames import frame_dtype
from napari_seggpt.ui.layers.class_names import name_class
from napari_seggpt.ui.layers.layer_choice import unwrapped
from napari_seggpt.ui.layers.new_labels import DEFAULT_DTYPE, zarr_path
from napari_seggpt.ui.work.about_layers import missing_layers, with_pictures
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.layer_session import in_groups
from napari_seggpt.ui.work.messages import Tone
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_seggpt.session import FrameLabels
    from napari_seggpt.session.autosave import Autosave
    from napari_seggpt.session.frames.status import FrameRecord
    from napari_seggpt.session.store.signature import ImageSignature
    from napari_seggpt.session.store.state import SessionState
    from napari_seggpt.session.store.stored_frames import StoredFrame
    from napari_seggpt.session.store.stored_session import StoredSession
    from napari_seggpt.ui.layers.layer_choice import LayerChoice
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Start:
    """What a worker found before it reads the frames of a session."""

    state: SessionState
    fits: bool  # whether the chosen labels hold nothing but what was saved
    dtype: np.dtype[Any]  # that holds all ids


class SessionResume:
    """Brings a session back, a frame at a time, in a worker.

    Parameters
    ----------
    workspace : Workspace
        Where it is to be worked on.
    stored : StoredSession
        The session.
    signature : ImageSignature
        Of the image, as it is to be written from now on.

    Attributes
    ----------
    layer_session : LayerSession or None
        Where it was brought back, once that is known.
    store : SessionStore or None
        Where it is saved from now on; None if it cannot be written there.
    same : dict of int to FrameRecord
        Frames that are as they were saved.
    """

    ended = Signal(str, Tone)

    def __init__(
        self, workspace: Workspace, stored: StoredSession, signature: ImageSignature
    ) -> None:
        self.layer_session: LayerSession | None = None
        self.store: SessionStore | None = None
        self.same: dict[int, FrameRecord] = {}
        self._workspace = workspace
        self._choice = workspace.choice  # whose session it is
        self._labels = None if workspace.active is None else workspace.active.labels
        self._stored = stored
        self._signature = signature
        self._others: list[int] = []
        self._damaged: list[int] = []
        self._failed: dict[int, str] = {}
        self._set_aside: list[int] = []  # frames, in an earlier session of napari
        self._missing: list[str] = []  # layers that were mixed with the image
        self._taken: set[int] = set()  # frames that are back, or cannot be
        self._is_prepared = threading.Event()
        self._is_closed = False
        self._opening = threading.Lock()  # of the store, against closing meanwhile
        self._job: Job[_Start | list[StoredFrame]] = Job(
            self._read, self._take, title="Resuming"
        )
        self._job.ended.connect(self._on_ended)

    @property
    def image(self) -> Image | None:
        """The image layer that the session is of."""
        return self._choice.image

    def start(self) -> None:
        """Begin."""
        self._job.start()

    def close(self, autosave: Autosave | None = None) -> None:
        """End early; the session that was saved stays as it is, see `let_go`."""
        self._job.ended.disconnect(self._on_ended)
        with self._opening:
            self._is_closed = True
        self._is_prepared.set()
        self._job.close()  # which waits for no slow disk
        self.let_go(autosave)

    def let_go(self, autosave: Autosave | None) -> None:
        """Let others write the session, though not all of it is back.

        What a person did meanwhile is saved in it first. A session of its own would
        hold only the frames that are back, and be the one that is offered next.

        Parameters
        ----------
        autosave : Autosave or None
            What saves `layer_session`.
        """
        store, self.store = self.store, None
        if store is None:
            return
        if autosave is not None and autosave.is_touched and autosave.store is None:
            self._save_changed(store, autosave)
        else:
            store.close()

    def _save_changed(self, store: SessionStore, autosave: Autosave) -> None:
        """Save what a person did; frames that are not back stay as they were saved."""
        assert self.layer_session is not None
        frames = self.layer_session.session.frames
        changed = {frame for frame in autosave.touched if self._is_changed(frame)}
        for frame in changed - self._taken:
            store.set_aside(frame, is_damaged=False)
        others = (frame for frame in range(len(frames)) if frame not in changed)
        autosave.begin(store, {frame: frames.record(frame) for frame in others})
        autosave.leave()

    def _is_changed(self, frame: int) -> bool:
        """Whether a frame that was touched is another than was saved.

        One that is not back yet, and was only painted, is none if labels are on disk:
        its pixels are saved, and protect it when the session is resumed. Nobody could
        tell it from one whose labels were only found there, which may be a run's.
        """
        assert self.layer_session is not None
        record = self.layer_session.session.frames.record(frame)
        if frame in self._taken:
            return record != self.same.get(frame)
        is_on_disk = self._stored.labels is not None
        return not is_found(record) if is_on_disk else record != UNKNOWN

    # -- in the worker -------------------------------------------------------------

    def _read(self) -> Iterator[_Start | list[StoredFrame]]:
        stored, labels = self._stored, self._labels
        if not self._open_store():
            return
        self._set_aside = stored.frames_set_aside
        fits = labels is not None and len(labels) == stored.signature.length
        if fits and labels is not None and stored.labels is None:
            fits = all(_is_like(labels, frame) for frame in stored.frames())
        yield _Start(state=stored.state, fits=fits, dtype=_dtype_of(stored))
        self._is_prepared.wait()
        layer_session = self.layer_session
        if layer_session is None:
            return
        is_blank = stored.labels is None and not fits
        frames = stored.frames()
        if not is_blank:
            frames = (_looked_at(layer_session.labels, frame) for frame in frames)
        yield from in_groups(frames)

    def _open_store(self) -> bool:
        """Open the session to be written, if it can be; not if this was closed."""
        store = _opened(self._stored, self._signature)
        with self._opening:
            if not self._is_closed:
                self.store = store
                return True
        if store is not None:  # nobody would close it before napari ends
            store.close()
        return False

    # -- in the window -------------------------------------------------------------

    def _take(self, found: _Start | list[StoredFrame]) -> None:
        if isinstance(found, _Start):
            try:
                self.layer_session = self._prepare(found)
            finally:
                self._is_prepared.set()
        elif self.layer_session is not None:
            self._restore_group(self.layer_session, found)

    def _prepare(self, start: _Start) -> LayerSession:
        """Choose the labels layer, or make it, and bring back all but the frames."""
        workspace, about = self._workspace, self._stored.about
        if workspace.choice.place != self._choice.place:
            raise ValueError(
                "other layers were chosen meanwhile. Choose "
                f"{self._choice.image} again, then resume."
            )
        layers = [unwrapped(layer) for layer in workspace.viewer.layers]
        choice = with_pictures(workspace.choice, about, layers)
        if self._stored.labels is not None:
            labels = self._open_labels(choice, self._stored.labels)
            workspace.choose(replace(choice, labels=labels))
        elif start.fits:
            workspace.choose(choice)
        else:
            workspace.choose(replace(choice, labels=None))
            workspace.make_labels(start.dtype)
        layer_session = workspace.active
        if layer_session is None:
            reason = workspace.problem or "there is no labels layer"
            raise ValueError(f"Expected to resume the session, but {reason}")
        workspace.settings = start.state.settings.computing_as(workspace.settings)
        layer_session.session.restore_state(start.state)
        self._missing = missing_layers(layer_session.choice, about)
        if self._missing:  # what was predicted with them is out of date
            layer_session.session.set_stack(layer_session.stack)
        for label, name in about.classes.items():
            name_class(layer_session.labels.layer, label, name)
        return layer_session

    def _open_labels(self, choice: LayerChoice, place: Path) -> Labels:
        """Return the layer of labels that are on disk, opened unless it is there."""
        for layer in map(unwrapped, self._workspace.viewer.layers):
            if isinstance(layer, Labels) and zarr_path(layer.data) == place:
                return layer
        from napari_seggpt.io.ome_zarr import open_array  # few sessions need zarr

        try:
            labels = choice.new_labels(open_array(place, mode="r+"))
        except (StackError, OSError) as error:
            raise ValueError(
                f"Expected the labels of the session in {place}, got: {error}"
            ) from error
        self._workspace.viewer.add_layer(labels)
        return labels

    def _restore_group(
        self, layer_session: LayerSession, group: list[StoredFrame]
    ) -> None:
        """Bring frames back; that is no work, unless one has other labels by now."""
        try:
            with layer_session.session.frames.published_at_once():
                for frame in group:
                    self._restore(layer_session, frame)
                are_same = all(frame.index in self.same for frame in group)
                layer_session.is_finding = are_same
        finally:
            layer_session.is_finding = False

    def _restore(self, layer_session: LayerSession, frame: StoredFrame) -> None:
        frames, index = layer_session.session.frames, frame.index
        self._taken.add(index)
        try:
            is_same = frames.restore(index, frame.records, frame.labels, frame.found)
        except (
            ValueError,
            OSError,
        ) as error:  # the others are brought back all the same
            self._failed[index] = str(error)
            is_same = False
        if frame.is_damaged:
            self._damaged.append(index)
        elif is_same:
            self.same[index] = frames.record(index)
            return
        elif index not in self._failed:
            self._others.append(index)
        if self.store is not None:  # else it would be written over
            self.store.set_aside(index, is_damaged=frame.is_damaged)

    def _on_ended(self, state: JobState) -> None:
        if state is not JobState.DONE:
            reason = str(self._job.error or "it was stopped")
            self.ended.emit(f"The session was not resumed: {reason}", Tone.ERROR)
            return
        back = len(self.same)
        report = (
            f"You go on where you were: {count_of(back, 'frame')} "
            f"{'is' if back == 1 else 'are'} back."
        )
        tone = Tone.GOOD
        if self._others:
            report += (
                f" {self._named(self._others)} had other labels than were saved: these "
                "stay as they are"
            )
            kept = f", and what was saved is kept in {self._stored.path}."
            report += kept if self._stored.labels is None else "."
        if self._set_aside:
            report += (
                f" Of {self._named(self._set_aside)} other labels were kept before, as "
                f"*.kept in {self._stored.path}."
            )
        if self._damaged:
            tone = Tone.WARNING
            report += f" What was saved of {self._named(self._damaged)} cannot be read."
        if self._failed:
            tone = Tone.WARNING
            reason = next(iter(self._failed.values()))
            report += (
                f" {self._named([*self._failed])} could not be brought back, and stay "
                f"in {self._stored.path}: {reason}"
            )
        if self._missing:
            tone = Tone.WARNING
            report += (
                " What was predicted is out of date: it needs "
                f"{', '.join(self._missing)} to be mixed with {self.image}."
            )
        if self.store is None:
            tone = Tone.WARNING
            report += (
                f" Nothing can be written in {self._stored.path.name}: your work is "
                "saved as a new session."
            )
        self.ended.emit(report, tone)

    def _named(self, frames: list[int]) -> str:
        name = self._workspace.name
        if len(frames) == 1:
            return f"frame {name(frames[0])}"
        shown = [name(frame) for frame in frames[:5]]
        parting = "; " if any("," in each for each in shown) else ", "
        rest = " and others" if len(frames) > 5 else ""
        return f"frames {parting.join(shown)}{rest}"


def _opened(stored: StoredSession, signature: ImageSignature) -> SessionStore | None:
    """Open a session to be written, unless another window does (SessionInUseError).

    None comes of one that can only be read.
    """
    labels = None if stored.labels is None else str(stored.labels)
    try:
        return SessionStore(stored.path, signature, labels)
    except SessionInUseError:
        raise
    except SessionError:
        return None


def _dtype_of(stored: StoredSession) -> np.dtype[Any]:
    """Return an integer type that holds the ids of all stored frames."""
    size, dtypes = stored.signature.frame_shape, {DEFAULT_DTYPE}
    for file in stored.frame_files.values() if stored.labels is None else ():
        dtype = frame_dtype(file, size)
        if dtype is not None:
            dtypes.add(dtype.newbyteorder("="))
    found = np.result_type(*dtypes)
    return found if found.kind in "iu" else np.dtype(np.int64)


def _looked_at(labels: FrameLabels, frame: StoredFrame) -> StoredFrame:
    """Return a stored frame with the checksum of the labels that are there now."""
    try:
        return replace(frame, found=checksum(labels.read(frame.index)))
    except StackError:
        return frame


def _is_like(labels: FrameLabels, frame: StoredFrame) -> bool:
    """Whether a frame has no labels, or those that were stored or predicted."""
    last = frame.records[-1]
    try:
        now = labels.read(frame.index)
    except StackError:
        return False
    if frame.labels is not None and not _can_hold(now, frame.labels):
        return False
    known = {NO_LABELS, last.predicted, *(record.checksum for record in frame.records)}
    return checksum(now) in known


def _can_hold(now: NDArray[Any], stored: NDArray[Any]) -> bool:
    """Whether labels of a layer can be replaced by others."""
    if now.shape != stored.shape or not stored.size:
        return False
    limits = np.iinfo(now.dtype)
    return limits.min <= int(stored.min()) and int(stored.max()) <= limits.max
