"""Advice: whether the references fit each other, and which frame to label next."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_seggpt.session import misfit
from napari_seggpt.ui.widgets.controls import button
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.messages import Tone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_seggpt.session import CheckedReference
    from napari_seggpt.ui.work.dock_state import Workbench

    Key = int | str

POOR = 0.5  # Dice


class Advice:
    """Two buttons, and what a worker finds out when they are pressed.

    Attributes
    ----------
    check_button, suggest_button : QPushButton
        Start the work.
    """

    changed = Signal()  # what was found of references

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._job: Job[Any] | None = None
        self._checked: dict[Key, CheckedReference] = {}
        self._key = b""  # the references and settings that were checked
        self._frame: int | None = None
        self.check_button = button("Check", _CHECK, self.check)
        self.suggest_button = button("Suggest", _SUGGEST, self.suggest)
        bench.desk_changed.connect(self._on_desk)
        bench.references_changed.connect(self.refresh)
        bench.runs_changed.connect(self.refresh)

    @property
    def found(self) -> Mapping[Key, CheckedReference]:
        """What was found of the references, while they are what was checked."""
        session = self._bench.session
        if session is None or session.key != self._key:
            return {}
        return self._checked

    def refresh(self) -> None:
        """Enable what can be done."""
        session = self._bench.session
        used = sum(r.enabled for r in session.references) if session else 0
        is_free = self._job is None and not self._bench.is_running
        self.check_button.setEnabled(is_free and used > 1)
        self.suggest_button.setEnabled(self._job is None and session is not None)

    def close(self) -> None:
        """Find out no more."""
        job, self._job = self._job, None
        if job is not None:
            job.close()

    # -- references ----------------------------------------------------------------

    def check(self) -> None:
        """Have each reference predicted from the others."""
        session = self._bench.session
        if session is None or self._job is not None:
            return
        try:
            results = session.check_references()
        except ValueError as error:
            self._bench.say(str(error), Tone.WARNING)
            return
        self._checked, self._key = {}, session.key
        self._bench.say("Predicting each reference from the others...")
        job = Job(lambda: results, self._take_checked, title="Checking references")
        self._start(job, lambda: self._bench.say(*verdict([*self._checked.values()])))

    def _take_checked(self, checked: CheckedReference) -> None:
        self._checked[checked.key] = checked
        self.changed.emit()

    # -- what to label next --------------------------------------------------------

    def suggest(self) -> None:
        """Have the frame found whose labels would help most, and go there."""
        session = self._bench.session
        if session is None or self._job is not None:
            return
        results, self._frame = session.suggest_frame(), None
        self._bench.say("Looking at frames...")
        job = Job(lambda: results, self._take_frame, title="Looking at frames")
        self._start(job, self._show_frame)

    def _take_frame(self, frame: int | None) -> None:
        self._frame = frame

    # -- the worker ----------------------------------------------------------------

    def _start(self, job: Job[Any], then: Callable[[], object]) -> None:
        self._job = job
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
            self._bench.say(str(job.error), Tone.ERROR)
        elif state is JobState.STOPPED:
            self._bench.say("")
        else:
            then()

    def _show_frame(self) -> None:
        session, frame = self._bench.session, self._frame
        if session is None or frame is None:
            self._bench.say("Every frame is yours or approved already.")
            return
        if frame == session.least_certain():
            why = "the model is least sure of it"
        elif session.protected:
            why = "it looks least like those that you have labelled"
        else:
            why = "it looks most like all the others"
        self._bench.go_to(frame)
        self._bench.say(f"Best label frame {frame} next: {why}.")

    def _on_desk(self) -> None:
        self.close()
        self._checked = {}
        self.refresh()


def verdict(checked: Sequence[CheckedReference]) -> tuple[str, Tone]:
    """Say in a sentence whether references fit each other."""
    scores = {each.key: each.score for each in checked if each.score is not None}
    if not scores:
        text = "No two references show the same label: there is nothing to compare."
        return text, Tone.HINT
    odd = misfit(checked)
    low, high = min(scores.values()), max(scores.values())
    if odd is not None and odd.gain is not None:
        others = mean(score for key, score in scores.items() if key != odd.key)
        text = (
            f"{_named(odd.key)} does not fit: the other references predict each other "
            f"with Dice {others:.2f}, and without it with {others + odd.gain:.2f}. "
            "Look at its labels, or untick it."
        )
        return text, Tone.WARNING
    if high < POOR:
        text = (
            f"The references predict each other poorly (Dice {low:.2f} to {high:.2f}). "
            "Look at their labels, or label more frames."
        )
        return text, Tone.WARNING
    if low < POOR:
        worst = min(scores, key=lambda key: scores[key])
        text = (
            f"{_named(worst)} is predicted poorly from the others (Dice {low:.2f}; up "
            f"to {high:.2f} elsewhere). If its labels are right, label more like it."
        )
        return text, Tone.WARNING
    text = (
        "The references fit: each is predicted from the others with Dice "
        f"{low:.2f} to {high:.2f}."
    )
    return text, Tone.GOOD


def _named(key: Key) -> str:
    text = f"frame {key}" if isinstance(key, int) else key
    return text[:1].upper() + text[1:]


def described(checked: CheckedReference, names: Mapping[int, str]) -> str:
    """Say for a tooltip how well a reference was predicted."""
    if checked.score is None:
        return "No other reference shows its labels, so that it cannot be checked. "
    parts = [
        f"{names.get(label) or f'label {label}'} {value:.2f}"
        for label, value in checked.dice.items()
    ]
    of_labels = f" ({', '.join(parts)})" if parts else ""
    return f"Predicted from the others: Dice {checked.score:.2f}{of_labels}. "


_CHECK = (
    "Before a long run: predict each reference from the others, to find labels that "
    "do not fit."
)
_SUGGEST = "Go to the frame that is best labelled next."
