"""The panel of objects: carrying ids on, tracks, and a table that leads to each."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QFileDialog

from napari_seggpt.io.stacks import checked_steps
from napari_seggpt.objects.class_ids import class_of_id
from napari_seggpt.objects.track_files import (
    TracksAbout,
    check_tracks_path,
    write_tracks,
)
from napari_seggpt.session import FrameStatus
from napari_seggpt.ui.layers.class_names import class_names
from napari_seggpt.ui.layers.layer_choice import unwrapped
from napari_seggpt.ui.layers.tracks_layer import tracks_layer
from napari_seggpt.ui.panels.panel import NO_SESSION, Panel
from napari_seggpt.ui.panels.task_row import TaskRow
from napari_seggpt.ui.widgets.controls import allow, button, muted, row_of
from napari_seggpt.ui.widgets.object_table import ObjectTable
from napari_seggpt.ui.work.about_layers import about
from napari_seggpt.ui.work.actions import carry_ids_on, go_to, is_left
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.messages import Tone
from napari_seggpt.ui.work.object_survey import ObjectSurvey, survey
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari.layers import Tracks as TracksLayer
    from numpy.typing import NDArray

    from napari_seggpt.objects.tracks import Tracks
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Connections, Workspace


class ObjectsPanel(Panel):
    """What can be done with objects once they are labelled.

    Parameters
    ----------
    workspace : Workspace
        Whose session is shown.

    Attributes
    ----------
    task_row : TaskRow
        What labels stand for.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("Objects", workspace)
        self.task_row = TaskRow(workspace)
        self._job: Job[Any] | None = None
        self._survey: ObjectSurvey | None = None
        self._layer: TracksLayer | None = None
        self.carry_button = button(
            "Carry ids on", _CARRY, partial(carry_ids_on, workspace)
        )
        self.list_button = button("List objects", _LIST, self.list_objects)
        self.tracks_button = button("Show tracks", _TRACKS, self.show_tracks)
        self.save_button = button("Save tracks...", _SAVE, self._ask_to_save)
        self.about_label = muted()
        self.table = ObjectTable()
        self.rows.addWidget(self.task_row)
        self.rows.addLayout(row_of(self.carry_button, self.list_button))
        self.rows.addLayout(row_of(self.tracks_button, self.save_button))
        self.rows.addWidget(self.about_label)
        self.rows.addWidget(self.table)
        self.table.chosen.connect(self._on_chosen)
        self._listen()
        self.task_row.found.connect(self._show_buttons)
        self.refresh()

    def _connections(self, active: LayerSession) -> Connections:
        yield active.runs.changed, self._show_buttons
        yield active.session.frames.statuses_changed, self._on_statuses
        yield active.navigation.changed, self._on_statuses

    def refresh(self) -> None:
        """Show that nothing is known of another session yet."""
        self._take_survey(None)

    def release(self) -> None:
        """End what workers do for the panel."""
        self.task_row.release()
        job, self._job = self._job, None
        if job is not None:
            job.close()

    # -- showing -------------------------------------------------------------------

    def _show_buttons(self) -> None:
        no_session = "" if self._workspace.active is not None else NO_SESSION
        looking = "" if self._job is None else _LOOKING
        session = self._workspace.session
        has_two = session is not None and session.grid.has_two_axes
        allow(self.list_button, no_session or looking)
        for each in (self.tracks_button, self.save_button):
            allow(each, no_session or (_TWO_AXES if has_two else looking))
        allow(self.carry_button, no_session or self._why_not_carry())
        guess = self.task_row.guess
        self.set_summary("" if guess is None else guess.kind)

    def _why_not_carry(self) -> str:
        """Say why no ids can be carried on; empty if they can."""
        session, guess = self._workspace.session, self.task_row.guess
        if self._workspace.is_busy:
            return self._workspace.held or _BUSY
        if guess is None or guess.kind == "classes":
            return _NO_OBJECTS
        has_predicted = session is not None and any(
            session.frames.count(status)
            for status in (FrameStatus.PREDICTED, FrameStatus.STALE)
        )
        return "" if has_predicted else _NONE_PREDICTED

    def _on_statuses(self, _: object = None) -> None:
        self._show_buttons()

    def _take_survey(self, found: ObjectSurvey | None) -> None:
        self._survey = found
        self.table.setVisible(found is not None)
        self.about_label.setVisible(found is not None)
        self._show_buttons()
        if found is None or self._workspace.active is None:
            return
        tracks = found.tracks
        ids, which = np.unique(tracks.ids, return_inverse=True)
        self.about_label.setText(self._count_in_words(tracks))
        names = class_names(self._workspace.active.labels.layer)
        kinds = [_class_of(i, names, self._has_classes) for i in ids.tolist()]
        rows, columns = np.rint(tracks.rows[:, 2:]).astype(int).T
        shown = self._frame_columns(tracks.frames) | {"id": tracks.ids}
        if any(kinds):
            shown["class"] = np.array(kinds, dtype=str)[which]
        shown |= {"area": tracks.areas, "y": rows, "x": columns}
        shown["bright"] = np.round(found.intensities, 1)
        self.table.show_columns(list(shown), list(shown.values()))
        self.grown.emit()

    def _count_in_words(self, tracks: Tracks) -> str:
        """Say how many objects there are, or classes, if labels are these."""
        count, rows = len(np.unique(tracks.ids)), count_of(len(tracks.ids), "row")
        guess = self.task_row.guess
        is_class = guess is not None and guess.kind == "classes"
        thing = "class" if is_class else "object"
        divided = len({each[0] for each in tracks.graph.values()})
        end = f", {divided} divided" if divided and not is_class else ""
        return (
            f"{count_of(count, thing)} in {rows}, one for each {thing} and frame{end}. "
            "Click a row to go there."
        )

    def _frame_columns(self, frames: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return the columns of the table that tell frames (N,): of two axes, two."""
        session = self._workspace.session
        if session is None or not session.grid.has_two_axes:
            return {"frame": frames}
        places = divmod(frames, session.grid.shape[1])
        return dict(zip(session.grid.names, places, strict=True))

    @property
    def _has_classes(self) -> bool:
        guess = self.task_row.guess
        return guess is not None and guess.kind == "objects of several classes"

    def _on_chosen(self, row: int) -> None:
        """Go to an object, and select its id for painting."""
        active, found = self._workspace.active, self._survey
        if active is None or found is None or row >= len(found.tracks.rows):
            return
        i, frame, *place = found.tracks.rows[row].tolist()
        go_to(self._workspace, int(frame))
        active.labels.layer.selected_label = int(i)
        active.navigation.center_on(active.labels.axes.index(int(frame)), place)

    # -- looking at all objects ------------------------------------------------------

    def list_objects(self) -> None:
        """Have a worker look at all frames, and list what there is."""
        self._look(lambda found: None)

    def show_tracks(self) -> None:
        """Show the tracks of all objects in a layer."""
        self._look(self._add_layer)

    def save(self, path: Path) -> None:
        """Write the tracks of all objects, in the format that the path tells."""
        active = self._workspace.active
        if active is None:
            return
        try:
            check_tracks_path(path, overwrite=True)  # the dialog has asked
        except (FileExistsError, ValueError) as error:
            self._workspace.show_message(str(error), Tone.WARNING)
            return
        self._look(lambda found: self._write(path, found, active))

    def _look(self, then: Callable[[ObjectSurvey], object]) -> None:
        active = self._workspace.active
        if active is None or self._job is not None:
            return
        session, frames = active.session, (active.stack, active.labels)
        # Of two axes, frames that follow each other may be slices of one volume.
        may_divide = session.axis == "t" and not session.grid.has_two_axes

        def take(found: int | ObjectSurvey) -> None:
            if isinstance(found, ObjectSurvey) and self._workspace.active is active:
                self._take_survey(found)

        self._start(
            lambda: survey(*frames, divisions=may_divide),
            take,
            "Looking at objects",
            lambda: self._on_surveyed(active, then),
        )

    def _start(
        self,
        work: Callable[[], Iterable[Any]],
        take: Callable[[Any], object],
        title: str,
        then: Callable[[], object],
    ) -> None:
        self._job = Job(work, take, title=title)
        self._job.ended.connect(lambda state: self._on_ended(state, then))
        self._job.start()
        self._show_buttons()

    def _on_ended(self, state: JobState, then: Callable[[], object]) -> None:
        job, self._job = self._job, None
        self._show_buttons()
        if state is JobState.FAILED and job is not None:
            self._workspace.show_message(str(job.error), Tone.ERROR)
        elif state is JobState.DONE:
            then()

    def _on_surveyed(
        self, active: LayerSession, then: Callable[[ObjectSurvey], object]
    ) -> None:
        if is_left(self._workspace, active, "the objects"):
            return
        if self._survey is None or not len(self._survey.tracks.rows):
            self._workspace.show_message("There are no objects yet.", Tone.WARNING)
        else:
            then(self._survey)

    # -- tracks ----------------------------------------------------------------------

    def _add_layer(self, found: ObjectSurvey) -> None:
        active, layers = self._workspace.active, self._workspace.viewer.layers
        if active is None:
            return
        if self._layer is not None:
            with suppress(ValueError):  # a person has removed it
                layers.remove(self._layer)
        selected = unwrapped(layers.selection.active)
        self._layer = tracks_layer(active.labels, found.tracks)
        self._workspace.viewer.add_layer(self._layer)
        layers.selection.active = selected  # who paints goes on painting

    def _ask_to_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save tracks", "tracks.csv", _FILES)
        if path:
            self.save(Path(path))

    def _write(self, path: Path, found: ObjectSurvey, active: LayerSession) -> None:
        known, labels = about(active), active.labels
        pixel_size, units = checked_steps(known.pixel_size, known.units)
        facts = TracksAbout(axis=known.axis, pixel_size=pixel_size, units=units)

        def write() -> Iterator[None]:
            frames = ((index, labels.read(index)) for index in range(len(labels)))
            write_tracks(path, frames, found.tracks, facts, overwrite=True)
            yield

        self._start(
            write,
            lambda _: None,
            "Saving tracks",
            lambda: self._workspace.show_message(f"Saved as {path}.", Tone.GOOD),
        )


def _class_of(i: int, names: dict[int, str], has_classes: bool) -> str:
    """Return the name of an id, or the class that it tells."""
    kind = str(class_of_id(i)) if has_classes else ""
    return names.get(i, "") or kind


_FILES = "Table (*.csv);;Graph (*.geff);;Cell Tracking Challenge, a folder (*)"
_CARRY = (
    "After you merged, split or exchanged objects on this frame: give the objects of "
    "the predicted frames after it the ids that they have here. Nothing is predicted."
)
_LOOKING = "A worker looks at the objects."
_BUSY = "Something else is being computed."
_NO_OBJECTS = "The labels are no single objects with ids of their own."
_TWO_AXES = "Tracks lie along one axis: choose time or depth alone in step 1."
_NONE_PREDICTED = "No frame is predicted yet."
_LIST = "List every object of every frame: area, place, intensity and class."
_TRACKS = "Show where each object goes, and which divided, in a Tracks layer."
_SAVE = (
    "Save where each object is on each frame: as a table (.csv), as a graph (.geff), "
    "or as a folder in the layout of the Cell Tracking Challenge."
)
