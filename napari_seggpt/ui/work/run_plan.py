"""RunPlan: what the main button of the dock would do, and says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_seggpt.session.runs.planning import LINES
from napari_seggpt.ui.work.actions import goes_on

if TYPE_CHECKING:
    from napari_seggpt.session import Scope, Session
    from napari_seggpt.ui.work.workspace import Workspace

BUTTONS: dict[Scope, str] = {
    "all": "Label all frames",
    "forward": "Label from here on",
    "backward": "Label up to here",
    "range": "Label the range",
    "between": "Bridge by shape",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What the next run would do.

    Attributes
    ----------
    frames : tuple of int
        What it would predict.
    text : str
        What the button says.
    about : str
        More about it.
    """

    frames: tuple[int, ...]
    text: str
    about: str


def plan_of(workspace: Workspace) -> RunPlan:
    """Return what a run over the frames that are chosen would do."""
    session, scope = workspace.session, workspace.scope
    if session is None:
        return RunPlan(frames=(), text=_text(scope), about=_RUN)
    planned = frames = session.plan(scope, workspace.current)
    text, about = _text(scope, session), _RUN
    if goes_on(workspace, scope):
        frames = session.runs.left_of(planned)
        if len(frames) < len(planned):
            text, about = "Label the rest", f"{_REST} {_RUN}"
        elif frames and session.runs.up_to_date.issuperset(frames):
            text, about = f"{text} again", f"{_AGAIN} {_RUN}"
    if session.references.all:
        text += f" ({len(frames)})"
    return RunPlan(frames=frames, text=text, about=about)


def _text(scope: Scope, session: Session | None = None) -> str:
    if session is None or scope not in LINES:
        return BUTTONS.get(scope, BUTTONS["all"])
    return f"Label along {session.grid.names[LINES[scope]]}"


_RUN = (
    "Predict the frames that are chosen above. Frames that you labelled, corrected or "
    "approved are never written."
)
_REST = (
    "Go on: frames that are up to date are left out, since the same would come of "
    "them. Once all are, the button predicts them again."
)
_AGAIN = "All of these frames are up to date: the same is likely to come of them."
