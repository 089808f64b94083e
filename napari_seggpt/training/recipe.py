"""Recipe: the hyper-parameters of a training run."""

from __future__ import annotations

from dataclasses import dataclass, fields

SHARES = (
    "warmup", "layer_decay", "average", "several_prompts", "recalled_prompts",
    "simulated", "sequences", "same_image", "near_views", "mixed_context",
    "coloured_background", "spoiled_prompts", "empty_queries", "block_masks",
    "block_share", "neighbours", "alike_views", "partial_prompts", "stem_rate",
    "encoder_rate",
)  # fmt: skip


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
