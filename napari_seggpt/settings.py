"""Every default that a user can change, as frozen dataclasses; the only such place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

SegType = Literal["instance", "semantic"]
Ensemble = Literal["feature", "spatial"]
Direction = Literal["both", "forward", "backward"]
Device = Literal["auto", "cpu", "cuda", "mps"]
TuningStart = Literal["reference", "grid", "noise"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

MAX_MEMORY = 16
MAX_LABELS_PER_PASS = 26


def _check_choice(value: str, kind: object) -> None:
    choices = get_args(kind)
    if value not in choices:
        raise ValueError(f"Expected one of {', '.join(choices)}, got {value!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastSettings:
    """How the values of frames become the brightness of pictures.

    Attributes
    ----------
    limits : tuple of float, optional
        Values shown black and white. Without it the percentiles decide.
    percentiles : tuple of float
        Percentiles of the stack that are shown black and white. Objects so sparse
        that they lie beyond a percentile widen the range. 8-bit frames that are not
        dim are shown as they are.

    Notes
    -----
    8-bit RGB is a picture already: it is always shown as it is.
    """

    limits: tuple[float, float] | None = None
    percentiles: tuple[float, float] = (0.5, 99.5)

    def __post_init__(self) -> None:
        """Refuse limits in the wrong order."""
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(
                f"Expected percentiles 0 <= low < high <= 100, got {low}, {high}."
            )
        if self.limits is None:
            return
        low, high = self.limits
        if not -math.inf < low < high < math.inf:
            raise ValueError(f"Expected contrast limits low < high, got {low}, {high}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TilingSettings:
    """Overlapping tiles, for objects too small for a squeezed frame.

    Attributes
    ----------
    enabled : bool
        Whether frames are cut into tiles.
    scale : float
        Model pixels per frame pixel: 1 shows the model the frame's own pixels.
    overlap : float
        Share of a tile that it has in common with its neighbour, 0 to 0.5.
    """

    enabled: bool = False
    scale: float = 1.0
    overlap: float = 0.25

    def __post_init__(self) -> None:
        """Refuse tiles that could not cover a frame."""
        if not 0 < self.scale < math.inf:
            raise ValueError(f"Expected a tile scale above 0, got {self.scale}.")
        if not 0 <= self.overlap <= 0.5:
            raise ValueError(f"Expected an overlap of 0 to 0.5, got {self.overlap}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionSettings:
    """How a predictor uses its model and prompts.

    Attributes
    ----------
    seg_type : {"semantic", "instance"}
        Which of the paper's two type embeddings is used.
    ensemble : {"feature", "spatial"}
        Which of the paper's two ways to use several prompts (section 3.2).
    max_prompts : int
        At most so many labelled prompts are used for a frame, the nearest and most
        similar; frames in memory come on top.
    labels_per_pass : int
        At most so many labels are coloured in one picture; more take more passes.
    batch : int
        How many pictures are predicted at once where they do not wait for each other.
    device, precision
        Where and how precisely the network computes; "auto" takes what is good there.
    tiling : TilingSettings
        Whether frames are cut into tiles.
    """

    seg_type: SegType = "semantic"
    ensemble: Ensemble = "feature"
    max_prompts: int = 8
    labels_per_pass: int = 7
    batch: int = 4
    device: Device = "auto"
    precision: Precision = "auto"
    tiling: TilingSettings = field(default_factory=TilingSettings)

    def __post_init__(self) -> None:
        """Refuse choices that do not exist and numbers that leave nothing to do."""
        _check_choice(self.seg_type, SegType)
        _check_choice(self.ensemble, Ensemble)
        _check_choice(self.device, Device)
        _check_choice(self.precision, Precision)
        if self.max_prompts < 1 or self.batch < 1:
            raise ValueError(
                "Expected max_prompts and batch of 1 or more, "
                f"got {self.max_prompts} and {self.batch}."
            )
        if not 1 <= self.labels_per_pass <= MAX_LABELS_PER_PASS:
            raise ValueError(
                f"Expected labels_per_pass of 1 to {MAX_LABELS_PER_PASS}, "
                f"got {self.labels_per_pass}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PropagationSettings:
    """Which frames of a stack are predicted, and what they remember.

    Attributes
    ----------
    memory : int
        How many of the last predicted frames serve as further prompts (0 to 16). The
        paper's best is 8 examples in all (Table 4b). 0 predicts frames independently,
        which the built-in model does best: its own mistakes as prompts mislead it.
    start, stop : int, optional
        The range of frames, as in ``range`` but never negative; the whole stack
        without them. What lies beyond the stack's end is left out.
    step : int
        Every how many frames one is predicted.
    direction : {"both", "forward", "backward"}
        Where to go from a reference.
    """

    memory: int = 0
    start: int = 0
    stop: int | None = None
    step: int = 1
    direction: Direction = "both"

    def __post_init__(self) -> None:
        """Refuse a memory or range that makes no sense."""
        if not 0 <= self.memory <= MAX_MEMORY:
            raise ValueError(
                f"Expected a memory of 0 to {MAX_MEMORY}, got {self.memory}."
            )
        if self.step < 1:
            raise ValueError(f"Expected a step of 1 or more, got {self.step}.")
        if self.start < 0 or (self.stop is not None and self.stop < 0):
            raise ValueError(
                f"Expected start and stop of 0 or more, got {self.start}, {self.stop}."
            )
        _check_choice(self.direction, Direction)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """How a stack is worked on: the model, and what is done with a person's work.

    Attributes
    ----------
    model : str
        Name of a model, or the path of its weights.
    prediction : PredictionSettings
        How the model and the references are used.
    propagation : PropagationSettings
        Memory, and the range of frames.
    contrast : ContrastSettings
        How the values of frames become brightness.
    corrections_become_references : bool
        Whether a predicted frame that a person corrects serves as a reference.
    """

    model: str = "builtin"
    prediction: PredictionSettings = field(default_factory=PredictionSettings)
    propagation: PropagationSettings = field(default_factory=PropagationSettings)
    contrast: ContrastSettings = field(default_factory=ContrastSettings)
    corrections_become_references: bool = True

    def __post_init__(self) -> None:
        """Refuse a model without a name."""
        if not self.model:
            raise ValueError("Expected the name of a model or a file, got nothing.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningSettings:
    """How a prompt is tuned: the network is frozen, the prompt learns (section 3.3).

    Attributes
    ----------
    steps : int
        At most so many updates, each from one query.
    map_rate : float
        Learning rate of the map of what prompts offer to be read, which a network
        with a readout has (see `model.prompt_map`); 0 leaves it out.
    image_rate : float, optional
        Learning rate of the image tensors, as in the paper, in normalised grey levels
        an update; 0 leaves them as they are. Without it, they learn where there is no
        map, or where they start from a grid or noise: beside the map they took three
        times the time for 0.004 more Dice, where that was measured.
    color_rate : float
        Learning rate of the colour tensors; 0 leaves them as they are.
    dice_weight : float
        What the soft Dice of the painted colours counts beside the smooth L1 loss of
        training, which alone would give small classes up. A network with a readout
        does not paint; its own loss has a soft Dice.
    start : {"reference", "grid", "noise"}
        What the tensors start from: a real prompt each, all prompts in one grid, or
        noise (their colours then start from real prompts).
    num_prompts : int
        At most so many tensors.
    prompts_per_step : int
        How many of them a query sees in an update: those nearest to it.
    crop : float
        A query shows at least this share of its picture's sides.
    flip, brightness : bool
        Whether pictures are flipped at random, query and prompts alike, and whether
        the query's brightness and contrast vary a little.
    pull : float
        The share of the way back to its start that a tensor goes in an update.
    hold_back : bool
        Whether one of three or more frames is never a query: its Dice is then that of
        a frame that was not learned from. It remains a prompt.
    check_every, patience : int
        The Dice of all frames, each predicted from the others, is taken every so many
        updates; tuning stops after so many times without a gain.
    seed : int
        The result is a function of it.
    """

    steps: int = 40
    map_rate: float = 0.005
    image_rate: float | None = None
    color_rate: float = 0.0
    dice_weight: float = 1.0
    start: TuningStart = "reference"
    num_prompts: int = 8
    prompts_per_step: int = 2
    crop: float = 1.0
    flip: bool = False
    brightness: bool = False
    pull: float = 0.0
    hold_back: bool = True
    check_every: int = 10
    patience: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values that leave nothing to learn."""
        _check_choice(self.start, TuningStart)
        counts = ("steps", "num_prompts", "prompts_per_step", "check_every", "patience")
        for name in counts:
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"Expected {name} of 1 or more, got {value!r}.")
        for name in ("map_rate", "image_rate", "color_rate", "dice_weight"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"Expected {name} of 0 or more, got {value!r}.")
        if not 0 < self.crop <= 1:
            raise ValueError(f"Expected a crop above 0 and up to 1, got {self.crop}.")
        if not 0 <= self.pull < 1:
            raise ValueError(f"Expected a pull of 0 to below 1, got {self.pull}.")
