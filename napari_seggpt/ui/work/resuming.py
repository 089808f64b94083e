"""SessionResume: brings a saved session back into a labels layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_seggpt.io.layout import normalize_unit
from napari_seggpt.session.frames.frame_labels import NO_LABELS, checksum
from napari_seggpt.session.store.results import locate
from napari_seggpt.ui.layers.class_names import class_names, name_class
from napari_seggpt.ui.layers.frame_axes import axis_names
from napari_seggpt.ui.layers.layer_choice import unwrapped
from napari_seggpt.ui.layers.new_labels import zarr_path
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.layer_session import in_groups
from napari_seggpt.ui.work.messages import Tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_seggpt.session import FrameLabels
    from napari_seggpt.session.frames.status import FrameRecord
    from napari_seggpt.session.store.folder import SessionStore, StoredSession
    from napari_seggpt.session.store.state import SessionState
    from napari_seggpt.session.store.stored_frames import StoredFrame
    from napari_seggpt.ui.layers.layer_choice import LayerChoice
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Start:
    """What a worker found before it reads the frames of a session."""

    state: SessionState
    fits: bool  # whether the chosen labels hold nothing but what was saved


class SessionResume:
    """Brings a session back, a frame at a time, in a worker."""

    ended = Signal(str, Tone)

    def __init__(
        self, workspace: Workspace, stored: StoredSession, store: SessionStore
    ) -> None:
        self.store = store
        self.layer_session: LayerSession | None = None
        self.same: dict[int, FrameRecord] = {}  # frames that are as they were saved
        self._workspace = workspace
        self._stored = stored
        self._others: list[int] = []
        self._damaged: list[int] = []
        labels = workspace.active.labels if workspace.active is not None else None
        self._job: Job[_Start | list[StoredFrame]] = Job(
            lambda: _read(stored, labels), self._take, title="Resuming"
        )
        self._job.ended.connect(self._on_ended)

    def start(self) -> None:
        """Begin."""
        self._job.start()

    def close(self) -> None:
        """End early; the session that was saved stays as it is."""
        self._job.ended.disconnect(self._on_ended)
        self._job.close()
        self.store.close()

    def _take(self, found: _Start | list[StoredFrame]) -> None:
        if isinstance(found, _Start):
            self.layer_session = self._prepare(found)
        elif self.layer_session is not None:
            for frame in found:
                self._restore(self.layer_session, frame)

    def _prepare(self, start: _Start) -> LayerSession:
        """Choose the labels layer, or make it, and bring back all but the frames."""
        workspace, about = self._workspace, self._stored.about
        choice = _with_pictures(workspace.choice, about)
        if self._stored.labels_path is not None:
            labels = self._open_labels(choice, self._stored.labels_path)
            workspace.choose(replace(choice, labels=labels))
        elif start.fits:
            workspace.choose(choice)
        else:
            workspace.choose(replace(choice, labels=None))
            workspace.make_labels()
        layer_session = workspace.active
        if layer_session is None:
            reason = workspace.problem or "there is no labels layer"
            raise ValueError(f"Expected to resume the session, but {reason}")
        workspace.settings = start.state.settings
        layer_session.session.restore_state(start.state)
        for label, name in _classes(about).items():
            name_class(layer_session.labels.layer, label, name)
        return layer_session

    def _open_labels(self, choice: LayerChoice, kept: str) -> Labels:
        """Return the layer of labels that are on disk, opened unless it is there."""
        place = locate(kept, self._stored.path)
        for layer in map(unwrapped, self._workspace.viewer.layers):
            if isinstance(layer, Labels) and zarr_path(layer.data) == place:
                return layer
        import zarr  # takes a while, and few sessions need it

        try:
            labels = choice.new_labels(zarr.open_array(str(place), mode="r+"))
        except (OSError, KeyError) as error:
            raise ValueError(
                f"Expected the labels of the session in {place}, got: {error}"
            ) from error
        self._workspace.viewer.add_layer(labels)
        return labels

    def _restore(self, layer_session: LayerSession, frame: StoredFrame) -> None:
        session = layer_session.session
        if frame.is_damaged:
            self._damaged.append(frame.index)
            self.store.set_aside(frame.index)
        if session.frames.restore(frame.index, frame.records, frame.labels):
            self.same[frame.index] = session.frames.record(frame.index)
        elif not frame.is_damaged:
            self._others.append(frame.index)

    def _on_ended(self, state: JobState) -> None:
        if state is not JobState.DONE:
            reason = str(self._job.error or "it was stopped")
            self.ended.emit(f"The session was not resumed: {reason}", Tone.ERROR)
            return
        report = f"You go on where you were: {len(self.same)} frames are back."
        tone = Tone.GOOD
        if self._others:
            report += (
                f" {_list(self._others)} had other labels than were saved: they are "
                "protected as they are."
            )
        if self._damaged:
            tone = Tone.WARNING
            report += f" What was saved of {_list(self._damaged)} cannot be read."
        self.ended.emit(report, tone)


def _read(
    stored: StoredSession, labels: FrameLabels | None
) -> Iterator[_Start | list[StoredFrame]]:
    """Read a session, in a worker."""
    fits = labels is not None and len(labels) == stored.signature.length
    if fits and labels is not None and stored.labels_path is None:
        fits = all(_is_like(labels, frame) for frame in stored.frames())
    yield _Start(state=stored.state, fits=fits)
    yield from in_groups(stored.frames())


def _is_like(labels: FrameLabels, frame: StoredFrame) -> bool:
    """Whether a frame has no labels, or those that were stored or predicted."""
    last = frame.records[-1]
    now = labels.read(frame.index)
    if frame.labels is not None and not _can_hold(now, frame.labels):
        return False
    known = {NO_LABELS, last.predicted, *(record.checksum for record in frame.records)}
    return checksum(now) in known


def _can_hold(now: NDArray[Any], stored: NDArray[Any]) -> bool:
    """Whether labels of a layer can be replaced by others."""
    limits = np.iinfo(now.dtype)
    fits = limits.min <= int(stored.min()) and int(stored.max()) <= limits.max
    return fits and now.shape == stored.shape


def _with_pictures(choice: LayerChoice, about: dict[str, Any]) -> LayerChoice:
    """Return a choice with the channels and the level that were worked with."""
    channels, level = about.get("channels"), about.get("level")
    chosen = choice
    if isinstance(channels, list) and channels and choice.channel_axis is not None:
        chosen = replace(chosen, channels=tuple(int(x) for x in channels))
    if isinstance(level, int):
        chosen = replace(chosen, level=level)
    try:
        chosen.stack()
    except ValueError:
        return choice
    return chosen


def labels_path(layer_session: LayerSession) -> str | None:
    """Return the zarr that labels are in; None if they are in memory."""
    path = zarr_path(layer_session.labels.layer.data)
    return None if path is None else str(path)


def about(layer_session: LayerSession) -> dict[str, Any]:
    """Return what the window knows of a session, as plain values."""
    layer, axes, choice = (
        layer_session.labels.layer,
        layer_session.labels.axes,
        layer_session.choice,
    )
    spanned = [at for at, x in enumerate(axes.index(0)) if isinstance(x, slice)]
    places = [axes.axis, *spanned]
    units = [normalize_unit(str(unit)) for unit in layer.units]
    name = None if axes.axis is None else axis_names(layer)[axes.axis]
    return {
        "name": str(layer_session.image.name),
        "axis": name if name in ("z", "t") else "z",
        "pixel_size": [
            1.0 if x is None else abs(float(layer.scale[x])) for x in places
        ],
        "units": ["" if x is None else units[x] for x in places],
        "classes": {str(label): name for label, name in class_names(layer).items()},
        "channels": list(choice.channels),
        "level": choice.level,
        "labels_axes": {"axis": axes.axis, "fixed": [list(x) for x in axes.fixed]},
    }


def _classes(about: dict[str, Any]) -> dict[int, str]:
    """Return the names of classes that were saved, without damaged entries."""
    found = about.get("classes")
    items = found.items() if isinstance(found, dict) else ()
    return {int(label): str(name) for label, name in items if str(label).isdecimal()}


def _list(frames: list[int]) -> str:
    if len(frames) == 1:
        return f"frame {frames[0]}"
    shown = ", ".join(map(str, frames[:5]))
    return f"frames {shown}" + (" and others" if len(frames) > 5 else "")
