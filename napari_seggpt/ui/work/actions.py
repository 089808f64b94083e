"""What a person can do with the session: the acts behind buttons, keys and commands.

Each takes the workspace. What goes wrong is shown as a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.session import PROTECTED, FrameStatus
from napari_seggpt.ui.layers.navigation import place_in, show_places, show_plane
from napari_seggpt.ui.work.messages import Tone
from napari_seggpt.ui.work.partly_painted import partly_painted
from napari_seggpt.ui.work.places_left import channel_left

if TYPE_CHECKING:
    from napari_seggpt.session import Scope, Session
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Workspace


# -- frames ------------------------------------------------------------------------


def is_left(workspace: Workspace, begun_on: LayerSession, what: str) -> bool:
    """Return whether other layers are worked on than when a worker began; say so.

    Parameters
    ----------
    workspace : Workspace
        Where it is said.
    begun_on : LayerSession
        What the worker was started for.
    what : str
        What it has found, which is dropped then.
    """
    if workspace.active is begun_on:
        return False
    text = (
        f"You work on other layers now: {what} of {begun_on.image.name} were dropped."
    )
    workspace.show_message(text, Tone.WARNING)
    return True


def go_to(workspace: Workspace, frame: int) -> None:
    """Show a frame."""
    if workspace.active is not None:
        workspace.active.navigation.go_to(frame)


def show_place(workspace: Workspace) -> None:
    """Move the viewer's sliders to where the frames are on other axes."""
    active, dims = workspace.active, workspace.viewer.dims
    if active is not None:
        show_places(dims, active.image, dict(active.choice.fixed))
        show_places(dims, active.labels.layer, channel_left(active))


def show_slices(workspace: Workspace) -> None:
    """Have the viewer show the two axes that frames span, such as x and z."""
    choice = workspace.choice
    if choice.image is not None:
        show_plane(workspace.viewer.dims, choice.image, choice.spanned)


def work_at_shown_place(workspace: Workspace) -> None:
    """Work on the frames at the place on other axes that the viewer shows."""
    image = workspace.choice.image
    if image is not None:
        shown = place_in(workspace.viewer, image)
        workspace.choose(workspace.choice.at_place(shown))


def toggle_reference(workspace: Workspace) -> None:
    """Make the current frame a reference, or one no longer."""
    active = _active(workspace)
    if active is None:
        return
    references, frame = active.session.references, active.navigation.current
    if any(each.frame == frame for each in references.all):
        references.remove(frame)
        workspace.show_message(
            f"Frame {active.name(frame)} is no reference any more. Its labels stay."
        )
        return
    references.add(frame)
    if not any(each.is_labelled for each in references.all if each.frame == frame):
        workspace.show_message(
            f"Frame {active.name(frame)} is a reference without labels: it tells the "
            "model that nothing is there.",
            Tone.WARNING,
        )


def toggle_approval(workspace: Workspace) -> None:
    """Approve the current frame as it is, or take that back."""
    active = _active(workspace)
    if active is None:
        return
    frames, frame = active.session.frames, active.navigation.current
    if frames.status(frame) is FrameStatus.APPROVED:
        frames.unapprove(frame)
    else:
        frames.approve(frame)
    workspace.show_message("")


def review_next(workspace: Workspace) -> None:
    """Go to the next frame that nobody has reviewed; after the last, to the first."""
    active = _active(workspace)
    if active is not None:
        found = next_in_circle(active.session, active.navigation.current, 1)
        _show_found(workspace, active, found)


def review_previous(workspace: Workspace) -> None:
    """Go to the frame before that nobody has reviewed; from the first, to the last."""
    active = _active(workspace)
    if active is not None:
        found = next_in_circle(active.session, active.navigation.current, -1)
        _show_found(workspace, active, found)


def review_least_certain(workspace: Workspace) -> None:
    """Go to the frame that the model is least sure of."""
    active = _active(workspace)
    if active is not None:
        _show_found(workspace, active, active.session.frames.least_certain())


def _show_found(workspace: Workspace, active: LayerSession, frame: int | None) -> None:
    if frame is None:
        workspace.show_message("There is no predicted frame left to look at.")
        return
    active.navigation.go_to(frame)
    workspace.show_message("")


def next_in_circle(session: Session, current: int, step: int) -> int | None:
    """Return the next frame to review; after the last one comes the first."""
    frame = session.frames.next_to_review(current, step)
    if frame is None:
        start = -1 if step > 0 else len(session)
        frame = session.frames.next_to_review(start, step)
    return frame


