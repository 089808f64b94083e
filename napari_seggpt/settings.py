"""Every default that a user can change, as frozen dataclasses; the only such place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

SegType = Literal["instance", "semantic"]
Ensemble = Literal["feature", "spatial"]
Direction = Literal["both", "forward", "backward"]
Device = Literal["auto", "cpu", "cuda", "mps"]
TuningStart = Literal["reference", "grid", "noise"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

SHARES = (
    "warmup", "layer_decay", "average", "several_prompts", "recalled_prompts",
    "simulated", "sequences", "same_image", "near_views", "mixed_context",
    "coloured_background", "spoiled_prompts", "empty_queries", "block_masks",
    "block_share", "neighbours", "alike_views", "partial_prompts", "stem_rate",
    "encoder_rate",
)  # fmt: skip
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
        training, which alone would give small classes up.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Hyper-parameters of a training run.

    Attributes
    ----------
    config : str
        Name of the geometry in `model.config.NAMED_CONFIGS`.
    image_sizes : tuple of int
        Sides of the square training pictures in pixels; each batch has one of them.
    steps, batch_size : int
        How many updates, of how many samples each with one prompt at the smallest
        size. Batches with larger pictures or more prompts have fewer samples.
    minutes : float
        If above 0, the run ends after so many minutes of training, and the course of
        the learning rate follows them instead of the steps.
    learning_rate, weight_decay, warmup, clip_norm
        AdamW with linear warm-up over a share of the steps and a cosine to zero.
    stem_rate, encoder_rate : float
        The rates of the pretrained stem (0 keeps it as it is, which takes half the
        time) and of the transformer, in shares of the readout's.
    layer_decay : float
        The rate of each block is that of the next one times this; 0.8 when a large
        published network is tuned (Painter), 1 else.
    average : float
        Decay of the averaged weights, which are the ones that are kept.
    max_prompts, several_prompts
        A query has one prompt or, in a share of the batches, 2 to so many.
    recalled_prompts : float
        Share of the batches with several prompts in which all but the first show
        what the network predicts from the first: the memory of video propagation.
    simulated : float
        Share of samples that come from simulated images.
    simulated_groups, simulated_size : int
        How many simulated pairs or sequences are made at the start, to be drawn from,
        and the side of their images in pixels.
    sequences : float
        Share of those that are sequences.
    same_image : float
        Probability that a pair of real data is two views of one image (0.5 in the
        paper, section 3.1).
    neighbours : float
        Share of samples of a set with sequences that are frames of one sequence.
    near_views : float
        Share of views of one image or sequence that are only slightly moved and bent,
        as neighbouring frames are.
    alike_views : float
        Share of samples from several images that show things at about one scale.
    mixed_context : float
        Share of samples whose pictures are stitched from two images each.
    coloured_background : float
        Share of samples with a random colour as background instead of black.
    spoiled_prompts : float
        Share of samples with a prompt whose labels have wrong outlines or gaps.
    partial_prompts : float
        Share of samples with several prompts in which one of them shows few of its
        objects; every other time it says so.
    empty_queries : float
        Share of samples whose query may have nothing to segment.
    block_masks, block_share : float
        In a share of the batches blocks are hidden, a share of the query's patches;
        in the others the whole query is.
    foreground_weight : float
        Rare coloured pixels count up to so many times more.
    beta : float
        Where the smooth L1 loss turns from square to linear (paper: 0.01).
    seed : int
        The run is a function of it.
    save_every : int
        A checkpoint is written every so many steps.
    """

    config: str = "small"
    image_sizes: tuple[int, ...] = (256,)
    steps: int = 4000
    batch_size: int = 8
    minutes: float = 0.0
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.03
    clip_norm: float = 1.0
    stem_rate: float = 0.0
    encoder_rate: float = 0.3
    layer_decay: float = 1.0
    average: float = 0.998
    max_prompts: int = 4
    several_prompts: float = 0.5
    recalled_prompts: float = 0.3
    simulated: float = 0.25
    simulated_groups: int = 600
    simulated_size: int = 256
    sequences: float = 0.4
    same_image: float = 0.25
    neighbours: float = 0.7
    near_views: float = 0.5
    alike_views: float = 0.75
    mixed_context: float = 0.05
    coloured_background: float = 0.15
    spoiled_prompts: float = 0.1
    partial_prompts: float = 0.15
    empty_queries: float = 0.15
    block_masks: float = 0.0
    block_share: float = 0.75
    foreground_weight: float = 5.0
    beta: float = 0.01
    seed: int = 0
    save_every: int = 200

    def __post_init__(self) -> None:
        """Refuse values of another type, or that no run can have."""
        for each in fields(self):
            value, default = getattr(self, each.name), each.default
            wanted = (int, float) if isinstance(default, float) else type(default)
            if not isinstance(value, wanted) or isinstance(value, bool):
                raise ValueError(f"Expected {each.name} as {default!r}, got {value!r}.")
        sizes = self.image_sizes
        if not sizes or not all(isinstance(x, int) and x > 0 for x in sizes):
            raise ValueError(f"Expected image_sizes above 0, got {sizes}.")
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"Expected {name} of 0 to 1, got {getattr(self, name)}."
                )
        positive = ("steps", "batch_size", "max_prompts", "save_every", "beta")
        for name in (*positive, "learning_rate", "clip_norm", "simulated_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Expected {name} above 0, got {getattr(self, name)}.")
