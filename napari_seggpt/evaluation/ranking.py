"""Ranking: how well frames are ordered by their errors without the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from napari_seggpt.evaluation.datasets import given_frames, spread_references
from napari_seggpt.frames import sample_frames
from napari_seggpt.inference.confidence import agreement, frame_confidence
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.inference.propagation import predict_stack
from napari_seggpt.inference.tiling import suggest_scale, with_tiles
from napari_seggpt.metrics.pixels import mean_dice
from napari_seggpt.preprocessing import measure_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.evaluation.datasets import LabelledSequence
    from napari_seggpt.inference.propagation import FramePrediction
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.settings import PredictionSettings, PropagationSettings

    Labels = NDArray[np.integer[Any]]
    Values = NDArray[np.float64]

LEAST_FRAMES = 5  # of a sequence or a data set, for ranks to mean anything
WORST = 10  # the worst one in so many frames is to be found
CONFIDENCE, MARGIN, FOREGROUND = "confidence", "mean margin", "margin on labels"
AGREEMENT, NEIGHBOURS = "agreement", "neighbours"
FLAT = 1e-9  # values closer than that are one


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedFrame:
    """A predicted frame: how good it is, and what could tell that without the truth.

    Attributes
    ----------
    dataset, sequence : str
        Where the frame is.
    index : int
        Its number in the sequence.
    dice : float
        Mean Dice over the classes of the references.
    signals : dict of str to float
        By name; the higher, the surer: "confidence", which is what users see, the
        "mean margin" of all pixels, the "margin on labels", the mean Dice with the
        predictions from each reference alone ("agreement", from two references on),
        and with the frames beside it ("neighbours").
    """

    dataset: str
    sequence: str
    index: int
    dice: float
    signals: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalScore:
    """How well a signal ranks frames by their true Dice, as means over data sets.

    Attributes
    ----------
    within : float
        Spearman rank correlation within a sequence.
    pooled : float
        The same among all frames of a data set.
    worst_tenth : float
        Share of the worst tenth of a set's frames among the least sure tenth.
    apart : float
        Mean distance of the signal from the Dice of the frame.
    sets : int
        Data sets that have the signal for enough frames.
    """

    within: float
    pooled: float
    worst_tenth: float
    apart: float
    sets: int


def rank_sequence(
    sequence: LabelledSequence,
    model: SegGPT,
    *,
    references: int,
    prediction: PredictionSettings,
    propagation: PropagationSettings,
    auto_tiles: bool = False,
) -> Iterator[RankedFrame]:
    """Predict the frames of a sequence, and take down the signals of each.

    Parameters are those of `protocol.evaluate_sequence`. Nothing is yielded before all
    frames are predicted.
    """
    labelled = sequence.labelled()
    if not labelled:
        return
    prompts = given_frames(sequence, spread_references(labelled, references))
    if auto_tiles:
        labels = [prompt.labels for prompt in prompts]
        _, scale = suggest_scale(labels, model.config)
        prediction = with_tiles(prediction, scale)
    limits = measure_limits(sample_frames(sequence))
    predictor = Predictor(model, prompts, settings=prediction, limits=limits)
    known: dict[int, Labels] = {
        prompt.index: prompt.labels for prompt in prompts if prompt.index is not None
    }
    signals = {}
    for step in predict_stack(sequence, predictor, settings=propagation):
        known[step.index] = step.prediction.labels
        signals[step.index] = _signals(step, sequence, predictor)
    ids = sorted({int(i) for prompt in prompts for i in prompt.ids})
    for index, found in sorted(signals.items()):
        yield RankedFrame(
            dataset=sequence.dataset,
            sequence=sequence.name,
            index=sequence.number(index),
            dice=mean_dice(
                sequence.counted(index, known[index]), sequence.labels(index), ids
            ),
            signals=found | _neighbours(known, index),
        )


def _signals(
    step: FramePrediction, sequence: LabelledSequence, predictor: Predictor
) -> dict[str, float]:
    labels, margin = step.prediction.labels, step.prediction.confidence
    is_labelled = labels != 0
    signals = {
        CONFIDENCE: frame_confidence(labels, margin),
        MARGIN: float(margin.mean()),
        FOREGROUND: float(
            (margin[is_labelled] if is_labelled.any() else margin).mean()
        ),
    }
    count = len(predictor.prompts)
    if count > 1:
        frame, at = sequence[step.index], step.index
        alone = (predictor.only([i]).predict(frame, index=at) for i in range(count))
        signals[AGREEMENT] = float(
            np.mean([agreement(labels, x.labels) for x in alone])
        )
    return signals


def _neighbours(known: Mapping[int, Labels], index: int) -> dict[str, float]:
    here = known[index]
    beside = [known[i] for i in (index - 1, index + 1) if i in known]
    alike = [agreement(here, x) for x in beside if x.shape == here.shape]
    return {NEIGHBOURS: float(np.mean(alike))} if alike else {}


# -- scores ------------------------------------------------------------------------


def score_signals(frames: Sequence[RankedFrame]) -> dict[str, SignalScore]:
    """Say of each signal how well it ranks frames, the best within sequences first."""
    names = dict.fromkeys(name for frame in frames for name in frame.signals)
    sets = _by(frames, lambda frame: frame.dataset)
    scores = {name: _score(name, sets) for name in names}
    known = {name: score for name, score in scores.items() if score is not None}
    return dict(sorted(known.items(), key=lambda item: -item[1].within))


def _score(name: str, sets: Sequence[Sequence[RankedFrame]]) -> SignalScore | None:
    within, pooled, worst, apart = [], [], [], []
    for frames in sets:
        having = [frame for frame in frames if name in frame.signals]
        sequences = _by(having, lambda frame: frame.sequence)
        found = [_correlation(*_pairs(name, each)) for each in sequences]
        known = [value for value in found if value is not None]
        of_set = _correlation(*_pairs(name, having))
        if known and of_set is not None:
            within.append(float(np.mean(known)))
            pooled.append(of_set)
            signal, dice = _pairs(name, having)
            worst.append(_found_worst(signal, dice))
            apart.append(float(np.abs(signal - dice).mean()))
    if not within:
        return None
    return SignalScore(
        within=float(np.mean(within)),
        pooled=float(np.mean(pooled)),
        worst_tenth=float(np.mean(worst)),
        apart=float(np.mean(apart)),
        sets=len(within),
    )


def _by(
    frames: Sequence[RankedFrame], key: Callable[[RankedFrame], str]
) -> list[list[RankedFrame]]:
    groups: dict[str, list[RankedFrame]] = {}
    for frame in frames:
        groups.setdefault(key(frame), []).append(frame)
    return list(groups.values())


def _pairs(name: str, frames: Sequence[RankedFrame]) -> tuple[Values, Values]:
    """Return the signal and the Dice of frames."""
    signal = np.array([frame.signals[name] for frame in frames])
    return signal, np.array([frame.dice for frame in frames])


def _correlation(signal: Values, dice: Values) -> float | None:
    """Return Spearman's rank correlation; None where Dice ranks no frames."""
    if len(dice) < LEAST_FRAMES or np.ptp(dice) < FLAT:
        return None
    if np.ptp(signal) < FLAT:
        return 0.0
    return float(np.corrcoef(rankdata(signal), rankdata(dice))[0, 1])


def _found_worst(signal: Values, dice: Values) -> float:
    """Return the share of the worst tenth that the least sure tenth contains."""
    count = max(1, round(len(dice) / WORST))
    worst, unsure = (
        set(np.argsort(values, kind="stable")[:count]) for values in (dice, signal)
    )
    return len(worst & unsure) / count
