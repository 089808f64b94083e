"""Do the references fit each other? Each is predicted from all the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.metrics.pixels import dice

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from napari_seggpt.frames import FrameGrid
    from napari_seggpt.inference.predictor import Predictor

MIN_COMPARABLE_PROMPTS = 3  # with fewer, nobody can tell which one does not fit
MAX_SUSPECTS = 3  # prompts, those predicted worst, that are left out on trial
HARMFUL_DICE_LOSS = 0.05  # that one prompt costs the others on average


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptScore:
    """How well a prompt was predicted from the others.

    Attributes
    ----------
    number : int
        Its place among the prompts.
    dice : dict of int to float
        By label, of those that it shows and others show too.
    score : float or None
        Their mean. If it shows none of them, 1 if none was predicted and else 0. None
        if it shows only labels that no other prompt does.
    gain : float or None
        How much higher the others score on average without it; known of suspects.
    """

    number: int
    dice: dict[int, float]
    score: float | None
    gain: float | None = None


def check_prompts(
    predictor: Predictor, grid: FrameGrid | None = None
) -> Iterator[PromptScore]:
    """Predict each prompt of a predictor from all the others.

    A low score alone blames none: its labels may be wrong, or it looks unlike the
    others. Wrong labels harm the others, too, which is what suspects are tested for.

    Parameters
    ----------
    predictor : Predictor
        Whose prompts they are.
    grid : FrameGrid, optional
        How the frames of the stack lie, if along two axes.

    Yields
    ------
    PromptScore
        One a prompt; then, of three or more, those of suspects again with their gain.

    Raises
    ------
    ValueError
        If there are fewer than two prompts.
    """
    count = len(predictor.prompts)
    if count < 2:
        raise ValueError(f"Expected 2 or more references, got {count}.")
    scores = []
    for number in range(count):
        scores.append(_predict(predictor, number, grid, without={number}))
        yield scores[-1]
    known = {x.number: x.score for x in scores if x.score is not None}
    if len(known) < MIN_COMPARABLE_PROMPTS:
        return
    for number in sorted(known, key=lambda i: known[i])[:MAX_SUSPECTS]:
        gains = []
        for other, before in known.items():
            if other != number:
                after = _predict(predictor, other, grid, without={other, number}).score
                gains += [] if after is None else [after - before]
        if gains:
            yield replace(scores[number], gain=float(np.mean(gains)))


def _predict(
    predictor: Predictor,
    number: int,
    grid: FrameGrid | None,
    *,
    without: Collection[int],
) -> PromptScore:
    """Predict one prompt of a predictor from those that are not left out."""
    prompt = predictor.prompts[number]
    others = predictor.only(
        i for i in range(len(predictor.prompts)) if i not in without
    )
    shared = {int(i) for other in others.prompts for i in other.ids}
    own = {int(i) for i in prompt.ids}
    if not shared or (own and not own & shared):
        return PromptScore(number=number, dice={}, score=None)
    found = others.predict(prompt.image, index=prompt.index, grid=grid)
    predicted = found.labels
    scores = {i: dice(predicted == i, prompt.labels == i) for i in sorted(own & shared)}
    empty = 0.0 if predicted.any() else 1.0
    score = float(np.mean(list(scores.values()))) if scores else empty
    return PromptScore(number=number, dice=scores, score=score)


def misfit(gains: Sequence[float | None]) -> int | None:
    """Return the place of the prompt that harms the others most, if one does."""
    known = {i: gain for i, gain in enumerate(gains) if gain is not None}
    worst = max(known, key=lambda i: known[i], default=None)
    return worst if worst is not None and known[worst] > HARMFUL_DICE_LOSS else None
