"""What the dock says to do next."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from napari_seggpt.session import PROTECTED, FrameStatus
from napari_seggpt.ui.keys import key_text
from napari_seggpt.ui.work.messages import Message, Tone

if TYPE_CHECKING:
    from napari_seggpt.session import Session
    from napari_seggpt.session.store.folder import StoredSession
    from napari_seggpt.ui.work.dock_state import Workbench
    from napari_seggpt.ui.work.layer_session import Desk
    from napari_seggpt.ui.work.saved_sessions import SessionKeeper

RESUME = "resume"  # the link
SAMPLES = {"cells": "cells", "membranes": "membranes", "organs": "organs"}


LONGEST = 28  # letters of a name that are shown


def to_say(bench: Workbench, keeper: SessionKeeper | None = None) -> Message:
    """Return what was said last, or else what to do next; after success, both."""
    if bench.message is None and keeper is not None and keeper.offer is not None:
        return _offer(keeper.offer, next_step(bench))
    if bench.message is None:
        return next_step(bench)
    if bench.message.tone is not Tone.GOOD:
        return bench.message
    following = next_step(bench).text
    return Message(text=f"{bench.message.text} {following}", tone=Tone.GOOD)


def _offer(stored: StoredSession, following: Message) -> Message:
    """Offer to go on with a session; whoever does not want to need not say so."""
    when = stored.saved.astimezone().strftime("%d %B %Y at %H:%M").lstrip("0")
    text = (
        f"You worked on this image before: {_frames(stored.num_frames)}, saved on "
        f'{when}. <a href="{RESUME}">Resume</a>.'
    )
    return Message(text=f"{text} Or begin anew: {following.text}")


def next_step(bench: Workbench) -> Message:
    """Return what to do next."""
    if bench.choice.image is None:
        return Message(text=_start_text())
    if bench.choice.labels is None:
        return Message(
            text="Press <b>New</b> to make a labels layer for "
            f"<b>{_short(bench.choice.image.name)}</b>, or choose one that you have."
        )
    if bench.desk is None:
        return Message(text=escape(bench.problem or ""), tone=Tone.WARNING)
    return _on_desk(bench, bench.desk)


def _start_text() -> str:
    links = ", ".join(f'<a href="{key}">{name}</a>' for key, name in SAMPLES.items())
    return (
        "Drop a stack on the window, as TIFF or zarr, or open a sample to try: "
        f"{links}."
    )


def _on_desk(bench: Workbench, desk: Desk) -> Message:
    session = desk.session
    if (place := desk.place_left) is not None:
        return Message(
            text=f"Frames are at <b>{escape(place)}</b>, but the viewer shows another "
            "place, where painting does not count. Go back, or change it under Data.",
            tone=Tone.WARNING,
        )
    if desk.runs.is_undoing:
        return Message(text="Undoing the run...")
    if desk.runs.is_paused:
        return Message(text=f"Paused. Go on with {key_text('propagate')}, or stop.")
    if desk.runs.is_running:
        return Message(
            text="Labelling. You may paint meanwhile: what you touch stays yours."
        )
    if desk.is_scanning and not session.references:
        return Message(text="Looking for labels that are there already...")
    if not any(r.enabled and r.is_labelled for r in session.references):
        return _without_references(desk, session)
    return _with_references(bench, session)


def _without_references(desk: Desk, session: Session) -> Message:
    if session.references:
        return Message(
            text="Tick a reference that has labels, or paint on another frame."
        )
    return Message(
        text=f"Select <b>{_short(desk.labels.name)}</b> and paint the objects of one "
        "frame, each class with its own label (brush: key 2)."
    )


def _with_references(bench: Workbench, session: Session) -> Message:
    stale = bench.count(FrameStatus.STALE)
    predicted = bench.count(FrameStatus.PREDICTED)
    if stale:
        return Message(
            text=f"<b>{_frames(stale)}</b> came before your last changes. Press "
            "<b>Update</b> when you are done painting."
        )
    if predicted:
        return Message(
            text=f"Look through <b>{_frames(predicted)}</b>: {key_text('next')} goes "
            f"to the next. Paint what is wrong; {key_text('approve')} approves."
        )
    if sum(bench.count(status) for status in PROTECTED) == len(session):
        return Message(
            text="Every frame is yours or approved. Save the labels with <b>File "
            "&gt; Save Selected Layers</b>.",
            tone=Tone.GOOD,
        )
    return Message(
        text=f"Now label the other frames: <b>{key_text('propagate')}</b>. More "
        "references make it better."
    )


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _short(name: str) -> str:
    """Return the name of a layer, shortened in the middle and safe in rich text."""
    if len(name) > LONGEST:
        name = f"{name[: LONGEST // 2]}...{name[-LONGEST // 2 :]}"
    return escape(name)