# -- runs --------------------------------------------------------------------------


def start_run(workspace: Workspace, scope: Scope) -> None:
    """Start a run."""
    active = _free(workspace)
    if active is None:
        return
    status = active.session.frames.status(active.navigation.current)
    if scope == "frame" and status in PROTECTED:
        workspace.show_message(
            f"Frame {workspace.name(workspace.current)} is yours ({status.value}): no "
            "run changes it.",
            Tone.WARNING,
        )
        return
    if scope != "frame" and _asks_about_references(workspace, active):
        return
    workspace.show_message("")
    try:
        active.tuning.check_free()
        active.runs.start(
            scope,
            active.navigation.current,
            workspace.region,
            goes_on=goes_on(workspace, scope),
        )
    except ValueError as error:
        workspace.show_message(str(error), Tone.WARNING)


def goes_on(workspace: Workspace, scope: Scope) -> bool:
    """Return whether a run over a scope leaves out frames that are up to date.

    In a region all frames are meant: they may be up to date elsewhere only.
    """
    return workspace.region_layer is None and scope not in ("frame", "stale", "between")


def carry_ids_on(workspace: Workspace) -> None:
    """Carry the ids of the current frame on over the predicted frames after it."""
    active = _free(workspace)
    if active is None:
        return
    workspace.show_message("")
    try:
        active.tuning.check_free()
        active.runs.start_linking("forward", active.navigation.current)
    except ValueError as error:
        workspace.show_message(str(error), Tone.WARNING)


def _asks_about_references(workspace: Workspace, active: LayerSession) -> bool:
    """Ask once, rather than run, about a reference that is likely not finished."""
    found = partly_painted(active)
    if found is None or found.frame in active.asked_about or active.is_busy:
        return False
    active.asked_about.add(found.frame)
    workspace.show_question(found.text)
    return True


def complete_frame(workspace: Workspace, frame: int) -> None:
    """Predict what is not painted yet in a frame; what is painted stays."""
    active = _free(workspace)
    if active is None:
        return
    workspace.show_message("")
    try:
        active.tuning.check_free()
        active.runs.complete(frame)
    except ValueError as error:
        workspace.show_message(str(error), Tone.WARNING)
        return
    active.navigation.go_to(frame)


def use_as_hint(workspace: Workspace, frame: int, is_hint: bool = True) -> None:
    """Say whether what is unlabelled in a reference frame is unknown, or background."""
    active = _active(workspace)
    if active is None:
        return
    try:
        active.session.references.set_hint(frame, is_hint)
    except ValueError as error:  # its labels may be gone since it was asked about
        workspace.show_message(str(error), Tone.WARNING)
        return
    if not is_hint:
        active.finished.add(frame)
    workspace.show_message("")


def run_or_pause(workspace: Workspace) -> None:
    """Start a run over the frames that were chosen; during one, pause or go on."""
    if workspace.active is not None and workspace.is_running:
        workspace.active.runs.pause_or_resume()
    else:
        start_run(workspace, workspace.scope)


def stop_run(workspace: Workspace) -> None:
    """End the run; what was predicted stays."""
    if workspace.active is not None:
        workspace.active.runs.stop()


def undo_run(workspace: Workspace) -> None:
    """Undo the last run."""
    active = workspace.active
    if active is None or active.runs.is_busy or _is_held(workspace):
        return
    if active.session.runs.can_undo:
        workspace.show_message("")
        active.runs.undo()
    else:
        workspace.show_message("There is no run to undo.")


def redo_run(workspace: Workspace) -> None:
    """Do the run again that was undone last."""
    active = workspace.active
    if active is None or _is_held(workspace):
        return
    if active.session.runs.can_redo:
        workspace.show_message("")
        active.runs.redo()


def _active(workspace: Workspace) -> LayerSession | None:
    """Return the active session; if there is none, say what is missing."""
    if workspace.active is None and workspace.problem is None:
        workspace.show_message(
            "Choose an image and a labels layer first.", Tone.WARNING
        )
    return workspace.active


def _free(workspace: Workspace) -> LayerSession | None:
    """Return the active session if something may be begun in it; else say why not."""
    active = _active(workspace)
    return None if active is None or _is_held(workspace) else active


def _is_held(workspace: Workspace) -> bool:
    """Whether nothing may be begun; if so, say why."""
    if workspace.held:
        workspace.show_message(workspace.held, Tone.WARNING)
    return bool(workspace.held)
