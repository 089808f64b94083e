"""AdviceButtons: do the references fit each other, and what to label next."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from superqt.utils import qthrottled

from napari_seggpt.session import misfit
from napari_seggpt.ui.panels.panel import NO_SESSION
from napari_seggpt.ui.widgets.controls import allow, button
from napari_seggpt.ui.work.actions import go_to
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.messages import Tone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qtpy.QtWidgets import QPushButton

    from napari_seggpt.session import CheckedReference
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Connections, Workspace

    Key = int | str

POOR_DICE = 0.5  # references that are predicted worse are reported


THROTTLE_MS = 100  # references that change in quick succession


class AdviceButtons:
    """Two buttons, and what a worker finds out when they are pressed.

    Attributes
    ----------
    check_button, suggest_button : QPushButton
        Start the work.
    """

    changed = Signal()  # there are other results of a check

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._job: Job[Any] | None = None
        self._pressed: QPushButton | None = None  # what began the job
        self._num_references = 0
        self._checked: dict[Key, CheckedReference] = {}
        self._key = b""  # the references and settings that were checked
        self._frame: int | None = None
        self._where = ""  # what part of frames was looked at
        self.check_button = button("Check", _CHECK, self.check)
        self.suggest_button = button("Suggest", _SUGGEST, self.suggest)
        self._refresh_soon = qthrottled(
            self.refresh, timeout=THROTTLE_MS, parent=self.check_button
        )
        workspace.active_changed.connect(self._on_active)
        workspace.follow(self._connections)

    def _connections(self, active: LayerSession) -> Connections:
        yield active.session.references.changed, self._refresh_soon
        yield active.runs.changed, self.refresh

    @property
    def found(self) -> Mapping[Key, CheckedReference]:
        """What was found of the references, while they are what was checked."""
        session = self._workspace.session
        if session is None or session.frames.key != self._key:
            return {}
        return self._checked

    def refresh(self) -> None:
        """Enable what can be done."""
        session = self._workspace.session
        used = sum(r.enabled for r in session.references.all) if session else 0
        why_not = NO_SESSION if session is None else ""
        if self._job is not None:
            why_not = _WORKING
        running = _RUNNING if self._workspace.is_running else ""
        few = "" if used > 1 else _ONE_REFERENCE
        for each, text, reason in (
            (self.suggest_button, "Suggest", why_not),
            (self.check_button, "Check", why_not or running or few),
        ):
            is_working = self._job is not None and each is self._pressed
            each.setText("Stop" if is_working else text)
            allow(each, "" if is_working else reason)

    def close(self) -> None:
        """Find out no more."""
        self._refresh_soon.cancel()
        job, self._job = self._job, None
        if job is not None:
            job.close()

    # -- references ----------------------------------------------------------------

    def check(self) -> None:
        """Have each reference predicted from the others."""
        session = self._workspace.session
        if session is None or self._stops():
            return
        try:
            results = session.advice.check_references(self._workspace.region)
        except ValueError as error:
            self._workspace.show_message(str(error), Tone.WARNING)
            return
        self._checked, self._key = {}, session.frames.key
        self._workspace.show_message("Predicting each reference from the others...")
        job = Job(lambda: results, self._take_checked, title="Checking references")
        self._num_references = sum(
            each.enabled and not each.is_hint for each in session.references.all
        )
        self._start(job, self.check_button, self._show_verdict)

    def _show_verdict(self) -> None:
        """Say whether the references fit; go to the one that does not."""
        checked = [*self._checked.values()]
        odd = misfit(checked)
        if odd is not None and isinstance(odd.key, int):
            go_to(self._workspace, odd.key)
        self._workspace.show_message(*verdict(checked, self._workspace.name))

    def _take_checked(self, checked: CheckedReference) -> None:
        self._checked[checked.key] = checked
        self._workspace.show_message(
            f"Predicting each reference from the others: {len(self._checked)} of "
            f"{self._num_references}."
        )
        self.changed.emit()

    # -- what to label next --------------------------------------------------------

    def suggest(self) -> None:
        """Have the frame found whose labels would help most, and go there."""
        session = self._workspace.session
        if session is None or self._stops():
            return
        try:
            region = self._workspace.region
        except ValueError as error:
            self._workspace.show_message(str(error), Tone.WARNING)
            return
        self._where = "" if region is None else " in the region"
        results, self._frame = session.advice.suggest_frame(region), None
        self._workspace.show_message(f"Looking at frames{self._where}...")
        job = Job(lambda: results, self._take_frame, title="Looking at frames")
        self._start(job, self.suggest_button, self._show_frame)

    def _take_frame(self, frame: int | None) -> None:
        self._frame = frame

    # -- the worker ----------------------------------------------------------------

    def _stops(self) -> bool:
        """Stop what is on, if anything is: the button that began it says so."""
        if self._job is not None:
            self._job.stop()
        return self._job is not None

    def _start(
        self, job: Job[Any], pressed: QPushButton, then: Callable[[], object]
    ) -> None:
        self._job, self._pressed = job, pressed
        job.ended.connect(lambda state: self._on_ended(job, state, then))
        job.start()
        self.refresh()

    def _on_ended(
        self, job: Job[Any], state: JobState, then: Callable[[], object]
    ) -> None:
        if job is not self._job:
            return
        self._job = None
        self.refresh()
        if state is JobState.FAILED:
            self._workspace.show_message(str(job.error), Tone.ERROR)
        elif state is JobState.STOPPED:
            self._workspace.show_message("")
        else:
            then()

    def _show_frame(self) -> None:
        session, frame = self._workspace.session, self._frame
        if session is None or frame is None:
            self._workspace.show_message("Every frame is yours or approved already.")
            return
        if session.frames.confidence(frame) is not None:
            why = "the model is least sure of it"
        elif session.frames.protected:
            why = "it looks least like those that you have labelled"
        else:
            why = "it looks most like all the others"
        go_to(self._workspace, frame)
        name = self._workspace.name(frame)
        self._workspace.show_message(
            f"Best label frame {name} next: {why}{self._where}."
        )

    def _on_active(self) -> None:
        self.close()
        self._checked = {}
        self.refresh()


def verdict(
    checked: Sequence[CheckedReference], name: Callable[[int], str] = str
) -> tuple[str, Tone]:
    """Say in a sentence whether references fit each other.

    Parameters
    ----------
    checked : sequence of CheckedReference
        How well each is predicted from the others.
    name : callable
        Returns what people call a frame.
    """
    text, tone = _fit(checked, name)
    left_out = [_named(each.key, name) for each in checked if each.left_out]
    if not left_out:
        return text, tone
    verb = "is" if len(left_out) == 1 else "are"
    return f"{text} {', '.join(left_out)} {verb} left out: unreadable.", Tone.WARNING


def _fit(
    checked: Sequence[CheckedReference], name: Callable[[int], str]
) -> tuple[str, Tone]:
    """Say whether those references that could be read fit each other."""
    scores = {each.key: each.score for each in checked if each.score is not None}
    if not scores:
        text = "No two references show the same label: there is nothing to compare."
        return text, Tone.HINT
    odd = misfit(checked)
    low, high = min(scores.values()), max(scores.values())
    if odd is not None and odd.gain is not None:
        others = mean(score for key, score in scores.items() if key != odd.key)
        text = (
            f"{_named(odd.key, name)} does not fit: the other references predict each "
            f"other with an overlap of {others:.2f}, without it with "
            f"{others + odd.gain:.2f}. "
            "Look at its labels, or untick it."
        )
        return text, Tone.WARNING
    if high < POOR_DICE:
        text = (
            f"The references predict each other poorly (overlap {low:.2f} to "
            f"{high:.2f}). Look at their labels, or label more frames."
        )
        return text, Tone.WARNING
    if low < POOR_DICE:
        worst = min(scores, key=lambda key: scores[key])
        text = (
            f"{_named(worst, name)} is predicted poorly from the others (overlap "
            f"{low:.2f}; up to {high:.2f} elsewhere). If its labels are right, label "
            "more like it."
        )
        return text, Tone.WARNING
    return f"The references fit (overlap {low:.2f} to {high:.2f}).", Tone.GOOD


def _named(key: Key, name: Callable[[int], str]) -> str:
    text = f"frame {name(key)}" if isinstance(key, int) else key
    return text[:1].upper() + text[1:]


def described(checked: CheckedReference, names: Mapping[int, str]) -> str:
    """Say for a tooltip how well a reference was predicted."""
    if checked.left_out:
        return f"It was left out: {checked.left_out} "
    if checked.score is None:
        return "No other reference shows its labels, so that it cannot be checked. "
    parts = [
        f"{names.get(label) or f'label {label}'} {value:.2f}"
        for label, value in checked.dice.items()
    ]
    of_labels = f" ({', '.join(parts)})" if parts else ""
    return f"Predicted from the others: overlap {checked.score:.2f}{of_labels}. "


_CHECK = (
    "Before a long run: predict each reference from the others, to find labels that "
    "do not fit. The number under each is the overlap with your labels (Dice): 1 is "
    "the same, 0 has nothing in common."
)
_ONE_REFERENCE = "Two references are needed to compare."
_WORKING = "This is being found out."
_RUNNING = "A run is on."
_SUGGEST = "Go to the frame that is best labelled next."
