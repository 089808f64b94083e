"""Recipe: the hyper-parameters of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, Unit

from napari_seggpt.fields import Checked, Help, documented

Count = Annotated[int, Ge(1)]
Share = Annotated[float, Ge(0), Le(1)]

# What only the training of networks that paint depends on.
OF_PAINTING = ("block_masks", "block_share", "foreground_weight", "beta")


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(Checked):
    """Hyper-parameters of a training run."""

    config: Annotated[
        str, Help("Name of the geometry in `model.config.NAMED_CONFIGS`.")
    ] = "small"
    image_sizes: Annotated[
        tuple[Count, ...],
        Unit("pixels"),
        Help("Sides of the square training pictures; each batch has one of them."),
    ] = (256,)
    steps: Annotated[Count, Help("How many updates.")] = 4000
    batch_size: Annotated[
        Count,
        Help(
            "Samples of a batch with one prompt at the smallest size. Batches with "
            "larger pictures or more prompts have fewer samples."
        ),
    ] = 8
    accumulate: Annotated[
        Count, Help("Batches whose gradients are averaged for an update.")
    ] = 1
    minutes: Annotated[
        float,
        Ge(0),
        Unit("minutes"),
        Help(
            "If above 0, the run ends after so much training, and the course of the "
            "learning rate follows it instead of the steps."
        ),
    ] = 0.0
    learning_rate: Annotated[
        float,
        Gt(0),
        Help("The highest rate of AdamW, after a linear rise; a cosine leads to 0."),
    ] = 1e-3
    weight_decay: Annotated[float, Ge(0), Help("That of AdamW.")] = 0.05
    warmup: Annotated[
        Share, Help("Share of the steps in which the learning rate rises.")
    ] = 0.03
    clip_norm: Annotated[
        float, Gt(0), Help("Longer gradients are shortened to this norm.")
    ] = 1.0
    stem_rate: Annotated[
        Share,
        Help(
            "The rate of the pretrained stem in shares of the readout's; 0 keeps it as "
            "it is, which takes half the time."
        ),
    ] = 0.0
    encoder_rate: Annotated[
        Share, Help("The rate of the transformer in shares of the readout's.")
    ] = 0.3
    layer_decay: Annotated[
        Share,
        Help(
            "The rate of each block is that of the next one times this; 0.8 when a "
            "large published network is tuned (Painter), 1 else."
        ),
    ] = 1.0
    average: Annotated[
        Share, Help("Decay of the averaged weights, which are the ones that are kept.")
    ] = 0.998
    max_prompts: Annotated[Count, Help("A query has at most so many prompts.")] = 4
    several_prompts: Annotated[
        Share, Help("Share of the batches whose queries have more than one prompt.")
    ] = 0.5
    recalled_prompts: Annotated[
        Share,
        Help(
            "Share of the batches with several prompts in which all but the first show "
            "what the network predicts, one after the other: the memory of propagation."
        ),
    ] = 0.3
    simulated: Annotated[
        Share, Help("Share of samples that come from simulated images.")
    ] = 0.25
    simulated_groups: Annotated[
        int,
        Ge(0),
        Help("Simulated pairs or sequences made at the start, to be drawn from."),
    ] = 600
    simulated_size: Annotated[
        Count, Unit("pixels"), Help("Side of the simulated images.")
    ] = 256
    sequences: Annotated[
        Share, Help("Share of the simulated groups that are sequences.")
    ] = 0.4
    same_image: Annotated[
        Share,
        Help(
            "Share of the pairs of real data that are two views of one image (0.5 in "
            "the paper, section 3.1)."
        ),
    ] = 0.25
    same_image_of_objects: Annotated[
        Share,
        Help("The same of sets whose labels are objects (1 in the paper)."),
    ] = 0.25
    chosen_objects: Annotated[
        Share,
        Help(
            "Share of the samples of objects with counterparts in which some of them "
            "have a colour each (1 in the paper)."
        ),
    ] = 0.25
    neighbours: Annotated[
        Share,
        Help("Share of samples of a set with sequences that are frames of one."),
    ] = 0.7
    near_views: Annotated[
        Share,
        Help(
            "Share of views of one image or sequence that are only slightly moved and "
            "bent, as neighbouring frames are."
        ),
    ] = 0.5
    alike_views: Annotated[
        Share,
        Help("Share of samples from several images that show them at about one scale."),
    ] = 0.75
    mixed_context: Annotated[
        Share,
        Help("Share of samples whose pictures are stitched from two images each."),
    ] = 0.05
    coloured_background: Annotated[
        Share,
        Help("Share of samples with a random colour as background instead of black."),
    ] = 0.15
    spoiled_prompts: Annotated[
        Share,
        Help(
            "Share of samples with a prompt whose labels have wrong outlines or gaps."
        ),
    ] = 0.1
    partial_prompts: Annotated[
        Share,
        Help(
            "Share of samples with several prompts in which one of them shows few of "
            "its objects; every other time it says so."
        ),
    ] = 0.15
    empty_queries: Annotated[
        Share, Help("Share of samples whose query may have nothing to segment.")
    ] = 0.15
    block_masks: Annotated[
        Share,
        Help(
            "Share of the batches in which blocks of the query are hidden; in the "
            "others the whole query is. Only of networks that paint."
        ),
    ] = 0.0
    block_share: Annotated[
        Share,
        Help(
            "Share of the query's patches that such blocks hide. Only of networks that "
            "paint."
        ),
    ] = 0.75
    foreground_weight: Annotated[
        float,
        Ge(1),
        Help(
            "Rare coloured pixels count up to so many times more. Only of networks "
            "that paint."
        ),
    ] = 5.0
    beta: Annotated[
        float,
        Gt(0),
        Help(
            "Where the smooth L1 loss turns from square to linear (paper: 0.01). Only "
            "of networks that paint."
        ),
    ] = 0.01
    seed: Annotated[int, Ge(0), Help("The run is a function of it.")] = 0
    save_every: Annotated[
        Count, Unit("steps"), Help("How often a checkpoint is written.")
    ] = 200
