"""TuningControl: tunes a prompt in napari's worker, then shows what it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_seggpt.inference.watching import unreadable_lines
from napari_seggpt.model.cards import model_config
from napari_seggpt.ui.layers.class_names import class_names
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.messages import MOST_LEFT_OUT, Tone
from napari_seggpt.ui.work.previews import Preview, make_preview

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Labels

    from napari_seggpt.model.config import SegGPTConfig
    from napari_seggpt.prompts import TunedPrompt
    from napari_seggpt.session import Session
    from napari_seggpt.session.runs.prompt_tuning import PromptTuning
    from napari_seggpt.training.tuning import TuneStep


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparedFrame:
    """What is shown of a frame: small, before and after."""

    index: int
    alike: float
    before: Preview
    after: Preview


class TuningControl:
    """The tuning of one session's references.

    `changed` is emitted when anything that is shown has changed, `ended` with what
    there is to say.

    Attributes
    ----------
    losses, dices, held_back : list of (int, float)
        Step and value, as they came: the loss, the Dice of all frames, and that of the
        frame held back.
    best : TunedPrompt or None
        What was learned, until it is kept or discarded.
    pairs : list of Pair
        What it changes, the most changed first.
    """

    changed = Signal()
    ended = Signal(str, Tone)

    def __init__(self, session: Session, layer: Labels) -> None:
        self.session = session
        self.losses: list[tuple[int, float]] = []
        self.dices: list[tuple[int, float]] = []
        self.held_back: list[tuple[int, float]] = []
        self.best: TunedPrompt | None = None
        self.pairs: list[ComparedFrame] = []
        self._layer = layer
        self._tuning: PromptTuning | None = None
        self._job: Job[Any] | None = None
        self._has_learned = False

    @property
    def is_on(self) -> bool:
        """Whether it is learning, or comparing frames before and after."""
        return self._job is not None

    @property
    def is_learning(self) -> bool:
        """Whether it is learning."""
        return self.is_on and not self._has_learned

    @property
    def steps(self) -> tuple[int, int]:
        """Steps done, and at most."""
        done = self.losses[-1][0] if self.losses else 0
        return done, self._tuning.settings.steps if self._tuning else 0

    def check_free(self) -> None:
        """Raise ValueError while it is on."""
        if self.is_on:
            raise ValueError("Expected the tuning to have ended; it is on.")

    # -- what a person does --------------------------------------------------------

    def start(self) -> None:
        """Tune on the references that are switched on.

        Raises
        ------
        ValueError
            If there are too few.
        """
        self.check_free()
        self._tuning = self.session.start_tuning(class_names=class_names(self._layer))
        self.losses, self.dices, self.held_back = [], [], []
        self.best, self.pairs = None, []
        self._has_learned = False
        self._job = Job(
            self._tuning.steps,
            self._take_step,
            title="Tuning a prompt",
            total=self._tuning.settings.steps + 1,
        )
        self._job.ended.connect(self._on_learned)
        self._job.start()
        self.changed.emit()

    def stop(self) -> None:
        """End after the present step; the best one so far is there."""
        if self._job is not None and self._tuning is not None:
            self._tuning.stop()
            self._job.stop()

    def keep(self) -> None:
        """Use what was learned, beside the references."""
        if self.best is not None:
            self.session.references.tuned = self.best
        self.discard()

    def discard(self) -> None:
        """Drop what was learned."""
        self.stop()
        self.best, self.pairs = None, []
        self.changed.emit()

    def close(self) -> None:
        """End what is on; nothing more is told."""
        job, self._job = self._job, None
        if job is not None and self._tuning is not None:
            job.ended.disconnect()
            self._tuning.stop()
            job.close()

    # -- in between ----------------------------------------------------------------

    def _take_step(self, step: TuneStep) -> None:
        self.best = step.best
        if step.loss is not None:
            self.losses.append((step.step, step.loss))
        if step.dice is not None:
            self.dices.append((step.step, step.dice))
        if step.held_back_dice is not None:
            self.held_back.append((step.step, step.held_back_dice))
        self.changed.emit()

    def _on_learned(self, state: JobState) -> None:
        job, self._job = self._job, None
        self._has_learned = True
        if state is JobState.FAILED and job is not None:
            self.best = None
            self.ended.emit(str(job.error), Tone.ERROR)
        elif self.best is not None:
            text, tone = verdict(self.best)
            self.ended.emit(" ".join([text, *self._left_out()]), tone)
            if self.best.figures.has_gained:
                self._compare(self.best)
            else:
                self.best = None
        self.changed.emit()

    def _left_out(self) -> list[str]:
        """Say which references could not be learned from."""
        frames = self._tuning.unreadable if self._tuning is not None else []
        return unreadable_lines(frames, MOST_LEFT_OUT, self.session.grid.name)

    def _compare(self, tuned: TunedPrompt) -> None:
        """Predict frames with and without the prompt, in the worker."""
        frames = self.session.frames_to_compare()
        tuning = self._tuning
        if tuning is None or not frames:
            return
        config = model_config(self.session.settings.model)
        self._job = Job(
            lambda: pairs(tuning, tuned, frames, config),
            self._take_pair,
            title="Comparing frames",
            total=len(frames),
        )
        self._job.ended.connect(self._on_compared)
        self._job.start()

    def _take_pair(self, pair: ComparedFrame) -> None:
        self.pairs = sorted([*self.pairs, pair], key=lambda each: each.alike)
        self.changed.emit()

    def _on_compared(self, _: JobState) -> None:
        self._job = None
        self.changed.emit()


def pairs(
    tuning: PromptTuning, tuned: TunedPrompt, frames: list[int], config: SegGPTConfig
) -> Iterator[ComparedFrame]:
    """Make small pictures of frames before and after, in the worker."""
    for each in tuning.compare(tuned, frames):
        before, after = (
            make_preview(each.image, labels, config)
            for labels in (each.before, each.after)
        )
        yield ComparedFrame(
            index=each.index, alike=each.alike, before=before, after=after
        )


def verdict(tuned: TunedPrompt) -> tuple[str, Tone]:
    """Say what tuning has brought, in words."""
    figures = tuned.figures
    before, after = figures.dice_before, figures.dice_after
    change = f"overlap {before:.2f} before, {after:.2f} after"
    if figures.held_back_before is not None and figures.held_back_after is not None:
        change += (
            f"; on the frame held back {figures.held_back_before:.2f} and "
            f"{figures.held_back_after:.2f}"
        )
    else:
        change += ", on frames that it learned from"
    if figures.has_gained:
        return f"Tuned: {change}. See what it changes; keep or discard it.", Tone.HINT
    text = (
        f"Tuning is no better than the references as they are ({change}), and is not "
        "kept. More corrected frames may help."
    )
    return text, Tone.WARNING
