"""Every setting that a user can change: default, type, limits, label and help.

With `object_settings` the only place with defaults. What the annotated types say is
used to refuse wrong values, by the dock's form, the command line and the documentation;
see `fields`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen, Unit

from napari_seggpt.fields import Address, Ascending, Checked, Help, documented
from napari_seggpt.object_settings import CleanupSettings, ObjectSettings

SegType = Literal["instance", "semantic"]
SegTypeChoice = Literal["auto", "instance", "semantic"]
Ensemble = Literal["feature", "spatial"]
Direction = Literal["both", "forward", "backward"]
Device = Literal["auto", "cpu", "cuda", "mps"]
TuningStart = Literal["reference", "grid", "noise"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

Count = Annotated[int, Ge(1)]
Index = Annotated[int, Ge(0)]
Percentile = Annotated[float, Ge(0), Le(100)]
Rate = Annotated[float, Ge(0)]

MAX_MEMORY = 16
MAX_LABELS_PER_PASS = 26


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastSettings(Checked):
    """How the values of frames become the brightness of pictures."""

    limits: Annotated[
        tuple[float, float] | None,
        Ascending(),
        Help(
            "The values that are shown black and white. Without them the percentiles "
            "decide. 8-bit RGB is always shown as it is.",
            label="Black, white",
        ),
    ] = None
    percentiles: Annotated[
        tuple[Percentile, Percentile],
        Ascending(),
        Help(
            "The percentiles of the stack's values that are shown black and white. "
            "Objects so sparse that they lie beyond a percentile widen the range. "
            "8-bit frames that are not dim are shown as they are."
        ),
    ] = (0.5, 99.5)


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class TilingSettings(Checked):
    """Overlapping tiles, for objects too small for a squeezed frame."""

    enabled: Annotated[
        bool,
        Help(
            "Whether frames are cut into overlapping tiles, for objects that are too "
            "small for the model in a whole frame. It takes longer.",
            label="Cut frames into tiles",
        ),
    ] = False
    scale: Annotated[
        float,
        Gt(0),
        Unit("model pixels a frame pixel"),
        Help("How large tiles show a frame: 1 shows the model the frame's own pixels."),
    ] = 1.0
    overlap: Annotated[
        float,
        Ge(0),
        Le(0.5),
        Help("The share of a tile that it has in common with its neighbour."),
    ] = 0.25


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionSettings(Checked):
    """How a predictor uses its model and prompts."""

    seg_type: Annotated[
        SegTypeChoice,
        Help(
            "Whether labels are classes (semantic) or single objects (instance). It "
            "chooses one of the paper's two type embeddings; auto takes instance for "
            "the published network, as its own code does, and semantic for ours.",
            label="Type of labels",
        ),
    ] = "auto"
    ensemble: Annotated[
        Ensemble,
        Help(
            "How several examples are joined: inside the network (feature, usually "
            "better), or tiled into one picture (spatial): the ensembles of the "
            "paper's section 3.2.",
            label="Join examples",
        ),
    ] = "feature"
    max_prompts: Annotated[
        Count,
        Help(
            "At most so many labelled examples are used for a frame: the nearest and "
            "most similar. Predicted frames in memory come on top.",
            label="Most examples",
        ),
    ] = 8
    labels_per_pass: Annotated[
        int,
        Ge(1),
        Le(MAX_LABELS_PER_PASS),
        Help(
            "At most so many labels are coloured in one picture; more labels take "
            "several pictures, and longer.",
            label="Labels at once",
        ),
    ] = 7
    batch: Annotated[
        Count,
        Help(
            "How many pictures are predicted at once, where they do not wait for each "
            "other.",
            label="Pictures at once",
        ),
    ] = 4
    device: Annotated[
        Device,
        Help(
            "Where the network computes; auto takes the best that there is. What the "
            "computer does not have is replaced by the CPU."
        ),
    ] = "auto"
    precision: Annotated[
        Precision,
        Help(
            "How precisely the network computes: float32 is exact; with bfloat16 0.16 "
            "to 0.27 % of a mask's pixels were others, where that was measured. Auto "
            "takes bfloat16 on GPUs that have it."
        ),
    ] = "auto"
    tiling: Annotated[TilingSettings, Help("Whether frames are cut into tiles.")] = (
        field(default_factory=TilingSettings)
    )


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class PropagationSettings(Checked):
    """Which frames of a stack are predicted, and what they remember."""

    memory: Annotated[
        int,
        Ge(0),
        Le(MAX_MEMORY),
        Unit("frames"),
        Help(
            "How many of the last predicted frames serve as further examples; the "
            "built-in model leaves out those that it is not sure of. The published one "
            "does best with 7, which makes 8 examples in all (Table 4b). Without "
            "memory (0) frames do not depend on each other, and are predicted sooner."
        ),
    ] = 4
    start: Annotated[
        Index, Help("The first frame that is predicted, counted from 0.")
    ] = 0
    stop: Annotated[
        Index | None,
        Help("The frame after the last that is predicted; without it, all are."),
    ] = None
    step: Annotated[
        Count, Unit("frames"), Help("Every how many frames one is predicted.")
    ] = 1
    direction: Annotated[
        Direction, Help("Where to go from a reference: forward, backward or both.")
    ] = "both"


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings(Checked):
    """How a stack is worked on: the model, and what is done with a person's work."""

    model: Annotated[
        str,
        MinLen(1),
        Help(
            "The network: builtin, which comes with the package; a published one, "
            "which is larger, better at what the small one was not trained on, and "
            "slow without a GPU (see info); or a file of weights."
        ),
    ] = "builtin"
    scheduler: Annotated[
        str | None,
        Address(),
        Help(
            "The dask scheduler of another computer, on one of whose workers the "
            "network of a session computes. The weights, the references and the frames "
            "are sent there; without an address nothing leaves this computer. It is "
            "remembered here, and is in no task.",
            label="Another computer",
        ),
    ] = None
    prediction: Annotated[
        PredictionSettings, Help("How the model and the references are used.")
    ] = field(default_factory=PredictionSettings)
    propagation: Annotated[
        PropagationSettings,
        Help("Memory, and which frames are predicted.", label="Order of frames"),
    ] = field(default_factory=PropagationSettings)
    contrast: Annotated[
        ContrastSettings, Help("How the values of frames become brightness.")
    ] = field(default_factory=ContrastSettings)
    objects: Annotated[
        ObjectSettings, Help("Classes or objects, and the ids of objects.")
    ] = field(default_factory=ObjectSettings)
    cleanup: Annotated[
        CleanupSettings,
        Help("What is cleaned up in predicted labels.", label="Clean-up"),
    ] = field(default_factory=CleanupSettings)
    corrections_become_references: Annotated[
        bool,
        Help("Whether a predicted frame that a person corrects serves as a reference."),
    ] = True

    def for_any_stack(self) -> SessionSettings:
        """Return the settings without the range of frames, which belongs to a stack."""
        whole = replace(self.propagation, start=0, stop=None, step=1)
        return replace(self, propagation=whole)

    def on_range_of(self, others: SessionSettings) -> SessionSettings:
        """Return these settings with the range of frames of others."""
        own = others.propagation
        ranged = replace(
            self.propagation, start=own.start, stop=own.stop, step=own.step
        )
        return replace(self, propagation=ranged)

    def for_anybody(self) -> SessionSettings:
        """Return the settings for any stack, without where this person computes."""
        return replace(self.for_any_stack(), scheduler=None)

    def computing_as(self, others: SessionSettings) -> SessionSettings:
        """Return these settings with the scheduler of others.

        Where this person computes is kept when settings come from a session or a task:
        no file of somebody else may send images to another computer.
        """
        return replace(self, scheduler=others.scheduler)


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class TuningSettings(Checked):
    """How a prompt is tuned: the network is frozen, the prompt learns (section 3.3)."""

    steps: Annotated[Count, Help("At most so many updates.")] = 40
    weighing_rate: Annotated[
        Rate,
        Help(
            "How fast a network with a readout learns to weigh what it reads of the "
            "prompts; 0 leaves that as it is."
        ),
    ] = 0.0002
    image_rate: Annotated[
        Rate | None,
        Unit("normalised grey levels an update"),
        Help(
            "How fast the pictures learn, as in the paper; 0 leaves them as they are. "
            "Without it they learn where the weighing does not, or where they start "
            "from a grid or noise."
        ),
    ] = None
    color_rate: Annotated[
        Rate, Help("How fast the colours learn; 0 leaves them as they are.")
    ] = 0.0
    dice_weight: Annotated[
        Rate,
        Help(
            "What the soft Dice of the painted colours counts beside the smooth L1 "
            "loss of training, which alone would give small classes up. A network with "
            "a readout does not paint; its own loss has a soft Dice."
        ),
    ] = 1.0
    start: Annotated[
        TuningStart,
        Help(
            "What the pictures start from: a real prompt each (reference), all prompts "
            "in one grid, or noise (their colours then start from real prompts)."
        ),
    ] = "reference"
    num_prompts: Annotated[Count, Help("At most so many pictures in the prompt.")] = 8
    prompts_per_step: Annotated[
        Count,
        Help("How many of them a query sees in an update: those nearest to it."),
    ] = 2
    queries_per_step: Annotated[
        Count, Help("How many queries an update learns from.")
    ] = 1
    crop: Annotated[
        float,
        Gt(0),
        Le(1),
        Help("A query shows at least this share of its picture's sides."),
    ] = 1.0
    flip: Annotated[
        bool, Help("Whether pictures are flipped at random, query and prompts alike.")
    ] = False
    brightness: Annotated[
        bool,
        Help("Whether the query's brightness and contrast vary a little."),
    ] = False
    pull: Annotated[
        float,
        Ge(0),
        Lt(1),
        Help(
            "The share of the way back to its start that a picture goes in an update."
        ),
    ] = 0.0
    neighbours: Annotated[
        float,
        Ge(0),
        Le(1),
        Help(
            "How often, where the weighing learns, the query is a frame of the prompt "
            "that is moved and bent a little, as its neighbours are."
        ),
    ] = 0.3
    hold_back: Annotated[
        bool,
        Help(
            "Whether one of five or more frames is never a query: its Dice is then "
            "that of a frame that was not learned from. It remains a prompt."
        ),
    ] = True
    check_every: Annotated[
        Count,
        Unit("updates"),
        Help(
            "How often the Dice of all frames is taken, each predicted from the others."
        ),
    ] = 10
    patience: Annotated[
        Count, Help("Tuning stops after so many checks without a gain.")
    ] = 3
    seed: Annotated[Index, Help("The result is a function of it.")] = 0
