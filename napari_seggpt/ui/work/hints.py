"""What the dock says to do next."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from napari_seggpt.session import PROTECTED, FrameStatus
from napari_seggpt.ui.keys import key_text
from napari_seggpt.ui.work.axis_words import axes_in_words, places_in_words
from napari_seggpt.ui.work.messages import Message, Tone
from napari_seggpt.ui.work.partly_painted import partly_painted
from napari_seggpt.ui.work.places_left import channel_left, place_left
from napari_seggpt.ui.work.small_objects import num_tiles, too_small
from napari_seggpt.untrusted import printable
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from napari_seggpt.session import Session
    from napari_seggpt.session.runs.base_run import BaseRun
    from napari_seggpt.session.store.finding import SavedWork
    from napari_seggpt.ui.layers.layer_choice import LayerChoice
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.saved_sessions import SavedSessions
    from napari_seggpt.ui.work.workspace import Workspace

RESUME, TILES, PART, NEW = "resume", "tiles", "part", "new"  # links
PLACE, BACK, HERE = "place", "back", "here"  # a link, and where it leads to
SAMPLES = {"cells": "cells", "membranes": "membranes", "organs": "organs"}


MAX_NAME_LENGTH = 28  # letters of a name that are shown
MAX_CLASSES_SHOWN = 4  # of a session that can be resumed


def message_to_show(
    workspace: Workspace, saved_sessions: SavedSessions | None = None
) -> Message:
    """Return the last message, or else what to do next; after success, both.

    While work is not saved, that is told first, whatever else is told.
    """
    message = _last_or_next(workspace, saved_sessions)
    if saved_sessions is None or saved_sessions.unsaved is None:
        return message
    warning = (
        f"<b>Your work is not saved:</b> {escape(saved_sessions.unsaved)}. It is tried "
        "again every few seconds; you can save the labels with <b>File &gt; Save "
        "Selected Layers</b>."
    )
    return Message(text=f"{warning}<br>{message.text}", tone=Tone.WARNING)


def _last_or_next(
    workspace: Workspace, saved_sessions: SavedSessions | None
) -> Message:
    message = workspace.message
    if message is not None and message.tone is not Tone.GOOD:
        return message
    offer = None if saved_sessions is None else saved_sessions.offer
    following = next_step(workspace)
    if offer is not None:
        following = _after_problem(following, _offer(offer, _anew(workspace)))
    elif saved_sessions is not None and saved_sessions.elsewhere is not None:
        there = saved_sessions.elsewhere
        following = _after_problem(following, _other_part(there, _anew(workspace)))
    if message is None:
        return following
    return Message(text=f"{message.text} {following.text}", tone=Tone.GOOD)


def _after_problem(following: Message, offer: Message) -> Message:
    """Return what is offered instead of what to do next, but after a problem."""
    if following.tone is not Tone.WARNING:
        return offer
    return Message(text=f"{following.text} {offer.text}", tone=Tone.WARNING)


def _anew(workspace: Workspace) -> str:
    """Say how to begin anew; nobody need decline what is offered."""
    has_labels = workspace.choice.labels is not None
    new = f'<a href="{NEW}">New</a>'
    return "begin anew" if has_labels else f"press {new} to begin anew"


def _offer(work: SavedWork, anew: str) -> Message:
    """Offer to go on with a session."""
    return Message(
        text=f"You worked on this image before: {_saved_at(work)}, "
        f"{count_of(work.num_frames, 'frame')}. "
        f'<a href="{RESUME}">Resume</a>, or {anew}.'
    )


def _other_part(there: LayerChoice, anew: str) -> Message:
    """Offer to go to other frames of the image, which a person worked on before."""
    where = ""
    if there.image is not None:
        along = f"along {axes_in_words(there.image, there.axis)}"
        where = ", ".join(
            each for each in (along, places_in_words(there.image, there.fixed)) if each
        )
    return Message(
        text=f"You worked on other frames of this image before: "
        f'{escape(where)}. <a href="{PART}">Go there</a>, or {anew}.'
    )


def description(work: SavedWork) -> str:
    """Say of a session when it was saved, of how many frames, and of which labels.

    The text is plain and one line, whatever the file says. Of a session that is still
    written no number is said, since it would soon be another.
    """
    text = _saved_at(work)
    if not work.is_open:
        text += f", {count_of(work.num_frames, 'frame')}"
    names = [_plain(name) for name in (work.stored.about.labels_name, *work.classes)]
    shown = [name for name in names if name][: 1 + MAX_CLASSES_SHOWN]
    return f"{text}, {', '.join(shown)}" if shown else text


def _saved_at(work: SavedWork) -> str:
    """Say when a session was saved; of this year the number is not said."""
    saved = work.stored.saved.astimezone()
    year = "" if saved.year == datetime.now().astimezone().year else " %Y"
    return saved.strftime(f"%d %B{year} at %H:%M").lstrip("0")


def _plain(name: str) -> str:
    """Return a name from a file as text of one short line."""
    return _shortened(" ".join(printable(name).split()))


def next_step(workspace: Workspace) -> Message:
    """Return what to do next."""
    if workspace.choice.image is None:
        return Message(text=_start_text())
    if workspace.choice.labels is None:
        return Message(
            text=f'Press <a href="{NEW}">New</a> to make a labels layer for <b>'
            f"{_short(workspace.choice.image.name)}</b>, or choose one that you have."
        )
    if workspace.active is None:
        return Message(text=escape(workspace.problem or ""), tone=Tone.WARNING)
    return _on_active(workspace, workspace.active)


def _start_text() -> str:
    links = ", ".join(f'<a href="{key}">{name}</a>' for key, name in SAMPLES.items())
    return (
        "Drop a stack on the window, as TIFF or zarr, or open a sample to try: "
        f"{links}."
    )


def _on_active(workspace: Workspace, layer_session: LayerSession) -> Message:
    session = layer_session.session
    if (elsewhere := _elsewhere(layer_session)) is not None:
        return elsewhere
    if layer_session.runs.is_undoing:
        return Message(text="Undoing the run...")
    if layer_session.runs.is_paused:
        return Message(text=f"Paused. Go on with {key_text('propagate')}, or stop.")
    if layer_session.runs.is_running:
        return Message(
            text="Labelling. You may paint meanwhile: what you touch stays yours."
            + _on_parts(layer_session.runs.run)
        )
    if layer_session.is_scanning and not session.references.all:
        return Message(text="Looking for labels that are there already...")
    if not any(r.enabled and r.is_labelled for r in session.references.all):
        return _without_references(layer_session, session)
    return _with_references(workspace, session)


def _elsewhere(layer_session: LayerSession) -> Message | None:
    """Say where the frames are, if the viewer shows another place."""
    back = f'<a href="{PLACE}:{BACK}">Go back</a>'
    if (place := place_left(layer_session)) is not None:
        return Message(
            text=f"You label <b>{escape(place)}</b>, but the viewer shows another "
            f"place, where painting does not count. {back}, or "
            f'<a href="{PLACE}:{HERE}">label what is shown</a> as work of its own.',
            tone=Tone.WARNING,
        )
    if channel_left(layer_session):
        return Message(
            text="Labels count for all channels, but lie at one of them: the viewer "
            f"shows another, where painting does not count. {back}.",
            tone=Tone.WARNING,
        )
    return None


def _on_parts(run: BaseRun | None) -> str:
    """Say why frames take long, if they are shown to the model in enlarged parts."""
    if run is None or run.num_parts == 1:
        return ""
    return (
        f" Objects are small: the model sees each frame in {run.num_parts} enlarged "
        "parts. <b>Enlarge small objects</b>, in the settings, turns that off."
    )


def _without_references(layer_session: LayerSession, session: Session) -> Message:
    if session.references.all:
        return Message(
            text="Tick a reference that has labels, or paint on another frame."
        )
    return Message(
        text=f"Select <b>{_short(layer_session.labels.name)}</b> and paint the objects "
        "of one frame, each class with its own label (brush: key 2)."
    )


def _with_references(workspace: Workspace, session: Session) -> Message:
    active = workspace.active
    if active is not None and (unfinished := partly_painted(active)) is not None:
        return Message(text=unfinished.text, tone=Tone.WARNING)
    stale = session.frames.count(FrameStatus.STALE)
    predicted = session.frames.count(FrameStatus.PREDICTED)
    if stale:
        return Message(
            text=f"<b>{count_of(stale, 'frame')}</b> {'is' if stale == 1 else 'are'} "
            "out of date. Press <b>Update</b> when you are done painting."
        )
    if predicted:
        return Message(
            text=f"Look through <b>{count_of(predicted, 'frame')}</b>: "
            f"{key_text('next')} goes to the next. Paint what is wrong; "
            f"{key_text('approve')} approves."
        )
    if sum(session.frames.count(status) for status in PROTECTED) == len(session):
        return Message(
            text="Every frame is yours or approved. Save the labels with <b>File "
            "&gt; Save Selected Layers</b>.",
            tone=Tone.GOOD,
        )
    return Message(
        text=f"Now label the other frames: <b>{key_text('propagate')}</b>. "
        f"{_on_small_objects(workspace) or 'More references make it better.'}"
    )


def _on_small_objects(workspace: Workspace) -> str:
    smallest = too_small(workspace)
    if smallest is None:
        return ""
    times = num_tiles(workspace)
    return (
        f"Frames are shrunk for the model, some objects to {smallest.side:.1f} pixels. "
        f'<a href="{TILES}">Tiles</a> show them as they are; a frame then takes up to '
        f"{times} times as long."
    )


def _short(name: str) -> str:
    """Return the name of a layer, shortened in the middle and safe in rich text."""
    return escape(_shortened(name))


def _shortened(name: str) -> str:
    if len(name) > MAX_NAME_LENGTH:
        return f"{name[: MAX_NAME_LENGTH // 2]}...{name[-MAX_NAME_LENGTH // 2 :]}"
    return name
