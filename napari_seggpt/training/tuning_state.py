"""Where tuning a prompt stands: how good it is, and a file from which it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from napari_seggpt.files import whole_file
from napari_seggpt.prompts import PromptFileError, TunedPrompt

if TYPE_CHECKING:
    from pathlib import Path

    from torch.optim import Optimizer

    from napari_seggpt.training.learned import LearnedPrompt

PARTS = {"asked", "course", "best", "images", "colors", "weighing", "optimizer"}


class TuningStateError(ValueError):
    """A file from which this tuning cannot go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dices:
    """Mean Dice of frames that are predicted from the others, and of one of them."""

    mean: float
    held_back: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningState:
    """Where tuning stands.

    Attributes
    ----------
    step : int
        Updates done.
    before : Dices
        How good the prompts are that it started from.
    best : TunedPrompt
        The best prompt so far.
    highest : float
        Its mean Dice.
    without_gain : int
        How often in a row none was better.
    seconds : float
        Spent until here.
    """

    step: int
    before: Dices
    best: TunedPrompt
    highest: float
    without_gain: int = 0
    seconds: float = 0.0


class StateFile:
    """A file with all that tuning needs to go on as if it had not been stopped.

    Parameters
    ----------
    path : Path
        Where it is, or will be.
    asked : str
        What the tuning is a function of: another one does not go on from it.
    """

    def __init__(self, path: Path, asked: str) -> None:
        self._path = path
        self._asked = asked

    def save(
        self, state: TuningState, learned: LearnedPrompt, optimizer: Optimizer
    ) -> None:
        """Write the file whole, over that of an earlier step."""
        before = state.before
        content = {
            "asked": self._asked,
            "course": {
                "step": state.step,
                "before": (before.mean, before.held_back),
                "highest": state.highest,
                "without_gain": state.without_gain,
                "seconds": state.seconds,
            },
            "best": state.best.to_bytes(),
            "images": learned.images,
            "colors": learned.colors,
            "weighing": learned.weighing(),
            "optimizer": optimizer.state_dict(),
        }
        with whole_file(self._path) as draft:
            torch.save(content, draft)

    def load(self, learned: LearnedPrompt, optimizer: Optimizer) -> TuningState | None:
        """Bring a prompt to where it was; None if there is no file.

        Raises
        ------
        TuningStateError
            If the file is damaged, or of another tuning.
        """
        if not self._path.is_file():
            return None
        content = self._read()
        if content["asked"] != self._asked:
            raise TuningStateError(
                f"Expected the state of this tuning in {self._path}, got that of "
                "another: delete the file to begin anew."
            )
        try:
            with torch.no_grad():
                learned.images.copy_(content["images"])
                learned.colors.copy_(content["colors"])
                for name, values in learned.weighing().items():
                    values.copy_(content["weighing"][name])
            optimizer.load_state_dict(content["optimizer"])
            course = dict(content["course"])
            mean, held_back = course.pop("before")
            return TuningState(
                before=Dices(mean=mean, held_back=held_back),
                best=TunedPrompt.from_bytes(content["best"]),
                **course,
            )
        except (RuntimeError, TypeError, ValueError, KeyError) as error:
            raise self._damaged(error) from error

    def _read(self) -> dict[str, Any]:
        try:
            content = torch.load(self._path, map_location="cpu", weights_only=True)
        except Exception as error:  # what torch raises depends on the bytes
            raise self._damaged(error) from error
        if not isinstance(content, dict) or set(content) != PARTS:
            raise self._damaged(PromptFileError("another file"))
        return content

    def _damaged(self, error: Exception) -> TuningStateError:
        return TuningStateError(
            f"Expected the state of a tuning in {self._path}, got: {error}"
        )
